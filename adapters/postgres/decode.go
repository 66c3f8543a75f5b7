package postgres

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// atOnce is how many records one statement reads when nothing else is asked of the
// connection meanwhile.
const atOnce = 1 << 16

// decode decodes the events of records that somebody folds. What cannot be decoded
// is left to [projections.Projection.Apply], which says so.
func decode(records []*domain.Record, folds func(domain.Kind) bool) {
	for _, r := range records {
		if !r.Test && folds(r.Kind) {
			_ = r.Decode()
		}
	}
}

// A job is one page that is read, then parsed and decoded, then taken in its turn.
type job struct {
	page
	done chan decodedPage // holds one
}

type decodedPage struct {
	records []*domain.Record
	err     error
}

// decoded yields the records after one position up to another in pages, decoded
// once for all the projections that fold them, on all cores, while the caller works
// on the pages before. Until it ends nobody else may use q.
func decoded(ctx context.Context, q querier, list []*projections.Projection, after, upTo int64, size int) iter.Seq2[[]*domain.Record, error] {
	folded := make(map[domain.Kind]bool)
	for _, k := range domain.Kinds() {
		for _, p := range list {
			folded[k] = folded[k] || p.Folds(k)
		}
	}
	return func(yield func([]*domain.Record, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		workers := runtime.GOMAXPROCS(0)
		todo, turns := make(chan job), make(chan job, 2*workers)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel(nil)
		for range workers {
			wg.Go(func() {
				names := make(names)
				for j := range todo {
					records, err := j.parse(names)
					decode(records, func(k domain.Kind) bool { return folded[k] })
					j.done <- decodedPage{records, err}
				}
			})
		}
		wg.Go(func() {
			defer close(turns)
			defer close(todo)
			if err := readAll(ctx, q, list, after, upTo, size, todo, turns); err != nil {
				cancel(err)
			}
		})
		for j := range turns {
			select {
			case page := <-j.done:
				if !yield(page.records, page.err) || page.err != nil {
					return
				}
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
		}
		if ctx.Err() != nil { // pages may be missing
			yield(nil, context.Cause(ctx))
		}
	}
}

// readAll hands out the pages, each to whoever decodes it and to whoever waits for
// its turn.
func readAll(ctx context.Context, q querier, list []*projections.Projection, after, upTo int64, size int, todo, turns chan<- job) error {
	kinds := kindsOf(list)
	for after < upTo {
		for p, err := range readPages(ctx, q, after, min(after+atOnce, upTo), size, kinds) {
			if err != nil {
				return err
			}
			j := job{p, make(chan decodedPage, 1)}
			for _, to := range []chan<- job{turns, todo} {
				select {
				case to <- j:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			after += int64(p.n)
		}
	}
	return nil
}

// kindsOf returns the kinds that any of the projections folds, nil for all.
func kindsOf(list []*projections.Projection) []domain.Kind {
	var kinds []domain.Kind
	for _, p := range list {
		if p.Kinds == nil {
			return nil
		}
		kinds = append(kinds, p.Kinds...)
	}
	return kinds
}
