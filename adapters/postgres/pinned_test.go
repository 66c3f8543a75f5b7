package postgres_test

import (
	"bytes"
	"context"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// views returns every view there is, those of the log included.
func (w *world) views() (paths []string) {
	for _, p := range w.all {
		for _, v := range p.Views {
			paths = append(paths, p.Name+"/"+v.Name)
		}
	}
	for _, v := range postgres.LogViews() {
		paths = append(paths, "log/"+v.Name)
	}
	return paths
}

// asked returns what a view says, in every form for programs.
func (w *world) asked(ctx context.Context, path string, params url.Values) (text string, next string, err error) {
	name, view, _ := strings.Cut(path, "/")
	put, p := w.projector.AskLog, &projections.Projection{Name: "log", Views: postgres.LogViews()}
	for _, one := range w.all {
		if one.Name == name {
			put, p = w.projector.Ask, one
		}
	}
	v, _ := p.View(view)
	q, err := projections.ParseQuery(v, params)
	if err != nil {
		return "", "", err
	}
	a, err := put(ctx, p, v, q)
	if err != nil {
		return "", "", err
	}
	var b bytes.Buffer
	for _, f := range render.Formats() {
		err := f.Write(&b, render.Answer{
			View: path, AsOf: a.AsOf, Known: a.Known, Root: a.Root, Columns: render.Columns(v), Rows: a.Rows, Next: a.Next,
		})
		if err != nil {
			return "", "", err
		}
	}
	return b.String(), a.Next, nil
}

// A pinnedAnswer is what was once said to a question about a moment and a position.
type pinnedAnswer struct {
	path   string
	params url.Values
	text   string
}

// ask asks every view about some moments and positions, in several orders and
// page by page.
func (w *world) pin() (all []pinnedAnswer) {
	w.t.Helper()
	last := w.log[len(w.log)-1]
	for _, path := range w.views() {
		for i, asOf := range []time.Time{
			w.log[0].EffectiveAt().AddDate(-1, 0, 0), w.log[len(w.log)/3].EffectiveAt(), last.RecordedAt, last.RecordedAt.AddDate(1, 0, 0),
		} {
			for _, known := range []int64{1, int64(len(w.log)) / 2, int64(len(w.log))} {
				params := url.Values{"as_of": {asOf.Format(time.RFC3339Nano)}, "known": {strconv.FormatInt(known, 10)}}
				if i%2 == 1 {
					params.Set("limit", "3")
				}
				for {
					text, next, err := w.asked(w.t.Context(), path, params)
					if err != nil {
						w.t.Fatalf("%s?%s: %v", path, params.Encode(), err)
					}
					asked := url.Values{}
					for name := range params {
						asked.Set(name, params.Get(name))
					}
					all = append(all, pinnedAnswer{path, asked, text})
					if next == "" {
						break
					}
					params.Set("after", next)
				}
			}
		}
	}
	return all
}

// same checks that nothing else is said now.
func (w *world) same(ctx context.Context, when string, all []pinnedAnswer) {
	w.t.Helper()
	for _, before := range all {
		text, _, err := w.asked(ctx, before.path, before.params)
		if err != nil {
			w.t.Errorf("%s: %s?%s: %v", when, before.path, before.params.Encode(), err)
		} else if text != before.text {
			w.t.Errorf("%s: %s?%s:\nbefore %s\nafter  %s", when, before.path, before.params.Encode(), before.text, text)
		}
	}
}

// TestPinned asks every view questions about pinned moments and positions, and
// gets the same bytes in every form: while records are appended and folded, after
// that, after a rebuild, from another process, and from tables of an older version.
func TestPinned(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	w.random(40)
	w.catchUp(w.all...)
	w.read()
	asked := w.pin()

	var appending sync.WaitGroup
	appending.Go(func() {
		for range 3 {
			w.random(20)
			w.catchUp(w.all...)
		}
	})
	w.same(t.Context(), "while others append", asked)
	appending.Wait()
	w.reports(50)
	w.same(t.Context(), "before more is folded", asked)
	w.catchUp(w.all...)
	w.same(t.Context(), "after more records", asked)
	for _, p := range w.all {
		w.rebuildWhenFree(p)
	}
	w.same(t.Context(), "after a rebuild", asked)
	w.projector = w.newProjector(postgrestest.Open(t, w.url, postgres.RoleProjector))
	w.same(t.Context(), "asked of another process", asked)
	w.exec(`UPDATE projection SET version = version - 1`)
	w.same(t.Context(), "beside tables of an older version", asked)
}

// TestPages reads every view page by page while records are appended between the
// pages, and gets what the whole answer to the first question would have been.
func TestPages(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	w.random(40)
	for _, path := range w.views() {
		w.catchUp(w.all...)
		w.read()
		params := url.Values{"limit": {"2"}}
		known := w.log[len(w.log)-1]
		asOf := time.Now().Add(time.Hour).Format(time.RFC3339Nano)
		if path == "log/projections" { // asked about now it tells how far they are
			params.Set("as_of", asOf)
		}
		var rows []string
		for {
			text, next, err := w.asked(t.Context(), path, params)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, ndjson(text)...)
			if next == "" {
				break
			}
			params.Set("as_of", asOf)
			params.Set("known", strconv.FormatInt(known.Position, 10))
			params.Set("after", next)
			w.random(2)
			w.catchUp(w.all...)
		}
		params = url.Values{"limit": {"0"}, "as_of": {asOf}, "known": {strconv.FormatInt(known.Position, 10)}}
		whole, _, err := w.asked(t.Context(), path, params)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(rows, "\n"), strings.Join(ndjson(whole), "\n"); got != want {
			t.Errorf("%s, page by page:\n%s\nat once:\n%s", path, got, want)
		}
	}
}

