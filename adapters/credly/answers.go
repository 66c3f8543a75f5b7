package credly

import (
	"cmp"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// What can be asked of Credly's API; see [domain.Request].
const (
	resourceEvent    = "events"
	resourceBadge    = "badges"
	resourceTemplate = "badge_templates"
	resourceEmployee = "employees"
)

// answer translates what Credly's API answered: an event that was asked for
// after its notice, or a row of one of its lists.
func (p *Provider) answer(r domain.Request) (domain.Translation, error) {
	resource, id, _ := strings.Cut(r.Fetched, "/")
	doc, flags, err := payload.DecodeJSON(r.Body)
	a := answer{doc: doc, id: id, receivedAt: r.ReceivedAt.UTC().Truncate(time.Microsecond)}
	a.rd.Flag(flags...)
	t := domain.Translation{Topic: topicOf(resource), Key: rowKey(resource, id, r.Body)}
	if resource == resourceEvent {
		t.Topic, t.Key = a.topic(), p.AnswerKey(id)
	}
	switch {
	case err != nil:
		a.err = err
	case resource == resourceEvent:
		t.Facts, t.Reason = p.event(&a)
	case resource == resourceBadge:
		t.Facts = a.badgeRow()
	case resource == resourceTemplate:
		t.Facts = a.templateRow()
	case resource == resourceEmployee:
		t.Facts = a.employeeRow()
	default:
		t.Reason = "unknown resource"
	}
	t.Flags = a.rd.Flagged()
	if err := a.wrong(t.Facts); err != nil {
		t.Facts, t.Reason = nil, ""
		return t, invalid(t, err)
	}
	return t, nil
}

// An answer is one document of Credly's API while it is read.
type answer struct {
	doc        payload.Value
	id         string // that was asked for
	receivedAt time.Time
	rd         payload.Reader
	err        error // the document cannot be read at all
}

// wrong returns what keeps the facts from being booked, nil if nothing does.
func (a *answer) wrong(facts []domain.Fact) error {
	if a.err != nil {
		return a.err
	}
	if err := a.rd.Err(); err != nil {
		return err
	}
	for _, f := range facts {
		if err := f.Event.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// topic returns the event's type as far as it can be read.
func (a *answer) topic() string {
	var rd payload.Reader
	return cmp.Or(payload.Topic(rd.Label(a.doc.Get("data", "event_type"))), resourceEvent)
}

// An event is what an answer of the Events API says beside its object.
type event struct {
	eventType    string
	organization string
	occurredAt   time.Time
}

// event translates an answer of the Events API. What it says of whose event it
// is, and which, is checked as if nobody had done so before: the answer may be
// translated again years later.
func (p *Provider) event(a *answer) (facts []domain.Fact, reason string) {
	data := a.doc.Get("data")
	if !data.IsObject() {
		a.rd.Fail(data, "is not an object")
		return nil, ""
	}
	if id := a.rd.ID(data.Get("id")); a.id != "" && !strings.EqualFold(id, a.id) {
		a.rd.Fail(data.Get("id"), "is not the event that was asked for")
	}
	e := event{
		eventType:    a.rd.ID(data.Get("event_type")),
		organization: a.rd.ID(data.Get("organization_id")),
		occurredAt:   a.rd.Time(data.Get("occurred_at")),
	}
	if !p.accepts(e.organization) {
		a.rd.Fail(data.Get("organization_id"), "is not one of this source's organizations")
	}
	if e.occurredAt.IsZero() {
		a.rd.Fail(data.Get("occurred_at"), "is missing")
	}
	switch family, _, _ := strings.Cut(e.eventType, "."); {
	case !known(e.eventType):
		return nil, "unknown topic"
	case e.eventType == "badge.deleted":
		return a.badgeDeleted(data, e), ""
	case family == "badge":
		return a.badgeChanged(data, e), ""
	case family == "badge_template":
		return p.templateChanged(a, data, e), ""
	case family == "employment":
		return a.employmentChanged(data, e), ""
	}
	// user.public_badges and pending_badge_notification: their shapes are not
	// documented, and what badges are public decides nothing.
	return nil, "nothing in it is kept"
}

// templateChanged reads the event of a badge template. One that belongs to
// nobody we know is not taken out of the directory for it.
func (p *Provider) templateChanged(a *answer, data payload.Value, e event) []domain.Fact {
	template := a.required(data, "badge_template")
	if e.eventType == "badge_template.deleted" {
		owner := template.Get("owner", "id")
		if id := a.rd.OptionalID(owner); id != "" && !p.accepts(id) {
			a.rd.Fail(owner, "is not one of this source's organizations")
		}
		removed := domain.DirectoryItemRemoved{ItemType: domain.ItemBadgeTemplate, Item: a.rd.ID(template.Get("id"))}
		return []domain.Fact{{OccurredAt: e.occurredAt, Event: removed}}
	}
	activity := strings.TrimPrefix(e.eventType, "badge_template.")
	return []domain.Fact{{OccurredAt: e.occurredAt, Event: a.template(template, activity)}}
}

// template reads a badge template.
func (a *answer) template(v payload.Value, activity string) domain.DirectoryItemSeen {
	return domain.DirectoryItemSeen{
		ItemType: domain.ItemBadgeTemplate,
		Item:     a.rd.ID(v.Get("id")),
		Name:     a.rd.TryText(v.Get("name")),
		Slug:     a.rd.TryText(v.Get("vanity_slug")),
		Status:   a.rd.TryLabel(v.Get("state")),
		Activity: activity,
	}
}

// required returns the object of a member and fails if it is not there.
func (a *answer) required(v payload.Value, name string) payload.Value {
	o := v.Get(name)
	if !o.IsObject() {
		a.rd.Fail(o, "is not an object")
	}
	return o
}
