package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A Rebuilt says what a rebuild gave.
type Rebuilt struct {
	Position int64          `json:"position"` // the last record in the new tables
	Rows     map[string]int `json:"rows"`     // by table
	Digest   string         `json:"digest"`   // of the new tables at Position
	Compared bool           `json:"compared"` // whether the old tables were at the same position
	Same     bool           `json:"same"`     // if compared: the old tables were the same
}

// Rebuild derives p from the whole log, beside its live tables, and then takes
// their place in one short transaction. Readers see the old answers until the
// new ones are complete; live folding goes on meanwhile.
func (e *Projector) Rebuild(ctx context.Context, p *projections.Projection, progress Progress) (done Rebuilt, err error) {
	err = e.exclusively(ctx, p, func(conn *sql.Conn) error {
		if _, err := isOutdated(ctx, conn, p); err != nil {
			return err
		}
		done, err = rebuild(ctx, conn, p, progress)
		return err
	})
	return done, err
}

// Upgrade rebuilds p if its live tables are of another version than the code,
// and reports whether they were. Until then they keep answering as far as they
// have the columns. Of several processes that find them so, one rebuilds.
func (e *Projector) Upgrade(ctx context.Context, p *projections.Projection, progress Progress) (upgraded bool, err error) {
	// Who is up to date need not wait for a verification that is going on.
	if outdated, err := isOutdated(ctx, e.db, p); err != nil || !outdated {
		return false, err
	}
	err = e.exclusively(ctx, p, func(conn *sql.Conn) error {
		if upgraded, err = isOutdated(ctx, conn, p); err != nil || !upgraded {
			return err
		}
		_, err := rebuild(ctx, conn, p, progress)
		return err
	})
	return upgraded, err
}

// isOutdated reports whether the live tables of p are of an older version than
// the code, or lost. Those of a newer one are refused: to build them again would
// undo an upgrade that is under way.
func isOutdated(ctx context.Context, q querier, p *projections.Projection) (bool, error) {
	version, err := tablesVersion(ctx, q, p)
	if err != nil {
		return false, err
	}
	if version > p.Version {
		return false, otherVersion(p, version)
	}
	return version < p.Version, nil
}

func rebuild(ctx context.Context, conn *sql.Conn, p *projections.Projection, progress Progress) (Rebuilt, error) {
	// 1. Fold the log in memory, as far as it goes now.
	head, err := Head(ctx, conn)
	if err != nil {
		return Rebuilt{}, err
	}
	m := projections.NewMemory(p)
	if err := foldMemory(ctx, conn, m, head, nil, progress); err != nil {
		return Rebuilt{}, err
	}
	// 2. Compare with the live tables, if they are no further behind.
	done := Rebuilt{Rows: make(map[string]int)}
	if done.Compared, done.Same, err = compareLive(ctx, conn, p, m); err != nil {
		return Rebuilt{}, err
	}
	done.Position, done.Digest = m.Position(), m.Digest()
	for _, t := range p.Tables {
		done.Rows[t.Name()] = m.Len(t)
	}
	// 3. Write the new tables beside the live ones.
	next := p.Name + "_next"
	if err := loadMemory(ctx, conn, p, m, next); err != nil {
		return Rebuilt{}, err
	}
	// 4. Catch up with what was appended meanwhile, and swap.
	if err := swap(ctx, conn, p, next, m.Position()); err != nil {
		return Rebuilt{}, err
	}
	return done, dropOld(ctx, conn, p)
}

// compareLive brings m to the position of the live tables, if those are not
// behind, and compares the two.
func compareLive(ctx context.Context, conn *sql.Conn, p *projections.Projection, m *projections.Memory) (compared, same bool, err error) {
	err = snapshot(ctx, conn, p, func(tx *sql.Tx, position int64, version int) error {
		if position < m.Position() || version != p.Version {
			return nil
		}
		if err := foldMemory(ctx, tx, m, position, nil, nil); err != nil {
			return err
		}
		compared = true
		digest, err := liveDigest(ctx, tx, p)
		same = digest == m.Digest()
		return err
	})
	return compared, same, err
}

// snapshot runs f in a transaction that sees the live tables as they are at one
// position.
func snapshot(ctx context.Context, conn *sql.Conn, p *projections.Projection, f func(tx *sql.Tx, position int64, version int) error) error {
	return inTx(ctx, conn, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(tx *sql.Tx) error {
		var position int64
		var version int
		err := tx.QueryRowContext(ctx, `SELECT c.position, p.version FROM cursor c, projection p WHERE c.follower = $1 AND p.name = $2`, Follower(p), p.Name).
			Scan(&position, &version)
		if errors.Is(err, sql.ErrNoRows) {
			return noTables(p.Name)
		}
		if err != nil {
			return err
		}
		return f(tx, position, version)
	})
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

// loadMemory writes the tables of m into a schema of their own.
func loadMemory(ctx context.Context, conn *sql.Conn, p *projections.Projection, m *projections.Memory, schema string) error {
	return inTx(ctx, conn, nil, func(tx *sql.Tx) error {
		// What an interrupted rebuild left behind is nobody's answer.
		if err := dropSchema(ctx, tx, p.Name+"_old"); err != nil {
			return err
		}
		if err := createSchema(ctx, tx, schema, p); err != nil {
			return err
		}
		for _, t := range p.Tables {
			if err := copyIn(ctx, tx, schema, t, m.Rows(t)); err != nil {
				return fmt.Errorf("load %s: %w", t.Name(), err)
			}
			if err := indexTable(ctx, tx, schema, t); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `ANALYZE `+relation(schema, t)); err != nil {
				return err
			}
		}
		return nil
	})
}

