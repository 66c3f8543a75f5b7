package checkpointer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// Waits after a failure of a place: the first, and the longest.
const (
	firstWait   = time.Second
	longestWait = time.Minute
)

// A place is a sink or a witness as it is dealt with. It is guarded by the
// checkpointer's mutex.
type place struct {
	name     string
	holds    []byte        // what it was given last
	size     int64         // of the last checkpoint that it took; of a witness also what it says it has
	failures int64         // since the start
	err      error         // why the last try failed; nil: it did not
	wait     time.Duration // after the next failure
	next     time.Time     // not to be tried before
}

// A Status says how a checkpointer is doing.
type Status struct {
	Signed    checkpoint.Signed // the newest; a zero Origin: none yet
	At        time.Time         // when it was signed
	Sinks     []PlaceStatus
	Witnesses []PlaceStatus
	Alarm     error // the log is not the one that was signed
}

// A PlaceStatus says how a sink or a witness is doing.
type PlaceStatus struct {
	Name     string
	Size     int64 // of the last checkpoint that it took from here; 0: none
	Failures int64 // since the start
	Err      error // why the last try failed
}

// Status returns how it is doing.
func (c *Checkpointer) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Alarm: cmp.Or(c.alarms[byComparing], c.alarms[bySigning])}
	if c.current != nil {
		s.Signed, s.At = c.current.Signed, c.current.at
	}
	of := func(places []*place) (list []PlaceStatus) {
		for _, p := range places {
			list = append(list, PlaceStatus{p.name, p.size, p.failures, p.err})
		}
		return list
	}
	s.Sinks, s.Witnesses = of(c.sinks), of(c.witnesses)
	return s
}

// Alarmed returns why the log is not the one that was signed; nil: it is, as far
// as is known.
func (c *Checkpointer) Alarmed() error { return c.Status().Alarm }

// Publish has the witnesses cosign the newest checkpoint and gives it to the
// sinks. Those that failed lately are left alone for a time. It returns when to
// come back for those that failed; zero: there is nothing left to do.
func (c *Checkpointer) Publish(ctx context.Context) (again time.Time) {
	c.mu.Lock()
	s := c.current
	c.mu.Unlock()
	if s == nil {
		return time.Time{}
	}
	if c.cosign(ctx, s.Signed) {
		c.mu.Lock()
		s = c.current
		c.mu.Unlock()
		if err := c.rewriteState(ctx, s); err != nil {
			c.Logger.LogAttrs(ctx, slog.LevelWarn, "cosignatures not kept", slog.Any("error", err))
		}
	}
	var wg sync.WaitGroup
	for i, sink := range c.Sinks {
		p := c.sinks[i]
		if !c.due(p, func() bool { return bytes.Equal(p.holds, s.Note) }) {
			continue
		}
		wg.Go(func() {
			err := c.step("publish")
			if err == nil {
				err = c.put(ctx, sink, s.Signed)
			}
			c.settle(ctx, p, "sink", err, func() { p.holds, p.size = s.Note, s.Size })
		})
	}
	wg.Wait()
	return c.earliest()
}

func (c *Checkpointer) put(ctx context.Context, sink NamedSink, s checkpoint.Signed) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return sink.Put(ctx, s)
}

// due reports whether a place is to be tried now: it is not done and not left
// alone for having failed.
func (c *Checkpointer) due(p *place, done func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !done() && !time.Now().Before(p.next)
}

// settle notes how a try went, and tells what is new about it.
func (c *Checkpointer) settle(ctx context.Context, p *place, what string, err error, took func()) {
	if ctx.Err() != nil && err != nil {
		return
	}
	c.mu.Lock()
	before := p.err
	p.err = err
	if err == nil {
		p.wait, p.next = 0, time.Time{}
		took()
	} else {
		p.failures++
		p.wait = min(max(2*p.wait, firstWait), longestWait)
		p.next = time.Now().Add(p.wait)
	}
	c.mu.Unlock()
	switch {
	case err == nil && before != nil:
		c.Logger.LogAttrs(ctx, slog.LevelInfo, what+" takes checkpoints again", slog.String(what, p.name)) //nolint:sloglint // a sink or a witness
	case err == nil:
	case before == nil || before.Error() != err.Error():
		level := slog.LevelWarn
		if code := domain.CodeOf(err); code == domain.Differs || code == domain.Refused {
			level = slog.LevelError
		}
		c.Logger.LogAttrs(ctx, level, what+" did not take a checkpoint", slog.String(what, p.name), //nolint:sloglint // as above
			slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
	}
}

// earliest returns when the first of those that failed is to be tried again.
func (c *Checkpointer) earliest() (at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range [][]*place{c.sinks, c.witnesses} {
		for _, p := range list {
			if p.err != nil && (at.IsZero() || p.next.Before(at)) {
				at = p.next
			}
		}
	}
	return at
}

// rewriteState keeps what witnesses added to the newest checkpoint, unless there
// is a newer one by now.
func (c *Checkpointer) rewriteState(ctx context.Context, s *state) error {
	return locked(ctx, filepath.Join(c.Dir, lockName), func() error {
		own, err := c.readState()
		if err != nil || own == nil || own.Text() != s.Text() {
			return err
		}
		return c.writeState(s)
	})
}

// Failed returns what went wrong at the last try of every sink and witness,
// joined; nil if nothing did.
func (s Status) Failed() error {
	var errs []error
	for _, list := range [][]PlaceStatus{s.Sinks, s.Witnesses} {
		for _, p := range list {
			if p.Err != nil {
				errs = append(errs, domain.Errorf(domain.CodeOf(p.Err), p.Name, "%w", p.Err).WithHint(domain.HintOf(p.Err)))
			}
		}
	}
	return errors.Join(errs...)
}
