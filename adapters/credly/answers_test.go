package credly_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// received is when everything that was fetched came.
var received = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// answerSamples returns what the sample API answers about single events.
func answerSamples(t testing.TB) []samples.Sample {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(s samples.Sample) bool {
		return s.Kind != samples.EventsAPIResponse || strings.HasPrefix(filepath.Base(s.File), "_")
	})
	if len(all) != 29 {
		t.Fatalf("%d answers, not 29", len(all))
	}
	return all
}

// fetched returns the answer as it is recorded.
func fetched(t testing.TB, body []byte) domain.Request {
	t.Helper()
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	return domain.Request{Fetched: "events/" + answer.Data.ID, Body: body, ReceivedAt: received}
}

func answers(t testing.TB) []domain.Request {
	t.Helper()
	var requests []domain.Request
	for _, s := range answerSamples(t) {
		requests = append(requests, fetched(t, s.Body))
	}
	return requests
}

// rows returns the objects of the answers as rows of the lists they would be in.
func rows(t testing.TB) []domain.Request {
	t.Helper()
	var requests []domain.Request
	for _, s := range answerSamples(t) {
		var answer struct {
			Data map[string]json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(s.Body, &answer); err != nil {
			t.Fatal(err)
		}
		for member, resource := range map[string]string{"badge": "badges", "badge_template": "badge_templates", "employment": "employees"} {
			if row := answer.Data[member]; row != nil {
				requests = append(requests, domain.Request{Fetched: resource + "/1", Body: row, ReceivedAt: received})
			}
		}
	}
	slices.SortFunc(requests, func(a, b domain.Request) int {
		return strings.Compare(a.Fetched+string(a.Body), b.Fetched+string(b.Body))
	})
	return requests
}

// TestAnswers fixes what becomes of every answer.
func TestAnswers(t *testing.T) {
	p := provider(t)
	var b strings.Builder
	for _, s := range answerSamples(t) {
		tr, err := p.Translate(fetched(t, s.Body))
		fmt.Fprintf(&b, "== %s\n# %s\n%s\n", s.File, s.Expect, intaketest.Describe(tr, err))
		if tr.Topic != s.Topic || err != nil {
			t.Errorf("%s: topic %q, %v; want %q", s.File, tr.Topic, err, s.Topic)
		}
	}
	intaketest.Golden(t, "testdata/answers.golden", b.String())
}

// TestRows fixes what becomes of every row of a list, each once.
func TestRows(t *testing.T) {
	p := provider(t)
	var b strings.Builder
	seen := make(map[string]bool)
	for _, r := range rows(t) {
		intaketest.Check(t, p, r)
		tr, err := p.Translate(r)
		if seen[tr.Key] {
			continue
		}
		seen[tr.Key] = true
		fmt.Fprintf(&b, "%s\n", intaketest.Describe(tr, err))
	}
	intaketest.Golden(t, "testdata/rows.golden", b.String())
}

// TestAnswersAreNotBelieved sends what the API would answer as a webhook.
func TestAnswersAreNotBelieved(t *testing.T) {
	for _, r := range answers(t) {
		r.Fetched = ""
		if tr, err := provider(t).Translate(r); err == nil || len(tr.Facts) > 0 {
			t.Errorf("%.80s: %d facts, %v", r.Body, len(tr.Facts), err)
		}
	}
}

func TestAnswerRules(t *testing.T) {
	const (
		id    = "6e6c1093-d3b3-572d-bd66-633ef8ef0e15"
		head  = `"id":"` + id + `","organization_id":"` + samples.CredlyOrganization + `","occurred_at":"2026-03-01T14:41:00.000Z"`
		badge = `{"id":"b","state":"accepted","state_updated_at":"2026-03-01T10:00:00Z","badge_template":{"id":"t"}}`
		brief = `{"id":"b","state":"accepted","badge_template":{"id":"t"}}`
		emp   = `{"id":"e","email":"a@example.com","external_id":"HR-1"}`
	)
	list := func(badges string) string { return strings.TrimSuffix(emp, "}") + `,"badges":[` + badges + `]}` }
	for _, tt := range []struct{ name, eventType, object, want string }{
		{"a badge under another name", "badge.state.changed", `"issued_badge":` + badge, `"badge":"b"`},
		{"no badge", "badge.state.changed", `"user":{"id":"1"}`, "error credly: translate badge.state.changed: data/badge is missing"},
		{"a template is no badge", "badge.created", `"badge_template":{"id":"t","state":"active"}`, "data/badge is missing"},
		{"no clock", "badge.created", `"badge":` + brief, `"state_updated_at":"2026-03-01T14:41:00Z"`},
		{"never expires", "badge.created", `"badge":` + badge, `"state_updated_at":"2026-03-01T10:00:00Z"} -`},
		{"expires, a date only", "badge.created", `"badge":` + with(badge, `"expires_at_date":"2029-03-01"`), `"expires_at":"2029-03-01T23:59:59.999999Z"`},
		{"expires, nobody can say when", "badge.created", `"badge":` + with(badge, `"expires_at":"soon"`), `data/badge/expires_at is not a date or a time`},
		{"no state", "badge.created", `"badge":{"id":"b","badge_template":{"id":"t"}}`, "data/badge/state is missing"},
		{"no template", "badge.created", `"badge":{"id":"b","state":"accepted"}`, "data/badge/badge_template/id is missing"},
		{"an odd user", "badge.created", `"badge":` + with(badge, `"user":{"id":["1"]}`), "flag odd-field:data/badge/user/id"},

		{"deleted, all there", "badge.deleted", `"badge":` + badge, `badges.reported.v1 {"badge":"b"`},
		{"deleted, its id only", "badge.deleted", `"badge":{"id":"b"}`, `badges.deleted.v1 {"badge":"b","deleted_at":"2026-03-01T14:41:00Z"}`},
		{"deleted, only named", "badge.deleted", `"badge_id":"b"`, `badges.deleted.v1 {"badge":"b"`},
		{"deleted, but which", "badge.deleted", `"user":{"id":"1"}`, "data/badge_id is missing"},

		{"somebody else's template deleted", "badge_template.deleted", `"badge_template":{"id":"t","owner":{"id":"other"}}`, "data/badge_template/owner/id is not one of"},
		{"a template deleted", "badge_template.deleted", `"badge_template":{"id":"t"}`, `directory.item-removed.v1 {"item_type":"badge-template","item":"t"}`},
		{"no template object", "badge_template.changed", `"badge":` + badge, "data/badge_template is not an object"},

		{"no list is not an empty list", "employment.connection.accepted", `"employment":` + emp, "no badges.listed"},
		{"an empty list", "employment.connection.accepted", `"employment":` + list(""), `"whole":true} -`},
		{"a list that is none", "employment.created", `"employment":` + with(emp, `"badges":"none"`), "data/employment/badges is not a list"},
		{"removed, and still in the list", "employment.badges.removed", `"employment":` + list(brief) + `,"badge":` + brief, `"badges":[{"badge":"b","visible":false,`},
		{"removed, and no list", "employment.badges.removed", `"employment":` + emp + `,"badge":` + brief, `"listed_at":"2026-03-01T14:41:00Z","badges":[{"badge":"b","visible":false,`},
		{"removed, but which", "employment.badges.removed", `"employment":` + list(""), "data/badge is missing"},
		{"added, and twice in the list", "employment.badges.added", `"employment":` + list(brief+","+brief) + `,"badge":` + brief, `"badges":[{"badge":"b","visible":true,"template":"t","state":"accepted"}]}`},
		{"no employee", "employment.created", `"badge":` + badge, "data/employment is not an object"},

		{"nothing to keep", "user.public_badges.added", `"badge":` + badge, "reason nothing in it is kept"},
		{"a new type", "badge.endorsed", `"badge":` + badge, "reason unknown topic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := domain.Request{Fetched: "events/" + id, ReceivedAt: received, Body: []byte(`{"data":{` + head + `,"event_type":"` + tt.eventType + `",` + tt.object + `},"metadata":{}}`)}
			intaketest.Check(t, provider(t), r)
			got := intaketest.Describe(provider(t).Translate(r))
			if none, ok := strings.CutPrefix(tt.want, "no "); ok {
				if strings.Contains(got, none) {
					t.Errorf("%s\nhas %s", got, none)
				}
			} else if !strings.Contains(got, tt.want) {
				t.Errorf("%s\nhas no %s", got, tt.want)
			}
			if want := "key event/" + id; !strings.Contains(got, want) {
				t.Errorf("%s\nhas no %s", got, want)
			}
		})
	}
}

