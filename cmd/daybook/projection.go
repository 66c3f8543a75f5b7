package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

func projectionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "projection",
		Short: "List, rebuild, verify and follow the projections",
		Long: `A projection is derived from the log and from nothing else. Rebuilding derives it
again beside the live tables and swaps; verifying derives it again and compares;
stepping derives it again record by record and shows what each of them changes.`,
		Example: `  daybook projection list
  daybook projection verify
  daybook projection step credits --key acme-tahdah/70412
  daybook projection rebuild credits`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:     "list",
			Short:   "Show how far every projection is",
			Example: "  daybook projection list\n  daybook projection list --json",
			Args:    cobra.NoArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return a.projectionList(cmd.Context()) },
		},
		projectionRebuildCommand(a),
		projectionVerifyCommand(a),
		projectionStepCommand(a),
	)
	return cmd
}

func completeProjections(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range allProjections() {
		names = append(names, p.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) projectionList(ctx context.Context) error {
	return a.withProjector(ctx, func(projector *postgres.Projector) error {
		list, err := projector.List(ctx)
		if err != nil {
			return err
		}
		answer := render.Answer{View: "projections", Columns: []projections.Column{
			{Name: "name", Type: projections.TypeText},
			{Name: "version", Type: projections.TypeInteger},
			{Name: "position", Type: projections.TypeInteger},
			{Name: "head", Type: projections.TypeInteger},
			{Name: "lag", Type: projections.TypeInteger},
			{Name: "status", Type: projections.TypeText},
			{Name: "updated_at", Type: projections.TypeTime},
		}}
		for _, s := range list {
			status := "running"
			switch {
			case s.StoppedAt > 0:
				status = fmt.Sprintf("stopped before record %d: %s", s.StoppedAt, s.Reason)
			case s.Version != s.Code:
				status = fmt.Sprintf("waits to be rebuilt as version %d", s.Code)
			}
			answer.Rows = append(answer.Rows, []projections.Cell{
				{Text: s.Name}, number(int64(s.Version)), number(s.Position), number(s.Head), number(s.Lag()), {Text: status}, projections.TimeCell(s.UpdatedAt),
			})
		}
		return a.print(answer)
	})
}

func number(n int64) projections.Cell { return projections.Cell{Text: strconv.FormatInt(n, 10)} }

// eachProjection does the work for every projection named, or for all of them.
// A check that says no does not keep the others from being made.
func (a *app) eachProjection(ctx context.Context, names []string, work func(context.Context, *postgres.Projector, *projections.Projection) error) error {
	list, err := projectionsNamed(names)
	if err != nil {
		return err
	}
	return a.withProjector(ctx, func(projector *postgres.Projector) error {
		var failed error
		for _, p := range list {
			if err := work(ctx, projector, p); err != nil {
				if domain.CodeOf(err) != domain.Differs {
					return err
				}
				if failed != nil {
					a.report(failed)
				}
				failed = err
			}
		}
		return failed
	})
}
