package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// A stepQuestion says which steps are wanted.
type stepQuestion struct {
	keys     []string
	from, to int64 // 0: from the first record, to the last
	limit    int   // 0: all
}

func projectionStepCommand(a *app) *cobra.Command {
	var q stepQuestion
	cmd := &cobra.Command{
		Use:   "step PROJECTION",
		Short: "Show record by record what changes in a projection's tables",
		Long: `Folds the log again in memory, as rebuilding does, and shows for every record the
rows that it changes: each cell before and after, new rows and removed ones. The
live tables are neither read nor changed.

--key follows one row: its key with slashes between the parts, such as
acme-tahdah/70412 for a credit line, together with the entries that name it. Or
COLUMN=VALUE, for every row that holds the value before or after; given several
times, all must hold. Records that change no such row are left out.

A record that the projection cannot take is the last one shown, with the reason,
and the exit status is 3. Without --from, a stopped projection is shown from there.`,
		Example: `  daybook projection step credits --key acme-tahdah/70412
  daybook projection step sales --key source=acme-thinkific --key order=1001
  daybook projection step certifications --from 1200 --to 1210 --json
  daybook projection step credits --limit 0 -o csv > steps.csv`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeProjections,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := projectionNamed(args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("from") && q.from < 1 || cmd.Flags().Changed("to") && q.to < 1 || q.limit < 0 {
				return domain.Errorf(domain.Usage, "", "positions start at 1, and a limit is not negative").WithHint("Run: daybook projection step --help")
			}
			return a.projectionStep(cmd.Context(), p, q)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&q.keys, "key", nil, "only rows with this key, such as acme-tahdah/70412, or COLUMN=VALUE")
	flags.Int64Var(&q.from, "from", 0, "first position (default 1)")
	flags.Int64Var(&q.to, "to", 0, "last position (default: the end of the log)")
	flags.IntVar(&q.limit, "limit", 100, "records shown at most; 0 for all")
	return cmd
}

// projectionStep shows the steps of p that q asks for.
func (a *app) projectionStep(ctx context.Context, p *projections.Projection, q stepQuestion) error {
	filter, err := projections.ParseRowFilter(p, q.keys)
	if err != nil {
		return err
	}
	return a.withProjector(ctx, func(projector *postgres.Projector) error {
		if err := q.complete(ctx, projector, p); err != nil {
			return err
		}
		out, err := a.stepWriter(p)
		if err != nil {
			return err
		}
		progress := a.progress("fold " + p.Name)
		defer progress.end()
		var shown, changed int
		for step, err := range projector.Steps(ctx, p, q.from, q.to, progress.update) {
			progress.end()
			if err != nil {
				return err
			}
			step.Changes = filter.Of(step.Changes)
			if len(step.Changes) == 0 && step.Err == nil && !filter.All() {
				continue
			}
			if q.limit > 0 && shown == q.limit {
				if err := out.end(step.Record.Position); err != nil {
					return err
				}
				a.warn("there is more: --from %d, or --limit 0 for all", step.Record.Position)
				return nil
			}
			shown, changed = shown+1, changed+len(step.Changes)
			if err := out.step(step); err != nil {
				return err
			}
			if step.Err != nil {
				return cannotTake(p, step)
			}
		}
		if err := out.end(0); err != nil {
			return err
		}
		if changed == 0 && !filter.All() {
			return domain.Errorf(domain.NotFound, "step", "no record from %d to %d changes such a row", q.from, q.to).
				WithHint("The keys are what the views show first: daybook view " + p.Name + "/" + p.Views[0].Name)
		}
		return nil
	})
}

// complete fills in where the question starts and ends.
func (q *stepQuestion) complete(ctx context.Context, projector *postgres.Projector, p *projections.Projection) error {
	list, err := projector.List(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Name != p.Name {
			continue
		}
		if q.from == 0 && q.to == 0 && len(q.keys) == 0 && s.StoppedAt > 0 {
			q.from = s.StoppedAt
		}
		q.from = max(q.from, 1)
		if q.to == 0 {
			q.to = s.Head
		}
		if q.from > s.Head || q.to > s.Head || q.from > q.to {
			return domain.Errorf(domain.Invalid, "step", "there are no records from %d to %d: the log ends at %d", q.from, q.to, s.Head)
		}
	}
	return nil
}

// cannotTake says that a step is the last one.
func cannotTake(p *projections.Projection, s projections.Step) error {
	return domain.Errorf(domain.Differs, "step", "%s cannot take record %d: %w", p.Name, s.Record.Position, s.Err).
		WithHint("Upgrade daybook or correct the fact, then run: daybook projection rebuild " + p.Name)
}

// A stepWriter writes steps in one form. End says where those go on that are left
// out, 0 if there are none.
type stepWriter interface {
	step(projections.Step) error
	end(next int64) error
}

func (a *app) stepWriter(p *projections.Projection) (stepWriter, error) {
	switch a.output {
	case "json", "ndjson":
		return &jsonSteps{a, p, a.output == "json", 0}, nil
	case "csv":
		w := csvSteps{a.stdout}
		return w, w.head()
	}
	return textSteps{a.stdout}, nil
}

// jsonSteps writes one object with all steps, or a line for each of them.
type jsonSteps struct {
	app        *app
	projection *projections.Projection
	whole      bool
	n          int
}

// A stepJSON is a record and what it changes. A row is written as views do.
type stepJSON struct {
	Position   int64           `json:"position"`
	ID         string          `json:"id"`
	Kind       domain.Kind     `json:"kind"`
	Source     string          `json:"source"`
	OccurredAt time.Time       `json:"occurred_at"`
	RecordedAt time.Time       `json:"recorded_at"`
	Delivery   string          `json:"delivery"`
	Test       bool            `json:"test"` // left out of every table
	Data       json.RawMessage `json:"data"` // the fact, without what is personal
	Changes    []changeJSON    `json:"changes"`
	Error      string          `json:"error,omitempty"` // why the projection cannot take it
}

type changeJSON struct {
	Table   string          `json:"table"`
	Key     []string        `json:"key"`
	Before  json.RawMessage `json:"before"`  // null: the row is new
	After   json.RawMessage `json:"after"`   // null: the row is removed
	Changed []string        `json:"changed"` // columns
}

func newStepJSON(s projections.Step) (j stepJSON, err error) {
	r := s.Record
	j = stepJSON{
		Position: r.Position, ID: r.ID.String(), Kind: r.Kind, Source: r.Source,
		OccurredAt: r.OccurredAt.UTC(), RecordedAt: r.RecordedAt.UTC(), Delivery: r.Delivery.String(), Test: r.Test,
		Data: r.Data, Changes: []changeJSON{},
	}
	if s.Err != nil {
		j.Error = s.Err.Error()
	}
	for _, c := range s.Changes {
		change := changeJSON{Table: c.Table.Name(), Key: cellTexts(c.Key())}
		for _, i := range c.Changed() {
			change.Changed = append(change.Changed, c.Table.Columns()[i].Name)
		}
		if change.Before, err = rowJSON(c.Table, c.Before); err != nil {
			return j, err
		}
		if change.After, err = rowJSON(c.Table, c.After); err != nil {
			return j, err
		}
		j.Changes = append(j.Changes, change)
	}
	return j, nil
}

func cellTexts(cells []projections.Cell) []string {
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = c.Text
	}
	return list
}

