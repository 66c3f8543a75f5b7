package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A Projector keeps the tables of projections: each in a schema of the
// projection's name, changed together with its cursor.
//
// Live tables, first start, catch-up, rebuild and verify all fold the same pages
// of the log with the same fold; they differ only in where the rows are.
type Projector struct {
	// Opener opens personal texts in answers. Nil: there are no keys, and answers
	// show [projections.Unopened] instead.
	Opener projections.Opener

	db  *sql.DB
	all []*projections.Projection
	now func() time.Time

	long      chan struct{} // holds one for every long question being answered
	pasts     pasts
	several   chan struct{} // holds one while somebody works with several connections
	upgrading chan struct{} // holds one while somebody upgrades
	pageSize  int           // records in a page
	saveEvery time.Duration // how often a rebuild saves its progress at most
}

// NewProjector returns a projector over db, which must be a pool for the role
// [RoleProjector].
func NewProjector(db *sql.DB, all []*projections.Projection) *Projector {
	return &Projector{
		db: db, all: all, now: time.Now, long: make(chan struct{}, longQuestions),
		several: make(chan struct{}, 1), upgrading: make(chan struct{}, 1), pageSize: pageSize, saveEvery: saveEvery,
	}
}

// Follower returns the name of a projection's cursor.
func Follower(p *projections.Projection) string { return "projection/" + p.Name }

// A Progress is told how far work on a projection has come.
type Progress func(done, total int64)

// Setup makes the tables of the projections that have none. Those of another
// version than the code are left as they are: see [Projector.Upgrade].
func (e *Projector) Setup(ctx context.Context) error {
	for _, p := range e.all {
		if err := e.setup(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (e *Projector) setup(ctx context.Context, p *projections.Projection) error {
	return inTx(ctx, e.db, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtext($1))`, "setup "+p.Name); err != nil {
			return err
		}
		var version int
		err := tx.QueryRowContext(ctx, `SELECT version FROM projection WHERE name = $1`, p.Name).Scan(&version)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return create(ctx, tx, p)
		case err != nil || version != p.Version:
			return err
		}
		// A dump may have been restored without what can be derived again.
		whole, err := isWhole(ctx, tx, p)
		if err != nil || whole {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE projection SET version = 0 WHERE name = $1 AND version = $2`, p.Name, p.Version)
		return err
	})
}

// Apply folds the records after one position up to another into the live tables
// of p, in the caller's transaction, which must hold p's cursor at after and
// move it to upTo.
func (e *Projector) Apply(ctx context.Context, tx *sql.Tx, p *projections.Projection, after, upTo int64) error {
	// The cursor is held, so nobody swaps the tables now.
	if err := checkVersion(ctx, tx, p); err != nil {
		return err
	}
	return apply(ctx, tx, p.Name, p, after, upTo)
}

