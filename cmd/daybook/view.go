package main

import (
	"context"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// logName is the name under which the views of the log itself are found.
const logName = "log"

// allViewed returns everything that has views: the projections and the log.
func allViewed() []*projections.Projection {
	return append(allProjections(), &projections.Projection{Name: logName, Views: postgres.LogViews()})
}

// viewNamed returns the view that "credits/balances" names, and whose it is.
func viewNamed(path string) (*projections.Projection, projections.View, error) {
	name, view, _ := strings.Cut(path, "/")
	var known []string
	for _, p := range allViewed() {
		for _, v := range p.Views {
			if p.Name == name && v.Name == view {
				return p, v, nil
			}
			known = append(known, p.Name+"/"+v.Name)
		}
	}
	return nil, projections.View{}, domain.Errorf(domain.NotFound, "", "there is no view %q", path).
		WithHint("The views are: " + strings.Join(known, ", ") + ".")
}

// ask answers a question to a view of p.
func ask(ctx context.Context, projector *postgres.Projector, p *projections.Projection, v projections.View, q projections.Query) (render.Answer, error) {
	put := projector.Ask
	if p.Name == logName {
		put = projector.AskLog
	}
	answer, err := put(ctx, p, v, q)
	if err != nil {
		return render.Answer{}, err
	}
	return render.Answer{
		View: p.Name + "/" + v.Name, AsOf: answer.AsOf, Known: answer.Known, Root: answer.Root,
		Columns: render.Columns(v), Rows: answer.Rows, Next: answer.Next,
	}, nil
}

func viewCommand(a *app) *cobra.Command {
	params := make(url.Values)
	var asOf, known, sort, limit, after string
	cmd := &cobra.Command{
		Use:   "view [PROJECTION/VIEW [COLUMN=VALUE…]]",
		Short: "Show a view, as of any day and as known at any position",
		Long: `Shows a view in the same rows as GET /v1/PROJECTION/VIEW. Without an argument it
lists the views. COLUMN=VALUE keeps only the rows with that value; names and other
texts about people are found by it, and cannot be sorted by: they are stored sealed.

--as-of is about when things happened: what happened later, by the provider's word,
is left out, and what passes with time, such as a certificate, is judged as of then.
--known is about when we knew: what was recorded later is left out, also if it
happened before. --as-of 2026-03-31 is March as we know it today; with --known at the
position of 31 March it is March as we knew it then.

With both given the answer is the same for ever, until the projection's version
changes or a person is erased. Every answer says which two it is about. A position
pins known at once, a date or time once something was recorded after it.`,
		Example: `  daybook view
  daybook view credits/balances
  daybook view sales/orders status=refunded --sort -total
  daybook view certifications/status --as-of 2026-03-31 --known 40 -o json
  daybook view directory/people 'name=Priya Raman'
  daybook view sales/entries --limit 0 -o csv > entries.csv`,
		ValidArgsFunction: completeViews,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listViews()
			}
			for name, value := range map[string]string{"as_of": asOf, "known": known, "sort": sort, "limit": limit, "after": after} {
				if value != "" {
					params.Add(name, value)
				}
			}
			return a.viewRows(cmd.Context(), args[0], args[1:], params, nil)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&asOf, "as-of", "", "by when it happened: a date (to its end, UTC) or an RFC 3339 time")
	flags.StringVar(&known, "known", "", "by when we knew it: a position, a date or an RFC 3339 time")
	flags.StringVar(&sort, "sort", "", "column to sort by; -column for descending")
	flags.StringVar(&limit, "limit", "", "rows at most (default 1000); 0 for all")
	flags.StringVar(&after, "after", "", "cursor that the page before gave as next")
	return cmd
}

