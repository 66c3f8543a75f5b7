package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

var columns = []projections.Column{
	{Name: "line", Type: projections.TypeText},
	{Name: "name", Type: projections.TypeText, Optional: true},
	{Name: "remaining", Type: projections.TypeDecimal},
	{Name: "position", Type: projections.TypeInteger},
	{Name: "test", Type: projections.TypeBool},
	{Name: "reported_at", Type: projections.TypeTime, Optional: true},
}

func cells(texts ...string) []projections.Cell {
	row := make([]projections.Cell, len(texts))
	for i, t := range texts {
		row[i] = projections.Cell{Text: t}
		if t == "NULL" {
			row[i] = projections.Cell{Null: true}
		}
	}
	return row
}

func example() render.Answer {
	return render.Answer{
		View:    "credits/balances",
		AsOf:    time.Date(2026, 3, 31, 23, 59, 59, 999999000, time.UTC),
		Known:   184220,
		Root:    "8zW4bVfX0vA9ZkPqRp8yqG+V0rs0nF3mZk7Qm0b3U/E=",
		Columns: columns,
		Rows: [][]projections.Cell{
			cells("70412", "Amina <a@example.com>", "14", "9", "false", "2026-03-01T09:00:00Z"),
			cells("70413", "NULL", "-1234567890.125", "9007199254740993", "true", "NULL"),
			cells("", "", "0", "-1", "false", "2026-03-01T09:00:00.000001Z"),
			cells("\x1b[2J\u202e7", "田中, \"Ken\"\r\nTanaka\n", "3.5", "10", "false", "NULL"),
			cells("trailing ", "Zoe\u0308", "1000", "7", "true", "NULL"),
		},
		Next: "WyI3MDQxNCJd",
	}
}

func TestGolden(t *testing.T) {
	empty := example()
	empty.Rows, empty.Next, empty.Known, empty.Root = nil, "", 0, ""
	table := func(width int) func(io.Writer, render.Answer) error {
		return func(w io.Writer, a render.Answer) error { return render.Table(w, a, width) }
	}
	for _, test := range []struct {
		file   string
		answer render.Answer
		write  func(io.Writer, render.Answer) error
	}{
		{"answer.json", example(), render.JSON},
		{"answer.ndjson", example(), render.NDJSON},
		{"answer.csv", example(), render.CSV},
		{"answer.txt", example(), table(0)},
		{"narrow.txt", example(), table(72)},
		{"narrowest.txt", example(), table(3)},
		{"empty.json", empty, render.JSON},
		{"empty.ndjson", empty, render.NDJSON},
		{"empty.csv", empty, render.CSV},
		{"empty.txt", empty, table(0)},
	} {
		var got bytes.Buffer
		if err := test.write(&got, test.answer); err != nil {
			t.Errorf("%s: %v", test.file, err)
			continue
		}
		path := filepath.Join("testdata", test.file)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, got.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.file, diff)
		}
	}
}

// anyText draws text that is hard on every form.
var anyText = rapid.OneOf(
	rapid.String(),
	rapid.StringOf(rapid.SampledFrom([]rune("a ,\"\r\n\t\x1b<>&\\=\u0085\u2028\u202e田é\U0001f600"))),
	rapid.SampledFrom([]string{"", "null", "\r\n", "\n", "\r", `""`, " x ", "=1+1", "\ufeff"}),
)

