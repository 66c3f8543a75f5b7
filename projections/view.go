package projections

import (
	"context"
	"iter"
	"slices"
	"time"
)

// A View is a named question over one table. The API, the command line, the
// pages and the exports all show the same views, cell by cell.
type View struct {
	Name    string // path element, such as "balances"
	Title   string // heading, such as "Event credit balances"
	Table   Table
	Columns []ViewColumn
}

// A ViewColumn is a column of a view: one of its table's, or one that is
// computed from a row and the moment the question is about.
type ViewColumn struct {
	Column
	stored  int // index in the table's columns, or -1
	compute func(row any, at time.Time) Cell
}

// Stored reports whether what is shown is what the table holds, so that a source
// can filter and sort by it. What is computed or opened is not.
func (c ViewColumn) Stored() bool { return c.stored >= 0 && !c.Sealed }

// NewView declares a view. Each column is the name of a stored one (a string) or
// what [Computed] returns.
func NewView(name, title string, t Table, columns ...any) View {
	v := View{Name: name, Title: title, Table: t}
	for _, c := range columns {
		switch c := c.(type) {
		case string:
			i := slices.IndexFunc(t.Columns(), func(col Column) bool { return col.Name == c })
			if i < 0 {
				panic("view " + name + ": table " + t.Name() + " has no column " + c)
			}
			v.Columns = append(v.Columns, ViewColumn{Column: t.Columns()[i], stored: i})
		case ViewColumn:
			v.Columns = append(v.Columns, c)
		}
	}
	return v
}

// Computed declares a column that f computes from a row of a keyed table and
// the moment as of which the view is shown, such as whether a certificate has
// expired by then.
func Computed[R any](name string, typ Type, f func(row R, at time.Time) Cell) ViewColumn {
	return ViewColumn{
		Column:  Column{Name: name, Type: typ, Optional: true},
		stored:  -1,
		compute: func(row any, at time.Time) Cell { return f(*row.(*R), at) },
	}
}

// A Source has rows of tables. [Memory] is one; a database is another.
type Source interface {
	// Scan yields the rows that s selects, in the order it asks for.
	Scan(ctx context.Context, t Table, s Selection) iter.Seq2[[]Cell, error]
}

// A Selection is the part of a query that a [Source] answers.
type Selection struct {
	Filter     []Match
	Sort       int // index of the column to sort by, or -1 for the key alone
	Descending bool
	After      []Cell // sort cell (if Sort is not -1) and key cells of the last row seen; nil: from the start
	Limit      int    // 0: no limit
	UpTo       int64  // of a journal: the last position that counts; 0: all
}

// A Match wants a stored column to have one value.
type Match struct {
	Column int
	Cell   Cell
}

// Page is what a query gives.
type Page struct {
	Rows [][]Cell // in the order of the view's columns
	Next string   // cursor for the rows after these; "" if there are none
}

// Ask answers q from the source's rows, with personal texts as open says: see
// [Opener]. Of a journal, the rows up to a position count; 0 stands for all.
func (v View) Ask(ctx context.Context, src Source, open Opener, q Query, upTo int64) (Page, error) {
	var page Page
	var last []Cell
	for row, err := range v.Stream(ctx, src, open, q, upTo) {
		switch {
		case err != nil:
			return Page{}, err
		case q.Limit > 0 && len(page.Rows) == q.Limit:
			page.Next = q.cursor(v, last)
			return page, nil
		}
		page.Rows = append(page.Rows, row.shown)
		last = row.stored
	}
	return page, nil
}

// A StreamRow is one row of an answer: as shown, and as stored.
type StreamRow struct{ shown, stored []Cell }

// Cells returns the cells in the order of the view's columns.
func (r StreamRow) Cells() []Cell { return r.shown }

// Stream yields the rows that answer q one by one, so that an export of any
// length needs little memory. It does not stop at the query's limit.
//
// A view of personal texts reads [OpenAtOnce] rows before it yields any. Who asks
// for no more than that has read the source to its end before open is asked.
func (v View) Stream(ctx context.Context, src Source, open Opener, q Query, upTo int64) iter.Seq2[StreamRow, error] {
	return func(yield func(StreamRow, error) bool) {
		chunk := make([]StreamRow, 0, 1)
		flush := func() bool {
			if err := v.open(ctx, open, chunk); err != nil {
				yield(StreamRow{}, err)
				return false
			}
			for _, row := range chunk {
				if q.takes(v, row.shown) && !yield(row, nil) {
					return false
				}
			}
			chunk = chunk[:0]
			return true
		}
		for cells, err := range src.Scan(ctx, v.Table, v.Selection(q, upTo)) {
			var shown []Cell
			if err == nil {
				shown, err = v.show(cells, q.AsOf)
			}
			if err != nil {
				yield(StreamRow{}, err)
				return
			}
			chunk = append(chunk, StreamRow{shown, cells})
			if (!v.Personal() || len(chunk) == OpenAtOnce) && !flush() {
				return
			}
		}
		flush()
	}
}

// show returns the view's cells of one stored row, personal texts unopened.
func (v View) show(cells []Cell, at time.Time) ([]Cell, error) {
	shown := make([]Cell, len(v.Columns))
	var row any
	for i, c := range v.Columns {
		if c.stored >= 0 {
			shown[i] = cells[c.stored]
			continue
		}
		if row == nil {
			var err error
			if row, err = v.Table.Parse(cells); err != nil {
				return nil, err
			}
		}
		shown[i] = c.compute(row, at)
	}
	return shown, nil
}
