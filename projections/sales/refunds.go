package sales

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// refunded books a refund: of the same charge, what it is more than what was told
// before.
func (o *order) refunded(e domain.SalesRefunded) error {
	o.flag(e.Flags...)
	currency := bucket(e.Currency)
	more, ok := decimal.Zero, false
	if !slices.Contains(e.Flags, unitUnknown) {
		more, ok = o.raised(e.Payment, currency)
	}
	if !ok {
		return o.close()
	}
	o.adopt(currency, false)
	if err := o.post(amountRow{currency: currency, refunded: more}, postRefund(more, currency, e.Transaction)); err != nil {
		return err
	}
	return o.close()
}

// raised returns by how much a refund is more than what is booked as refunded of
// the same charge, and whether it is to be booked. It remembers the greatest.
func (o *order) raised(p domain.Payment, currency string) (more decimal.Decimal, ok bool) {
	kind := string(o.record.Kind)
	seen, again := transactions.Get(o.tx, o.row.source, o.row.order, p.Transaction, kind)
	more = p.Amount.Sub(seen.amount)
	switch {
	case !again:
		more = p.Amount
	case seen.currency != currency || more.IsNegative():
		o.flag(transactionDiffers)
		return more, false
	case more.IsZero():
		if !o.whole(p) {
			o.flag(refundRepeated)
		}
		return more, false
	default:
		o.flag(refundRaised)
	}
	transactions.Put(o.tx, transactionRow{o.row.source, o.row.order, p.Transaction, kind, currency, p.Amount})
	return more, true
}

// whole reports whether a refund is known to be all of its charge.
func (o *order) whole(p domain.Payment) bool {
	paid, ok := transactions.Get(o.tx, o.row.source, o.row.order, p.Transaction, string(domain.SalesPaid{}.Kind()))
	if !ok {
		paid.amount = p.OrderTotal
	}
	return !p.Amount.LessThan(paid.amount) && paid.amount.IsPositive()
}
