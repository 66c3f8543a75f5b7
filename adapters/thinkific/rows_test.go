package thinkific_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/domain"
)

var asked = time.Date(2026, 4, 1, 8, 0, 0, 7, time.UTC)

// row returns a row of a list as the fetcher asks for it to be translated.
func row(resource, id, body string) domain.Request {
	return domain.Request{Fetched: resource + "/" + id, Body: []byte(body), ReceivedAt: asked}
}

// enrolmentRow returns a row of enrollments with the given members in it.
func enrolmentRow(members string) domain.Request {
	return row("enrollments", "6021", `{"id":6021,"user_id":123987,"user_name":"Grace Okafor","user_email":"grace.okafor@example.com",
		"course_id":88,"course_name":"Confined Spaces Entry","created_at":"2026-02-20T22:16:52.255Z","activated_at":"2026-02-20T22:16:52.255Z"`+members+`}`)
}

// said returns the facts of a row, one line each: when it occurred and its data.
func said(t *testing.T, r domain.Request) (string, domain.Translation) {
	t.Helper()
	tr, err := provider(t, "USD").Translate(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	var lines []string
	for _, f := range tr.Facts {
		data, personal, err := domain.Encode(f.Event)
		if err != nil {
			t.Fatal(err)
		}
		at := "when asked"
		if !f.OccurredAt.IsZero() {
			at = f.OccurredAt.Format("2006-01-02T15:04:05")
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s", at, f.Event.Kind(), data, personal))
	}
	return strings.Join(lines, "\n"), tr
}

func TestListedEnrolment(t *testing.T) {
	const first = `2026-02-20T22:16:52 learning.listed.v1 {"person":"123987","subject_type":"course","subject":"88","subject_name":"Confined Spaces Entry","enrolment":"6021","listed_at":"2026-04-01T08:00:00Z","enrolled_at":"2026-02-20T22:16:52.255Z"`
	const names = ` {"name":"Grace Okafor","email":"grace.okafor@example.com"}`
	const second = ` learning.listed.v1 {"person":"123987","subject_type":"course","subject":"88","subject_name":"Confined Spaces Entry","enrolment":"6021","listed_at":"2026-04-01T08:00:00Z",`
	for _, tt := range []struct{ members, want, flags string }{
		{``, first + `}` + names, ""},
		{`,"completed":false,"percentage_completed":0,"is_free_trial":false,"updated_at":"2026-03-01T00:00:00Z"`, first + `}` + names, ""},
		{
			`,"started_at":"2026-02-21T00:00:00Z","expiry_date":"2027-02-20T00:00:00Z","percentage_completed":0.24,"completed":false,"updated_at":"2026-03-01T00:00:00Z"`,
			first + `,"started_at":"2026-02-21T00:00:00Z","access_until":"2027-02-20T00:00:00Z"}` + names + "\n" +
				`2026-03-01T00:00:00` + second + `"reported":"0.24","scale":"fraction"} `, "",
		},
		{
			`,"percentage_completed":1,"completed":true,"completed_at":"2026-03-10T12:00:00Z","updated_at":"2026-03-11T00:00:00Z"`,
			first + `}` + names + "\n" + `2026-03-10T12:00:00` + second + `"completed_at":"2026-03-10T12:00:00Z"} `, "",
		},
		{ // neither alone completes
			`,"percentage_completed":1.0,"completed":false,"completed_at":"2026-03-10T12:00:00Z","updated_at":"2026-03-11T00:00:00Z"`,
			first + `}` + names + "\n" + `2026-03-11T00:00:00` + second + `"reported":"1.0","scale":"fraction"} `, "",
		},
		{
			`,"percentage_completed":"1.0","completed":"true","completed_at":null,"updated_at":"2026-03-11T00:00:00Z"`,
			first + `}` + names + "\n" + `2026-03-11T00:00:00` + second + `"reported":"1.0","scale":"fraction"} `, "undated",
		},
		{`,"percentage_completed":0.5`, first + `}` + names, "undated"},
		{`,"percentage_completed":24,"updated_at":"2026-03-01T00:00:00Z"`, first + `}` + names + "\n" + `2026-03-01T00:00:00` + second + `"reported":"24","scale":"percent"} `, ""},
		{`,"percentage_completed":-1,"updated_at":"2026-03-01T00:00:00Z"`, first + `}` + names + "\n" + `2026-03-01T00:00:00` + second + `"reported":"-1","scale":"unknown"} `, "odd-percentage"},
		{
			`,"is_free_trial":true,"percentage_completed":1,"completed":true,"completed_at":"2026-03-10T12:00:00Z"`,
			first + `,"trial":true}` + names, "",
		},
	} {
		t.Run(tt.members, func(t *testing.T) {
			got, tr := said(t, enrolmentRow(tt.members))
			if got != tt.want || strings.Join(tr.Flags, " ") != tt.flags {
				t.Errorf("flags %q\n got %s\nwant %s", tr.Flags, got, tt.want)
			}
		})
	}
}

func TestListedOrder(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{
			`{"id":19796,"order_number":1010,"user_id":123987,"user_name":"Grace Okafor","user_email":"grace.okafor@example.com","product_id":88,"product_name":"Confined Spaces Entry",
			"amount_dollars":"50.0","amount_cents":5000,"subscription":false,"coupon_code":"SPRING26","coupon_id":7,"status":"complete","created at":"2026-03-01T14:16:40.400Z"}`,
			`2026-03-01T14:16:40 sales.listed.v1 {"order":"19796","number":"1010","lines":[{"item_type":"product","item":"88","name":"Confined Spaces Entry","amount":"50"}],"total":"50","currency":"USD","payment_status":"complete","coupon":"SPRING26","buyer":{"person":"123987"}} {"buyer/name":"Grace Okafor","buyer/email":"grace.okafor@example.com"}`,
		},
		{
			`{"id":"19797","amount_dollars":"0.0","amount_cents":"0","subscription":true,"items":[],"created_at":"2026-03-01T14:16:40.400Z","created at":"1999-01-01T00:00:00Z"}`,
			`2026-03-01T14:16:40 sales.listed.v1 {"order":"19797","total":"0","currency":"USD","payment_type":"subscription"} `,
		},
		{
			`{"id":19798,"amount_dollars":"120.0","items":[{"product_id":88,"amount_dollars":"50.0","amount_cents":5000},{"product_id":89,"amount_dollars":"60.0"}]}`,
			`when asked sales.listed.v1 {"order":"19798","lines":[{"item_type":"product","item":"88","amount":"50"},{"item_type":"product","item":"89","amount":"60"}],"total":"120","currency":"USD"} `,
		},
	} {
		if got, _ := said(t, row("orders", "1", tt.body)); got != tt.want {
			t.Errorf(" got %s\nwant %s", got, tt.want)
		}
	}
}

func TestListedDirectory(t *testing.T) {
	for r, want := range map[string]string{
		`users {"id":123987,"first_name":"Grace","last_name":"Okafor","email":"grace.okafor@example.com","roles":[],"company":"Ardent"}`: `when asked directory.person-seen.v1 {"person_type":"user","person":"123987","roles":[],"attributes":[{"name":"company"}],"activity":"listed"} {"name":"Grace Okafor","email":"grace.okafor@example.com","attributes/0/value":"Ardent"}`,
		`users {"id":1,"roles":["x",{}]}`:                                      `when asked directory.person-seen.v1 {"person_type":"user","person":"1","activity":"listed"} `,
		`courses {"id":88,"name":"Confined Spaces Entry","slug":"cse"}`:        `when asked directory.item-seen.v1 {"item_type":"course","item":"88","name":"Confined Spaces Entry","slug":"cse","activity":"listed"} `,
		`products {"id":7,"name":"Entry","price":"50.0","status":"published"}`: `when asked directory.item-seen.v1 {"item_type":"product","item":"7","name":"Entry","status":"published","price":"50.0","activity":"listed"} `,
		`coupons {"id":7}`: ``,
	} {
		resource, body, _ := strings.Cut(r, " ")
		if got, _ := said(t, row(resource, "1", body)); got != want {
			t.Errorf(" got %s\nwant %s", got, want)
		}
	}
}

// TestListedTests checks that a row is a test by any of the places where rows have
// what Thinkific marks.
func TestListedTests(t *testing.T) {
	for member, want := range map[string]bool{"user_email": true, "user_name": true, "course_name": true, "coupon_code": false} {
		_, tr := said(t, row("enrollments", "1", `{"id":1,"user_id":2,"course_id":3,"`+member+`":"[TEST] one"}`))
		if tr.Test != want {
			t.Errorf("marked in %s: test is %v", member, tr.Test)
		}
	}
}

// TestRowKeys checks that a row is told from another, and from itself once it
// has changed, and that what looks like one is none unless it was asked for.
func TestRowKeys(t *testing.T) {
	key := func(r domain.Request) string { _, tr := said(t, r); return tr.Key }
	a := key(row("courses", "88", `{"id":88}`))
	if a != key(row("courses", "88", `{"id":88}`)) {
		t.Error("the same row has another key")
	}
	for _, r := range []domain.Request{row("courses", "88", `{"id":88 }`), row("products", "88", `{"id":88}`), row("courses", "8", `{"id":88}`)} {
		if key(r) == a {
			t.Errorf("%s %s has the same key", r.Fetched, r.Body)
		}
	}
	sent := enrolmentRow("")
	sent.Fetched = ""
	if tr, err := provider(t, "").Translate(sent); err == nil || len(tr.Facts) > 0 {
		t.Errorf("a webhook that looks like a row is believed: %+v", tr)
	}
	asWebhook := event("user.deleted", `{"id":1}`)
	asWebhook.Fetched = "users/1"
	if tr, err := provider(t, "").Translate(asWebhook); err == nil {
		if _, removed := tr.Facts[0].Event.(domain.DirectoryPersonRemoved); removed {
			t.Error("a row that looks like a webhook is believed")
		}
	}
}

// TestRowQuarantine lists rows that cannot be booked, and why.
func TestRowQuarantine(t *testing.T) {
	for _, tt := range []struct {
		r    domain.Request
		want string
	}{
		{row("users", "1", `[]`), "body is not an object"},
		{row("users", "1", ``), "body is empty"},
		{row("users", "1", `{}`), "id is missing"},
		{row("enrollments", "1", `{"id":1,"course_id":1}`), "user_id is missing"},
		{row("enrollments", "1", `{"id":1,"user_id":1}`), "course_id is missing"},
		{row("enrollments", "1", `{"user_id":1,"course_id":1}`), "id is missing"},
		{row("orders", "1", `{"id":1}`), "amount_cents is missing, and so is amount_dollars"},
		{row("orders", "1", `{"amount_cents":1}`), "id is missing"},
	} {
		t.Run(tt.r.Fetched+" "+string(tt.r.Body), func(t *testing.T) {
			intaketest.Quarantined(t, provider(t, ""), tt.r, tt.want)
		})
	}
}

func FuzzTranslateRow(f *testing.F) {
	for _, r := range []domain.Request{
		enrolmentRow(`,"percentage_completed":"0.5","completed":true,"completed_at":"2026-03-10T12:00:00Z"`),
		row("orders", "1", `{"id":1,"amount_dollars":"50.0","amount_cents":5000,"items":[{"product_id":1}]}`),
		row("users", "1", `{"id":1,"roles":["x"]}`), row("courses", "1", `{"id":1,"name":"[TEST]"}`), row("coupons", "", `{}`), row("\x8e", "1", `{}`),
	} {
		f.Add(r.Fetched, r.Body)
	}
	p := provider(f, "USD")
	f.Fuzz(func(t *testing.T, fetched string, body []byte) {
		if fetched != "" {
			intaketest.Check(t, p, domain.Request{Fetched: fetched, Body: body, ReceivedAt: asked})
		}
	})
}
