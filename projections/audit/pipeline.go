package audit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A where is the log at a position.
type where struct {
	origin string
	root   tree.Hash
}

// Bundle audits a bundle, and answers the questions from the balances that come
// out. What is wrong with the bundle is in the report; an error is that it cannot
// be read, or that ctx is done.
func Bundle(ctx context.Context, r io.Reader, o Options) (*Report, []Answer, error) {
	a := &auditor{Options: o, roots: make(map[int64]*where)}
	a.report = Report{Result: domain.OK, Checkpoints: []Checkpoint{}, Projections: []Projection{}}
	err := a.run(ctx, r)
	if damage, ok := errors.AsType[*bundle.FormError](err); ok {
		next := int64(0)
		if a.log.frontier != nil {
			next = a.position()
		}
		err = a.stop(Finding{Position: next, Where: fmt.Sprintf("%s at byte %d", damage.Member, damage.Offset), Reason: damage.Err.Error()})
	}
	if err != nil && !errors.Is(err, errStop) {
		return nil, nil, err
	}
	if a.log.frontier != nil {
		a.report.Checked = a.position() - 1
		root := a.log.frontier.Root()
		a.report.Root = base64.StdEncoding.EncodeToString(root[:])
	}
	if err != nil {
		return &a.report, nil, nil
	}
	a.conclude()
	answers, err := a.answer(ctx)
	return &a.report, answers, err
}

// A job is a part of the bundle on its way from the reader, by way of who parses
// it, to the auditor, in order.
type job struct {
	part   bundle.Part
	parsed *parsed
	ready  chan struct{} // closed once parsed is set
	err    error         // of the reader; io.EOF: it is done
}

// run reads the bundle, has its segments parsed on all cores and checks them in
// order. The goroutines have ended when it returns.
func (a *auditor) run(ctx context.Context, r io.Reader) error {
	reader, err := bundle.NewReader(r)
	if err != nil {
		return err
	}
	a.meta = reader.Meta()
	a.report.Origin, a.report.From, a.report.To = a.meta.Origin, a.meta.From, a.meta.To
	a.log.epoch = a.meta.Epoch
	if a.log.frontier, err = a.meta.Before(); err != nil {
		return err // NewReader has checked it
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	workers := max(a.Workers, 1)
	ordered, work := make(chan *job, 2*workers), make(chan *job, 2*workers)
	wg.Go(func() {
		defer close(ordered)
		defer close(work)
		readParts(ctx, reader, ordered, work)
	})
	for range workers {
		wg.Go(func() {
			for j := range work {
				j.parsed = parse(j.part.(bundle.Segment))
				close(j.ready)
			}
		})
	}
	begun := false
	for j := range ordered {
		if err := a.take(ctx, j, &begun); err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			return a.end(reader.End())
		}
	}
	return context.Cause(ctx)
}

// readParts reads the bundle to its end, or to what is wrong with it.
func readParts(ctx context.Context, reader *bundle.Reader, ordered, work chan<- *job) {
	for {
		j := &job{ready: make(chan struct{})}
		j.part, j.err = reader.Next()
		if _, ok := j.part.(bundle.Segment); ok {
			select {
			case work <- j:
			case <-ctx.Done():
				return
			}
		}
		select {
		case ordered <- j:
		case <-ctx.Done():
			return
		}
		if j.err != nil {
			return
		}
	}
}

// take checks one part. It returns io.EOF behind the last one.
func (a *auditor) take(ctx context.Context, j *job, begun *bool) error {
	switch part := j.part.(type) {
	case bundle.Checkpoint:
		return a.checkpoint(fmt.Sprintf("checkpoints/%06d.txt", len(a.notes)+1), part)
	case bundle.Certificate:
		return a.certificate(fmt.Sprintf("certificates/%06d.txt", len(a.claims)+1), part)
	}
	if !*begun && (j.err == nil || errors.Is(j.err, io.EOF)) {
		*begun = true
		if err := a.held(); err != nil {
			return err
		}
		if err := a.begin(); err != nil {
			return err
		}
	}
	if j.err != nil {
		return j.err
	}
	switch part := j.part.(type) {
	case bundle.Segment:
		select {
		case <-j.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := a.segment(j.parsed); err != nil {
			return err
		}
		if a.Progress != nil {
			a.Progress(a.position()-a.meta.From, a.meta.To-a.meta.From+1)
		}
	case bundle.Bodies:
		return a.bodies(part)
	}
	return nil
}

// held reads the checkpoints that the auditor holds himself.
func (a *auditor) held() error {
	names := slices.Sorted(keysOf(a.Checkpoints))
	for _, name := range names {
		if err := a.checkpoint(name, a.Checkpoints[name]); err != nil {
			return err
		}
	}
	return nil
}

// keysOf yields the keys of all the maps, each once.
func keysOf[V any](list ...map[string]V) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]bool)
		for _, m := range list {
			for k := range m {
				if !seen[k] && !yield(k) {
					return
				}
				seen[k] = true
			}
		}
	}
}