// viewRows prints the rows of a view that args, COLUMN=VALUE each, and params ask
// for. If brief is not nil, it prints the table.
func (a *app) viewRows(ctx context.Context, path string, args []string, params url.Values, brief func(render.Answer) error) error {
	p, v, err := viewNamed(path)
	if err != nil {
		return err
	}
	for _, arg := range args {
		column, value, ok := strings.Cut(arg, "=")
		if !ok {
			return domain.Errorf(domain.Usage, "", "%q is not COLUMN=VALUE", arg).WithHint("Run: daybook view --help")
		}
		params.Add(column, value)
	}
	q, err := projections.ParseQuery(v, params)
	if err != nil {
		return err
	}
	return a.withProjector(ctx, func(projector *postgres.Projector) error {
		if err := a.catchUp(ctx, projector, p); err != nil {
			return err
		}
		answer, err := ask(ctx, projector, p, v, q)
		if err != nil {
			return err
		}
		if brief != nil && a.output == "table" {
			return brief(answer)
		}
		return a.print(answer)
	})
}

func completeViews(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, p := range allViewed() {
		for _, v := range p.Views {
			names = append(names, p.Name+"/"+v.Name+"\t"+v.Title)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// catchUp folds what no server has folded yet, so that the answer is about
// everything recorded. A projection that is stopped answers with what it has.
func (a *app) catchUp(ctx context.Context, projector *postgres.Projector, p *projections.Projection) error {
	if p.Name == logName {
		return nil
	}
	list, err := projector.List(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		switch {
		case s.Name != p.Name || s.Lag() == 0:
		case s.StoppedAt > 0:
			a.warn("projection %s is stopped before record %d: %s", p.Name, s.StoppedAt, s.Reason)
		case s.Version != p.Version:
			a.warn("projection %s has tables of version %d and waits to be rebuilt as version %d", p.Name, s.Version, p.Version)
		default:
			_, err := projector.CatchUp(ctx, p, nil)
			return err
		}
	}
	return nil
}

// listViews prints the views there are.
func (a *app) listViews() error {
	answer := render.Answer{View: "views", Columns: []projections.Column{
		{Name: "view", Type: projections.TypeText}, {Name: "title", Type: projections.TypeText}, {Name: "columns", Type: projections.TypeText},
	}}
	for _, p := range allViewed() {
		for _, v := range p.Views {
			var columns []string
			for _, c := range v.Columns {
				columns = append(columns, c.Name)
			}
			answer.Rows = append(answer.Rows, []projections.Cell{
				{Text: p.Name + "/" + v.Name}, {Text: v.Title}, {Text: strings.Join(columns, ", ")},
			})
		}
	}
	return a.printWhole(answer)
}

// print writes an answer in the form asked for. What a table leaves out, the
// moment and the position it is about, goes to stderr.
func (a *app) print(answer render.Answer) error { return a.printWithin(answer, a.width()) }

// printWhole is print for what is read whole or not at all: no column is left out
// where the terminal is narrow.
func (a *app) printWhole(answer render.Answer) error { return a.printWithin(answer, 0) }

func (a *app) printWithin(answer render.Answer, width int) error {
	switch a.output {
	case "json":
		return render.JSON(a.stdout, answer)
	case "ndjson":
		return render.NDJSON(a.stdout, answer)
	case "csv":
		return render.CSV(a.stdout, answer)
	}
	if err := render.Table(a.stdout, answer, width); err != nil {
		return err
	}
	if !answer.AsOf.IsZero() {
		a.warn("%d rows · as of %s · known %d · root %.12s…", len(answer.Rows), answer.AsOf.Format("2006-01-02 15:04:05Z"), answer.Known, answer.Root)
	}
	if answer.Next != "" {
		a.warn("there is more: --as-of %s --known %d --after %s, or --limit 0 for all", answer.AsOf.Format(time.RFC3339Nano), answer.Known, answer.Next)
	}
	return nil
}

// width returns the width of the terminal, 0 if stdout is none.
func (a *app) width() int {
	f, ok := a.stdout.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
