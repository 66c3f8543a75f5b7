package thinkific

import (
	"cmp"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// flagUndated marks an enrolment that is listed as completed or under way, and
// nobody says since when: that part of it is left out.
const flagUndated = "undated"

// rows maps a resource of the REST API to what reads one of its rows. Rows are
// flat: "user_id" and "course_name", where a webhook has objects.
var rows = map[string]func(*delivery) []domain.Fact{
	users:       listedUser,
	courses:     listedCourse,
	products:    listedProduct,
	enrollments: listedEnrolment,
	orders:      listedOrder,
}

// fetched translates one row of a list. A row that changed has another key: it
// is a new delivery and no conflict.
func (p *Provider) fetched(r domain.Request) (domain.Translation, error) {
	resource, id, _ := strings.Cut(r.Fetched, "/")
	d := &delivery{currency: p.currency, action: domain.ActivityListed, at: r.ReceivedAt.UTC().Truncate(time.Microsecond)}
	d.Topic, d.Key = payload.Topic(resource), payload.Key(resource, id, payload.Digest(r.Body))
	err := d.row(r.Body)
	d.Flags = d.Flagged()
	if err != nil {
		d.Facts = nil
		return d.Translation, domain.Errorf(domain.Invalid, "thinkific: translate "+r.Fetched, "%w", err)
	}
	return d.Translation, nil
}

func (d *delivery) row(body []byte) error {
	v, flags, err := payload.DecodeJSON(body)
	d.Flag(flags...)
	if err != nil {
		return err
	}
	read, known := rows[d.Topic]
	switch {
	case !known:
		d.Reason = "unknown resource"
		return nil
	case !v.IsObject():
		return &domain.FieldError{Field: v.Path(), Reason: "is not an object"}
	}
	d.payload = v
	d.Test = isTest(v)
	d.Facts = read(d)
	if d.Err() != nil {
		return d.Err()
	}
	for _, f := range d.Facts {
		if err := f.Event.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// What these three list was so when the API was asked.

func listedUser(d *delivery) []domain.Fact { return []domain.Fact{{Event: user(d)}} }

func listedCourse(d *delivery) []domain.Fact { return []domain.Fact{{Event: course(d)}} }

func listedProduct(d *delivery) []domain.Fact { return []domain.Fact{{Event: product(d)}} }

// listedEnrolment reads a row of enrollments: since when, and how far. A trial
// has no more to say than that it is one.
func listedEnrolment(d *delivery) []domain.Fact {
	v := d.payload
	e := domain.LearningListed{
		Learner: domain.Learner{Person: d.ID(v.Get("user_id"))},
		Subject: domain.Subject{
			SubjectType: domain.SubjectCourse, Subject: d.ID(v.Get("course_id")), SubjectName: d.TryText(v.Get("course_name")),
		},
		Enrolment: d.ID(v.Get("id")),
		ListedAt:  d.at,
	}
	part := e // names are said once
	e.Name, e.Email = domain.Personal(strings.TrimSpace(d.TryText(v.Get("user_name")))), d.email(v.Get("user_email"))
	activated := d.TryTime(v.Get("activated_at"))
	e.EnrolledAt = cmp.Or(d.TryTime(v.Get("created_at")), activated)
	e.StartedAt, e.AccessUntil = d.TryTime(v.Get("started_at")), d.TryUntil(v.Get("expiry_date"))
	e.Trial = d.TryYes(v.Get("is_free_trial"))
	facts := []domain.Fact{{OccurredAt: cmp.Or(e.EnrolledAt, e.StartedAt, activated), Event: e}}
	if e.Trial {
		return facts
	}
	updated := d.TryTime(v.Get("updated_at"))
	switch completed := d.TryTime(v.Get("completed_at")); {
	case d.TryYes(v.Get("completed")) && !completed.IsZero():
		part.CompletedAt = completed
		return append(facts, domain.Fact{OccurredAt: completed, Event: part})
	case d.TryYes(v.Get("completed")):
		d.Flag(flagUndated)
	}
	if part.Reported, part.Scale = d.fraction(); part.Reported == "" {
		return facts
	}
	if updated.IsZero() {
		d.Flag(flagUndated)
		return facts
	}
	return append(facts, domain.Fact{OccurredAt: updated, Event: part})
}

// fraction returns percentage_completed as listed, from 0 to 1, and "" if nothing
// is done or said. Some sites list percents: more than 1 is one of those.
func (d *delivery) fraction() (reported, scale string) {
	v := d.payload.Get("percentage_completed")
	p := d.TryDecimal(v)
	switch {
	case p.IsZero():
		return "", ""
	case p.IsNegative(), p.GreaterThan(hundred):
		d.Flag(flagPercentage)
		return d.TryLabel(v), domain.ScaleUnknown
	case p.GreaterThan(one):
		return d.TryLabel(v), domain.ScalePercent
	}
	return d.TryLabel(v), domain.ScaleFraction
}

// listedOrder reads a row of orders, which is that of a webhook with the buyer
// and the coupon flat in it.
func listedOrder(d *delivery) []domain.Fact {
	v := d.payload
	e := d.order(domain.Buyer{
		Person: d.OptionalID(v.Get("user_id")),
		Name:   domain.Personal(strings.TrimSpace(d.TryText(v.Get("user_name")))),
		Email:  d.email(v.Get("user_email")),
	}, v.Get("coupon_code"))
	if e.PaymentType == "" && d.TryYes(v.Get("subscription")) {
		e.PaymentType = "subscription"
	}
	return []domain.Fact{{OccurredAt: d.orderedAt(), Event: domain.SalesListed(e)}}
}

// orderedAt returns when an order was placed: the schema spells the member with
// a space.
func (d *delivery) orderedAt() time.Time {
	return cmp.Or(d.TryTime(d.payload.Get("created_at")), d.TryTime(d.payload.Get("created at")))
}
