package sales

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// shown returns what orders and balances say, without the cells that tell when
// it was said. Balances are left out where nothing is.
func shown(t rapid.TB, events []domain.Event) (orderRows, balanceRows []string) {
	t.Helper()
	m := projections.NewMemory(Projection())
	for i, e := range events {
		r, err := projectiontest.NewRecord(int64(i+1), "s", e)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if err := m.Fold(r); err != nil {
			t.Fatalf("%v", err)
		}
		recordsBalance(t, r, m)
		trialBalance(t, r, m)
		rowsAreAmounts(t, r, m)
	}
	for _, o := range projectiontest.Rows(m, orders) {
		var cells []string
		for _, column := range []string{"order", "currency", "total", "paid", "refunded", "outstanding", "status", "flags", "buyer", "sold", "credited", "told_currency"} {
			cells = append(cells, column+" "+o.Text(column))
		}
		orderRows = append(orderRows, strings.Join(cells, ", "))
	}
	for _, b := range projectiontest.Rows(m, balances) {
		if !b.Decimal("balance").IsZero() {
			balanceRows = append(balanceRows, b.Text("account")+" "+b.Text("currency")+" "+b.Text("balance"))
		}
	}
	return orderRows, balanceRows
}

// shopEvents draws what webhooks tell of few orders.
var shopEvents = rapid.Custom(func(t *rapid.T) domain.Event {
	for {
		switch e := events.Draw(t, "event"); e.(type) {
		case domain.SalesEntryPosted, domain.SalesListed:
		default:
			return e
		}
	}
})

// TestWebhooksOutrankLists checks that what a list tells of an order, however
// wrong, at whatever place and however often, changes nothing in what is shown of
// an order that a webhook told of, and is all that is shown of another.
func TestWebhooksOutrankLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		webhooks := rapid.SliceOfN(shopEvents, 0, 12).Draw(t, "webhooks")
		var sold []string
		for _, e := range webhooks {
			if s, ok := e.(domain.SalesSold); ok {
				sold = append(sold, s.Order)
			}
		}
		mixed := slices.Clone(webhooks)
		var fresh []domain.Event
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			row := domain.SalesSold{
				Order: rapid.SampledFrom([]string{"1", "2", "3", "listed"}).Draw(t, "order"), Total: amount(t),
				Currency:      rapid.SampledFrom([]string{"", "USD", "EUR", "TOKENS"}).Draw(t, "currency"),
				Lines:         []domain.SaleLine{{Amount: amount(t)}},
				Buyer:         domain.Buyer{Person: "listed"},
				Flags:         []string{"dollars-and-cents-disagree"},
				PaymentStatus: rapid.SampledFrom([]string{"Complete", "Paid", "pending", "refunded"}).Draw(t, "status"),
			}
			switch {
			case row.Order == "listed":
				fresh = append(fresh, domain.SalesListed(row))
			case !slices.Contains(sold, row.Order):
				continue
			}
			at := rapid.IntRange(0, len(mixed)).Draw(t, "at")
			if row.Order == "listed" { // its rows keep their order
				at = len(mixed)
			}
			mixed = slices.Insert(mixed, at, domain.Event(domain.SalesListed(row)))
		}
		wantOrders, wantBalances := shown(t, append(slices.Clone(webhooks), fresh...))
		gotOrders, gotBalances := shown(t, mixed)
		if diff := cmp.Diff(wantOrders, gotOrders); diff != "" {
			t.Errorf("orders (-webhooks alone +with lists):\n%s", diff)
		}
		if diff := cmp.Diff(wantBalances, gotBalances); diff != "" {
			t.Errorf("balances (-webhooks alone +with lists):\n%s", diff)
		}
	})
}

// TestSameSaleListed checks that a sale which a list and a webhook tell alike is
// booked once, in one go, whoever comes first.
func TestSameSaleListed(t *testing.T) {
	order := domain.SalesSold{
		Order: "1", Total: decimal.New(199, 0), Currency: "USD", Buyer: domain.Buyer{Person: "7"},
		Lines: []domain.SaleLine{{Item: "88", Amount: decimal.New(199, 0)}},
	}
	for name, log := range map[string][]domain.Event{
		"webhook alone": {order},
		"webhook first": {order, domain.SalesListed(order)},
		"list first":    {domain.SalesListed(order), order},
		"often":         {domain.SalesListed(order), domain.SalesListed(order), order, domain.SalesListed(order), order},
	} {
		m := projections.NewMemory(Projection())
		for i, e := range log {
			r, err := projectiontest.NewRecord(int64(i+1), "s", e)
			if err == nil {
				err = m.Fold(r)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := len(projectiontest.Rows(m, entries)); n != 2 {
			t.Errorf("%s: %d entries", name, n)
		}
		row := projectiontest.Rows(m, orders)[0]
		if row.Text("total") != "199" || row.Text("flags") != "" || row.Text("status") != statusOpen {
			t.Errorf("%s: %v", name, row)
		}
	}
}

// TestListedInAnotherCurrency checks that a sale is not taken for the one that was
// listed because its numbers are the same.
func TestListedInAnotherCurrency(t *testing.T) {
	sold := domain.SalesSold{Order: "1", Total: decimal.New(199, 0), Currency: "EUR"}
	listed := domain.SalesListed(sold)
	listed.Currency = "USD"
	_, gotBalances := shown(t, []domain.Event{listed, sold})
	_, wantBalances := shown(t, []domain.Event{sold})
	if diff := cmp.Diff(wantBalances, gotBalances); diff != "" {
		t.Errorf("balances (-webhook alone +list first):\n%s", diff)
	}
}
