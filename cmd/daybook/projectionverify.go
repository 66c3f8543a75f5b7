package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

func projectionVerifyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify [NAME…]",
		Short: "Fold the log again and compare with the live tables",
		Long: `Folds the log again up to where the live tables are and compares the two row by
row, while everything else goes on. Without a name it verifies all of them.

It says of each OK, FAIL (with every row that differs) or INCOMPLETE (what cannot be
compared, such as tables that wait for a rebuild, and what to do), and exits with
status 3 unless all are OK. Whether the log itself was changed is what "daybook log
verify" says.`,
		Example:           "  daybook projection verify\n  daybook projection verify credits --json",
		ValidArgsFunction: completeProjections,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eachProjection(cmd.Context(), args, a.projectionVerify)
		},
	}
}

// A verifiedProjection is what verifying one projection gave, as JSON.
type verifiedProjection struct {
	Projection string         `json:"projection"`
	Result     domain.Verdict `json:"result"`
	Reason     string         `json:"reason,omitempty"` // unless it is OK
	Hint       string         `json:"hint,omitempty"`   // what to do about it
	postgres.Verification
}

// projectionVerify says of one projection whether it is what the log gives. Its
// error has code Differs unless nothing could be said of any projection.
func (a *app) projectionVerify(ctx context.Context, projector *postgres.Projector, p *projections.Projection) error {
	progress := a.progress("verify " + p.Name)
	started := time.Now()
	v, err := projector.Verify(ctx, p, progress.update)
	progress.end()
	done := verifiedProjection{Projection: p.Name, Verification: v}
	if err := done.judge(err); err != nil {
		return err
	}
	if err := done.checkStopped(ctx, projector); err != nil {
		return err
	}
	if a.output == "json" || a.output == "ndjson" {
		if err := a.writeJSON(done); err != nil {
			return err
		}
	} else {
		done.write(a, time.Since(started))
	}
	if done.Result == domain.OK {
		return nil
	}
	return domain.Errorf(domain.Differs, "verify "+p.Name, "%s: %s", done.Result, done.Reason).WithHint(done.Hint)
}

// judge sets the verdict that follows from what was compared, or from why it was
// not. What says nothing about the projection it returns as it is.
func (d *verifiedProjection) judge(err error) error {
	switch domain.CodeOf(err) {
	case "":
		d.Result = domain.OK
		if d.Digest != d.Live {
			d.Result = domain.Fail
			d.Reason = fmt.Sprintf("%d rows of the live tables are not what the log gives", len(d.Differences)+d.More)
			d.Hint = "Somebody changed the tables, or the log. Find out which (daybook log verify) before you run: daybook projection rebuild " + d.Projection
		}
		return nil
	case domain.Refused, domain.NotFound, domain.Unavailable:
		// Its tables are of another version, not there, or being rebuilt: they
		// cannot be compared now, and those of the others can.
		d.Result = domain.Incomplete
	case domain.Differs:
		// The log gives no tables: a record is missing, or cannot be read.
		d.Result = domain.Fail
	default:
		return err
	}
	d.Reason, d.Hint = err.Error(), domain.HintOf(err)
	return nil
}

// checkStopped says so if the tables, right as far as they go, go no further.
func (d *verifiedProjection) checkStopped(ctx context.Context, projector *postgres.Projector) error {
	list, err := projector.List(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Name == d.Projection && s.StoppedAt > 0 && d.Result == domain.OK {
			d.Result = domain.Incomplete
			d.Reason = fmt.Sprintf("right up to %d, and stopped before record %d: %s", d.Position, s.StoppedAt, s.Reason)
			d.Hint = "Upgrade daybook or correct the fact, then run: daybook projection rebuild " + d.Projection
		}
	}
	return nil
}

// write says for people what was found.
func (d *verifiedProjection) write(a *app, spent time.Duration) {
	switch {
	case d.Result == domain.OK:
		fmt.Fprintf(a.stdout, "%s: OK · %d records in %s · %s\n", d.Projection, d.Position, spent.Round(time.Millisecond), d.Digest)
	case len(d.Differences) == 0:
		fmt.Fprintf(a.stdout, "%s: %s · %s\n", d.Projection, d.Result, printable(d.Reason))
	default:
		fmt.Fprintf(a.stdout, "%s: FAIL · at %d · live %s · the log gives %s\n", d.Projection, d.Position, d.Live, d.Digest)
		for _, diff := range d.Differences {
			fmt.Fprintf(a.stdout, "  %s\n", printable(diff.String()))
		}
		if d.More > 0 {
			fmt.Fprintf(a.stdout, "  and %d more\n", d.More)
		}
	}
}
