package thinkific_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
	"github.com/daybook-ledger/daybook/projections/sales"
)

// ordersAfter folds what the requests say and returns the orders, one line each.
func ordersAfter(t *testing.T, currency string, requests ...domain.Request) string {
	t.Helper()
	p, m := provider(t, currency), projections.NewMemory(sales.Projection())
	for _, r := range requests {
		tr, err := p.Translate(r)
		if err != nil {
			t.Fatalf("%s: %v", r.Body, err)
		}
		for _, f := range tr.Facts {
			record, err := projectiontest.NewRecord(m.Position()+1, "s", f.Event)
			if err == nil {
				record.OccurredAt = f.OccurredAt
				err = m.Fold(record)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var lines []string
	for _, o := range projectiontest.Rows(m, sales.Projection().Tables[0]) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s paid %s refunded %s due %s %s %s", o.Text("order"), o.Text("total"), o.Text("currency"),
			o.Text("paid"), o.Text("refunded"), o.Text("outstanding"), o.Text("status"), o.Text("flags"))))
	}
	return strings.Join(lines, "\n")
}

// money returns a transaction of order 2.
func money(action string, id, amount, due any, currency, more string) domain.Request {
	return event("order_transaction."+action, fmt.Sprintf(`{"id":%v,"created_at":"2026-03-01T14:16:41.000Z","amount":%v,"currency":%q,"order":{"id":2,"amount_cents":%v}%s}`,
		id, amount, currency, due, more))
}

// TestMoney plays the money of one order, as several deliveries tell it.
func TestMoney(t *testing.T) {
	order := func(cents, dollars string) domain.Request {
		return event("order.created", fmt.Sprintf(`{"id":2,"amount_cents":%s,"amount_dollars":%s,"status":"Complete"}`, cents, dollars))
	}
	plan := []domain.Request{
		money("succeeded", 11, 6634, 19900, "usd", ""), money("succeeded", 12, 6633, 19900, "usd", ""), money("succeeded", 13, 6633, 19900, "usd", ""),
	}
	listed := row("orders", "2", `{"id":2,"amount_cents":19900,"amount_dollars":"199.0","subscription":false,"status":"complete","created at":"2026-03-01T14:16:40.400Z"}`)
	for _, tt := range []struct {
		name     string
		currency string
		told     []domain.Request
		want     string
	}{
		{"a plan of three instalments", "USD", append([]domain.Request{order("19900", "199")}, plan...), "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"a plan, told backwards", "USD", append(plan[:3:3], order("19900", "199")), "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"a plan that has begun", "USD", []domain.Request{order("19900", "199"), plan[0]}, "2 199 USD paid 66.34 refunded 0 due 132.66 part-paid"},
		{"a plan, and each delivery twice", "USD", append(append([]domain.Request{order("19900", "199")}, plan...), plan...), "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"a plan, and the list before it", "USD", append([]domain.Request{listed, order("19900", "199")}, plan...), "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"a plan, and the list after it", "USD", append(append([]domain.Request{order("19900", "199")}, plan...), listed), "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"a plan that the list alone knows", "USD", append(plan[:3:3], listed), "2 199 USD paid 199 refunded 0 due 0 paid listed"},
		{
			"refunded in two steps", "USD",
			[]domain.Request{
				order("19900", "199"), money("succeeded", 11, 19900, 19900, "usd", ""),
				money("refunded", 11, 19900, 19900, "usd", `,"refunded":false,"refunded_amount":2500`),
				money("refunded", 11, 19900, 19900, "usd", `,"refunded":true,"refunded_amount":19900`),
			},
			"2 199 USD paid 199 refunded 199 due 0 refunded refund-raised",
		},
		{
			"two instalments refunded, one in part", "USD",
			append(
				append([]domain.Request{order("19900", "199")}, plan...),
				money("refunded", 11, 6634, 19900, "usd", `,"refunded_amount":100`), money("refunded", 12, 6633, 19900, "usd", `,"refunded":true`),
			),
			"2 199 USD paid 199 refunded 67.33 due 0 part-refunded",
		},
		{"without decimals", "JPY", []domain.Request{order("19900", "19900"), money("succeeded", 11, 19900, 19900, "jpy", "")}, "2 19900 JPY paid 19900 refunded 0 due 0 paid"},
		{
			"without decimals, and dollars that are a hundredth", "JPY",
			[]domain.Request{order("19900", "199.0"), money("succeeded", 11, 19900, 19900, "jpy", "")},
			"2 19900 JPY paid 19900 refunded 0 due 0 paid dollars-and-cents-disagree",
		},
		{"as text", "usd", []domain.Request{order(`"19900"`, `"199.0"`), money("succeeded", `"11"`, `"19900"`, `"19900"`, "USD", "")}, "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"in a currency that nobody configured", "", []domain.Request{order("19900", "199")}, "2 199 unknown paid 0 refunded 0 due 199 open currency-unknown"},
		{
			"in another currency than configured", "USD",
			[]domain.Request{order("19900", "199"), money("succeeded", 11, 19900, 19900, "cad", "")},
			"2 199 USD paid 0 refunded 0 due 199 open currency-differs",
		},
		{"failed, then paid", "USD", []domain.Request{order("19900", "199"), money("failed", 10, 19900, 19900, "usd", ""), money("succeeded", 11, 19900, 19900, "usd", "")}, "2 199 USD paid 199 refunded 0 due 0 paid"},
		{"free", "USD", []domain.Request{order("0", "0.0")}, "2 0 USD paid 0 refunded 0 due 0 free"},
		{"too many digits to count", "USD", []domain.Request{order("1990000000000000000", "19900000000000000.0")}, "2 19900000000000000 USD paid 0 refunded 0 due 19900000000000000 open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ordersAfter(t, tt.currency, tt.told...); got != tt.want {
				t.Errorf(" got %s\nwant %s", got, tt.want)
			}
		})
	}
}
