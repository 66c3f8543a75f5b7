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
type Memory struct {
	projection *Projection
	tables     map[string]*memoryTable
	position   int64
	recordedAt time.Time
}

type memoryTable struct {
	rows    map[string]any // of a keyed table
	journal []any          // of a journal
}

// NewMemory returns empty tables for p.
func NewMemory(p *Projection) *Memory {
	m := &Memory{projection: p, tables: make(map[string]*memoryTable, len(p.Tables))}
	for _, t := range p.Tables {
		m.tables[t.Name()] = &memoryTable{rows: make(map[string]any)}
	}
	return m
}

// Clone returns a copy that goes its own way from here: rows never change, so the
// two share them.
func (m *Memory) Clone() *Memory {
	c := *m
	c.tables = make(map[string]*memoryTable, len(m.tables))
	for name, t := range m.tables {
		c.tables[name] = &memoryTable{maps.Clone(t.rows), slices.Clip(t.journal)}
	}
	return &c
}

// Projection returns the projection whose tables these are.
func (m *Memory) Projection() *Projection { return m.projection }

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
	row, ok := m.tables[t.Name()].rows[key]
	return row, ok
}

// Put implements [Store].
func (m *Memory) Put(t Table, key string, row any) {
	if row == nil {
		delete(m.tables[t.Name()].rows, key)
		return
	}
	m.tables[t.Name()].rows[key] = row
}

// Append implements [Store].
func (m *Memory) Append(t Table, row any) {
	table := m.tables[t.Name()]
	table.journal = append(table.journal, row)
}

// Rows yields the rows of t in key order.
func (m *Memory) Rows(t Table) iter.Seq[any] {
	return func(yield func(any) bool) {
		table := m.tables[t.Name()]
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

// Len returns how many rows t has.
func (m *Memory) Len(t Table) int {
	table := m.tables[t.Name()]
	return len(table.rows) + len(table.journal)
}

// Digest returns the digest of all tables; see [NewDigest].
func (m *Memory) Digest() string {
	d := NewDigest()
	for _, t := range m.projection.Tables {
		d.Table(t.Name())
		for row := range m.Rows(t) {
			d.Row(t.Cells(row))
		}
	}
	return d.Sum()
}

// Scan implements [Source].
func (m *Memory) Scan(_ context.Context, t Table, s Selection) iter.Seq2[[]Cell, error] {
	return func(yield func([]Cell, error) bool) {
		var rows [][]Cell
		for row := range m.Rows(t) {
			if cells := t.Cells(row); s.takes(t.Columns(), cells) {
				rows = append(rows, cells)
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
