package braincert

import (
	"cmp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// What was noticed and tolerated, beside the flags of package payload.
const (
	flagBadTimestamp   = "bad-timestamp"   // no Unix time, and not needed
	flagTimesDisagree  = "times-disagree"  // created_at and timestamp are more than a day apart
	flagExpiryUnknown  = "expiry-unknown"  // of a certificate
	flagScoringUnknown = "scoring-unknown" // manual_scoring holds a word nobody documented
	flagDomainDiffers  = "domain-differs"  // neither domain_id nor tenant_id is what is expected
	flagUnread         = "unread-field"    // a registration field that is neither text nor a list of texts
)

// A reader reads one delivery and remembers what was odd about it.
type reader struct {
	payload.Reader
	doc, body payload.Value // the document, and its payload
	created   time.Time     // created_at, else timestamp
	thousands string        // see [Config]
}

// word returns a member of the document that is needed for routing, in lower case,
// or the word that stands in for it.
func (r *reader) word(name, otherwise string) string {
	v := r.doc.Get(name)
	w := cmp.Or(strings.ToLower(r.text(v)), otherwise)
	if w == "" {
		r.Fail(v, "is missing")
	}
	return w
}

// expectDomain flags a delivery that names domains, none of which is the expected
// one. BrainCert's own samples have a person's name there.
func (r *reader) expectDomain(expected string) {
	var scratch reader // what is no text is no domain
	one, other := scratch.text(r.doc.Get("domain_id")), scratch.text(r.doc.Get("tenant_id"))
	if expected != "" && one+other != "" && one != expected && other != expected {
		r.Flag(flagDomainDiffers)
	}
}

// first returns the first of the places in the payload that is filled, or the
// first of all if none is.
func (r *reader) first(places names) payload.Value {
	for _, place := range places {
		if v := r.body.Get(strings.Split(place, "/")...); v.Filled() {
			return v
		}
	}
	if len(places) == 0 {
		return payload.Value{}
	}
	return r.body.Get(strings.Split(places[0], "/")...)
}

// id returns an id, and fails if it is missing.
func (r *reader) id(v payload.Value) string {
	if !v.Filled() {
		r.Fail(v, "is missing")
		return ""
	}
	return r.ID(v)
}

// text returns the text of v, "" if it is not filled.
func (r *reader) text(v payload.Value) string {
	if !v.Filled() {
		return ""
	}
	return r.Label(v)
}

// The methods below read what a fact can do without. What cannot be read is left
// out and flagged.

// tryText returns free text.
func (r *reader) tryText(v payload.Value) string {
	if !v.Filled() {
		return ""
	}
	return strings.TrimSpace(r.TryText(v))
}

// tryLabel returns a text that can be a key.
func (r *reader) tryLabel(v payload.Value) string {
	if !v.Filled() {
		return ""
	}
	return r.TryLabel(v)
}

// tryID returns an id.
func (r *reader) tryID(v payload.Value) string {
	if !v.Filled() {
		return ""
	}
	return r.TryID(v)
}

// either returns the text of the first of the members that is filled.
func (r *reader) either(v payload.Value, names ...string) string {
	for _, name := range names {
		if text := r.tryText(v.Get(name)); text != "" {
			return text
		}
	}
	return ""
}

// list returns the elements of a list, none of what is no list.
func (r *reader) list(v payload.Value) []payload.Value {
	if v.Filled() && !v.IsList() {
		r.Odd(v)
	}
	return v.List()
}

// number returns an exact number, and nil if v is not filled.
func (r *reader) number(v payload.Value) *decimal.Decimal {
	if !v.Filled() {
		return nil
	}
	return r.OptionalGrouped(v, r.thousands)
}

// numberOrZero is [reader.number] with zero for none.
func (r *reader) numberOrZero(v payload.Value) decimal.Decimal {
	if d := r.number(v); d != nil {
		return *d
	}
	return decimal.Decimal{}
}

// tryMoment returns a time, and the zero time if there is none.
func (r *reader) tryMoment(v payload.Value) time.Time {
	if !v.Filled() {
		return time.Time{}
	}
	return r.TryTime(v)
}

// moment returns a time, and the zero time if v is not filled.
func (r *reader) moment(v payload.Value) time.Time {
	if !v.Filled() {
		return time.Time{}
	}
	return r.Time(v)
}

// occurredAt returns when the delivery's fact happened: created_at, else what
// the payload says, else timestamp, which contradicts created_at in most of the
// published samples.
func (r *reader) occurredAt(rt route) time.Time {
	r.created = r.moment(r.doc.Get("created_at"))
	sent, ok := r.timestamp()
	switch {
	case !r.created.IsZero():
		if !ok {
			r.Flag(flagBadTimestamp)
		} else if !sent.IsZero() && r.created.Sub(sent).Abs() > 24*time.Hour {
			r.Flag(flagTimesDisagree)
		}
		return r.created
	case !ok:
		r.Fail(r.doc.Get("timestamp"), "is not a Unix time in seconds")
	}
	r.created = sent
	if at := r.moment(r.first(rt.time)); !at.IsZero() {
		return at
	}
	return sent
}

// timestamp returns the Unix time the delivery was sent at, and false if what is
// there is none.
func (r *reader) timestamp() (time.Time, bool) {
	v := r.doc.Get("timestamp")
	if !v.Filled() {
		return time.Time{}, true
	}
	var scratch payload.Reader
	return payload.ParseUnix(scratch.OptionalID(v))
}

// name returns the full name of a person, which has one field or two.
func (r *reader) name(user payload.Value) domain.Personal {
	if name := r.tryText(user.Get("name")); name != "" {
		return domain.Personal(name)
	}
	name := r.tryText(user.Get("first_name")) + " " + r.tryText(user.Get("last_name"))
	return domain.Personal(strings.TrimSpace(name))
}

// learner returns the person of a learning event.
func (r *reader) learner() domain.Learner {
	user := r.body.Get("user")
	return domain.Learner{
		Person: r.id(r.first(personID)),
		Name:   r.name(user),
		Email:  r.Email(r.tryText(user.Get("email"))),
	}
}