// rowJSON returns a row as views write it, null if there is none.
func rowJSON(t projections.Table, cells []projections.Cell) (json.RawMessage, error) {
	if cells == nil {
		return nil, nil
	}
	var b bytes.Buffer
	err := render.NDJSON(&b, render.Answer{Columns: t.Columns(), Rows: [][]projections.Cell{cells}})
	return bytes.TrimSpace(b.Bytes()), err
}

func (w *jsonSteps) step(s projections.Step) error {
	j, err := newStepJSON(s)
	if err != nil {
		return err
	}
	data, err := domain.Marshal(j)
	if err != nil {
		return err
	}
	lead, trail := "", "\n"
	if w.whole {
		lead, trail = ",", ""
		if w.n++; w.n == 1 {
			lead = w.head()
		}
	}
	if _, err := fmt.Fprint(w.app.stdout, lead, string(data), trail); err != nil || s.Err == nil {
		return err
	}
	return w.end(0)
}

func (w *jsonSteps) head() string {
	return fmt.Sprintf(`{"projection":%q,"version":%d,"steps":[`, w.projection.Name, w.projection.Version)
}

func (w *jsonSteps) end(next int64) error {
	if !w.whole {
		return nil
	}
	if w.n == 0 {
		if _, err := fmt.Fprint(w.app.stdout, w.head()); err != nil {
			return err
		}
	}
	return w.close(next)
}

func (w *jsonSteps) close(next int64) error {
	text := "]}"
	if next > 0 {
		text = fmt.Sprintf(`],"next":%d}`, next)
	}
	_, err := fmt.Fprintln(w.app.stdout, text)
	return err
}

// csvSteps writes a line for every cell that changes.
type csvSteps struct{ w io.Writer }

