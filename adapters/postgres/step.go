package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// stepsAtOnce is how many steps are taken before their personal texts are opened.
const stepsAtOnce = 200

// Steps yields what the records from one position to another do to the tables of
// p, one by one, starting with what everything before them gave: by the fold that
// makes the live tables, but in memory, which are not looked at. Records of kinds
// that p does not fold are left out. The step of a record that p cannot take is
// the last one. It needs memory for all rows of p but those of its journals.
func (e *Projector) Steps(ctx context.Context, p *projections.Projection, from, to int64, progress Progress) iter.Seq2[projections.Step, error] {
	return func(yield func(projections.Step, error) bool) {
		fail := func(err error) { yield(projections.Step{}, err) }
		before, err := stateAt(ctx, e.db, from-1)
		if err != nil {
			fail(err)
			return
		}
		m, err := e.fold(ctx, past{projection: p, known: before}, progress)
		if stop, ok := errors.AsType[*projections.FoldError](err); ok {
			err = domain.Errorf(domain.Differs, "step", "the projection cannot take record %d, so nothing comes after it: %w", stop.Position, stop.Err).
				WithHint(fmt.Sprintf("Run: daybook projection step %s --from %d", p.Name, stop.Position))
		}
		if err != nil {
			fail(err)
			return
		}
		stepper := projections.NewStepper(m.Clone())
		var steps []projections.Step
		flush := func() bool {
			if err := projections.OpenSteps(ctx, e.Opener, steps); err != nil {
				fail(err)
				return false
			}
			for _, s := range steps {
				if !yield(s, nil) || s.Err != nil {
					return false
				}
			}
			steps = steps[:0]
			return true
		}
		for page, err := range recordsOf(ctx, e.db, from-1, to, p.Kinds) {
			if err != nil {
				fail(err)
				return
			}
			decode(page, p.Folds)
			for _, r := range page {
				if !p.Folds(r.Kind) && domain.IsKind(r.Kind) {
					continue
				}
				steps = append(steps, stepper.Step(r))
				if len(steps) == stepsAtOnce || steps[len(steps)-1].Err != nil {
					if !flush() {
						return
					}
				}
			}
		}
		flush()
	}
}
