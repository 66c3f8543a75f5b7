package credits

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// drawGrant draws a grant, a request for one, or an answer to a request, about
// few references.
func drawGrant(t *rapid.T, order, template string) domain.Event {
	if order == "" {
		order = "o3"
	}
	reference := rapid.SampledFrom([]string{"r1", "r1", "r2, or", ""}).Draw(t, "reference")
	grant := domain.CreditsGranted{
		Order: order, Template: template, Quantity: whole(t, 1, 4), Reference: reference, By: "op",
		Holder: rapid.SampledFrom([]string{"h1", "h1", "h2", ""}).Draw(t, "holder"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "of a grant") {
	case 0, 1:
		if reference != "" && grant.Holder != "" {
			return domain.CreditsGrantRequested{CreditsGranted: grant, Key: "k"}
		}
	case 2:
		if reference != "" {
			outcome := rapid.SampledFrom([]string{domain.GrantRefused, domain.GrantUnknown}).Draw(t, "outcome")
			return domain.CreditsGrantAnswered{Reference: reference, Outcome: outcome, Reason: "because"}
		}
	}
	return grant
}

// grantedIsBooked wants the account granted to hold what was granted, and
// nothing that was only asked for.
func grantedIsBooked(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	want, got := projectiontest.Sum{}, projectiontest.Sum{}
	for _, g := range projectiontest.Rows(m, grants) {
		if g.Text("status") == granted {
			want.Add(g.Text("source"), g.Decimal("quantity").Neg())
		}
	}
	for _, e := range projectiontest.Rows(m, entries) {
		if e.Text("account") == granted {
			got.Add(e.Text("source"), e.Decimal("quantity"))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("granted (-grants +entries):\n%s", diff)
	}
}

// pendingIsOpen wants the grants that a report may show to be those that are
// open.
func pendingIsOpen(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	var want, got []string
	for _, g := range projectiontest.Rows(m, grants) {
		switch g.Text("status") {
		case grantRequested, grantUnknown:
			want = append(want, fmt.Sprintf("%q %q %q %q", g.Text("source"), g.Text("order"), g.Text("template"), g.Text("reference")))
		}
	}
	for _, p := range projectiontest.Rows(m, pending) {
		for _, reference := range split(p.Text("references")) {
			got = append(got, fmt.Sprintf("%q %q %q %q", p.Text("source"), p.Text("order"), p.Text("template"), reference))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("open (-grants +pending):\n%s", diff)
	}
}

// holdersAreShown wants every line to have the holder of its order.
func holdersAreShown(t rapid.TB, _ *domain.Record, m *projections.Memory) {
	known := map[string]string{}
	for _, h := range projectiontest.Rows(m, holders) {
		known[h.Text("source")+" "+h.Text("order")] = h.Text("holder")
	}
	for _, b := range projectiontest.Rows(m, balances) {
		if want := known[b.Text("source")+" "+b.Text("order")]; b.Text("order") != "" && b.Text("holder") != want {
			t.Errorf("line %s: holder %q, want %q", b.Text("line"), b.Text("holder"), want)
		}
	}
}

// A ledger folds events one after the other.
type ledger struct {
	t *rapid.T
	*projections.Memory
}

func newLedger(t *rapid.T) ledger { return ledger{t, projections.NewMemory(Projection())} }

func (l ledger) fold(e domain.Event) {
	r, err := projectiontest.NewRecord(l.Position()+1, "s", e)
	if err == nil {
		err = l.Fold(r)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// level reports a level of the only line.
func (l ledger) level(n int64) {
	l.fold(domain.CreditsReported{Line: "1", Template: "a", Order: "o", Remaining: decimal.NewFromInt(n)})
}

// TestRequestedGrantCountsOnce asks a provider that grants once and answers as it
// likes, or shows the grant before it answers. Whatever happens: the credits are
// there once, they are granted if it said so and else not, and a refusal alone
// is not taken for the end of a call that went unanswered.
func TestRequestedGrantCountsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t)
		grant := domain.CreditsGranted{Order: "o", Template: "a", Quantity: decimal.NewFromInt(5), Holder: "h", Reference: "r", By: "op"}
		level, made, said, lost := int64(0), false, false, false
		if rapid.Bool().Draw(t, "line is known") {
			level = 7
			l.level(level)
		}
		for range rapid.IntRange(1, 6).Draw(t, "calls") {
			l.fold(domain.CreditsGrantRequested{CreditsGranted: grant, Key: "k"})
			refuses := rapid.Bool().Draw(t, "refuses")
			first := !refuses && !made
			if first {
				made, level = true, level+5
			}
			if rapid.Bool().Draw(t, "shows it first") {
				l.level(level)
			}
			switch {
			case rapid.Bool().Draw(t, "no answer"):
				lost = true
			case first:
				said = true
				l.fold(grant)
			case refuses:
				l.fold(domain.CreditsGrantAnswered{Reference: "r", Outcome: domain.GrantRefused, Status: 400, Reason: "no"})
			default:
				l.fold(domain.CreditsGrantAnswered{Reference: "r", Outcome: domain.GrantUnknown, Status: 409, Reason: "key used"})
			}
			if said {
				break
			}
		}
		l.level(level)

		row := projectiontest.Rows(l.Memory, grants)[0]
		switch status := row.Text("status"); {
		case said != (status == granted):
			t.Errorf("status %s, granted %v", status, said)
		case status == grantRefused && (made || lost):
			t.Errorf("refused, although it was made (%v) or a call has no answer (%v)", made, lost)
		}
		balance := projectiontest.Rows(l.Memory, balances)
		if len(balance) != 1 || !balance[0].Decimal("remaining").Equal(decimal.NewFromInt(level)) || balance[0].Text("claim") != agrees {
			t.Errorf("balances %v, want %d", balance, level)
		}
	})
}

// TestRefusedGrantWasNotShown asks for a grant, is shown just so many credits more,
// and is refused: they were somebody else's, so that the grant that is made at last
// adds its own.
func TestRefusedGrantWasNotShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t)
		grant := domain.CreditsGranted{Order: "o", Template: "a", Quantity: decimal.NewFromInt(5), Holder: "h", Reference: "r", By: "op"}
		asked := domain.CreditsGrantRequested{CreditsGranted: grant, Key: "k"}
		l.level(7)
		for range rapid.IntRange(1, 2).Draw(t, "refusals") {
			l.fold(asked)
			l.level(12)
			l.fold(domain.CreditsGrantAnswered{Reference: "r", Outcome: domain.GrantRefused, Status: 404, Reason: "no"})
		}
		l.fold(asked)
		l.fold(grant)
		row := projectiontest.Rows(l.Memory, balances)[0]
		if row.Text("remaining") != "17" || row.Text("claim") != differs {
			t.Errorf("remaining %s, claim %s: want 17, not yet shown", row.Text("remaining"), row.Text("claim"))
		}
	})
}

