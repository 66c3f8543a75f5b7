package postgres

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// A loading writes rows beside the folding that makes them, over one connection and
// in one transaction, which it begins with the first of them.
type loading struct {
	queue chan lines
	done  sync.WaitGroup
	conn  *sql.Conn
	tx    *sql.Tx

	mu  sync.Mutex
	err error
}

// start begins to take rows. What end does not follow is rolled back.
func (l *loading) start(ctx context.Context, conn *sql.Conn) {
	l.conn, l.tx, l.err, l.queue = conn, nil, nil, make(chan lines, 4)
	l.done.Go(func() {
		for rows := range l.queue {
			// After an error the rows are still taken, so that nobody waits for ever.
			if l.failed() != nil {
				continue
			}
			if err := l.write(ctx, rows); err != nil {
				l.mu.Lock()
				l.err = err
				l.mu.Unlock()
			}
		}
	})
}

// add takes rows to be written.
func (l *loading) add(rows lines) { l.queue <- rows }

func (l *loading) write(ctx context.Context, rows lines) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	return copyText(ctx, l.conn, rows.statement, rows.text)
}

func (l *loading) begin(ctx context.Context) (err error) {
	if l.tx != nil {
		return nil
	}
	if l.tx, err = l.conn.BeginTx(ctx, nil); err != nil {
		return unreachable(err)
	}
	// Rows may be few and far between.
	return maybeIdle(ctx, l.tx)
}

// failed returns what went wrong so far.
func (l *loading) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// end writes what is left, runs f in the same transaction, and commits it. Nobody
// may add rows any more.
func (l *loading) end(ctx context.Context, f func(tx *sql.Tx) error) error {
	err := l.stop()
	if err == nil {
		err = l.begin(ctx)
	}
	if err == nil {
		err = f(l.tx)
	}
	if err != nil {
		return errors.Join(err, l.rollback())
	}
	return unreachable(l.tx.Commit())
}

// abandon forgets what was written, unless that was ended already.
func (l *loading) abandon() error {
	if l.queue == nil {
		return nil
	}
	return errors.Join(l.stop(), l.rollback())
}

// stop waits until what was handed over is written.
func (l *loading) stop() error {
	close(l.queue)
	l.done.Wait()
	l.queue = nil
	return l.err
}

func (l *loading) rollback() error {
	if l.tx == nil {
		return nil
	}
	return rollback(l.tx)
}
