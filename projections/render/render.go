// Package render writes the answer of a view as JSON, as JSON lines, as CSV and
// as a table for a terminal. The API and the command line both write with it,
// so the same question has the same answer everywhere, byte for byte: in every
// form but the table, which is for eyes, a value is neither rounded nor
// reformatted nor cut. What cannot be written whole is not begun.
package render

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An Answer is what a view says, and about which state of the log.
type Answer struct {
	View    string    // such as "credits/balances"
	AsOf    time.Time // by when it happened
	Known   int64     // the last position that counts; 0: the log is empty
	Root    string    // base64 root of the log's tree at Known; "" if it is empty
	Columns []projections.Column
	Rows    [][]projections.Cell // in the order of Columns
	Next    string               // cursor for the rows after these; "" if there are none
}

// Columns returns the columns of a view.
func Columns(v projections.View) []projections.Column {
	columns := make([]projections.Column, len(v.Columns))
	for i, c := range v.Columns {
		columns[i] = c.Column
	}
	return columns
}

// A Format is one form in which an answer can be written.
type Format struct {
	Name      string // file suffix in a URL, value of a flag
	MediaType string
	Write     func(w io.Writer, a Answer) error
}

// Formats returns the forms an answer has for programs, the default one first.
// The form for a terminal is [Table].
func Formats() []Format {
	return []Format{
		{"json", "application/json", JSON},
		{"ndjson", "application/x-ndjson", NDJSON},
		{"csv", "text/csv; charset=utf-8; header=present", CSV},
	}
}

// JSON writes one object and a newline:
//
//	{"view":"credits/balances","as_of":"2026-03-31T23:59:59.999999Z","known":7,"root":"…",
//	"columns":[{"name":"line","type":"text"},{"name":"remaining","type":"decimal"}],
//	"rows":[{"line":"7","remaining":"14"}],"next":"…"}
//
// all in one line, with HTML characters unescaped. The members of a row are in
// the order of the columns. Text and decimals are strings, integers numbers,
// truths true or false, times strings in RFC 3339 UTC; null is null. Next is
// there only if there are more rows; as_of, known and root only if the answer is
// about the log at a moment.
func JSON(w io.Writer, a Answer) error {
	var out bytes.Buffer
	// What is not about the log at a moment does not pretend to be.
	var asOf string
	var known *int64
	var root *string
	if !a.AsOf.IsZero() {
		asOf, known, root = a.AsOf.UTC().Format(time.RFC3339Nano), &a.Known, &a.Root
	}
	head, err := domain.Marshal(struct {
		View    string               `json:"view"`
		AsOf    string               `json:"as_of,omitempty"`
		Known   *int64               `json:"known,omitempty"`
		Root    *string              `json:"root,omitempty"`
		Columns []projections.Column `json:"columns"`
	}{a.View, asOf, known, root, append([]projections.Column{}, a.Columns...)})
	if err != nil {
		return err
	}
	out.Write(bytes.TrimSuffix(head, []byte("}")))
	out.WriteString(`,"rows":[`)
	row, err := newRowWriter(a)
	if err != nil {
		return err
	}
	for i, cells := range a.Rows {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := row.write(&out, cells); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	if a.Next != "" {
		next, err := domain.Marshal(a.Next)
		if err != nil {
			return err
		}
		out.WriteString(`,"next":`)
		out.Write(next)
	}
	out.WriteString("}\n")
	_, err = w.Write(out.Bytes())
	return err
}

// NDJSON writes every row as one object on a line of its own, as [JSON] writes
// it, and nothing else.
func NDJSON(w io.Writer, a Answer) error {
	var out bytes.Buffer
	row, err := newRowWriter(a)
	if err != nil {
		return err
	}
	for _, cells := range a.Rows {
		if err := row.write(&out, cells); err != nil {
			return err
		}
		out.WriteByte('\n')
	}
	_, err = w.Write(out.Bytes())
	return err
}

// A rowWriter writes rows as JSON objects.
type rowWriter struct {
	view    string
	columns []projections.Column
	names   []string // `{"first":`, `,"second":` and so on
}

func newRowWriter(a Answer) (*rowWriter, error) {
	r := &rowWriter{view: a.View, columns: a.Columns}
	before := "{"
	for _, c := range a.Columns {
		name, err := domain.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		r.names = append(r.names, before+string(name)+":")
		before = ","
	}
	return r, nil
}

func (r *rowWriter) write(out *bytes.Buffer, cells []projections.Cell) error {
	if len(r.columns) == 0 {
		out.WriteByte('{')
	}
	for i, c := range r.columns {
		value, err := jsonValue(c.Type, cells[i])
		if err != nil {
			return domain.Errorf(domain.Internal, "view "+r.view, "column %s: %w", c.Name, err)
		}
		out.WriteString(r.names[i])
		out.Write(value)
	}
	out.WriteByte('}')
	return nil
}

// jsonValue returns a cell as JSON. An integer or a truth that is not written
// as one is refused: it would make the whole document unreadable.
func jsonValue(typ projections.Type, c projections.Cell) ([]byte, error) {
	if c.Null {
		return []byte("null"), nil
	}
	switch typ {
	case projections.TypeInteger:
		n, err := strconv.ParseInt(c.Text, 10, 64)
		return strconv.AppendInt(nil, n, 10), err
	case projections.TypeBool:
		b, err := strconv.ParseBool(c.Text)
		return strconv.AppendBool(nil, b), err
	}
	return domain.Marshal(c.Text)
}

// CSV writes RFC 4180: a header row, then the rows, every line ended by CRLF.
// Null is an empty field. A field is quoted only where it must be, and a line
// break inside one is left as it is.
func CSV(w io.Writer, a Answer) error {
	var out bytes.Buffer
	for i, c := range a.Columns {
		csvField(&out, c.Name, i, len(a.Columns))
	}
	out.WriteString("\r\n")
	for _, cells := range a.Rows {
		for i := range a.Columns {
			text := cells[i].Text
			if cells[i].Null {
				text = ""
			}
			csvField(&out, text, i, len(a.Columns))
		}
		out.WriteString("\r\n")
	}
	_, err := w.Write(out.Bytes())
	return err
}

// csvField writes field i of n. The one empty field of a line is quoted: an
// empty line is not read as a row by everybody.
func csvField(out *bytes.Buffer, text string, i, n int) {
	if i > 0 {
		out.WriteByte(',')
	}
	if !strings.ContainsAny(text, "\",\r\n") && (text != "" || n > 1) {
		out.WriteString(text)
		return
	}
	out.WriteByte('"')
	out.WriteString(strings.ReplaceAll(text, `"`, `""`))
	out.WriteByte('"')
}
