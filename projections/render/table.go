package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/projections"
)

// gap is what stands between two columns.
const gap = "  "

// Table writes the rows under the upper-case names of their columns: numbers
// aligned on the right, everything else on the left, null as nothing. No line
// ends in a space.
//
// No value is cut or wrapped. If the lines would be wider than width, columns
// are left out from the right, never the first, until they are not, and the last
// line names those; width 0 leaves out none. That there are more rows than these
// (Next) is for the caller to say.
//
// What could make a terminal do something, such as an escape sequence in a
// candidate's name, is shown as Go would write it: \x1b, \u202e.
func Table(w io.Writer, a Answer, width int) error {
	lines := make([][]string, 0, 1+len(a.Rows))
	head := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		head[i] = visible(strings.ToUpper(c.Name))
	}
	lines = append(lines, head)
	for _, cells := range a.Rows {
		line := make([]string, len(a.Columns))
		for i := range line {
			if !cells[i].Null {
				line[i] = visible(cells[i].Text)
			}
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(a.Columns))
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], cellWidth(text))
		}
	}
	shown := fitting(widths, width)
	var out strings.Builder
	for _, line := range lines {
		writeLine(&out, a.Columns[:shown], widths, line)
	}
	if shown < len(a.Columns) {
		names := make([]string, 0, len(a.Columns)-shown)
		for _, c := range a.Columns[shown:] {
			names = append(names, visible(c.Name))
		}
		fmt.Fprintf(&out, "(too narrow for: %s)\n", strings.Join(names, ", "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// fitting returns how many leading columns fit into the width, at least one.
func fitting(widths []int, width int) int {
	if width <= 0 {
		return len(widths)
	}
	used := -len(gap)
	for i, w := range widths {
		used += len(gap) + w
		if used > width && i > 0 {
			return i
		}
	}
	return len(widths)
}

func writeLine(out *strings.Builder, columns []projections.Column, widths []int, line []string) {
	spaces := 0 // not written until something follows
	put := func(text string) {
		if text != "" {
			out.WriteString(strings.Repeat(" ", spaces))
			out.WriteString(text)
			spaces = 0
		}
	}
	for i, c := range columns {
		if i > 0 {
			spaces += len(gap)
		}
		text := strings.TrimRight(line[i], " ")
		pad := widths[i] - cellWidth(text)
		if c.Type == projections.TypeInteger || c.Type == projections.TypeDecimal {
			spaces += pad
			pad = 0
		}
		put(text)
		spaces += pad
	}
	out.WriteByte('\n')
}

// visible returns the text with everything that is not a graphic character
// written as an escape.
func visible(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && r != utf8.RuneError && strconv.IsGraphic(r)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsGraphic(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// cellWidth returns how many places the text takes in a terminal, as nearly as
// can be said without asking it.
func cellWidth(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x300:
			n++
		case unicode.In(r, unicode.Mn, unicode.Me):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wide are the characters that take two places: the East Asian ones that are
// Wide or Fullwidth in Unicode's annex 11, block by block, and emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1},
		{0x2e80, 0x303e, 1},
		{0x3041, 0xa4cf, 1},
		{0xa960, 0xa97f, 1},
		{0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1},
		{0xfe30, 0xfe6f, 1},
		{0xff01, 0xff60, 1},
		{0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x1f300, 0x1f64f, 1},
		{0x1f680, 0x1f6ff, 1},
		{0x1f900, 0x1f9ff, 1},
		{0x20000, 0x3fffd, 1},
	},
}
