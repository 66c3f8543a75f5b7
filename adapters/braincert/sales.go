package braincert

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// Contradictions and gaps within a sale. It is booked as sent.
const (
	flagTotalDiffers  = "total-differs"  // total is not total_amount + service_charge
	flagItemsDiffer   = "items-differ"   // total_amount is not the sum of the items
	flagAmountMissing = "amount-missing" // an item states no item_total; it counts as zero
	flagPaymentUnsaid = "payment-unsaid" // no payment_status: nobody said whether it is paid
)

// sold translates New Sale. Its action "completed" does not mean paid, and it
// names neither the buyer's account nor the products.
func sold(r *reader, rt route) domain.Event {
	user := r.body.Get("user")
	e := domain.SalesSold{
		Order:         r.id(r.first(rt.subject)),
		Charges:       r.numberOrZero(r.body.Get("service_charge")),
		Total:         r.total(r.body.Get("total")),
		Currency:      r.currency(r.body.Get("currency")),
		PaymentStatus: r.tryLabel(r.body.Get("payment_status")),
		PaymentType:   r.tryLabel(r.body.Get("payment_method")),
		Buyer:         domain.Buyer{Name: r.name(user), Email: r.Email(r.tryText(user.Get("email")))},
	}
	if e.PaymentStatus == "" {
		e.Flags = append(e.Flags, flagPaymentUnsaid)
	}
	for _, item := range r.list(r.body.Get("items")) {
		amount := r.number(item.Get("item_total"))
		if amount == nil {
			e.Flags = append(e.Flags, flagAmountMissing)
			amount = new(decimal.Decimal)
		}
		e.Lines = append(e.Lines, domain.SaleLine{
			ItemType: r.tryLabel(item.Get("type")),
			Name:     r.tryText(item.Get("name")),
			Quantity: r.numberOrZero(item.Get("quantity")),
			Price:    r.numberOrZero(item.Get("price")),
			Discount: r.numberOrZero(item.Get("discount")),
			Amount:   *amount,
		})
	}
	e.Flags = slices.Compact(append(e.Flags, contradictions(e, r.number(r.body.Get("total_amount")))...))
	return e
}

// contradictions returns the flags of a sale that does not add up. Without
// total_amount, which is in between, the items and the charge must give the total.
func contradictions(e domain.SalesSold, totalAmount *decimal.Decimal) (flags []string) {
	between := e.Total.Sub(e.Charges)
	if totalAmount != nil {
		if !between.Equal(*totalAmount) {
			flags = append(flags, flagTotalDiffers)
		}
		between = *totalAmount
	}
	sum := decimal.Zero
	for _, l := range e.Lines {
		sum = sum.Add(l.Amount)
	}
	if len(e.Lines) > 0 && !between.Equal(sum) {
		flags = append(flags, flagItemsDiffer)
	}
	return flags
}

// total returns an amount, and fails if it is missing.
func (r *reader) total(v payload.Value) decimal.Decimal {
	d := r.number(v)
	if d == nil {
		r.Fail(v, "is missing")
		return decimal.Decimal{}
	}
	return *d
}

// currency returns a currency code, and fails unless it looks like one: an
// amount must never be booked in a unit nobody named.
func (r *reader) currency(v payload.Value) string {
	code := domain.NormalCurrency(r.text(v))
	switch {
	case code == "":
		r.Fail(v, "is missing")
	case len(code) != 3 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		r.Fail(v, "is not a currency code")
	}
	return code
}
