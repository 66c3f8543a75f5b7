// Package checkpointer signs what the log holds and keeps it where whoever rules
// the database does not: in a file of its own, in sinks, with witnesses.
//
// What it keeps true: nothing is signed before it was read again from the columns,
// through a role that can change none of it, and found to go on from what was
// signed last; what was signed is on the disk before it leaves; so no size of an
// epoch ever has two roots. And a log that is not the one that was signed is told
// from one that is, at the start as well as while it runs.
//
// What it cannot tell: what was changed before it was first signed, which is a
// second after it was recorded; what somebody changes who has the database, the
// signing key, the state directory and every sink; and that the database and the
// state directory were taken back together, as long as no sink answers.
package checkpointer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Log is read before it is signed.
type Log interface {
	// End returns the epoch of the log and where the log says it ends.
	End(ctx context.Context) (epoch int64, end *tree.Frontier, err error)

	// Root returns the root that is stored for a size of the log, which is not
	// more than the log has.
	Root(ctx context.Context, size int64) (tree.Hash, error)

	// Ended returns the record that ended an epoch, which is not the last one: the
	// first that opened a later one.
	Ended(ctx context.Context, epoch int64) (domain.LogForked, error)

	// Leaves yields the leaves after a position up to another, in pages, computed
	// from what the leaves commit to and not from what is stored of them.
	Leaves(ctx context.Context, after, upTo int64) iter.Seq2[[]tree.Hash, error]
}

// A Prover keeps what makes proofs quick.
type Prover interface {
	// WriteTiles writes the tiles of the tree of that size that are not there.
	WriteTiles(ctx context.Context, size int64) error

	// Prove returns the proof that the tree of one size is the beginning of that
	// of another; see [tree.ProveConsistency].
	Prove(ctx context.Context, older, newer int64) ([]tree.Hash, error)
}

// A Config says what is signed by whom, and where it goes.
type Config struct {
	Name      string // of the log: what its origins begin with
	Dir       string // of this log alone; where it is kept what was signed last
	Log       Log
	Prover    Prover
	Keys      []Key           // at least one; the first is the one to stay
	Retired   []note.Verifier // of keys that were replaced: what they signed is ours
	Sinks     []NamedSink
	Witnesses []Witness
	Interval  time.Duration // between two checkpoints, at least
	Logger    *slog.Logger

	// Alarm is told when the log is found not to be what was signed or what it says
	// it is, and, with nil, when it is again; nil: nobody is told.
	Alarm func(error)
}

// A Key signs checkpoints and says who did.
type Key struct {
	Signer   note.Signer
	Verifier note.Verifier
}

// A NamedSink is a sink and what it is called in logs and figures.
type NamedSink struct {
	Name string
	Sink
}

// A Checkpointer signs checkpoints of one log.
type Checkpointer struct {
	Config
	signers   []note.Signer
	client    *http.Client
	verifiers []note.Verifier

	mu        sync.Mutex
	sinks     []*place        // beside Config.Sinks
	witnesses []*place        // beside Config.Witnesses
	current   *state          // what was signed last, with the cosignatures there are; nil: nothing is known
	seen      map[string]seen // newest checkpoint that each sink was seen to have
	alarms    [2]error        // by finder

	telling chan struct{} // full while Alarm is told, so that what it is told last is so

	step func(string) error // between the steps, for tests: an error is a crash
}

// seen is a checkpoint and where it was seen.
type seen struct {
	where string
	checkpoint.Signed
}

// New returns a checkpointer. It does nothing by itself.
func New(c Config) (*Checkpointer, error) {
	if len(c.Keys) == 0 {
		return nil, domain.Errorf(domain.Usage, "checkpoint", "there is no key to sign with")
	}
	cp := &Checkpointer{Config: c, client: newClient(), seen: make(map[string]seen), telling: make(chan struct{}, 1), step: func(string) error { return nil }}
	for _, k := range c.Keys {
		cp.signers = append(cp.signers, k.Signer)
		cp.verifiers = append(cp.verifiers, k.Verifier)
	}
	cp.verifiers = append(cp.verifiers, c.Retired...)
	for _, s := range c.Sinks {
		cp.sinks = append(cp.sinks, &place{name: s.Name})
	}
	for _, w := range c.Witnesses {
		cp.witnesses = append(cp.witnesses, &place{name: w.Verifier.Name()})
	}
	return cp, nil
}

// Known is what one place knows.
type Known struct {
	Where  string            // the name of a sink; "" is what was signed last, as it is kept here
	Signed checkpoint.Signed // the newest; a zero Origin: none
	At     time.Time         // when it was signed; zero: not known
	Err    error             // why it is not known
}

// None reports whether the place answered that it has none.
func (k Known) None() bool { return k.Err == nil && k.Signed.Origin == "" }

// Known asks what was signed last here and every sink, all at once.
func (c *Checkpointer) Known(ctx context.Context) []Known {
	list := make([]Known, 1+len(c.Sinks))
	var wg sync.WaitGroup
	for i, s := range c.Sinks {
		wg.Go(func() { list[i+1] = c.ask(ctx, s) })
	}
	if own, err := c.readState(); err != nil {
		list[0].Err = err
	} else if own != nil {
		list[0].Signed, list[0].At = own.Signed, own.at
	}
	wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range list[1:] {
		if k.Err == nil && !k.None() {
			if had, ok := c.seen[k.Where]; !ok || newer(k.Signed, had.Signed) {
				c.seen[k.Where] = seen{k.Where, k.Signed}
			}
			if c.sinks[i].holds == nil { // a later one may be under way
				c.sinks[i].holds, c.sinks[i].size = k.Signed.Note, k.Signed.Size
			}
		}
	}
	return list
}