func drawCell(t *rapid.T, c projections.Column) projections.Cell {
	if c.Optional && rapid.Bool().Draw(t, "null") {
		return projections.Cell{Null: true}
	}
	switch c.Type {
	case projections.TypeInteger:
		return projections.Cell{Text: strconv.FormatInt(rapid.Int64().Draw(t, "integer"), 10)}
	case projections.TypeDecimal:
		return projections.Cell{Text: rapid.StringMatching(`-?[1-9][0-9]{0,25}(\.[0-9]{0,8}[1-9])?`).Draw(t, "decimal")}
	case projections.TypeBool:
		return projections.Cell{Text: strconv.FormatBool(rapid.Bool().Draw(t, "bool"))}
	case projections.TypeTime:
		return projections.TimeCell(time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")))
	}
	return projections.Cell{Text: anyText.Draw(t, "text")}
}

var drawAnswer = rapid.Custom(func(t *rapid.T) render.Answer {
	a := render.Answer{View: "x/y", AsOf: time.UnixMicro(1), Known: rapid.Int64Min(0).Draw(t, "known")}
	types := []projections.Type{projections.TypeText, projections.TypeInteger, projections.TypeDecimal, projections.TypeTime, projections.TypeBool}
	for i := range rapid.IntRange(1, 7).Draw(t, "columns") {
		a.Columns = append(a.Columns, projections.Column{
			Name: "c" + strconv.Itoa(i), Type: rapid.SampledFrom(types).Draw(t, "type"), Optional: rapid.Bool().Draw(t, "optional"),
		})
	}
	for range rapid.IntRange(0, 5).Draw(t, "rows") {
		row := make([]projections.Cell, len(a.Columns))
		for i, c := range a.Columns {
			row[i] = drawCell(t, c)
		}
		a.Rows = append(a.Rows, row)
	}
	a.Next = rapid.SampledFrom([]string{"", "WyI3Il0"}).Draw(t, "next")
	return a
})

// TestForms decodes what was written in every form and finds the same cells.
func TestForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAnswer.Draw(t, "answer")
		var object struct {
			View    string
			Known   int64
			Columns []projections.Column
			Rows    []json.RawMessage
			Next    string
		}
		text := written(t, render.JSON, a)
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if bytes.Count(text, []byte("\n")) != 1 || object.View != a.View || object.Known != a.Known || object.Next != a.Next || len(object.Columns) != len(a.Columns) {
			t.Errorf("JSON is %s", text)
		}
		lines := bytes.SplitAfter(written(t, render.NDJSON, a), []byte("\n"))
		if len(lines) != len(a.Rows)+1 || len(object.Rows) != len(a.Rows) {
			t.Fatalf("%d rows in NDJSON, %d in JSON, want %d", len(lines)-1, len(object.Rows), len(a.Rows))
		}
		table := readCSV(t, string(written(t, render.CSV, a)))
		if len(table) != len(a.Rows)+1 {
			t.Fatalf("%d rows in CSV, want %d", len(table)-1, len(a.Rows))
		}
		for i, row := range a.Rows {
			if got := decodeRow(t, a.Columns, object.Rows[i]); !slices.Equal(got, row) {
				t.Errorf("row %d from JSON: %+v, want %+v", i, got, row)
			}
			if !bytes.Equal(bytes.TrimSuffix(lines[i], []byte("\n")), object.Rows[i]) {
				t.Errorf("row %d is %s in NDJSON and %s in JSON", i, lines[i], object.Rows[i])
			}
			for j, c := range row {
				if table[i+1][j] != c.Text {
					t.Errorf("row %d, column %d from CSV: %q, want %q", i, j, table[i+1][j], c.Text)
				}
			}
		}
		if again := written(t, render.JSON, a); !bytes.Equal(again, text) {
			t.Errorf("written again: %s, before: %s", again, text)
		}
	})
}

func written(t *rapid.T, write func(io.Writer, render.Answer) error, a render.Answer) []byte {
	var b bytes.Buffer
	if err := write(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decodeRow reads a row's members, which must be in the order of the columns
// and of their types.
func decodeRow(t *rapid.T, columns []projections.Column, row []byte) []projections.Cell {
	dec := json.NewDecoder(bytes.NewReader(row))
	dec.UseNumber()
	token := func() json.Token {
		token, err := dec.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, row)
		}
		return token
	}
	token()
	var cells []projections.Cell
	for _, c := range columns {
		if name := token(); name != c.Name {
			t.Fatalf("member %v, want %s", name, c.Name)
		}
		switch v := token().(type) {
		case nil:
			cells = append(cells, projections.Cell{Null: true})
		case string:
			if c.Type == projections.TypeInteger || c.Type == projections.TypeBool {
				t.Errorf("%s is the string %q", c.Type, v)
			}
			cells = append(cells, projections.Cell{Text: v})
		case json.Number:
			if c.Type != projections.TypeInteger {
				t.Errorf("%s is the number %s", c.Type, v)
			}
			cells = append(cells, projections.Cell{Text: v.String()})
		case bool:
			cells = append(cells, projections.Cell{Text: strconv.FormatBool(v)})
		}
	}
	if token() != json.Delim('}') {
		t.Errorf("more members in %s", row)
	}
	return cells
}