// lockCursor takes p's cursor, which is the lock on its live tables, and returns
// its position. It refuses tables of another version than the code.
func lockCursor(ctx context.Context, tx *sql.Tx, p *projections.Projection) (position int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT position FROM cursor WHERE follower = $1 FOR UPDATE`, Follower(p)).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noTables(p.Name)
	}
	if err != nil {
		return 0, err
	}
	// A statement of its own: one that waits for a lock sees only the locked row
	// as it is then, and everything else as it was.
	return position, checkVersion(ctx, tx, p)
}

// apply folds records into the tables of a schema. They are read and written
// set-based: one look-up per table and try, one write per table.
//
// What the tables refuse, because somebody changed them, stops the projection as
// a record that it cannot take does: it would be refused for ever.
func apply(ctx context.Context, tx *sql.Tx, schema string, p *projections.Projection, after, upTo int64) error {
	err := applyPages(ctx, tx, schema, p, after, upTo)
	if e, ok := errors.AsType[*pq.Error](err); ok && slices.Contains([]pqerror.Class{"22", "23", "42"}, e.Code.Class()) {
		return &projections.FoldError{Projection: p.Name, Position: after + 1, Err: fmt.Errorf("its tables refuse it: %w", err)}
	}
	return err
}

func applyPages(ctx context.Context, tx *sql.Tx, schema string, p *projections.Projection, after, upTo int64) error {
	// The look-ups are by key; a table that was never analysed must not be
	// scanned for them.
	if _, err := tx.ExecContext(ctx, `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`); err != nil {
		return err
	}
	for page, err := range recordsOf(ctx, tx, after, upTo, p.Kinds) {
		if err != nil {
			return err
		}
		decode(page, p.Folds)
		b := projections.NewBatch(p)
		for {
			missing, err := b.Fold(page)
			if err != nil {
				return err
			}
			if len(missing) == 0 {
				break
			}
			if err := load(ctx, tx, schema, p, b, missing); err != nil {
				return err
			}
		}
		for _, c := range b.Changes() {
			if err := write(ctx, tx, schema, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// catchUpBatch is how many records are folded in one transaction at most.
const catchUpBatch = 10_000

// CatchUp folds what p has not seen yet into its live tables and returns the
// position it reached. Calling it again is cheap; stopping it at any moment is
// safe. A record that p cannot take stops p just before it: see [Projector.Stopped].
func (e *Projector) CatchUp(ctx context.Context, p *projections.Projection, progress Progress) (int64, error) {
	for {
		var position, head int64
		err := inTx(ctx, e.db, nil, func(tx *sql.Tx) (err error) {
			position, head, err = e.step(ctx, tx, p)
			return err
		})
		var fold *projections.FoldError
		if errors.As(err, &fold) {
			return fold.Position - 1, e.stop(ctx, p, fold)
		}
		if err != nil {
			return position, err
		}
		if progress != nil {
			progress(position, head)
		}
		if position >= head {
			return position, nil
		}
	}
}

// step folds the next records and moves the cursor.
func (e *Projector) step(ctx context.Context, tx *sql.Tx, p *projections.Projection) (position, head int64, err error) {
	if position, err = lockCursor(ctx, tx, p); err != nil {
		return position, 0, err
	}
	if head, err = Head(ctx, tx); err != nil {
		return position, 0, err
	}
	upTo := min(position+catchUpBatch, head)
	if upTo == position {
		return position, head, nil
	}
	if err := apply(ctx, tx, p.Name, p, position, upTo); err != nil {
		return position, head, err
	}
	return upTo, head, moveCursor(ctx, tx, p, upTo)
}

func moveCursor(ctx context.Context, tx *sql.Tx, p *projections.Projection, position int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE cursor SET position = $2, updated_at = now() WHERE follower = $1`, Follower(p), position)
	return err
}

// stop brings p to just before the record it cannot take, notes why, and
// returns an error that says what to do.
func (e *Projector) stop(ctx context.Context, p *projections.Projection, fold *projections.FoldError) error {
	err := inTx(ctx, e.db, nil, func(tx *sql.Tx) error {
		position, err := lockCursor(ctx, tx, p)
		if err != nil {
			return err
		}
		if position < fold.Position-1 {
			if err := apply(ctx, tx, p.Name, p, position, fold.Position-1); err != nil {
				return err
			}
			if err := moveCursor(ctx, tx, p, fold.Position-1); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE projection SET stopped_at = $2, reason = $3 WHERE name = $1`, p.Name, fold.Position, fold.Err.Error())
		return err
	})
	if earlier, ok := errors.AsType[*projections.FoldError](err); ok && earlier.Position < fold.Position {
		return e.stop(ctx, p, earlier) // the tables refuse what comes before it
	}
	if err != nil {
		return err
	}
	return domain.Errorf(domain.Differs, "projection "+p.Name, "stopped before record %d: %w", fold.Position, fold.Err).
		WithHint("The other projections go on. Upgrade daybook or correct the fact, then run: daybook projection rebuild " + p.Name)
}

// Stop notes that p cannot take a record, as CatchUp does. If err is not about
// a record, it is returned as it is.
func (e *Projector) Stop(ctx context.Context, p *projections.Projection, err error) error {
	var fold *projections.FoldError
	if errors.As(err, &fold) {
		return e.stop(ctx, p, fold)
	}
	return err
}

// Stopped reports whether p is stopped before a record that it cannot take.
func (e *Projector) Stopped(ctx context.Context, p *projections.Projection) (stopped bool, err error) {
	err = e.db.QueryRowContext(ctx, `SELECT stopped_at IS NOT NULL FROM projection WHERE name = $1`, p.Name).Scan(&stopped)
	return stopped, unreachable(err)
}

// Resume forgets that p was stopped, so that it is tried again.
func (e *Projector) Resume(ctx context.Context, p *projections.Projection) error {
	return inTx(ctx, e.db, nil, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE projection SET stopped_at = NULL, reason = NULL WHERE name = $1 AND stopped_at IS NOT NULL`, p.Name)
		return err
	})
}