// TestHolderInAnyOrder checks that the holder of an order does not depend on
// whether the grant or the reports come first.
func TestHolderInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.Permutation([]domain.Event{
			domain.CreditsReported{Line: "1", Template: "a", Order: "o", Remaining: decimal.NewFromInt(3)},
			domain.CreditsReported{Line: "2", Template: "b", Order: "o", Remaining: decimal.NewFromInt(4)},
			domain.CreditsReported{Line: "3", Template: "a", Order: "other", Remaining: decimal.NewFromInt(4)},
			domain.CreditsGranted{Order: "o", Template: "a", Quantity: decimal.NewFromInt(5), Holder: "h", By: "op"},
			domain.CreditsGrantRequested{Key: "k", CreditsGranted: domain.CreditsGranted{
				Order: "other", Template: "a", Quantity: decimal.NewFromInt(5), Holder: "refused", Reference: "r", By: "op",
			}},
		}).Draw(t, "events")
		l := newLedger(t)
		for _, e := range events {
			l.fold(e)
		}
		l.fold(domain.CreditsGrantAnswered{Reference: "r", Outcome: domain.GrantRefused, Status: 404, Reason: "no such legal entity"})
		got := map[string]string{}
		for _, b := range projectiontest.Rows(l.Memory, balances) {
			got[b.Text("line")] = b.Text("holder")
		}
		if diff := cmp.Diff(map[string]string{"1": "h", "2": "h", "3": ""}, got); diff != "" {
			t.Errorf("holders (-want +got):\n%s", diff)
		}
	})
}

// TestJoin checks that any texts come back from one text.
func TestJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.StringN(1, 10, -1), 1, 5).Draw(t, "list")
		if got := split(join(list)); !slices.Equal(got, list) {
			t.Errorf("%q comes back as %q", list, got)
		}
	})
}

// TestFirstHolderStays checks that of two holders who were only asked for the first
// stays, and that a grant is worth more than either.
func TestFirstHolderStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t)
		l.level(7)
		for i, holder := range []string{"first", "second"} {
			reference := strconv.Itoa(i)
			l.fold(domain.CreditsGrantRequested{Key: "k", CreditsGranted: domain.CreditsGranted{
				Order: "o", Template: "a", Quantity: decimal.NewFromInt(5), Holder: holder, Reference: reference, By: "op",
			}})
			l.fold(domain.CreditsGrantAnswered{Reference: reference, Outcome: domain.GrantUnknown, Reason: "lost"})
		}
		want := "first"
		if rapid.Bool().Draw(t, "granted") {
			want = "sure"
			l.fold(domain.CreditsGranted{Order: "o", Template: "a", Quantity: decimal.NewFromInt(5), Holder: want, By: "op"})
		}
		row := projectiontest.Rows(l.Memory, balances)[0]
		if row.Text("holder") != want || row.Text("flags") != holderDiffers {
			t.Errorf("holder %s, flags %q, want %s and %s", row.Text("holder"), row.Text("flags"), want, holderDiffers)
		}
	})
}

// TestLinesAreNotedOnce reports the lines of an order again and again: its holder's
// row lists each once, and what it holds does not grow.
func TestLinesAreNotedOnce(t *testing.T) {
	m := projections.NewMemory(Projection())
	for i := range int64(12) {
		line := strconv.FormatInt(i%3, 10)
		r, err := projectiontest.NewRecord(i+1, "s", domain.CreditsReported{Line: line, Template: "a", Order: "o", Remaining: decimal.NewFromInt(i)})
		if err == nil {
			err = m.Fold(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := projectiontest.Rows(m, holders)
	if len(rows) != 1 || rows[0].Text("lines") != "0,1,2" {
		t.Errorf("holders %v, want one row with the lines 0,1,2", rows)
	}
}
