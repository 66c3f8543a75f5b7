package thinkific_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

func TestOrderTotal(t *testing.T) {
	for _, tt := range []struct{ currency, amounts, total, flags string }{
		{"USD", `"amount_cents":5000,"amount_dollars":50`, "50", ""},
		{"USD", `"amount_cents":5000,"amount_dollars":"50.0"`, "50", ""},
		{"USD", `"amount_cents":5000,"amount_dollars":50.005`, "50", "dollars-and-cents-disagree"},
		{"USD", `"amount_cents":5000`, "50", ""},
		{"USD", `"amount_cents":null,"amount_dollars":"49.99"`, "49.99", ""},
		{"USD", `"amount_cents":0,"amount_dollars":0`, "0", ""},
		{"JPY", `"amount_cents":5000,"amount_dollars":5000`, "5000", ""},
		{"JPY", `"amount_cents":5000,"amount_dollars":50`, "5000", "dollars-and-cents-disagree"},
		{"KWD", `"amount_cents":5000,"amount_dollars":5`, "5", ""},
		{"", `"amount_cents":5000,"amount_dollars":50`, "50", ""},
	} {
		t.Run(tt.currency+" "+tt.amounts, func(t *testing.T) {
			e, tr := translate[domain.SalesSold](t, provider(t, tt.currency), event("order.created", `{"id":1,`+tt.amounts+`}`))
			if e.Total.String() != tt.total || e.Currency != tt.currency || strings.Join(e.Flags, " ") != tt.flags {
				t.Errorf("%s %q, flags %q", e.Total, e.Currency, e.Flags)
			}
			if strings.Join(tr.Flags, " ") != tt.flags {
				t.Errorf("flags of the delivery: %q", tr.Flags)
			}
		})
	}
}

func TestOrderLines(t *testing.T) {
	for _, tt := range []struct{ members, lines, flags string }{
		{`"product_id":88,"product_name":"Entry"`, "88 Entry 50", ""},
		{`"product_id":null,"product_name":null`, "", ""},
		{`"product_id":88,"items":[]`, "", ""},
		{`"items":[{"product_id":88,"product_name":"Entry","amount_cents":3000},{"product_id":89,"amount_dollars":"20.0"}]`, "88 Entry 30; 89  20", ""},
		{`"items":[{"product_id":88,"amount_cents":3000,"amount_dollars":31}]`, "88  30", "dollars-and-cents-disagree"},
		{`"items":[{"product_id":88}]`, "88  0", "line-amount-missing"},
	} {
		t.Run(tt.members, func(t *testing.T) {
			e, _ := translate[domain.SalesSold](t, provider(t, "USD"), event("order.created", `{"id":1,"amount_cents":5000,`+tt.members+`}`))
			var lines []string
			for _, l := range e.Lines {
				lines = append(lines, fmt.Sprintf("%s %s %s", l.Item, l.Name, l.Amount))
			}
			if got := strings.Join(lines, "; "); got != tt.lines || strings.Join(e.Flags, " ") != tt.flags {
				t.Errorf("%q, flags %q", got, e.Flags)
			}
		})
	}
}

