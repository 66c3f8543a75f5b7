package sales

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

func TestProjection(t *testing.T) {
	projectiontest.Run(
		t, Projection(),
		projectiontest.Events(events),
		projectiontest.Law("every record balances in every currency", recordsBalance),
		projectiontest.Law("the trial balance is the sum of the entries, and zero", trialBalance),
		projectiontest.Law("an order's amounts are its entries", amountsAreEntries),
		projectiontest.Law("an order's row is its amounts in its currency", rowsAreAmounts),
	)
}

// events draws events about few orders, so that they meet.
var events = rapid.Custom(func(t *rapid.T) domain.Event {
	p := domain.Payment{
		Transaction: rapid.SampledFrom([]string{"t1", "t2", "t3", "t4"}).Draw(t, "transaction"),
		Order:       rapid.SampledFrom([]string{"1", "1", "2", "3"}).Draw(t, "order"),
		Amount:      amount(t).Abs(),
		Currency:    rapid.SampledFrom([]string{"", "USD", "USD", "USD", "EUR", "JPY", "TOKENS"}).Draw(t, "currency"),
	}
	if rapid.IntRange(0, 9).Draw(t, "flagged") == 9 {
		p.Flags = []string{unitUnknown}
	}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0, 1:
		return domain.SalesPaid{Payment: p}
	case 2:
		return domain.SalesRefunded{Payment: p}
	case 3:
		return domain.SalesPaymentFailed{Payment: p}
	case 4, 5:
		e := domain.SalesEntryPosted{
			Entry: p.Transaction, Number: p.Order, Currency: "USD", Debit: amount(t), Credit: amount(t),
			PaymentReference: rapid.SampledFrom([]string{"", "t1"}).Draw(t, "reference"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "items") {
			e.Items = append(e.Items, domain.EntryItem{Amount: amount(t), Tax: amount(t)})
			e.Payments = append(e.Payments, domain.EntryPayment{Amount: amount(t)})
		}
		return e
	}
	e := domain.SalesSold{
		Order: p.Order, Total: amount(t), Charges: amount(t), Currency: p.Currency,
		PaymentStatus: rapid.SampledFrom([]string{"", "Paid", "pending", "Complete", "refunded", "later"}).Draw(t, "payment status"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "lines") {
		e.Lines = append(e.Lines, domain.SaleLine{Amount: amount(t)})
	}
	if rapid.IntRange(0, 3).Draw(t, "listed") == 3 {
		return domain.SalesListed(e)
	}
	return e
})

// amount draws a signed amount, mostly of whole cents.
func amount(t *rapid.T) decimal.Decimal {
	digits := rapid.SampledFrom([]int32{0, -2, -2, -4}).Draw(t, "digits")
	return decimal.New(rapid.Int64Range(-3, 12).Draw(t, "amount"), digits)
}

func recordsBalance(t rapid.TB, r *domain.Record, m *projections.Memory) {
	sum := projectiontest.Sum{}
	for _, e := range projectiontest.Rows(m, entries) {
		sum.Add(e.Text("position")+" "+e.Text("currency"), e.Decimal("amount"))
	}
	for key, s := range sum {
		if !s.IsZero() {
			t.Errorf("entries of %s add up to %s", key, s)
		}
	}
}

func trialBalance(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	debit, credit, total := projectiontest.Sum{}, projectiontest.Sum{}, projectiontest.Sum{}
	for _, e := range projectiontest.Rows(m, entries) {
		key, a := e.Text("account")+" "+e.Text("currency"), e.Decimal("amount")
		if a.IsPositive() {
			debit.Add(key, a)
		} else {
			credit.Add(key, a.Neg())
		}
	}
	for _, b := range projectiontest.Rows(m, balances) {
		key := b.Text("account") + " " + b.Text("currency")
		if !b.Decimal("debit").Equal(debit[key]) || !b.Decimal("credit").Equal(credit[key]) {
			t.Errorf("%s: debit %s, credit %s; entries say %s and %s", key, b.Text("debit"), b.Text("credit"), debit[key], credit[key])
		}
		if !b.Decimal("balance").Equal(debit[key].Sub(credit[key])) {
			t.Errorf("%s: balance %s, want %s less %s", key, b.Text("balance"), debit[key], credit[key])
		}
		total.Add(b.Text("currency"), b.Decimal("balance"))
		delete(debit, key)
		delete(credit, key)
	}
	if len(debit)+len(credit) > 0 {
		t.Errorf("entries on accounts without a balance: %v %v", debit, credit)
	}
	for currency, s := range total {
		if !s.IsZero() {
			t.Errorf("trial balance in %s is %s", currency, s)
		}
	}
}

// givenBack is what refunds gave back of an overpayment.
func givenBack(total, paid, refunded decimal.Decimal) decimal.Decimal {
	over := paid.Sub(total)
	switch {
	case !over.IsPositive():
		return decimal.Zero
	case over.LessThan(refunded):
		return over
	}
	return refunded
}

// amountsAreEntries checks, for every order and currency, that the receivable is
// total − paid and what refunds gave back of an overpayment, that cash is paid −
// refunded and that refunds are the rest of what was refunded.
func amountsAreEntries(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	sum := projectiontest.Sum{}
	for _, e := range projectiontest.Rows(m, entries) {
		sum.Add(strings.Join([]string{e.Text("source"), e.Text("order"), e.Text("currency"), e.Text("account")}, " "), e.Decimal("amount"))
	}
	for _, a := range projectiontest.Rows(m, amounts) {
		key := strings.Join([]string{a.Text("source"), a.Text("order"), a.Text("currency")}, " ")
		total, paid, back := a.Decimal("total"), a.Decimal("paid"), a.Decimal("refunded")
		for account, want := range map[string]decimal.Decimal{
			receivable: total.Sub(paid).Add(givenBack(total, paid, back)),
			cash:       paid.Sub(back),
			refunds:    back.Sub(givenBack(total, paid, back)),
		} {
			if got := sum[key+" "+account]; !got.Equal(want) {
				t.Errorf("%s: %s entries add up to %s, want %s", key, account, got, want)
			}
			delete(sum, key+" "+account)
		}
	}
	for key, s := range sum {
		for _, account := range []string{receivable, cash, refunds} {
			if strings.HasSuffix(key, " "+account) && !s.IsZero() {
				t.Errorf("%s: entries add up to %s, and there is no row", key, s)
			}
		}
	}
}

func rowsAreAmounts(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	byKey := map[string]projectiontest.Row{}
	for _, a := range projectiontest.Rows(m, amounts) {
		byKey[a.Text("source")+" "+a.Text("order")+" "+a.Text("currency")] = a
	}
	for _, o := range projectiontest.Rows(m, orders) {
		key := o.Text("source") + " " + o.Text("order") + " " + o.Text("currency")
		a, ok := byKey[key]
		if !ok {
			if o.Text("currency") != "" || !o.Decimal("outstanding").IsZero() {
				t.Errorf("order %s has no amounts", key)
			}
			continue
		}
		for _, column := range []string{"total", "paid", "refunded"} {
			if !o.Decimal(column).Equal(a.Decimal(column)) {
				t.Errorf("order %s: %s is %s, want %s", key, column, o.Text(column), a.Text(column))
			}
		}
		if want := a.Decimal("total").Sub(a.Decimal("paid")).Add(givenBack(a.Decimal("total"), a.Decimal("paid"), a.Decimal("refunded"))); !o.Decimal("outstanding").Equal(want) {
			t.Errorf("order %s: outstanding is %s, want %s", key, o.Text("outstanding"), want)
		}
		if strings.Contains(o.Text("flags"), paymentFailed) && o.Decimal("paid").IsPositive() {
			t.Errorf("order %s is paid and flagged %s", key, o.Text("flags"))
		}
	}
}

// TestBalanced checks that postings that do not balance are refused, in each
// currency by itself.
func TestBalanced(t *testing.T) {
	one := decimal.NewFromInt(1)
	for _, c := range []struct {
		name     string
		postings []posting
		ok       bool
	}{
		{"none", nil, true},
		{"balanced", []posting{{cash, "USD", one, ""}, {sales, "USD", one.Neg(), ""}}, true},
		{"one side", []posting{{cash, "USD", one, ""}}, false},
		{"two currencies", []posting{{cash, "USD", one, ""}, {sales, "EUR", one.Neg(), ""}}, false},
		{"a trifle", []posting{{cash, "USD", one, ""}, {sales, "USD", decimal.New(-999999999999999999, -18), ""}}, false},
	} {
		if err := balanced(c.postings); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestPaymentSaid checks which payment statuses book a payment, and that no
// other one is passed over.
func TestPaymentSaid(t *testing.T) {
	for status, want := range map[string]string{
		"paid": "paid", "PAID": "paid", "Completed": "paid", "succeeded": "paid",
		"Complete": "", "complete": "", "": "",
		"Pending": paymentPending, "unpaid": paymentPending, "failed": paymentFailed, "refunded": paymentRefunded, "Canceled": paymentCancelled,
		"paid later": paymentUnknown, "pending/completed": paymentUnknown, "0": paymentUnknown,
	} {
		paid, flag := paymentSaid(status)
		if paid != (want == "paid") || !paid && flag != want {
			t.Errorf("paymentSaid(%q) = %v, %q; want %q", status, paid, flag, want)
		}
	}
}

// TestInstalments checks that a plan is one sale, whatever every transaction
// says of its order, and is paid when the instalments make the total.
func TestInstalments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Int64Range(1, 10000), 1, 6).Draw(t, "parts")
		total := decimal.Zero
		for _, cents := range parts {
			total = total.Add(decimal.New(cents, -2))
		}
		sale := domain.SalesSold{Order: "1", Total: total, Currency: "USD"}
		saleAt := rapid.IntRange(0, len(parts)).Draw(t, "sale after")
		m := projections.NewMemory(Projection())
		fold := func(e domain.Event) {
			r, err := projectiontest.NewRecord(m.Position()+1, "s", e)
			if err == nil {
				err = m.Fold(r)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, cents := range parts {
			if i == saleAt {
				fold(sale)
			}
			fold(domain.SalesPaid{Payment: domain.Payment{
				Transaction: string(rune('a' + i)), Order: "1", Amount: decimal.New(cents, -2), Currency: "USD", OrderTotal: total,
			}})
		}
		if saleAt == len(parts) {
			fold(sale)
		}
		o := projectiontest.Rows(m, orders)[0]
		if !o.Decimal("total").Equal(total) || !o.Decimal("outstanding").IsZero() || o.Text("status") != statusPaid {
			t.Errorf("total %s, outstanding %s, status %s; want %s, 0, paid", o.Text("total"), o.Text("outstanding"), o.Text("status"), total)
		}
	})
}
