package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// driven is what workers have done.
type driven struct {
	items     int
	elapsed   time.Duration
	latencies []time.Duration // one per item, sorted; nil: not known
	cpu       time.Duration   // used by a load generator that has ended since
}

// quantile returns the latency that the fraction q of the items did not exceed.
func (d driven) quantile(q float64) time.Duration {
	if len(d.latencies) == 0 {
		return 0
	}
	return d.latencies[min(int(q*float64(len(d.latencies))), len(d.latencies)-1)]
}

// drive has n workers do one item after the other until d is over, and then
// finish the one in hand.
func drive(ctx context.Context, n int, d time.Duration, work func(worker int) error) (driven, error) {
	var (
		wg        sync.WaitGroup
		latencies = make([][]time.Duration, n)
		errs      = make([]error, n)
		begun     = time.Now()
	)
	for w := range n {
		wg.Go(func() {
			for at := time.Now(); at.Sub(begun) < d && ctx.Err() == nil; {
				if errs[w] = work(w); errs[w] != nil {
					return
				}
				now := time.Now()
				latencies[w] = append(latencies[w], now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	done := driven{elapsed: time.Since(begun), latencies: slices.Concat(latencies...)}
	done.items = len(done.latencies)
	slices.Sort(done.latencies)
	return done, errors.Join(append(errs, ctx.Err())...)
}
