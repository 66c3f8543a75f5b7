package certifications

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

type enrolled struct {
	domain.LearningEnrolled
	occurredAt time.Time
}

func (f enrolled) what() (string, time.Time) { return "enrolled", f.EnrolledAt }

func (f enrolled) enter(s *status, all *evidence) {
	at := f.EnrolledAt
	if at.IsZero() {
		at = f.occurredAt
	}
	s.toldEnrolledAt = earliest(s.toldEnrolledAt, at)
	s.toldStartedAt = earliest(s.toldStartedAt, f.StartedAt)
	all.told(f.Enrolment, at, f.StartedAt)
}

type progressed struct {
	domain.LearningProgressed
	occurredAt time.Time
}

func (f progressed) what() (string, time.Time) { return "progressed", f.occurredAt }

// enter takes up progress: the last percentage said counts. A lesson says
// nothing of the course's, and nothing said is not zero.
func (f progressed) enter(s *status, all *evidence) {
	s.toldStartedAt = earliest(s.toldStartedAt, f.StartedAt)
	all.told(f.Enrolment, time.Time{}, f.StartedAt)
	s.progressedAt = latest(s.progressedAt, f.occurredAt)
	if f.Reported != "" && f.Activity == "" {
		s.advance(progress{f.Reported, f.Scale, f.occurredAt, false})
	}
}

type completed struct{ domain.LearningCompleted }

func (f completed) what() (string, time.Time) { return "completed", f.CompletedAt }

func (f completed) enter(_ *status, all *evidence) {
	all.Completions = add(all.Completions, completion{
		At: f.CompletedAt, State: f.Certificate.State, Certificate: f.Certificate.ID,
		Expiry: f.Certificate.Expiry, ExpiresAt: f.Certificate.ExpiresAt, Enrolment: f.Enrolment,
	}, completion.compare)
}

type tested struct {
	domain.LearningTested
	occurredAt time.Time
}

func (f tested) what() (string, time.Time) { return "tested", f.TestedAt }

func (f tested) enter(_ *status, all *evidence) {
	a := attempt{At: f.TestedAt, Outcome: f.Outcome, Attempt: f.Attempt}
	if a.At.IsZero() {
		a.At = f.occurredAt
	}
	if f.Score != nil {
		a.Score = f.Score.String()
	}
	if f.PassingScore != nil {
		a.PassingScore = f.PassingScore.String()
	}
	all.Attempts = add(all.Attempts, a, attempt.compare)
}

// describeLearning derives a row of a course or test.
//
// The best of what ever happened is the status: passed, completed, then the
// outcome of the last attempt, in progress, enrolled. So a pass is never undone
// by a later fail, and an attempt without a pass mark is pending, since nobody
// may take it for a pass.
func describeLearning(s *status, all evidence) {
	s.flags = ""
	s.completedAt, s.lastCompletedAt = time.Time{}, time.Time{}
	for _, c := range all.Completions {
		s.complete(c.At)
	}
	for _, at := range describeEnrolments(s, all) {
		s.complete(at)
	}
	var last, pass attempt
	for _, a := range all.Attempts {
		last = a
		if a.Outcome == domain.OutcomePassed {
			pass = a
			s.complete(a.At)
		}
	}
	switch {
	case pass.Outcome != "":
		s.status, s.clock, last = statusPassed, s.lastCompletedAt, pass
	case !s.completedAt.IsZero():
		s.status, s.clock = statusCompleted, s.lastCompletedAt
	case last.Outcome == domain.OutcomeFailed:
		s.status, s.clock = statusFailed, last.At
	case last.Outcome != "":
		s.status, s.clock = statusPending, last.At
	case !s.progressedAt.IsZero():
		s.status, s.clock = statusInProgress, s.progressedAt
	default:
		s.status, s.clock = statusEnrolled, s.enrolledAt
	}
	if last.Outcome == domain.OutcomeUnknown {
		s.flags = projections.AddFlags(s.flags, flagOutcomeUnknown)
	}
	s.score, s.passingScore = number(last.Score), number(last.PassingScore)
	describeCertificate(s, all.Completions)
}

// complete takes up one completion or pass.
func (s *status) complete(at time.Time) {
	s.completedAt = earliest(s.completedAt, at)
	s.lastCompletedAt = latest(s.lastCompletedAt, at)
}

// describeCertificate derives which certificate is shown.
//
// It is the one that expires last: a renewal extends, and a repetition without a
// date takes nothing away. Another one that never expires counts instead if it
// came with a later completion than every date. "Never" may be no more than a
// date left out, so of the same certificate or completion the date counts. If
// nobody stated a date, it is the latest.
func describeCertificate(s *status, completions []completion) {
	s.issuedAt, s.expiresAt, s.expiry, s.certificate = time.Time{}, time.Time{}, "", ""
	var shown, dated, unlimited, newest completion
	var lastDated time.Time
	for _, c := range completions { // in order of time
		switch {
		case !c.certified():
			continue
		case c.Expiry == domain.ExpiryOn:
			if lastDated = c.At; !c.ExpiresAt.Before(dated.ExpiresAt) {
				dated = c
			}
		case c.Expiry == domain.ExpiryNever && !slices.ContainsFunc(completions, c.datedBy):
			unlimited = c
		}
		newest = c
	}
	switch {
	case unlimited.At.After(lastDated):
		shown = unlimited
	case !dated.At.IsZero():
		shown = dated
	case !newest.At.IsZero():
		shown = newest
	default:
		return
	}
	s.issuedAt, s.expiresAt, s.expiry, s.certificate = shown.At, shown.ExpiresAt, shown.Expiry, shown.Certificate
	s.fillIn(completions)
	switch {
	case s.expiry == domain.ExpiryUnknown:
		s.flags = projections.AddFlags(s.flags, flagExpiryUnknown)
	case !s.expiresAt.IsZero() && s.lastCompletedAt.After(s.expiresAt):
		s.flags = projections.AddFlags(s.flags, flagAfterExpiry)
	}
}

// fillIn adds to the certificate shown what other reports of the same
// completion say of it.
func (s *status) fillIn(completions []completion) {
	for _, c := range slices.Backward(completions) {
		if !c.At.Equal(s.issuedAt) {
			continue
		}
		if s.certificate == "" {
			s.certificate = c.Certificate
		}
		if s.expiry == "" {
			s.expiry = c.Expiry
		}
	}
}

// number reads what a decimal's String wrote; "" is nil.
func number(text string) *decimal.Decimal {
	if d, err := decimal.NewFromString(text); err == nil {
		return &d
	}
	return nil
}

// earliest returns the earlier of two moments; the zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// latest returns the later of two moments; the zero time is none.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
