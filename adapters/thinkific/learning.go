package thinkific

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// enrolled reads enrollment.created and enrollment.trial.
func enrolled(d *delivery) domain.Event {
	v := d.payload
	since := d.TryTime(v.Get("created_at"))
	if since.IsZero() {
		since = d.TryTime(v.Get("activated_at"))
	}
	return domain.LearningEnrolled{
		Learner:     d.learner(v.Get("user")),
		Subject:     d.course(),
		Enrolment:   d.TryLabel(v.Get("id")),
		EnrolledAt:  since,
		StartedAt:   d.TryTime(v.Get("started_at")),
		AccessUntil: d.TryUntil(v.Get("expiry_date")),
		Trial:       d.action == "trial" || d.TryYes(v.Get("free_trial")),
	}
}

// progressed reads enrollment.progress. It never completes anything.
func progressed(d *delivery) domain.Event {
	v := d.payload
	reported, scale := d.percentage()
	return domain.LearningProgressed{
		Learner:   d.learner(v.Get("user")),
		Subject:   d.course(),
		Enrolment: d.TryLabel(v.Get("id")),
		Reported:  reported,
		Scale:     scale,
		StartedAt: d.TryTime(v.Get("started_at")),
	}
}

var (
	one     = decimal.NewFromInt(1)
	hundred = decimal.NewFromInt(100)
)

// percentage returns percentage_completed as sent, and on which scale it is.
// Thinkific sends percents in some deliveries and fractions in others: more than
// 1 is a percent, between 0 and 1 a fraction, 0 the same on both. Exactly 1 is
// the fraction if the course is completed, and undecidable otherwise.
func (d *delivery) percentage() (reported, scale string) {
	v := d.payload.Get("percentage_completed")
	reported = d.TryLabel(v)
	if reported == "" {
		return "", domain.ScaleUnknown
	}
	var try payload.Reader
	p := try.Decimal(v)
	switch {
	case try.Err() != nil:
		d.Flag(flagPercentage)
		if strings.Trim(reported, "0123456789.,%+-eE ") != "" {
			reported = "" // no number of any kind, so perhaps a text about somebody
		}
		return reported, domain.ScaleUnknown
	case p.IsNegative(), p.GreaterThan(hundred):
		d.Flag(flagPercentage)
		return reported, domain.ScaleUnknown
	case p.GreaterThan(one), p.IsZero():
		return reported, domain.ScalePercent
	case p.LessThan(one), !d.TryTime(d.payload.Get("completed_at")).IsZero():
		return reported, domain.ScaleFraction
	}
	return reported, domain.ScaleUnknown
}

// completed reads enrollment.completed. Who, what and when are needed.
func completed(d *delivery) domain.Event {
	v := d.payload
	at := d.Time(v.Get("completed_at"))
	if at.IsZero() {
		at = d.at
	}
	if at.IsZero() {
		d.Fail(v.Get("completed_at"), "is missing, and so is the envelope's created_at")
	}
	return domain.LearningCompleted{
		Learner:     d.learner(v.Get("user")),
		Subject:     d.course(),
		Enrolment:   d.TryLabel(v.Get("id")),
		CompletedAt: at,
		Certificate: d.certificate(),
	}
}

// certificate reads what a completion earned. Older deliveries have no members
// for it, which says nothing. Null says that there is no certificate, or that
// the one there is does not expire.
func (d *delivery) certificate() domain.Certificate {
	v := d.payload
	c := domain.Certificate{
		State:     domain.CertificateUnknown,
		ID:        d.TryLabel(v.Get("credential_id")),
		URL:       domain.Personal(d.TryText(v.Get("certificate_url"))),
		ExpiresAt: d.Until(v.Get("certificate_expiry_date")),
	}
	names := v.Names()
	switch {
	case c.ID != "" || c.URL != "":
		c.State = domain.CertificateIssued
	case slices.Contains(names, "credential_id") && !v.Get("credential_id").Exists() && !v.Get("certificate_url").Exists():
		c.State = domain.CertificateNone
	}
	switch {
	case !c.ExpiresAt.IsZero():
		c.Expiry = domain.ExpiryOn
	case c.State != domain.CertificateIssued:
	case slices.Contains(names, "certificate_expiry_date") && !v.Get("certificate_expiry_date").Exists():
		c.Expiry = domain.ExpiryNever
	default:
		c.Expiry = domain.ExpiryUnknown
	}
	return c
}

// course returns the course of an enrolment or a lesson.
func (d *delivery) course() domain.Subject {
	flat, nested := d.payload.Get("course_id"), d.payload.Get("course", "id")
	id := d.OptionalID(flat)
	if id == "" {
		id = d.ID(nested)
	} else if other := d.TryLabel(nested); other != "" && other != id {
		d.Flag(flagCourses)
	}
	return domain.Subject{
		SubjectType: domain.SubjectCourse,
		Subject:     id,
		SubjectName: d.TryText(d.payload.Get("course", "name")),
	}
}

// lesson reads lesson.completed: a step in its course, however large.
func lesson(d *delivery) domain.Event {
	v := d.payload
	return domain.LearningProgressed{
		Learner:   d.learner(v.Get("user")),
		Subject:   d.course(),
		Enrolment: d.TryLabel(v.Get("enrollment", "id")),
		Scale:     domain.ScaleUnknown,
		Activity:  payload.Key("lesson", d.ID(v.Get("lesson", "id"))),
	}
}

// quiz reads quiz.attempted. No pass mark is sent, so its outcome is unknown.
func quiz(d *delivery) domain.Event {
	v := d.payload
	return domain.LearningTested{
		Learner: d.learner(v.Get("user")),
		Subject: domain.Subject{
			SubjectType: domain.SubjectQuiz,
			Subject:     d.ID(v.Get("quiz", "id")),
			SubjectName: d.TryText(v.Get("quiz", "name")),
		},
		TestedAt: d.at,
		Score:    d.OptionalDecimal(v.Get("grade")),
		Outcome:  domain.OutcomeUnknown,
		Attempt:  d.TryLabel(v.Get("attempts")),
	}
}