// with adds a member to an object.
func with(object, member string) string { return strings.TrimSuffix(object, "}") + "," + member + "}" }

// TestAnswerToSomethingElse checks that an answer which is not about what was
// asked for, or not ours, is not booked.
func TestAnswerToSomethingElse(t *testing.T) {
	good := `{"data":{"id":"1","event_type":"badge.deleted","organization_id":"` + samples.CredlyOrganization + `","occurred_at":"2026-03-01T14:41:00Z","badge":{"id":"b"}}}`
	for old, tt := range map[string]struct{ replacement, want string }{
		`"id":"1"`:                       {`"id":"2"`, "data/id is not the event that was asked for"},
		`"id":"1",`:                      {``, "data/id is missing"},
		samples.CredlyOrganization:       {"other", "data/organization_id is not one of this source's organizations"},
		`"2026-03-01T14:41:00Z"`:         {`null`, "data/occurred_at is missing"},
		`"event_type":"badge.deleted",`:  {``, "data/event_type is missing"},
		`{"data":`:                       {`{"errors":`, "data is not an object"},
		good:                             {`<html>`, "body is not JSON"},
		`"badge":{"id":"b"}`:             {`"badge":{"id":true}`, "data/badge/id is not an id"},
		`"occurred_at":"2026-03-01T14:4`: {`"occurred_at":"2026-13-01T14:4`, "data/occurred_at is"},
	} {
		r := domain.Request{Fetched: "events/1", ReceivedAt: received, Body: []byte(strings.Replace(good, old, tt.replacement, 1))}
		tr, err := provider(t).Translate(r)
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(tr.Facts) > 0 || tr.Key != "event/1" {
			t.Errorf("%s: %v, key %q, want %q", r.Body, err, tr.Key, tt.want)
		}
	}
}
