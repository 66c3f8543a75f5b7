package payload

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// A Search looks for people in bodies by their e-mail addresses and whole names.
// The case of letters and white space around words do not matter.
type Search struct {
	emails []string
	names  [][]string // in words
}

// minName is the fewest letters that a name of one word must have to be looked for:
// a shorter one is part of too much else.
const minName = 5

// NewSearch returns a search for any of the e-mail addresses and names. A name that
// is too short to tell anybody apart is left out.
func NewSearch(emails, names []string) Search {
	var s Search
	for _, e := range emails {
		if e = normal(e); e != "" && !slices.Contains(s.emails, e) {
			s.emails = append(s.emails, e)
		}
	}
	for _, n := range names {
		words := strings.Fields(normal(n))
		if len(words) > 1 || len(words) == 1 && len([]rune(words[0])) >= minName {
			s.names = append(s.names, words)
		}
	}
	return s
}

// Empty reports whether nothing is looked for.
func (s Search) Empty() bool { return len(s.emails)+len(s.names) == 0 }

// normal returns text in lower case with single spaces.
func normal(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }

// Find reports whether the body has one of the e-mail addresses, and whether it has
// one of the names: as it is, within a text, or with its words as members of one
// object. What is neither JSON nor XML is one text.
func (s Search) Find(body []byte) (byEmail, byName bool) {
	for _, decode := range []func([]byte) (Value, []string, error){DecodeJSON, DecodeXML} {
		if v, _, err := decode(body); err == nil {
			s.in(v, &byEmail, &byName)
			return byEmail, byName
		}
	}
	s.text(string(bytes.ToValidUTF8(body, []byte(" "))), &byEmail, &byName)
	return byEmail, byName
}

// Text is [Search.Find] for a text.
func (s Search) Text(text string) (byEmail, byName bool) {
	s.text(text, &byEmail, &byName)
	return byEmail, byName
}

func (s Search) text(text string, byEmail, byName *bool) {
	text = normal(text)
	for _, e := range s.emails {
		*byEmail = *byEmail || holdsEmail(text, e)
	}
	for _, words := range s.names {
		*byName = *byName || strings.Contains(text, strings.Join(words, " "))
	}
}

// holdsEmail reports whether an address stands in a text by itself: within
// "diana@example.com", "ana@example.com" is somebody else's.
func holdsEmail(text, email string) bool {
	for {
		before, after, found := strings.Cut(text, email)
		if !found {
			return false
		}
		end := before[max(0, len(before)-len(`\u003c`)):]
		if (!inAddress.MatchString(end) || escaped.MatchString(end)) && !goesOn.MatchString(after) {
			return true
		}
		text = text[len(before)+1:]
	}
}

// A letter before an address belongs to it, unless it is the end of an escape such
// as %20 or \n in a text that nobody has decoded; so does a domain's next label.
var (
	inAddress = regexp.MustCompile(`[\pL\pN][._+-]*$`)
	escaped   = regexp.MustCompile(`(%[0-9a-f]{2}|\\[a-z]|\\u[0-9a-f]{4})$`)
	goesOn    = regexp.MustCompile(`^[_-]*[\pL\pN]|^\.[\pL\pN]`)
)

func (s Search) in(v Value, byEmail, byName *bool) {
	if text, ok := v.node.(string); ok {
		s.text(text, byEmail, byName)
	}
	for _, e := range v.List() {
		s.in(e, byEmail, byName)
	}
	var words []string // of the members that are texts
	for _, name := range v.Names() {
		member := v.Get(name)
		s.text(name, byEmail, byName)
		s.in(member, byEmail, byName)
		if text, ok := member.node.(string); ok {
			words = append(words, strings.Fields(normal(text))...)
		}
	}
	for _, name := range s.names {
		*byName = *byName || len(name) > 1 && holdsAll(words, name)
	}
}

func holdsAll(words, name []string) bool {
	for _, w := range name {
		if !slices.Contains(words, w) {
			return false
		}
	}
	return true
}

// IsEmail reports whether s is an e-mail address; see [Reader.Email].
func IsEmail(s string) bool { return isEmail(s) }

// SameEmail reports whether two texts are one e-mail address.
func SameEmail(a, b string) bool { return normal(a) == normal(b) }
