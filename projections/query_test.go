package projections_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

func view(name string) projections.View {
	v, ok := shelf.View(name)
	if !ok {
		panic(name)
	}
	return v
}

func TestParseQuery(t *testing.T) {
	q, err := projections.ParseQuery(view("things"), url.Values{
		"as_of": {"2026-03-31"}, "known": {"184220"}, "sort": {"-weight"}, "limit": {"0"},
		"name": {"kettle"}, "weight": {"1.50"}, "seen_at": {"2026-03-01T10:00:00.1234567+01:00"}, "fragile": {"1"}, "age": {"old"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := projections.Query{
		AsOf:  time.Date(2026, 3, 31, 23, 59, 59, 999999000, time.UTC),
		Known: 184220, Sort: "weight", Descending: true,
		Filter: map[string]projections.Cell{
			"name": {Text: "kettle"}, "weight": {Text: "1.5"}, "seen_at": {Text: "2026-03-01T09:00:00.123456Z"},
			"fragile": {Text: "true"}, "age": {Text: "old"},
		},
	}
	if !reflect.DeepEqual(q, want) {
		t.Errorf("query\n%+v, want\n%+v", q, want)
	}

	q, err = projections.ParseQuery(view("things"), url.Values{"as_of": {"2026-03-31T12:00:00+02:00"}, "known": {"2026-04-01"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 3, 31, 10, 0, 0, 0, time.UTC); !q.AsOf.Equal(want) || q.AsOf.Location() != time.UTC {
		t.Errorf("as_of %v, want %v", q.AsOf, want)
	}
	if want := time.Date(2026, 4, 1, 23, 59, 59, 999999000, time.UTC); !q.KnownAt.Equal(want) || q.Known != 0 {
		t.Errorf("known by %v and %d, want %v and 0", q.KnownAt, q.Known, want)
	}
	if q.Limit != projections.DefaultLimit {
		t.Errorf("limit %d, want %d", q.Limit, projections.DefaultLimit)
	}
}

// TestParseQueryRefuses checks that nothing is ignored and nothing is guessed.
func TestParseQueryRefuses(t *testing.T) {
	cursor := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct{ query, parameter string }{
		{"nonsense=1", "nonsense"},
		{"Name=a", "Name"},
		{"=a", ""},
		{"as_of=yesterday", "as_of"},
		{"as_of=", "as_of"},
		{"as_of=2026-02-30", "as_of"},
		{"as_of=2026-03-31T12:00:00", "as_of"},
		{"as_of=31.03.2026", "as_of"},
		{"known=0", "known"},
		{"known=-1", "known"},
		{"known=1.5", "known"},
		{"known=99999999999999999999", "known"},
		{"known=", "known"},
		{"sort=age", "sort"},
		{"sort=colour", "sort"},
		{"sort=", "sort"},
		{"sort=--name", "sort"},
		{"limit=-1", "limit"},
		{"limit=ten", "limit"},
		{"limit=99999999999999999999", "limit"},
		{"limit=", "limit"},
		{"count=many", "count"},
		{"count=1.0", "count"},
		{"weight=heavy", "weight"},
		{"weight=1,5", "weight"},
		{"weight=1e999999999", "weight"},
		{"weight=NaN", "weight"},
		{"weight=0.1234567890123456789", "weight"},
		{"seen_at=2026-03-31", "seen_at"},
		{"fragile=perhaps", "fragile"},
		{"name=a&name=b", "name"},
		{"limit=1&limit=1", "limit"},
		{"after=!", "after"},
		{"after=", "after"},
		{"after=" + cursor("null"), "after"},
		{"after=" + cursor("{}"), "after"},
		{"after=" + cursor("[]"), "after"},
		{"after=" + cursor(`[{"Text":"left"}]`), "after"},
		{"after=" + cursor(`[{"Text":"left"},{"Text":"a"},{"Text":"b"}]`), "after"},
		{"sort=count&after=" + cursor(`[{"Text":"left"},{"Text":"a"}]`), "after"},
	} {
		params, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = projections.ParseQuery(view("things"), params)
		if domain.CodeOf(err) != domain.Invalid || !strings.HasPrefix(err.Error(), "parameter "+c.parameter+":") {
			t.Errorf("%s: error %v, want %s about %s", c.query, err, domain.Invalid, c.parameter)
		}
	}
}

// TestPaging checks that pages of any size, in any order, with any filter, give
// every row once and in order.
func TestPaging(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, v := drawRows(t), view(rapid.SampledFrom([]string{"things", "moves"}).Draw(t, "view"))
		params := url.Values{"limit": {"0"}, "as_of": {"2026-01-05"}}
		if by := rapid.SampledFrom(sorts(v)).Draw(t, "sort"); by != "" {
			params.Set("sort", by)
		}
		if v.Name == "things" {
			for name, value := range map[string]string{"count": "1", "age": "old", "fragile": "true"} {
				if rapid.IntRange(0, 3).Draw(t, "filter "+name) == 0 {
					params.Set(name, value)
				}
			}
		}
		all := ask(t, v, m, params)
		if all.Next != "" {
			t.Fatal("no limit, and yet a next page")
		}
		inOrder(t, v, params.Get("sort"), all.Rows)
		if want := count(v, m, params); len(all.Rows) != want {
			t.Fatalf("%d rows, want %d", len(all.Rows), want)
		}

		limit := rapid.IntRange(1, 7).Draw(t, "limit")
		params.Set("limit", fmt.Sprint(limit))
		var rows [][]projections.Cell
		for {
			page := ask(t, v, m, params)
			rows = append(rows, page.Rows...)
			if len(rows) > len(all.Rows) {
				t.Fatalf("pages of %d give more than the %d rows there are", limit, len(all.Rows))
			}
			if page.Next == "" {
				break
			}
			if len(page.Rows) != limit {
				t.Fatalf("a page of %d rows, limit %d, and a next one", len(page.Rows), limit)
			}
			params.Set("after", page.Next)
		}
		if len(rows)+len(all.Rows) > 0 && !reflect.DeepEqual(rows, all.Rows) {
			t.Fatalf("pages of %d give\n%v, want\n%v", limit, rows, all.Rows)
		}
	})
}

// TestAskUpTo checks that of a journal only rows up to a position count.
func TestAskUpTo(t *testing.T) {
	m := projections.NewMemory(shelf)
	for _, r := range script(t, [2]string{"put", "a"}, [2]string{"move", "a"}, [2]string{"move", "a+"}) {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	for upTo, want := range []int{4, 0, 2, 4, 4} {
		page, err := view("moves").Ask(t.Context(), m, nil, projections.Query{}, int64(upTo))
		if err != nil || len(page.Rows) != want {
			t.Errorf("up to %d: %d rows, error %v; want %d", upTo, len(page.Rows), err, want)
		}
	}
}

// TestSelectionLimit checks that a source is asked for one row more than the
// page, which says whether there is a next one, and for all rows if some will be
// left out for what is computed from them.
func TestSelectionLimit(t *testing.T) {
	for query, want := range map[string]int{"limit=5": 6, "limit=0": 0, "limit=5&count=1": 6, "limit=5&age=old": 0} {
		params, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		q, err := projections.ParseQuery(view("things"), params)
		if err != nil {
			t.Fatal(err)
		}
		if got := view("things").Selection(q, 0).Limit; got != want {
			t.Errorf("%s: the source is asked for %d rows, want %d", query, got, want)
		}
	}
}

// drawRows draws tables with ties, nulls and awkward texts.
func drawRows(t *rapid.T) *projections.Memory {
	m := projections.NewMemory(shelf)
	text := rapid.SampledFrom([]string{"", "a", "a\x01", "b", "B", "é", "10", "9", "\uFFFD"})
	for range rapid.IntRange(0, 25).Draw(t, "things") {
		row := &thing{
			shelf: text.Draw(t, "shelf"), name: text.Draw(t, "name"), next: text.Draw(t, "next"),
			count:   rapid.Int64Range(-1, 10).Draw(t, "count"),
			weight:  decimal.New(rapid.Int64Range(-3, 12).Draw(t, "weight"), rapid.Int32Range(-2, 0).Draw(t, "scale")),
			fragile: rapid.Bool().Draw(t, "fragile"),
		}
		if rapid.Bool().Draw(t, "priced") {
			price := decimal.New(rapid.Int64Range(-3, 12).Draw(t, "price"), 0)
			row.price = &price
		}
		if hours := rapid.IntRange(0, 120).Draw(t, "hours"); hours > 20 {
			row.seenAt = time.Date(2026, 1, 1, hours, 0, 0, hours%2*500000, time.UTC)
		}
		m.Put(things, projections.JoinKey([]string{row.shelf, row.name}), row)
	}
	for position := range int64(rapid.IntRange(0, 12).Draw(t, "records")) {
		for n := range int64(rapid.IntRange(0, 3).Draw(t, "rows")) {
			row, err := moves.Parse([]projections.Cell{
				{Text: fmt.Sprint(position + 1)},
				{Text: fmt.Sprint(n + 1)},
				{Text: "event"},
				{Text: text.Draw(t, "source")},
				{Text: "2026-01-01T00:00:00Z"},
				{Text: text.Draw(t, "name")},
			})
			if err != nil {
				t.Fatal(err)
			}
			m.Append(moves, row)
		}
	}
	return m
}

// sorts returns every way to sort a view.
func sorts(v projections.View) []string {
	all := []string{""}
	for _, c := range v.Columns {
		if c.Stored() {
			all = append(all, c.Name, "-"+c.Name)
		}
	}
	return all
}

func ask(t *rapid.T, v projections.View, m *projections.Memory, params url.Values) projections.Page {
	t.Helper()
	q, err := projections.ParseQuery(v, params)
	if err != nil {
		t.Fatal(err)
	}
	page, err := v.Ask(t.Context(), m, nil, q, 0)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// inOrder checks the order of the column that rows are sorted by.
func inOrder(t *rapid.T, v projections.View, by string, rows [][]projections.Cell) {
	t.Helper()
	name, descending := strings.CutPrefix(by, "-")
	i := slices.IndexFunc(v.Columns, func(c projections.ViewColumn) bool { return c.Name == name })
	if i < 0 {
		return
	}
	if !slices.IsSortedFunc(rows, func(a, b []projections.Cell) int {
		c := order(v.Columns[i].Type, a[i], b[i])
		if descending {
			return -c
		}
		return c
	}) {
		t.Fatalf("not sorted by %s: %v", by, rows)
	}
}

// order compares two cells by value, nulls last.
func order(typ projections.Type, a, b projections.Cell) int {
	switch {
	case a.Null && b.Null:
		return 0
	case a.Null:
		return 1
	case b.Null:
		return -1
	}
	switch typ {
	case projections.TypeInteger, projections.TypeDecimal:
		return decimal.RequireFromString(a.Text).Cmp(decimal.RequireFromString(b.Text))
	case projections.TypeTime:
		x, _ := time.Parse(time.RFC3339, a.Text)
		y, _ := time.Parse(time.RFC3339, b.Text)
		return x.Compare(y)
	}
	return cmp.Compare(a.Text, b.Text)
}

// count counts the rows that a query should give, by looking at each.
func count(v projections.View, m *projections.Memory, params url.Values) (n int) {
	asOf := time.Date(2026, 1, 5, 23, 59, 59, 0, time.UTC)
	for _, row := range projectiontest.Rows(m, v.Table) {
		seenAt, _ := time.Parse(time.RFC3339, row.Text("seen_at"))
		old := asOf.Sub(seenAt) > 24*time.Hour
		if (params.Has("count") && row.Text("count") != "1") || (params.Has("fragile") && row.Text("fragile") != "true") || (params.Has("age") && !old) {
			continue
		}
		n++
	}
	return n
}
