package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// checkLog checks that the log has what the receipts say, in their order and
// nothing else, and the exact bytes of every delivery.
func (c *modelCase) checkLog() {
	var want, got, bodies, kept []string
	for _, s := range c.sent {
		if s.want == domain.Duplicate {
			continue
		}
		for _, r := range s.receipt.Records {
			want = append(want, row(r.Position, r.ID, r.Kind, s.receipt.Delivery))
		}
		bodies = append(bodies, row(s.receipt.Delivery, s.receipt.Status, string(s.request.Body)))
	}
	for _, source := range c.sources {
		got = append(got, c.query(`SELECT position || ' ' || id || ' ' || kind || ' ' || delivery FROM log WHERE source = $1 ORDER BY position`, source.Name)...)
		for _, id := range c.query(`SELECT id FROM delivery WHERE source = $1`, source.Name) {
			d, err := postgres.ReadDelivery(context.Background(), c.db, c.keys, ulid.MustParse(id))
			if err != nil {
				c.Fatal(err)
			}
			kept = append(kept, row(d.ID, d.Status, string(d.Body)))
		}
	}
	for _, list := range [][]string{want, got, bodies, kept} {
		slices.Sort(list)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.Fatalf("the log (-receipts +log):\n%s", diff)
	}
	if diff := cmp.Diff(bodies, kept); diff != "" {
		c.Fatalf("deliveries (-sent +kept):\n%s", diff)
	}
}

func (c *modelCase) query(query string, args ...any) (rows []string) {
	result, err := c.db.Query(query, args...)
	if err != nil {
		c.Fatal(err)
	}
	defer result.Close()
	for result.Next() {
		var text string
		if err := result.Scan(&text); err != nil {
			c.Fatal(err)
		}
		rows = append(rows, text)
	}
	if err := result.Err(); err != nil {
		c.Fatal(err)
	}
	return rows
}

// checkViews compares every view of every source with the model.
func (c *modelCase) checkViews() {
	for _, provider := range slices.Sorted(maps.Keys(c.books)) {
		views := c.books[provider].views()
		for _, question := range slices.Sorted(maps.Keys(views)) {
			want := views[question]
			if len(want) == 0 && !c.seldom("look though nothing was said", 8) {
				continue // most views say nothing of most providers
			}
			got := c.ask(question, c.sources[provider].Name)
			if diff := cmp.Diff(settle(want, got), got); diff != "" {
				c.Fatalf("%s of %s (-model +daybook):\n%s", question, provider, diff)
			}
		}
	}
}

// ask returns the rows of a view of a source as [book.views] does.
func (c *modelCase) ask(question, source string) (rows []string) {
	path, columns, _ := strings.Cut(question, ": ")
	projection, view, _ := strings.Cut(path, "/")
	p, err := projectionNamed(projection)
	if err != nil {
		c.Fatal(err)
	}
	i := slices.IndexFunc(p.Views, func(v projections.View) bool { return v.Name == view })
	v := p.Views[i]
	answer, err := c.projector.Ask(context.Background(), p, v, projections.Query{Filter: map[string]projections.Cell{"source": {Text: source}}})
	if err != nil {
		c.Fatal(err)
	}
	for _, r := range answer.Rows {
		var cells []any
		for _, name := range strings.Fields(columns) {
			cells = append(cells, r[slices.IndexFunc(v.Columns, func(c projections.ViewColumn) bool { return c.Name == name })].Text)
		}
		rows = append(rows, row(cells...))
	}
	slices.Sort(rows)
	return rows
}
