package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// thinkificCurrency is what the orders of the modelled shop are in.
const thinkificCurrency = "USD"

// thinkific draws a delivery of Thinkific's.
func (p pen) thinkific() letter {
	topic := p.topic("thinkific topic",
		"enrollment.created", "enrollment.progress", "enrollment.completed", "enrollment.trial",
		"order.created", "order.created", "order_transaction.succeeded", "order_transaction.succeeded",
		"order_transaction.refunded", "order_transaction.refunded", "order_transaction.failed",
		"subscription.canceled", "subscription.past_due", "subscription.unpaid",
		"user.signup", "user.signin", "user.updated", "user.deleted", "lead.created", "lesson.completed", "quiz.attempted",
		"course.created", "course.updated", "course.deleted", "product.created", "product.updated", "product.deleted",
		"app.uninstalled", "plan.updated", "certificate.issued",
	)
	l := letter{provider: "thinkific", topic: topic, status: domain.Accepted, records: 1}
	resource, action, _ := strings.Cut(topic, ".")
	envelope := object{"resource": resource, "action": action, "tenant_id": "48190"}
	if !p.seldom("no id", 8) {
		l.identity = "event " + p.pick("event id", "01KKA1B2C3D4E5F6G7H8J9K0M", "202603010917560206651") + fmt.Sprint(p.number("of events", 10, 30))
		envelope["id"] = p.id(strings.TrimPrefix(l.identity, "event "))
	}
	if !p.seldom("no created_at", 8) {
		l.at = p.moment("created_at")
		envelope["created_at"] = p.write(l.at)
	}
	payload, spoilt := p.thinkificPayload(&l, resource, action)
	envelope["payload"] = payload
	if payload != nil {
		p.odd(payload, "unimportant")
	}
	if !spoilt && resource != "app" && resource != "plan" && resource != "certificate" {
		if spoilt = p.broken(40, envelope, "payload"); spoilt {
			l.test = false // the mark went with it
		}
	}
	header := http.Header{"X-Thinkific-Topic": {p.pick("header topic", topic, topic, "user.signup", "")}}
	l.request = signed("thinkific", header, p.body(envelope))
	switch {
	case spoilt && !l.test:
		return l.quarantined()
	case spoilt, l.things == nil && l.records == 0:
		return l.unrecognized()
	}
	return l
}

// thinkificPayload draws the payload of a topic, says in l what it says, and
// reports whether it was spoilt.
func (p pen) thinkificPayload(l *letter, resource, action string) (payload object, spoilt bool) {
	switch resource {
	case "enrollment", "lesson":
		return p.thinkificEnrolment(l, resource, action)
	case "order":
		return p.thinkificOrder(l)
	case "order_transaction":
		return p.thinkificTransaction(l, action)
	case "user", "lead":
		return p.thinkificUser(l, resource, action)
	case "course", "product":
		return p.thinkificItem(l, resource, action)
	case "quiz":
		who := p.somebody()
		user := p.thinkificSomebody(l, who)
		quiz := object{"id": p.id("77"), "name": "Quiz"}
		l.things = []any{who.mention()}
		return object{"user": user, "quiz": quiz, "grade": p.number("grade", 0, 100)}, p.broken(12, user, "id", quiz, "id")
	case "subscription":
		payload = object{"id": p.id("6021"), "status": action, "amount": "9374"}
		return payload, p.broken(12, payload, "id")
	}
	l.records = 0 // nothing in it is kept
	return object{"id": 1}, false
}

// thinkificSomebody writes a user, sometimes of a test.
func (p pen) thinkificSomebody(l *letter, s somebody) object {
	o := object{"id": p.id(s.id), "first_name": s.first, "last_name": s.last, "email": s.email}
	if p.seldom("test", 12) {
		o["first_name"], l.test = "[TEST] "+s.first, true
	}
	return o
}

// thinkificEnrolment: only enrollment.completed completes, whatever percentage is
// reported, and a trial certifies nothing.
func (p pen) thinkificEnrolment(l *letter, resource, action string) (object, bool) {
	who, course := p.somebody(), p.pick("course", "88", "89")
	user, nested := p.thinkificSomebody(l, who), object{"id": p.id(course), "name": p.pick("course is called", "Rope", "Rescue")}
	payload := object{"id": 97472, "user": user, "course": nested}
	does := lesson{person: who.id, subjectType: "course", subject: course}
	members := []any{user, "id", nested, "id"}
	if resource == "enrollment" {
		payload["percentage_completed"] = p.pick("percentage", "0", "1", "0.5", "24.0", "100.0", "-3", "soon")
		payload["completed_at"] = nil
		if p.seldom("course_id", 2) {
			payload["course_id"] = p.id(course)
			members = members[:2] // one of the two is enough
		}
	}
	switch {
	case resource == "lesson":
		step := object{"id": p.id("24220")}
		payload["lesson"] = step
		does.what, members = "progressed", append(members, step, "id")
	case action == "created":
		if payload["free_trial"] = p.seldom("preview", 4); payload["free_trial"] == false {
			does.what = "enrolled"
		}
	case action == "progress":
		does.what = "progressed"
	case action == "completed":
		does.what, does.when = "completed", l.at
		if p.seldom("completed_at", 2) {
			does.when = p.moment("completed at")
			payload["completed_at"] = p.write(does.when)
		}
	}
	l.things = []any{who.mention(), mentionItem("course", course, nested["name"].(string))}
	if does.what != "" {
		l.things = append(l.things, does)
	}
	spoilt := p.broken(12, members...)
	if does.what == "completed" && does.when.IsZero() {
		spoilt = true // nobody says when
	}
	if !spoilt {
		p.odd(payload, "expiry_date", "started_at", "percentage_completed", "activated_at")
	}
	return payload, spoilt
}

