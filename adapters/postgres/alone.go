package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// How often a lock that somebody else holds is asked for, and one that is held
// looked after.
const (
	lockRetry = 5 * time.Second
	lockCheck = time.Second
)

// Alone runs f while nobody else runs anything of this name on this database,
// waiting for its turn as long as it takes. When the connection that holds the turn
// is lost, somebody else may take it; the context that f gets ends within two
// seconds of that. A connection of the pool is taken for as long.
func Alone(ctx context.Context, db *sql.DB, name string, f func(context.Context) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return unreachable(err)
	}
	// Once the turn is over the connection is not one of the pool any more.
	defer func() {
		if late := conn.Close(); !errors.Is(late, sql.ErrConnDone) {
			err = errors.Join(err, late)
		}
	}()
	for {
		var mine bool
		if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtextextended('daybook ' || $1, 0))`, name).Scan(&mine); err != nil {
			return unreachable(err)
		}
		if mine {
			break
		}
		if !pause(ctx, lockRetry) {
			return nil
		}
	}
	// The lock is the session's: a connection that still has it must not go back to
	// the pool.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	held, lost := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for pause(held, lockCheck) {
			check, cancel := context.WithTimeout(held, lockCheck)
			_, err := conn.ExecContext(check, `SELECT`)
			cancel()
			if err != nil {
				lost(unreachable(err))
			}
		}
	}()
	err = f(held)
	cause := context.Cause(held)
	lost(nil)
	<-watched
	if ctx.Err() == nil && cause != nil {
		return errors.Join(err, cause)
	}
	return err
}
