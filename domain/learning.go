package domain

import (
	"time"

	"github.com/shopspring/decimal"
)

// A Learner is the person a learning event is about.
type Learner struct {
	Person string   `json:"person"` // the provider's id
	Name   Personal `json:"-"`
	Email  Personal `json:"-"`
}

// Subject types.
const (
	SubjectCourse  = "course"
	SubjectTest    = "test"
	SubjectClass   = "class"
	SubjectQuiz    = "quiz"
	SubjectPathway = "pathway" // Tahdah's: a candidate registers for it
)

// A Subject is what is learnt or tested.
type Subject struct {
	SubjectType string `json:"subject_type"` // one of the Subject constants
	Subject     string `json:"subject"`      // the provider's id, unique within its type
	SubjectName string `json:"subject_name,omitempty"`
}

func (c *check) learning(l Learner, s Subject) {
	c.id("person", l.Person)
	c.text("name", string(l.Name))
	c.text("email", string(l.Email))
	c.oneOf("subject_type", s.SubjectType, SubjectCourse, SubjectTest, SubjectClass, SubjectQuiz, SubjectPathway)
	c.id("subject", s.Subject)
	c.text("subject_name", s.SubjectName)
}

// of returns whose number a learner of s has: candidates register for pathways;
// whoever learns anything else has an account.
func (l *Learner) of(s Subject) (typ, id string) {
	if s.SubjectType == SubjectPathway {
		return PersonCandidate, l.Person
	}
	return PersonUser, l.Person
}

// visit visits what is personal of a learner of s.
func (l *Learner) visit(s Subject, visit personalVisitor) {
	who := someone(l.of(s))
	visit("name", who, &l.Name)
	visit("email", who, &l.Email)
}

func (e *LearningEnrolled) personal(visit personalVisitor)   { e.visit(e.Subject, visit) }
func (e *LearningProgressed) personal(visit personalVisitor) { e.visit(e.Subject, visit) }
func (e *LearningTested) personal(visit personalVisitor)     { e.visit(e.Subject, visit) }
func (e *LearningListed) personal(visit personalVisitor)     { e.visit(e.Subject, visit) }

