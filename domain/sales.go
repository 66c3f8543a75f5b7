package domain

import (
	"time"

	"github.com/shopspring/decimal"
)

// SalesSold says that an order was placed: BrainCert's New Sale, Thinkific's
// order.created. Amounts are as reported; lines that do not add up to the total
// are no error here.
type SalesSold struct {
	Order         string          `json:"order"`            // the shop's id of the order
	Number        string          `json:"number,omitempty"` // what the buyer sees
	Lines         []SaleLine      `json:"lines,omitempty"`
	Charges       decimal.Decimal `json:"charges,omitzero"`   // added to the lines by the shop
	Discounts     decimal.Decimal `json:"discounts,omitzero"` // stated, already within the line amounts
	Total         decimal.Decimal `json:"total"`
	Currency      string          `json:"currency,omitempty"` // empty if nobody said
	PaymentStatus string          `json:"payment_status,omitempty"`
	PaymentType   string          `json:"payment_type,omitempty"`
	Coupon        string          `json:"coupon,omitempty"`
	Flags         []string        `json:"flags,omitempty"` // contradictions within the delivery, such as "dollars-and-cents-disagree"
	Buyer         Buyer           `json:"buyer,omitzero"`
}

// A SaleLine is one item of an order.
type SaleLine struct {
	ItemType string          `json:"item_type,omitempty"` // the shop's word: course, assessment, product …
	Item     string          `json:"item,omitempty"`      // the shop's id, if it sent one
	Name     string          `json:"name,omitempty"`
	Quantity decimal.Decimal `json:"quantity,omitzero"`
	Price    decimal.Decimal `json:"price,omitzero"` // of one
	Discount decimal.Decimal `json:"discount,omitzero"`
	Amount   decimal.Decimal `json:"amount"` // of the line
}

// A Buyer is who placed an order, as far as the shop says.
type Buyer struct {
	Person string   `json:"person,omitempty"` // the shop's id
	Name   Personal `json:"-"`
	Email  Personal `json:"-"`
}

// IsZero reports whether b holds no facts. What is personal does not count: the
// data must stay the same when it is erased.
func (b Buyer) IsZero() bool { return b.Person == "" }

// Kind implements [Event].
func (SalesSold) Kind() Kind { return "sales.sold.v1" }

// Validate implements [Event].
func (e SalesSold) Validate() error {
	var c check
	c.id("order", e.Order)
	c.label("number", e.Number)
	for i, l := range e.Lines {
		c.in("lines", i)
		c.label("item_type", l.ItemType)
		c.label("item", l.Item)
		c.text("name", l.Name)
		c.number("quantity", l.Quantity)
		c.number("price", l.Price)
		c.number("discount", l.Discount)
		c.number("amount", l.Amount)
	}
	c.in("", 0)
	c.number("charges", e.Charges)
	c.number("discounts", e.Discounts)
	c.number("total", e.Total)
	c.currency(e.Currency)
	c.label("payment_status", e.PaymentStatus)
	c.label("payment_type", e.PaymentType)
	c.label("coupon", e.Coupon)
	c.flags(e.Flags)
	c.label("buyer/person", e.Buyer.Person)
	c.personals(&e)
	return c.err
}

func (e *SalesSold) personal(visit personalVisitor) {
	who := someone(PersonUser, e.Buyer.Person)
	visit("buyer/name", who, &e.Buyer.Name)
	visit("buyer/email", who, &e.Buyer.Email)
}

// SalesListed says what a provider's API listed of an order. It is the sale if no
// webhook tells of it; what a webhook says of it counts instead.
type SalesListed SalesSold

// Kind implements [Event].
func (SalesListed) Kind() Kind { return "sales.listed.v1" }

// Validate implements [Event].
func (e SalesListed) Validate() error { return SalesSold(e).Validate() }

func (e *SalesListed) personal(visit personalVisitor) { (*SalesSold)(e).personal(visit) }

// A Payment is money that moved, or failed to, for an order.
type Payment struct {
	Transaction string          `json:"transaction"`
	Order       string          `json:"order"`
	Amount      decimal.Decimal `json:"amount"` // of this transaction, never negative
	Currency    string          `json:"currency,omitempty"`
	Method      string          `json:"method,omitempty"`
	OrderTotal  decimal.Decimal `json:"order_total,omitzero"` // what the transaction says of its order
	ChargedAt   time.Time       `json:"charged_at,omitzero"`
	Flags       []string        `json:"flags,omitempty"` // such as "unit-unknown": the amount is as sent, perhaps in minor units
	By          string          `json:"by,omitempty"`    // operator, if entered by hand
	Reason      Personal        `json:"-"`
}

