package credits

import (
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
		projectiontest.Law("entries of a template add up to zero", entriesBalance),
		projectiontest.Law("available entries add up to remaining", availableIsRemaining),
		projectiontest.Law("a claim says what the numbers say", claimsAreTrue),
		projectiontest.Law("what was granted is booked, and nothing else", grantedIsBooked),
		projectiontest.Law("what may be shown is what is open", pendingIsOpen),
		projectiontest.Law("a line has the holder of its order", holdersAreShown),
		projectiontest.Law("reports alone never part from the claim", reportsAgree),
	)
}

// events draws events about few lines and orders, so that they meet.
var events = rapid.Custom(func(t *rapid.T) domain.Event {
	order := rapid.SampledFrom([]string{"", "o1", "o1", "o2"}).Draw(t, "order")
	template := rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "template")
	line := rapid.SampledFrom([]string{"1", "2", "3", "order/o1/a"}).Draw(t, "line")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1:
		return drawGrant(t, order, template)
	case 2:
		q := whole(t, 1, 9)
		if rapid.Bool().Draw(t, "negative") {
			q = q.Neg()
		}
		return domain.CreditsAdjusted{Line: line, Template: template, Quantity: q, Reason: "count", By: "op"}
	}
	return domain.CreditsReported{
		Line: line, Template: template, Order: order, Remaining: whole(t, 0, 20),
		Consumed: make([]domain.Consumption, rapid.IntRange(0, 3).Draw(t, "consumed")),
	}
})

func whole(t *rapid.T, from, to int64) decimal.Decimal {
	return decimal.NewFromInt(rapid.Int64Range(from, to).Draw(t, "quantity"))
}

func entriesBalance(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	sum := projectiontest.Sum{}
	for _, e := range projectiontest.Rows(m, entries) {
		sum.Add(e.Text("template"), e.Decimal("quantity"))
	}
	for template, s := range sum {
		if !s.IsZero() {
			t.Errorf("template %s: entries add up to %s", template, s)
		}
	}
}

func availableIsRemaining(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	left, used := projectiontest.Sum{}, projectiontest.Sum{}
	for _, e := range projectiontest.Rows(m, entries) {
		key := e.Text("source") + " " + e.Text("line")
		switch e.Text("account") {
		case available:
			left.Add(key, e.Decimal("quantity"))
		case consumed:
			used.Add(key, e.Decimal("quantity"))
		}
	}
	for _, b := range projectiontest.Rows(m, balances) {
		key := b.Text("source") + " " + b.Text("line")
		if !left[key].Equal(b.Decimal("remaining")) {
			t.Errorf("line %s: available entries add up to %s, remaining is %s", key, left[key], b.Decimal("remaining"))
		}
		if !used[key].Equal(b.Decimal("consumed")) {
			t.Errorf("line %s: consumed entries add up to %s, consumed is %s", key, used[key], b.Decimal("consumed"))
		}
		delete(left, key)
	}
	for key, s := range left {
		if !s.IsZero() {
			t.Errorf("line %s is gone and has %s left", key, s)
		}
	}
}

func claimsAreTrue(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	for _, b := range projectiontest.Rows(m, balances) {
		want := none
		if !b["claimed"].Null {
			want = differs
			if b.Decimal("claimed").Equal(b.Decimal("remaining")) {
				want = agrees
			}
			if d := b.Decimal("claimed").Sub(b.Decimal("remaining")); !d.Equal(b.Decimal("difference")) {
				t.Errorf("line %s: difference %s, want %s", b.Text("line"), b.Decimal("difference"), d)
			}
		}
		if b.Text("claim") != want {
			t.Errorf("line %s: claim %s, want %s", b.Text("line"), b.Text("claim"), want)
		}
	}
}

func reportsAgree(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	helped := map[string]bool{}
	for _, e := range projectiontest.Rows(m, entries) {
		switch e.Text("account") {
		case granted, adjusted, transfer:
			helped[e.Text("source")+" "+e.Text("line")] = true
		}
	}
	for _, b := range projectiontest.Rows(m, balances) {
		if !helped[b.Text("source")+" "+b.Text("line")] && b.Text("claim") != agrees {
			t.Errorf("line %s: claimed %s, remaining %s", b.Text("line"), b.Text("claimed"), b.Text("remaining"))
		}
	}
}

// TestGrantCountsOnce checks that a grant is booked once however the provider
// shows it: before or after the line is known, at once or in parts, with
// credits used meanwhile.
func TestGrantCountsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
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
		level := 0
		report := func() {
			used := rapid.IntRange(0, min(3, level)).Draw(t, "used")
			level -= used
			fold(domain.CreditsReported{
				Line: "1", Template: "a", Order: "o", Remaining: decimal.NewFromInt(int64(level)),
				Consumed: make([]domain.Consumption, used),
			})
		}
		if rapid.Bool().Draw(t, "line is known") {
			level = rapid.IntRange(0, 20).Draw(t, "level")
			report()
		}
		pending := 0
		for range rapid.IntRange(1, 5).Draw(t, "grants") {
			q := rapid.IntRange(1, 9).Draw(t, "quantity")
			fold(domain.CreditsGranted{Order: "o", Template: "a", Quantity: decimal.NewFromInt(int64(q)), By: "op"})
			pending += q
			shown := rapid.IntRange(0, pending).Draw(t, "shown")
			pending, level = pending-shown, level+shown
			if shown > 0 {
				report()
			}
		}
		level += pending
		report()
		for _, e := range projectiontest.Rows(m, entries) {
			if a := e.Text("account"); a == topUp || a == unexplained {
				t.Errorf("booked %s on %s", e.Text("quantity"), a)
			}
		}
		for _, b := range projectiontest.Rows(m, balances) {
			if b.Text("claim") != agrees {
				t.Errorf("line %s: claimed %s, remaining %s", b.Text("line"), b.Text("claimed"), b.Text("remaining"))
			}
		}
	})
}

// TestWithout checks that only what is unseen in the same direction explains
// the rest of a report, and never more than there is.
func TestWithout(t *testing.T) {
	for _, c := range []struct{ rest, unseen, want int64 }{
		{5, 2, 3},
		{2, 5, 0},
		{5, -2, 5},
		{-3, -1, -2},
		{-1, -3, 0},
		{-3, 1, -3},
		{0, 4, 0},
		{4, 0, 4},
	} {
		got := without(decimal.NewFromInt(c.rest), decimal.NewFromInt(c.unseen))
		if !got.Equal(decimal.NewFromInt(c.want)) {
			t.Errorf("without(%d, %d) = %s, want %d", c.rest, c.unseen, got, c.want)
		}
	}
}
