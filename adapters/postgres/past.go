package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A past is what the tables of a projection were as of a moment, by what was known
// at a position. It never changes.
type past struct {
	projection *projections.Projection
	journal    string // the only journal whose rows are kept; "": none
	known      state
	asOf       time.Time // zero: everything known had happened
	memory     *projections.Memory
}

// oneJournal is a [projections.Store] that keeps the rows of one journal only.
type oneJournal struct {
	*projections.Memory
	name string
}

// Append implements [projections.Store].
func (s oneJournal) Append(t projections.Table, row any) {
	if t.Name() == s.name {
		s.Memory.Append(t, row)
	}
}

// longQuestions is how many questions are answered at a time that need memory for
// all rows of a projection, or two connections.
const longQuestions = 2

// takeLong waits until a long question may be answered.
func (e *Projector) takeLong(ctx context.Context) (release func(), err error) {
	select {
	case e.long <- struct{}{}:
		return func() { <-e.long }, nil
	case <-ctx.Done():
		return nil, domain.Errorf(domain.Unavailable, "view", "too many questions that take long are being answered: %w", context.Cause(ctx)).
			WithHint("Try again, or ask about now and for fewer rows.")
	}
}

// askPast answers a question from the records up to a position that had happened
// by the moment asked for.
func (e *Projector) askPast(ctx context.Context, p *projections.Projection, q question) (projections.Page, error) {
	wanted := past{projection: p, known: q.known}
	if !q.everything() {
		wanted.asOf = q.AsOf
	}
	if q.view.Table.IsJournal() {
		wanted.journal = q.view.Table.Name()
	}
	m, err := e.fold(ctx, wanted, nil)
	if err != nil {
		return projections.Page{}, err
	}
	return q.view.Ask(ctx, m, e.Opener, q.Query, 0)
}

// fold returns the tables of the past that is wanted, which nobody may change. It
// goes on from the nearest past that is remembered.
func (e *Projector) fold(ctx context.Context, wanted past, progress Progress) (*projections.Memory, error) {
	if near, err := e.nearest(ctx, wanted); err != nil || near.is(wanted) {
		return near.memory, err
	}
	release, err := e.takeLong(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	// Somebody may have asked the same while we waited.
	near, err := e.nearest(ctx, wanted)
	if err != nil || near.is(wanted) {
		return near.memory, err
	}
	wanted.memory = projections.NewMemory(wanted.projection)
	if near.memory != nil {
		wanted.memory = near.memory.Clone()
	}
	if err := wanted.goOn(ctx, e.db, near.known.position, progress); err != nil {
		return nil, err
	}
	e.pasts.keep(wanted)
	return wanted.memory, nil
}

// nearest returns the nearest past that is remembered, the zero one if none is. A
// log that was restored from a backup may have gone on otherwise since: what is
// remembered of another log is forgotten.
func (e *Projector) nearest(ctx context.Context, wanted past) (past, error) {
	near := e.pasts.nearest(wanted)
	if near.memory == nil {
		return past{}, nil
	}
	root := wanted.known.root
	if near.known.position != wanted.known.position {
		now, err := stateAt(ctx, e.db, near.known.position)
		if err != nil {
			return past{}, err
		}
		root = now.root
	}
	if root != near.known.root {
		e.pasts.forget()
		return past{}, nil
	}
	return near, nil
}

// is reports whether a past is all of the wanted one that leads to it.
func (p past) is(wanted past) bool {
	return p.memory != nil && p.known.position == wanted.known.position
}

// goOn folds the records after a position into the tables.
func (p past) goOn(ctx context.Context, q querier, after int64, progress Progress) error {
	store := oneJournal{p.memory, p.journal}
	for page, err := range decoded(ctx, q, []*projections.Projection{p.projection}, after, p.known.position, pageSize) {
		if err != nil {
			return err
		}
		for _, r := range page {
			if !p.asOf.IsZero() && r.EffectiveAt().After(p.asOf) {
				continue
			}
			if err := p.projection.Apply(store, r); err != nil {
				return domain.Errorf(domain.Differs, "fold", "%w", err).
					WithHint("Upgrade daybook, or correct the fact by a new one.")
			}
		}
		if progress != nil {
			progress(page[len(page)-1].Position, p.known.position)
		}
	}
	return nil
}

// What is remembered of the past, at most.
const (
	maxPasts    = 8
	maxPastRows = 200_000
)

// pasts are the pasts that were asked about last. None is ever out of date.
type pasts struct {
	mu   sync.Mutex
	kept []past // the last one used comes last
}

// nearest returns the past that a wanted one is a continuation of, with as much of
// it as is remembered: the zero one if nothing is.
func (c *pasts) nearest(wanted past) (near past) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := -1
	for i, p := range c.kept {
		if p.leadsTo(wanted) && p.known.position >= near.known.position {
			at, near = i, p
		}
	}
	if at >= 0 {
		c.kept = append(slices.Delete(c.kept, at, at+1), near)
	}
	return near
}

// leadsTo reports whether a past becomes the wanted one by folding on. Everything
// that was known early enough had also happened by a later moment.
func (p past) leadsTo(wanted past) bool {
	return p.projection.Name == wanted.projection.Name && p.projection.Version == wanted.projection.Version &&
		p.journal == wanted.journal && p.known.position <= wanted.known.position &&
		(p.asOf.Equal(wanted.asOf) || p.asOf.IsZero() && !wanted.asOf.Before(p.known.recordedAt))
}

// keep remembers a past, and forgets those that were not asked about for longest.
func (c *pasts) keep(p past) {
	if p.rows() > maxPastRows {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = append(c.kept, p)
	rows := 0
	for i, p := range slices.Backward(c.kept) {
		if rows += p.rows(); rows > maxPastRows || len(c.kept)-i > maxPasts {
			c.kept = slices.Delete(c.kept, 0, i+1)
			return
		}
	}
}

// forget forgets all pasts.
func (c *pasts) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
}

// rows returns how many rows a past has.
func (p past) rows() (n int) {
	for _, t := range p.projection.Tables {
		n += p.memory.Len(t)
	}
	return n
}
