package domain

import (
	"time"

	"github.com/shopspring/decimal"
)

// CreditsReported says how many credits of one credit line are left.
//
// Tahdah reports a level, not a movement, and says neither when nor for whom
// (providers' eventCredits.Updated, one event per element of its array). The
// movement is the difference to the report before, and it is the credits
// projection that takes it.
type CreditsReported struct {
	Line      string          `json:"line"`            // Tahdah's id of the credits of one template bought on one order
	Template  string          `json:"template"`        // event template the credits are good for; their unit
	Order     string          `json:"order,omitempty"` // order number in the seller's system
	Remaining decimal.Decimal `json:"remaining"`       // level after the operation: whole, not negative
	Consumed  []Consumption   `json:"consumed,omitempty"`
}

// A Consumption is one thing that credits were used for.
type Consumption struct {
	Description Personal `json:"-"` // free text; may name the candidate
}

// Kind implements [Event].
func (CreditsReported) Kind() Kind { return "credits.reported.v1" }

// Validate implements [Event].
func (e CreditsReported) Validate() error {
	var c check
	c.id("line", e.Line)
	c.id("template", e.Template)
	c.label("order", e.Order)
	c.number("remaining", e.Remaining)
	switch {
	case e.Remaining.IsNegative():
		c.fail("remaining", "is negative")
	case !e.Remaining.IsInteger():
		c.fail("remaining", "is not a whole number")
	}
	c.personals(&e)
	return c.err
}

func (e *CreditsReported) personal(visit personalVisitor) {
	for i := range e.Consumed {
		visit(element("consumed", i, "description"), DataSubject{}, &e.Consumed[i].Description)
	}
}

// CreditsGranted says that credits were given to a holder: by an operator, an
// import, or our own call to the provider.
type CreditsGranted struct {
	Order     string          `json:"order"` // order number in the seller's system
	Template  string          `json:"template"`
	Quantity  decimal.Decimal `json:"quantity"` // positive
	Holder    string          `json:"holder,omitempty"`
	UnitPrice decimal.Decimal `json:"unit_price,omitzero"`
	Currency  string          `json:"currency,omitempty"` // of UnitPrice
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	Reference string          `json:"reference,omitempty"`
	Reason    Personal        `json:"-"`
	By        string          `json:"by"` // who granted them
}

// Kind implements [Event].
func (CreditsGranted) Kind() Kind { return "credits.granted.v1" }

// Validate implements [Event].
func (e CreditsGranted) Validate() error {
	var c check
	c.id("order", e.Order)
	c.id("template", e.Template)
	c.number("quantity", e.Quantity)
	if !e.Quantity.IsPositive() {
		c.fail("quantity", "is not positive")
	}
	c.label("holder", e.Holder)
	c.number("unit_price", e.UnitPrice)
	c.currency(e.Currency)
	if !e.UnitPrice.IsZero() && e.Currency == "" {
		c.fail("currency", "is missing beside a unit price")
	}
	c.time("expires_at", e.ExpiresAt)
	c.label("reference", e.Reference)
	c.id("by", e.By)
	c.personals(&e)
	return c.err
}

func (e *CreditsGranted) personal(visit personalVisitor) {
	visit("reason", DataSubject{}, &e.Reason)
}

// CreditsGrantRequested says that the provider is about to be asked to make a
// grant. It is recorded before every call, so that one whose answer never came
// is known; a call that is made again is requested again. Whether the grant was
// made is what [CreditsGranted] or [CreditsGrantAnswered] says later.
type CreditsGrantRequested struct {
	CreditsGranted        // what is asked for; its Reference is not empty
	Key            string `json:"key"` // idempotency key, the same however often it is sent
}

// Kind implements [Event].
func (CreditsGrantRequested) Kind() Kind { return "credits.grant-requested.v1" }

// Validate implements [Event].
func (e CreditsGrantRequested) Validate() error {
	if err := e.CreditsGranted.Validate(); err != nil {
		return err
	}
	var c check
	c.id("reference", e.Reference)
	c.id("holder", e.Holder)
	c.id("key", e.Key)
	return c.err
}

// Outcomes of a requested grant that the provider did not confirm.
const (
	GrantRefused = "refused" // this call granted nothing
	GrantUnknown = "unknown" // it may have been granted: the answer was lost, or does not say
)

// CreditsGrantAnswered says how one call that asked for a grant ended, if not
// with the grant.
type CreditsGrantAnswered struct {
	Reference string `json:"reference"`        // of the request
	Outcome   string `json:"outcome"`          // [GrantRefused] or [GrantUnknown]
	Status    int    `json:"status,omitempty"` // of the HTTP answer; 0: there was none
	Reason    string `json:"reason"`
}

// Kind implements [Event].
func (CreditsGrantAnswered) Kind() Kind { return "credits.grant-answered.v1" }

// Validate implements [Event].
func (e CreditsGrantAnswered) Validate() error {
	var c check
	c.id("reference", e.Reference)
	c.oneOf("outcome", e.Outcome, GrantRefused, GrantUnknown)
	if e.Status != 0 && (e.Status < 100 || e.Status > 599) {
		c.fail("status", "is %d, not one of HTTP", e.Status)
	}
	c.id("reason", e.Reason)
	return c.err
}

// CreditsAdjusted says that a person corrected the credits of one line.
type CreditsAdjusted struct {
	Line      string          `json:"line"`
	Template  string          `json:"template"`
	Quantity  decimal.Decimal `json:"quantity"` // signed: positive adds; not zero
	Reference string          `json:"reference,omitempty"`
	Reason    Personal        `json:"-"`
	By        string          `json:"by"`
}

// Kind implements [Event].
func (CreditsAdjusted) Kind() Kind { return "credits.adjusted.v1" }

// Validate implements [Event].
func (e CreditsAdjusted) Validate() error {
	var c check
	c.id("line", e.Line)
	c.id("template", e.Template)
	c.number("quantity", e.Quantity)
	if e.Quantity.IsZero() {
		c.fail("quantity", "is zero")
	}
	c.label("reference", e.Reference)
	c.id("by", e.By)
	c.personals(&e)
	return c.err
}

func (e *CreditsAdjusted) personal(visit personalVisitor) {
	visit("reason", DataSubject{}, &e.Reason)
}