// TestUnit says when the unit of a transaction's amount is certain.
func TestUnit(t *testing.T) {
	for _, tt := range []struct{ topic, currency, members, amount, flags string }{
		{"succeeded", "usd", `"amount":5000`, "50", ""},
		{"succeeded", "jpy", `"amount":5000`, "5000", ""},
		{"succeeded", "kwd", `"amount":5000`, "5", "dollars-and-cents-disagree"}, // 5000 fils are not 50 dinars
		{"succeeded", "usd", `"amount":"1667"`, "16.67", ""},                     // an instalment: too much for dollars
		{"succeeded", "usd", `"amount":50`, "50", "unit-unknown"},                // all of it in dollars, or half of one
		{"succeeded", "usd", `"amount":25`, "25", "unit-unknown"},
		{"succeeded", "usd", `"amount":25.5`, "25.5", "unit-unknown"},
		{"succeeded", "usd", `"amount":6000`, "6000", "unit-unknown"}, // more than the order
		{"succeeded", "usd", `"amount":0`, "0", ""},
		{"succeeded", "tokens", `"amount":5000`, "5000", "unit-unknown"},
		{"succeeded", "", `"amount":5000`, "5000", "unit-unknown"},
		{"failed", "usd", `"amount":5000`, "50", ""},
		{"refunded", "usd", `"amount":5000,"refunded_amount":5000`, "50", ""},
		{"refunded", "usd", `"amount":5000,"refunded_amount":25`, "0.25", ""}, // the charge tells the unit
		{"refunded", "usd", `"amount":5000,"refunded_amount":null`, "50", ""},
		{"refunded", "usd", `"amount":null,"refunded_amount":2500`, "25", ""},
		{"refunded", "usd", `"amount":null,"refunded_amount":25`, "25", "unit-unknown"},
		{"refunded", "usd", `"amount":5000,"refunded_amount":6000`, "60", "refund-exceeds-charge"},
		{"refunded", "usd", `"amount":1667,"refunded_amount":25`, "0.25", ""}, // the instalment tells the unit
		{"refunded", "usd", `"amount":"1667","refunded_amount":"1667"`, "16.67", ""},
		{"refunded", "usd", `"amount":20,"refunded_amount":1000`, "10", "refund-exceeds-charge"},
		{"refunded", "usd", `"amount":5000,"refunded_amount":0`, "0", "refund-of-nothing"},
		{"refunded", "jpy", `"amount":1667,"refunded_amount":25`, "25", ""},
		{"succeeded", "usd", `"amount":"5000.0"`, "50", ""},
	} {
		t.Run(tt.topic+" "+tt.currency+" "+tt.members, func(t *testing.T) {
			tr, err := provider(t, "").Translate(event("order_transaction."+tt.topic, fmt.Sprintf(
				`{"id":1,"created_at":"2026-03-01T14:16:41.000Z","currency":%q,"order":{"id":2,"amount_cents":5000,"amount_dollars":%s},%s}`,
				tt.currency, dollars(tt.currency), tt.members)))
			if err != nil {
				t.Fatal(err)
			}
			p := payment(tr.Facts[0].Event)
			if p.Amount.String() != tt.amount || strings.Join(p.Flags, " ") != tt.flags || p.Currency != strings.ToUpper(tt.currency) {
				t.Errorf("%s %s, flags %q", p.Amount, p.Currency, p.Flags)
			}
		})
	}
}

func dollars(currency string) string {
	if currency == "jpy" {
		return "5000"
	}
	return "50"
}

func payment(e domain.Event) domain.Payment {
	switch e := e.(type) {
	case domain.SalesPaid:
		return e.Payment
	case domain.SalesPaymentFailed:
		return e.Payment
	case domain.SalesRefunded:
		return e.Payment
	}
	return domain.Payment{}
}

func TestRefundIsDatedByItself(t *testing.T) {
	e, tr := translate[domain.SalesRefunded](t, provider(t, ""), event("order_transaction.refunded",
		`{"id":1,"created_at":"2026-03-01T14:16:41.000Z","amount":5000,"currency":"usd","order":{"id":2,"amount_cents":5000}}`))
	if got := tr.Facts[0].OccurredAt.Format(time.RFC3339); got != "2026-03-15T09:00:00Z" {
		t.Errorf("occurred at %s", got)
	}
	if got := e.ChargedAt.Format(time.RFC3339); got != "2026-03-01T14:16:41Z" {
		t.Errorf("charged at %s", got)
	}
}

func TestSubscriptionStatus(t *testing.T) {
	for _, tt := range []struct{ topic, members, want string }{
		{"subscription.canceled", `,"status":"Canceled"`, "cancelled"},
		{"subscription.cancelled", ``, "cancelled"},
		{"subscription.canceled", ``, "cancelled"},
		{"subscription.cancelled", `,"status":"active"`, "active"}, // cancelled for later
		{"subscription.past_due", `,"status":null`, "past_due"},
		{"subscription.unpaid", `,"amount":"odd"`, "unpaid"},
	} {
		e, _ := translate[domain.SalesSubscriptionChanged](t, provider(t, ""), event(tt.topic, `{"id":1`+tt.members+`}`))
		if e.Status != tt.want {
			t.Errorf("%s %s: %q", tt.topic, tt.members, e.Status)
		}
	}
}