// ask returns what a sink knows. What is not signed by one of our keys, or is of
// another log, is an error: anybody may have put it there.
func (c *Checkpointer) ask(ctx context.Context, s NamedSink) (k Known) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	k.Where = s.Name
	var text []byte
	if text, k.Err = s.Newest(ctx); k.Err != nil || text == nil {
		return k
	}
	signed, err := checkpoint.Open(text, c.verifiers...)
	if err != nil {
		k.Err = domain.Errorf(domain.CodeOf(err), "sink "+s.Name, "%w", err).
			WithHint("What is kept there was not signed with our keys: find out who wrote it.")
		return k
	}
	if name, _, ok := checkpoint.SplitOrigin(signed.Origin); !ok || name != c.Name {
		k.Err = domain.Errorf(domain.Refused, "sink "+s.Name, "it keeps checkpoints of %s, not of %s", signed.Origin, c.Name).
			WithHint("Give each log a sink of its own.")
		return k
	}
	k.Signed = signed
	return k
}

// Newest returns the newest of what is known, and whether there is any.
func Newest(list []Known) (newest checkpoint.Signed, ok bool) {
	for _, k := range list {
		if k.Signed.Origin != "" && (!ok || newer(k.Signed, newest)) {
			newest, ok = k.Signed, true
		}
	}
	return newest, ok
}

// Check compares the log with what was signed last, as it is kept here and by
// every sink that answers. A log that is not the one that was signed is an error
// with code Differs. What a place that did not answer knows is in the list's
// errors, and said of nothing.
func (c *Checkpointer) Check(ctx context.Context) ([]Known, error) {
	list := c.Known(ctx)
	err := c.compare(ctx, signedOf(list))
	c.alarm(ctx, byComparing, err)
	return list, err
}

func signedOf(list []Known) (all []seen) {
	for _, k := range list {
		if k.Signed.Origin != "" {
			all = append(all, seen{k.Where, k.Signed})
		}
	}
	return all
}

// compare compares the log with checkpoints of it.
func (c *Checkpointer) compare(ctx context.Context, all []seen) error {
	if len(all) == 0 {
		return nil
	}
	epoch, end, err := c.Log.End(ctx)
	if err != nil {
		return err
	}
	// One that many places know is looked up once.
	done := make(map[string]bool)
	for _, s := range all {
		if text := s.Text(); !done[text] {
			done[text] = true
			if err := c.compareOne(ctx, epoch, end, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Checkpointer) compareOne(ctx context.Context, epoch int64, end *tree.Frontier, s seen) error {
	_, at, ok := checkpoint.SplitOrigin(s.Origin)
	switch {
	case !ok:
		return domain.Errorf(domain.Internal, "checkpoint", "the origin %q has no epoch", s.Origin)
	case at > epoch:
		return differs(s, "the log is of epoch %d: it was rolled back to before it was forked", epoch)
	case at < epoch:
		return c.compareEnded(ctx, at, s)
	case s.Size > end.Size():
		return differs(s, "the log ends at record %d: %d records are missing", end.Size(), s.Size-end.Size())
	}
	root := end.Root()
	if s.Size < end.Size() {
		var err error
		if root, err = c.Log.Root(ctx, s.Size); err != nil {
			return err
		}
	}
	if root != s.Root {
		return differs(s, "the log has the root %s at record %d: records up to there were changed", root, s.Size)
	}
	return nil
}

// compareEnded compares a checkpoint of an epoch that was ended with what the
// record that ended it names as the last one: a fork that did not know of a later
// checkpoint hides what that said.
func (c *Checkpointer) compareEnded(ctx context.Context, epoch int64, s seen) error {
	fork, err := c.Log.Ended(ctx, epoch)
	if err != nil {
		return err
	}
	origin, size, root, ok := fork.Lost()
	_, named, _ := checkpoint.SplitOrigin(origin)
	if !ok || named < epoch || named == epoch && (origin != s.Origin || size < s.Size || size == s.Size && root != s.Root.String()) {
		return differs(s, "the record that opened epoch %d names %s of %d records as the last checkpoint before it", fork.Epoch, origin, size)
	}
	return nil
}

// hintFork is what to do about a log that is not the one that was signed.
const hintFork = `Nothing is recorded until this is settled. Bring back the database that was signed (a replica, a newer backup). ` +
	`If this one is all there is, open a new epoch: daybook log fork --reason TEXT --by NAME`

func differs(s seen, format string, args ...any) error {
	where := "kept here"
	if s.where != "" {
		where = "kept by the sink " + s.where
	}
	return domain.Errorf(domain.Differs, "compare the log with its checkpoints",
		"the log is not the one that was signed: the checkpoint %s says %s, %d records, root %s; %w",
		where, s.Origin, s.Size, s.Root, fmt.Errorf(format, args...)).WithHint(hintFork)
}

// A finder is who finds that something is wrong with the log. What one of them
// has found is not settled by the other one finding nothing.
type finder int

const (
	byComparing finder = iota // with checkpoints
	bySigning                 // by reading what is not signed yet
)

// alarm tells of what was found, if it says anything of the log and is news.
func (c *Checkpointer) alarm(ctx context.Context, by finder, err error) {
	if ctx.Err() != nil || err != nil && domain.CodeOf(err) != domain.Differs {
		return
	}
	c.telling <- struct{}{}
	defer func() { <-c.telling }()
	c.mu.Lock()
	before := cmp.Or(c.alarms[byComparing], c.alarms[bySigning])
	c.alarms[by] = err
	after := cmp.Or(c.alarms[byComparing], c.alarms[bySigning])
	c.mu.Unlock()
	if (before == nil) != (after == nil) && c.Alarm != nil {
		c.Alarm(after)
	}
}
