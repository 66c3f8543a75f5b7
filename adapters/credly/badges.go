package credly

import (
	"cmp"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// badgeChanged reads an event that is about one badge: what it says is the
// badge's state by the badge's own clock. That a badge became private or public
// is one of these, and nothing else: privacy is not validity.
func (a *answer) badgeChanged(data payload.Value, e event) []domain.Fact {
	badge := badgeIn(data)
	if !badge.Exists() {
		a.rd.Fail(data.Get("badge"), "is missing")
		return nil
	}
	return []domain.Fact{{OccurredAt: e.occurredAt, Event: a.badge(badge, e.organization, e.occurredAt)}}
}

// badgeDeleted reads the deletion of a badge, of which no more than its id may be
// left. What else is left is reported too, so that the badge has a name.
func (a *answer) badgeDeleted(data payload.Value, e event) []domain.Fact {
	badge := badgeIn(data)
	id := badge.Get("id")
	if !badge.Exists() {
		id = data.Get("badge_id")
	}
	deleted := domain.Fact{OccurredAt: e.occurredAt, Event: domain.BadgesDeleted{Badge: a.rd.ID(id), DeletedAt: e.occurredAt}}
	if a.rd.Err() != nil {
		return nil
	}
	last := answer{doc: a.doc}
	reported := last.badge(badge, e.organization, e.occurredAt)
	if last.rd.Err() != nil || reported.Validate() != nil {
		if len(badge.Names()) > 1 {
			a.rd.Odd(badge)
		}
		return []domain.Fact{deleted}
	}
	a.rd.Flag(last.rd.Flagged()...)
	return []domain.Fact{{OccurredAt: e.occurredAt, Event: reported}, deleted}
}

// badgeIn returns the object of an event that is a badge: the member of this
// name, else the first by name that has what a badge has. It is absent if there
// is none.
func badgeIn(data payload.Value) payload.Value {
	if badge := data.Get("badge"); badge.IsObject() {
		return badge
	}
	for _, name := range data.Names() {
		if !payload.IsWord(name) {
			continue
		}
		v := data.Get(name)
		if v.Get("state").Exists() && v.Get("badge_template").IsObject() {
			return v
		}
	}
	return payload.Value{}
}

// badge reads an issued badge. Its clock is when its state changed; where that
// is left out, it is the moment for which the state is told.
func (a *answer) badge(v payload.Value, organization string, toldAt time.Time) domain.BadgesReported {
	rd := &a.rd
	e := domain.BadgesReported{
		Badge:          rd.ID(v.Get("id")),
		Organization:   organization,
		Template:       rd.ID(v.Get("badge_template", "id")),
		TemplateName:   rd.TryText(v.Get("badge_template", "name")),
		State:          rd.ID(v.Get("state")),
		StateUpdatedAt: rd.Time(v.Get("state_updated_at")),
		IssuedAt:       a.issuedAt(v),
		ExpiresAt:      a.expiresAt(v),
		Public:         rd.TryYes(v.Get("public")),
		Replaces:       rd.TryLabel(v.Get("replaces_badge_id")),
		ReplacedBy:     rd.TryLabel(v.Get("replacement_badge_id")),
		Reason:         domain.Personal(rd.TryText(v.Get("revocation_reason"))),
		Earner:         rd.TryLabel(v.Get("issuer_earner_id")),
		User:           rd.TryLabel(v.Get("user", "id")),
		Name:           a.name(v, "issued_to", "issued_to_"),
		Email:          a.email(v.Get("recipient_email"), v.Get("user", "email")),
	}
	if e.StateUpdatedAt.IsZero() {
		e.StateUpdatedAt = toldAt
	}
	if e.StateUpdatedAt.IsZero() {
		rd.Fail(v.Get("state_updated_at"), "is missing")
	}
	return e
}

// issuedAt returns when a badge was issued, zero if nobody said.
func (a *answer) issuedAt(v payload.Value) time.Time {
	at := a.rd.TryTime(v.Get("issued_at"))
	if at.IsZero() {
		at = a.rd.TryTime(v.Get("issued_at_date"))
	}
	return at
}

// expiresAt returns until when a badge is valid; null is for ever. What cannot be
// read is an error: nobody may take it for never.
func (a *answer) expiresAt(v payload.Value) time.Time {
	at := a.rd.Until(v.Get("expires_at"))
	if at.IsZero() {
		at = a.rd.Until(v.Get("expires_at_date"))
	}
	return at
}

// name returns the whole name of a person, or its parts put together.
func (a *answer) name(v payload.Value, whole, prefix string) domain.Personal {
	name := strings.TrimSpace(a.rd.TryText(v.Get(whole)))
	if name == "" {
		var parts []string
		for _, part := range []string{"first_name", "middle_name", "last_name"} {
			parts = append(parts, strings.Fields(a.rd.TryText(v.Get(prefix+part)))...)
		}
		name = strings.Join(parts, " ")
	}
	return domain.Personal(name)
}

// email returns the first of the values that is there.
func (a *answer) email(values ...payload.Value) domain.Personal {
	var text string
	for _, v := range values {
		text = cmp.Or(text, a.rd.TryText(v))
	}
	return a.rd.Email(text)
}
