package sales

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/projections"
)

// An orderRow is what one order comes to, in its own currency.
type orderRow struct {
	source      string
	order       string
	currency    string // empty: nothing is booked
	total       decimal.Decimal
	paid        decimal.Decimal
	refunded    decimal.Decimal
	outstanding decimal.Decimal
	status      string
	flags       string
	orderedAt   time.Time
	buyer       string          // person or party, by the shop's id
	sold        bool            // its sale is booked
	credited    bool            // a negative sale is booked
	allocated   decimal.Decimal // payments stated on its invoice and not booked
	received    bool            // something was paid, in any currency
	position    int64           // of the last record about the order

	// What a provider's list told of the sale, until a webhook does.
	listed      bool
	listedSale  sale
	listedFlags string // those of flags that nothing else brought
	told        string // currency without the list
}

// orders has one row per order.
var orders = projections.NewKeyed("orders", 2,
	projections.Text("source", func(r *orderRow) *string { return &r.source }),
	projections.Text("order", func(r *orderRow) *string { return &r.order }),
	projections.Text("currency", func(r *orderRow) *string { return &r.currency }),
	projections.Decimal("total", func(r *orderRow) *decimal.Decimal { return &r.total }),
	projections.Decimal("paid", func(r *orderRow) *decimal.Decimal { return &r.paid }),
	projections.Decimal("refunded", func(r *orderRow) *decimal.Decimal { return &r.refunded }),
	projections.Decimal("outstanding", func(r *orderRow) *decimal.Decimal { return &r.outstanding }),
	projections.Text("status", func(r *orderRow) *string { return &r.status }),
	projections.Text("flags", func(r *orderRow) *string { return &r.flags }),
	projections.Time("ordered_at", func(r *orderRow) *time.Time { return &r.orderedAt }),
	projections.Text("buyer", func(r *orderRow) *string { return &r.buyer }),
	projections.Bool("sold", func(r *orderRow) *bool { return &r.sold }),
	projections.Bool("credited", func(r *orderRow) *bool { return &r.credited }),
	projections.Decimal("allocated", func(r *orderRow) *decimal.Decimal { return &r.allocated }),
	projections.Bool("received", func(r *orderRow) *bool { return &r.received }),
	projections.Integer("position", func(r *orderRow) *int64 { return &r.position }),
	projections.Bool("listed", func(r *orderRow) *bool { return &r.listed }),
	projections.Decimal("listed_total", func(r *orderRow) *decimal.Decimal { return &r.listedSale.total }),
	projections.Decimal("listed_lines", func(r *orderRow) *decimal.Decimal { return &r.listedSale.lines }),
	projections.Decimal("listed_charges", func(r *orderRow) *decimal.Decimal { return &r.listedSale.charges }),
	projections.Text("listed_flags", func(r *orderRow) *string { return &r.listedFlags }),
	projections.Text("told_currency", func(r *orderRow) *string { return &r.told }),
)

// Statuses of an order.
const (
	statusOpen         = "open"          // nothing is paid
	statusPartPaid     = "part-paid"     // something is
	statusPaid         = "paid"          // the money held is the total
	statusOverpaid     = "overpaid"      // it is more
	statusRefunded     = "refunded"      // nothing is held any more
	statusPartRefunded = "part-refunded" // some was given back, and less than the total is held
	statusFree         = "free"          // the total is zero
	statusUnapplied    = "unapplied"     // money or an attempt without a sale
	statusAllocated    = "allocated"     // the invoice lists payments of its total, which are not booked
	statusCreditNote   = "credit-note"   // the total is negative, or was taken back to zero
)

// state returns the status that the row's numbers make.
func (r orderRow) state() string {
	total, due := sign(r.total, r.currency), sign(r.outstanding, r.currency)
	kept := r.paid.Sub(r.refunded)
	switch {
	case !r.sold:
		return statusUnapplied
	case total < 0 || total == 0 && r.credited:
		return statusCreditNote
	case r.refunded.IsPositive() && sign(kept, r.currency) <= 0:
		return statusRefunded
	case sign(kept.Sub(r.total), r.currency) > 0:
		return statusOverpaid
	case total == 0:
		return statusFree
	case sign(r.total.Sub(kept).Sub(r.outstanding), r.currency) > 0: // more was given back than overpaid
		return statusPartRefunded
	case due <= 0:
		return statusPaid
	case sign(r.allocated.Sub(r.total), r.currency) >= 0:
		return statusAllocated
	case r.paid.IsPositive():
		return statusPartPaid
	}
	return statusOpen
}