var stepColumns = []projections.Column{
	{Name: "position", Type: projections.TypeInteger},
	{Name: "kind", Type: projections.TypeText},
	{Name: "source", Type: projections.TypeText},
	{Name: "occurred_at", Type: projections.TypeTime},
	{Name: "table", Type: projections.TypeText},
	{Name: "key", Type: projections.TypeText},
	{Name: "column", Type: projections.TypeText},
	{Name: "before", Type: projections.TypeText, Optional: true},
	{Name: "after", Type: projections.TypeText, Optional: true},
}

func (w csvSteps) head() error { return render.CSV(w.w, render.Answer{Columns: stepColumns}) }

func (w csvSteps) step(s projections.Step) error {
	var b strings.Builder
	answer := render.Answer{Columns: stepColumns}
	for _, c := range s.Changes {
		for _, i := range c.Changed() {
			before, after := projections.Cell{Null: true}, projections.Cell{Null: true}
			if c.Before != nil {
				before = c.Before[i]
			}
			if c.After != nil {
				after = c.After[i]
			}
			answer.Rows = append(answer.Rows, []projections.Cell{
				number(s.Record.Position),
				{Text: string(s.Record.Kind)},
				{Text: s.Record.Source},
				projections.TimeCell(s.Record.OccurredAt),
				{Text: c.Table.Name()},
				{Text: strings.Join(cellTexts(c.Key()), "/")},
				{Text: c.Table.Columns()[i].Name},
				before, after,
			})
		}
	}
	if err := render.CSV(&b, answer); err != nil {
		return err
	}
	_, lines, _ := strings.Cut(b.String(), "\n")
	_, err := io.WriteString(w.w, lines)
	return err
}

func (csvSteps) end(int64) error { return nil }

// textSteps writes steps for people.
type textSteps struct{ w io.Writer }

func (t textSteps) step(s projections.Step) error {
	var b strings.Builder
	r := s.Record
	fmt.Fprintf(&b, "record %d · %s · %s · occurred %s\n", r.Position, r.Kind, printable(r.Source), r.OccurredAt.UTC().Format(time.RFC3339))
	switch {
	case s.Err != nil:
		fmt.Fprintf(&b, "  cannot be taken: %s\n", printable(s.Err.Error()))
	case r.Test:
		b.WriteString("  a test: left out\n")
	case len(s.Changes) == 0:
		b.WriteString("  changes nothing\n")
	}
	for _, c := range s.Changes {
		writeChange(&b, c)
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (textSteps) end(int64) error { return nil }

// writeChange writes one row: what differs in a line each, a new or removed row in
// one line.
func writeChange(b *strings.Builder, c projections.RowChange) {
	name := c.Table.Name()
	if !c.Table.IsJournal() {
		name += " " + printable(strings.Join(cellTexts(c.Key()), "/"))
	}
	columns := c.Table.Columns()
	switch {
	case c.Before == nil:
		fmt.Fprintf(b, "  + %s%s\n", name, cellList(c, c.After))
		return
	case c.After == nil:
		fmt.Fprintf(b, "  - %s%s\n", name, cellList(c, c.Before))
		return
	}
	fmt.Fprintf(b, "  ~ %s\n", name)
	width := 0
	for _, i := range c.Changed() {
		width = max(width, len(columns[i].Name))
	}
	for _, i := range c.Changed() {
		fmt.Fprintf(b, "      %-*s  %s → %s\n", width, columns[i].Name, shownCell(c.Before[i]), shownCell(c.After[i]))
	}
}

// cellList returns the cells of a row that hold something beyond its key.
func cellList(c projections.RowChange, cells []projections.Cell) string {
	from := c.Table.KeyColumns()
	if c.Table.IsJournal() {
		from = projections.JournalHead // the rest repeats what is said of the record
	}
	var b strings.Builder
	for i, column := range c.Table.Columns() {
		if i >= from && !cells[i].Null && cells[i].Text != "" {
			fmt.Fprintf(&b, "  %s=%s", column.Name, shownCell(cells[i]))
		}
	}
	return b.String()
}

// shownCell returns a cell as one word where that is possible. What is long is for
// programs: it is cut.
func shownCell(c projections.Cell) string {
	if text := []rune(c.Text); len(text) > 60 {
		c.Text = string(text[:59]) + "…"
	}
	switch {
	case c.Null:
		return "null"
	case c.Text == "" || strings.ContainsAny(c.Text, " \t\n\"") || printable(c.Text) != c.Text:
		return strconv.Quote(c.Text)
	}
	return c.Text
}
