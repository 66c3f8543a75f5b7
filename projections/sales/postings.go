package sales

import (
	"cmp"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// Accounts.
const (
	receivable = "receivable"
	cash       = "cash"
	sales      = "sales"
	charges    = "charges"
	refunds    = "refunds"
	suspense   = "suspense"
)

// unknownCurrency is the currency of amounts whose currency nobody said. It is
// not a code that an event can carry: those are in upper case.
const unknownCurrency = "unknown"

// Flags of an order that are not copied from an event.
const (
	itemsDiffer        = "items-differ"        // the items do not make the total
	paymentsDiffer     = "payments-differ"     // the payments listed do not make the credit
	listedOnly         = "listed"              // known from a provider's list alone
	conflictingSale    = "conflicting-sale"    // sold again with another total or currency; not booked
	transactionDiffers = "transaction-differs" // told again with another amount; not booked
	refundRaised       = "refund-raised"       // more was refunded of a charge than before; the difference is booked
	refundRepeated     = "refund-repeated"     // as much was refunded of a charge as before: told again, or once more; not booked
	paymentFailed      = "payment-failed"      // a payment was tried, and nothing is paid
	paymentPending     = "payment-pending"     // the sale says so, and nothing is paid
	paymentUnknown     = "payment-unknown"     // the sale has a payment status that nobody documented, and nothing is paid
	paymentRefunded    = "payment-refunded"    // the sale says so, in no figures: nothing is booked
	paymentCancelled   = "payment-cancelled"   // the sale says so: nothing is booked
	currencyUnknown    = "currency-unknown"    // nobody said which
	currencyDiffers    = "currency-differs"    // some money is in another currency than the sale
	nonISOCurrency     = "non-iso-currency"    // not a code of ISO 4217
	unitUnknown        = "unit-unknown"        // of a payment: perhaps in minor units; not booked
)

// A posting is one line of double entry: a debit if positive.
type posting struct {
	account  string
	currency string
	amount   decimal.Decimal
	memo     string
}

// A sale is what is booked of one: charges and lines make the total, or the rest
// is in suspense.
type sale struct {
	total, lines, charges decimal.Decimal
}

// saleOf returns what is booked of a sale, and whether its lines and charges make
// its total. A total of zero books nothing.
func saleOf(e domain.SalesSold, currency string) (s sale, fits bool) {
	if e.Total.IsZero() {
		return sale{}, true
	}
	s = sale{total: e.Total, charges: e.Charges}
	for _, l := range e.Lines {
		s.lines = s.lines.Add(l.Amount)
	}
	residue := s.residue()
	if fits = len(e.Lines) == 0 || sign(residue, currency) == 0; fits {
		s.lines = s.lines.Add(residue)
	}
	return s, fits
}

// residue is the part of the total that lines and charges do not explain.
func (s sale) residue() decimal.Decimal { return s.total.Sub(s.lines).Sub(s.charges) }

func (s sale) equal(o sale) bool {
	return s.total.Equal(o.total) && s.lines.Equal(o.lines) && s.charges.Equal(o.charges)
}

// postings returns the postings of a sale.
func (s sale) postings(currency string) []posting {
	return []posting{
		{receivable, currency, s.total, "sale"},
		{sales, currency, s.lines.Neg(), "sale"},
		{charges, currency, s.charges.Neg(), "charges"},
		{suspense, currency, s.residue().Neg(), "not explained by lines and charges"},
	}
}

// takenBack returns the postings that undo those of a sale.
func (s sale) takenBack(currency string) []posting {
	postings := sale{s.total.Neg(), s.lines.Neg(), s.charges.Neg()}.postings(currency)
	for i := range postings {
		postings[i].memo = "listed sale taken back"
	}
	return postings
}

// postPayment returns the postings of a payment.
func postPayment(amount decimal.Decimal, currency, memo string) []posting {
	return []posting{
		{cash, currency, amount, memo},
		{receivable, currency, amount.Neg(), memo},
	}
}

// postRefund returns the postings of a refund.
func postRefund(amount decimal.Decimal, currency, memo string) []posting {
	return []posting{
		{refunds, currency, amount, memo},
		{cash, currency, amount.Neg(), memo},
	}
}

// postOverpayment returns the postings that turn an amount of refunds into the
// return of an overpayment or, if negative, back.
func postOverpayment(amount decimal.Decimal, currency string) []posting {
	memo := "overpayment given back"
	return []posting{
		{receivable, currency, amount, memo},
		{refunds, currency, amount.Neg(), memo},
	}
}

// postEntry returns the postings of an entry of the provider's ledger.
func postEntry(e domain.SalesEntryPosted, currency string) []posting {
	memo := "entry"
	return append([]posting{
		{receivable, currency, e.Debit, memo},
		{sales, currency, e.Debit.Neg(), memo},
	}, postPayment(e.Credit, currency, cmp.Or(e.PaymentReference, memo))...)
}

// itemsFit reports whether the items of an entry, if it debits and has any, make
// its debit: by their amounts alone, or by amounts and taxes. Which of the two
// is meant is not documented.
func itemsFit(e domain.SalesEntryPosted, currency string) bool {
	if len(e.Items) == 0 || e.Debit.IsZero() {
		return true
	}
	net, gross := decimal.Zero, decimal.Zero
	for _, i := range e.Items {
		net = net.Add(i.Amount)
		gross = gross.Add(i.Amount).Add(i.Tax)
	}
	return sign(net.Sub(e.Debit), currency) == 0 || sign(gross.Sub(e.Debit), currency) == 0
}

// balanced returns an error unless the postings add up to zero in every
// currency.
func balanced(postings []posting) error {
	sum := make(map[string]decimal.Decimal)
	for _, p := range postings {
		sum[p.currency] = sum[p.currency].Add(p.amount)
	}
	for _, p := range postings {
		if s := sum[p.currency]; !s.IsZero() {
			return fmt.Errorf("postings in %s add up to %s, not to zero", p.currency, s)
		}
	}
	return nil
}

// bucket returns the currency in which an amount is kept.
func bucket(currency string) string { return cmp.Or(currency, unknownCurrency) }

// sign returns -1, 0 or 1 for an amount, as far as the currency can express it.
func sign(d decimal.Decimal, currency string) int {
	if digits, iso := domain.Exponent(currency); iso {
		d = d.Round(digits)
	}
	return d.Sign()
}
