package checkpointer

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// Sign reads what is new in the log, and signs it if it goes on from what was
// signed last. What was signed last, but not with the key that is to stay, is signed
// again. It returns the newest checkpoint, and whether it is a new one; a zero one if
// there is nothing to sign yet. A log that is not what it says it is has code
// Differs. Only one process of a machine signs at a time.
func (c *Checkpointer) Sign(ctx context.Context) (s checkpoint.Signed, signed bool, err error) {
	err = locked(ctx, filepath.Join(c.Dir, lockName), func() error {
		own, err := c.readState()
		if err != nil {
			return err
		}
		epoch, end, err := c.Log.End(ctx)
		if err != nil {
			return err
		}
		from, err := c.start(ctx, own, epoch)
		if err != nil {
			return err
		}
		// An epoch begins with a record, so there is none of an empty log.
		if end.Size() == 0 || own != nil && own.epoch == epoch && own.Size == end.Size() && own.SignedBy(c.Keys[0].Verifier) {
			c.keep(own)
			return nil
		}
		next, err := c.sign(ctx, from, epoch, end)
		if err != nil {
			return err
		}
		signed = true
		c.keep(next)
		return nil
	})
	c.alarm(ctx, bySigning, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.current != nil {
		s = c.current.Signed
	}
	return s, signed, err
}

// start returns the tree from which the log is read on: that which was signed
// last, if it is of this epoch, else the empty one. It fails if the log is not the
// one that was signed.
func (c *Checkpointer) start(ctx context.Context, own *state, epoch int64) (*tree.Frontier, error) {
	if own == nil {
		// It may have been lost. Then the sinks are all that tells what was signed,
		// so that every one of them has to answer.
		list := c.Known(ctx)
		for _, k := range list {
			if k.Err != nil {
				return nil, domain.Errorf(domain.CodeOf(k.Err), "checkpoint", "what was signed last is not kept here, and the sink %s does not tell: %w", k.Where, k.Err).
					WithHint("Nothing is signed until it answers, or is left out of the configuration.")
			}
		}
		if err := c.compare(ctx, signedOf(list)); err != nil {
			return nil, err
		}
		return new(tree.Frontier), nil
	}
	// What is kept here may have been restored along with the log: sinks know better.
	if err := c.compare(ctx, c.lately(own)); err != nil {
		return nil, err
	}
	if own.epoch != epoch {
		return new(tree.Frontier), nil
	}
	return own.frontier.Clone(), nil
}

// sign reads the log from the tree on to its end and signs it there.
func (c *Checkpointer) sign(ctx context.Context, f *tree.Frontier, epoch int64, end *tree.Frontier) (*state, error) {
	if err := c.readOn(ctx, f, epoch, end.Size()); err != nil {
		return nil, err
	}
	if f.Root() != end.Root() {
		return nil, domain.Errorf(domain.Differs, "checkpoint",
			"the log says that it has the root %s at record %d, and its records and deliveries give %s", end.Root(), end.Size(), f.Root()).
			WithHint("Something was changed that was not signed yet. Run: daybook log verify")
	}
	if err := c.Prover.WriteTiles(ctx, end.Size()); err != nil {
		return nil, err
	}
	if err := c.step("read"); err != nil {
		return nil, err
	}
	statement := checkpoint.Checkpoint{Origin: checkpoint.Origin(c.Name, epoch), Size: f.Size(), Root: f.Root()}
	text, err := statement.Sign(c.signers...)
	if err != nil {
		return nil, err
	}
	signed, err := checkpoint.Open(text, c.verifiers...)
	if err != nil {
		return nil, err
	}
	if err := c.step("signed"); err != nil {
		return nil, err
	}
	next := &state{Signed: signed, epoch: epoch, frontier: f, at: time.Now()}
	if err := c.writeState(next); err != nil {
		return nil, err
	}
	return next, c.step("kept")
}

// readOn adds the leaves of the log up to a size to f. On its way it must meet
// every checkpoint of the epoch that a sink is known to have.
func (c *Checkpointer) readOn(ctx context.Context, f *tree.Frontier, epoch, size int64) error {
	origin := checkpoint.Origin(c.Name, epoch)
	c.mu.Lock()
	meet := make(map[int64]seen)
	for _, s := range c.seen {
		if s.Origin == origin {
			meet[s.Size] = s
		}
	}
	c.mu.Unlock()
	if size-f.Size() > longRead {
		c.Logger.LogAttrs(ctx, slog.LevelInfo, "reading the log again before it is signed", slog.Int64("records", size-f.Size()))
	}
	for page, err := range c.Log.Leaves(ctx, f.Size(), size) {
		if err != nil {
			return err
		}
		for _, leaf := range page {
			f.Append(leaf)
			if s, ok := meet[f.Size()]; ok && f.Root() != s.Root {
				return differs(s, "the records and deliveries up to there give %s: they were changed", f.Root())
			}
		}
	}
	if f.Size() != size {
		return domain.Errorf(domain.Differs, "checkpoint", "the log says that it has %d records, and %d can be read", size, f.Size()).
			WithHint("Records are missing. Run: daybook log verify")
	}
	return nil
}

// longRead is how many records take long enough to say so.
const longRead = 100_000

// keep remembers what was signed last. Cosignatures that it has are kept.
func (c *Checkpointer) keep(s *state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s == nil:
		return
	case c.current == nil:
	case c.current.Text() == s.Text() && len(c.current.Note) >= len(s.Note):
		return
	case c.current.Text() != s.Text() && !newer(s.Signed, c.current.Signed):
		return
	}
	c.current = s
}
