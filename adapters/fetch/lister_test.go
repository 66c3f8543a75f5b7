package fetch

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// numbers is a provider whose one list has numbered pages.
type numbers struct{}

func (numbers) Resources() []string { return []string{"numbers"} }

func (numbers) List(_, cursor string, _ time.Time) (domain.Query, error) {
	return domain.Query{Path: "numbers", Values: url.Values{"page": {cursor}}}, nil
}

func (numbers) Split(_, _ string, body []byte) (domain.Page, error) {
	var answer struct {
		IDs  []string
		Next string
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
		pages map[string]string
		from  string
		want  []string
		code  domain.Code
	}{
		"three":           {map[string]string{"": `{"ids":["1","2"],"next":"b"}`, "b": `{"ids":["3"],"next":"c"}`, "c": `{"ids":["4"]}`}, "", []string{"1", "2", "3", "4"}, ""},
		"from the middle": {map[string]string{"b": `{"ids":["3"],"next":"c"}`, "c": `{"ids":["4"]}`}, "b", []string{"3", "4"}, ""},
		"an empty page":   {map[string]string{"": `{"ids":["1"],"next":"b"}`, "b": `{"next":"c"}`, "c": `{"ids":["4"]}`}, "", []string{"1", "4"}, ""},
		"nothing":         {map[string]string{"": `{}`}, "", nil, ""},
		"rows that moved": {map[string]string{"": `{"ids":["1","2"],"next":"b"}`, "b": `{"ids":["2","3"]}`}, "", []string{"1", "2", "2", "3"}, ""},
		"the same again":  {map[string]string{"": `{"ids":["1","2"],"next":"b"}`, "b": `{"ids":["2","1"],"next":"c"}`}, "", []string{"1", "2"}, domain.Invalid},
		"a circle":        {map[string]string{"": `{"ids":["1"],"next":"b"}`, "b": `{"ids":["2"],"next":"c"}`, "c": `{"ids":["3"],"next":"b"}`}, "", []string{"1", "2", "3"}, domain.Invalid},
		"no page":         {map[string]string{"": `{"ids":["1"],"next":"b"}`, "b": `[]`}, "", []string{"1"}, domain.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, test.pages[r.URL.Query().Get("page")])
			})
			var got []string
			err := client.Walk(t.Context(), numbers{}, "numbers", test.from, time.Time{}, func(p domain.Page) error {
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
		client := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ids":["1"],"next":"b"}`) })
		full := errors.New("full")
		if err := client.Walk(t.Context(), numbers{}, "numbers", "", time.Time{}, func(domain.Page) error { return full }); !errors.Is(err, full) {
			t.Error(err)
		}
	})
}
