package postgres

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/daybook-ledger/daybook/projections"
)

// swapLag is how many records may be left to fold when the swap begins: few
// enough that the live tables stand still for a moment only.
const swapLag = 1000

// How long a swap keeps readers waiting while somebody reads the old tables,
// and how long it lets them through before it tries again.
const (
	swapPatience = 50 * time.Millisecond
	swapPause    = 500 * time.Millisecond
)

// swap puts the new tables in the place of the live ones.
func (b *build) swap(ctx context.Context, s *staging) error {
	// From here on rows wait until the transaction that they belong to is there.
	s.load = nil
	for {
		// Whoever reads the old tables, of this projection or of the one that was swapped
		// before it, may do so for long.
		if err := b.follow(ctx, s); err != nil {
			return err
		}
		err := b.takePlace(ctx, s)
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

// follow brings the new tables near to the end of the log again.
func (b *build) follow(ctx context.Context, s *staging) error {
	for {
		head, err := Head(ctx, b.log)
		if err != nil || head-s.at <= swapLag {
			return err
		}
		if err := b.foldOne(ctx, s, min(head, s.at+20*swapLag)); err != nil {
			return err
		}
		if err := inTx(ctx, b.work, nil, func(tx *sql.Tx) error { return s.save(ctx, b.work, tx) }); err != nil {
			return err
		}
		s.saved()
	}
}

// foldOne folds one projection up to a position.
func (b *build) foldOne(ctx context.Context, s *staging, upTo int64) error {
	one := pass{list: []*folding{s.folding}, size: b.size}
	if err := one.run(ctx, b.log, upTo); err != nil {
		return err
	}
	return one.failed()
}

// takePlace renames the new tables to the live ones, unless somebody reads those for
// longer than swapPatience.
func (b *build) takePlace(ctx context.Context, s *staging) error {
	p := s.Projection()
	return inTx(ctx, b.work, nil, func(tx *sql.Tx) error {
		// The cursor is the lock: whoever folds live waits for the swap.
		var live int64
		if err := tx.QueryRowContext(ctx, `SELECT position FROM cursor WHERE follower = $1 FOR UPDATE`, Follower(p)).Scan(&live); err != nil {
			return err
		}
		if err := b.foldOne(ctx, s, max(live, s.at)); err != nil {
			return err
		}
		if err := s.save(ctx, b.work, tx); err != nil {
			return err
		}
		// A statement finds its tables first and takes its snapshot then. Without
		// a lock on the old tables, one that began before the swap could see them
		// with the new cursor.
		retire, err := retireTables(ctx, tx, p)
		if err != nil {
			return err
		}
		statements := append([]string{`DROP TABLE ` + s.mark()}, retire...)
		for _, statement := range append(statements, `ALTER SCHEMA `+pq.QuoteIdentifier(s.schema)+` RENAME TO `+pq.QuoteIdentifier(p.Name)) {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		if err := moveCursor(ctx, tx, p, s.at); err != nil {
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
