package bus

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	wsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/daybook-ledger/daybook/domain"
)

// A tx is the transaction in which messages are read, handled and
// acknowledged. Watermill commits it also when it has given up on a message:
// after the deadline, or when the subscriber is closed. What that message's
// handler wrote must not be committed then, as the message comes again; so a tx
// knows how far handlers have got, and commits only what is acknowledged.
type tx struct {
	*sql.Tx
	begun    time.Time
	end      func(t *tx, committed bool) // told once, when it is over
	messages map[string]sent             // by UUID; not changed once the first is sent
	last     int64                       // position up to which it was read

	mu      sync.Mutex
	closed  bool  // it is about to end: nothing may be handled or undone any more
	saved   int64 // position of the message that the savepoint is before; 0: there is no savepoint
	written int64 // position of the message whose effects may follow the savepoint; 0: there are none
	acked   int64 // new position of the cursor; 0: it stays
	started bool  // the cursor was created
	broken  bool  // its connection failed: nothing in it can be committed
}

// sent is what a message stands for.
type sent struct {
	position int64          // the last one
	record   *domain.Record // nil: a range
}

// ExecContext runs a statement and takes note of those that concern the cursor.
func (t *tx) ExecContext(ctx context.Context, query string, args ...any) (wsql.Result, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch query {
	case startSQL:
		t.started = true
	case ackSQL:
		if t.broken {
			return nil, errOver
		}
		// A savepoint undone from here on would take the new cursor with it.
		t.closed = true
		t.acked, _ = args[1].(int64)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

// QueryContext runs a query.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (wsql.Rows, error) {
	r, err := t.Tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return &rows{r, t}, nil
}

// Commit commits what was acknowledged. It rolls everything back if a handler
// is at work still or has written what was not acknowledged.
func (t *tx) Commit() error {
	t.mu.Lock()
	t.closed = true
	torn := t.written > t.acked
	idle := t.acked == 0 && !t.started
	t.mu.Unlock()
	switch {
	case torn:
		err := t.Rollback()
		return errors.Join(domain.Errorf(domain.Unavailable, "acknowledge", "a handler did not finish in time; the messages of its transaction come again"), err)
	case idle:
		return t.Rollback() // cheaper: it is not waited for until it is on disk
	}
	err := t.Tx.Commit()
	t.end(t, err == nil)
	return err
}

// Rollback undoes everything.
func (t *tx) Rollback() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	err := t.Tx.Rollback()
	t.end(t, false)
	return err
}

// errOver is what a handler gets that is too late.
var errOver = domain.Errorf(domain.Unavailable, "handle message", "its transaction is over; the message comes again")

// enter sets a savepoint before the message at a position is handled. If the
// message was handled before and refused afterwards, its effects are undone.
func (t *tx) enter(ctx context.Context, position int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errOver
	}
	// The savepoint before a message is kept until the next message, so that
	// one round trip is enough.
	statement := "RELEASE SAVEPOINT message; SAVEPOINT message"
	switch t.saved {
	case 0:
		statement = "SAVEPOINT message"
	case position:
		statement = "ROLLBACK TO SAVEPOINT message"
	}
	if _, err := t.Tx.ExecContext(ctx, statement); err != nil {
		t.broken = true
		return err
	}
	t.saved, t.written = position, position
	return nil
}

// undo undoes what the handler did since the savepoint.
func (t *tx) undo(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errOver // and rolled back, because of what is written
	}
	if _, err := t.Tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT message"); err != nil {
		t.broken = true
		return err
	}
	t.written = 0
	return nil
}

// unlessBroken returns err unless the connection failed. A message refused then
// would be sent again in the same transaction until the deadline; one that is
// answered has Watermill acknowledge it, which is refused, and so end the
// transaction. The message comes again in the next one.
func (t *tx) unlessBroken(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken {
		return nil
	}
	return err
}

// rows are rows that say when they were cut short. Watermill does not ask for
// the error that ended them, so they pretend to have one more, which cannot be
// read.
type rows struct {
	*sql.Rows
	tx *tx
}

// Next reports whether there is a row or an error to read.
func (r *rows) Next() bool { return r.Rows.Next() || r.Err() != nil }

// Scan reads a row, or the error.
func (r *rows) Scan(dest ...any) error {
	if err := r.Err(); err != nil {
		return err
	}
	return r.Rows.Scan(dest...)
}

type savepointKey struct{}

// Savepoint is a middleware that undoes what a handler wrote in [Tx] when the
// handler fails or panics: refusing a message alone does not, as it is sent
// again in the same transaction. It belongs around the handler itself, inside
// middlewares such as Retry. A message that is not from a [Subscriber] passes
// through it unchanged.
func Savepoint(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) (out []*message.Message, err error) {
		before := msg.Context()
		t, ok := received(before)
		if !ok {
			return h(msg)
		}
		m, ok := t.messages[msg.UUID]
		if !ok {
			return nil, domain.Errorf(domain.Internal, "handle message", "message %q is not one of its transaction", msg.UUID)
		}
		ctx := context.WithoutCancel(before) // the deadline must not keep it from being undone
		if err := t.enter(ctx, m.position); err != nil {
			return nil, t.unlessBroken(err)
		}
		failed := true // if it panics
		defer func() {
			msg.SetContext(before)
			if failed {
				if err = t.unlessBroken(errors.Join(err, t.undo(ctx))); err == nil {
					out = nil // it comes again, and then makes them again
				}
			}
		}()
		msg.SetContext(context.WithValue(before, savepointKey{}, t.Tx))
		out, err = h(msg)
		failed = err != nil
		return out, err
	}
}

// Tx returns the transaction that a handler shares with its follower's cursor:
// what it writes there is committed if and only if the message is acknowledged.
// There is one only inside [Savepoint]. The handler must not end it, nor use it
// after it has returned.
func Tx(ctx context.Context) (*sql.Tx, bool) {
	t, ok := ctx.Value(savepointKey{}).(*sql.Tx)
	return t, ok
}

// wsqlTx returns the transaction that Watermill has put into the context, or nil.
func wsqlTx(ctx context.Context) wsql.Tx {
	t, _ := wsql.TxFromContext(ctx)
	return t
}
