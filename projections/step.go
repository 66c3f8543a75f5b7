package projections

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// A Step is what one record does to the tables of a projection.
type Step struct {
	Record  *domain.Record
	Changes []RowChange // by table in the order of declaration, then by key; those of a journal as appended
	Err     error       // why the record cannot be taken: then it changes nothing
}

// A RowChange is one row before and after a record. Cells are in the order of the
// table's columns.
type RowChange struct {
	Table  Table
	Before []Cell // nil: there was none
	After  []Cell // nil: there is none any more
}

// Key returns the cells that identify the row.
func (c RowChange) Key() []Cell {
	if c.After == nil {
		return c.Before[:c.Table.KeyColumns()]
	}
	return c.After[:c.Table.KeyColumns()]
}

// Changed returns the indexes of the columns whose cells differ: all of them if
// the row is new or gone.
func (c RowChange) Changed() (columns []int) {
	for i := range c.Table.Columns() {
		if c.Before == nil || c.After == nil || c.Before[i] != c.After[i] {
			columns = append(columns, i)
		}
	}
	return columns
}

// A Stepper folds records one by one, as everything that folds does, and says what
// each of them changed.
type Stepper struct{ memory *Memory }

// NewStepper returns a stepper that goes on from m, which is its own from then on.
// Rows of journals are told and not kept.
func NewStepper(m *Memory) *Stepper { return &Stepper{m} }

// Step folds the next record. A step with an error is the last one.
func (s *Stepper) Step(r *domain.Record) Step {
	p := s.memory.projection
	note := &notes{Memory: s.memory, before: make(map[string]map[string]any), appended: make(map[string][]any)}
	if err := p.Apply(note, r); err != nil {
		note.undo(p)
		var fold *FoldError
		if errors.As(err, &fold) {
			err = fold.Err
		}
		return Step{Record: r, Err: err}
	}
	step := Step{Record: r}
	for _, t := range p.Tables {
		step.Changes = append(step.Changes, note.changes(t)...)
	}
	return step
}

// notes is a [Store] that remembers what rows were before they were put.
type notes struct {
	*Memory
	before   map[string]map[string]any // table → key → row; nil: there was none
	appended map[string][]any
}

// Put implements [Store].
func (n *notes) Put(t Table, key string, row any) {
	if n.before[t.Name()] == nil {
		n.before[t.Name()] = make(map[string]any)
	}
	if _, noted := n.before[t.Name()][key]; !noted {
		n.before[t.Name()][key], _ = n.Get(t, key)
	}
	n.Memory.Put(t, key, row)
}

// Append implements [Store].
func (n *notes) Append(t Table, row any) { n.appended[t.Name()] = append(n.appended[t.Name()], row) }

// undo puts all rows back.
func (n *notes) undo(p *Projection) {
	for _, t := range p.Tables {
		for key, row := range n.before[t.Name()] {
			n.Memory.Put(t, key, row)
		}
	}
}

// changes returns the rows of one table that are not as they were.
func (n *notes) changes(t Table) (all []RowChange) {
	cells := func(row any) []Cell {
		if row == nil {
			return nil
		}
		return t.Cells(row)
	}
	for _, key := range slices.Sorted(maps.Keys(n.before[t.Name()])) {
		after, _ := n.Get(t, key)
		c := RowChange{t, cells(n.before[t.Name()][key]), cells(after)}
		if !slices.Equal(c.Before, c.After) {
			all = append(all, c)
		}
	}
	for _, row := range n.appended[t.Name()] {
		all = append(all, RowChange{t, nil, t.Cells(row)})
	}
	return all
}

// OpenSteps opens the personal texts of steps, as a [View] does those it shows.
func OpenSteps(ctx context.Context, open Opener, steps []Step) error {
	var cells []*Cell
	for _, s := range steps {
		for _, c := range s.Changes {
			for i, column := range c.Table.Columns() {
				for _, row := range [][]Cell{c.Before, c.After} {
					if column.Sealed && row != nil {
						cells = append(cells, &row[i])
					}
				}
			}
		}
	}
	return openCells(ctx, open, cells)
}

// A RowFilter says which rows somebody follows. The zero one takes all.
type RowFilter struct {
	path    string          // key cells with slashes between
	columns map[string]Cell // what the row holds, before or after
}

// All reports whether the filter takes every row, and so records that change none.
func (f RowFilter) All() bool { return f.path == "" && len(f.columns) == 0 }

// ParseRowFilter reads terms, each COLUMN=VALUE or the key of a row with slashes
// between its parts. All must hold. A column that no table of p has is an error.
func ParseRowFilter(p *Projection, terms []string) (RowFilter, error) {
	f := RowFilter{columns: make(map[string]Cell)}
	types := make(map[string]Type)
	for _, t := range p.Tables {
		for _, c := range t.Columns() {
			types[c.Name] = c.Type
		}
	}
	for _, term := range terms {
		name, value, pair := strings.Cut(term, "=")
		typ, known := types[name]
		switch {
		case pair && known:
			c, err := normal(typ, value)
			if err != nil {
				return f, domain.Errorf(domain.Invalid, "key "+term, "%q is not a %s", value, typ)
			}
			f.columns[name] = c
		case pair && !strings.Contains(name, "/"):
			return f, domain.Errorf(domain.Invalid, "key "+term, "no table of %s has a column %s", p.Name, name).
				WithHint("The columns are " + strings.Join(slices.Sorted(maps.Keys(types)), ", ") + ".")
		default:
			f.path = cmp.Or(f.path, term)
			if f.path != term {
				return f, domain.Errorf(domain.Invalid, "key "+term, "there is another key already: %s", f.path)
			}
		}
	}
	return f, nil
}

// Of returns those of the changes that somebody who follows the row wants to see:
// the row itself, and the rows of journals that name it.
func (f RowFilter) Of(changes []RowChange) (wanted []RowChange) {
	followed := slices.IndexFunc(changes, func(c RowChange) bool { return c.path() == f.path })
	if f.path != "" && followed < 0 {
		return nil
	}
	for _, c := range changes {
		if c.holds(f.columns) && (f.path == "" || c.path() == f.path || c.Table.IsJournal() && c.names(changes[followed])) {
			wanted = append(wanted, c)
		}
	}
	return wanted
}

// names reports whether a row of a journal is about a row of a keyed table: it has
// something of its key, and nothing that is otherwise. What every journal says of
// the record is not enough.
func (c RowChange) names(row RowChange) bool {
	key := make(map[string]Cell)
	for i, cell := range row.Key() {
		key[row.Table.Columns()[i].Name] = cell
	}
	about := false
	for i, column := range c.Table.Columns() {
		if want, ok := key[column.Name]; ok {
			if c.After[i] != want {
				return false
			}
			about = about || i >= JournalHead
		}
	}
	return about
}

// path returns the key with slashes between its parts.
func (c RowChange) path() string {
	var parts []string
	for _, cell := range c.Key() {
		parts = append(parts, cell.Text)
	}
	return strings.Join(parts, "/")
}

// holds reports whether the row has all the cells, before or after.
func (c RowChange) holds(cells map[string]Cell) bool {
	found := 0
	for i, column := range c.Table.Columns() {
		want, ok := cells[column.Name]
		if ok && (c.Before != nil && c.Before[i] == want || c.After != nil && c.After[i] == want) {
			found++
		}
	}
	return found == len(cells)
}
