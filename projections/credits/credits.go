// Package credits keeps, for every credit line, how many credits are left by
// our own books, and whether the provider agrees.
//
// # Double entry
//
// Every movement is two entries that add up to zero in the line's unit, its
// template: the account "available" and the account that says why.
//
//	opening      what was there when the line was first seen
//	top-up       credits that came without our knowing: the level rose
//	consumed     one credit used, as one consumption line says
//	unexplained  credits that went without a consumption line
//	granted      credits we gave (credits.granted)
//	adjusted     a person's correction (credits.adjusted)
//	transfer     from the place a grant waited in to the provider's line
//
// The available entries of a line add up to its remaining.
//
// # A report is a level
//
// What a report moves is the level less the level before it. Consumption lines
// are booked one by one, one credit each (no quantity is sent); what they do not
// explain is a top-up if positive and unexplained if negative. So what reports
// alone have moved is always the last level, and 14, 15, 14 ends at 14.
//
// # A report is a claim
//
// After every record the provider's last level is compared with our own sum. They
// part only by what we booked and the provider has not shown: a grant, an
// adjustment. What the next reports leave unexplained in the same direction is
// that, and is not booked twice; as long as it stays unseen, the claim differs
// by so much. A grant that is recorded after the provider showed it is recognised
// only if it was asked for before (below); otherwise the claim differs until a
// person adjusts it.
//
// A grant names an order and a template. Until the provider reports a line of
// that order and template, it waits on the line "order/ORDER/TEMPLATE". Grants
// and adjustments must be recorded under the source whose lines they are about.
//
// # A request is no grant
//
// What the provider was asked to grant is listed, and booked once it is granted.
// Until then, and as long as the outcome is unknown, a report that adds just so
// many credits to a line of the order and template, unexplained, makes it probable.
// That is a hint: the credits stand where they were booked, as a top-up or an
// opening. If the grant is confirmed afterwards they are moved from there to
// granted, and none are added a second time.
//
// # Whose credits
//
// No report says whom its credits belong to. The holder of an order is learnt
// from the grants on it, and from requests that may have been granted, whether
// they come before the reports or after them.
package credits

