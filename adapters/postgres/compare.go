package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/daybook-ledger/daybook/projections"
)

// A RowDifference is one row that is not what the log gives.
type RowDifference struct {
	Table   string            `json:"table"`
	Key     []string          `json:"key"`
	Live    map[string]string `json:"live,omitempty"`    // by column; none: the row is missing
	Rebuilt map[string]string `json:"rebuilt,omitempty"` // by column; none: the row should not be there
}

// String returns the table, the key and every cell that differs.
func (d RowDifference) String() string {
	name := d.Table + " " + strings.Join(d.Key, "/")
	switch {
	case d.Live == nil:
		return name + ": the row is missing"
	case d.Rebuilt == nil:
		return name + ": the row does not follow from the log"
	}
	var cells []string
	for _, c := range slices.Sorted(maps.Keys(d.Rebuilt)) {
		if d.Live[c] != d.Rebuilt[c] {
			cells = append(cells, fmt.Sprintf("%s is %q, the log gives %q", c, d.Live[c], d.Rebuilt[c]))
		}
	}
	return name + ": " + strings.Join(cells, "; ")
}

// turns lets one at a time use a connection.
type turns = sync.Mutex

// A comparison folds a projection and walks its live tables beside it: its journals
// while their rows are made, in the same order, its keyed tables at the end. So
// nothing that grows with the log is kept.
type comparison struct {
	*folding
	position int64  // of the live tables
	reading  *turns // of the transaction that sees them
	tables   []*comparedTable
	broken   error // the live tables cannot be read
}

// A comparedTable is how one live table differs from what the log gives.
type comparedTable struct {
	projections.Table
	digest      *projections.TableDigest // of the live rows
	differences []RowDifference
	more        int // beyond those listed

	next func() ([]projections.Cell, error) // live row of a journal
	row  []projections.Cell                 // that has not been walked past; nil: none is left, or read is false
	read bool
}

func newComparison(ctx context.Context, tx *sql.Tx, reading *turns, p *projections.Projection, position int64) (*comparison, error) {
	c := &comparison{folding: newFolding(p), position: position, reading: reading}
	for _, t := range p.Tables {
		compared := &comparedTable{Table: t, digest: projections.NewTableDigest()}
		if t.IsJournal() {
			var err error
			if compared.next, err = pullTable(ctx, tx, p.Name, t); err != nil {
				return nil, err
			}
		}
		c.tables = append(c.tables, compared)
	}
	c.Stream(c.made)
	return c, nil
}

// made compares a row of a journal that the fold made.
func (c *comparison) made(t projections.Table, row *projections.RowText) {
	if c.broken != nil {
		return
	}
	for _, compared := range c.tables {
		if compared.Name() == t.Name() {
			c.reading.Lock()
			c.broken = compared.walk(row.Cells())
			c.reading.Unlock()
		}
	}
}

// finish compares what is left of the journals, and the keyed tables.
func (c *comparison) finish(ctx context.Context, tx *sql.Tx) error {
	for _, t := range c.tables {
		if c.broken != nil {
			return c.broken
		}
		if t.IsJournal() {
			c.broken = t.walk(nil)
			continue
		}
		c.broken = t.walkKeyed(ctx, tx, c.Memory)
	}
	return c.broken
}

// walkKeyed compares all rows of a keyed table.
func (t *comparedTable) walkKeyed(ctx context.Context, tx *sql.Tx, m *projections.Memory) (err error) {
	if t.next, err = pullTable(ctx, tx, m.Projection().Name, t.Table); err != nil {
		return err
	}
	for row := range m.Rows(t.Table) {
		if err := t.walk(t.Cells(row)); err != nil {
			return err
		}
	}
	return t.walk(nil)
}

// walk goes past the live rows up to the one that should come next; nil stands for
// the end.
func (t *comparedTable) walk(want []projections.Cell) error {
	for {
		if !t.read {
			var err error
			if t.row, err = t.next(); err != nil {
				return err
			}
			if t.read = true; t.row != nil {
				t.digest.Row(t.row)
			}
		}
		order := 1 // of what should be there to what is there
		switch {
		case t.row == nil && want == nil:
			return nil
		case t.row == nil:
			order = -1
		case want != nil:
			order = projections.CompareKeys(t.Table, want, t.row)
		}
		if order < 0 {
			t.differ(nil, want)
			return nil
		}
		t.read = false
		if order > 0 {
			t.differ(t.row, nil)
			continue
		}
		if !slices.Equal(t.row, want) {
			t.differ(t.row, want)
		}
		return nil
	}
}

