package fetch

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// numbers is a provider with one list.
type numbers struct{}

func (numbers) Resources() []string           { return []string{"numbers"} }
func (numbers) Pace() (perMinute, atOnce int) { return 60_000, 1 }

func (numbers) List(_ string, page int64, _ time.Time) (domain.Query, error) {
	return domain.Query{Path: "numbers", Values: url.Values{"page": {strconv.FormatInt(page, 10)}}}, nil
}

func (numbers) Split(_ string, _ int64, body []byte) (domain.Page, error) {
	var answer struct {
		IDs  []string
		Next int64
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return domain.Page{}, domain.Errorf(domain.Invalid, "numbers", "%w", err)
	}
	page := domain.Page{Next: answer.Next}
	for _, id := range answer.IDs {
		page.Rows = append(page.Rows, domain.Row{ID: id, Body: []byte(id)})
	}
	return page, nil
}

func TestWalk(t *testing.T) {
	for name, test := range map[string]struct {
		pages []string
		from  int64
		want  []string
		code  domain.Code
	}{
		"three":           {[]string{`{"ids":["1","2"],"next":2}`, `{"ids":["3"],"next":3}`, `{"ids":["4"]}`}, 1, []string{"1", "2", "3", "4"}, ""},
		"from the middle": {[]string{``, `{"ids":["3"],"next":3}`, `{"ids":["4"]}`}, 2, []string{"3", "4"}, ""},
		"an empty page":   {[]string{`{"ids":["1"],"next":2}`, `{"next":3}`, `{"ids":["4"]}`}, 1, []string{"1", "4"}, ""},
		"nothing":         {[]string{`{}`}, 1, nil, ""},
		"rows that moved": {[]string{`{"ids":["1","2"],"next":2}`, `{"ids":["2","3"]}`}, 1, []string{"1", "2", "2", "3"}, ""},
		"the same again":  {[]string{`{"ids":["1","2"],"next":2}`, `{"ids":["2","1"],"next":3}`}, 1, []string{"1", "2"}, domain.Invalid},
		"a circle":        {[]string{`{"ids":["1"],"next":2}`, `{"ids":["2"],"next":3}`, `{"ids":["3"],"next":2}`}, 1, []string{"1", "2", "3"}, domain.Invalid},
		"back and forth":  {[]string{`{"ids":["1"],"next":2}`, `{"ids":["2"],"next":3}`, `{"ids":["1"],"next":4}`}, 1, []string{"1", "2"}, domain.Invalid},
		"empty for ever":  {[]string{`{"ids":["1"],"next":2}`, `{"next":3}`, `{"next":4}`}, 1, []string{"1"}, domain.Invalid},
		"empty parts":     {[]string{`{"next":3}`, ``, `{"next":5}`, ``, `{"ids":["1"]}`}, 1, []string{"1"}, ""},
		"no ids":          {[]string{`{"ids":["",""],"next":2}`, `{"ids":[""]}`}, 1, []string{"", "", ""}, ""},
		"no page":         {[]string{`{"ids":["1"],"next":2}`, `[]`}, 1, []string{"1"}, domain.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
				n, _ := strconv.Atoi(r.URL.Query().Get("page"))
				_, _ = io.WriteString(w, test.pages[n-1])
			})
			var got []string
			err := client.Walk(t.Context(), numbers{}, "numbers", test.from, time.Time{}, func(_ int64, p domain.Page) error {
				for _, row := range p.Rows {
					got = append(got, row.ID)
				}
				return nil
			})
			if domain.CodeOf(err) != test.code || !slices.Equal(got, test.want) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	t.Run("not taken", func(t *testing.T) {
		client := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ids":["1"],"next":2}`) })
		full := errors.New("full")
		if err := client.Walk(t.Context(), numbers{}, "numbers", 1, time.Time{}, func(int64, domain.Page) error { return full }); !errors.Is(err, full) {
			t.Error(err)
		}
	})
}
