package tahdah

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// A Membership says how to read a change in a trust group, of which Tahdah
// documents neither the verb nor the body.
//
// Every field but Verbs and Confirmed is a list of JSON pointers (RFC 6901) into
// the body, such as "/trustGroup/id"; the first that leads to something counts.
// Null and the empty text are nothing, and so is 0 for an id. If the body is a
// list, the pointers lead into each of its elements.
//
// A body is quarantined if it names no group, names both a legal entity and a
// candidate or neither, or leaves the status open: nothing is guessed.
type Membership struct {
	// Verbs maps a verb to the status it implies. Empty: the status is in the
	// body. Verbs are compared by their letters alone, whatever their case. If
	// the verb implies one status and the body states another, the delivery is
	// quarantined.
	Verbs map[string]string

	Group       []string // id of the trust group; required
	GroupName   []string
	LegalEntity []string // id of the member, if it is a legal entity
	Candidate   []string // id of the member, if it is a candidate
	Status      []string // the provider's word, such as "Active"
	From        []string // start of the membership
	Until       []string // end of the membership
	ChangedAt   []string // when this change was made

	// Confirmed says that somebody has compared the mapping with a delivery of
	// Tahdah's. Until then every event is marked as assumed.
	Confirmed bool
}

// DefaultMembership returns the mapping that is used unless another is
// configured. All of it is assumed: the verbs from the names in Tahdah's menu
// ("Trust Groups / Member Updated", formerly also "Member Added"), the pointers
// from the spelling of the bodies that are documented. That a verb for a removed
// member means the status "removed" is assumed too; no other verb implies any.
//
// ChangedAt names only what can be nothing but the time of the latest change. A
// time that stays the same over several changes, such as when the member was
// added, would make a later change look like the repetition of an earlier one.
func DefaultMembership() Membership {
	verbs := make(map[string]string)
	for _, group := range []string{"trustgroup", "trustgroups", ""} {
		for _, member := range []string{"member", "members"} {
			verbs[group+member+"updated"] = ""
			verbs[group+member+"added"] = ""
			verbs[group+member+"removed"] = "removed"
		}
	}
	return Membership{
		Verbs:       verbs,
		Group:       []string{"/trustGroupId", "/trustGroup/id", "/trustGroupUid", "/trustGroup/uid", "/groupId", "/group/id"},
		GroupName:   []string{"/trustGroupName", "/trustGroup/name", "/groupName", "/group/name"},
		LegalEntity: []string{"/legalEntityId", "/legalEntity/id", "/member/legalEntityId"},
		Candidate:   []string{"/candidateId", "/candidate/id", "/member/candidateId"},
		Status:      []string{"/status/name", "/status", "/memberStatus", "/membershipStatus", "/state"},
		From:        []string{"/from", "/joinedAt", "/validFrom", "/startDate", "/fromDate"},
		Until:       []string{"/until", "/expiresAt", "/validTo", "/endDate", "/toDate", "/to"},
		ChangedAt:   []string{"/updatedAt", "/changedAt", "/modifiedAt"},
	}
}

// normal returns a copy of m with its verbs reduced to their letters.
func (m Membership) normal() (Membership, error) {
	verbs := make(map[string]string, len(m.Verbs))
	for _, verb := range slices.Sorted(maps.Keys(m.Verbs)) {
		name := letters(verb)
		switch other, twice := verbs[name]; {
		case name == "":
			return m, fmt.Errorf("the verb %q of a membership has no letters", verb)
		case twice && other != m.Verbs[verb]:
			return m, fmt.Errorf("the verb %q of a membership implies both %q and %q", verb, other, m.Verbs[verb])
		}
		verbs[name] = m.Verbs[verb]
	}
	m.Verbs = verbs
	for _, pointers := range [][]string{m.Group, m.GroupName, m.LegalEntity, m.Candidate, m.Status, m.From, m.Until, m.ChangedAt} {
		for _, p := range pointers {
			if !strings.HasPrefix(p, "/") {
				return m, fmt.Errorf("%q is no JSON pointer: it does not start with a slash", p)
			}
		}
	}
	return m, nil
}

// letters returns the letters of a verb in lower case: "trustGroups.memberUpdated",
// "TrustGroups / Member Updated" and "trust-groups.member_updated" are one verb.
func letters(verb string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, verb)
}