// swapLag is how many records may be left to fold when the swap begins: few
// enough that the live tables stand still for a moment only.
const swapLag = 1000

// How long a swap keeps readers waiting while somebody reads the old tables,
// and how long it lets them through before it tries again.
const (
	swapPatience = 50 * time.Millisecond
	swapPause    = 500 * time.Millisecond
)

// swap catches the new tables up and puts them in the place of the live ones.
func swap(ctx context.Context, conn *sql.Conn, p *projections.Projection, next string, position int64) error {
	for {
		head, err := Head(ctx, conn)
		if err != nil {
			return err
		}
		if head-position <= swapLag {
			break
		}
		upTo := position + swapLag
		if err := inTx(ctx, conn, nil, func(tx *sql.Tx) error { return apply(ctx, tx, next, p, position, upTo) }); err != nil {
			return err
		}
		position = upTo
	}
	for {
		err := takePlace(ctx, conn, p, next, position)
		if pq.As(err, pqerror.LockNotAvailable) == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(swapPause):
		}
	}
}

// takePlace renames the new tables, which are at a position, to the live ones,
// unless somebody reads those for longer than swapPatience.
func takePlace(ctx context.Context, conn *sql.Conn, p *projections.Projection, next string, position int64) error {
	return inTx(ctx, conn, nil, func(tx *sql.Tx) error {
		// The cursor is the lock: whoever folds live waits for the swap.
		var live int64
		if err := tx.QueryRowContext(ctx, `SELECT position FROM cursor WHERE follower = $1 FOR UPDATE`, Follower(p)).Scan(&live); err != nil {
			return err
		}
		if live > position {
			if err := apply(ctx, tx, next, p, position, live); err != nil {
				return err
			}
			position = live
		}
		// A statement finds its tables first and takes its snapshot then. Without
		// a lock on the old tables, one that began before the swap could see them
		// with the new cursor.
		retire, err := retireTables(ctx, tx, p)
		if err != nil {
			return err
		}
		for _, s := range append(retire,
			`ALTER SCHEMA `+pq.QuoteIdentifier(next)+` RENAME TO `+pq.QuoteIdentifier(p.Name),
		) {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		if err := moveCursor(ctx, tx, p, position); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE projection SET version = $2, stopped_at = NULL, reason = NULL, built_at = now() WHERE name = $1`, p.Name, p.Version)
		return err
	})
}

// dropOld removes the tables that were replaced. It waits for those who still
// read them.
func dropOld(ctx context.Context, conn *sql.Conn, p *projections.Projection) error {
	return inTx(ctx, conn, nil, func(tx *sql.Tx) error {
		return dropSchema(ctx, tx, p.Name+"_old")
	})
}

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

// A Verification says whether live tables are what the log gives.
type Verification struct {
	Position    int64           `json:"position"` // of the live tables
	Digest      string          `json:"digest"`   // of what the log gives
	Live        string          `json:"live"`     // digest of the live tables
	Differences []RowDifference `json:"differences"`
	More        int             `json:"more"` // differences beyond those listed
}

// maxDifferences is how many differing rows are listed.
const maxDifferences = 100

// Verify folds the log again, up to the position of p's live tables, and
// compares the two row by row. Live folding goes on meanwhile.
func (e *Projector) Verify(ctx context.Context, p *projections.Projection, progress Progress) (v Verification, err error) {
	err = e.exclusively(ctx, p, func(conn *sql.Conn) error {
		return snapshot(ctx, conn, p, func(tx *sql.Tx, position int64, version int) error {
			if version != p.Version {
				return domain.Errorf(domain.Refused, "verify "+p.Name, "its tables are of version %d and the code is of version %d", version, p.Version).
					WithHint("Run: daybook projection rebuild " + p.Name)
			}
			m := projections.NewMemory(p)
			if err := foldMemory(ctx, tx, m, position, nil, progress); err != nil {
				return err
			}
			v.Position, v.Digest = position, m.Digest()
			live := projections.NewDigest()
			for _, t := range p.Tables {
				live.Table(t.Name())
				if err := v.compare(t, scanTable(ctx, tx, p.Name, t), m.Rows(t), live); err != nil {
					return err
				}
			}
			v.Live = live.Sum()
			return nil
		})
	})
	return v, err
}

// compare walks the live and the rebuilt rows of one table side by side, both
// in key order, and adds the live ones to the digest.
func (v *Verification) compare(t projections.Table, live iter.Seq2[[]projections.Cell, error], rebuilt iter.Seq[any], digest *projections.Digest) error {
	next, stop := iter.Pull(rebuilt)
	defer stop()
	var want []projections.Cell
	advance := func() {
		want = nil
		if row, ok := next(); ok {
			want = t.Cells(row)
		}
	}
	advance()
	for got, err := range live {
		if err != nil {
			return err
		}
		digest.Row(got)
		for want != nil && projections.CompareKeys(t, want, got) < 0 {
			v.differ(t, nil, want)
			advance()
		}
		if want == nil || projections.CompareKeys(t, want, got) > 0 {
			v.differ(t, got, nil)
			continue
		}
		if !slices.Equal(got, want) {
			v.differ(t, got, want)
		}
		advance()
	}
	for ; want != nil; advance() {
		v.differ(t, nil, want)
	}
	return nil
}

func (v *Verification) differ(t projections.Table, live, rebuilt []projections.Cell) {
	if len(v.Differences) == maxDifferences {
		v.More++
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
	v.Differences = append(v.Differences, d)
}
