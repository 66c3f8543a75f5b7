package projections_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

type guest struct{ seat, name, note string }

// guests has two personal columns. The tokens of these tests are "sealed.1." and
// the text; a text that starts with "-" has no key any more.
var (
	guests = projections.NewKeyed("guests", 1,
		projections.Text("seat", func(r *guest) *string { return &r.seat }),
		projections.Personal("name", func(r *guest) *string { return &r.name }),
		projections.Personal("note", func(r *guest) *string { return &r.note }))
	guestList = projections.NewView("guests", "Guests", guests, "seat", "name", "note")
)

// keys opens the tokens of these tests, and notes how often it was asked.
type keys struct {
	calls [][]string
	err   error
}

func (k *keys) Open(_ context.Context, tokens []string) ([]string, error) {
	k.calls = append(k.calls, slices.Clone(tokens))
	texts := make([]string, len(tokens))
	for i, t := range tokens {
		texts[i] = strings.TrimPrefix(t, "sealed.1.")
		if strings.HasPrefix(texts[i], "-") {
			texts[i] = projections.Erased
		}
	}
	return texts, k.err
}

// seated has one row per guest, in the order given.
func seated(all ...guest) *projections.Memory {
	m := projections.NewMemory(&projections.Projection{Tables: []projections.Table{guests}})
	for i, g := range all {
		g.seat = fmt.Sprintf("%05d", i)
		m.Put(guests, g.seat, &g)
	}
	return m
}

// names asks the guest list and returns the second column, page by page.
func names(t *testing.T, m *projections.Memory, open projections.Opener, query string) (pages []string) {
	t.Helper()
	params, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	for {
		q, err := projections.ParseQuery(guestList, params)
		if err != nil {
			t.Fatal(err)
		}
		page, err := guestList.Ask(t.Context(), m, open, q, 0)
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		for _, row := range page.Rows {
			shown = append(shown, row[1].Text)
		}
		pages = append(pages, strings.Join(shown, " "))
		if page.Next == "" {
			return pages
		}
		params.Set("after", page.Next)
	}
}

// TestOpen checks what is shown of personal texts, and that a filter is about
// what is shown.
func TestOpen(t *testing.T) {
	m := seated(
		guest{name: "sealed.1.Ann"}, guest{name: "sealed.1.-"}, guest{}, guest{name: "Ltd"},
		guest{name: "sealed.1.Bob"}, guest{name: "sealed.1.Ann", note: "sealed.1.vegan"},
	)
	for _, test := range []struct {
		open  projections.Opener
		query string
		want  []string
	}{
		{&keys{}, "", []string{"Ann [erased]  Ltd Bob Ann"}},
		{nil, "", []string{"[sealed] [sealed]  Ltd [sealed] [sealed]"}},
		{&keys{}, "limit=2", []string{"Ann [erased]", " Ltd", "Bob Ann"}},
		{&keys{}, "name=Ann", []string{"Ann Ann"}},
		{&keys{}, "name=Ann&limit=1", []string{"Ann", "Ann"}},
		{&keys{}, "name=Ann&note=vegan", []string{"Ann"}},
		{&keys{}, "name=Ann&seat=00000", []string{"Ann"}},
		{&keys{}, "name=[erased]", []string{"[erased]"}},
		{&keys{}, "name=", []string{""}},
		{&keys{}, "name=sealed.1.Ann", []string{""}},
		{nil, "name=Ann", []string{""}},
		{nil, "name=Ltd", []string{"Ltd"}},
	} {
		if got := names(t, m, test.open, test.query); !slices.Equal(got, test.want) {
			t.Errorf("guests?%s: %q, want %q", test.query, got, test.want)
		}
	}
}

// TestOpenInChunks checks that many rows are opened together, each token once,
// and that no more are than are asked for.
func TestOpenInChunks(t *testing.T) {
	all := make([]guest, 3*projections.OpenAtOnce)
	for i := range all {
		all[i] = guest{name: "sealed.1.Ann", note: fmt.Sprintf("sealed.1.%d", i)}
	}
	m := seated(all...)
	var k keys
	names(t, m, &k, "limit=0")
	if len(k.calls) != 3 || len(k.calls[0]) != 1+projections.OpenAtOnce {
		t.Errorf("asked %d times, at first for %d", len(k.calls), len(k.calls[0]))
	}
	k = keys{}
	for _, err := range guestList.Stream(t.Context(), m, &k, projections.Query{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if len(k.calls) != 1 {
		t.Errorf("one row: asked %d times", len(k.calls))
	}
}

// TestOpenFails checks that an answer is never given with a text that could not be
// opened for another reason than that its key is gone.
func TestOpenFails(t *testing.T) {
	m := seated(guest{name: "sealed.1.Ann"})
	broken := errors.New("no connection")
	if _, err := guestList.Ask(t.Context(), m, &keys{err: broken}, projections.Query{}, 0); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := guestList.Ask(t.Context(), m, shortKeys{}, projections.Query{}, 0); err == nil {
		t.Error("no text for a token, and no error")
	}
}

type shortKeys struct{}

func (shortKeys) Open(context.Context, []string) ([]string, error) { return nil, nil }

// TestPersonalStaysHere checks that no source is asked about a personal text: a
// database would be told it, and its logs would keep it.
func TestPersonalStaysHere(t *testing.T) {
	q, err := projections.ParseQuery(guestList, url.Values{"name": {"Ann"}, "seat": {"00001"}, "limit": {"5"}})
	if err != nil {
		t.Fatal(err)
	}
	s := guestList.Selection(q, 0)
	if len(s.Filter) != 1 || s.Filter[0].Cell.Text != "00001" || s.Limit != 0 {
		t.Errorf("the source is asked %+v", s)
	}
	_, err = projections.ParseQuery(guestList, url.Values{"sort": {"-name"}})
	var e *domain.Error
	if !errors.As(err, &e) || e.Code != domain.Invalid || !strings.Contains(e.Hint, "name=…") || !strings.Contains(e.Hint, "one of: seat.") {
		t.Errorf("sorted by a name: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a personal column is a key")
		}
	}()
	projections.NewKeyed("t", 1, projections.Personal("name", func(r *guest) *string { return &r.name }))
}
