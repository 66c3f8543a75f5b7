package credly_test

import (
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/credly"
	"github.com/daybook-ledger/daybook/domain"
)

func TestPages(t *testing.T) {
	one, two := credly.Lists{Organizations: []string{"a"}}, credly.Lists{Organizations: []string{"a", "b/c"}}
	const rows = `{"data":[{"id":"x"}],"metadata":`
	for _, tt := range []struct {
		name string
		l    credly.Lists
		page int64
		body string
		next int64
	}{
		{"more pages", one, 1, rows + `{"current_page":1,"total_pages":2,"total_count":60}}`, 2},
		{"the last page", one, 2, rows + `{"current_page":2,"total_pages":2,"total_count":60}}`, 0},
		{"pages as text", one, 1, rows + `{"total_pages":"2"}}`, 2},
		{"a next page", one, 4, rows + `{"next_page_url":"https://evil.example.com/?page=9"}}`, 5},
		{"no next page", one, 4, rows + `{"next_page_url":null,"count":1}}`, 0},
		{"metadata without pages", one, 4, rows + `{"count":50,"current_page":4}}`, 5},
		{"no metadata, rows", one, 4, rows + `{}}`, 5},
		{"no metadata at all, rows", one, 4, `{"data":[{"id":"x"}]}`, 5},
		{"no metadata, no rows", one, 4, `{"data":[],"metadata":{}}`, 0},
		{"the other organization", two, 2, rows + `{"total_pages":2}}`, 1_000_001},
		{"the end of the other one", two, 1_000_002, rows + `{"total_pages":2}}`, 0},
		{"the middle of the other one", two, 1_000_001, rows + `{"total_pages":2}}`, 1_000_002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, err := tt.l.Split("badges", tt.page, []byte(tt.body))
			if err != nil || page.Next != tt.next {
				t.Errorf("%+v, %v", page, err)
			}
		})
	}
	for page, want := range map[int64]string{1: "organizations/a/badges?page=1", 2: "organizations/a/badges?page=2", 1_000_001: "organizations/b%2Fc/badges?page=1"} {
		if q, err := two.List("badges", page, time.Time{}); err != nil || q.Path+"?"+q.Values.Encode() != want {
			t.Errorf("%d: %+v, %v", page, q, err)
		}
	}
	for _, page := range []int64{0, -1, 2_000_001} {
		if _, err := two.List("badges", page, time.Time{}); domain.CodeOf(err) != domain.Usage {
			t.Errorf("%d: %v", page, err)
		}
	}
	if _, err := (credly.Lists{}).List("badges", 1, time.Time{}); domain.CodeOf(err) != domain.Usage {
		t.Errorf("without an organization: %v", err)
	}
	if _, err := one.Split("badges", 1, []byte(`{"message":"x"}`)); domain.CodeOf(err) != domain.Invalid {
		t.Error(err)
	}
}
