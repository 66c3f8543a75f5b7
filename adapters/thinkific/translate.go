package thinkific

import (
	"net/http"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// Flags of a delivery, beside those of package payload.
const (
	flagHeaderDiffers = "topic-header-differs"       // the header names another topic than the signed body
	flagNoID          = "no-event-id"                // the bytes are the key
	flagTimes         = "times-disagree"             // created_at and timestamp are more than a day apart; created_at counts
	flagDollarsCents  = "dollars-and-cents-disagree" // cents count
	flagUnit          = "unit-unknown"               // an amount is as sent, perhaps in minor units
	flagCourses       = "course-ids-disagree"        // course_id counts
	flagPercentage    = "odd-percentage"             // no number from 0 to 100
	flagLineAmount    = "line-amount-missing"        // an item of an order states none
	flagRefund        = "refund-exceeds-charge"      //
	flagNoRefund      = "refund-of-nothing"          // a refund states that 0 was refunded
	flagDisconnected  = "app-uninstalled"            // nothing more will come
)

// A translator reads the payload of one topic.
type translator func(*delivery) domain.Event

// topics maps a topic to what reads it. Nil: nothing in it is kept.
var topics = map[string]translator{
	"app.uninstalled":             nil,
	"course.created":              course,
	"course.deleted":              courseRemoved,
	"course.updated":              course,
	"enrollment.completed":        completed,
	"enrollment.created":          enrolled,
	"enrollment.progress":         progressed,
	"enrollment.trial":            enrolled,
	"lead.created":                lead,
	"lesson.completed":            lesson,
	"order.created":               sold,
	"order_transaction.failed":    paymentFailed,
	"order_transaction.refunded":  refunded,
	"order_transaction.succeeded": paid,
	"plan.updated":                nil,
	"product.created":             product,
	"product.deleted":             productRemoved,
	"product.updated":             product,
	"quiz.attempted":              quiz,
	"subscription.cancelled":      subscription,
	"subscription.past_due":       subscription,
	"subscription.unpaid":         subscription,
	"user.deleted":                userRemoved,
	"user.signin":                 user,
	"user.signup":                 user,
	"user.updated":                user,
}

// aliases maps other spellings of a topic to ours.
var aliases = map[string]string{
	"subscription.canceled": "subscription.cancelled",
	"user.sign_up":          "user.signup",
	"user.sign_in":          "user.signin",
}

// A delivery is a request being translated: its envelope, read, and its payload.
type delivery struct {
	domain.Translation
	payload.Reader
	action   string        // second part of the topic
	payload  payload.Value //
	at       time.Time     // when it happened; zero: nobody said
	currency string        // of orders; empty: unknown
}

// Translate returns the facts in an authentic request. A row of the REST API is
// told from a webhook by what was asked for, whatever it looks like.
func (p *Provider) Translate(r domain.Request) (domain.Translation, error) {
	if r.Fetched != "" {
		return p.fetched(r)
	}
	d := &delivery{currency: p.currency}
	d.Topic = topic(http.Header(r.Header).Get(headerTopic)) // until the body says better
	err := d.translate(r)
	d.Flags = d.Flagged()
	switch {
	case err != nil && d.Test:
		d.Facts, d.Reason = nil, "test"
	case err != nil:
		d.Facts = nil
		return d.Translation, domain.Errorf(domain.Invalid, "thinkific: translate "+d.Topic, "%w", err)
	}
	return d.Translation, nil
}

// translate reads the envelope first, so that a delivery whose payload cannot be
// read is still told from others.
func (d *delivery) translate(r domain.Request) error {
	body, flags, err := payload.DecodeJSON(r.Body)
	d.Flag(flags...)
	if err != nil {
		return err
	}
	if !body.IsObject() {
		return &domain.FieldError{Field: body.Path(), Reason: "is not an object"}
	}
	if err := d.envelope(body); err != nil {
		return err
	}
	read, known := topics[d.Topic]
	switch {
	case !known:
		d.Reason = "unknown topic"
		return nil
	case read == nil:
		if d.Topic == "app.uninstalled" {
			d.Flag(flagDisconnected)
		}
		d.Reason = "nothing in this topic is kept"
		return nil
	case !d.payload.Exists():
		return &domain.FieldError{Field: d.payload.Path(), Reason: "is missing"}
	case !d.payload.IsObject():
		return &domain.FieldError{Field: d.payload.Path(), Reason: "is not an object"}
	}
	e := read(d)
	if d.Err() != nil {
		return d.Err()
	}
	if err := e.Validate(); err != nil {
		return err
	}
	d.Facts = []domain.Fact{{OccurredAt: d.at, Event: e}}
	return nil
}

// envelope reads what every delivery has. Only its topic is needed.
func (d *delivery) envelope(body payload.Value) error {
	var r payload.Reader
	resource, action := r.Label(body.Get("resource")), r.Label(body.Get("action"))
	if resource == "" {
		r.Fail(body.Get("resource"), "is missing")
	}
	if action == "" {
		r.Fail(body.Get("action"), "is missing")
	}
	d.payload = body.Get("payload")
	d.Test = isTest(d.payload)
	d.identify(body.Get("id"))
	d.at = d.moment(body.Get("created_at"), body.Get("timestamp"))
	if r.Err() != nil {
		return r.Err()
	}

	hint := d.Topic
	d.Topic = topic(resource + "." + action)
	_, d.action, _ = strings.Cut(d.Topic, ".")
	if hint != "" && hint != d.Topic {
		d.Flag(flagHeaderDiffers)
	}
	return nil
}

// identify sets the key. An id that cannot be read, such as one that went
// through a float and lost its digits, is none.
func (d *delivery) identify(v payload.Value) {
	var try payload.Reader
	id := try.OptionalID(v)
	if try.Err() != nil || id == "" {
		d.Flag(flagNoID)
		return
	}
	d.Key = payload.Key(id)
}

// moment returns when the event happened: created_at or, without it, the Unix
// seconds of timestamp.
func (d *delivery) moment(createdAt, timestamp payload.Value) time.Time {
	at, stamp := d.TryTime(createdAt), d.tryUnix(timestamp)
	switch {
	case at.IsZero():
		return stamp
	case !stamp.IsZero() && at.Sub(stamp).Abs() > 24*time.Hour:
		d.Flag(flagTimes)
	}
	return at
}

// tryUnix returns the moment that v gives in seconds since 1970, or the zero
// time if it is none.
func (d *delivery) tryUnix(v payload.Value) time.Time {
	var try payload.Reader
	text := try.Label(v)
	if text == "" && try.Err() == nil {
		return time.Time{}
	}
	t, ok := payload.ParseUnix(text)
	if !ok {
		d.Odd(v)
	}
	return t
}

// testMark is put in front of names and e-mails in deliveries that Thinkific
// sends from its admin screen.
const testMark = "[TEST]"

// isTest reports whether a payload carries the mark of a test delivery.
func isTest(v payload.Value) bool {
	for _, p := range []string{
		"/user/email", "/user/first_name", "/course/name", "/product_name",
		"/order/user/email", "/order/user/first_name", "/order/product_name",
		"/email", "/first_name", "/name", "/quiz/name", "/lesson/name", "/user_email", "/user_name", "/course_name",
		"/items/0/product_name", "/order/items/0/product_name",
	} {
		var try payload.Reader
		if strings.HasPrefix(try.Label(v.At(p)), testMark) {
			return true
		}
	}
	return false
}

// topic returns a topic in its one spelling, as it can be recorded.
func topic(s string) string {
	s = payload.Topic(strings.ToLower(domain.Label(s)))
	if ours, ok := aliases[s]; ok {
		return ours
	}
	return s
}
