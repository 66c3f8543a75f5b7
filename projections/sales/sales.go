// Package sales keeps the sales ledger: what was ordered, what was paid, and
// double entry for both that balances in every currency at every record.
//
// # Accounts
//
// A debit is positive, a credit negative. No amount is ever added to one of
// another currency; an amount whose currency nobody said is in the currency
// "unknown", and a code that is no ISO 4217 code is a currency of its own.
//
//	receivable  what buyers owe
//	cash        what was received, less what was given back
//	sales       what was sold
//	charges     what the shop added to the lines
//	refunds     what was given back
//	suspense    the part of a total that lines and charges do not explain
//
// # Posting rules, version 4
//
//	sales.sold         receivable total; sales −lines; charges −charges;
//	                   suspense −residue, flagged items-differ. An order without
//	                   lines has no residue. A total of zero posts nothing.
//	sales.listed       as sales.sold, until that takes its place
//	sales.paid         cash amount; receivable −amount
//	sales.refunded     refunds amount; cash −amount
//	sales.entry-posted receivable debit; sales −debit; cash credit;
//	                   receivable −credit; signs as sent
//	others             nothing
//
// A sale whose payment_status is paid, completed or succeeded, in any case, is
// paid as it is sold: BrainCert says it so and sends no payment. Thinkific's
// order status, "Complete", is none of the three. Any other status that says
// something of the payment is a flag of the order: it stays unpaid, and not in
// silence.
//
// Amounts are booked as sent, every digit of them. Whether two agree is decided
// after rounding their difference to the currency's minor unit, so that a
// sender's binary fractions are no discrepancy; without an ISO 4217 code there
// is no minor unit and nothing is rounded.
//
// # One order is one sale
//
// An order is sold once: the same sale told again is nothing new, another one is
// flagged conflicting-sale and not booked. A transaction, or a ledger entry,
// counts once per order and kind; told again with another amount it is flagged
// transaction-differs and the first stays. A refund tells what was refunded of a
// charge: told again with more, the difference is booked and flagged
// refund-raised; with as much, and not all of the charge, it is flagged
// refund-repeated, for nobody can tell a repetition from another refund. A payment
// flagged unit-unknown might be in minor units: it is not booked, and the order
// carries the flag.
//
// An order that a provider's API lists is sold if no webhook tells of it, and
// flagged listed. Once a webhook does, it alone counts: what was booked from the
// list is taken back, unless it was the same, and so are the list's flags, buyer
// and date. A list that comes after it says nothing.
//
// The currency of an order is its sale's, or its first money's until it is sold.
// Money in other currencies is booked in its own and flagged currency-differs;
// the order's total, paid, refunded and outstanding leave it out.
//
// # What an order's numbers mean
//
// Outstanding is what the buyer has yet to pay, which is the sum of the order's
// receivable entries. A refund first gives back what was paid beyond the total,
// which the buyer was owed; the rest of it takes the sale back and is not owed
// again. So outstanding is total − paid, plus the refunds of overpayment, in
// whatever order the records come.
package sales

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// Projection returns the sales projection.
func Projection() *projections.Projection {
	return &projections.Projection{
		Name:    "sales",
		Version: 4,
		Tables:  []projections.Table{orders, amounts, transactions, balances, entries},
		Kinds: domain.KindsOf(
			domain.SalesSold{},
			domain.SalesListed{},
			domain.SalesPaid{},
			domain.SalesPaymentFailed{},
			domain.SalesRefunded{},
			domain.SalesEntryPosted{},
		),
		Fold: fold,
		Totals: []projections.Total{
			{Table: balances, Column: "debit", By: "currency"},
			{Table: balances, Column: "credit", By: "currency"},
			{Table: orders, Column: "outstanding", By: "currency"},
		},
		Views: []projections.View{
			projections.NewView("orders", "Orders", orders,
				"source", "order", "currency", "total", "paid", "refunded", "outstanding", "status", "flags",
				"ordered_at", "buyer", "position"),
			projections.NewView("entries", "Sales entries", entries,
				"position", "event", "source", "order", "account", "currency", "amount", "occurred_at", "memo"),
			projections.NewView("balances", "Trial balance", balances,
				"account", "currency", "debit", "credit", "balance"),
		},
	}
}

