package certifications_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// listedEnrolment draws a part of what a list says of an enrolment.
func listedEnrolment(t *rapid.T, text func(label string, of ...string) string, who domain.Learner, what domain.Subject) domain.LearningListed {
	e := domain.LearningListed{
		Learner: who, Subject: what, Enrolment: text("listed enrolment", "e1", "e2"), ListedAt: moment(t, "listed_at", 0),
		EnrolledAt: moment(t, "enrolled_at", 0), StartedAt: moment(t, "started_at", 0), CompletedAt: moment(t, "completed_at", 0),
		Trial: text("trial", "", "", "", "yes") != "",
	}
	if e.Reported = text("listed progress", "", "0.5", "0.7"); e.Reported != "" {
		e.Scale = domain.ScaleFraction
	}
	return e
}

// shownColumns are what a question about a course is answered with.
var shownColumns = []string{
	"person", "subject", "subject_name", "status", "completed_at", "issued_at", "expires_at", "expiry", "certificate", "enrolled_at",
	"started_at", "last_completed_at", "progress", "scale", "score", "clock", "flags",
}

func shownRows(rows []projectiontest.Row) (shown [][]string) {
	for _, r := range rows {
		var cells []string
		for _, c := range shownColumns {
			cells = append(cells, r.Text(c))
		}
		shown = append(shown, cells)
	}
	return shown
}

// TestWebhooksOutrankLists checks that what a list tells of enrolments that
// webhooks told of, however wrong, wherever and however often it comes, changes
// nothing that is shown.
func TestWebhooksOutrankLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
		who, what := domain.Learner{Person: "1"}, domain.Subject{SubjectType: "course", Subject: "7"}
		var log []*domain.Record
		add := func(occurred int, e domain.Event) { log = append(log, record(t, len(log)+1, occurred, e)) }
		for i := range rapid.IntRange(1, 2).Draw(t, "enrolments") {
			id, named := "e"+strconv.Itoa(i+1), what
			named.SubjectName = text("name", "A", "B")
			add(rapid.IntRange(2, 4).Draw(t, "day"), domain.LearningEnrolled{
				Learner: who, Subject: named, Enrolment: id, EnrolledAt: moment(t, "enrolled_at", 0), StartedAt: moment(t, "started_at", 1),
			})
			add(4, domain.LearningProgressed{Learner: who, Subject: named, Enrolment: id, Reported: text("reported", "24.0", "100.0"), Scale: domain.ScalePercent})
			if rapid.Bool().Draw(t, "completed") || i == 0 {
				e := domain.LearningCompleted{Learner: who, Subject: what, Enrolment: id, CompletedAt: moment(t, "completed_at", 1)}
				if e.Certificate.State = text("certificate", domain.CertificateUnknown, domain.CertificateIssued); e.Certificate.State == domain.CertificateIssued {
					e.Certificate.ID, e.Certificate.Expiry, e.Certificate.ExpiresAt = "c1", domain.ExpiryOn, day(20)
				}
				add(4, e)
			}
		}
		want := shownRows(statuses(t, log))
		completed := func(id string) bool {
			return slices.ContainsFunc(log, func(r *domain.Record) bool {
				e, ok := r.Event.(domain.LearningCompleted)
				return ok && e.Enrolment == id
			})
		}
		mixed := slices.Clone(log)
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			named := what
			named.SubjectName = text("listed name", "", "Z")
			e := listedEnrolment(t, text, who, named)
			if !slices.ContainsFunc(log, func(r *domain.Record) bool {
				en, ok := r.Event.(domain.LearningEnrolled)
				return ok && en.Enrolment == e.Enrolment
			}) {
				continue // the list alone knows it
			}
			if !completed(e.Enrolment) {
				e.CompletedAt = time.Time{}
			}
			// Its clock is not after that of the webhooks' progress.
			r := record(t, 100+len(mixed), rapid.IntRange(1, 4).Draw(t, "day"), e)
			mixed = slices.Insert(mixed, rapid.IntRange(0, len(mixed)).Draw(t, "at"), r)
		}
		if diff := cmp.Diff(want, shownRows(statuses(t, mixed))); diff != "" {
			t.Errorf("(-webhooks alone +with lists):\n%s", diff)
		}
	})
}

