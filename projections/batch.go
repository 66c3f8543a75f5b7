package projections

import (
	"maps"
	"slices"

	"github.com/daybook-ledger/daybook/domain"
)

// A Batch folds some records over rows that live elsewhere, such as in a
// database, without asking for them one by one.
//
// A fold is pure, so it can be tried: [Batch.Fold] runs it over the rows known
// so far and collects the keys it asked for in vain. The caller loads those and
// tries again; when nothing is missing, [Batch.Changes] holds what to write. One
// try finds all keys that do not depend on a row's content, so two are usual.
type Batch struct {
	projection *Projection
	known      map[string]map[string]any // table → key → row; a nil row is known to be absent
	changed    map[string]map[string]any // table → key → row; a nil row is removed
	appended   map[string][]any
	missing    map[string]map[string]bool
}

// NewBatch returns a batch that knows no rows.
func NewBatch(p *Projection) *Batch {
	b := &Batch{projection: p, known: make(map[string]map[string]any, len(p.Tables))}
	for _, t := range p.Tables {
		b.known[t.Name()] = make(map[string]any)
	}
	return b
}

// Fold tries to fold the records over the rows known so far. If it reports
// rows missing, they must be loaded and Fold called again with the same
// records. An error, a [*FoldError], counts only if nothing is missing.
func (b *Batch) Fold(records []*domain.Record) (missing map[string][]string, err error) {
	b.changed = make(map[string]map[string]any)
	b.appended = make(map[string][]any)
	b.missing = make(map[string]map[string]bool)
	for _, r := range records {
		if err = b.projection.Apply(b, r); err != nil && len(b.missing) == 0 {
			return nil, err
		}
	}
	if len(b.missing) == 0 {
		return nil, nil
	}
	missing = make(map[string][]string, len(b.missing))
	for table, keys := range b.missing {
		missing[table] = slices.Sorted(maps.Keys(keys))
	}
	return missing, nil
}

// Load makes a row known. A nil row says that there is none with the key.
func (b *Batch) Load(t Table, key string, row any) { b.known[t.Name()][key] = row }

// Get implements [Store].
func (b *Batch) Get(t Table, key string) (any, bool) {
	if row, ok := b.changed[t.Name()][key]; ok {
		return row, row != nil
	}
	row, known := b.known[t.Name()][key]
	if !known {
		if b.missing[t.Name()] == nil {
			b.missing[t.Name()] = make(map[string]bool)
		}
		b.missing[t.Name()][key] = true
	}
	return row, row != nil
}

// Put implements [Store].
func (b *Batch) Put(t Table, key string, row any) {
	if b.changed[t.Name()] == nil {
		b.changed[t.Name()] = make(map[string]any)
	}
	b.changed[t.Name()][key] = row
}

// Append implements [Store].
func (b *Batch) Append(t Table, row any) {
	b.appended[t.Name()] = append(b.appended[t.Name()], row)
}

// Changes are what a batch does to one table.
type Changes struct {
	Table   Table
	Put     [][]Cell // rows to add or replace, in key order
	Removed []string // keys of rows to remove, in order
	Append  [][]Cell // rows to add to a journal, in order
}

// Changes returns what is to be written, table by table in the order of their
// declaration. It is meant for after a Fold that missed nothing.
func (b *Batch) Changes() []Changes {
	var all []Changes
	for _, t := range b.projection.Tables {
		c := Changes{Table: t}
		for _, key := range slices.Sorted(maps.Keys(b.changed[t.Name()])) {
			if row := b.changed[t.Name()][key]; row != nil {
				c.Put = append(c.Put, t.Cells(row))
			} else {
				c.Removed = append(c.Removed, key)
			}
		}
		for _, row := range b.appended[t.Name()] {
			c.Append = append(c.Append, t.Cells(row))
		}
		if len(c.Put)+len(c.Removed)+len(c.Append) > 0 {
			all = append(all, c)
		}
	}
	return all
}
