package postgres

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// maxDifferences is how many differing rows are listed.
const maxDifferences = 100

// A Verification says whether live tables are what the log gives.
type Verification struct {
	Position    int64           `json:"position"` // of the live tables
	Digest      string          `json:"digest"`   // of what the log gives
	Live        string          `json:"live"`     // digest of the live tables
	Differences []RowDifference `json:"differences"`
	More        int             `json:"more"` // differences beyond those listed
}

// Verify folds the log again, up to the position of p's live tables, and
// compares the two row by row. Live folding goes on meanwhile.
func (e *Projector) Verify(ctx context.Context, p *projections.Projection, progress Progress) (v Verification, err error) {
	list, err := e.foldBeside(ctx, []*projections.Projection{p}, Past{}, progress)
	if err != nil {
		return Verification{}, err
	}
	return list[0].Verification, nil
}

// A Past is a part of the log. The zero Past is all of it that the live tables have.
type Past struct {
	To   int64     // the last position that counts; 0: the one that the live tables are at
	AsOf time.Time // only what had happened by then counts; zero: everything
}

// A Preview says what the tables of a projection would be, and how the live ones
// differ from that.
type Preview struct {
	Projection string         `json:"projection"`
	To         int64          `json:"to"`   // the last record that counts
	Rows       map[string]int `json:"rows"` // by table
	Verification
}

// Preview folds the log as a rebuild does, once for all the projections, and
// compares with their live tables. It changes nothing.
func (e *Projector) Preview(ctx context.Context, list []*projections.Projection, past Past, progress Progress) ([]Preview, error) {
	return e.foldBeside(ctx, list, past, progress)
}

// foldBeside folds part of the log beside the live tables as they are at one moment.
func (e *Projector) foldBeside(ctx context.Context, list []*projections.Projection, past Past, progress Progress) (done []Preview, err error) {
	err = e.exclusively(ctx, list, func(conn *sql.Conn) (err error) {
		release, others, err := e.takeConns(ctx, 1)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
		return snapshot(ctx, conn, func(tx *sql.Tx) error {
			done, err = e.preview(ctx, tx, others[0], list, past, progress)
			return err
		})
	})
	return done, err
}

// preview compares the live tables that tx sees with what the log gives, which is
// read from another connection.
func (e *Projector) preview(ctx context.Context, tx *sql.Tx, log querier, list []*projections.Projection, past Past, progress Progress) ([]Preview, error) {
	folds := pass{progress: progress, size: e.pageSize}
	if !past.AsOf.IsZero() {
		folds.take = func(r *domain.Record) bool { return !r.EffectiveAt().After(past.AsOf) }
	}
	if head, err := Head(ctx, log); err != nil {
		return nil, err
	} else if past.To > head {
		return nil, domain.Errorf(domain.Invalid, "rebuild", "record %d is asked for, and the log ends at %d", past.To, head).
			WithHint("Leave --to out to go as far as the live tables are.")
	}
	reading := new(turns)
	comparisons := make([]*comparison, len(list))
	stops := make([]int64, len(list))
	for i, p := range list {
		live, err := liveState(ctx, tx, p)
		if err != nil {
			return nil, err
		}
		if live.version != p.Version {
			return nil, domain.Errorf(domain.Refused, "verify "+p.Name, "its tables are of version %d and the code is of version %d", live.version, p.Version).
				WithHint("Run: daybook projection rebuild " + p.Name)
		}
		stops[i] = live.position
		if past.To > 0 {
			stops[i] = past.To
		}
		if comparisons[i], err = newComparison(ctx, tx, reading, p, live.position); err != nil {
			return nil, err
		}
		folds.list = append(folds.list, comparisons[i].folding)
	}
	done := make([]Preview, len(list))
	err := folds.stopAt(ctx, log, stops, func(i int) error {
		c := comparisons[i]
		if err := c.finish(ctx, tx); err != nil {
			return err
		}
		done[i] = c.preview(stops[i])
		return nil
	})
	return done, errors.Join(err, folds.failed())
}

// stopAt folds each projection of the pass up to its own position and calls f there.
// Those that cannot be folded are left out.
func (s *pass) stopAt(ctx context.Context, q querier, stops []int64, f func(i int) error) error {
	order := make([]int, len(stops))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(stops[a] - stops[b]) })
	all := s.list
	defer func() { s.list = all }()
	for n, i := range order {
		// Those that have reached their stop stay there.
		s.list = nil
		for _, j := range order[n:] {
			s.list = append(s.list, all[j])
		}
		if err := s.run(ctx, q, stops[i]); err != nil {
			return err
		}
		if all[i].err != nil {
			continue
		}
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// snapshot runs f in a transaction that sees the live tables as they are at one
// moment.
func snapshot(ctx context.Context, conn *sql.Conn, f func(tx *sql.Tx) error) error {
	return inTx(ctx, conn, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(tx *sql.Tx) error {
		if err := maybeIdle(ctx, tx); err != nil {
			return err
		}
		return f(tx)
	})
}

// maybeIdle lets a transaction wait while the log is folded, which may take long. It
// must hold no lock that anybody minds.
func maybeIdle(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = '1h'`)
	return err
}

// A tablesState is where live tables are.
type tablesState struct {
	position int64
	version  int
}

func liveState(ctx context.Context, q querier, p *projections.Projection) (s tablesState, err error) {
	err = q.QueryRowContext(ctx, `SELECT c.position, p.version FROM cursor c, projection p WHERE c.follower = $1 AND p.name = $2`, Follower(p), p.Name).
		Scan(&s.position, &s.version)
	if errors.Is(err, sql.ErrNoRows) {
		return s, noTables(p.Name)
	}
	return s, err
}
