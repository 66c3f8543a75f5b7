// Package certifications keeps how far every person is with every course, test
// and pathway, and in which state every badge is.
//
// What it holds does not depend on the order in which facts arrive. Nothing
// undoes a completion: not progress that falls, not a later enrolment, not a
// worse attempt, not the removal of the person or the course. No fact without a
// certificate erases one that is known, and no older state of a badge overwrites
// a newer one. A list of an employee's badges says less than what is reported of a
// badge itself: it fills in, and moves a badge on in its life, but never back.
// That an employer does not see a badge says nothing about it. Nor does a list of
// enrolments change what a webhook told of the same enrolment: it fills in, and
// its percentage counts if it is the later one. Expiry is not stored: it is a date
// that passes, and is judged as of the moment a question is about.
//
// Quizzes, classes and trials certify nothing and are left out.
package certifications

import (
	"cmp"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// Statuses of courses and tests. A badge's status is its provider's word, or
// statusDeleted.
const (
	statusEnrolled   = "enrolled"
	statusInProgress = "in-progress"
	statusCompleted  = "completed"
	statusPassed     = "passed"
	statusFailed     = "failed"
	statusPending    = "pending"
	statusDeleted    = "deleted"
	statusExpired    = "expired" // shown, never stored
)

// Flags.
const (
	flagExpiryUnknown   = "expiry-unknown"          // the certificate expires, nobody said when
	flagOutcomeUnknown  = "outcome-unknown"         // the test was taken, no pass mark was sent
	flagAfterExpiry     = "completed-after-expiry"  // completed again, and no later expiry was sent
	flagAfterDeletion   = "reported-after-deletion" // a deleted badge changed state
	flagReplacedUnknown = "replaced-by-unknown"     // replaced, and nobody said by which badge
)

// subjectBadge is the subject type of badges.
const subjectBadge = "badge"

// A status is how one person is doing with one course or test, or the state of
// one badge.
//
// A row of a course or test has the person in its key. That of a badge has not:
// the badge's id identifies it, and whose it is may become known later.
type status struct {
	source, subjectType, subject, personKey string

	person          string // of a badge: the issuer's id of the earner, else the provider's
	subjectName     string // of a badge: its template's
	subjectNameAt   time.Time
	template        string // of a badge
	status          string
	enrolledAt      time.Time // first one
	startedAt       time.Time // first one
	completedAt     time.Time // first completion, or first pass
	lastCompletedAt time.Time
	issuedAt        time.Time // of the certificate that is shown, or the badge
	expiresAt       time.Time // last moment of validity
	expiry          string    // an Expiry constant, "" if there is no certificate
	certificate     string    // id
	progress        string    // as reported last
	scale           string    // of progress
	progressAt      time.Time
	progressedAt    time.Time // when anything was last done, lessons included
	score           *decimal.Decimal
	passingScore    *decimal.Decimal
	state           string // of a badge: as reported
	public          bool   // of a badge: the earner shows it; says nothing about validity
	replaces        string
	replacedBy      string
	reason          string // of a revocation
	deletedAt       time.Time
	clock           time.Time // when what decides the status happened
	flags           string
	facts           string    // what the row is derived from; see [evidence]
	parsed          *evidence // facts, if somebody has parsed them; it never changes

	subjectNameListed bool      // no webhook names it
	progressListed    bool      // progress is a list's
	toldEnrolledAt    time.Time // first one that a webhook told
	toldStartedAt     time.Time // first one that a webhook told
}

// A step is one fact about one row.
type step struct {
	person, subjectType, subject string

	what   string // enrolled, progressed, completed, tested, the state of a badge, or what a list said of it
	status string // of the row, after it
	effect string
	clock  time.Time // when it happened by the provider's clock
}

// Effects of a fact, as the history shows them.
const (
	effectApplied = "applied"
	effectNone    = "no effect" // late, repeated or outranked
)

var statuses = projections.NewKeyed("status", 4,
	projections.Text("source", func(s *status) *string { return &s.source }),
	projections.Text("subject_type", func(s *status) *string { return &s.subjectType }),
	projections.Text("subject", func(s *status) *string { return &s.subject }),
	projections.Text("person_key", func(s *status) *string { return &s.personKey }),
	projections.Text("person", func(s *status) *string { return &s.person }),
	projections.Text("subject_name", func(s *status) *string { return &s.subjectName }),
	projections.Time("subject_name_at", func(s *status) *time.Time { return &s.subjectNameAt }),
	projections.Text("template", func(s *status) *string { return &s.template }),
	projections.Text("status", func(s *status) *string { return &s.status }),
	projections.Time("enrolled_at", func(s *status) *time.Time { return &s.enrolledAt }),
	projections.Time("started_at", func(s *status) *time.Time { return &s.startedAt }),
	projections.Time("completed_at", func(s *status) *time.Time { return &s.completedAt }),
	projections.Time("last_completed_at", func(s *status) *time.Time { return &s.lastCompletedAt }),
	projections.Time("issued_at", func(s *status) *time.Time { return &s.issuedAt }),
	projections.Time("expires_at", func(s *status) *time.Time { return &s.expiresAt }),
	projections.Text("expiry", func(s *status) *string { return &s.expiry }),
	projections.Text("certificate", func(s *status) *string { return &s.certificate }),
	projections.Text("progress", func(s *status) *string { return &s.progress }),
	projections.Text("scale", func(s *status) *string { return &s.scale }),
	projections.Time("progress_at", func(s *status) *time.Time { return &s.progressAt }),
	projections.Time("progressed_at", func(s *status) *time.Time { return &s.progressedAt }),
	projections.OptionalDecimal("score", func(s *status) **decimal.Decimal { return &s.score }),
	projections.OptionalDecimal("passing_score", func(s *status) **decimal.Decimal { return &s.passingScore }),
	projections.Text("state", func(s *status) *string { return &s.state }),
	projections.Bool("public", func(s *status) *bool { return &s.public }),
	projections.Text("replaces", func(s *status) *string { return &s.replaces }),
	projections.Text("replaced_by", func(s *status) *string { return &s.replacedBy }),
	projections.Personal("reason", func(s *status) *string { return &s.reason }),
	projections.Time("deleted_at", func(s *status) *time.Time { return &s.deletedAt }),
	projections.Time("clock", func(s *status) *time.Time { return &s.clock }),
	projections.Text("flags", func(s *status) *string { return &s.flags }),
	projections.Personal("facts", func(s *status) *string { return &s.facts }),
	projections.Bool("subject_name_listed", func(s *status) *bool { return &s.subjectNameListed }),
	projections.Bool("progress_listed", func(s *status) *bool { return &s.progressListed }),
	projections.Time("told_enrolled_at", func(s *status) *time.Time { return &s.toldEnrolledAt }),
	projections.Time("told_started_at", func(s *status) *time.Time { return &s.toldStartedAt }),
)

var history = projections.NewJournal("history",
	projections.Text("person", func(s *step) *string { return &s.person }),
	projections.Text("subject_type", func(s *step) *string { return &s.subjectType }),
	projections.Text("subject", func(s *step) *string { return &s.subject }),
	projections.Text("what", func(s *step) *string { return &s.what }),
	projections.Text("status", func(s *step) *string { return &s.status }),
	projections.Text("effect", func(s *step) *string { return &s.effect }),
	projections.Time("clock", func(s *step) *time.Time { return &s.clock }),
).Indexed("person").Indexed("subject")

// Projection returns the projection.
func Projection() *projections.Projection {
	return &projections.Projection{
		Name:    "certifications",
		Version: 4,
		Tables:  []projections.Table{statuses, history, employments, visibilities},
		Kinds: domain.KindsOf(
			domain.LearningEnrolled{},
			domain.LearningProgressed{},
			domain.LearningCompleted{},
			domain.LearningTested{},
			domain.LearningListed{},
			domain.BadgesReported{},
			domain.BadgesListed{},
			domain.BadgesDeleted{},
		),
		Fold: fold,
		Views: []projections.View{
			projections.NewView("status", "Certifications", statuses,
				"source", "person", "subject_type", "subject", "subject_name",
				projections.Computed("status", projections.TypeText, shownStatus),
				"completed_at", "issued_at", "expires_at", "expiry", "certificate", "template",
				"enrolled_at", "started_at", "last_completed_at", "progress", "scale", "score", "passing_score",
				"replaced_by", "reason", "clock", "flags"),
			projections.NewView("history", "Certification history", history,
				"position", "event", "source", "person", "subject_type", "subject", "what", "status", "effect",
				"occurred_at", "clock"),
			projections.NewView("visibility", "Badges that employers see", visibilities,
				"source", "employment", "badge", "person", "visible", "clock"),
		},
	}
}

func fold(tx *projections.Tx, r *domain.Record) error {
	switch e := r.Event.(type) {
	case domain.LearningEnrolled:
		if certifies(e.Subject) && !e.Trial {
			return learn(tx, r, e.Learner, e.Subject, nameIn(r, e.Subject), enrolled{e, r.OccurredAt})
		}
	case domain.LearningProgressed:
		if certifies(e.Subject) {
			return learn(tx, r, e.Learner, e.Subject, nameIn(r, e.Subject), progressed{e, r.OccurredAt})
		}
	case domain.LearningCompleted:
		if certifies(e.Subject) {
			return learn(tx, r, e.Learner, e.Subject, nameIn(r, e.Subject), completed{e})
		}
	case domain.LearningTested:
		if certifies(e.Subject) {
			return learn(tx, r, e.Learner, e.Subject, nameIn(r, e.Subject), tested{e, r.OccurredAt})
		}
	case domain.LearningListed:
		if certifies(e.Subject) && !e.Trial {
			return listEnrolment(tx, r, e)
		}
	case domain.BadgesReported:
		return badge(tx, r, e.Badge, reported{e, r.OccurredAt})
	case domain.BadgesListed:
		return list(tx, r, e)
	case domain.BadgesDeleted:
		return badge(tx, r, e.Badge, deleted{e, r.OccurredAt})
	}
	return nil
}

// certifies reports whether a subject is one that can be certified.
func certifies(s domain.Subject) bool {
	switch s.SubjectType {
	case domain.SubjectCourse, domain.SubjectTest, domain.SubjectPathway:
		return true
	}
	return false
}

// A fact takes its place in a row and in what the row is derived from.
type fact interface {
	what() (word string, clock time.Time)
	enter(*status, *evidence)
}

// learn takes up a fact about a person and a course or test.
func learn(tx *projections.Tx, r *domain.Record, l domain.Learner, s domain.Subject, called name, f fact) error {
	row, before := statuses.Copy(tx, r.Source, s.SubjectType, s.Subject, l.Person)
	row.source, row.subjectType, row.subject, row.personKey = r.Source, s.SubjectType, s.Subject, l.Person
	row.person = l.Person
	row.call(called)
	return take(tx, before, row, f, describeLearning)
}

// badge takes up a fact about a badge.
func badge(tx *projections.Tx, r *domain.Record, id string, f fact) error {
	row, before := statuses.Copy(tx, r.Source, subjectBadge, id, "")
	row.source, row.subjectType, row.subject = r.Source, subjectBadge, id
	return take(tx, before, row, f, describeBadge)
}

// take enters a fact, derives the row again and notes what that did.
func take(tx *projections.Tx, before, row *status, f fact, describe func(*status, evidence)) error {
	if err := enter(tx, row, f, describe); err != nil {
		return err
	}
	effect := effectNone
	if !looksSame(before, row) {
		effect = effectApplied
	}
	what, clock := f.what()
	row.note(tx, what, effect, clock)
	return nil
}

// enter enters a fact, derives the row with it and keeps it.
func enter(tx *projections.Tx, row *status, f fact, describe func(*status, evidence)) error {
	known, err := row.evidence()
	if err != nil {
		return err
	}
	all := known.clone()
	f.enter(row, &all)
	if !all.equal(*known) {
		if row.facts, err = all.text(); err != nil {
			return err
		}
		row.parsed = &all
	}
	describe(row, all)
	statuses.Give(tx, row)
	return nil
}

// looksSame reports whether two rows differ in nothing but what is only there to
// derive them.
var looksSame = statuses.Same("facts", "subject_name_at", "progress_at", "progressed_at",
	"subject_name_listed", "progress_listed", "told_enrolled_at", "told_started_at")

// note adds a line to the history of a row.
func (s *status) note(tx *projections.Tx, what, effect string, clock time.Time) {
	history.Append(tx, step{
		person: s.person, subjectType: s.subjectType, subject: s.subject,
		what: what, status: s.status, effect: effect, clock: clock,
	})
}

// A name is what a subject is called, and since when somebody says so.
type name struct {
	text   string
	at     time.Time
	listed bool // by a list
}

// nameIn returns what a webhook calls a subject.
func nameIn(r *domain.Record, s domain.Subject) name { return name{s.SubjectName, r.OccurredAt, false} }

// call takes up what the subject is called: a webhook's name counts, then the
// latest, then, of two at the same time, the greater one.
func (s *status) call(n name) {
	worse := n.listed && !s.subjectNameListed && s.subjectName != ""
	better := !n.listed && s.subjectNameListed
	if n.text == "" || worse || !better && cmp.Or(n.at.Compare(s.subjectNameAt), cmp.Compare(n.text, s.subjectName)) <= 0 {
		return
	}
	s.subjectName, s.subjectNameAt, s.subjectNameListed = n.text, n.at, n.listed
}

// shownStatus returns the status as of a moment: what was achieved and is not
// valid any more has expired. Without a moment nothing has.
func shownStatus(s status, at time.Time) projections.Cell {
	achieved := s.status == statusCompleted || s.status == statusPassed || s.status == domain.BadgeAccepted
	if achieved && !at.IsZero() && !s.expiresAt.IsZero() && s.expiresAt.Before(at) {
		return projections.Cell{Text: statusExpired}
	}
	return projections.Cell{Text: s.status}
}