// thinkificOrder: what is due. It names no currency; cents count if dollars say
// something else.
func (p pen) thinkificOrder(l *letter) (object, bool) {
	total := p.number("cents", 0, 3) * 2500
	s := sale{order: p.pick("order", "101", "102"), currency: thinkificCurrency, total: cents(total)}
	payload := object{"id": p.id(s.order), "order_number": 1010, "status": "Complete"}
	l.things = []any{s}
	inCents, spoilt := p.seldom("in cents", 2), false
	if inCents {
		payload["amount_cents"] = total
	}
	if !inCents || p.seldom("in dollars too", 2) {
		payload["amount_dollars"] = p.amount(s.total)
	}
	if inCents && p.seldom("disagree", 4) {
		payload["amount_dollars"] = "50.005"
	}
	if p.seldom("with a buyer", 2) {
		who := p.somebody()
		payload["user"] = p.thinkificSomebody(l, who)
		l.things = append(l.things, who.mention())
	}
	list := []any{}
	for range p.number("items", 0, 2) {
		item := p.pick("product", "501", "502")
		called := p.pick("product is called", "Rope course", "Rescue course")
		list = append(list, object{"product_id": p.id(item), "product_name": called, "amount_cents": 2500})
		l.things = append(l.things, mentionItem("product", item, called))
	}
	payload["items"] = list
	switch {
	case p.seldom("no amount", 20):
		delete(payload, "amount_cents")
		delete(payload, "amount_dollars")
		spoilt = true
	case p.seldom("absurd amount", 20):
		payload["amount_dollars"], spoilt = p.pick("absurd", "1,180.00", "$5", "1e99"), true
	default:
		spoilt = p.broken(15, payload, "id")
	}
	return payload, spoilt
}

// thinkificTransaction: money for an order, or back. Its unit is certain only if
// the charge is the order's amount in cents, or a part of it when it is read as
// cents and more than all of it when it is read as dollars.
func (p pen) thinkificTransaction(l *letter, action string) (object, bool) {
	e := payment{
		order: p.pick("order", "101", "102"), transaction: p.pick("transaction", "t1", "t2", "t3"),
		currency: p.pick("currency", "USD", "USD", "CAD"), refund: action == "refunded", failed: action == "failed",
	}
	due := p.number("due", 1, 3) * 2500 // cents of the order
	charged := due
	switch p.number("charged", 1, 4) {
	case 1:
		charged = due / 5 * p.number("instalment", 1, 4)
	case 2:
		charged, e.unsure = due/100, true // dollars, or a hundredth of what is due
	case 3:
		charged, e.unsure = due+100, true // more than is due
	}
	amount := charged
	order := object{"id": p.id(e.order), "amount_cents": due}
	payload := object{"id": e.transaction, "amount": charged, "currency": strings.ToLower(e.currency), "order": order}
	if e.refund {
		payload["refunded"] = true
		if p.seldom("part of it", 2) && !e.unsure && charged == due {
			amount = due / 5 * p.number("fifths", 1, 5)
			payload["refunded_amount"] = amount
		}
	}
	e.amount = cents(amount)
	if p.seldom("without the order's amount", 10) {
		delete(order, "amount_cents")
		e.unsure = true
	}
	if e.unsure {
		e.amount = decimal.New(int64(amount), 0)
	}
	l.things = []any{e}
	members := []any{payload, "id", order, "id"}
	if payload["refunded_amount"] == nil {
		members = append(members, payload, "amount")
	}
	return payload, p.broken(12, members...)
}

// thinkificUser: people with an account. A lead is none.
func (p pen) thinkificUser(l *letter, resource, action string) (object, bool) {
	who := p.somebody()
	user := p.thinkificSomebody(l, who)
	n := who.mention()
	n.inPassing = false
	switch {
	case resource == "lead":
	case action == "deleted":
		l.things = []any{name{table: "people", kind: "user", id: who.id, gone: true}}
	default:
		l.things = []any{n}
	}
	p.odd(user, "roles", "company", "headline")
	return user, p.broken(12, user, "id")
}

func (p pen) thinkificItem(l *letter, resource, action string) (object, bool) {
	pool := map[string][]string{"course": {"88", "89"}, "product": {"501", "502"}}[resource]
	n := name{table: "items", kind: resource, id: p.pick("item", pool...), name: p.pick("item is called", "Rope", "Rope 2", "")}
	payload := object{"id": p.id(n.id), "name": n.name}
	if action == "deleted" {
		n.gone, n.name = true, ""
	}
	l.things = []any{n}
	p.odd(payload, "slug", "price")
	return payload, p.broken(12, payload, "id")
}
