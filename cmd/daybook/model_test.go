package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// A book is the model of the product: what five people with pencil and paper
// would write down if they read every delivery as the notes on the providers say.
// It is as slow and as plain as can be, shares no code with what it is compared
// with, and is the shortest description of what daybook does.
//
// Whatever depends on order takes the order of arrival; whatever must not is
// computed from the set of what was said.
type book struct {
	said []entry // what counts, in order of arrival
}

// An entry is one thing that a delivery said, and when it happened.
type entry struct {
	at    time.Time
	thing any // one of the types below
}

// Things that deliveries say.
type (
	// A level says how many credits of a line are left, and how many of them were
	// used just now.
	level struct {
		line, template, order string
		left, used            int
	}

	// A sale says that an order was placed.
	sale struct {
		order, currency string
		total           decimal.Decimal
		paid            bool // it says so
	}

	// A payment is money for an order, or back if it is a refund. One whose unit is
	// unsure is worth nothing until a person has looked.
	payment struct {
		order, transaction, currency string
		amount                       decimal.Decimal
		refund, failed, unsure       bool
	}

	// A posting is an entry of Tahdah's ledger.
	posting struct {
		order, currency string
		debit, credit   decimal.Decimal
	}

	// A membership says what a member of a trust group is now.
	membership struct {
		group, memberType, member, status string
		dated                             bool // the time is the provider's, not ours
	}

	// A lesson says that a person has to do with a course or a test.
	lesson struct {
		person, subjectType, subject string
		what                         string    // enrolled, progressed, completed; or the outcome of a test
		when                         time.Time // of a completion or test
	}

	// A badge says in which state one is by which clock, or that it was deleted. On
	// an employer's list it has the employer's ids of the person, and the list's time.
	badge struct {
		id, state, earner, user string
		clock, said             time.Time
		listed, deleted         bool
	}

	// A name says what something is called: by a fact about it or, in passing, by one
	// about something else. Gone says that it was removed.
	name struct {
		table, kind, id, name, email string
		inPassing, gone              bool
	}
)

// of returns what was said of one type, in order of arrival.
func of[T any](b *book) []T {
	var all []T
	for _, e := range b.said {
		if thing, ok := e.thing.(T); ok {
			all = append(all, thing)
		}
	}
	return all
}

// views returns the rows of every view, each as text, sorted, by the question.
func (b *book) views() map[string][]string {
	views := map[string][]string{
		"credits/balances: line template order remaining claimed difference consumed": b.credits(),
		"sales/orders: order currency total paid refunded outstanding":                b.sales(),
		"trustgroups/members: group member_type member status":                        b.members(),
		"certifications/status: person subject_type subject status completed_at":      b.certifications(),
		"directory/people: person_type person name email status":                      b.names("people"),
		"directory/items: item_type item name status":                                 b.names("items"),
		"directory/organizations: organization name":                                  b.names("organizations"),
		"directory/groups: group name":                                                b.names("groups"),
	}
	for _, rows := range views {
		slices.Sort(rows)
	}
	return views
}

// row joins cells as [edgeServer.rows] does.
func row(cells ...any) string {
	return strings.TrimSuffix(fmt.Sprintln(cells...), "\n")
}

// credits: what is left of a line is what Tahdah said last. The template and the
// order it named first stay. Every line of consumption is one credit used.
func (b *book) credits() (rows []string) {
	first, last, used := make(map[string]level), make(map[string]level), make(map[string]int)
	for _, l := range of[level](b) {
		if _, known := first[l.line]; !known {
			first[l.line] = l
		}
		if f := first[l.line]; f.order == "" {
			f.order = l.order
			first[l.line] = f
		}
		last[l.line] = l
		used[l.line] += l.used
	}
	for line, f := range first {
		left := last[line].left
		rows = append(rows, row(line, f.template, f.order, left, left, 0, used[line]))
	}
	return rows
}

