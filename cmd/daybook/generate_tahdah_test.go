package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// tahdah draws a delivery of Tahdah's.
func (p pen) tahdah() letter {
	switch p.topic("tahdah topic", "credits", "entry", "assumed", "other") {
	case "credits":
		return p.tahdahCredits()
	case "entry":
		return p.tahdahEntry()
	case "assumed":
		return p.tahdahAssumed()
	}
	return p.tahdahOther()
}

// withBytes at the end of an identity stands for the bytes of the letter.
const withBytes = "\x00"

// tahdahLetter puts a body under a verb, spelled as it may be. What nothing tells
// apart may be a level of whatever the verb is about.
func (p pen) tahdahLetter(l letter, verb string, body []byte) letter {
	spelled := p.pick("verb spelled", verb, strings.ToLower(verb), strings.ToUpper(verb))
	l.provider, l.topic = "tahdah", verb
	if !slices.Contains([]string{"eventCredits.Updated", "finance.entry.created", "legalEntities.created"}, verb) {
		l.topic = spelled // nobody knows how it is spelled
	}
	if p.seldom("byte order mark", 10) {
		body = append([]byte("\uFEFF"), body...)
	}
	if said, ok := strings.CutSuffix(l.identity, withBytes); ok {
		l.identity = said + string(body)
	}
	if l.identity == "" && len(l.scopes) == 0 {
		l.scopes = []string{"verb " + strings.ToLower(verb)}
	}
	l.request = signed("tahdah", http.Header{"Webhook-Verb": {spelled}}, body)
	return l
}

// tahdahCredits: levels of some lines, without an id, a time or a holder. One
// that is negative or a fraction spoils the whole delivery.
func (p pen) tahdahCredits() letter {
	l := letter{status: domain.Accepted}
	body := []any{}
	spoilt := false
	for range p.number("lines", 0, 3) {
		v := level{
			line: p.pick("line", "1", "2", "3"), template: p.pick("template", "7", "7", "7", "8"),
			order: p.pick("order", "SO-1", "SO-2", ""), left: p.number("left", 0, 4), used: p.number("used", 0, 2),
		}
		o := object{"id": p.id(v.line), "eventTemplateId": p.id(v.template), "remoteOrderNumber": v.order, "quantityRemaining": v.left}
		if v.left == 3 && p.seldom("left as text", 2) {
			o["quantityRemaining"] = "3.0"
		}
		used := []any{}
		for range v.used {
			used = append(used, object{"description": p.pick("used for", "Level 1", "Level 2")})
		}
		o["creditsConsumed"] = used
		if v.used == 0 && p.seldom("none used", 2) {
			delete(o, "creditsConsumed")
		}
		switch {
		case p.seldom("impossible", 20):
			o["quantityRemaining"], spoilt = p.pick("level", "-1", "2.5", "many"), true
		case p.broken(25, o, "eventTemplateId", o, "quantityRemaining"):
			spoilt = true
		}
		body = append(body, o)
		if scope := "credits/" + v.line; !strings.Contains(fmt.Sprint(l.scopes), scope) {
			l.scopes = append(l.scopes, scope)
		}
		l.things = append(l.things, v)
		l.records++
	}
	l = p.tahdahLetter(l, "eventCredits.Updated", p.body(body))
	switch {
	case spoilt:
		return l.quarantined()
	case len(body) == 0:
		return l.unrecognized()
	}
	return l
}

