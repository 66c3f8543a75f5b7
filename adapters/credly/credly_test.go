package credly_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/credly"
	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

const token = "6a1f0c52d9e84b7f"

func TestProvider(t *testing.T) {
	intaketest.Run(t, intaketest.Suite{
		New: func(secrets ...string) (intaketest.Provider, error) {
			return credly.New(credly.Config{Secrets: secrets, Organizations: []string{samples.CredlyOrganization}})
		},
		Secrets: [2]string{token, "another-token"},
		Sign:    credly.Sign,
		Request: domain.Request{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{}`)},
		More:    append(intaketest.Requests(t, "credly"), answers(t)...),
	})
}

func provider(t testing.TB) *credly.Provider {
	t.Helper()
	p, err := credly.New(credly.Config{Secrets: []string{token}, Organizations: []string{samples.CredlyOrganization}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSamples fixes what becomes of every sample.
func TestSamples(t *testing.T) {
	p := provider(t)
	intaketest.Samples(t, "credly", func(s samples.Sample, r domain.Request) string {
		tr, err := p.Translate(r)
		if tr.Topic != s.Topic {
			t.Errorf("%s: topic %q, want %q", s.File, tr.Topic, s.Topic)
		}
		return intaketest.Describe(tr, err)
	})
}

// TestEveryEventType sends a notice of each of the 24 types that the samples know.
func TestEveryEventType(t *testing.T) {
	noticed := make(map[string]bool)
	for _, r := range intaketest.Requests(t, "credly") {
		tr, err := provider(t).Translate(r)
		if err == nil && len(tr.Facts) == 1 {
			noticed[tr.Topic] = true
		}
	}
	if len(noticed) != 24 {
		t.Errorf("%d event types become a notice, not 24", len(noticed))
	}
}

func TestTranslate(t *testing.T) {
	const (
		id   = "6e6c1093-d3b3-572d-bd66-633ef8ef0e15"
		good = `"id":"` + id + `","organization_id":"` + samples.CredlyOrganization + `","event_type":"badge.created","occurred_at":"2026-03-01T14:41:00Z"`
	)
	without := func(member string) string {
		cut := regexp.MustCompile(`"`+member+`":"[^"]*",?`).ReplaceAllString(good, "")
		return strings.TrimSuffix(cut, ",")
	}
	with := func(member, value string) string { return without(member) + `,"` + member + `":` + value }
	for _, tt := range []struct{ name, body, key, reason, wrong string }{
		{"good", good, id, "", ""},
		{"more members", good + `,"data":{"badge":1}`, id, "", ""},
		{"organization in capitals", with("organization_id", `"`+strings.ToUpper(samples.CredlyOrganization)+`"`), id, "", ""},
		{"time with an offset", with("occurred_at", `"2014-04-01 09:41:00 -0500"`), id, "", ""},
		{"unknown type", with("event_type", `"badge.endorsed"`), id, "unknown topic", ""},
		{"type in capitals", with("event_type", `"BADGE.CREATED"`), id, "unknown topic", ""},
		{"unknown type without an id", strings.Replace(without("id"), "badge.created", "x", 1), "", "unknown topic", ""},
		{"no type", without("event_type"), id, "", "event_type is missing"},
		{"no organization", without("organization_id"), id, "", "organization_id is missing"},
		{"other organization", with("organization_id", `"00000000-0000-0000-0000-000000000000"`), id, "", "organization_id is not one of this source's organizations"},
		{"other organization and unknown type", `"id":"1","event_type":"x","organization_id":"2"`, "1", "", "organization_id is not one"},
		{"no id", without("id"), "", "", "id is missing"},
		{"no time", without("occurred_at"), id, "", "occurred_at is missing"},
		{"no real time", with("occurred_at", `"soon"`), id, "", `occurred_at is not a date`},
		{"type is a list", with("event_type", `["badge.created"]`), id, "", "event_type is not a text"},
		{"id with a newline", with("id", `"a\nb"`), "a%0Ab", "", "notice has a control character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr, err := provider(t).Translate(domain.Request{Body: []byte("{" + tt.body + "}")})
			if tr.Key != tt.key || tr.Reason != tt.reason {
				t.Errorf("key %q, reason %q; want %q, %q", tr.Key, tr.Reason, tt.key, tt.reason)
			}
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), ": "+tt.wrong) {
				t.Errorf("error %v, want %q", err, tt.wrong)
			}
			if facts := tt.wrong == "" && tt.reason == ""; facts != (len(tr.Facts) == 1) {
				t.Errorf("facts %+v", tr.Facts)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	p, err := credly.New(credly.Config{Secrets: []string{"old", "new"}, Organizations: []string{"1"}})
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{
		"old": "url token, secret 1", "new": "url token, secret 2", "": "", "ol": "", "oldnew": "", "OLD": "",
	} {
		// Whose notice it is matters to Translate, not to Verify: the request is
		// authentic, so it is recorded.
		how, err := p.Verify(domain.Request{Token: token, Body: []byte(`{"organization_id":"2"}`)})
		if how != want || (err == nil) != (want != "") {
			t.Errorf("token %q: %q, %v; want %q", token, how, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]credly.Config{
		"no organization":     {Secrets: []string{token}},
		"empty organization":  {Secrets: []string{token}, Organizations: []string{"1", " "}},
		"secret with a slash": {Secrets: []string{"a/b"}, Organizations: []string{"1"}},
		"three secrets":       {Secrets: []string{"a", "b", "c"}, Organizations: []string{"1"}},
		"blank secret":        {Secrets: []string{" "}, Organizations: []string{"1"}},
		"no secret":           {Organizations: []string{"1"}},
	} {
		_, err := credly.New(c)
		if domain.CodeOf(err) != domain.Usage || domain.HintOf(err) == "" {
			t.Errorf("%s: %v, want code %q and a hint", name, err, domain.Usage)
		}
	}
}

// FuzzAnswer is [FuzzTranslate] for what the API answers.
func FuzzAnswer(f *testing.F) {
	for _, r := range append(answers(f), rows(f)...) {
		f.Add(r.Fetched, r.Body)
	}
	p := provider(f)
	f.Fuzz(func(t *testing.T, fetched string, body []byte) {
		if len(fetched) > 200 || fetched == "" {
			t.Skip() // our own fetcher does not ask for such
		}
		intaketest.Check(t, p, domain.Request{Fetched: fetched, Body: body, ReceivedAt: received})
	})
}

func FuzzTranslate(f *testing.F) {
	for _, r := range intaketest.Requests(f, "credly") {
		f.Add(r.Body)
	}
	p := provider(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		intaketest.Check(t, p, domain.Request{Body: body})
	})
}