// LearningEnrolled says that a person was enrolled.
type LearningEnrolled struct {
	Learner
	Subject
	Enrolment   string    `json:"enrolment,omitempty"` // the provider's id of the enrolment
	EnrolledAt  time.Time `json:"enrolled_at,omitzero"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	AccessUntil time.Time `json:"access_until,omitzero"` // end of access, not of any certificate
	Trial       bool      `json:"trial,omitempty"`       // a preview, which certifies nothing
}

// Kind implements [Event].
func (LearningEnrolled) Kind() Kind { return "learning.enrolled.v1" }

// Validate implements [Event].
func (e LearningEnrolled) Validate() error {
	var c check
	c.learning(e.Learner, e.Subject)
	c.label("enrolment", e.Enrolment)
	c.time("enrolled_at", e.EnrolledAt)
	c.time("started_at", e.StartedAt)
	c.time("access_until", e.AccessUntil)
	return c.err
}

// Scales of a reported percentage.
const (
	ScalePercent  = "percent"  // "24.0" is 24 %
	ScaleFraction = "fraction" // "0.24" is 24 %
	ScaleUnknown  = "unknown"  // exactly "1", or nothing
)

// LearningProgressed says how far a person has come. It never completes
// anything: progress can fall again, and its scale is contradictory.
type LearningProgressed struct {
	Learner
	Subject
	Enrolment string    `json:"enrolment,omitempty"`
	Reported  string    `json:"reported,omitempty"` // the percentage as sent
	Scale     string    `json:"scale"`              // one of the Scale constants
	Activity  string    `json:"activity,omitempty"` // what was done, such as "lesson/24220"
	StartedAt time.Time `json:"started_at,omitzero"`
}

// Kind implements [Event].
func (LearningProgressed) Kind() Kind { return "learning.progressed.v1" }

// Validate implements [Event].
func (e LearningProgressed) Validate() error {
	var c check
	c.learning(e.Learner, e.Subject)
	c.label("enrolment", e.Enrolment)
	c.label("reported", e.Reported)
	c.oneOf("scale", e.Scale, ScalePercent, ScaleFraction, ScaleUnknown)
	c.label("activity", e.Activity)
	c.time("started_at", e.StartedAt)
	return c.err
}

// Certificate states and expiries.
const (
	CertificateIssued  = "issued"
	CertificateNone    = "none"
	CertificateUnknown = "unknown"

	ExpiryNever   = "never"
	ExpiryOn      = "on"      // at ExpiresAt
	ExpiryUnknown = "unknown" // it expires, nobody said when; or nobody said whether
)

// A Certificate is what a completion earned.
type Certificate struct {
	State     string    `json:"state"` // CertificateIssued, CertificateNone, CertificateUnknown
	ID        string    `json:"id,omitempty"`
	URL       Personal  `json:"-"`
	Expiry    string    `json:"expiry,omitempty"`    // of an issued one: ExpiryNever, ExpiryOn, ExpiryUnknown
	ExpiresAt time.Time `json:"expires_at,omitzero"` // last moment of validity; a bare date counts to its end in UTC
}

// LearningCompleted says that a person completed a course.
type LearningCompleted struct {
	Learner
	Subject
	Enrolment   string      `json:"enrolment,omitempty"`
	CompletedAt time.Time   `json:"completed_at"`
	Certificate Certificate `json:"certificate"`
}

// Kind implements [Event].
func (LearningCompleted) Kind() Kind { return "learning.completed.v1" }

// Validate implements [Event].
func (e LearningCompleted) Validate() error {
	var c check
	c.learning(e.Learner, e.Subject)
	c.label("enrolment", e.Enrolment)
	if e.CompletedAt.IsZero() {
		c.fail("completed_at", "is missing")
	}
	c.time("completed_at", e.CompletedAt)
	cert := e.Certificate
	c.oneOf("certificate/state", cert.State, CertificateIssued, CertificateNone, CertificateUnknown)
	c.label("certificate/id", cert.ID)
	c.text("certificate/url", string(cert.URL))
	c.oneOf("certificate/expiry", cert.Expiry, "", ExpiryNever, ExpiryOn, ExpiryUnknown)
	if (cert.Expiry == ExpiryOn) == cert.ExpiresAt.IsZero() {
		c.fail("certificate/expires_at", "does not go with the expiry")
	}
	c.time("certificate/expires_at", cert.ExpiresAt)
	return c.err
}

func (e *LearningCompleted) personal(visit personalVisitor) {
	e.visit(e.Subject, visit)
	visit("certificate/url", someone(PersonUser, e.Person), &e.Certificate.URL)
}

// Outcomes of a test.
const (
	OutcomePassed  = "passed"
	OutcomeFailed  = "failed"
	OutcomePending = "pending" // somebody has yet to score it
	OutcomeUnknown = "unknown" // no pass mark was sent
)

// LearningTested says how a person did in a test. Pass and fail are derived by
// the provider package from score and pass mark: nobody sends them.
type LearningTested struct {
	Learner
	Subject
	TestedAt     time.Time        `json:"tested_at,omitzero"`
	Score        *decimal.Decimal `json:"score,omitempty"`
	PassingScore *decimal.Decimal `json:"passing_score,omitempty"`
	Outcome      string           `json:"outcome"` // one of the Outcome constants
	Attempt      string           `json:"attempt,omitempty"`
}

// Kind implements [Event].
func (LearningTested) Kind() Kind { return "learning.tested.v1" }

// Validate implements [Event].
func (e LearningTested) Validate() error {
	var c check
	c.learning(e.Learner, e.Subject)
	c.time("tested_at", e.TestedAt)
	if e.Score != nil {
		c.number("score", *e.Score)
	}
	if e.PassingScore != nil {
		c.number("passing_score", *e.PassingScore)
	}
	c.oneOf("outcome", e.Outcome, OutcomePassed, OutcomeFailed, OutcomePending, OutcomeUnknown)
	c.label("attempt", e.Attempt)
	return c.err
}

// LearningListed says what a provider's API listed of an enrolment. A row of the
// list is told in parts, each a fact that occurred when it says: that a person was
// enrolled, how far he has come, that he completed the course. It fills in what
// no webhook has said, and outranks nothing; of percentages alone the latest counts.
type LearningListed struct {
	Learner
	Subject
	Enrolment   string    `json:"enrolment"`             // the provider's id of the enrolment
	ListedAt    time.Time `json:"listed_at,omitzero"`    // when the API was asked: what it calls people and courses was so then
	EnrolledAt  time.Time `json:"enrolled_at,omitzero"`  //
	StartedAt   time.Time `json:"started_at,omitzero"`   //
	AccessUntil time.Time `json:"access_until,omitzero"` // end of access, not of any certificate
	Trial       bool      `json:"trial,omitempty"`       // a preview, which certifies nothing
	Reported    string    `json:"reported,omitempty"`    // the percentage as listed
	Scale       string    `json:"scale,omitempty"`       // of Reported: one of the Scale constants
	CompletedAt time.Time `json:"completed_at,omitzero"` // zero: it does not say that the course is completed
}

// Kind implements [Event].
func (LearningListed) Kind() Kind { return "learning.listed.v1" }

// Validate implements [Event].
func (e LearningListed) Validate() error {
	var c check
	c.learning(e.Learner, e.Subject)
	c.id("enrolment", e.Enrolment)
	c.time("listed_at", e.ListedAt)
	c.time("enrolled_at", e.EnrolledAt)
	c.time("started_at", e.StartedAt)
	c.time("access_until", e.AccessUntil)
	c.label("reported", e.Reported)
	c.oneOf("scale", e.Scale, "", ScalePercent, ScaleFraction, ScaleUnknown)
	c.time("completed_at", e.CompletedAt)
	if (e.Reported == "") != (e.Scale == "") {
		c.fail("scale", "does not go with the percentage")
	}
	return c.err
}
