package credits

import (
	"net/url"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// Statuses of a grant.
const (
	grantRequested = "requested"        // the provider was asked; no answer is recorded
	grantRefused   = "refused"          // it said no to every call
	grantUnknown   = "unknown"          // it may have been granted
	grantProbable  = "probably-granted" // and a report shows just so many credits more
	// and granted, which is also the account
)

// request notes that the provider is about to be asked for a grant. A call that
// is made while an earlier one has no answer leaves the outcome unknown whatever
// the provider says to it, short of the grant itself.
func (b book) request(e domain.CreditsGrantRequested) {
	row, ok := grants.Get(b.tx, b.record.Source, e.Reference, "")
	switch {
	case !ok:
		row = b.newGrant(e.CreditsGranted)
		row.requestedAt, row.outcome = b.record.OccurredAt, grantRequested
	case row.outcome == granted:
		return
	case row.outcome == grantRefused:
		row.outcome = grantRequested
	default:
		row.outcome = grantUnknown
	}
	b.keep(row)
}

// answer notes how a call ended that did not end with the grant. That this one
// was refused says nothing about an earlier one whose outcome is unknown.
func (b book) answer(e domain.CreditsGrantAnswered) {
	row, ok := grants.Get(b.tx, b.record.Source, e.Reference, "")
	if !ok || row.outcome == granted {
		return
	}
	if e.Outcome == domain.GrantUnknown || row.outcome != grantUnknown {
		row.outcome = e.Outcome
	}
	row.answeredAt, row.reason = b.record.OccurredAt, e.Reason
	if row.outcome == grantRefused {
		row.shownLine, row.shownAccount = "", "" // what came then came from elsewhere
	}
	b.keep(row)
	if row.outcome == grantUnknown {
		b.learn(row.order, row.holder, false)
	}
}

// answered returns the grant that e makes: the one that was asked for, if there
// is one, else one of its own.
func (b book) answered(e domain.CreditsGranted) grantRow {
	row, ok := grants.Get(b.tx, b.record.Source, e.Reference, "")
	if e.Reference == "" || !ok || row.outcome == granted ||
		row.order != e.Order || row.template != e.Template || !row.quantity.Equal(e.Quantity) {
		row = b.newGrant(e)
		row.event = b.record.ID.String()
	}
	row.outcome, row.reason, row.by = granted, string(e.Reason), e.By
	row.answeredAt = b.record.OccurredAt
	return row
}

// newGrant returns the row of a grant of which nothing is known yet.
func (b book) newGrant(e domain.CreditsGranted) grantRow {
	row := grantRow{
		source: b.record.Source, reference: e.Reference, order: e.Order, template: e.Template,
		quantity: e.Quantity, holder: e.Holder, currency: e.Currency, expiresAt: e.ExpiresAt, by: e.By,
	}
	if e.Currency != "" {
		row.unitPrice = &e.UnitPrice
	}
	return row
}

// keep keeps the row of a grant, and whether it waits to be shown.
func (b book) keep(row grantRow) {
	row.position = b.record.Position
	row.status = row.outcome
	open := row.outcome == grantRequested || row.outcome == grantUnknown
	if open && row.shownLine != "" {
		row.status, open = grantProbable, false
	}
	grants.Put(b.tx, row)
	if row.event == "" {
		b.await(row, open)
	}
}

// await adds a grant to those of its order and template that a report may show,
// or takes it away.
func (b book) await(row grantRow, open bool) {
	p, ok := pending.Get(b.tx, row.source, row.order, row.template)
	list := split(p.references)
	i := slices.Index(list, row.reference)
	switch {
	case open == (i >= 0):
		return
	case open:
		list = append(list, row.reference)
	default:
		list = slices.Delete(list, i, i+1)
	}
	switch {
	case len(list) > 0:
		pending.Put(b.tx, pendingRow{row.source, row.order, row.template, join(list)})
	case ok:
		pending.Delete(b.tx, row.source, row.order, row.template)
	}
}

// shown looks for a grant that the provider has not confirmed and that is just
// what a report adds to the line, unexplained. It is a hint and moves nothing:
// the credits are booked on the account that they came from as far as we knew.
func (b book) shown(line balance, account string, added decimal.Decimal) {
	if line.order == "" {
		return
	}
	p, _ := pending.Get(b.tx, b.record.Source, line.order, line.template)
	for _, reference := range split(p.references) {
		row, ok := grants.Get(b.tx, b.record.Source, reference, "")
		if ok && row.quantity.Equal(added) {
			row.shownLine, row.shownAccount = line.line, account
			b.keep(row)
			b.learn(row.order, row.holder, false)
			return
		}
	}
}

// learn notes whose an order is. What a grant says, which is sure, counts more
// than what was only asked for; of two that are worth the same the first stays.
func (b book) learn(order, holder string, sure bool) {
	if holder == "" {
		return
	}
	row, ok := holders.Get(b.tx, b.record.Source, order)
	before := row
	switch {
	case !ok:
		row = holderRow{source: b.record.Source, order: order, holder: holder, sure: sure}
	case row.holder == "" || sure && !row.sure:
		row.holder, row.sure = holder, sure
	case row.holder != holder && (sure || !row.sure):
		row.differs = true
	}
	if ok && row == before {
		return
	}
	holders.Put(b.tx, row)
	for _, name := range split(row.lines) {
		// A place where grants waited is gone, and its name may be another line's.
		if line, ok := balances.Get(b.tx, b.record.Source, name); ok && line.order == order {
			line.take(row)
			line.position = b.record.Position
			balances.Put(b.tx, line)
		}
	}
}

// attribute says on the line whose it is, and remembers it for when somebody else
// is named.
func (b book) attribute(line *balance) {
	if line.order == "" {
		return
	}
	row, ok := holders.Get(b.tx, b.record.Source, line.order)
	if !ok {
		row = holderRow{source: b.record.Source, order: line.order}
	}
	if !line.noted {
		row.lines = with(row.lines, line.line)
		holders.Put(b.tx, row)
		line.noted = true
	}
	line.take(row)
}

// take takes over what is known of the holder of the line's order.
func (r *balance) take(h holderRow) {
	r.holder = h.holder
	if h.differs {
		r.flags = projections.AddFlags(r.flags, holderDiffers)
	}
}

// join returns texts as one; split is its inverse.
func join(list []string) (joined string) {
	for _, s := range list {
		joined = with(joined, s)
	}
	return joined
}

// with returns joined with one more text behind, whatever it has already: an order
// may have thousands of lines, and none of them is looked at for the next.
func with(joined, text string) string {
	escaped := url.PathEscape(text) // which escapes commas
	if joined == "" {
		return escaped
	}
	return joined + "," + escaped
}

func split(joined string) []string {
	if joined == "" {
		return nil
	}
	list := strings.Split(joined, ",")
	for i, s := range list {
		if plain, err := url.PathUnescape(s); err == nil { // it is what join wrote
			list[i] = plain
		}
	}
	return list
}
