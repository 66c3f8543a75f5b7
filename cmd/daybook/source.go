package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

func sourceCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "source",
		Short:   "Show the configured sources",
		Example: "  daybook source list",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "list",
		Short:   "List the sources, where their deliveries go, and what is assumed about them",
		Example: "  daybook source list\n  daybook source list --json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.sourceList() },
	})
	return cmd
}

func (a *app) sourceList() error {
	answer := render.Answer{View: "sources", Columns: []projections.Column{
		{Name: "name", Type: projections.TypeText},
		{Name: "provider", Type: projections.TypeText},
		{Name: "path", Type: projections.TypeText},
		{Name: "status", Type: projections.TypeText},
		{Name: "assumed", Type: projections.TypeText},
	}}
	for _, s := range a.config.Sources {
		path := "/webhooks/" + s.Name
		if s.Provider == "credly" {
			path += "/SECRET"
		}
		var assumed []string
		for _, a := range s.assumed() {
			assumed = append(assumed, a.What)
		}
		status := "ok"
		if _, err := newSource(s); err != nil {
			status = err.Error()
		}
		answer.Rows = append(answer.Rows, []projections.Cell{
			{Text: s.Name}, {Text: s.Provider}, {Text: path}, {Text: status}, {Text: strings.Join(assumed, "; ")},
		})
	}
	return a.printWhole(answer)
}