func (p Payment) validate() error {
	var c check
	c.id("transaction", p.Transaction)
	c.id("order", p.Order)
	c.number("amount", p.Amount)
	if p.Amount.IsNegative() {
		c.fail("amount", "is negative")
	}
	c.currency(p.Currency)
	c.label("method", p.Method)
	c.number("order_total", p.OrderTotal)
	c.time("charged_at", p.ChargedAt)
	c.flags(p.Flags)
	c.label("by", p.By)
	c.personals(&p)
	return c.err
}

func (p *Payment) personal(visit personalVisitor) {
	visit("reason", DataSubject{}, &p.Reason)
}

// SalesPaid says that a payment went through.
type SalesPaid struct{ Payment }

// Kind implements [Event].
func (SalesPaid) Kind() Kind { return "sales.paid.v1" }

// Validate implements [Event].
func (e SalesPaid) Validate() error { return e.validate() }

// SalesPaymentFailed says that a payment was tried and no money moved.
type SalesPaymentFailed struct{ Payment }

// Kind implements [Event].
func (SalesPaymentFailed) Kind() Kind { return "sales.payment-failed.v1" }

// Validate implements [Event].
func (e SalesPaymentFailed) Validate() error { return e.validate() }

// SalesRefunded says that money went back. Amount is what was refunded; it is
// dated by the refund, not by the charge.
type SalesRefunded struct{ Payment }

// Kind implements [Event].
func (SalesRefunded) Kind() Kind { return "sales.refunded.v1" }

// Validate implements [Event].
func (e SalesRefunded) Validate() error { return e.validate() }

// SalesSubscriptionChanged says which state a subscription is in. No money moves.
type SalesSubscriptionChanged struct {
	Subscription string          `json:"subscription"`
	Status       string          `json:"status"`
	Person       string          `json:"person,omitempty"`
	Amount       decimal.Decimal `json:"amount,omitzero"` // as sent; its unit is unknown
	Interval     string          `json:"interval,omitempty"`
	StartedAt    time.Time       `json:"started_at,omitzero"`
	CancelledAt  time.Time       `json:"cancelled_at,omitzero"`
	EndsAt       time.Time       `json:"ends_at,omitzero"`
}

// Kind implements [Event].
func (SalesSubscriptionChanged) Kind() Kind { return "sales.subscription-changed.v1" }

// Validate implements [Event].
func (e SalesSubscriptionChanged) Validate() error {
	var c check
	c.id("subscription", e.Subscription)
	c.id("status", e.Status)
	c.label("person", e.Person)
	c.number("amount", e.Amount)
	c.label("interval", e.Interval)
	c.time("started_at", e.StartedAt)
	c.time("cancelled_at", e.CancelledAt)
	c.time("ends_at", e.EndsAt)
	return c.err
}

// SalesEntryPosted is one entry of Tahdah's finance ledger
// (finance.entry.created). Debit and credit are as sent: what an entry says
// twice is compared by the projection, never corrected.
type SalesEntryPosted struct {
	Entry             string          `json:"entry"`                         // our key for it: Tahdah sends none
	Number            string          `json:"number,omitempty"`              // invoice number
	PurchaseOrder     string          `json:"purchase_order,omitempty"`      //
	ItemType          string          `json:"item_type,omitempty"`           // Tahdah's undocumented code
	Beneficiary       Party           `json:"beneficiary,omitzero"`          //
	Payer             Party           `json:"payer,omitzero"`                //
	PostedBy          Party           `json:"posted_by,omitzero"`            //
	Items             []EntryItem     `json:"items,omitempty"`               //
	Payments          []EntryPayment  `json:"payments,omitempty"`            //
	PaymentReference  string          `json:"payment_reference,omitempty"`   //
	PaymentMethodCode string          `json:"payment_method_code,omitempty"` // undocumented code
	PaymentStatusCode string          `json:"payment_status_code,omitempty"` // undocumented code
	Debit             decimal.Decimal `json:"debit"`
	Credit            decimal.Decimal `json:"credit"`
	Currency          string          `json:"currency"`
	CreatedAt         time.Time       `json:"created_at,omitzero"`
	DueAt             time.Time       `json:"due_at,omitzero"`
	PostingAt         time.Time       `json:"posting_at,omitzero"` // accounting date
	Description       Personal        `json:"-"`
}

// A Party is somebody named in a ledger entry.
type Party struct {
	ID         string   `json:"id,omitempty"`
	EntityType string   `json:"entity_type,omitempty"` // Tahdah's undocumented code
	Name       Personal `json:"-"`
}