// tahdahEntry: an entry of the ledger, without an id: what is written in it tells
// it from others.
func (p pen) tahdahEntry() letter {
	var (
		number    = p.pick("invoice", "INV-1", "INV-2", "")
		reference = p.pick("reference", "ch_1", "ch_2", "")
		code      = p.pick("currency", "GBP", "gbp", "USD", "TOKENS")
		debit     = cents(p.number("debit", -2, 4) * 25)
		credit    = cents(p.number("credit", 0, 4) * 25)
		created   = p.moment("created")
		items     = p.number("items", 0, 2)
		payer     = name{table: "organizations", id: p.pick("payer", "41", "42"), name: p.pick("payer is", "Harbour", "Solent"), inPassing: true}
	)
	if p.seldom("only a credit", 3) {
		debit = cents(0)
	}
	list := []any{}
	for range items {
		list = append(list, object{"amount": debit, "tax": 0, "description": "credits"})
	}
	header := object{
		"createdDate": created.Format("2006-01-02T15:04:05.000Z"),
		"payer":       object{"id": p.id(payer.id), "name": payer.name, "entityType": 1},
	}
	currency := object{"isoCode": code}
	body := object{
		"header": header, "itemType": 1, "currency": currency,
		"debit": p.amount(debit), "credit": p.amount(credit),
		"invoiceDetail": object{"number": number, "items": list, "payments": []any{}},
		"paymentDetail": object{"paymentReference": reference},
	}
	code = strings.ToUpper(code)
	e := posting{order: cmp.Or(number, reference), currency: code, debit: debit, credit: credit}
	l := letter{status: domain.Accepted, records: 1, at: created, things: []any{e, payer}}
	spoilt, when, debited := true, fmt.Sprint(created), debit.String()
	switch {
	case number == "" && reference == "":
		// Its order would be named after its key, which is the product's business.
		currency["isoCode"], code = nil, ""
	case p.seldom("absurd", 20):
		debited = p.pick("absurd debit", "1e999999999", "1,180.00", "£5", "0.0000000000000000001")
		body["debit"] = debited
	case p.seldom("under another verb", 20):
		delete(body, "header")
		when = ""
	default:
		spoilt = false
		p.odd(header, "dueDate", "description")
	}
	l.identity = fmt.Sprint("entry ", number, " ", reference, " ", when, " ", debited, " ", credit, " ", code, " ", items)
	l = p.tahdahLetter(l, "finance.entry.created", p.body(body))
	if spoilt {
		return l.quarantined()
	}
	return l
}

// tahdahAssumed draws a delivery whose verb and body are nobody's but ours. With
// the time of the change, that and the bytes tell it from others; without it, it
// is a level of what it is about. With or without, it is the last word on that.
func (p pen) tahdahAssumed() letter {
	l := letter{status: domain.Accepted, records: 1}
	body := object{}
	verb, meaning, changed, scopes, needs := p.tahdahChange(&l, body)
	l.scopes = scopes
	dated := p.seldom("dated", 2)
	if dated {
		l.at = p.moment("changed")
		body[changed] = p.write(l.at)
		if m, ok := l.things[0].(membership); ok {
			m.dated = true
			l.things[0] = m
		}
	}
	// What it is about comes first; without that nothing tells it from others.
	id, rest := needs[0], needs[1:]
	spoilt := p.broken(12, body, id)
	lost := spoilt
	if !spoilt && len(rest) > 0 {
		spoilt = p.broken(12, body, p.pick("needed", rest...))
	}
	data := p.body(body)
	switch {
	case lost:
		l.scopes = nil
	case dated:
		l.identity = meaning + " " + withBytes
	}
	l = p.tahdahLetter(l, verb, data)
	if spoilt {
		return l.quarantined()
	}
	return l
}

