package certifications_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/certifications"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

func TestProjection(t *testing.T) {
	projectiontest.Run(t, certifications.Projection(), projectiontest.Events(events),
		projectiontest.Law("completions stay", completionsStay))
}

// completionsStay checks that whoever was certified once is so for good.
func completionsStay(t rapid.TB, r *domain.Record, m *projections.Memory) {
	e, ok := r.Event.(domain.LearningCompleted)
	if !ok || r.Test || e.SubjectType == domain.SubjectQuiz || e.SubjectType == domain.SubjectClass {
		return
	}
	for _, row := range projectiontest.Rows(m, certifications.Projection().Tables[0]) {
		mine := row.Text("source") == r.Source && row.Text("subject_type") == e.SubjectType &&
			row.Text("subject") == e.Subject.Subject && row.Text("person") == e.Person
		if status := row.Text("status"); mine && status != "completed" && status != "passed" {
			t.Errorf("completed, but the status is %s", status)
		}
	}
}

// day returns a day of March 2026, or the zero time for 0.
func day(n int) (at time.Time) {
	if n > 0 {
		at = time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC)
	}
	return at
}

// moment draws one of few days, or none, so that clocks are equal at times.
func moment(t *rapid.T, label string, from int) time.Time {
	return day(rapid.IntRange(from, 4).Draw(t, label))
}

// events are what the projection folds, about few people and subjects.
var events = rapid.Custom(func(t *rapid.T) domain.Event {
	text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	if rapid.Bool().Draw(t, "badge") {
		badge := text("badge id", "b1", "b2")
		if rapid.IntRange(0, 2).Draw(t, "listed") == 0 {
			return badgeList(t, text)
		}
		if rapid.IntRange(0, 6).Draw(t, "deleted") == 0 {
			return domain.BadgesDeleted{Badge: badge, DeletedAt: moment(t, "deleted_at", 0)}
		}
		return domain.BadgesReported{
			Badge: badge, Template: text("template", "t1", "t2"), TemplateName: text("template_name", "", "T", "U"),
			State:          text("state", "pending", "accepted", "replaced", "revoked", "archived"),
			StateUpdatedAt: moment(t, "state_updated_at", 1),
			IssuedAt:       moment(t, "issued_at", 0), ExpiresAt: moment(t, "expires_at", 0),
			Public: rapid.Bool().Draw(t, "public"), ReplacedBy: text("replaced_by", "", "b2"),
			Reason: domain.Personal(text("reason", "", "r")), Earner: text("earner", "", "e1"), User: text("user", "", "u1"),
		}
	}
	return learning(t, text)
})

// badgeList is a list of an employee's badges.
func badgeList(t *rapid.T, text func(label string, of ...string) string) domain.Event {
	e := domain.BadgesListed{
		Employment: text("employment", "m1", "m2"), External: text("external", "", "HR-1", "HR-2"),
		ListedAt: moment(t, "listed_at", 1), Whole: rapid.Bool().Draw(t, "whole"),
	}
	for _, badge := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"b1", "b2", "b3"}), 0, 3, rapid.ID[string]).Draw(t, "badges") {
		e.Badges = append(e.Badges, domain.ListedBadge{
			Badge: badge, Visible: rapid.Bool().Draw(t, "visible"), Template: text("template", "t1", "t2"),
			TemplateName: text("template_name", "", "T"), State: text("state", "pending", "accepted", "replaced", "revoked", "archived"),
			IssuedAt: moment(t, "issued_at", 0), ExpiresAt: moment(t, "expires_at", 0), Public: rapid.Bool().Draw(t, "public"),
		})
	}
	return e
}