// fold folds one record.
func fold(tx *projections.Tx, r *domain.Record) error {
	switch e := r.Event.(type) {
	case domain.SalesSold:
		return openOrder(tx, r, e.Order).sold(e)
	case domain.SalesListed:
		return openOrder(tx, r, e.Order).listed(domain.SalesSold(e))
	case domain.SalesPaid:
		return openOrder(tx, r, e.Order).paid(e)
	case domain.SalesPaymentFailed:
		return openOrder(tx, r, e.Order).failed(e)
	case domain.SalesRefunded:
		return openOrder(tx, r, e.Order).refunded(e)
	case domain.SalesEntryPosted:
		return openOrder(tx, r, orderOf(e)).entryPosted(e)
	}
	return nil
}

// orderOf returns the order that a ledger entry is about: its invoice, else its
// payment, else itself.
func orderOf(e domain.SalesEntryPosted) string {
	return cmp.Or(e.Number, e.PaymentReference, e.Entry)
}

// An order is one order while one record is folded.
type order struct {
	tx     *projections.Tx
	record *domain.Record
	row    orderRow
}

// openOrder returns the order as it is, or as it starts.
func openOrder(tx *projections.Tx, r *domain.Record, id string) *order {
	row, ok := orders.Get(tx, r.Source, id)
	if !ok {
		row = orderRow{source: r.Source, order: id}
	}
	return &order{tx, r, row}
}

// sold books a sale, and its payment if it says that it is paid.
func (o *order) sold(e domain.SalesSold) error {
	currency := bucket(e.Currency)
	amounts, fits := saleOf(e, currency)
	booked, err := o.unlist(amounts, currency)
	if err != nil {
		return err
	}
	paid, unpaid := paymentSaid(e.PaymentStatus)
	if unpaid != "" {
		o.flag(unpaid)
	}
	switch {
	case !o.row.sold:
		o.flag(e.Flags...)
		o.adopt(currency, true)
		o.describe(e)
		if !fits {
			o.flag(itemsDiffer)
		}
		if booked {
			break
		}
		if err := o.post(amountRow{currency: currency, total: e.Total}, amounts.postings(currency)); err != nil {
			return err
		}
	case currency != o.row.currency || !e.Total.Equal(o.row.total):
		o.flag(conflictingSale)
		return o.close()
	}
	if paid && o.first("", currency, e.Total) {
		postings := postPayment(e.Total, currency, "paid, as the sale says")
		if err := o.post(amountRow{currency: currency, paid: e.Total}, postings); err != nil {
			return err
		}
	}
	return o.close()
}

// describe takes over what a sale says of its order.
func (o *order) describe(e domain.SalesSold) {
	o.row.credited = e.Total.IsNegative()
	o.row.buyer, o.row.orderedAt = e.Buyer.Person, o.record.OccurredAt
}

// paymentSaid returns whether a sale with this payment status, in any case, is paid
// already, and the flag of the order if it says something else.
func paymentSaid(status string) (paid bool, flag string) {
	switch strings.ToLower(status) {
	case "paid", "completed", "succeeded":
		return true, ""
	case "", "complete":
		return false, ""
	case "pending", "processing", "unpaid", "on-hold", "on hold":
		return false, paymentPending
	case "failed", "declined":
		return false, paymentFailed
	case "refunded", "partially refunded", "partially_refunded":
		return false, paymentRefunded
	case "cancelled", "canceled", "voided":
		return false, paymentCancelled
	}
	return false, paymentUnknown
}

// paid books a payment.
func (o *order) paid(e domain.SalesPaid) error {
	currency := bucket(e.Currency)
	return o.moved(e.Payment, amountRow{currency: currency, paid: e.Amount}, postPayment(e.Amount, currency, e.Transaction))
}

// moved books money that came or went, unless it is not to be counted.
func (o *order) moved(p domain.Payment, more amountRow, postings []posting) error {
	if o.counts(p) {
		o.adopt(more.currency, false)
		if err := o.post(more, postings); err != nil {
			return err
		}
	}
	return o.close()
}

// failed flags the order: no money moved. The flag goes when something is paid.
func (o *order) failed(e domain.SalesPaymentFailed) error {
	o.flag(e.Flags...)
	o.flag(paymentFailed)
	return o.close()
}

// counts reports whether a payment is to be booked.
func (o *order) counts(p domain.Payment) bool {
	o.flag(p.Flags...)
	return !slices.Contains(p.Flags, unitUnknown) && o.first(p.Transaction, bucket(p.Currency), p.Amount)
}

