package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

func sourceCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "source",
		Short:   "Show and try the configured sources, and fetch what their APIs list",
		Example: "  daybook source list\n  daybook source test acme-tahdah --send\n  daybook source backfill acme-thinkific --dry-run",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sourceList(a), sourceTest(a), sourceBackfill(a))
	return cmd
}

func sourceList(a *app) *cobra.Command {
	var lastUse bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the sources, where their deliveries go, and what is assumed about them",
		Long: `Lists the configured sources. ASSUMED names the mappings that are not confirmed:
[source.membership] and so on in daybook.toml; "daybook doctor" says what each is.

With --last-use it asks the log when each of their secrets last verified something
new, so that you know when the old one of two can be dropped. Secrets are told apart
by their place in the list: put a new one behind the old one.`,
		Example: "  daybook source list\n  daybook source list --last-use --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer := a.sources()
			if lastUse {
				if err := a.addLastUse(cmd.Context(), &answer); err != nil {
					return err
				}
			}
			return a.printWhole(answer)
		},
	}
	cmd.Flags().BoolVar(&lastUse, "last-use", false, "show when each secret was last used, which asks the log")
	return cmd
}

// sources returns the configured sources as rows.
func (a *app) sources() render.Answer {
	answer := render.Answer{View: "sources", Columns: []projections.Column{
		{Name: "name", Type: projections.TypeText},
		{Name: "provider", Type: projections.TypeText},
		{Name: "path", Type: projections.TypeText},
		{Name: "status", Type: projections.TypeText},
		{Name: "assumed", Type: projections.TypeText},
	}}
	for _, s := range a.config.Sources {
		var assumed []string
		for _, a := range s.assumed() {
			assumed = append(assumed, a.Mapping)
		}
		status := "ok"
		if _, err := newSource(s); err != nil {
			status = err.Error()
		}
		answer.Rows = append(answer.Rows, []projections.Cell{
			{Text: s.Name}, {Text: s.Provider}, {Text: s.webhookPath("SECRET")}, {Text: status}, {Text: strings.Join(assumed, ", ")},
		})
	}
	return answer
}

// webhookPath returns where the deliveries of the source go; token is only for
// those whose secret is in the address.
func (s sourceConfig) webhookPath(token string) string {
	path := "/webhooks/" + s.Name
	if s.Provider == "credly" {
		path += "/" + url.PathEscape(token)
	}
	return path
}

// addLastUse adds when each secret was last used.
func (a *app) addLastUse(ctx context.Context, answer *render.Answer) error {
	return a.withReader(ctx, func(db *sql.DB, _ *postgres.Keyring) error {
		uses, err := secretUses(ctx, db)
		for slot := range 2 {
			answer.Columns = append(answer.Columns, projections.Column{
				Name: fmt.Sprintf("secret_%d_used_at", slot+1), Type: projections.TypeTime, Optional: true,
			})
			for i, s := range a.config.Sources {
				answer.Rows[i] = append(answer.Rows[i], projections.TimeCell(uses[s.Name][slot]))
			}
		}
		return err
	})
}
