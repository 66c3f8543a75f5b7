package credly

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// topicOf names the deliveries that are rows of a list.
func topicOf(resource string) string {
	switch resource {
	case resourceEvent, resourceBadge, resourceTemplate, resourceEmployee:
		return resource
	}
	return ""
}

// rowKey tells rows apart by what they say: the same row again is a repetition,
// a row that has changed a new fact.
func rowKey(resource, id string, body []byte) string {
	sum := sha256.Sum256(body)
	return payload.Key(resource, id, hex.EncodeToString(sum[:]))
}

// badgeRow reads a row of GET /organizations/{org}/badges. It has the badge's
// own clock, so it takes its place among what its events say; it was last true
// when it was last changed.
func (a *answer) badgeRow() []domain.Fact {
	told := a.rd.TryTime(a.doc.Get("updated_at"))
	reported := a.badge(a.doc, "", told)
	if told.Before(reported.StateUpdatedAt) {
		told = reported.StateUpdatedAt
	}
	return []domain.Fact{{OccurredAt: told, Event: reported}}
}

// templateRow reads a row of GET /organizations/{org}/badge_templates.
func (a *answer) templateRow() []domain.Fact {
	return []domain.Fact{{OccurredAt: a.rd.TryTime(a.doc.Get("updated_at")), Event: a.template(a.doc, domain.ActivityListed)}}
}

// employeeRow reads a row of GET /organizations/{org}/employees. What it says of
// badges was so when it was asked for.
func (a *answer) employeeRow() []domain.Fact {
	changed := a.employment(a.doc, domain.ActivityListed)
	facts := []domain.Fact{{OccurredAt: a.rd.TryTime(a.doc.Get("employee_state_updated_at")), Event: changed}}
	l := domain.BadgesListed{Employment: changed.Employment, External: changed.External, ListedAt: a.seenAt()}
	if a.list(&l, a.doc.Get("badges")); l.Whole {
		facts = append(facts, domain.Fact{OccurredAt: l.ListedAt, Event: l})
	}
	return facts
}
