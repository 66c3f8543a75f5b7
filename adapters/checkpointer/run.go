package checkpointer

import (
	"context"
	"log/slog"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// How often, at least, the log is compared and the sinks are asked while nothing
// is appended.
const lookEvery = time.Minute

// Run signs and publishes whenever something was appended, as wake tells, until ctx
// is done: at most once in an interval, and not at all while nothing is. What fails
// is told and tried again.
func (c *Checkpointer) Run(ctx context.Context, wake <-chan struct{}) error {
	said, wait := "", time.Duration(0)
	for {
		_, _, err := c.Sign(ctx)
		again := time.Now().Add(lookEvery)
		if err != nil && ctx.Err() == nil {
			if said != err.Error() {
				said = err.Error()
				c.Logger.LogAttrs(ctx, slog.LevelError, "nothing is signed", slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
			}
			wait = min(max(2*wait, firstWait), longestWait/2)
			again = time.Now().Add(wait)
		} else {
			said, wait = "", 0
		}
		if next := c.Publish(ctx); !next.IsZero() && next.Before(again) {
			again = next
		}
		if !c.rest(ctx, wake, again) {
			return nil
		}
	}
}

// Watch compares the log with what is known to have been signed whenever something
// was appended, and asks the sinks every minute, until ctx is done. It is for every
// process that serves; Run is for one of them.
func (c *Checkpointer) Watch(ctx context.Context, wake <-chan struct{}) error {
	asked := time.Now() // by Check, at the start
	for {
		if !c.rest(ctx, wake, time.Now().Add(lookEvery)) {
			return nil
		}
		if time.Since(asked) >= lookEvery {
			asked = time.Now()
			_, err := c.Check(ctx)
			c.tell(ctx, err)
		} else {
			c.tell(ctx, c.look(ctx))
		}
	}
}

// look compares the log with what was signed last and what sinks were last seen to
// have, without asking them.
func (c *Checkpointer) look(ctx context.Context) error {
	own, err := c.readState()
	if err != nil {
		return err
	}
	c.keep(own) // another process may sign
	err = c.compare(ctx, c.lately(own))
	c.alarm(ctx, byComparing, err)
	return err
}

// lately returns what was signed last, nil if nothing was, and what sinks were last
// seen to have.
func (c *Checkpointer) lately(own *state) (all []seen) {
	if own != nil {
		all = append(all, seen{Signed: own.Signed})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.seen {
		all = append(all, s)
	}
	return all
}

// tell tells of trouble that is no alarm.
func (c *Checkpointer) tell(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && domain.CodeOf(err) != domain.Differs {
		c.Logger.LogAttrs(ctx, slog.LevelWarn, "the log is not compared with its checkpoints", slog.Any("error", err))
	}
}

// rest waits for the interval, and then until something was appended or the time
// has come. It reports whether ctx is still good.
func (c *Checkpointer) rest(ctx context.Context, wake <-chan struct{}, until time.Time) bool {
	if !pause(ctx, c.Interval) {
		return false
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-wake:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
