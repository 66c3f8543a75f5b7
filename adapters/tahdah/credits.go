package tahdah

import (
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// credits reads eventCredits.Updated: how many credits of each line are left.
//
// Nothing in it says when, and 14, 15, 14 are three facts of which the first and
// the last have the same bytes; so its scopes are the lines.
func (d *delivery) credits() error {
	body, err := d.decode(payload.Value.IsList, "a list")
	if err != nil {
		return err
	}
	d.scopeLines(body)
	for _, v := range body.List() {
		e := d.creditsReported(v)
		if d.Err() != nil {
			return d.Err() // of the whole delivery: all of its lines or none
		}
		d.Facts = append(d.Facts, domain.Fact{Event: e})
	}
	if len(d.Facts) == 0 {
		d.Reason = "empty"
	}
	return nil
}

// scopeLines sets the scopes, as far as ids can be read.
func (d *delivery) scopeLines(body payload.Value) {
	for _, v := range body.List() {
		var try payload.Reader
		line := try.ID(v.Get("id"))
		if try.Err() != nil {
			continue
		}
		if !d.scope(payload.Key("credits", line)) {
			d.Flag("line-repeated")
		}
	}
}

func (r *reader) creditsReported(v payload.Value) domain.CreditsReported {
	if !v.IsObject() {
		r.Fail(v, "is not an object")
	}
	e := domain.CreditsReported{
		Line:      r.setID(v.Get("id")),
		Template:  r.setID(v.Get("eventTemplateId")),
		Order:     r.Label(v.Get("remoteOrderNumber")),
		Remaining: r.Decimal(v.Get("quantityRemaining")),
	}
	switch remaining := v.Get("quantityRemaining"); {
	case e.Remaining.IsNegative():
		r.Fail(remaining, "is negative")
	case !e.Remaining.IsInteger():
		r.Fail(remaining, "is not a whole number")
	}
	for _, c := range r.Elements(v.Get("creditsConsumed")) {
		if !c.IsObject() {
			r.Fail(c, "is not an object") // how many there are counts, so each must be one
		}
		e.Consumed = append(e.Consumed, domain.Consumption{Description: domain.Personal(r.TryText(c.Get("description")))})
	}
	return e
}

// setID returns an id that is not 0: so .NET writes one that is not set, and lines
// without an id must not become one line.
func (r *reader) setID(v payload.Value) string {
	id := r.ID(v)
	if id == "0" {
		r.Fail(v, "is 0, which is no id")
	}
	return id
}
