package postgres

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/projections"
)

// A Rebuilt says what the rebuild of one projection gave.
type Rebuilt struct {
	Projection string         `json:"projection"`
	Position   int64          `json:"position"` // the last record in the new tables when they were compared
	Resumed    int64          `json:"resumed"`  // position from which an interrupted rebuild was gone on with; 0: from the start
	Rows       map[string]int `json:"rows"`     // by table
	Digest     string         `json:"digest"`   // of the new tables at Position
	Compared   bool           `json:"compared"` // whether the old tables were at the same position
	Same       bool           `json:"same"`     // if compared: the old tables were the same
}

// Rebuild is [Projector.RebuildAll] of one projection.
func (e *Projector) Rebuild(ctx context.Context, p *projections.Projection, progress Progress) (Rebuilt, error) {
	done, err := e.RebuildAll(ctx, []*projections.Projection{p}, progress)
	if len(done) == 0 {
		return Rebuilt{}, err
	}
	return done[0], err
}

// RebuildAll derives projections from the whole log, which is read once for all of
// them, beside their live tables, and then takes the place of these, each in one
// short transaction. Readers see the old answers until the new ones are complete;
// live folding goes on meanwhile. One that was interrupted goes on where it was.
//
// A record that one of them cannot take keeps that one as it is, and no other: it is
// an error, and what became of the others is returned beside it.
func (e *Projector) RebuildAll(ctx context.Context, list []*projections.Projection, progress Progress) (done []Rebuilt, err error) {
	err = e.exclusively(ctx, list, func(conn *sql.Conn) error {
		for _, p := range list {
			if _, err := isOutdated(ctx, conn, p); err != nil {
				return err
			}
		}
		done, err = e.rebuild(ctx, conn, list, progress)
		return err
	})
	return done, err
}

