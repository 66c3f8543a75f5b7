package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// rebuildFlags say what a rebuild is to do.
type rebuildFlags struct {
	dryRun, diff bool
	to           int64
	asOf         string
}

func projectionRebuildCommand(a *app) *cobra.Command {
	var f rebuildFlags
	cmd := &cobra.Command{
		Use:   "rebuild [NAME…]",
		Short: "Derive projections again, beside the live ones, and swap",
		Long: `Reads the whole log once, folds it into new tables of all the projections named, or
of all there are, and puts them in the place of the live ones, each in one short
transaction. Readers wait 50 ms at the most and never see a gap; whatever is appended
meanwhile is in the new tables too. The live tables are compared with the new ones.

Progress is saved: after an interruption the same command goes on where it was,
unless the projection's version or the log became another.

--dry-run changes nothing. It folds as far as the live tables are, or --to a
position, or without what had not happened --as-of a date, and says how many rows
differ; --diff lists them.`,
		Example: `  daybook projection rebuild
  daybook projection rebuild credits sales
  daybook projection rebuild credits --dry-run --diff
  daybook projection rebuild --dry-run --to 184220 --json
  daybook projection rebuild sales --dry-run --diff --as-of 2026-03-31`,
		ValidArgsFunction: completeProjections,
		RunE: func(cmd *cobra.Command, args []string) error {
			past, err := f.past(cmd)
			if err != nil {
				return err
			}
			list, err := projectionsNamed(args)
			if err != nil {
				return err
			}
			return a.withProjector(cmd.Context(), func(projector *postgres.Projector) error {
				if f.dryRun {
					return a.rebuildPreview(cmd.Context(), projector, list, past, f.diff)
				}
				return a.rebuild(cmd.Context(), projector, list)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "fold and compare, and leave the live tables as they are")
	flags.BoolVar(&f.diff, "diff", false, "with --dry-run: list the rows that would change")
	flags.Int64Var(&f.to, "to", 0, "with --dry-run: the last position that counts (default: that of the live tables)")
	flags.StringVar(&f.asOf, "as-of", "", "with --dry-run: by when it happened: a date (to its end, UTC) or an RFC 3339 time")
	return cmd
}

// past returns which part of the log the flags ask for.
func (f rebuildFlags) past(cmd *cobra.Command) (past postgres.Past, err error) {
	if !f.dryRun {
		for _, name := range []string{"diff", "to", "as-of"} {
			if cmd.Flags().Changed(name) {
				return past, domain.Errorf(domain.Usage, "", "--%s goes with --dry-run", name).
					WithHint("Live tables are always what the whole log gives. Add --dry-run to see what another part of it gives.")
			}
		}
	}
	if cmd.Flags().Changed("to") && f.to < 1 {
		return past, domain.Errorf(domain.Usage, "", "--to is %d, and the first position is 1", f.to).WithHint("Run: daybook projection list")
	}
	past.To = f.to
	if f.asOf == "" {
		return past, nil
	}
	if past.AsOf, err = projections.ParseMoment(f.asOf); err != nil {
		return past, domain.Errorf(domain.Usage, "", "--as-of is %q, not a date or a time", f.asOf).
			WithHint("Write 2026-03-31 (to the end of that day, UTC) or 2026-03-31T12:00:00Z.")
	}
	return past, nil
}

// projectionsNamed returns the projections of the given names, all if there are
// none. Each is there once.
func projectionsNamed(names []string) ([]*projections.Projection, error) {
	if len(names) == 0 {
		return allProjections(), nil
	}
	var list []*projections.Projection
	for _, name := range names {
		p, err := projectionNamed(name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(o *projections.Projection) bool { return o.Name == p.Name }) {
			list = append(list, p)
		}
	}
	return list, nil
}

// How much memory a command may have that folds the whole log: the garbage of
// folding is let lie until it comes near this.
const (
	foldMemory    = 900 << 20
	foldGCPercent = 400
)

// folding has the program collect garbage as suits folding, and shows progress.
func (a *app) folding(what string, list []*projections.Projection) *progress {
	debug.SetGCPercent(foldGCPercent)
	debug.SetMemoryLimit(foldMemory)
	if len(list) == 1 {
		what += " " + list[0].Name
	}
	return a.progress(what)
}

// rebuild rebuilds projections in one pass. One that cannot take a record does not
// keep the others from being rebuilt.
func (a *app) rebuild(ctx context.Context, projector *postgres.Projector, list []*projections.Projection) error {
	progress := a.folding("rebuild", list)
	started := time.Now()
	all, err := projector.RebuildAll(ctx, list, progress.update)
	progress.end()
	for _, done := range all {
		if a.output == "json" || a.output == "ndjson" {
			err = errors.Join(err, a.writeJSON(done))
			continue
		}
		said := []string{fmt.Sprintf("%s: rebuilt from %d records in %s", done.Projection, done.Position, time.Since(started).Round(time.Millisecond)), done.Digest}
		if done.Resumed > 0 {
			said[0] += fmt.Sprintf(", gone on with after %d", done.Resumed)
		}
		switch {
		case done.Compared && done.Same:
			said = append(said, "identical to the live tables")
		case done.Compared:
			said = append(said, "the live tables differed and were replaced")
		default:
			said = append(said, "the live tables were behind it: not compared")
		}
		fmt.Fprintln(a.stdout, strings.Join(said, " · "))
	}
	return err
}

// rebuildPreview says what a rebuild would change.
func (a *app) rebuildPreview(ctx context.Context, projector *postgres.Projector, list []*projections.Projection, past postgres.Past, diff bool) error {
	progress := a.folding("dry run", list)
	started := time.Now()
	all, err := projector.Preview(ctx, list, past, progress.update)
	progress.end()
	if err != nil {
		return err
	}
	for _, p := range all {
		changes := len(p.Differences) + p.More
		if !diff {
			p.Differences, p.More = nil, 0
		}
		if a.output == "json" || a.output == "ndjson" {
			p.Differences = append([]postgres.RowDifference{}, p.Differences...) // an array, even if there are none
			if err := a.writeJSON(struct {
				Changes int       `json:"changes"` // rows that would change
				AsOf    time.Time `json:"as_of,omitzero"`
				postgres.Preview
			}{changes, past.AsOf, p}); err != nil {
				return err
			}
			continue
		}
		rows := 0
		for _, n := range p.Rows {
			rows += n
		}
		fmt.Fprintf(a.stdout, "%s: %d rows from %d records in %s · %s · %d of the live rows, at %d, would change\n",
			p.Projection, rows, p.To, time.Since(started).Round(time.Millisecond), p.Digest, changes, p.Position)
		for _, d := range p.Differences {
			fmt.Fprintf(a.stdout, "  %s\n", printable(d.String()))
		}
		if p.More > 0 {
			fmt.Fprintf(a.stdout, "  and %d more\n", p.More)
		}
	}
	return nil
}