func learning(t *rapid.T, text func(label string, of ...string) string) domain.Event {
	who := domain.Learner{Person: text("person", "1", "2")}
	what := domain.Subject{
		SubjectType: text("type", "course", "course", "test", "test", "quiz", "pathway"),
		Subject:     "7", SubjectName: text("name", "", "A", "B"),
	}
	enrolment := text("enrolment", "", "e1", "e2")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 4:
		return listedEnrolment(t, text, who, what)
	case 0:
		return domain.LearningEnrolled{
			Learner: who, Subject: what, Enrolment: enrolment, EnrolledAt: moment(t, "enrolled_at", 0),
			StartedAt: moment(t, "started_at", 0), Trial: text("trial", "", "", "", "yes") != "",
		}
	case 1:
		return domain.LearningProgressed{
			Learner: who, Subject: what, Enrolment: enrolment, StartedAt: moment(t, "started_at", 0), Reported: text("reported", "", "1", "0.5", "100"),
			Scale: text("scale", domain.ScalePercent, domain.ScaleUnknown), Activity: text("activity", "", "lesson/1"),
		}
	case 2:
		e := domain.LearningTested{
			Learner: who, Subject: what, TestedAt: moment(t, "tested_at", 0),
			Outcome: text("outcome", domain.OutcomePassed, domain.OutcomeFailed, domain.OutcomePending, domain.OutcomeUnknown),
		}
		if score := rapid.Int64Range(0, 2).Draw(t, "score"); score > 0 {
			d := decimal.New(score, 1)
			e.Score, e.PassingScore = &d, &d
		}
		return e
	}
	c := domain.Certificate{
		State: text("certificate", domain.CertificateIssued, domain.CertificateUnknown, domain.CertificateNone),
		ID:    text("id", "", "c1", "c2"), Expiry: text("expiry", "", domain.ExpiryNever, domain.ExpiryOn, domain.ExpiryUnknown),
	}
	if c.Expiry == domain.ExpiryOn {
		c.ExpiresAt = moment(t, "expires_at", 1)
	}
	return domain.LearningCompleted{Learner: who, Subject: what, Enrolment: enrolment, CompletedAt: moment(t, "completed_at", 1), Certificate: c}
}

// TestOrder checks the law that matters most: the table does not depend on the
// order in which facts arrive.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []*domain.Record
		for i, e := range rapid.SliceOfN(events, 0, 12).Draw(t, "events") {
			log = append(log, record(t, i+1, rapid.IntRange(1, 4).Draw(t, "day"), e))
		}
		want := tables(t, log)
		got := tables(t, rapid.Permutation(log).Draw(t, "order"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
	})
}

func statuses(t rapid.TB, log []*domain.Record) []projectiontest.Row {
	t.Helper()
	return tables(t, log)["status"]
}

