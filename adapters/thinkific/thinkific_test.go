package thinkific_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/adapters/thinkific"
	"github.com/daybook-ledger/daybook/domain"
)

func newProvider(secrets ...string) (intaketest.Provider, error) {
	return thinkific.New(thinkific.Config{Secrets: secrets, DefaultCurrency: "usd"})
}

func request(topic, body string) domain.Request {
	return domain.Request{Header: http.Header{"X-Thinkific-Topic": {topic}}, Body: []byte(body)}
}

// event returns a request with an envelope around the payload.
func event(topic, payload string) domain.Request {
	resource, action, _ := strings.Cut(topic, ".")
	return request(topic, fmt.Sprintf(
		`{"id":20260301091756020665195,"resource":%q,"action":%q,"created_at":"2026-03-15T09:00:00.000Z","payload":%s}`,
		resource, action, payload))
}

func provider(t testing.TB, currency string) *thinkific.Provider {
	t.Helper()
	p, err := thinkific.New(thinkific.Config{Secrets: []string{samples.ThinkificKey}, DefaultCurrency: currency})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// translate returns what a request that must be read says.
func translate[E domain.Event](t *testing.T, p *thinkific.Provider, r domain.Request) (E, domain.Translation) {
	t.Helper()
	tr, err := p.Translate(r)
	if err != nil || len(tr.Facts) != 1 {
		t.Fatalf("%d facts, reason %q, %v", len(tr.Facts), tr.Reason, err)
	}
	e, ok := tr.Facts[0].Event.(E)
	if !ok {
		t.Fatalf("a %s", tr.Facts[0].Event.Kind())
	}
	return e, tr
}

func TestProvider(t *testing.T) {
	intaketest.Run(t, intaketest.Suite{
		New:     newProvider,
		Secrets: [2]string{samples.ThinkificKey, "another"},
		Sign:    thinkific.Sign,
		Header:  "X-Thinkific-Hmac-Sha256",
		Signs:   true,
		Same:    strings.EqualFold, // hexadecimal
		Request: event("plan.updated", "{}"),
		More:    intaketest.Requests(t, "thinkific"),
	})
}

func TestSamples(t *testing.T) {
	p := provider(t, "USD")
	intaketest.Samples(t, "thinkific", func(_ samples.Sample, r domain.Request) string {
		return intaketest.Verified(t, p, r)
	})
}

func TestDefaultCurrencyRefused(t *testing.T) {
	_, err := thinkific.New(thinkific.Config{Secrets: []string{"x"}, DefaultCurrency: "dollars"})
	if domain.CodeOf(err) != domain.Usage {
		t.Errorf("%v", err)
	}
}

// TestQuarantine lists bodies that cannot be booked and the field that is named
// for each.
func TestQuarantine(t *testing.T) {
	for _, tt := range []struct {
		r    domain.Request
		want string
	}{
		{request("enrollment.created", ``), "body is empty"},
		{request("enrollment.created", `[]`), "body is not an object"},
		{request("", `{"action":"created","payload":{}}`), "resource is missing"},
		{request("", `{"resource":"user","payload":{}}`), "action is missing"},
		{request("", `{"resource":"user","action":"signup"}`), "payload is missing"},
		{event("user.signup", `null`), "payload is missing"},
		{event("user.signup", `[]`), "payload is not an object"},
		{event("user.signup", `{}`), "payload/id is missing"},
		{event("enrollment.created", `{"user":{"id":1}}`), "payload/course/id is missing"},
		{event("enrollment.completed", `{"course_id":1}`), "payload/user/id is missing"},
		{event("enrollment.completed", `{"course_id":1,"user":{"id":1},"completed_at":"soon"}`), `payload/completed_at is not a date or a time`},
		{event("enrollment.completed", `{"course_id":1,"user":{"id":1},"certificate_expiry_date":"2028-13-01"}`), `payload/certificate_expiry_date is not a date or a time`},
		{request("", `{"resource":"enrollment","action":"completed","payload":{"course_id":1,"user":{"id":1}}}`), "payload/completed_at is missing, and so is the envelope's created_at"},
		{event("order.created", `{"id":1}`), "payload/amount_cents is missing, and so is amount_dollars"},
		{event("order.created", `{"id":1,"amount_cents":50.5}`), "payload/amount_cents is not a whole number"},
		{event("order.created", `{"id":1,"amount_cents":"5,000"}`), `payload/amount_cents is not a plain number`},
		{event("order.created", `{"id":1,"amount_dollars":"$50"}`), `payload/amount_dollars is not a plain number`},
		{event("order.created", `{"id":1,"amount_dollars":50,"items":{}}`), "payload/items is not a list"},
		{event("order_transaction.succeeded", `{"id":1,"amount":1}`), "payload/order/id is missing"},
		{event("order_transaction.succeeded", `{"id":1,"order":{"id":2}}`), "payload/amount is missing"},
		{event("order_transaction.refunded", `{"id":1,"order":{"id":2},"amount":1,"refunded_amount":-1}`), "amount is negative"},
		{event("subscription.unpaid", `{}`), "payload/id is missing"},
		{event("lesson.completed", `{"course":{"id":1},"user":{"id":1}}`), "payload/lesson/id is missing"},
		{event("quiz.attempted", `{"quiz":{"id":1},"user":{"id":1},"grade":"A"}`), `payload/grade is not a plain number`},
		{event("product.deleted", `{"id":"a\nb"}`), "item has a control character"},
	} {
		t.Run(string(tt.r.Body), func(t *testing.T) {
			intaketest.Quarantined(t, provider(t, ""), tt.r, tt.want)
		})
	}
}

// TestEnvelope says how the envelope is read.
func TestEnvelope(t *testing.T) {
	const at, signup = "2026-03-15T09:00:00Z", `"resource":"user","action":"signup","payload":{"id":1}`
	for _, tt := range []struct{ name, header, body, topic, key, flags, at string }{
		{"id of 23 digits", "user.signup", `{"id":20260301091756020665195,"created_at":"` + at + `",` + signup + `}`, "user.signup", "20260301091756020665195", "", at},
		{"id as text", "user.signup", `{"id":"01KKF1","created_at":"` + at + `",` + signup + `}`, "user.signup", "01KKF1", "", at},
		{"id that lost its digits", "", `{"id":2.026030109175602e+22,"created_at":"` + at + `",` + signup + `}`, "user.signup", "", "no-event-id", at},
		{"no id", "", `{"created_at":"` + at + `",` + signup + `}`, "user.signup", "", "no-event-id", at},
		{"the body wins", "user.deleted", `{"id":1,"created_at":"` + at + `",` + signup + `}`, "user.signup", "1", "topic-header-differs", at},
		{"header in other case", "User.Sign_Up", `{"id":1,"created_at":"` + at + `",` + signup + `}`, "user.signup", "1", "", at},
		{"alias", "user.signup", `{"id":1,"created_at":"` + at + `","resource":"user","action":"sign_up","payload":{"id":1}}`, "user.signup", "1", "", at},
		{"timestamp alone", "", `{"id":1,"timestamp":1773565200,` + signup + `}`, "user.signup", "1", "", at},
		{"timestamp as text", "", `{"id":1,"timestamp":"1773565200",` + signup + `}`, "user.signup", "1", "", at},
		{"times a year apart", "", `{"id":1,"created_at":"` + at + `","timestamp":1804101200,` + signup + `}`, "user.signup", "1", "times-disagree", at},
		{"times an hour apart", "", `{"id":1,"created_at":"` + at + `","timestamp":1773568800,` + signup + `}`, "user.signup", "1", "", at},
		{"odd time", "", `{"id":1,"created_at":"today","timestamp":1773565200,` + signup + `}`, "user.signup", "1", "odd-field:created_at", at},
		{"milliseconds are no timestamp", "", `{"id":1,"timestamp":1773565200000000,` + signup + `}`, "user.signup", "1", "odd-field:timestamp", "0001-01-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, tr := translate[domain.DirectoryPersonSeen](t, provider(t, ""), request(tt.header, tt.body))
			if tr.Topic != tt.topic || tr.Key != tt.key || strings.Join(tr.Flags, " ") != tt.flags {
				t.Errorf("topic %q, key %q, flags %q", tr.Topic, tr.Key, tr.Flags)
			}
			if got := tr.Facts[0].OccurredAt.Format("2006-01-02T15:04:05Z07:00"); got != tt.at {
				t.Errorf("at %s, want %s", got, tt.at)
			}
		})
	}
}