// ndjson returns the lines of the second form in which an answer was written.
func ndjson(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "{") && !strings.HasPrefix(line, `{"view"`) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// TestPinnedOrder checks that what a pinned question is answered does not depend
// on which questions were asked before it, and on what was appended between them.
func TestPinnedOrder(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	w.random(40)
	w.catchUp(w.all...)
	w.read()
	asked := w.pin()
	keys := w.projector.Opener
	rapid.Check(t, func(t *rapid.T) {
		w.projector = postgres.NewProjector(w.db, w.all)
		w.projector.Opener = keys
		for _, before := range rapid.SliceOfN(rapid.SampledFrom(asked), 1, 40).Draw(t, "questions") {
			if rapid.IntRange(0, 20).Draw(t, "append") == 20 {
				w.random(1)
				w.catchUp(w.all...)
			}
			text, _, err := w.asked(w.t.Context(), before.path, before.params)
			if err != nil || text != before.text {
				t.Fatalf("%s?%s: %v\nbefore %s\nafter  %s", before.path, before.params.Encode(), err, before.text, text)
			}
		}
	})
}

// TestRestored has the log go on otherwise from a backup, beside a process that
// remembers the past: it answers from the log that there is.
func TestRestored(t *testing.T) {
	w := newWorld(t, shelf())
	w.reports(6)
	ask := func() string {
		text, _, err := w.asked(t.Context(), "shelf/lines", url.Values{"known": {"4"}, "as_of": {"2099-01-01"}})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(ndjson(text), "\n")
	}
	before := ask()
	owner := postgrestest.Open(t, w.url, postgres.RoleOwner)
	for _, s := range []string{
		`ALTER TABLE log DISABLE TRIGGER ALL`,
		`UPDATE log SET data = replace(data::text, '"remaining":"', '"remaining":"9')::json, root = sha256(root) WHERE position > 2`,
		`ALTER TABLE log ENABLE TRIGGER ALL`,
	} {
		if _, err := owner.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	w.catchUp(w.all...)
	if now := ask(); now == before {
		t.Errorf("the log is another one, and the answer still %s", now)
	}
	if again := ask(); again != ask() {
		t.Errorf("asked again: %s", again)
	}
}