// An amountRow is what one order comes to in one currency.
type amountRow struct {
	source   string
	order    string
	currency string
	total    decimal.Decimal
	paid     decimal.Decimal
	refunded decimal.Decimal
}

// returned is the part of the refunds that gave back what was paid beyond the
// total.
func (r amountRow) returned() decimal.Decimal {
	return decimal.Max(decimal.Zero, decimal.Min(r.refunded, r.paid.Sub(r.total)))
}

// amounts has one row per order and currency.
var amounts = projections.NewKeyed("amounts", 3,
	projections.Text("source", func(r *amountRow) *string { return &r.source }),
	projections.Text("order", func(r *amountRow) *string { return &r.order }),
	projections.Text("currency", func(r *amountRow) *string { return &r.currency }),
	projections.Decimal("total", func(r *amountRow) *decimal.Decimal { return &r.total }),
	projections.Decimal("paid", func(r *amountRow) *decimal.Decimal { return &r.paid }),
	projections.Decimal("refunded", func(r *amountRow) *decimal.Decimal { return &r.refunded }),
)

// A transactionRow is one thing that counts once.
type transactionRow struct {
	source      string
	order       string
	transaction string // or the key of a ledger entry; empty: the payment that a sale states
	kind        string // of the record
	currency    string
	amount      decimal.Decimal // of a ledger entry: debit less credit
}

// transactions has one row per transaction that is booked.
var transactions = projections.NewKeyed("transactions", 4,
	projections.Text("source", func(r *transactionRow) *string { return &r.source }),
	projections.Text("order", func(r *transactionRow) *string { return &r.order }),
	projections.Text("transaction", func(r *transactionRow) *string { return &r.transaction }),
	projections.Text("kind", func(r *transactionRow) *string { return &r.kind }),
	projections.Text("currency", func(r *transactionRow) *string { return &r.currency }),
	projections.Decimal("amount", func(r *transactionRow) *decimal.Decimal { return &r.amount }),
)

// A balance is what one account comes to in one currency.
type balance struct {
	account  string
	currency string
	debit    decimal.Decimal // sum of its debits
	credit   decimal.Decimal // sum of its credits, as a positive number
	balance  decimal.Decimal // debit less credit
}

// with returns the balance after an entry.
func (b balance) with(amount decimal.Decimal) balance {
	if amount.IsNegative() {
		b.credit = b.credit.Sub(amount)
	} else {
		b.debit = b.debit.Add(amount)
	}
	b.balance = b.balance.Add(amount)
	return b
}

// balances has one row per account and currency.
var balances = projections.NewKeyed("balances", 2,
	projections.Text("account", func(r *balance) *string { return &r.account }),
	projections.Text("currency", func(r *balance) *string { return &r.currency }),
	projections.Decimal("debit", func(r *balance) *decimal.Decimal { return &r.debit }),
	projections.Decimal("credit", func(r *balance) *decimal.Decimal { return &r.credit }),
	projections.Decimal("balance", func(r *balance) *decimal.Decimal { return &r.balance }),
)

// An entry is one line of double entry.
type entry struct {
	order    string
	account  string
	currency string
	amount   decimal.Decimal // a debit if positive
	memo     string
}

// entries has every posting.
var entries = projections.NewJournal("entries",
	projections.Text("order", func(r *entry) *string { return &r.order }),
	projections.Text("account", func(r *entry) *string { return &r.account }),
	projections.Text("currency", func(r *entry) *string { return &r.currency }),
	projections.Decimal("amount", func(r *entry) *decimal.Decimal { return &r.amount }),
	projections.Text("memo", func(r *entry) *string { return &r.memo }),
).Indexed("source", "order").Indexed("account", "currency")
