package thinkific_test

import (
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/thinkific"
	"github.com/daybook-ledger/daybook/domain"
)

func TestSplit(t *testing.T) {
	var l thinkific.Lists
	const first = `{"items":[{"id":1,"x":0.10}, {"id":"b"}],"meta":{"pagination":{"current_page":1,"next_page":2,"prev_page":null,"total_pages":2,"total_items":3}}}`
	page, err := l.Split("users", 1, []byte(first))
	if err != nil || page.Next != 2 || page.Total != 3 || len(page.Rows) != 2 || string(page.Rows[0].Body) != `{"id":1,"x":0.10}` || page.Rows[1].ID != "b" {
		t.Errorf("%+v, %v", page, err)
	}
	for _, last := range []string{`{"items":[],"meta":{"pagination":{"next_page":null}}}`, `{"items":[],"meta":{"pagination":{}}}`} {
		if page, err := l.Split("users", 2, []byte(last)); err != nil || page.Next != 0 || page.Total != 0 {
			t.Errorf("%s: %+v, %v", last, page, err)
		}
	}
	for body, want := range map[string]string{
		`{"items":{}}`: "items is not a list",
		`{"items":[]}`: "meta/pagination is missing",
		`[]`:           "body is not an object",
		``:             "body is empty",
		`{"items":[],"meta":{"pagination":{"next_page":1}}}`:                     "meta/pagination/next_page is not a page after 2",
		`{"items":[],"meta":{"pagination":{"next_page":"x"}}}`:                   "meta/pagination/next_page is not a count",
		`{"items":[],"meta":{"pagination":{"next_page":null,"total_items":-1}}}`: "meta/pagination/total_items is not a count",
	} {
		if _, err := l.Split("users", 2, []byte(body)); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

func TestList(t *testing.T) {
	var l thinkific.Lists
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	q, err := l.List("enrollments", 3, since)
	if err != nil || q.Path != "enrollments" || q.Values.Encode() != "limit=250&page=3&query%5Bupdated_after%5D=2026-03-01T10%3A00%3A00Z" || q.Body != nil {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := l.List("orders", 1, since); domain.CodeOf(err) != domain.Usage {
		t.Errorf("%v", err)
	}
	if perMinute, atOnce := l.Pace(); perMinute != 120 || atOnce != 10 {
		t.Errorf("%d a minute, %d at once", perMinute, atOnce)
	}
}
