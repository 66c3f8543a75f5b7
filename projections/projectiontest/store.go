package projectiontest

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A store stands for a database: it holds the rows of a projection as cells and
// is folded into by way of [projections.Batch] alone.
type store struct {
	projection *projections.Projection
	keyed      map[string]map[string][]projections.Cell // table → key → row
	journals   map[string][][]projections.Cell
}

func newStore(p *projections.Projection) *store {
	s := &store{p, make(map[string]map[string][]projections.Cell), make(map[string][][]projections.Cell)}
	for _, t := range p.Tables {
		s.keyed[t.Name()] = make(map[string][]projections.Cell)
	}
	return s
}

// fold folds the log in batches of the given size.
func (s *store) fold(t rapid.TB, log []*domain.Record, size int) {
	t.Helper()
	for batch := range slices.Chunk(log, size) {
		b := projections.NewBatch(s.projection)
		for tries := 0; ; tries++ {
			missing, err := b.Fold(batch)
			if err != nil {
				t.Fatalf("batch: %v", err)
			}
			if len(missing) == 0 {
				break
			}
			// A try may reveal keys that depend on a row's content, record by record.
			if tries > 8*size {
				t.Fatalf("batch of %d: still missing %q after %d tries", size, missing, tries)
			}
			s.load(t, b, missing)
		}
		s.write(b.Changes())
	}
}

// load gives the batch what it misses.
func (s *store) load(t rapid.TB, b *projections.Batch, missing map[string][]string) {
	t.Helper()
	for _, table := range s.projection.Tables {
		for _, key := range missing[table.Name()] {
			cells, ok := s.keyed[table.Name()][key]
			if !ok {
				b.Load(table, key, nil)
				continue
			}
			row, err := table.Parse(cells)
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			b.Load(table, key, row)
		}
	}
}

func (s *store) write(changes []projections.Changes) {
	for _, c := range changes {
		name := c.Table.Name()
		for _, cells := range c.Put {
			s.keyed[name][keyOf(c.Table, cells)] = cells
		}
		for _, key := range c.Removed {
			delete(s.keyed[name], key)
		}
		s.journals[name] = append(s.journals[name], c.Append...)
	}
}

// digest returns the digest of what is stored.
func (s *store) digest() string {
	d := projections.NewDigest()
	for _, t := range s.projection.Tables {
		d.Table(t.Name())
		for _, cells := range s.journals[t.Name()] {
			d.Row(cells)
		}
		rows := s.keyed[t.Name()]
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			d.Row(rows[key])
		}
	}
	return d.Sum()
}

// keyOf returns the key of a row of a keyed table.
func keyOf(t projections.Table, cells []projections.Cell) string {
	key := make([]string, t.KeyColumns())
	for i := range key {
		key[i] = cells[i].Text
	}
	return projections.JoinKey(key)
}