// members reads a change of one or more members under a verb that implies the
// given status.
func (d *delivery) members(m Membership, implied string) error {
	body, err := d.decode(func(v payload.Value) bool { return v.IsObject() || v.IsList() }, "an object or a list")
	if err != nil {
		return err
	}
	elements := []payload.Value{body}
	if body.IsList() {
		elements = body.List()
	}
	d.memberKeys(m, implied, elements)
	for _, v := range elements {
		e := d.memberChanged(m, implied, v)
		if d.Err() != nil {
			return d.Err()
		}
		d.Facts = append(d.Facts, domain.Fact{OccurredAt: e.ChangedAt, Event: e})
	}
	if len(d.Facts) == 0 {
		d.Reason = "empty"
	}
	return nil
}

// memberKeys sets what a repetition is known by. If every change says when it
// was made, that and the bytes are the key. If not, Active, Suspended, Active
// are three facts of which two have the same bytes, and the scopes are the
// members.
//
// The key holds the status that the verb implies, so that the same bytes under
// a verb with another meaning are another delivery.
func (d *delivery) memberKeys(m Membership, implied string, elements []payload.Value) {
	key, dated := []string{"member", implied}, len(elements) > 0
	for _, v := range elements {
		var try reader
		memberType, member := try.member(m, v)
		group, changed := try.ID(firstID(v, m.Group)), tryKey(first(v, m.ChangedAt))
		if try.Err() != nil {
			return
		}
		dated = dated && changed != ""
		key = append(key, group, memberType, member, changed)
		if scope := payload.Key("member", group, memberType, member); !slices.Contains(d.Scopes, scope) {
			d.Scopes = append(d.Scopes, scope)
		}
	}
	if dated {
		sum := sha256.Sum256(d.body)
		d.Scopes, d.Key = nil, payload.Key(append(key, hex.EncodeToString(sum[:]))...)
	}
}

func (r *reader) memberChanged(m Membership, implied string, v payload.Value) domain.TrustgroupsMemberChanged {
	if !v.IsObject() {
		r.Fail(v, "is not an object")
	}
	e := domain.TrustgroupsMemberChanged{
		Group:     r.ID(firstID(v, m.Group)),
		GroupName: r.TryText(first(v, m.GroupName)),
		Status:    r.status(first(v, m.Status), implied),
		From:      r.Time(first(v, m.From)),
		Until:     r.Until(first(v, m.Until)),
		ChangedAt: r.Time(first(v, m.ChangedAt)),
		Assumed:   !m.Confirmed,
	}
	e.MemberType, e.Member = r.member(m, v)
	return e
}

// member returns the one member that v names.
func (r *reader) member(m Membership, v payload.Value) (memberType, id string) {
	entity, candidate := firstID(v, m.LegalEntity), firstID(v, m.Candidate)
	switch {
	case entity.Exists() && candidate.Exists():
		r.Fail(entity, "is there and so is %s: the member is one of them", candidate.Path())
	case entity.Exists():
		return domain.MemberLegalEntity, r.ID(entity)
	case candidate.Exists():
		return domain.MemberCandidate, r.ID(candidate)
	default:
		r.Fail(entity, "is missing, and there is no candidate either")
	}
	return "", ""
}

// status returns what the body states or, if it states nothing, what the verb
// implies.
func (r *reader) status(v payload.Value, implied string) string {
	stated := r.Label(v)
	switch {
	case stated == "" && implied == "":
		r.Fail(v, "is missing")
	case stated == "":
		return implied
	case implied != "" && !strings.EqualFold(stated, implied):
		r.Fail(v, "is %.20q under a verb that says %.20q", stated, implied)
	}
	return stated
}

// first returns the value at the first pointer that leads to something: not to
// null, not to an empty text. If none does, it is the absent value at the first
// pointer.
func first(v payload.Value, pointers []string) payload.Value {
	return firstOf(v, pointers, "")
}

// firstID is [first] for an id, which is not 0: so .NET writes an id that is not
// set.
func firstID(v payload.Value, pointers []string) payload.Value {
	return firstOf(v, pointers, "0")
}

func firstOf(v payload.Value, pointers []string, nothing string) payload.Value {
	for _, p := range pointers {
		at := v.At(p)
		if text := tryKey(at); at.IsObject() || at.IsList() || text != "" && text != nothing {
			return at
		}
	}
	if len(pointers) == 0 {
		return payload.Value{}
	}
	return payload.Value{}.At(pointers[0])
}
