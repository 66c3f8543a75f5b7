package thinkific_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

func TestPercentage(t *testing.T) {
	const done = `"2026-03-12T20:17:20.571Z"`
	for _, tt := range []struct{ sent, completedAt, reported, scale, flags string }{
		{`"0.0"`, `null`, "0.0", domain.ScalePercent, ""},
		{`"0"`, `null`, "0", domain.ScalePercent, ""},
		{`"0.3333333333333333"`, `null`, "0.3333333333333333", domain.ScaleFraction, ""},
		{`0.5`, `null`, "0.5", domain.ScaleFraction, ""},
		{`"24.0"`, `null`, "24.0", domain.ScalePercent, ""},
		{`"100.0"`, `null`, "100.0", domain.ScalePercent, ""},
		{`"1"`, `null`, "1", domain.ScaleUnknown, ""},
		{`"1.0"`, `null`, "1.0", domain.ScaleUnknown, ""},
		{`"1.0"`, done, "1.0", domain.ScaleFraction, ""},
		{`1.0`, `"some day"`, "1.0", domain.ScaleUnknown, "odd-field:payload/completed_at"},
		{`null`, `null`, "", domain.ScaleUnknown, ""},
		{`"-1"`, `null`, "-1", domain.ScaleUnknown, "odd-percentage"},
		{`"100.1"`, `null`, "100.1", domain.ScaleUnknown, "odd-percentage"},
		{`"24%"`, `null`, "24%", domain.ScaleUnknown, "odd-percentage"},
		{`"1e999999999"`, `null`, "1e999999999", domain.ScaleUnknown, "odd-percentage"},
		{`{}`, `null`, "", domain.ScaleUnknown, "odd-field:payload/percentage_completed"},
	} {
		t.Run(tt.sent+" "+tt.completedAt, func(t *testing.T) {
			e, tr := translate[domain.LearningProgressed](t, provider(t, ""), event("enrollment.progress", fmt.Sprintf(
				`{"course_id":1,"user":{"id":1},"percentage_completed":%s,"completed_at":%s}`, tt.sent, tt.completedAt)))
			if e.Reported != tt.reported || e.Scale != tt.scale || strings.Join(tr.Flags, " ") != tt.flags {
				t.Errorf("%q on the scale %q, flags %q", e.Reported, e.Scale, tr.Flags)
			}
		})
	}
}

func TestCertificate(t *testing.T) {
	for _, tt := range []struct{ members, state, expiry, at string }{
		{``, domain.CertificateUnknown, "", ""},
		{`,"credential_id":null,"certificate_url":null,"certificate_expiry_date":null`, domain.CertificateNone, "", ""},
		{`,"credential_id":"pq7"`, domain.CertificateIssued, domain.ExpiryUnknown, ""},
		{`,"credential_id":"pq7","certificate_expiry_date":null`, domain.CertificateIssued, domain.ExpiryNever, ""},
		{`,"certificate_url":"https://example.com/c"`, domain.CertificateIssued, domain.ExpiryUnknown, ""},
		{`,"credential_id":"pq7","certificate_expiry_date":"2028-03-12"`, domain.CertificateIssued, domain.ExpiryOn, "2028-03-12T23:59:59Z"},
		{`,"credential_id":"pq7","certificate_expiry_date":"2028-02-29"`, domain.CertificateIssued, domain.ExpiryOn, "2028-02-29T23:59:59Z"},
		{`,"credential_id":"pq7","certificate_expiry_date":"2028-03-12T10:00:00Z"`, domain.CertificateIssued, domain.ExpiryOn, "2028-03-12T10:00:00Z"},
		{`,"certificate_expiry_date":"2028-03-12"`, domain.CertificateUnknown, domain.ExpiryOn, "2028-03-12T23:59:59Z"},
		{`,"credential_id":"pq7","expiry_date":"2027-03-01"`, domain.CertificateIssued, domain.ExpiryUnknown, ""}, // end of access
	} {
		t.Run(tt.members, func(t *testing.T) {
			e, _ := translate[domain.LearningCompleted](t, provider(t, ""), event("enrollment.completed",
				`{"course_id":1,"user":{"id":1},"completed_at":"2026-03-12T20:17:20.571Z"`+tt.members+`}`))
			at := ""
			if c := e.Certificate; !c.ExpiresAt.IsZero() {
				at = c.ExpiresAt.Format(time.RFC3339)
			}
			if c := e.Certificate; c.State != tt.state || c.Expiry != tt.expiry || at != tt.at {
				t.Errorf("%s, expiry %q %s", c.State, c.Expiry, at)
			}
		})
	}
}

func TestCompletedFallsBackToTheEnvelope(t *testing.T) {
	e, _ := translate[domain.LearningCompleted](t, provider(t, ""), event("enrollment.completed", `{"course_id":1,"user":{"id":1},"completed_at":null}`))
	if got := e.CompletedAt.Format(time.RFC3339); got != "2026-03-15T09:00:00Z" {
		t.Errorf("completed at %s", got)
	}
}

func TestCourseIDs(t *testing.T) {
	for _, tt := range []struct{ members, want, flags string }{
		{`"course_id":7`, "7", ""},
		{`"course":{"id":7}`, "7", ""},
		{`"course_id":7,"course":{"id":"7"}`, "7", ""},
		{`"course_id":7,"course":{"id":8}`, "7", "course-ids-disagree"},
	} {
		e, tr := translate[domain.LearningEnrolled](t, provider(t, ""), event("enrollment.created", `{"user":{"id":1},`+tt.members+`}`))
		if e.Subject.Subject != tt.want || strings.Join(tr.Flags, " ") != tt.flags {
			t.Errorf("%s: course %q, flags %q", tt.members, e.Subject.Subject, tr.Flags)
		}
	}
}

func TestTrial(t *testing.T) {
	for _, tt := range []struct {
		topic, members string
		want           bool
	}{
		{"enrollment.trial", ``, true},
		{"enrollment.created", `,"free_trial":true`, true},
		{"enrollment.created", `,"free_trial":false`, false},
		{"enrollment.created", ``, false},
	} {
		e, _ := translate[domain.LearningEnrolled](t, provider(t, ""), event(tt.topic, `{"course_id":1,"user":{"id":1}`+tt.members+`}`))
		if e.Trial != tt.want {
			t.Errorf("%s %s: trial %v", tt.topic, tt.members, e.Trial)
		}
	}
}

// TestBareDatesCountToTheirEnd: access that ends on a day is there on that day.
func TestBareDatesCountToTheirEnd(t *testing.T) {
	const want = "2027-03-01T23:59:59.999999Z"
	e, _ := translate[domain.LearningEnrolled](t, provider(t, ""), event("enrollment.created", `{"course_id":1,"user":{"id":1},"expiry_date":"2027-03-01"}`))
	if got := e.AccessUntil.Format(time.RFC3339Nano); got != want {
		t.Errorf("access until %s, want %s", got, want)
	}
	s, _ := translate[domain.SalesSubscriptionChanged](t, provider(t, ""), event("subscription.cancelled", `{"id":1,"scheduled_cancellation_at":"2027-03-01"}`))
	if got := s.EndsAt.Format(time.RFC3339Nano); got != want {
		t.Errorf("ends at %s, want %s", got, want)
	}
}
