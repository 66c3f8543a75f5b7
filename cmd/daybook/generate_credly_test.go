package main

import (
	"net/http"

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