// entryPosted books an entry of the provider's own ledger.
func (o *order) entryPosted(e domain.SalesEntryPosted) error {
	currency := bucket(e.Currency)
	if !o.first(e.Entry, currency, e.Debit.Sub(e.Credit)) {
		return o.close()
	}
	// An entry that only credits is a payment, whatever invoice it names.
	sells := !e.Debit.IsZero() || e.Credit.IsZero()
	if sells && !o.row.sold {
		o.row.buyer, o.row.orderedAt = e.Payer.ID, o.record.OccurredAt
	}
	o.adopt(currency, sells)
	o.row.credited = o.row.credited || e.Debit.IsNegative()
	if !itemsFit(e, currency) {
		o.flag(itemsDiffer)
	}
	if len(e.Payments) > 0 {
		o.stated(e, currency)
	}
	if err := o.post(amountRow{currency: currency, total: e.Debit, paid: e.Credit}, postEntry(e, currency)); err != nil {
		return err
	}
	return o.close()
}

// stated takes note of the payments that an entry lists. They are never booked:
// the entries of the payments are.
func (o *order) stated(e domain.SalesEntryPosted, currency string) {
	sum := decimal.Zero
	for _, p := range e.Payments {
		sum = sum.Add(p.Amount)
	}
	switch {
	case e.Credit.IsZero() && currency == o.row.currency:
		o.row.allocated = sum
	case !e.Credit.IsZero() && sign(sum.Sub(e.Credit), currency) != 0:
		o.flag(paymentsDiffer)
	}
}

// first reports whether the order has not seen the transaction in a record of
// this kind, and remembers it. If it has, and the amount is another, it flags
// the order.
func (o *order) first(transaction, currency string, amount decimal.Decimal) bool {
	kind := string(o.record.Kind)
	seen, ok := transactions.Get(o.tx, o.row.source, o.row.order, transaction, kind)
	if !ok {
		transactions.Put(o.tx, transactionRow{o.row.source, o.row.order, transaction, kind, currency, amount})
		return true
	}
	if seen.currency != currency || !seen.amount.Equal(amount) {
		o.flag(transactionDiffers)
	}
	return false
}

// adopt makes the currency the order's, if it is its sale's or its first. What a
// list says of the currency counts while nothing else does.
func (o *order) adopt(currency string, sale bool) {
	switch {
	case o.row.told != "" && o.row.told != currency:
		o.flag(currencyDiffers)
	case o.row.listed && o.row.currency != currency:
		o.flagListed(currencyDiffers)
	}
	if o.row.told == "" || sale && (!o.row.sold || o.row.listed) {
		o.row.told = currency
	}
	if !o.row.listed {
		o.row.currency = o.row.told
	}
	o.row.sold = o.row.sold || sale
	o.flag(doubts(currency)...)
}

// doubts returns the flags of a currency.
func doubts(currency string) []string {
	if currency == unknownCurrency {
		return []string{currencyUnknown}
	}
	if _, known := domain.Exponent(currency); !known {
		return []string{nonISOCurrency}
	}
	return nil
}

func (o *order) flag(words ...string) {
	o.row.flags = projections.AddFlags(o.row.flags, words...)
	for _, word := range words {
		o.row.listedFlags = projections.RemoveFlag(o.row.listedFlags, word)
	}
}

// post books postings of the order and what they add to its amounts.
func (o *order) post(more amountRow, postings []posting) error {
	o.row.received = o.row.received || more.paid.IsPositive()
	before, _ := amounts.Get(o.tx, o.row.source, o.row.order, more.currency)
	after := amountRow{
		o.row.source, o.row.order, more.currency,
		before.total.Add(more.total), before.paid.Add(more.paid), before.refunded.Add(more.refunded),
	}
	postings = append(postings, postOverpayment(after.returned().Sub(before.returned()), more.currency)...)
	if err := balanced(postings); err != nil {
		return err
	}
	for _, p := range postings {
		if p.amount.IsZero() {
			continue
		}
		entries.Append(o.tx, entry{o.row.order, p.account, p.currency, p.amount, p.memo})
		b, ok := balances.Get(o.tx, p.account, p.currency)
		if !ok {
			b = balance{account: p.account, currency: p.currency}
		}
		balances.Put(o.tx, b.with(p.amount))
	}
	amounts.Put(o.tx, after)
	return nil
}

// close keeps the order's row, with its amounts and status as they are now.
func (o *order) close() error {
	a, _ := amounts.Get(o.tx, o.row.source, o.row.order, o.row.currency)
	o.row.total, o.row.paid, o.row.refunded = a.total, a.paid, a.refunded
	o.row.outstanding = a.total.Sub(a.paid).Add(a.returned())
	if o.row.received {
		for _, settled := range []string{paymentFailed, paymentPending, paymentUnknown} {
			o.row.flags = projections.RemoveFlag(o.row.flags, settled)
		}
	}
	o.row.status = o.row.state()
	o.row.position = o.record.Position
	orders.Put(o.tx, o.row)
	return nil
}
