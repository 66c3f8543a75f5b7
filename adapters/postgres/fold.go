package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A folding is one of the projections for which the log is read once.
type folding struct {
	*projections.Memory
	at  int64 // position of the last record seen, folded or not
	err error // it cannot take the record after at; it is left out from there on
}

func newFolding(p *projections.Projection) *folding {
	return &folding{Memory: projections.NewMemory(p)}
}

// fold folds the records of a page that f has not seen.
func (f *folding) fold(page []*domain.Record, take func(*domain.Record) bool) {
	for _, r := range page {
		if f.err != nil || r.Position <= f.at {
			continue
		}
		if take == nil || take(r) {
			if f.err = f.Fold(r); f.err != nil {
				return
			}
		}
		f.at = r.Position
	}
}

// A pass reads the log once for several projections.
type pass struct {
	list     []*folding
	take     func(*domain.Record) bool // records it refuses count for nobody; nil: all count
	progress Progress                  // nil: nobody wants to know
	size     int                       // records in a page

	// pause is asked after every page whether something has to be done at its end;
	// settle waits until all projections are there. Nil: nothing has.
	pause func(position int64, settle func()) error
}

// foldings returns those that go on.
func (s *pass) foldings() (on []*folding) {
	for _, f := range s.list {
		if f.err == nil {
			on = append(on, f)
		}
	}
	return on
}

// run folds the records up to a position, each projection for itself beside the
// others. A record that one cannot take stops that one alone; see [folding]. Until
// it returns nobody else may use q.
func (s *pass) run(ctx context.Context, q querier, upTo int64) error {
	list := s.foldings()
	if len(list) == 0 {
		return nil
	}
	after := upTo
	all := make([]*projections.Projection, len(list))
	for i, f := range list {
		all[i], after = f.Projection(), min(after, f.at)
	}
	var workers, working sync.WaitGroup
	queues := make([]chan []*domain.Record, len(list))
	for i, f := range list {
		queues[i] = make(chan []*domain.Record, 2)
		workers.Go(func() {
			for page := range queues[i] {
				f.fold(page, s.take)
				working.Done()
			}
		})
	}
	defer workers.Wait()
	defer func() {
		for _, queue := range queues {
			close(queue)
		}
	}()
	for page, err := range decoded(ctx, q, all, after, upTo, s.size) {
		if err != nil {
			return err
		}
		for _, queue := range queues {
			working.Add(1)
			queue <- page // somebody is always there to take it
		}
		position := page[len(page)-1].Position
		if s.progress != nil {
			s.progress(position, upTo)
		}
		if s.pause == nil {
			continue
		}
		if err := s.pause(position, working.Wait); err != nil {
			return err
		}
	}
	return nil
}

// failed returns what kept projections from being folded to the end, each with
// what to do about it.
func (s *pass) failed() error {
	var errs []error
	for _, f := range s.list {
		if f.err != nil {
			errs = append(errs, cannotTake(f.err))
		}
	}
	return errors.Join(errs...)
}

// cannotTake says that a record cannot be folded.
func cannotTake(err error) error {
	return domain.Errorf(domain.Differs, "fold", "%w", err).
		WithHint("Upgrade daybook, or correct the fact by a new one.")
}
