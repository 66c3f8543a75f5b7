package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// credly draws a notice of Credly's: a hint that something happened, from which
// nothing follows until somebody has asked.
func (p pen) credly() letter {
	l := letter{provider: "credly", topic: "badge.created", status: domain.Accepted, records: 1, at: p.moment("occurred_at")}
	body := object{
		"organization_id": samples.CredlyOrganization, "occurred_at": p.write(l.at),
		"event_type": p.pick("event type", "badge.created", "badge.state.changed", "employment.created", "user.public_badges.changed", "badge.endorsed"),
	}
	if !p.seldom("no id", 12) {
		l.identity = "event " + p.pick("event id", "6e6c1093-d3b3-572d-bd66-633ef8ef0e15", "e2", "e3", "e4")
		body["id"] = l.identity[len("event "):]
	}
	spoilt := p.broken(12, body, "event_type", body, "organization_id", body, "occurred_at") || l.identity == ""
	if p.seldom("another organization", 15) {
		body["organization_id"], spoilt = "somebody-else", true
	}
	p.odd(body, "unimportant")
	l.topic, _ = body["event_type"].(string)
	l.request = signed("credly", http.Header{"Content-Type": {"application/json"}}, p.body(body))
	switch {
	case body["event_type"] == "badge.endorsed" && body["organization_id"] == samples.CredlyOrganization:
		return l.unrecognized() // whatever else is wrong
	case spoilt:
		return l.quarantined()
	}
	return l
}

// credlyAnswer draws what Credly's API answers when it is asked for an event: the
// only thing from which something about a badge follows, and only because we
// asked. Posted by somebody, the same bytes are worth nothing.
func (p pen) credlyAnswer() letter {
	l := letter{provider: "credly", status: domain.Accepted, records: 1, at: p.moment("occurred_at")}
	id := fmt.Sprint("a", p.number("asked for", 1, 25))
	l.topic = p.topic("answered type",
		"badge.created", "badge.state.changed", "badge.state.changed", "badge.privacy.changed", "badge.deleted",
		"badge_template.created", "badge_template.changed", "badge_template.deleted",
		"employment.created", "employment.deleted", "employment.connection.accepted", "employment.badges.state_changed", "employment.badges.removed",
		"user.public_badges.changed", "badge.endorsed",
	)
	data := object{"id": id, "event_type": l.topic, "organization_id": samples.CredlyOrganization, "occurred_at": p.write(l.at)}
	family, activity, _ := strings.Cut(l.topic, ".")
	members, kept := []any{data, "id", data, "organization_id", data, "occurred_at"}, true
	switch family {
	case "badge":
		if kept = activity != "endorsed"; kept {
			members = append(members, p.credlyBadge(&l, data, activity)...)
		}
	case "badge_template":
		n := name{table: "items", kind: "badge-template", id: p.pick("template", "t1", "t2"), name: p.pick("template is called", "Rope 1", "Rope 2")}
		template := object{"id": n.id, "name": n.name, "owner": object{"id": samples.CredlyOrganization}}
		if data["badge_template"] = template; activity == "deleted" {
			n.name, n.gone = "", true
		}
		l.things, members = []any{n}, append(members, data, "badge_template", template, "id")
	case "employment":
		members = append(members, p.credlyEmployment(&l, data, activity)...)
	default:
		kept = false
	}
	spoilt := p.broken(12, members...)
	if data["id"] == id && p.seldom("another event", 20) {
		data["id"], spoilt = "another", true
	}
	p.odd(data, "unimportant")
	body := p.body(object{"data": data, "metadata": object{}})
	if p.seldom("posted by somebody", 12) {
		l.request, l.topic = signed("credly", nil, body), ""
		return l.quarantined()
	}
	l.identity = "answer " + id
	l.request = domain.Request{Fetched: "events/" + id, Header: http.Header{}, Body: body}
	switch {
	case spoilt:
		return l.quarantined()
	case !kept:
		return l.unrecognized()
	}
	return l
}

// credlyBadge draws a badge and returns what it cannot be booked without.
func (p pen) credlyBadge(l *letter, data object, activity string) (members []any) {
	b := badge{id: p.pick("badge", "b1", "b2"), state: p.pick("state", "pending", "accepted", "rejected", "revoked", "replaced"), earner: p.pick("earner", "HR-1", ""), clock: p.moment("state_updated_at")}
	template := mentionItem("badge-template", p.pick("template", "t1", "t2"), p.pick("template is called", "Rope 1", "Rope 2"))
	badgeTemplate := object{"id": template.id, "name": template.name}
	o := object{
		"id": b.id, "state": b.state, "issuer_earner_id": b.earner, "state_updated_at": p.write(b.clock), "expires_at": nil,
		"badge_template": badgeTemplate, "user": nil, "public": p.seldom("public", 2),
	}
	data["badge"] = o
	l.things = []any{template}
	if p.seldom("known to Credly", 2) {
		who := p.somebody()
		who.id = map[string]string{"b1": "11", "b2": "12"}[b.id] // a badge is one person's
		b.user = who.id
		o["user"], o["issued_to"], o["recipient_email"] = object{"id": who.id}, who.name(), who.email
		l.things = append(l.things, who.mention())
	}
	if activity == "deleted" {
		gone := badge{id: b.id, deleted: true}
		if p.seldom("nothing is left", 2) {
			data["badge"], l.things = object{"id": b.id}, []any{gone}
			return []any{data["badge"].(object), "id"}
		}
		l.records++
		l.things = append(l.things, b, gone)
		return []any{o, "id"} // without the rest it is deleted all the same
	}
	l.things = append(l.things, b)
	return []any{data, "badge", o, "id", o, "state", badgeTemplate, "id"}
}

// credlyEmployment draws an employee's record, and the badges the employer sees. A
// list that is not there says nothing, and that a badge cannot be seen says
// nothing about it.
func (p pen) credlyEmployment(l *letter, data object, activity string) (members []any) {
	n := name{table: "people", kind: "employee", id: p.pick("employment", "m1", "m2"), name: p.pick("employee", "Lena", "Lena F"), email: "lena@example.com", gone: activity == "deleted"}
	o := object{"id": n.id, "full_name": n.name, "email": n.email, "external_id": map[string]string{"m1": "HR-7"}[n.id]}
	data["employment"] = o
	l.things = []any{n}
	said := false
	see := func(id string) object {
		b := badge{id: id, state: p.pick("listed as", "pending", "accepted", "revoked"), earner: o["external_id"].(string), user: n.id, clock: l.at, listed: true}
		template := mentionItem("badge-template", "t1", p.pick("template is called", "Rope 1", "Rope 2"))
		l.things, said = append(l.things, b, template), true
		return object{"id": b.id, "state": b.state, "badge_template": object{"id": template.id, "name": template.name}}
	}
	if p.seldom("list", 2) {
		list := []any{}
		for _, id := range map[string][]string{"m1": {"b1", "b3"}, "m2": {"b2", "b4"}}[n.id][:p.number("badges", 0, 2)] {
			list = append(list, see(id))
		}
		o["badges"], said = list, true
	}
	members = []any{data, "employment", o, "id"}
	if activity == "badges.removed" {
		data["badge"] = see("b5 of " + n.id)
		members = append(members, data, "badge")
	}
	if said {
		l.records++
	}
	return members
}
