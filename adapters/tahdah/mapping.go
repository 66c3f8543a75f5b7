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

// A Mapping says how to read a topic of which Tahdah documents neither the verb
// nor the body. See [Mappings] for what there is, and for the assumed ones that
// are used unless parts of them are configured.
type Mapping struct {
	// Verbs maps each verb to what it implies beyond the topic itself: of a
	// membership the status, elsewhere the activity; "" is nothing. Verbs are
	// compared by their letters alone, whatever their case.
	Verbs map[string]string

	// Fields maps the name of each field to a list of JSON pointers (RFC 6901)
	// into the body, such as "/trustGroup/id"; the first that leads to something
	// counts. Null and the empty text are nothing, and so is 0 for an id. If no
	// member has the name in a pointer, the one that has its letters and digits
	// does: "TrustGroupId" and "trust_group_id" are "trustGroupId". If the body is
	// a list, the pointers lead into each of its elements.
	//
	// Every mapping has the field changed_at: when this change was made. It must
	// be a time that each change sets anew: one that stays the same over several,
	// such as when a member was added, would make a later change look like the
	// repetition of an earlier one.
	Fields map[string][]string

	// Words says what a status that is no word stands for, such as "1" for
	// "Active". Only a membership has them.
	Words map[string]string

	// Confirmed says that somebody has compared the mapping with a delivery of
	// Tahdah's. Until then what it reads is called assumed.
	Confirmed bool
}

// A mapped topic is one that is read by a mapping.
type mapped struct {
	Mapping

	pointers map[string][]pointer // of Fields

	name string // of its table in the configuration
	what string // what is assumed, as it is told to people
	key  string // first part of its deduplication keys

	// about returns the ids of what a change is about, after the word that begins
	// its scope, and further scopes of which it states the level.
	about func(e element) (ids, scopes []string)

	// read returns the fact in one element of a body.
	read func(e element) domain.Event
}

// mapped reads the changes in a body, all or none.
func (d *delivery) mapped(by *mapped, implied string) error {
	body, err := d.decode(func(v payload.Value) bool { return v.IsObject() || v.IsList() }, "an object or a list")
	if err != nil {
		return err
	}
	values := []payload.Value{body}
	if body.IsList() {
		values = body.List()
	}
	elements := make([]element, len(values))
	for i, v := range values {
		elements[i] = newElement(&d.reader, by, v, implied)
	}
	d.identify(by, implied, elements)
	if !by.Confirmed {
		d.Flag(flagAssumed)
	}
	for _, e := range elements {
		if !e.value.IsObject() {
			d.Fail(e.value, "is not an object")
			return d.Err()
		}
		fact := domain.Fact{OccurredAt: e.changedAt(), Event: by.read(e)}
		if d.Err() != nil {
			return d.Err()
		}
		d.Facts = append(d.Facts, fact)
	}
	if len(d.Facts) == 0 {
		d.Reason = "empty"
	}
	return nil
}

// flagAssumed marks a delivery that was read by a mapping nobody confirmed.
const flagAssumed = "assumed-mapping"

// identify sets what a repetition is known by.
//
// Active, Suspended, Active are three facts of which two may have the same bytes,
// so the scopes are the things that change. If every change says when it was
// made, that and the bytes are the key. Such a delivery has its scopes too: the
// undated Active, the dated Suspended and the undated Active are three facts as
// well, though the first and the last have the same bytes and no key.
//
// The key holds what the verb implies, so that the same bytes under a verb with
// another meaning are another delivery.
func (d *delivery) identify(by *mapped, implied string, elements []element) {
	key, dated := []string{by.key, implied}, len(elements) > 0
	for _, e := range elements {
		e.reader = new(reader)
		ids, scopes := by.about(e)
		if e.Err() != nil {
			return
		}
		changed := tryKey(e.field("changed_at"))
		dated = dated && changed != ""
		key = append(append(key, ids[1:]...), changed)
		d.scope(payload.Key(ids...))
		for _, s := range scopes {
			d.scope(s)
		}
	}
	if dated {
		sum := sha256.Sum256(d.body)
		d.Key = payload.Key(append(key, hex.EncodeToString(sum[:]))...)
	}
}

// with returns the topic with the parts that m has in place of its own.
func (t mapped) with(m Mapping) (mapped, error) {
	if m.Verbs != nil {
		var err error
		if t.Verbs, err = lettered(m.Verbs); err != nil {
			return t, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	t.Fields = maps.Clone(t.Fields)
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		if _, ok := t.Fields[name]; !ok {
			return t, fmt.Errorf("%s has no field %q; it has %s", t.name, name, strings.Join(slices.Sorted(maps.Keys(t.Fields)), ", "))
		}
		for _, p := range m.Fields[name] {
			if !strings.HasPrefix(p, "/") {
				return t, fmt.Errorf("%s: %q is no JSON pointer: it does not start with a slash", t.name, p)
			}
		}
		t.Fields[name] = m.Fields[name]
	}
	if len(m.Words) > 0 && t.name != membership {
		return t, fmt.Errorf("%s has no words: only the status of a membership does", t.name)
	}
	for _, of := range []map[string]string{m.Words, t.Verbs} {
		for _, word := range of {
			if !payload.IsLabel(word) {
				return t, fmt.Errorf("%s: %.40q is too long, or has control characters", t.name, word)
			}
		}
	}
	t.Words, t.Confirmed = m.Words, m.Confirmed
	return t, nil
}

// letters returns the letters of a verb in lower case: "trustGroups.memberUpdated",
// "TrustGroups / Member Updated" and "trust-groups.member_updated" are one verb.
func letters(verb string) string { return keep(verb, unicode.IsLetter) }

// keep returns the characters of s that are wanted, in lower case.
func keep(s string, wanted func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if !wanted(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