import (
	"net/url"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// StaleAfter is how long a claim that agrees is worth something without being
// repeated.
const StaleAfter = 30 * 24 * time.Hour

// Accounts.
const (
	available   = "available"
	opening     = "opening"
	topUp       = "top-up"
	consumed    = "consumed"
	unexplained = "unexplained"
	granted     = "granted"
	adjusted    = "adjusted"
	transfer    = "transfer"
)

// Claims.
const (
	agrees  = "agrees"  // the provider's level is our sum
	differs = "differs" // it is not, by the difference
	none    = "none"    // the provider never reported the line
	stale   = "stale"   // it agreed, longer than StaleAfter ago
)

// Flags.
const (
	templateChanged = "template-changed" // another template was named; the first stays the unit
	orderChanged    = "order-changed"    // another order was named; the first stays
	holderDiffers   = "holder-differs"   // another holder of the order was named; the first stays
)

// Projection returns the credits projection.
func Projection() *projections.Projection {
	return &projections.Projection{
		Name:    "credits",
		Version: 4,
		Tables:  []projections.Table{balances, orders, entries, grants, pending, holders},
		Kinds: domain.KindsOf(
			domain.CreditsReported{},
			domain.CreditsGranted{},
			domain.CreditsGrantRequested{},
			domain.CreditsGrantAnswered{},
			domain.CreditsAdjusted{},
		),
		Fold: fold,
		Totals: []projections.Total{
			{Table: balances, Column: "remaining", By: "template"},
			{Table: balances, Column: "consumed", By: "template"},
		},
		Views: []projections.View{
			projections.NewView("balances", "Event credit balances", balances,
				"source", "line", "template", "order", "remaining", "claimed",
				projections.Computed("claim", projections.TypeText, balance.claimAt),
				"reported_at", "difference", "consumed", "holder", "flags", "position"),
			projections.NewView("entries", "Event credit entries", entries,
				"position", "event", "source", "line", "template", "account", "quantity", "occurred_at", "order", "note"),
			projections.NewView("grants", "Event credit grants, asked for and made", grants,
				"source", "reference", "order", "template", "quantity", "holder", "status", "requested_at", "answered_at",
				"reason", "by", "unit_price", "currency", "expires_at", "position"),
		},
	}
}

// fold folds one record.
func fold(tx *projections.Tx, r *domain.Record) error {
	b := book{tx, r}
	switch e := r.Event.(type) {
	case domain.CreditsReported:
		b.report(e)
	case domain.CreditsGranted:
		b.grant(e)
	case domain.CreditsGrantRequested:
		b.request(e)
	case domain.CreditsGrantAnswered:
		b.answer(e)
	case domain.CreditsAdjusted:
		b.adjust(e)
	}
	return nil
}

// A book is what one record is booked in.
type book struct {
	tx     *projections.Tx
	record *domain.Record
}

// report books a level. What the level was before it is the provider's last
// claim, nothing at first.
func (b book) report(e domain.CreditsReported) {
	line := b.line(e.Line, e.Template)
	b.settle(&line, e.Order)
	unseen := line.unseen()
	why, before := topUp, decimal.Zero
	if line.claimed == nil {
		why = opening
	} else {
		before = *line.claimed
	}
	used := decimal.NewFromInt(int64(len(e.Consumed)))
	rest := without(e.Remaining.Sub(before).Add(used), unseen)
	if rest.IsPositive() {
		b.move(&line, why, rest, "")
	}
	for _, c := range e.Consumed {
		b.move(&line, consumed, decimal.NewFromInt(-1), string(c.Description))
	}
	if rest.IsNegative() {
		b.move(&line, unexplained, rest, "")
	}
	line.consumed = line.consumed.Add(used)
	line.claimed = &e.Remaining
	line.reportedAt = b.record.OccurredAt
	b.put(line)
	if rest.IsPositive() {
		b.shown(line, why, rest)
	}
}

// grant books credits that we gave. Those that a report has shown already are
// there; where they came from is known now.
func (b book) grant(e domain.CreditsGranted) {
	row := b.answered(e)
	if shown := row.shownLine; shown != "" {
		line := b.line(shown, e.Template)
		b.entry(line, row.shownAccount, e.Quantity, string(e.Reason))
		b.entry(line, granted, e.Quantity.Neg(), string(e.Reason))
		b.put(line)
	} else {
		b.add(e)
	}
	b.keep(row)
	b.learn(e.Order, e.Holder, true)
}

// add adds granted credits to the provider's line of the order and template if
// it is known, else to where they wait for it.
func (b book) add(e domain.CreditsGranted) {
	order, _ := orders.Get(b.tx, b.record.Source, e.Order, e.Template)
	if order.line == "" {
		order = orderRow{b.record.Source, e.Order, e.Template, waitingLine(e.Order, e.Template)}
		orders.Put(b.tx, order)
	}
	line := b.line(order.line, e.Template)
	if line.order == "" {
		line.order = e.Order
	}
	b.move(&line, granted, e.Quantity, string(e.Reason))
	b.put(line)
}

// adjust books a person's correction of one line.
func (b book) adjust(e domain.CreditsAdjusted) {
	line := b.line(e.Line, e.Template)
	b.move(&line, adjusted, e.Quantity, string(e.Reason))
	b.put(line)
}

// settle makes the line the one of the order and its template, and moves to it
// what has waited for it.
func (b book) settle(line *balance, order string) {
	switch {
	case order == "":
		return
	case line.order == "":
		line.order = order
	case line.order != order:
		line.flags = projections.AddFlags(line.flags, orderChanged)
		return
	}
	waiting := waitingLine(order, line.template)
	row, known := orders.Get(b.tx, b.record.Source, order, line.template)
	if known && row.line != waiting || line.line == waiting {
		return // it is another line's, or this one's already
	}
	from, ok := balances.Get(b.tx, b.record.Source, waiting)
	if from.claimed != nil {
		return // the provider itself has a line of that name
	}
	orders.Put(b.tx, orderRow{b.record.Source, order, line.template, line.line})
	if known && ok {
		held := from.remaining
		b.move(&from, transfer, held.Neg(), line.line)
		b.move(line, transfer, held, waiting)
		balances.Delete(b.tx, b.record.Source, waiting)
	}
}

// waitingLine names the place where grants wait for the provider's line. The
// parts are escaped: two places never have one name.
func waitingLine(order, template string) string {
	return "order/" + url.PathEscape(order) + "/" + url.PathEscape(template)
}

// line returns the row of a line as it is, or as it starts.
func (b book) line(line, template string) balance {
	row, ok := balances.Get(b.tx, b.record.Source, line)
	if !ok {
		row = balance{source: b.record.Source, line: line, template: template}
	}
	if row.template != template {
		row.flags = projections.AddFlags(row.flags, templateChanged)
	}
	return row
}

// move books a movement of the line: two entries that add up to zero.
func (b book) move(line *balance, account string, quantity decimal.Decimal, note string) {
	if quantity.IsZero() {
		return
	}
	b.entry(*line, available, quantity, note)
	b.entry(*line, account, quantity.Neg(), note)
	line.remaining = line.remaining.Add(quantity)
}

// entry books one side of a movement.
func (b book) entry(line balance, account string, quantity decimal.Decimal, note string) {
	entries.Append(b.tx, entry{line: line.line, template: line.template, order: line.order, account: account, quantity: quantity, note: note})
}

// put keeps the row of a line, with what the provider's claim says of it now.
func (b book) put(line balance) {
	b.attribute(&line)
	line.position = b.record.Position
	line.claim, line.difference = none, nil
	if line.claimed != nil {
		d := line.claimed.Sub(line.remaining)
		line.claim, line.difference = differs, &d
		if d.IsZero() {
			line.claim = agrees
		}
	}
	balances.Put(b.tx, line)
}

// unseen returns what is booked and not yet shown by the provider.
func (r balance) unseen() decimal.Decimal {
	if r.claimed == nil {
		return r.remaining
	}
	return r.remaining.Sub(*r.claimed)
}

// claimAt returns the claim as it is worth at the given moment; at the zero
// moment nothing is stale.
func (r balance) claimAt(at time.Time) projections.Cell {
	if r.claim == agrees && !at.IsZero() && r.reportedAt.Before(at.Add(-StaleAfter)) {
		return projections.Cell{Text: stale}
	}
	return projections.Cell{Text: r.claim}
}

// without returns rest less the part of it that unseen explains: both must have
// one sign, and no more is explained than there is.
func without(rest, unseen decimal.Decimal) decimal.Decimal {
	switch {
	case rest.Sign() != unseen.Sign():
		return rest
	case rest.Abs().LessThan(unseen.Abs()):
		return decimal.Zero
	}
	return rest.Sub(unseen)
}
