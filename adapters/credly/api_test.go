package credly_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/credly"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

const (
	noticeID   = "6e6c1093-d3b3-572d-bd66-633ef8ef0e15"
	noticeBody = `{"id":"` + noticeID + `","organization_id":"` + samples.CredlyOrganization + `","event_type":"badge.created","occurred_at":"2026-03-01T14:41:00Z"}`
)

func TestNoticed(t *testing.T) {
	for _, tt := range []struct {
		old, replacement string
		ok               bool
	}{
		{"", "", true},
		{`"event_type":"badge.created",`, "", true},
		{`"event_type":"badge.created"`, `"event_type":["x"]`, true},
		{`,"occurred_at":"2026-03-01T14:41:00Z"`, "", true},
		{`"2026-03-01T14:41:00Z"`, `"soon"`, true},
		{samples.CredlyOrganization, strings.ToUpper(samples.CredlyOrganization), true},
		{"badge.created", "badge.endorsed", false}, // an unknown type needs no answer
		{samples.CredlyOrganization, "other", false},
		{`"` + noticeID + `"`, `null`, false},
		{`"` + noticeID + `"`, `["1"]`, false},
		{noticeID, "a\\nb", false},
		{noticeBody, `[]`, false},
		{noticeBody, ``, false},
	} {
		body := strings.Replace(noticeBody, tt.old, tt.replacement, 1)
		if n, ok := provider(t).Noticed([]byte(body)); ok != tt.ok {
			t.Errorf("%s: %+v, %v", body, n, ok)
		}
	}
}

// TestOneCase wants an event to have one key, however its UUID is written.
func TestOneCase(t *testing.T) {
	p := provider(t)
	upper := strings.Replace(noticeBody, noticeID, strings.ToUpper(noticeID), 1)
	for _, fetched := range []string{"", "events/"} {
		var keys []string
		for _, id := range []string{noticeID, strings.ToUpper(noticeID)} {
			r := domain.Request{Body: []byte(upper)}
			if fetched != "" {
				r = domain.Request{Body: []byte(`{"data":` + upper + `}`), Fetched: fetched + id}
			}
			tr, _ := p.Translate(r)
			keys = append(keys, tr.Key)
		}
		if strings.ToLower(keys[0]) != keys[0] || keys[0] != keys[1] || keys[0] == "" {
			t.Errorf("%q: %q", fetched, keys)
		}
	}
	if n, ok := p.Noticed([]byte(upper)); n.Notice != noticeID || !ok {
		t.Errorf("%+v, %v", n, ok)
	}
	if key := p.AnswerKey("Not-A-UUID"); key != "event/Not-A-UUID" {
		t.Error(key)
	}
}

func TestAsk(t *testing.T) {
	q, fetched := provider(t).Ask(domain.BadgesNoticed{Notice: "../1?a", Organization: "o/1"})
	if want := "organizations/o%2F1/events/..%2F1%3Fa"; q.Path != want || fetched != "events/../1?a" {
		t.Errorf("%s, %s; want %s", q.Path, fetched, want)
	}
}

func TestConfirm(t *testing.T) {
	p := provider(t)
	n, _ := p.Noticed([]byte(noticeBody))
	answer := strings.Replace(`{"data":`+noticeBody+`}`, "14:41:00Z", "14:41:00.999Z", 1)
	if err := p.Confirm(n, []byte(answer)); err != nil {
		t.Error(err)
	}
	vague := domain.BadgesNoticed{Notice: n.Notice, Organization: strings.ToUpper(n.Organization)}
	if err := p.Confirm(vague, []byte(answer)); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		old, replacement string
		code             domain.Code
		want             string
	}{
		{"badge.created", "badge.deleted", domain.Differs, "the type at Credly is not that of the notice"},
		{"14:41:00.999Z", "14:41:01.000Z", domain.Differs, "the time at Credly is not"},
		{samples.CredlyOrganization, "other", domain.Differs, "the organization at Credly is not"},
		{noticeID, "other", domain.Invalid, "the answer is about another event"},
		{`,"occurred_at":"2026-03-01T14:41:00.999Z"`, "", domain.Invalid, "has no occurred_at"},
		{`"event_type":"badge.created",`, "", domain.Invalid, "event_type is missing"},
		{answer, `{"message":"come back later"}`, domain.Invalid, "id is missing"},
		{answer, `<html>`, domain.Invalid, "is not JSON"},
	} {
		err := p.Confirm(n, []byte(strings.Replace(answer, tt.old, tt.replacement, 1)))
		if domain.CodeOf(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %v, want %s: %s", tt.replacement, err, tt.code, tt.want)
		}
	}
}

// TestListPage reads the sample page: every row is a notice of its event.
func TestListPage(t *testing.T) {
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s samples.Sample) bool { return strings.HasSuffix(s.File, "_list_page.json") })
	page, err := credly.Lists{Organizations: []string{samples.CredlyOrganization}}.Split("events", 1, all[i].Body)
	if err != nil || len(page.Rows) != 2 || page.Next != 0 || page.Total != 2 {
		t.Fatalf("%d rows, next %d, total %d, %v", len(page.Rows), page.Next, page.Total, err)
	}
	for _, row := range page.Rows {
		n, ok := provider(t).Noticed(row.Body)
		if !ok || n.Notice != row.ID || n.EventType == "" || n.NoticedAt.IsZero() {
			t.Errorf("%s: %+v, %v", row.ID, n, ok)
		}
	}
}
