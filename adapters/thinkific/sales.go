package thinkific

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// sold reads order.created: what is due, not what was paid.
func sold(d *delivery) domain.Event {
	v := d.payload
	return d.order(domain.Buyer{
		Person: d.OptionalID(v.Get("user", "id")),
		Name:   d.name(v.Get("user")),
		Email:  d.email(v.Get("user", "email")),
	}, v.Get("coupon", "code"))
}

// order reads an order, whose buyer and coupon are elsewhere in a list than in a
// webhook.
func (d *delivery) order(buyer domain.Buyer, coupon payload.Value) domain.SalesSold {
	v := d.payload
	e := domain.SalesSold{
		Order:         d.ID(v.Get("id")),
		Number:        d.TryLabel(v.Get("order_number")),
		Currency:      d.currency,
		PaymentStatus: d.TryLabel(v.Get("status")),
		PaymentType:   d.TryLabel(v.Get("payment_type")),
		Coupon:        d.TryLabel(coupon),
		Buyer:         buyer,
	}
	if e.Buyer.Name == "" {
		e.Buyer.Name = domain.Personal(d.TryText(v.Get("billing_name")))
	}
	total, flag := d.stated(v, d.currency)
	if total == nil {
		d.Fail(v.Get("amount_cents"), "is missing, and so is amount_dollars")
		return e
	}
	e.Total, e.Flags = *total, flagged(e.Flags, flag)
	e.Lines, e.Flags = d.lines(e.Total, e.Flags)
	d.Flag(e.Flags...)
	return e
}

// lines returns the items of an order. Older orders list none: then the product
// of the order is its one line.
func (d *delivery) lines(total decimal.Decimal, flags []string) ([]domain.SaleLine, []string) {
	v := d.payload
	if items := v.Get("items"); !items.Exists() {
		line := d.line(v)
		if line.Item == "" && line.Name == "" {
			return nil, flags
		}
		line.Amount = total
		return []domain.SaleLine{line}, flags
	}
	var lines []domain.SaleLine
	for _, item := range d.Elements(v.Get("items")) {
		line := d.line(item)
		amount, flag := d.stated(item, d.currency)
		if amount == nil {
			flag = flagLineAmount
		} else {
			line.Amount = *amount
		}
		flags = flagged(flags, flag)
		lines = append(lines, line)
	}
	return lines, flags
}

func (d *delivery) line(v payload.Value) domain.SaleLine {
	return domain.SaleLine{
		ItemType: domain.ItemProduct,
		Item:     d.TryLabel(v.Get("product_id")),
		Name:     d.TryText(v.Get("product_name")),
	}
}

// stated returns the amount that v states as amount_cents, amount_dollars or
// both, in whole units of the currency; nil if it states none. Cents are the
// currency's minor unit, two digits if it is not known; if dollars say something
// else, cents count and the flag says so.
func (d *delivery) stated(v payload.Value, currency string) (amount *decimal.Decimal, flag string) {
	cents, dollars := d.OptionalDecimal(v.Get("amount_cents")), d.OptionalDecimal(v.Get("amount_dollars"))
	if cents == nil {
		return dollars, ""
	}
	if !cents.IsInteger() {
		d.Fail(v.Get("amount_cents"), "is not a whole number")
	}
	digits, _ := domain.Exponent(currency)
	whole := cents.Shift(-digits)
	if dollars != nil && !dollars.Equal(whole) {
		flag = flagDollarsCents
	}
	return &whole, flag
}

// flagged returns flags with one more, if there is one and it is not there yet.
func flagged(flags []string, flag string) []string {
	if flag == "" || slices.Contains(flags, flag) {
		return flags
	}
	return append(flags, flag)
}

func paid(d *delivery) domain.Event {
	return domain.SalesPaid{Payment: d.transaction("amount")}
}

func paymentFailed(d *delivery) domain.Event {
	return domain.SalesPaymentFailed{Payment: d.transaction("amount")}
}