// tahdahChange draws what a delivery of an assumed shape is about. Verb is how it
// is called, meaning what verbs that mean the same have in common, changed where
// the time of the change is, and needs what the body must have, an id first.
func (p pen) tahdahChange(l *letter, body object) (verb, meaning, changed string, scopes, needs []string) {
	who := p.somebody()
	candidate := who.mention()
	candidate.kind = "candidate"
	seen := candidate
	seen.inPassing = false
	switch p.topic("change", "member", "member", "person", "roles", "registration", "catalogue") {
	case "person":
		body["personId"], body["firstName"], body["lastName"], body["email"] = p.id(who.id), who.first, who.last, who.email
		p.odd(body, "unimportant")
		l.things, scopes = []any{seen}, []string{row("person", who.id)}
		if p.seldom("with roles", 2) {
			body["roles"] = []any{object{"id": 7, "name": p.pick("role", "Tutor", "Chief")}}
			scopes = append(scopes, row("roles", who.id))
		}
		return "legalEntities.personAdded", "person added", "addedAt", scopes, []string{"personId"}
	case "roles":
		body["personId"], body["roles"] = p.id(who.id), []any{object{"name": p.pick("role", "Tutor", "Chief")}}
		seen.name, seen.email = "", ""
		l.things = []any{seen}
		return "legalEntities.rolesUpdated", "roles", "updatedAt", []string{row("roles", who.id)}, []string{"personId", "roles"}
	case "registration":
		pathway := p.pick("pathway", "402", "403")
		body["candidateId"], body["pathwayId"] = p.id(who.id), p.id(pathway)
		body["candidate"] = object{"firstName": who.first, "lastName": who.last, "email": who.email}
		l.things = []any{lesson{person: who.id, subjectType: "pathway", subject: pathway, what: "enrolled"}, candidate}
		return "pathways.registrationCreated", "registration", "registeredAt", []string{row("registration", pathway, who.id)}, []string{"pathwayId"}
	case "catalogue":
		n := name{table: "items", kind: "catalogue-entry", id: p.pick("entry", "9", "10"), name: p.pick("entry is called", "Level 1", "Level 2")}
		body["entryId"], body["title"] = p.id(n.id), n.name
		l.things = []any{n}
		p.odd(body, "slug", "price")
		verb = p.pick("catalogue verb", "catalogue.entryPublished", "catalogue.entryCreated")
		return verb, verb, "publishedAt", []string{row("entry", n.id)}, []string{"entryId"}
	}
	m := membership{
		group: p.pick("group", "g1", "g2"), memberType: p.pick("member is", "legal_entity", "candidate"),
		member: p.pick("member", "41", "42"), status: p.pick("status", "Active", "Pending", "Suspended", "Removed"),
	}
	member := map[string]string{"legal_entity": "legalEntityId", "candidate": "candidateId"}[m.memberType]
	body["trustGroupId"], body["status"], body[member] = m.group, m.status, p.id(m.member)
	verb, meaning, needs = p.pick("member verb", "trustGroups.memberUpdated", "trustGroups.memberAdded"), "member", []string{"trustGroupId", "status"}
	if p.seldom("removed", 5) { // the verb says it, and the body need not
		m.status = "removed"
		delete(body, "status")
		verb, meaning, needs = "trustGroups.memberRemoved", "member removed", needs[:1]
	}
	l.things = []any{m}
	return verb, meaning, "updatedAt", []string{row("member", m.group, m.memberType, m.member)}, needs
}

// tahdahOther: a new legal entity, which has no id, or something nobody knows.
func (p pen) tahdahOther() letter {
	if p.seldom("unknown verb", 3) {
		return p.tahdahLetter(letter{}, p.pick("unknown", "eventCredits.Archived", "invoices.voided"), p.body([]any{})).unrecognized()
	}
	n := name{table: "organizations", name: p.pick("entity", "Ο Όμιλος 🚤", "Łódź & «Żagle»")}
	body := object{"name": n.name, "timezone": "UK/London", "town": "Bath"}
	l := letter{status: domain.Accepted, records: 1, things: []any{n}}
	if p.seldom("added", 2) {
		l.at = p.moment("added at")
		body["addedAt"] = p.write(l.at)
	}
	p.odd(body, "town", "vatNumber", "description")
	spoilt := p.broken(12, body, "name")
	if !spoilt {
		l.identity = "created " + withBytes // once
	}
	l = p.tahdahLetter(l, "legalEntities.created", p.body(body))
	if spoilt {
		return l.quarantined()
	}
	return l
}
