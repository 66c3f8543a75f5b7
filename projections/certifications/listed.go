package certifications

import (
	"cmp"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An enrolment is what is known of one enrolment beside what the row says: which
// of its dates a webhook told, and what a provider's list tells of it. What a
// webhook told of an enrolment counts, and the list fills in the rest.
type enrolment struct {
	ID                string    `json:"id"`
	Enrolled          bool      `json:"enrolled,omitempty"` // a webhook told since when
	Started           bool      `json:"started,omitempty"`  // a webhook told when it was started
	ListedEnrolled    time.Time `json:"listed_enrolled,omitzero"`
	ListedStarted     time.Time `json:"listed_started,omitzero"`
	ListedCompleted   time.Time `json:"listed_completed,omitzero"`      // first one
	ListedCompletedTo time.Time `json:"listed_last_completed,omitzero"` // last one
}

// enrolment has f change what is known of one enrolment.
func (all *evidence) enrolment(id string, f func(*enrolment)) {
	if id == "" {
		return
	}
	at, found := slices.BinarySearchFunc(all.Enrolments, id, func(e enrolment, id string) int { return cmp.Compare(e.ID, id) })
	if !found {
		all.Enrolments = slices.Insert(all.Enrolments, at, enrolment{ID: id})
	}
	f(&all.Enrolments[at])
}

// told notes which dates a webhook tells of an enrolment.
func (all *evidence) told(id string, enrolled, started time.Time) {
	all.enrolment(id, func(e *enrolment) {
		e.Enrolled = e.Enrolled || !enrolled.IsZero()
		e.Started = e.Started || !started.IsZero()
	})
}

// completedAs reports whether a webhook told that the enrolment was completed.
func (all evidence) completedAs(id string) bool {
	return slices.ContainsFunc(all.Completions, func(c completion) bool { return c.Enrolment == id })
}

type listedEnrolment struct {
	domain.LearningListed
	occurredAt time.Time
}

func (f listedEnrolment) what() (string, time.Time) { return "listed", f.occurredAt }

func (f listedEnrolment) enter(s *status, all *evidence) {
	all.enrolment(f.Enrolment, func(e *enrolment) {
		e.ListedEnrolled = earliest(e.ListedEnrolled, f.EnrolledAt)
		e.ListedStarted = earliest(e.ListedStarted, f.StartedAt)
		e.ListedCompleted = earliest(e.ListedCompleted, f.CompletedAt)
		e.ListedCompletedTo = latest(e.ListedCompletedTo, f.CompletedAt)
	})
	if f.Reported != "" {
		s.progressedAt = latest(s.progressedAt, f.occurredAt)
		s.advance(progress{f.Reported, f.Scale, f.occurredAt, true})
	}
}

// A progress is a percentage that was reported, or listed.
type progress struct {
	reported, scale string
	at              time.Time
	listed          bool
}

// advance takes up a percentage: the last one said counts. Of two at the same
// time it is a webhook's, then the greater text.
func (s *status) advance(p progress) {
	if c := p.at.Compare(s.progressAt); c < 0 || c == 0 && !p.outranks(progress{s.progress, s.scale, s.progressAt, s.progressListed}) {
		return
	}
	s.progress, s.scale, s.progressAt, s.progressListed = p.reported, p.scale, p.at, p.listed
}

func (p progress) outranks(o progress) bool {
	if p.listed != o.listed {
		return o.listed
	}
	return p.reported+" "+p.scale > o.reported+" "+o.scale
}

// describeEnrolments derives since when somebody is enrolled and at work, and
// returns when enrolments were completed that no webhook told of.
func describeEnrolments(s *status, all evidence) (completions []time.Time) {
	s.enrolledAt, s.startedAt = s.toldEnrolledAt, s.toldStartedAt
	for _, e := range all.Enrolments {
		if !e.Enrolled {
			s.enrolledAt = earliest(s.enrolledAt, e.ListedEnrolled)
		}
		if !e.Started {
			s.startedAt = earliest(s.startedAt, e.ListedStarted)
		}
		if !e.ListedCompleted.IsZero() && !all.completedAs(e.ID) {
			completions = append(completions, e.ListedCompleted, e.ListedCompletedTo)
		}
	}
	return completions
}

// listEnrolment takes up what a list says of an enrolment. It names the course
// until a webhook does.
func listEnrolment(tx *projections.Tx, r *domain.Record, e domain.LearningListed) error {
	at := e.ListedAt
	if at.IsZero() {
		at = r.OccurredAt
	}
	return learn(tx, r, e.Learner, e.Subject, name{e.SubjectName, at, true}, listedEnrolment{e, r.OccurredAt})
}
