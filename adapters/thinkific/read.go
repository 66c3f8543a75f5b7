package thinkific

import (
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// A reader reads one fact. What the fact cannot do without is read by the
// embedded Reader: an error there quarantines the delivery. What it can do
// without is read by the try methods: what cannot be read is left out, and
// the delivery is flagged.
type reader struct {
	payload.Reader
	flags []string
}

// flag notes that something odd was tolerated.
func (r *reader) flag(flags ...string) {
	for _, f := range flags {
		if !slices.Contains(r.flags, f) {
			r.flags = append(r.flags, f)
		}
	}
}

// maxOdd is how many fields of one delivery are named as odd.
const maxOdd = 8

// odd flags v as a field that was left out.
func (r *reader) odd(v payload.Value) {
	n := 0
	for _, f := range r.flags {
		if strings.HasPrefix(f, "odd-field:") {
			n++
		}
	}
	if n < maxOdd {
		r.flag("odd-field:" + v.Path())
	}
}

// tryText returns free text, or "" if it is none.
func (r *reader) tryText(v payload.Value) string {
	var try payload.Reader
	s := try.Text(v)
	if try.Err() != nil || len(s) > domain.MaxTextBytes {
		r.odd(v)
		return ""
	}
	return s
}

// tryLabel returns a text that can be a key, or "" if it is none.
func (r *reader) tryLabel(v payload.Value) string {
	var try payload.Reader
	s := try.Label(v)
	if try.Err() != nil || s != label(s) {
		r.odd(v)
		return ""
	}
	return s
}

// tryTime returns a moment, or the zero time if it is none.
func (r *reader) tryTime(v payload.Value) time.Time {
	var try payload.Reader
	t := try.Time(v)
	if try.Err() != nil {
		r.odd(v)
		return time.Time{}
	}
	return t
}

// tryYes reports whether v says yes.
func (r *reader) tryYes(v payload.Value) bool {
	var try payload.Reader
	yes, _ := try.Yes(v)
	if try.Err() != nil {
		r.odd(v)
	}
	return yes
}

// list returns the elements of a list, which may be absent and must not be
// anything else.
func (r *reader) list(v payload.Value) []payload.Value {
	if v.Exists() && !v.IsList() {
		r.Fail(v, "is not a list")
	}
	return v.List()
}

// until returns the last moment of a period; a bare date counts to its end.
func (r *reader) until(v payload.Value) time.Time { return endOfDay(r.Time(v), v) }

// tryUntil is [reader.until] for a period that can be left out.
func (r *reader) tryUntil(v payload.Value) time.Time { return endOfDay(r.tryTime(v), v) }

func endOfDay(t time.Time, v payload.Value) time.Time {
	if !t.IsZero() && v.DateOnly() {
		t = t.Add(24*time.Hour - time.Second)
	}
	return t
}

// name returns the first and last name of a person.
func (r *reader) name(v payload.Value) domain.Personal {
	return domain.Personal(strings.TrimSpace(
		strings.TrimSpace(r.tryText(v.Get("first_name"))) + " " + strings.TrimSpace(r.tryText(v.Get("last_name")))))
}

// email returns an e-mail address. It becomes part of an identity, so what is
// no address is left out and flagged.
func (r *reader) email(v payload.Value) domain.Personal {
	s := strings.TrimSpace(r.tryText(v))
	if s == "" {
		return ""
	}
	address, err := mail.ParseAddress(s)
	if err != nil || address.Address != s || !strings.Contains(s, "@") {
		r.flag(flagEmail)
		return ""
	}
	return domain.Personal(s)
}

// learner returns the person that a payload is about; the id is needed.
func (r *reader) learner(user payload.Value) domain.Learner {
	return domain.Learner{
		Person: r.ID(user.Get("id")),
		Name:   r.name(user),
		Email:  r.email(user.Get("email")),
	}
}

// label returns s as a text that can be a key: without control characters, and
// cut to the limit.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > domain.MaxIDBytes {
		s = strings.ToValidUTF8(s[:domain.MaxIDBytes], "")
	}
	return s
}
