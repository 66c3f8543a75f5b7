package braincert

import (
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// enrolled translates an enrolment; object is where the payload describes what
// the person was enrolled in.
func enrolled(subjectType, object string) func(*reader, route) domain.Event {
	return func(r *reader, rt route) domain.Event {
		return domain.LearningEnrolled{
			Learner:    r.learner(),
			Subject:    r.subject(subjectType, rt, r.body.Get(object)),
			Enrolment:  r.tryID(r.body.Get("enrollment_id")),
			EnrolledAt: r.tryMoment(r.first(names{"enrolled_at", "activated_at"})),
			StartedAt:  r.tryMoment(r.body.Get("started_at")),
		}
	}
}

// subject returns what is learnt. Its name is "name" here and "title" there.
func (r *reader) subject(subjectType string, rt route, object payload.Value) domain.Subject {
	return domain.Subject{
		SubjectType: subjectType,
		Subject:     r.id(r.first(rt.subject)),
		SubjectName: r.either(object, "title", "name"),
	}
}

// completed translates Course Completed.
func completed(r *reader, rt route) domain.Event {
	course := r.body.Get("course")
	e := domain.LearningCompleted{
		Learner:     r.learner(),
		Subject:     r.subject(domain.SubjectCourse, rt, course),
		CompletedAt: r.moment(course.Get("completion_date")),
		Certificate: r.certificate(r.body.Get("completion_details")),
	}
	if e.CompletedAt.IsZero() {
		e.CompletedAt = r.created
	}
	if e.CompletedAt.IsZero() {
		r.Fail(course.Get("completion_date"), "is missing")
	}
	return e
}

// certificate reads three fields: whether one was issued, whether it expires,
// and when. The date says nothing unless the second says yes.
func (r *reader) certificate(details payload.Value) domain.Certificate {
	c := domain.Certificate{State: domain.CertificateUnknown}
	switch issued, said := r.Yes(details.Get("certificate_issued")); {
	case said && !issued:
		return domain.Certificate{State: domain.CertificateNone}
	case said:
		c.State = domain.CertificateIssued
	}
	expires, said := r.Yes(details.Get("certificate_expiry"))
	switch date := details.Get("certificate_expiration_date"); {
	case said && !expires:
		c.Expiry = domain.ExpiryNever
	case said && date.Filled():
		c.ExpiresAt = r.Until(date)
	}
	switch {
	case !c.ExpiresAt.IsZero():
		c.Expiry = domain.ExpiryOn
	case c.Expiry == "" && (said || c.State == domain.CertificateIssued):
		c.Expiry = domain.ExpiryUnknown
		r.Flag(flagExpiryUnknown)
	}
	return c
}

// tested translates Test Completed.
func tested(r *reader, rt route) domain.Event {
	e := domain.LearningTested{
		Learner:      r.learner(),
		Subject:      r.subject(domain.SubjectTest, rt, r.body),
		TestedAt:     r.created,
		Score:        r.number(r.body.Get("final_score")),
		PassingScore: r.number(r.body.Get("passing_score")),
	}
	if e.TestedAt.IsZero() {
		r.Fail(r.doc.Get("created_at"), "is missing")
	}
	e.Outcome = r.outcome(e.Score, e.PassingScore)
	return e
}

// outcome derives what is not sent: the pass mark itself passes, and nothing is
// decided while somebody has yet to score the answers.
func (r *reader) outcome(score, pass *decimal.Decimal) string {
	switch scoring := strings.ToLower(r.text(r.body.Get("manual_scoring"))); {
	case scoring == "pending":
		return domain.OutcomePending
	case scoring != "" && scoring != "completed":
		r.Flag(flagScoringUnknown)
		return domain.OutcomeUnknown
	case score == nil || pass == nil:
		return domain.OutcomeUnknown
	case score.Cmp(*pass) >= 0:
		return domain.OutcomePassed
	}
	return domain.OutcomeFailed
}
