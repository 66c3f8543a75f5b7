package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
)

// channel is what the appender notifies.
const channel = "daybook_log"

// A Wake tells any number of followers that something was appended, by
// PostgreSQL's LISTEN and NOTIFY over one connection. It reconnects by itself;
// what it missed meanwhile it makes up for by waking everybody.
type Wake struct {
	listener *pq.Listener
	done     chan struct{}

	mu       sync.Mutex
	sleepers map[chan struct{}]struct{}
}

// Listen begins to listen to the database at dsn, until ctx ends. It fails if
// the database cannot be reached now.
func Listen(ctx context.Context, dsn string) (*Wake, error) {
	if _, err := pq.NewConnector(dsn); err != nil {
		// The error would quote the password.
		return nil, domain.Errorf(domain.Usage, "listen", "the database URL cannot be read").
			WithHint("Set DATABASE_URL to a URL such as postgres://user:password@host/database.")
	}
	refused := make(chan error, 1)
	w := &Wake{done: make(chan struct{}), sleepers: make(map[chan struct{}]struct{})}
	w.listener = pq.NewListener(dsn, 100*time.Millisecond, 3*time.Second, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventConnectionAttemptFailed {
			select {
			case refused <- err:
			default: // one is enough: it is asked for at the start only
			}
		}
	})
	listening := make(chan error, 1)
	go func() { listening <- w.listener.Listen(channel) }()
	var err error
	select {
	case err = <-listening:
	case err = <-refused:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(unreachable(err), w.close())
	}
	go w.run(ctx)
	return w, nil
}

// run wakes everybody at each notification, and at each reconnection.
func (w *Wake) run(ctx context.Context) {
	defer close(w.done)
	for {
		select {
		case <-w.listener.Notify: // nil after a reconnection
			w.all()
		case <-ctx.Done():
			_ = w.close() // fails only if closed before
			return
		}
	}
}

// close ends the listener and waits until its goroutine has ended.
func (w *Wake) close() error {
	err := w.listener.Close()
	for range w.listener.Notify { // it may wait for somebody to take one
	}
	return err
}

// Done returns a channel that is closed when the context has ended and the
// connection is closed. From then on nobody is woken.
func (w *Wake) Done() <-chan struct{} { return w.done }

// Channel returns a channel that receives after something was appended, once
// for any number of records. Forget must be called when it is no longer needed.
func (w *Wake) Channel() (wake <-chan struct{}, forget func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sleepers[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.sleepers, c)
	}
}

func (w *Wake) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.sleepers {
		select {
		case c <- struct{}{}:
		default: // it has not even looked after the last one
		}
	}
}
