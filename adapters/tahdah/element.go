package tahdah

import (
	"strings"
	"time"
	"unicode"

	"github.com/daybook-ledger/daybook/domain/payload"
)

// An element is one change in a body: an object, read by a mapping.
type element struct {
	*reader
	by      *mapped
	value   payload.Value
	names   spellings // of value
	implied string    // by the verb
}

func newElement(r *reader, by *mapped, v payload.Value, implied string) element {
	return element{r, by, v, spellingsOf(v), implied}
}

// field returns the value of a field of the mapping: that at the first pointer
// which leads to something, not to null and not to an empty text. If none does, it
// is an absent value where the first pointer leads.
func (e element) field(name string) payload.Value { return e.first(name, "") }

// id is [element.field] for an id, which is not 0: so .NET writes an id that is
// not set.
func (e element) id(name string) payload.Value { return e.first(name, "0") }

// changedAt returns when the change was made, zero if the body does not say.
func (e element) changedAt() time.Time { return e.Time(e.field("changed_at")) }

func (e element) first(name, nothing string) payload.Value {
	for _, p := range e.by.pointers[name] {
		at := p.of(e.value, e.names)
		if text := tryKey(at); at.IsObject() || at.IsList() || text != "" && text != nothing {
			return at
		}
	}
	var where string
	if pointers := e.by.Fields[name]; len(pointers) > 0 {
		where = pointers[0]
	}
	if at := e.value.Path(); at != "body" {
		where = "/" + at + where
	}
	return payload.Value{}.At(where)
}

// A pointer is a JSON pointer, made ready to be followed many times.
type pointer []part

type part struct {
	text  string // as it stands in the pointer
	name  string // without escapes
	plain string
}

func newPointer(text string) pointer {
	var p pointer
	for t := range strings.SplitSeq(strings.TrimPrefix(text, "/"), "/") {
		name := strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
		p = append(p, part{t, name, plain(name)})
	}
	return p
}

// of returns where p leads from v, which has members of the given names.
func (p pointer) of(v payload.Value, names spellings) payload.Value {
	for i, part := range p {
		if i > 0 {
			names = spellingsOf(v)
		}
		if v.IsObject() {
			v = v.Get(names.of(v, part))
		} else {
			v = v.At("/" + part.text) // an element of a list
		}
	}
	return v
}

// spellings are the names of an object's members by their letters and digits; ""
// for two that have the same.
type spellings map[string]string

func spellingsOf(v payload.Value) spellings {
	if !v.IsObject() {
		return nil
	}
	all := v.Names()
	s := make(spellings, len(all))
	for _, name := range all {
		like := plain(name)
		if _, twice := s[like]; twice {
			name = ""
		}
		s[like] = name
	}
	return s
}

// of returns how the object v spells the name of a part: as it is or, if there is
// no such member, as the only one that has its letters and digits.
func (s spellings) of(v payload.Value, p part) string {
	like, ok := s[p.plain]
	if !ok || like == "" || p.plain == "" || v.Get(p.name).Exists() {
		return p.name
	}
	return like
}

// plain returns the letters and digits of a name in lower case.
func plain(name string) string {
	return keep(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}