// sales: an order is sold once, however often that is told, and a transaction
// counts once; of a charge the most that was refunded counts. Its currency is its sale's, and its first money's until then; money
// in other currencies is not added to it. A refund first gives back what was paid
// beyond the total, which is owed to the buyer; the rest of it is not owed again.
func (b *book) sales() (rows []string) {
	type amounts struct{ total, paid, refunded decimal.Decimal }
	type order struct {
		currency string
		sold     bool
		sale     sale
		saidPaid bool
		by       map[string]amounts
		seen     map[string]bool
		refunds  map[string]payment // the greatest told of each transaction
	}
	orders := make(map[string]*order)
	open := func(id string) *order {
		if orders[id] == nil {
			orders[id] = &order{by: make(map[string]amounts), seen: make(map[string]bool), refunds: make(map[string]payment)}
		}
		return orders[id]
	}
	add := func(o *order, currency string, sells bool, total, paid, refunded decimal.Decimal) {
		if o.currency == "" || sells && !o.sold {
			o.currency = currency
		}
		o.sold = o.sold || sells
		a := o.by[currency]
		o.by[currency] = amounts{a.total.Add(total), a.paid.Add(paid), a.refunded.Add(refunded)}
	}
	var none decimal.Decimal
	for _, e := range b.said {
		switch e := e.thing.(type) {
		case sale:
			o := open(e.order)
			if !o.sold {
				o.sale = e
				add(o, e.currency, true, e.total, none, none)
			}
			same := e.currency == o.sale.currency && e.total.Equal(o.sale.total)
			if e.paid && same && !o.saidPaid {
				o.saidPaid = true
				add(o, e.currency, true, none, e.total, none)
			}
		case payment:
			o := open(e.order)
			key := fmt.Sprint(e.transaction, " refund: ", e.refund)
			switch {
			case e.failed || e.unsure:
			case e.refund:
				last, again := o.refunds[e.transaction]
				if more := e.amount.Sub(last.amount); !again || last.currency == e.currency && more.IsPositive() {
					add(o, e.currency, false, none, none, more)
					o.refunds[e.transaction] = e
				}
			case o.seen[key]:
			default:
				add(o, e.currency, false, none, e.amount, none)
				o.seen[key] = true
			}
		case posting:
			sells := !e.debit.IsZero() || e.credit.IsZero()
			add(open(e.order), e.currency, sells, e.debit, e.credit, none)
		}
	}
	for id, o := range orders {
		a := o.by[o.currency]
		outstanding := a.total.Sub(a.paid)
		if beyond := decimal.Min(a.paid.Sub(a.total), a.refunded); beyond.IsPositive() {
			outstanding = outstanding.Add(beyond)
		}
		rows = append(rows, row(id, o.currency, a.total, a.paid, a.refunded, outstanding))
	}
	return rows
}

// members: what was said last by the provider's clock, or ours if it gave none.
// Of what was said for one moment, the provider's own time is worth more; then
// the word that gives less, for nobody is kept in by a contradiction; then the
// greater one.
func (b *book) members() (rows []string) {
	standing := func(status string) int {
		switch strings.ToLower(status) {
		case "removed", "suspended", "expired":
			return 2
		case "pending", "invited":
			return 0
		}
		return 1
	}
	type statement struct {
		at time.Time
		membership
	}
	last := make(map[string]statement)
	for _, e := range b.said {
		m, ok := e.thing.(membership)
		if !ok {
			continue
		}
		s, key := statement{e.at, m}, row(m.group, m.memberType, m.member)
		before, known := last[key]
		if !known || cmp.Or(
			s.at.Compare(before.at),
			cmp.Compare(fmt.Sprint(s.dated), fmt.Sprint(before.dated)),
			cmp.Compare(standing(s.status), standing(before.status)),
			cmp.Compare(s.status, before.status),
		) > 0 {
			last[key] = s
		}
	}
	for key, s := range last {
		rows = append(rows, row(key, s.status))
	}
	return rows
}
