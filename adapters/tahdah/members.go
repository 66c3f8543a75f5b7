package tahdah

import (
	"strings"
	"unicode"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

func aboutMember(e element) (ids, scopes []string) {
	memberType, member := e.member()
	return []string{"member", e.ID(e.id("group")), memberType, member}, nil
}

// memberChanged reads a change of a member of a trust group. It fails if the
// element names no group, names both a legal entity and a candidate or neither,
// or leaves the status open: nothing is guessed.
func memberChanged(e element) domain.Event { return e.memberChanged() }

func (e element) memberChanged() domain.TrustgroupsMemberChanged {
	changed := domain.TrustgroupsMemberChanged{
		Group:     e.ID(e.id("group")),
		GroupName: e.TryText(e.field("group_name")),
		Status:    e.status(e.field("status")),
		From:      e.Time(e.field("from")),
		Until:     e.Until(e.field("until")),
		ChangedAt: e.changedAt(),
		Assumed:   !e.by.Confirmed,
	}
	changed.MemberType, changed.Member = e.member()
	return changed
}

// member returns the one member that is named.
func (e element) member() (memberType, id string) {
	entity, candidate := e.id("legal_entity"), e.id("candidate")
	switch {
	case entity.Exists() && candidate.Exists():
		e.Fail(entity, "is there and so is %s: the member is one of them", candidate.Path())
	case entity.Exists():
		return domain.MemberLegalEntity, e.ID(entity)
	case candidate.Exists():
		return domain.MemberCandidate, e.ID(candidate)
	default:
		e.Fail(entity, "is missing, and there is no candidate either")
	}
	return "", ""
}

// status returns what the element states or, if it states nothing, what the verb
// implies. A code is no status until somebody has said what it stands for: an
// undocumented number must not make or unmake a member.
func (e element) status(v payload.Value) string {
	stated := e.Label(v)
	if word, ok := e.by.Words[stated]; ok && stated != "" {
		stated = word
	}
	switch {
	case stated == "" && e.implied == "":
		e.Fail(v, "is missing")
	case stated == "":
		return e.implied
	case isCode(stated):
		e.Fail(v, "is no word: say what it stands for in the words of the mapping")
	case e.implied != "" && !strings.EqualFold(stated, e.implied):
		e.Fail(v, "is something else than the verb says, which is %s", e.implied)
	}
	return stated
}

// isCode reports whether a status is something else than a word.
func isCode(s string) bool {
	return s == "true" || s == "false" || !strings.ContainsFunc(s, unicode.IsLetter)
}