// IsZero reports whether p holds no facts; see [Buyer.IsZero].
func (p Party) IsZero() bool { return p.ID == "" && p.EntityType == "" }

// subject returns whom the name is about. One without an id is known by the name.
func (p Party) subject() DataSubject {
	if p.ID == "" {
		return DataSubject{Type: SubjectName}
	}
	return DataSubject{SubjectOrganization, p.ID}
}

// An EntryItem is one item of an invoice.
type EntryItem struct {
	ID          string          `json:"id,omitempty"`
	Description Personal        `json:"-"`
	TypeCode    string          `json:"type_code,omitempty"` // undocumented code
	TypeName    string          `json:"type_name,omitempty"`
	NominalCode string          `json:"nominal_code,omitempty"`
	Quantity    decimal.Decimal `json:"quantity,omitzero"`
	UnitCost    decimal.Decimal `json:"unit_cost,omitzero"`
	Amount      decimal.Decimal `json:"amount,omitzero"` // whether tax is within is not documented
	Tax         decimal.Decimal `json:"tax,omitzero"`    // whether amount or rate is not documented
	TaxName     string          `json:"tax_name,omitempty"`
	SentAt      time.Time       `json:"sent_at,omitzero"`
	CancelledAt time.Time       `json:"cancelled_at,omitzero"`
}

// An EntryPayment is one payment allocated to an invoice.
type EntryPayment struct {
	ID          string          `json:"id,omitempty"`
	Amount      decimal.Decimal `json:"amount"`
	MethodCode  string          `json:"method_code,omitempty"`
	StatusCode  string          `json:"status_code,omitempty"`
	Reference   string          `json:"reference,omitempty"`
	AllocatedAt time.Time       `json:"allocated_at,omitzero"`
}

// Kind implements [Event].
func (SalesEntryPosted) Kind() Kind { return "sales.entry-posted.v1" }

// Validate implements [Event].
func (e SalesEntryPosted) Validate() error {
	var c check
	c.id("entry", e.Entry)
	for _, l := range []struct{ field, value string }{
		{"number", e.Number},
		{"purchase_order", e.PurchaseOrder},
		{"item_type", e.ItemType},
		{"beneficiary/id", e.Beneficiary.ID},
		{"beneficiary/entity_type", e.Beneficiary.EntityType},
		{"payer/id", e.Payer.ID},
		{"payer/entity_type", e.Payer.EntityType},
		{"posted_by/id", e.PostedBy.ID},
		{"posted_by/entity_type", e.PostedBy.EntityType},
		{"payment_reference", e.PaymentReference},
		{"payment_method_code", e.PaymentMethodCode},
		{"payment_status_code", e.PaymentStatusCode},
	} {
		c.label(l.field, l.value)
	}
	for i, item := range e.Items {
		c.in("items", i)
		item.check(&c)
	}
	for i, p := range e.Payments {
		c.in("payments", i)
		p.check(&c)
	}
	c.in("", 0)
	c.number("debit", e.Debit)
	c.number("credit", e.Credit)
	c.id("currency", e.Currency)
	c.currency(e.Currency)
	c.time("created_at", e.CreatedAt)
	c.time("due_at", e.DueAt)
	c.time("posting_at", e.PostingAt)
	c.personals(&e)
	return c.err
}

func (i EntryItem) check(c *check) {
	c.label("id", i.ID)
	c.label("type_code", i.TypeCode)
	c.label("type_name", i.TypeName)
	c.label("nominal_code", i.NominalCode)
	c.number("quantity", i.Quantity)
	c.number("unit_cost", i.UnitCost)
	c.number("amount", i.Amount)
	c.number("tax", i.Tax)
	c.label("tax_name", i.TaxName)
	c.time("sent_at", i.SentAt)
	c.time("cancelled_at", i.CancelledAt)
}

func (p EntryPayment) check(c *check) {
	c.label("id", p.ID)
	c.number("amount", p.Amount)
	c.label("method_code", p.MethodCode)
	c.label("status_code", p.StatusCode)
	c.label("reference", p.Reference)
	c.time("allocated_at", p.AllocatedAt)
}

func (e *SalesEntryPosted) personal(visit personalVisitor) {
	visit("beneficiary/name", e.Beneficiary.subject(), &e.Beneficiary.Name)
	visit("payer/name", e.Payer.subject(), &e.Payer.Name)
	visit("posted_by/name", someone(PersonCandidate, e.PostedBy.ID), &e.PostedBy.Name)
	for i := range e.Items {
		visit(element("items", i, "description"), DataSubject{}, &e.Items[i].Description)
	}
	visit("description", DataSubject{}, &e.Description)
}