// tables returns the rows of every keyed table, by its name. The journal tells
// what came in which order.
func tables(t rapid.TB, log []*domain.Record) map[string][]projectiontest.Row {
	t.Helper()
	p := certifications.Projection()
	m := projections.NewMemory(p)
	for _, r := range log {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	rows := make(map[string][]projectiontest.Row)
	for _, table := range p.Tables {
		if !table.IsJournal() {
			rows[table.Name()] = projectiontest.Rows(m, table)
		}
	}
	return rows
}

func record(t rapid.TB, position, occurred int, e domain.Event) *domain.Record {
	t.Helper()
	r, err := projectiontest.NewRecord(int64(position), "acme", e)
	if err != nil {
		t.Fatal(err)
	}
	r.OccurredAt = day(occurred)
	return r
}

// TestRules folds facts, in both orders, and looks at some columns of the row.
func TestRules(t *testing.T) {
	who, what := domain.Learner{Person: "1"}, domain.Subject{SubjectType: "course", Subject: "7"}
	completed := func(at int, state, id, expiry string, expires int) domain.Event {
		return domain.LearningCompleted{Learner: who, Subject: what, CompletedAt: day(at), Certificate: domain.Certificate{
			State: state, ID: id, Expiry: expiry, ExpiresAt: day(expires),
		}}
	}
	progressed := func(reported string) domain.Event {
		return domain.LearningProgressed{Learner: who, Subject: what, Reported: reported, Scale: domain.ScaleUnknown}
	}
	badge := func(clock int, state string, set ...func(*domain.BadgesReported)) domain.Event {
		e := domain.BadgesReported{Badge: "b", Template: "t", State: state, StateUpdatedAt: day(clock)}
		for _, f := range set {
			f(&e)
		}
		return e
	}
	deleted := domain.BadgesDeleted{Badge: "b", DeletedAt: day(5)}
	listed := func(at int, state string, set ...func(*domain.ListedBadge)) domain.Event {
		b := domain.ListedBadge{Badge: "b", Visible: true, Template: "t", State: state}
		for _, f := range set {
			f(&b)
		}
		return domain.BadgesListed{Employment: "m", External: "HR-2", ListedAt: day(at), Whole: true, Badges: []domain.ListedBadge{b}}
	}

	type row = map[string]string
	for _, tt := range []struct {
		name  string
		facts []domain.Event // the first occurs on day 1, the next on day 2 …
		want  row
	}{
		{
			"a completion ends progress",
			[]domain.Event{completed(1, "none", "", "", 0), progressed("0.5")},
			row{"status": "completed", "completed_at": at(1), "progress": "0.5", "expiry": "", "issued_at": ""},
		},
		{
			"a re-enrolment ends nothing",
			[]domain.Event{completed(1, "none", "", "", 0), domain.LearningEnrolled{Learner: who, Subject: what, Enrolment: "again"}},
			row{"status": "completed", "enrolled_at": at(2)},
		},
		{
			"the first completion stays",
			[]domain.Event{completed(3, "none", "", "", 0), completed(9, "none", "", "", 0)},
			row{"completed_at": at(3), "last_completed_at": at(9), "clock": at(9)},
		},
		{
			"a repetition takes no certificate away",
			[]domain.Event{completed(3, "issued", "c1", "on", 20), completed(3, "unknown", "", "", 0)},
			row{"certificate": "c1", "expires_at": at(20), "expiry": "on", "issued_at": at(3)},
		},
		{
			"a repetition without any certificate",
			[]domain.Event{completed(3, "issued", "", "", 0), completed(3, "none", "", "", 0)},
			row{"issued_at": at(3)},
		},
		{
			"a repetition adds the date",
			[]domain.Event{completed(3, "issued", "c1", "unknown", 0), completed(3, "issued", "", "on", 20)},
			row{"certificate": "c1", "expires_at": at(20), "expiry": "on", "flags": ""},
		},
		{
			"a date before never, within a completion",
			[]domain.Event{completed(3, "issued", "c1", "on", 20), completed(3, "issued", "c1", "never", 0)},
			row{"expires_at": at(20), "expiry": "on"},
		},
		{
			"a date left out of a repetition",
			[]domain.Event{completed(3, "issued", "c1", "on", 20), completed(4, "issued", "c1", "never", 0)},
			row{"certificate": "c1", "expires_at": at(20), "expiry": "on", "last_completed_at": at(4)},
		},
		{
			"a renewal extends",
			[]domain.Event{completed(3, "issued", "c1", "on", 20), completed(9, "issued", "c2", "on", 28)},
			row{"certificate": "c2", "expires_at": at(28), "issued_at": at(9), "completed_at": at(3)},
		},
		{
			"a renewal does not shorten",
			[]domain.Event{completed(3, "issued", "c1", "on", 28), completed(9, "issued", "c2", "on", 20)},
			row{"certificate": "c1", "expires_at": at(28), "issued_at": at(3)},
		},
		{
			"a renewal for ever",
			[]domain.Event{completed(3, "issued", "c1", "on", 20), completed(9, "issued", "c2", "never", 0)},
			row{"certificate": "c2", "expires_at": "", "expiry": "never"},
		},
		{
			"a renewal after for ever",
			[]domain.Event{completed(3, "issued", "c1", "never", 0), completed(9, "issued", "c2", "on", 20)},
			row{"certificate": "c2", "expires_at": at(20), "expiry": "on"},
		},
		{
			"completed after expiry, no date",
			[]domain.Event{completed(3, "issued", "c1", "on", 5), completed(9, "issued", "", "unknown", 0)},
			row{"expires_at": at(5), "flags": "completed-after-expiry"},
		},
		{
			"expiry unknown is flagged",
			[]domain.Event{completed(3, "issued", "", "unknown", 0)},
			row{"expiry": "unknown", "expires_at": "", "flags": "expiry-unknown"},
		},
		{
			"1 is not complete",
			[]domain.Event{progressed("1")},
			row{"status": "in-progress", "progress": "1", "scale": "unknown", "completed_at": ""},
		},
		{
			"nothing said is not zero",
			[]domain.Event{progressed("24.0"), progressed("")},
			row{"progress": "24.0", "clock": at(2)},
		},

		{
			"created after accepted",
			[]domain.Event{badge(2, "accepted"), badge(1, "pending")},
			row{"status": "accepted", "clock": at(2), "expiry": "never"},
		},
		{
			"any state from any state",
			[]domain.Event{badge(1, "revoked"), badge(2, "pending")},
			row{"status": "pending"},
		},
		{
			"same clock, said later",
			[]domain.Event{badge(2, "revoked"), badge(2, "accepted")},
			row{"status": "accepted"},
		},
		{
			"same clock, said again last",
			[]domain.Event{badge(2, "accepted"), badge(2, "revoked"), badge(2, "accepted")},
			row{"status": "accepted"},
		},
		{
			"a word nobody knows",
			[]domain.Event{badge(1, "accepted"), badge(2, "suspended")},
			row{"status": "suspended"},
		},
		{
			"hidden is not revoked",
			[]domain.Event{badge(1, "accepted", func(e *domain.BadgesReported) { e.Public = true }), badge(1, "accepted")},
			row{"status": "accepted", "public": "false"},
		},
		{
			"the person becomes known",
			[]domain.Event{badge(1, "pending"), badge(2, "accepted", func(e *domain.BadgesReported) { e.User = "u" })},
			row{"person": "u", "person_key": ""},
		},
		{
			"the issuer's id first",
			[]domain.Event{badge(1, "pending", func(e *domain.BadgesReported) { e.Earner = "HR-1" }), badge(2, "accepted", func(e *domain.BadgesReported) { e.User = "u" })},
			row{"person": "HR-1"},
		},
		{
			"replaced and by which",
			[]domain.Event{badge(2, "replaced", func(e *domain.BadgesReported) { e.ReplacedBy = "b9" }), badge(2, "replaced")},
			row{"status": "replaced", "replaced_by": "b9", "flags": ""},
		},
		{
			"replaced, nobody said by which",
			[]domain.Event{badge(2, "replaced")},
			row{"status": "replaced", "flags": "replaced-by-unknown"},
		},
		{
			"an expiry can be lifted",
			[]domain.Event{badge(1, "accepted", func(e *domain.BadgesReported) { e.ExpiresAt = day(9) }), badge(2, "accepted")},
			row{"expires_at": "", "expiry": "never"},
		},
		{
			"deleted keeps what was known",
			[]domain.Event{badge(1, "accepted", func(e *domain.BadgesReported) { e.TemplateName, e.IssuedAt = "T", day(1) }), deleted},
			row{"status": "deleted", "state": "accepted", "subject_name": "T", "issued_at": at(1), "template": "t", "clock": at(5)},
		},
		{
			"deleted before any report",
			[]domain.Event{deleted},
			row{"status": "deleted", "template": "", "expiry": "", "clock": at(5)},
		},
		{
			"deleted stays deleted",
			[]domain.Event{deleted, badge(9, "accepted")},
			row{"status": "deleted", "state": "accepted", "flags": "reported-after-deletion"},
		},
		{
			"listed, and nothing else known",
			[]domain.Event{listed(3, "accepted", func(b *domain.ListedBadge) { b.ExpiresAt = day(9) })},
			row{"status": "accepted", "clock": at(3), "expires_at": at(9), "person": "HR-2"},
		},
		{
			"listed later, as it is",
			[]domain.Event{badge(2, "accepted", func(e *domain.BadgesReported) { e.Earner = "HR-1" }), listed(3, "accepted")},
			row{"status": "accepted", "clock": at(2), "person": "HR-1"},
		},
		{
			"listed later, and further on",
			[]domain.Event{badge(2, "accepted", func(e *domain.BadgesReported) { e.Reason = "r" }), listed(3, "revoked")},
			row{"status": "revoked", "clock": at(3), "reason": ""},
		},
		{
			"listed later, without the reason",
			[]domain.Event{badge(2, "revoked", func(e *domain.BadgesReported) { e.Reason = "r" }), listed(4, "revoked")},
			row{"status": "revoked", "clock": at(2), "reason": "r"},
		},
		{
			"listed later, with another expiry",
			[]domain.Event{badge(2, "accepted"), listed(3, "accepted", func(b *domain.ListedBadge) { b.ExpiresAt = day(9) })},
			row{"expires_at": at(9), "expiry": "on", "clock": at(2)},
		},
		{
			"listed later, from a list behind",
			[]domain.Event{badge(2, "accepted"), listed(3, "pending")},
			row{"status": "accepted", "clock": at(2)},
		},
		{
			"listed at the same moment",
			[]domain.Event{badge(2, "accepted"), listed(2, "revoked")},
			row{"status": "accepted"},
		},
		{
			"listed before it was last told, though after its clock",
			[]domain.Event{listed(2, "revoked"), badge(1, "accepted"), badge(1, "accepted")},
			row{"status": "accepted"},
		},
		{
			"what ended has ended",
			[]domain.Event{badge(2, "replaced"), listed(3, "revoked")},
			row{"status": "replaced"},
		},
		{
			"a list does not bring back what was deleted",
			[]domain.Event{deleted, listed(3, "accepted")},
			row{"status": "deleted", "state": "accepted", "flags": ""},
		},
		{
			"deleted, no date",
			[]domain.Event{domain.BadgesDeleted{Badge: "b"}},
			row{"status": "deleted", "deleted_at": at(1), "clock": at(1)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log []*domain.Record
			for i, e := range tt.facts {
				log = append(log, record(t, i+1, i+1, e))
			}
			for range 2 {
				rows := statuses(t, log)
				if len(rows) != 1 {
					t.Fatalf("%d rows, want 1", len(rows))
				}
				for column, want := range tt.want {
					if got := rows[0].Text(column); got != want {
						t.Errorf("%s is %q, want %q", column, got, want)
					}
				}
				slices.Reverse(log)
			}
		})
	}
}

func at(n int) string { return fmt.Sprintf("2026-03-%02dT00:00:00Z", n) }

// TestExpiry checks the moment at which a status turns: the last moment of
// validity is valid still.
func TestExpiry(t *testing.T) {
	for _, tt := range []struct {
		state string
		asOf  time.Time
		want  string
	}{
		{"accepted", time.Time{}, "accepted"},
		{"accepted", day(10), "accepted"},
		{"accepted", day(10).Add(time.Microsecond), "expired"},
		{"revoked", day(20), "revoked"},
		{"pending", day(20), "pending"},
	} {
		p := certifications.Projection()
		m := projections.NewMemory(p)
		if err := m.Fold(record(t, 1, 1, domain.BadgesReported{
			Badge: "b", Template: "t", State: tt.state, StateUpdatedAt: day(1), ExpiresAt: day(10),
		})); err != nil {
			t.Fatal(err)
		}
		page, err := p.Views[0].Ask(t.Context(), m, nil, projections.Query{AsOf: tt.asOf}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := page.Rows[0][5].Text; got != tt.want {
			t.Errorf("%s as of %v is %s, want %s", tt.state, tt.asOf, got, tt.want)
		}
	}
}
