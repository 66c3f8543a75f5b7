package credly

import (
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// employmentChanged reads an event about an employee: the record, and the badges
// that the employer sees with it. The end of an employment, or of a badge's
// being visible, takes no badge from anybody.
func (a *answer) employmentChanged(data payload.Value, e event) []domain.Fact {
	employment := a.required(data, "employment")
	activity := strings.TrimPrefix(e.eventType, "employment.")
	changed := a.employment(employment, activity)
	facts := []domain.Fact{{OccurredAt: e.occurredAt, Event: changed}}

	l := domain.BadgesListed{
		Employment: changed.Employment, Organization: e.organization, External: changed.External, ListedAt: e.occurredAt,
	}
	a.list(&l, employment.Get("badges"))
	if badge := data.Get("badge"); badge.IsObject() {
		a.single(&l, badge, activity != "badges.removed")
	} else if activity == "badges.added" || activity == "badges.removed" {
		a.rd.Fail(badge, "is missing")
	}
	if l.Whole || len(l.Badges) > 0 {
		facts = append(facts, domain.Fact{OccurredAt: e.occurredAt, Event: l})
	}
	return facts
}

// employment reads an employee's record. Without the authority to see more, all
// but its ids and its e-mail address is left out.
func (a *answer) employment(v payload.Value, activity string) domain.DirectoryEmploymentChanged {
	return domain.DirectoryEmploymentChanged{
		Employment: a.rd.ID(v.Get("id")),
		External:   a.rd.TryLabel(v.Get("external_id")),
		State:      a.rd.TryLabel(v.Get("employee_state")),
		Activity:   activity,
		Name:       a.name(v, "full_name", ""),
		Email:      a.email(v.Get("email")),
	}
}

// list takes up the badges of an employee. A list that is not there says nothing;
// an empty one says that there are none.
func (a *answer) list(l *domain.BadgesListed, badges payload.Value) {
	l.Whole = badges.IsList()
	for _, v := range a.rd.Elements(badges) {
		a.single(l, v, true)
	}
}

// single takes up one badge, in the place of what the list says of it if it
// cannot be seen.
func (a *answer) single(l *domain.BadgesListed, v payload.Value, visible bool) {
	b := domain.ListedBadge{
		Badge:        a.rd.ID(v.Get("id")),
		Visible:      visible,
		Template:     a.rd.ID(v.Get("badge_template", "id")),
		TemplateName: a.rd.TryText(v.Get("badge_template", "name")),
		State:        a.rd.ID(v.Get("state")),
		IssuedAt:     a.issuedAt(v),
		ExpiresAt:    a.expiresAt(v),
		Public:       a.rd.TryYes(v.Get("public")),
	}
	i := slices.IndexFunc(l.Badges, func(o domain.ListedBadge) bool { return o.Badge == b.Badge })
	switch {
	case i < 0:
		l.Badges = append(l.Badges, b)
	case !visible:
		l.Badges[i] = b
	}
}

// seenAt returns when a row of a list was so: when we were told.
func (a *answer) seenAt() time.Time {
	if a.receivedAt.IsZero() {
		a.rd.Fail(a.doc, "came at no known time")
	}
	return a.receivedAt
}