func (t *comparedTable) differ(live, rebuilt []projections.Cell) {
	if len(t.differences) == maxDifferences {
		t.more++
		return
	}
	d := RowDifference{Table: t.Name()}
	for _, side := range []struct {
		cells []projections.Cell
		into  *map[string]string
	}{{live, &d.Live}, {rebuilt, &d.Rebuilt}} {
		if side.cells == nil {
			continue
		}
		*side.into = make(map[string]string)
		for i, c := range t.Columns() {
			(*side.into)[c.Name] = side.cells[i].Text
		}
		d.Key = d.Key[:0]
		for _, c := range side.cells[:t.KeyColumns()] {
			d.Key = append(d.Key, c.Text)
		}
	}
	t.differences = append(t.differences, d)
}

// preview returns what was found out.
func (c *comparison) preview(to int64) Preview {
	p := Preview{Projection: c.Projection().Name, To: to, Rows: rowsOf(c.Memory), Verification: Verification{Position: c.position, Digest: c.Digest()}}
	live := projections.NewDigest()
	for _, t := range c.tables {
		live.Add(t.Name(), t.digest)
		listed := min(len(t.differences), maxDifferences-len(p.Differences))
		p.Differences = append(p.Differences, t.differences[:listed]...)
		p.More += len(t.differences) - listed + t.more
	}
	p.Live = live.Sum()
	return p
}

// rowsOf returns how many rows the tables have, by name.
func rowsOf(m *projections.Memory) map[string]int {
	rows := make(map[string]int)
	for _, t := range m.Projection().Tables {
		rows[t.Name()] = m.Len(t)
	}
	return rows
}

// compare takes the digest of each new table set where the live one is, if that is
// not behind, and begins to read what is live at that moment. The function that it
// returns waits until that is done, and completes the results.
func (b *build) compare(ctx context.Context, done []Rebuilt) (wait func() error, err error) {
	for i, s := range b.list {
		if s.err == nil {
			done[i].Position, done[i].Rows = s.at, rowsOf(s.Memory)
		}
	}
	tx, err := b.live.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, unreachable(err)
	}
	comparable, err := b.comparable(ctx, tx)
	if err == nil {
		err = maybeIdle(ctx, tx)
	}
	if err != nil {
		return nil, errors.Join(err, rollback(tx))
	}
	var reading sync.WaitGroup
	var failed error
	live := make(map[int]string)
	reading.Go(func() {
		for _, i := range slices.Sorted(maps.Keys(comparable)) {
			if failed == nil {
				live[i], failed = liveDigest(ctx, tx, b.list[i].Projection())
			}
		}
		if failed != nil {
			failed = errors.Join(failed, rollback(tx))
		} else {
			failed = unreachable(tx.Commit())
		}
	})
	wait = func() error {
		reading.Wait()
		for i, digest := range live {
			done[i].Compared, done[i].Same = true, digest == done[i].Digest
		}
		return failed
	}
	stops := make([]int64, len(b.list))
	for i, s := range b.list {
		stops[i] = max(s.at, comparable[i])
	}
	err = b.stopAt(ctx, b.log, stops, func(i int) error {
		s := b.list[i]
		done[i].Position, done[i].Rows, done[i].Digest = s.at, rowsOf(s.Memory), s.Digest()
		return nil
	})
	return wait, err
}

// comparable returns where the live tables are that are of this version and not
// behind, by the index of their projection.
func (b *build) comparable(ctx context.Context, tx *sql.Tx) (map[int]int64, error) {
	positions := make(map[int]int64)
	for i, s := range b.list {
		live, err := liveState(ctx, tx, s.Projection())
		if err != nil {
			return nil, err
		}
		if s.err == nil && live.version == s.Projection().Version && live.position >= s.at {
			positions[i] = live.position
		}
	}
	return positions, nil
}

func liveDigest(ctx context.Context, tx *sql.Tx, p *projections.Projection) (string, error) {
	d := projections.NewDigest()
	for _, t := range p.Tables {
		d.Table(t.Name())
		for cells, err := range scanTable(ctx, tx, p.Name, t) {
			if err != nil {
				return "", err
			}
			d.Row(cells)
		}
	}
	return d.Sum(), nil
}
