package main

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// braincert draws a delivery of BrainCert's. Its resource and action together say
// what it is about, and its id alone tells it from no other.
func (p pen) braincert() letter {
	route := p.topic("braincert topic",
		"user/signup", "user/updated", "user/deleted", "group/created",
		"course/created", "course/updated", "course/deleted", "bundle/created", "bundle/updated", "bundle/deleted",
		"assessment/created", "assessment/updated", "assessment/deleted",
		"virtual classroom/created", "virtual classroom/updated", "virtual classroom/deleted",
		"product/created", "product/deleted",
		"course_enrollment/enrollment", "test_enrollment/enrollment", "virtual classroom/enrollment",
		"course_completion/completed", "course_completion/completed", "assessment/completed", "assessment/completed",
		"purchase/completed", "purchase/completed", "subscription/renewed",
	)
	l := letter{provider: "braincert", topic: route, status: domain.Accepted, records: 1}
	resource, action, _ := strings.Cut(route, "/")
	envelope := object{"resource": resource, "action": action, "domain_id": p.pick("tenant", "John Doe", "48213")}
	if p.seldom("shouted", 6) {
		envelope["resource"] = strings.ToUpper(resource)
	}
	if !p.seldom("no created_at", 6) {
		l.at = p.moment("created_at")
		envelope["created_at"] = p.write(l.at)
	}
	payload, subject, spoilt := p.braincertPayload(&l, resource, action)
	envelope["payload"] = payload
	p.odd(payload, "unimportant")
	if !p.seldom("no id", 8) {
		id := p.pick("event id", "202603101200005566778", "01EJ79N9456763TEVEAKD2YWW") + fmt.Sprint(p.number("of events", 10, 14))
		envelope["id"] = p.id(id)
		if subject != "" {
			l.identity = row(resource, action, id, subject)
		}
	}
	contentType, body := "application/json", p.body(envelope)
	if p.seldom("XML", 4) {
		contentType, body = p.pick("content type", "application/xml", "application/json"), xmlOf("webhook", envelope)
	}
	l.request = signed("braincert", http.Header{"Content-Type": {contentType}}, body)
	switch {
	case route == "subscription/renewed":
		l.identity = ""
		return l.unrecognized()
	case spoilt:
		return l.quarantined()
	}
	return l
}

// braincertPayload draws the payload of a topic. Subject is what tells the
// delivery from others with its id; empty if it cannot be read.
func (p pen) braincertPayload(l *letter, resource, action string) (payload object, subject string, spoilt bool) {
	switch {
	case resource == "user":
		return p.braincertUser(l, action)
	case resource == "purchase":
		return p.braincertSale(l)
	case action == "enrollment", action == "completed":
		return p.braincertLearning(l, resource)
	}
	return p.braincertItem(l, resource, action)
}

// braincertUser: user_id and name when created, id and two names later.
func (p pen) braincertUser(l *letter, action string) (object, string, bool) {
	who := p.somebody()
	n := who.mention()
	n.inPassing = false
	payload, id := object{"email": who.email}, "id"
	if action == "signup" {
		payload["name"], id = who.name(), "user_id"
	} else {
		payload["first_name"], payload["last_name"] = who.first, who.last
	}
	payload[id] = p.id(who.id)
	if action == "deleted" {
		n = name{table: "people", kind: "user", id: who.id, gone: true}
	}
	l.things = []any{n}
	if p.broken(12, payload, id) {
		return payload, "", true
	}
	return payload, who.id, false
}

// braincertItem: courses, bundles, tests, classes and products, whose ids are
// unique within their type only; and groups of learners.
func (p pen) braincertItem(l *letter, resource, action string) (object, string, bool) {
	kinds := map[string]string{"course": "course", "bundle": "bundle", "assessment": "test", "virtual classroom": "class", "product": "product"}
	n := name{table: "items", kind: kinds[resource], id: p.pick("item", "88", "89"), name: p.pick("item is called", "Rope", "Rescue"), gone: action == "deleted"}
	member, called := "id", "name"
	switch resource {
	case "virtual classroom":
		member = "class_id"
	case "product":
		member = "sku"
	case "group":
		member, called, n.table, n.kind = "group_id", "group_name", "groups", ""
	case "subscription":
		return object{"anything": 1}, "", false
	}
	payload := object{member: p.id(n.id), called: n.name}
	if n.gone {
		n.name = ""
	}
	l.things = []any{n}
	if p.seldom("placeholders", 10) && resource == "course" {
		payload["payment_type"], l.test = "free/paid", true // as the button Send Test has it
	}
	subject := n.id
	spoilt := p.broken(12, payload, member)
	if spoilt {
		subject = ""
	}
	return payload, subject, spoilt
}

