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
		Replaces: f.Replaces, ReplacedBy: f.ReplacedBy, Reason: f.Reason,
		Earner: f.Earner, User: f.User,
	})
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
// earlier reports where later ones leave it out. A deleted badge stays deleted
// and keeps what was known of it.
func describeBadge(s *status, all evidence) {
	var earner, user string
	for _, r := range all.Reports { // the last one decides
		s.state, s.clock, s.template = r.State, r.Clock, r.Template
		s.expiresAt, s.public, s.reason = r.ExpiresAt, r.Public, r.Reason
		s.subjectName = cmp.Or(r.TemplateName, s.subjectName)
		s.issuedAt = cmp.Or(r.IssuedAt, s.issuedAt)
		s.replaces = cmp.Or(r.Replaces, s.replaces)
		s.replacedBy = cmp.Or(r.ReplacedBy, s.replacedBy)
		earner, user = cmp.Or(r.Earner, earner), cmp.Or(r.User, user)

		s.expiry = domain.ExpiryOn
		if r.ExpiresAt.IsZero() {
			s.expiry = domain.ExpiryNever
		}
	}
	s.person = cmp.Or(earner, user)
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
