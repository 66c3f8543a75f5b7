package credly

import (
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// eventTypes are all that Credly documents.
var eventTypes = []string{
	"badge.created",
	"badge.deleted",
	"badge.privacy.changed",
	"badge.state.changed",
	"badge_template.created",
	"badge_template.changed",
	"badge_template.deleted",
	"pending_badge_notification.sent",
	"pending_badge_notification.no_user.sent",
	"pending_badge_notification.unconfirmed_email.sent",
	"user.public_badges.changed",
	"user.public_badges.added",
	"user.public_badges.removed",
	"employment.badges.added",
	"employment.badges.removed",
	"employment.badges.state_changed",
	"employment.badges.privacy_changed",
	"employment.created",
	"employment.deleted",
	"employment.connection.pending",
	"employment.connection.accepted",
	"employment.connection.rejected",
	"employment.user_account.associated",
	"employment.user_account.disassociated",
}

// known reports whether Credly documents a type of event.
func known(eventType string) bool { return slices.Contains(eventTypes, eventType) }

// Translate returns the notice that a delivery is, or the facts in an answer of
// Credly's API. The key of a notice is Credly's event id, which a retry repeats
// for up to 25 days; that of the answer to it is "event/" and the id.
func (p *Provider) Translate(r domain.Request) (domain.Translation, error) {
	if r.Fetched != "" {
		return p.answer(r)
	}
	return p.notice(r)
}

// notice translates a webhook.
func (p *Provider) notice(r domain.Request) (domain.Translation, error) {
	doc, flags, err := payload.DecodeJSON(r.Body)
	t := domain.Translation{Flags: flags}
	if err != nil {
		return t, invalid(t, err)
	}
	t.Topic, t.Key = identity(doc)

	var rd payload.Reader
	eventType := rd.ID(doc.Get("event_type"))
	organization := rd.ID(doc.Get("organization_id"))
	if organization != "" && !p.accepts(organization) {
		rd.Fail(doc.Get("organization_id"), "is not one of this source's organizations")
	}
	if err := rd.Err(); err != nil {
		return t, invalid(t, err)
	}
	if !known(eventType) {
		t.Reason = "unknown topic"
		return t, nil
	}
	notice := domain.BadgesNoticed{
		Notice:       oneCase(rd.ID(doc.Get("id"))),
		Organization: organization,
		EventType:    eventType,
		NoticedAt:    rd.Time(doc.Get("occurred_at")),
	}
	if notice.NoticedAt.IsZero() {
		rd.Fail(doc.Get("occurred_at"), "is missing")
	}
	if err = rd.Err(); err == nil {
		err = notice.Validate()
	}
	if err != nil {
		return t, invalid(t, err)
	}
	t.Facts = []domain.Fact{{OccurredAt: notice.NoticedAt, Event: notice}}
	return t, nil
}

// identity returns the topic and the key as far as they can be read, whatever
// else is wrong.
func identity(doc payload.Value) (topic, key string) {
	var rd payload.Reader
	topic = payload.Topic(rd.Label(doc.Get("event_type")))
	id := rd.OptionalID(doc.Get("id"))
	if id == "" {
		return topic, ""
	}
	return topic, payload.Key(oneCase(id))
}

func invalid(t domain.Translation, err error) error {
	return domain.Errorf(domain.Invalid, strings.TrimSpace("credly: translate "+t.Topic), "%w", err)
}
