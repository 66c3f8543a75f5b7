package certifications

import (
	"cmp"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

type reported struct {
	domain.BadgesReported
	occurredAt time.Time
}

func (f reported) what() (string, time.Time) { return f.State, f.StateUpdatedAt }

func (f reported) enter(_ *status, all *evidence) {
	all.Reports = addReport(all.Reports, report{
		Clock: f.StateUpdatedAt, At: f.occurredAt, State: f.State,
		Template: f.Template, TemplateName: f.TemplateName,
		IssuedAt: f.IssuedAt, ExpiresAt: f.ExpiresAt, Public: f.Public,
		Replaces: f.Replaces, ReplacedBy: f.ReplacedBy, Reason: string(f.Reason),
		Earner: f.Earner, User: f.User,
	})
}

// A listed is what a list of an employee's badges says of one of them.
type listed struct {
	domain.ListedBadge
	at                   time.Time
	external, employment string
}

func (f listed) what() (string, time.Time) { return "listed as " + f.State, f.at }

// enter keeps the last list only: each says the same of everything but the state.
func (f listed) enter(_ *status, all *evidence) {
	r := report{
		Clock: f.at, At: f.at, State: f.State, Template: f.Template, TemplateName: f.TemplateName,
		IssuedAt: f.IssuedAt, ExpiresAt: f.ExpiresAt, Public: f.Public, Earner: f.external, User: f.employment,
	}
	if r.compare(all.Listed) > 0 {
		all.Listed = r
	}
}

type deleted struct {
	domain.BadgesDeleted
	occurredAt time.Time
}

func (f deleted) what() (string, time.Time) { return statusDeleted, f.DeletedAt }

func (f deleted) enter(s *status, _ *evidence) {
	at := f.DeletedAt
	if at.IsZero() {
		at = f.occurredAt
	}
	s.deletedAt = earliest(s.deletedAt, at)
}

// describeBadge derives a row of a badge.
//
// The report with the latest clock says in which state the badge is, until when
// it is valid and why. What does not change in a badge's life is kept from
// earlier reports where later ones leave it out. What a list says of a badge
// comes before all of them, or after if it is news. A deleted badge stays deleted
// and keeps what was known of it.
func describeBadge(s *status, all evidence) {
	s.subjectName, s.issuedAt, s.replaces, s.replacedBy = "", time.Time{}, "", ""
	if all.Listed.State != "" {
		s.report(all.Listed)
	}
	var earner, user string
	var said time.Time
	for _, r := range all.Reports { // the last one decides
		s.report(r)
		earner, user = cmp.Or(r.Earner, earner), cmp.Or(r.User, user)
		said = latest(said, r.At)
	}
	if n := len(all.Reports); n > 0 && all.Listed.outdates(all.Reports[n-1], said) {
		s.relist(all.Listed)
	}
	s.person = cmp.Or(earner, user, all.Listed.Earner, all.Listed.User)
	s.status, s.flags = s.state, ""
	if s.state == domain.BadgeReplaced && s.replacedBy == "" {
		s.flags = projections.AddFlags(s.flags, flagReplacedUnknown)
	}
	if s.deletedAt.IsZero() {
		return
	}
	if s.clock.After(s.deletedAt) && s.state != "" {
		s.flags = projections.AddFlags(s.flags, flagAfterDeletion)
	}
	s.status, s.clock = statusDeleted, s.deletedAt
}

// report takes up one report that is later than all before.
func (s *status) report(r report) {
	s.state, s.clock, s.template = r.State, r.Clock, r.Template
	s.public, s.reason = r.Public, r.Reason
	s.subjectName = cmp.Or(r.TemplateName, s.subjectName)
	s.issuedAt = cmp.Or(r.IssuedAt, s.issuedAt)
	s.replaces = cmp.Or(r.Replaces, s.replaces)
	s.replacedBy = cmp.Or(r.ReplacedBy, s.replacedBy)
	s.expire(r.ExpiresAt)
}

// relist takes up what a list says that is news.
func (s *status) relist(r report) {
	if s.state != r.State {
		s.state, s.clock, s.reason = r.State, r.Clock, ""
	}
	s.public = r.Public
	s.expire(r.ExpiresAt)
}

// expire sets until when a badge is valid; the zero time is for ever.
func (s *status) expire(at time.Time) {
	s.expiresAt, s.expiry = at, domain.ExpiryOn
	if at.IsZero() {
		s.expiry = domain.ExpiryNever
	}
}
