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
	switch p.number("tahdah", 1, 10) {
	case 1, 2, 3, 4:
		return p.tahdahCredits()
	case 5, 6, 7:
		return p.tahdahEntry()
	case 8, 9:
		return p.tahdahMember()
	}
	return p.tahdahOther()
}

// tahdahLetter puts a body under a verb, spelled as it may be.
func (p pen) tahdahLetter(l letter, verb string, body []byte) letter {
	spelled := p.pick("verb spelled", verb, strings.ToLower(verb), strings.ToUpper(verb))
	l.provider, l.topic = "tahdah", verb
	if !slices.Contains([]string{"eventCredits.Updated", "finance.entry.created", "legalEntities.created"}, verb) {
		l.topic = spelled // nobody knows how it is spelled
	}
	if p.seldom("byte order mark", 10) {
		body = append([]byte("\uFEFF"), body...)
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

// tahdahMember: a change in a trust group, by the mapping that is assumed. With
// the time of the change, that and the bytes tell it from others; without it, it
// is a level of the membership.
func (p pen) tahdahMember() letter {
	m := membership{
		group: p.pick("group", "g1", "g2"), memberType: p.pick("member is", "legal_entity", "candidate"),
		member: p.pick("member", "41", "42"), status: p.pick("status", "Active", "Pending", "Suspended", "Removed"),
		dated: p.seldom("dated", 2),
	}
	body := object{"trustGroupId": m.group, "status": m.status}
	id := map[string]string{"legal_entity": "legalEntityId", "candidate": "candidateId"}[m.memberType]
	body[id] = p.id(m.member)
	verb := p.pick("member verb", "trustGroups.memberUpdated", "trustGroups.memberAdded")
	l := letter{status: domain.Accepted, records: 1}
	if m.dated {
		l.at = p.moment("changed")
		body["updatedAt"] = p.write(l.at)
	} else {
		l.scopes = []string{row("member", m.group, m.memberType, m.member)}
	}
	l.things = []any{m}
	spoilt := p.broken(12, body, "trustGroupId", body, id, body, "status")
	if spoilt && body["status"] == m.status {
		l.scopes = nil // whose level it is cannot be read
	}
	data := p.body(body)
	if m.dated && (!spoilt || body["status"] != m.status) {
		// The verbs that imply no status are one: a repetition is one under either.
		l.identity = "member " + string(data)
	}
	l = p.tahdahLetter(l, verb, data)
	if spoilt {
		return l.quarantined()
	}
	return l
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
	l = p.tahdahLetter(l, "legalEntities.created", p.body(body))
	if spoilt {
		return l.quarantined()
	}
	return l
}