// braincertLearning: who, what, and for a completion when.
func (p pen) braincertLearning(l *letter, resource string) (object, string, bool) {
	who := p.somebody()
	does := lesson{person: who.id, subject: p.pick("subject", "88", "89"), what: "enrolled"}
	user := object{"id": p.id(who.id), "first_name": who.first, "last_name": who.last, "email": who.email}
	payload, called := object{"user": user}, p.pick("subject is called", "Rope", "Rescue")
	holder, member := object{"id": p.id(does.subject)}, "id"
	var when string // where the payload says when
	switch resource {
	case "course_enrollment":
		does.subjectType, payload["course"], holder["name"], when = "course", holder, called, "started_at"
	case "test_enrollment":
		does.subjectType, payload["test"], holder["name"], when = "test", holder, called, "started_at"
	case "virtual classroom":
		does.subjectType, holder, member, when = "class", payload, "class_id", "enrolled_at"
		payload[member], payload["live_class"] = p.id(does.subject), object{"name": called}
	case "course_completion":
		does.subjectType, does.what, payload["course"], holder["title"] = "course", "completed", holder, called
	case "assessment":
		does.subjectType, holder = "test", payload
		payload["id"], payload["name"] = p.id(does.subject), called
		does.what, does.when = p.braincertScore(payload), l.at
	}
	if when != "" && p.seldom("says when", 2) {
		at := p.moment("when")
		payload[when] = p.write(at)
		if l.at.IsZero() {
			l.at = at
		}
	}
	spoilt := resource == "assessment" && does.when.IsZero() // a result without a date is none
	if does.what == "completed" {
		does.when = l.at
		if p.seldom("completion date", 2) {
			does.when = p.moment("completed")
			holder["completion_date"] = p.write(does.when)
			if l.at.IsZero() {
				l.at = does.when
			}
		}
		spoilt = does.when.IsZero()
	}
	l.things = []any{does, who.mention(), mentionItem(does.subjectType, does.subject, called)}
	subject := row(does.subject, who.id)
	before := holder[member]
	if !spoilt && p.broken(12, user, "id", holder, member) {
		spoilt = true
		subject = does.subject // whose it is cannot be read
		if holder[member] != before {
			subject = ""
		}
		if _, unreadable := user["id"].(object); unreadable {
			subject = "" // it is there, and no id
		}
	}
	return payload, subject, spoilt
}

// braincertScore draws a result. The pass mark itself passes; what somebody has
// yet to score is pending, and without both numbers nobody knows.
func (p pen) braincertScore(payload object) (outcome string) {
	score, mark := p.number("score", 70, 80), 75
	payload["final_score"], payload["passing_score"] = score, mark
	outcome = "failed"
	if score >= mark {
		outcome = "passed"
	}
	switch p.number("scored", 1, 6) {
	case 1:
		payload["manual_scoring"] = "pending"
		return "pending"
	case 2:
		payload["manual_scoring"] = p.pick("by hand", "completed", "null", "")
	case 3:
		delete(payload, "passing_score")
		return "unknown"
	}
	return outcome
}

// braincertSale: order, currency and total are needed, and exact. "completed"
// does not mean paid.
func (p pen) braincertSale(l *letter) (object, string, bool) {
	who := p.somebody()
	s := sale{order: p.pick("order", "ORD_1", "ORD_2"), currency: p.pick("currency", "USD", "uSd", " eur "), total: cents(p.number("total", 0, 3) * 2500)}
	status := p.pick("payment status", "paid", "Paid", "pending", "failed", "")
	s.paid = strings.EqualFold(status, "paid")
	payload := object{
		"order_id": s.order, "currency": s.currency, "total": p.amount(s.total), "payment_status": status,
		"user": object{"email": who.email, "first_name": who.first},
	}
	s.currency = strings.ToUpper(strings.TrimSpace(s.currency))
	if p.seldom("items", 2) {
		payload["items"] = []any{object{"type": "course", "name": "Rope", "item_total": p.amount(s.total)}}
	}
	if p.seldom("total_amount", 3) {
		payload["total_amount"] = p.amount(cents(5000)) // whether it fits or not, total is booked
	}
	l.things = []any{s}
	switch {
	case p.seldom("absurd", 15):
		payload["total"] = p.pick("absurd total", "1,180.00", "$5", "1e40")
		return payload, s.order, true
	case p.seldom("no currency", 15):
		payload["currency"] = p.pick("currency is", "", "dollars", "null")
		return payload, s.order, true
	case p.broken(15, payload, "order_id"):
		return payload, "", true
	}
	return payload, s.order, false
}

// xmlOf writes a value as XML in the form that is assumed: members are elements,
// those of a list are called item, and null is an empty element.
func xmlOf(tag string, v any) []byte {
	var inner []byte
	switch v := v.(type) {
	case object:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			inner = append(inner, xmlOf(member, v[member])...)
		}
	case []any:
		for _, element := range v {
			inner = append(inner, xmlOf("item", element)...)
		}
	case nil:
	default:
		inner = []byte(html.EscapeString(fmt.Sprint(v)))
	}
	return slices.Concat([]byte("<"+tag+">"), inner, []byte("</"+tag+">"))
}