func TestNothingKept(t *testing.T) {
	for topic, reason := range map[string]string{
		"plan.updated":       "nothing in this topic is kept",
		"app.uninstalled":    "nothing in this topic is kept",
		"user.created":       "unknown topic",
		"certificate.issued": "unknown topic",
		"enrollment.updated": "unknown topic",
	} {
		tr, err := provider(t, "").Translate(event(topic, `"odd"`))
		if err != nil || len(tr.Facts) > 0 || tr.Reason != reason {
			t.Errorf("%s: %d facts, reason %q, %v", topic, len(tr.Facts), tr.Reason, err)
		}
	}
}

func TestTestDeliveries(t *testing.T) {
	p := provider(t, "")
	tr, err := p.Translate(event("enrollment.completed", `{"course":{"name":"[TEST] lorem"}}`))
	if err != nil || !tr.Test || len(tr.Facts) > 0 || tr.Reason != "test" {
		t.Errorf("one that cannot be read: %+v, %v", tr, err)
	}
	for _, r := range []domain.Request{
		event("user.signup", `{"id":1,"first_name":"[TEST] John"}`),
		event("user.signup", `{"id":1,"email":"[TEST] john@example.com"}`),
		event("enrollment.created", `{"course":{"id":1,"name":"[TEST] lorem"},"user":{"id":1}}`),
		event("order.created", `{"id":1,"amount_cents":1,"product_name":"[TEST] lorem"}`),
		event("order_transaction.failed", `{"id":1,"amount":1,"order":{"id":1,"product_name":"[TEST] lorem"}}`),
	} {
		tr, err := p.Translate(r)
		if err != nil || !tr.Test || len(tr.Facts) != 1 {
			t.Errorf("%s: test %v, %d facts, %v", r.Body, tr.Test, len(tr.Facts), err)
		}
	}
	if _, tr := translate[domain.DirectoryPersonSeen](t, p, event("user.signup", `{"id":1,"first_name":"John [TEST]"}`)); tr.Test {
		t.Error("a mark that is not in front counts")
	}
}

func TestEmails(t *testing.T) {
	for email, want := range map[string]domain.Personal{
		"grace@example.com":            "grace@example.com",
		" grace@example.com ":          "grace@example.com",
		"Grace <grace@example.com>":    "",
		"[TEST] john@example.com":      "",
		"grace":                        "",
		"grace@":                       "",
		"a@example.com, b@example.com": "",
	} {
		e, tr := translate[domain.DirectoryPersonSeen](t, provider(t, ""), event("user.signup", fmt.Sprintf(`{"id":1,"email":%q}`, email)))
		if e.Email != want || (want == "") != (strings.Join(tr.Flags, " ") == "bad-email") {
			t.Errorf("%q: %q, flags %q", email, e.Email, tr.Flags)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	for _, r := range intaketest.Requests(f, "thinkific") {
		f.Add(http.Header(r.Header).Get("X-Thinkific-Topic"), r.Body)
	}
	p := provider(f, "USD")
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		intaketest.Check(t, p, request(topic, string(body)))
	})
}