// refunded reads order_transaction.refunded. The payload is the original charge
// with what was refunded of it, all of it if nothing is said; it happened when
// the envelope says.
func refunded(d *delivery) domain.Event {
	v := d.payload
	if !v.Get("refunded_amount").Exists() {
		return domain.SalesRefunded{Payment: d.transaction("amount")}
	}
	p := d.transaction("refunded_amount")
	charged, refund := d.OptionalDecimal(v.Get("amount")), d.OptionalDecimal(v.Get("refunded_amount"))
	switch {
	case refund == nil:
	case charged != nil && refund.GreaterThan(*charged):
		p.Flags = flagged(p.Flags, flagRefund)
	case refund.IsZero():
		p.Flags = flagged(p.Flags, flagNoRefund)
	}
	d.Flag(p.Flags...)
	return domain.SalesRefunded{Payment: p}
}

// transaction reads a payment whose amount is in the given field.
func (d *delivery) transaction(field string) domain.Payment {
	v := d.payload
	p := domain.Payment{
		Transaction: d.ID(v.Get("id")),
		Order:       d.ID(v.Get("order", "id")),
		Currency:    domain.NormalCurrency(d.OptionalID(v.Get("currency"))),
		Method:      d.TryLabel(v.Get("payment_provider")),
		ChargedAt:   d.TryTime(v.Get("created_at")),
	}
	amount := d.Decimal(v.Get(field))
	if digits, certain := d.minor(p.Currency, amount); certain {
		p.Amount = amount.Shift(-digits)
	} else {
		p.Amount = amount
		p.Flags = flagged(p.Flags, flagUnit)
	}
	if total, flag := d.stated(v.Get("order"), p.Currency); total != nil {
		p.OrderTotal, p.Flags = *total, flagged(p.Flags, flag)
	}
	d.Flag(p.Flags...)
	return p
}

// minor reports whether a transaction's amount is certainly in minor units, and
// how many digits these have.
//
// Nobody documents the unit. It is certain if the charge equals the order's
// amount in cents, or if the charge, or the amount itself, is part of the order
// when read as cents and more than the order when read as dollars: every amount
// of a transaction has the same unit. So 2500 of an order of 50.00 is 25.00, and
// 25 is not known to be 0.25.
func (d *delivery) minor(currency string, amount decimal.Decimal) (digits int32, certain bool) {
	digits, known := domain.Exponent(currency)
	cents := d.OptionalDecimal(d.payload.Get("order", "amount_cents"))
	if !known || cents == nil || !amount.IsInteger() {
		return 0, false
	}
	instalment := func(a decimal.Decimal) bool {
		return a.IsInteger() && !a.GreaterThan(*cents) && (digits == 0 || a.GreaterThan(cents.Shift(-digits)))
	}
	charged := d.OptionalDecimal(d.payload.Get("amount"))
	if charged != nil && (charged.Equal(*cents) || instalment(*charged)) {
		return digits, true
	}
	return digits, instalment(amount) || amount.IsZero() && !cents.IsNegative()
}

// subscription reads subscription.*: a state, and no money. Its amount is as
// sent, for nobody says in which unit.
func subscription(d *delivery) domain.Event {
	v := d.payload
	status := strings.ToLower(d.TryLabel(v.Get("status")))
	switch status {
	case "":
		status = d.action
	case "canceled":
		status = "cancelled"
	}
	return domain.SalesSubscriptionChanged{
		Subscription: d.ID(v.Get("id")),
		Status:       status,
		Person:       d.OptionalID(v.Get("user", "id")),
		Amount:       d.TryDecimal(v.Get("amount")),
		Interval:     d.TryLabel(v.Get("interval")),
		StartedAt:    d.TryTime(v.Get("created_at")),
		CancelledAt:  d.TryTime(v.Get("cancelled_at")),
		EndsAt:       d.TryUntil(v.Get("scheduled_cancellation_at")),
	}
}