// readCSV reads RFC 4180 to the letter. The standard library's reader, which
// changes CRLF inside a field, must agree where there is none.
func readCSV(t *rapid.T, text string) [][]string {
	var rows [][]string
	var row []string
	var field strings.Builder
	for i := 0; i < len(text); {
		if text[i] == '"' {
			for i++; ; i++ {
				if text[i] == '"' {
					if i++; i == len(text) || text[i] != '"' {
						break
					}
				}
				field.WriteByte(text[i])
			}
		}
		for i < len(text) && text[i] != ',' && text[i] != '\r' {
			field.WriteByte(text[i])
			i++
		}
		row = append(row, field.String())
		field.Reset()
		if strings.HasPrefix(text[i:], "\r\n") {
			rows, row = append(rows, row), nil
			i += 2
		} else if text[i] == ',' {
			i++
		} else {
			t.Fatalf("a lone %q in %q", text[i], text)
		}
	}
	if strings.Count(text, "\r") == len(rows) {
		got, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || !slices.EqualFunc(got, rows, slices.Equal) {
			t.Errorf("encoding/csv reads %q, %v, want %q", got, err, rows)
		}
	}
	return rows
}

// TestTable checks what must hold for every table: nothing but graphic
// characters, no space at the end of a line, one line per row, within the width
// or with what is missing named, and every value that is shown whole.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAnswer.Draw(t, "answer")
		width := rapid.IntRange(0, 60).Draw(t, "width")
		var b bytes.Buffer
		if err := render.Table(&b, a, width); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Errorf("%U reaches the terminal", r)
			}
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		shown := strings.Fields(lines[0])
		omitted := len(a.Columns) - len(shown)
		if want := 1 + len(a.Rows) + min(omitted, 1); len(lines) != want || len(shown) == 0 || width == 0 && omitted > 0 {
			t.Errorf("%d lines, want %d, in a table of width %d:\n%s", len(lines), want, width, &b)
		}
		for _, line := range lines {
			if strings.HasSuffix(line, " ") {
				t.Errorf("%q ends in a space", line)
			}
		}
		for i, c := range a.Columns {
			if i >= len(shown) {
				if !strings.Contains(lines[len(lines)-1], c.Name) {
					t.Errorf("column %s is left out in silence", c.Name)
				}
				continue
			}
			for n, row := range a.Rows {
				if c.Type != projections.TypeText && !strings.Contains(lines[n+1], row[i].Text) {
					t.Errorf("row %d does not show %s whole: %q", n, row[i].Text, lines[n+1])
				}
			}
		}
	})
}

// TestNoSuchValue checks that a document is never written around a value that
// is not of its column's type.
func TestNoSuchValue(t *testing.T) {
	for typ, text := range map[projections.Type]string{projections.TypeInteger: "1e9", projections.TypeBool: "perhaps"} {
		a := render.Answer{View: "x/y", Columns: []projections.Column{{Name: "n", Type: typ}}, Rows: [][]projections.Cell{cells(text)}}
		for _, write := range []func(io.Writer, render.Answer) error{render.JSON, render.NDJSON} {
			if err := write(io.Discard, a); domain.CodeOf(err) != domain.Internal {
				t.Errorf("%s %q: %v", typ, text, err)
			}
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriteFails(t *testing.T) {
	for _, f := range render.Formats() {
		if err := f.Write(full{}, example()); err == nil {
			t.Errorf("%s: nothing was written, and there is no error", f.Name)
		}
	}
	if err := render.Table(full{}, example(), 0); err == nil {
		t.Error("table: nothing was written, and there is no error")
	}
}