// Upgrade rebuilds p if its live tables are of another version than the code,
// and reports whether they were. Until then they keep answering as far as they
// have the columns. Of several processes that find them so, one rebuilds.
func (e *Projector) Upgrade(ctx context.Context, p *projections.Projection, progress Progress) (upgraded bool, err error) {
	// Who is up to date need not wait for a verification that is going on.
	if outdated, err := isOutdated(ctx, e.db, p); err != nil || !outdated {
		return false, err
	}
	// All that have to be are upgraded in one pass, by whoever comes first.
	select {
	case e.upgrading <- struct{}{}:
		defer func() { <-e.upgrading }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	var list []*projections.Projection
	for _, other := range e.all {
		outdated, err := isOutdated(ctx, e.db, other)
		if other == p && err != nil {
			return false, err
		}
		if err == nil && outdated {
			list = append(list, other)
		}
	}
	if !slices.Contains(list, p) {
		return false, nil // another has done it meanwhile
	}
	done, err := e.upgrade(ctx, list, progress)
	return slices.ContainsFunc(done, func(r Rebuilt) bool { return r.Projection == p.Name }), err
}

// upgrade rebuilds those of the list that are still outdated once nobody else
// rebuilds them.
func (e *Projector) upgrade(ctx context.Context, list []*projections.Projection, progress Progress) (done []Rebuilt, err error) {
	err = e.exclusively(ctx, list, func(conn *sql.Conn) error {
		var old []*projections.Projection
		for _, p := range list {
			outdated, err := isOutdated(ctx, conn, p)
			if err != nil {
				return err
			}
			if outdated {
				old = append(old, p)
			}
		}
		if len(old) == 0 {
			return nil
		}
		done, err = e.rebuild(ctx, conn, old, progress)
		return err
	})
	return done, err
}

// isOutdated reports whether the live tables of p are of an older version than
// the code, or lost. Those of a newer one are refused: to build them again would
// undo an upgrade that is under way.
func isOutdated(ctx context.Context, q querier, p *projections.Projection) (bool, error) {
	version, err := tablesVersion(ctx, q, p)
	if err != nil {
		return false, err
	}
	if version > p.Version {
		return false, otherVersion(p, version)
	}
	return version < p.Version, nil
}

// A build is one rebuild of some projections under way.
type build struct {
	pass
	list []*staging
	work *sql.Conn // writes, and holds the locks
	log  *sql.Conn // reads the log
	live *sql.Conn // reads the live tables

	loading   loading
	every     time.Duration // how often progress is saved, at most
	now       func() time.Time
	savedAt   time.Time
	savedTook time.Duration
}

// How often progress is saved at most, and how much of the time saving it may take:
// who is interrupted has lost as much of his work.
const (
	saveEvery = 30 * time.Second
	saveShare = 20
)

// rebuild builds the projections, on the connection that holds their locks.
func (e *Projector) rebuild(ctx context.Context, work *sql.Conn, list []*projections.Projection, progress Progress) (done []Rebuilt, err error) {
	release, others, err := e.takeConns(ctx, 2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	b := &build{
		pass: pass{progress: progress, size: e.pageSize}, work: work, log: others[0], live: others[1],
		every: e.saveEvery, now: e.now, savedAt: e.now(),
	}
	if err := b.open(ctx, list); err != nil {
		return nil, err
	}
	if done, err = b.run(ctx); err != nil {
		return nil, interrupted(ctx, err)
	}
	for i, s := range b.list {
		if s.err != nil {
			continue
		}
		if err := b.swap(ctx, s); s.err != nil {
			continue // a record that came meanwhile is one it cannot take
		} else if err != nil {
			return nil, interrupted(ctx, err)
		}
		if err := dropOld(ctx, work, s.Projection()); err != nil {
			return nil, err
		}
		done[i].Projection = s.Projection().Name
	}
	done = slices.DeleteFunc(done, func(r Rebuilt) bool { return r.Projection == "" })
	return done, b.failed()
}

// interrupted returns why ctx ended, if it did: what failed then failed for that.
func interrupted(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// open makes the schemas, or finds those of an interrupted rebuild.
func (b *build) open(ctx context.Context, list []*projections.Projection) error {
	for _, p := range list {
		s := newStaging(p, b.loading.add)
		if err := inTx(ctx, b.work, nil, func(tx *sql.Tx) error { return s.open(ctx, tx) }); err != nil {
			return err
		}
		if s.indexed {
			s.Track()
		}
		b.list = append(b.list, s)
		b.pass.list = append(b.pass.list, s.folding)
	}
	return nil
}

// run folds the log into the new tables, compares them with the live ones, and
// leaves them as far as the log went a moment ago, ready to take their place.
func (b *build) run(ctx context.Context) ([]Rebuilt, error) {
	done := make([]Rebuilt, len(b.list))
	for i, s := range b.list {
		done[i].Resumed = s.at
	}
	// 1. The log as far as the live tables are now, of which only keys and totals stay
	// in memory.
	first, err := b.first(ctx)
	if err != nil {
		return nil, err
	}
	// 2. Where the live tables are by then the two are compared: what those hold is
	// read while the new ones are finished.
	var compared func() error
	err = b.bulk(ctx, func() error {
		if err := b.pass.run(ctx, b.log, first); err != nil {
			return err
		}
		if compared, err = b.compare(ctx, done); err != nil {
			return err
		}
		// 3. What was appended since is written quicker while there are no indexes.
		return b.approach(ctx, 20*swapLag)
	})
	if err == nil {
		err = b.finish(ctx)
	}
	if compared != nil {
		err = errors.Join(err, compared())
	}
	return done, err
}

// first returns how far the log is read before the tables are compared: to its end,
// or to where the live tables are, those left out that are far behind it.
func (b *build) first(ctx context.Context) (int64, error) {
	head, err := Head(ctx, b.log)
	if err != nil {
		return 0, err
	}
	first := head
	for _, s := range b.list {
		live, err := liveState(ctx, b.live, s.Projection())
		if err != nil {
			return 0, err
		}
		if live.version == s.Projection().Version && 2*live.position >= head {
			first = min(first, live.position)
		}
	}
	return first, nil
}

// bulk runs fold, which folds records, while what journals get from them is written.
func (b *build) bulk(ctx context.Context, fold func() error) error {
	b.loading.start(ctx, b.work)
	b.pause = func(_ int64, settle func()) error {
		if err := b.loading.failed(); err != nil {
			return err
		}
		if since := b.now().Sub(b.savedAt); since < b.every || since < saveShare*b.savedTook {
			return nil
		}
		settle()
		if err := b.save(ctx); err != nil {
			return err
		}
		b.loading.start(ctx, b.work)
		return nil
	}
	err := fold()
	b.pause = nil
	if err != nil {
		return errors.Join(err, b.loading.abandon())
	}
	return b.save(ctx)
}

// save commits what was written, with the rest and how far it goes.
func (b *build) save(ctx context.Context) error {
	begun := b.now()
	err := b.loading.end(ctx, func(tx *sql.Tx) error {
		for _, s := range b.list {
			if s.err != nil {
				continue
			}
			if err := s.save(ctx, b.work, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range b.list {
		s.saved()
	}
	b.savedAt = b.now()
	b.savedTook = b.savedAt.Sub(begun)
	return nil
}

// finish indexes the new tables and brings them so near to the end of the log that
// the live tables stand still for a moment only when they are swapped.
func (b *build) finish(ctx context.Context) error {
	for _, s := range b.list {
		if s.err != nil || s.indexed {
			continue
		}
		if err := inTx(ctx, b.work, nil, func(tx *sql.Tx) error { return s.index(ctx, tx) }); err != nil {
			return err
		}
		s.indexed = true
		s.Track()
	}
	return b.bulk(ctx, func() error { return b.approach(ctx, swapLag) })
}

// approach folds to where the log ends, and again until no more than so many
// records were appended meanwhile.
func (b *build) approach(ctx context.Context, lag int64) error {
	for last := int64(0); ; {
		head, err := Head(ctx, b.log)
		if err != nil || last > 0 && head-last <= lag {
			return err
		}
		if err := b.pass.run(ctx, b.log, head); err != nil {
			return err
		}
		last = head
	}
}
