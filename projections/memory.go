package projections

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// A Memory is a projection's tables in memory. It implements [Store] and [Source].
//
// Its keyed tables are always there. Its journals are too, unless [Memory.Stream]
// was called: a journal grows with the log, and who writes it out or compares it
// row by row need not keep it.
type Memory struct {
	projection *Projection
	tables     []*memoryTable // in the order of declaration
	position   int64
	recordedAt time.Time

	sink func(t Table, row *RowText) // nil: journals are kept
	text RowText
}

type memoryTable struct {
	Table
	name    string
	rows    map[string]any  // of a keyed table
	changed map[string]bool // keys since the last Changes; nil: nobody wants to know
	journal []any           // of a journal that is kept
	digest  *TableDigest    // of one that is not
}

// NewMemory returns empty tables for p.
func NewMemory(p *Projection) *Memory {
	m := &Memory{projection: p}
	for _, t := range p.Tables {
		m.tables = append(m.tables, &memoryTable{Table: t, name: t.Name(), rows: make(map[string]any), digest: NewTableDigest()})
	}
	return m
}

// Clone returns a copy that goes its own way from here: rows never change, so the
// two share them. The journals of m must be kept.
func (m *Memory) Clone() *Memory {
	c := *m
	c.tables = make([]*memoryTable, len(m.tables))
	for i, t := range m.tables {
		copied := *t
		copied.rows, copied.journal = maps.Clone(t.rows), slices.Clip(t.journal)
		c.tables[i] = &copied
	}
	return &c
}

// Projection returns the projection whose tables these are.
func (m *Memory) Projection() *Projection { return m.projection }

// Stream has the rows of journals handed to sink in their order, instead of being
// kept. The text of a row is overwritten by the next one. It must be called before
// the first record is folded; then neither Rows nor Scan know of journals.
func (m *Memory) Stream(sink func(t Table, row *RowText)) { m.sink = sink }

// table returns the table t.
func (m *Memory) table(t Table) *memoryTable {
	name := t.Name()
	for _, table := range m.tables {
		if table.name == name {
			return table
		}
	}
	panic("table " + name + " is not among those of projection " + m.projection.Name)
}

// Fold folds the next record, which must be the one after [Memory.Position].
func (m *Memory) Fold(r *domain.Record) error {
	if err := m.projection.Apply(m, r); err != nil {
		return err
	}
	m.position, m.recordedAt = r.Position, r.RecordedAt
	return nil
}

// Position returns the position of the last record folded.
func (m *Memory) Position() int64 { return m.position }

// RecordedAt returns when the last record folded was recorded.
func (m *Memory) RecordedAt() time.Time { return m.recordedAt }

// Get implements [Store].
func (m *Memory) Get(t Table, key string) (any, bool) {
	row, ok := m.table(t).rows[key]
	return row, ok
}

// Put implements [Store].
func (m *Memory) Put(t Table, key string, row any) {
	table := m.table(t)
	if table.changed != nil {
		table.changed[key] = true
	}
	if row == nil {
		delete(table.rows, key)
		return
	}
	table.rows[key] = row
}

// Append implements [Store].
func (m *Memory) Append(t Table, row any) {
	table := m.table(t)
	if m.sink == nil {
		table.journal = append(table.journal, row)
		return
	}
	m.text.Set(t, row)
	table.digest.Text(&m.text)
	m.sink(t, &m.text)
}

// Rows yields the rows of t in key order.
func (m *Memory) Rows(t Table) iter.Seq[any] {
	return func(yield func(any) bool) {
		table := m.table(t)
		for _, row := range table.journal {
			if !yield(row) {
				return
			}
		}
		for _, key := range slices.Sorted(maps.Keys(table.rows)) {
			if !yield(table.rows[key]) {
				return
			}
		}
	}
}

// Len returns how many rows t has, those that were handed on included.
func (m *Memory) Len(t Table) int {
	table := m.table(t)
	return len(table.rows) + len(table.journal) + int(table.digest.Rows())
}

// Digest returns the digest of all tables; see [NewDigest].
func (m *Memory) Digest() string {
	d := NewDigest()
	var text RowText
	for _, t := range m.tables {
		digest := t.digest
		if m.sink == nil || !t.IsJournal() {
			digest = NewTableDigest()
			for row := range m.Rows(t.Table) {
				text.Set(t.Table, row)
				digest.Text(&text)
			}
		}
		d.Add(t.name, digest)
	}
	return d.Sum()
}

// Track starts to take note of the keys whose rows change, for [Memory.Changes].
func (m *Memory) Track() {
	for _, t := range m.tables {
		t.changed = make(map[string]bool)
	}
}

// Changes returns what changed in keyed tables since Written or Track was called the
// last time.
func (m *Memory) Changes() []Changes {
	var all []Changes
	for _, t := range m.tables {
		if len(t.changed) == 0 {
			continue
		}
		c := Changes{Table: t.Table}
		for _, key := range slices.Sorted(maps.Keys(t.changed)) {
			if row, ok := t.rows[key]; ok {
				c.Put = append(c.Put, t.Cells(row))
			} else {
				c.Removed = append(c.Removed, key)
			}
		}
		all = append(all, c)
	}
	return all
}

// Written says that what Changes returned is where it belongs.
func (m *Memory) Written() {
	for _, t := range m.tables {
		clear(t.changed)
	}
}

// Journals returns where the journals that are handed on stand, by name.
func (m *Memory) Journals() (_ map[string]DigestState, err error) {
	states := make(map[string]DigestState)
	for _, t := range m.tables {
		if t.IsJournal() {
			if states[t.name], err = t.digest.State(); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}

// Resume makes m, which must be new and whose keyed rows were put back, go on after
// the position at which its journals stood so.
func (m *Memory) Resume(position int64, journals map[string]DigestState) error {
	for _, t := range m.tables {
		if t.IsJournal() {
			if err := t.digest.Resume(journals[t.name]); err != nil {
				return err
			}
		}
	}
	m.position = position
	return nil
}

// Scan implements [Source].
func (m *Memory) Scan(_ context.Context, t Table, s Selection) iter.Seq2[[]Cell, error] {
	return func(yield func([]Cell, error) bool) {
		var rows [][]Cell
		inOrder := s.Sort < 0 && !s.Descending // that of their keys, in which they come
		for row := range m.Rows(t) {
			cells := t.Cells(row)
			switch {
			case !s.takes(t.Columns(), cells):
			case !inOrder:
				rows = append(rows, cells)
			case !yield(cells, nil):
				return
			}
		}
		slices.SortFunc(rows, func(a, b []Cell) int { return s.compare(t, a, b) })
		for _, cells := range rows {
			if !yield(cells, nil) {
				return
			}
		}
	}
}