// A ProjectionStatus is how one projection is doing.
type ProjectionStatus struct {
	Name      string
	Version   int // of its live tables
	Code      int // of the code
	Position  int64
	Head      int64
	StoppedAt int64 // 0: it runs
	Reason    string
	UpdatedAt time.Time
}

// Lag returns how many records the projection has yet to see.
func (s ProjectionStatus) Lag() int64 { return s.Head - s.Position }

// List returns how the projections are doing, in the order given to
// [NewProjector].
func (e *Projector) List(ctx context.Context) ([]ProjectionStatus, error) {
	list := make([]ProjectionStatus, len(e.all))
	for i, p := range e.all {
		s := ProjectionStatus{Name: p.Name, Code: p.Version}
		var stopped sql.NullInt64
		var reason sql.NullString
		err := e.db.QueryRowContext(ctx, `SELECT p.version, p.stopped_at, p.reason, c.position, c.updated_at, h.position
			FROM projection p, cursor c, head h WHERE p.name = $1 AND c.follower = $2`, p.Name, Follower(p)).
			Scan(&s.Version, &stopped, &reason, &s.Position, &s.UpdatedAt, &s.Head)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, unreachable(err)
		}
		s.StoppedAt, s.Reason = stopped.Int64, reason.String
		list[i] = s
	}
	return list, nil
}

// busy says that somebody else works on the same projection.
func busy(p *projections.Projection) error {
	return domain.Errorf(domain.Unavailable, "projection "+p.Name, "it is being rebuilt or verified already").
		WithHint("Wait for the other command to end.")
}

// exclusively runs f while no other process rebuilds or verifies one of the
// projections. The locks belong to the connection that f is given for all its work.
func (e *Projector) exclusively(ctx context.Context, list []*projections.Projection, f func(*sql.Conn) error) (err error) {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return unreachable(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, p := range list {
		var locked bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtext($1))`, "rebuild "+p.Name).Scan(&locked); err != nil {
			return unreachable(err)
		}
		if !locked {
			return busy(p)
		}
		defer func() {
			_, unlock := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext($1))`, "rebuild "+p.Name)
			err = errors.Join(err, unlock)
		}()
	}
	return f(conn)
}

// takeConns takes n connections beside the one that exclusively gave, and returns
// what gives them back. Who works with several at a time works alone: else some
// could each have one, and wait for ever for another.
func (e *Projector) takeConns(ctx context.Context, n int) (release func() error, conns []*sql.Conn, err error) {
	select {
	case e.several <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	release = func() (err error) {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		<-e.several
		return err
	}
	for range n {
		c, err := e.db.Conn(ctx)
		if err != nil {
			return nil, nil, errors.Join(unreachable(err), release())
		}
		conns = append(conns, c)
	}
	return release, conns, nil
}