// TestListsFillIn says what a list adds to what webhooks told, and to nothing.
func TestListsFillIn(t *testing.T) {
	who, what := domain.Learner{Person: "1"}, domain.Subject{SubjectType: "course", Subject: "7", SubjectName: "Listed"}
	listed := func(id string, f func(*domain.LearningListed)) domain.LearningListed {
		e := domain.LearningListed{Learner: who, Subject: what, Enrolment: id, ListedAt: day(9)}
		f(&e)
		return e
	}
	enrolled := func(at int) func(*domain.LearningListed) {
		return func(e *domain.LearningListed) { e.EnrolledAt = day(at) }
	}
	done := func(at int) func(*domain.LearningListed) {
		return func(e *domain.LearningListed) { e.CompletedAt = day(at) }
	}
	half := func(e *domain.LearningListed) { e.Reported, e.Scale = "0.5", domain.ScaleFraction }
	toldOf := func(id string) domain.Event {
		return domain.LearningEnrolled{Learner: who, Subject: domain.Subject{SubjectType: "course", Subject: "7", SubjectName: "Told"}, Enrolment: id, EnrolledAt: day(2)}
	}
	type row = map[string]string
	for _, tt := range []struct {
		name  string
		facts []domain.Event // the first occurs on day 1, the next on day 2 …
		want  row
	}{
		{"an enrolment", []domain.Event{listed("e1", enrolled(3))}, row{"status": "enrolled", "enrolled_at": at(3), "subject_name": "Listed"}},
		{"an enrolment under way", []domain.Event{listed("e1", enrolled(1)), listed("e1", half)}, row{"status": "in-progress", "progress": "0.5", "clock": at(2)}},
		{
			"a completion that no webhook told",
			[]domain.Event{toldOf("e1"), listed("e1", done(3))},
			row{"status": "completed", "completed_at": at(3), "enrolled_at": at(2), "issued_at": "", "subject_name": "Told"},
		},
		{"an earlier enrolment", []domain.Event{toldOf("e2"), listed("e1", enrolled(1))}, row{"enrolled_at": at(1)}},
		{"not another date of the same one", []domain.Event{toldOf("e1"), listed("e1", enrolled(1))}, row{"enrolled_at": at(2)}},
		{
			"later progress",
			[]domain.Event{
				domain.LearningProgressed{Learner: who, Subject: what, Enrolment: "e1", Reported: "24.0", Scale: domain.ScalePercent}, listed("e1", half),
			},
			row{"progress": "0.5", "scale": "fraction"},
		},
		{
			"a completion again",
			[]domain.Event{
				domain.LearningCompleted{Learner: who, Subject: what, Enrolment: "e1", CompletedAt: day(3), Certificate: domain.Certificate{State: domain.CertificateUnknown}},
				listed("e2", done(5)), listed("e1", done(4)),
			},
			row{"completed_at": at(3), "last_completed_at": at(5)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log []*domain.Record
			for i, e := range tt.facts {
				log = append(log, record(t, i+1, i+1, e))
			}
			backwards := slices.Clone(log)
			slices.Reverse(backwards)
			for _, log := range [][]*domain.Record{log, backwards} {
				got := statuses(t, log)[0]
				for column, want := range tt.want {
					if got.Text(column) != want {
						t.Errorf("%s is %q, want %q", column, got.Text(column), want)
					}
				}
			}
		})
	}
	trial := listed("e1", func(e *domain.LearningListed) { e.Trial, e.CompletedAt = true, day(1) })
	if rows := statuses(t, []*domain.Record{record(t, 1, 1, trial)}); len(rows) > 0 {
		t.Errorf("a trial certifies: %v", rows)
	}
}
