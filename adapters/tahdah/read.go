package tahdah

import (
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
	d *delivery
}

func (d *delivery) reader() *reader { return &reader{d: d} }

// maxOdd is how many fields of one delivery are named as odd.
const maxOdd = 8

// odd flags v as a field that was left out.
func (r *reader) odd(v payload.Value) {
	n := 0
	for _, f := range r.d.Flags {
		if strings.HasPrefix(f, "odd-field:") {
			n++
		}
	}
	if n < maxOdd {
		r.d.Flags = append(r.d.Flags, "odd-field:"+v.Path())
	}
}

// tryText returns free text, or "" if it is none.
func (r *reader) tryText(v payload.Value) domain.Personal {
	var try payload.Reader
	s := try.Text(v)
	if try.Err() != nil || len(s) > domain.MaxTextBytes {
		r.odd(v)
		return ""
	}
	return domain.Personal(s)
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

// list returns the elements of a list, which may be absent and must not be
// anything else.
func (r *reader) list(v payload.Value) []payload.Value {
	if v.Exists() && !v.IsList() {
		r.Fail(v, "is not a list")
	}
	return v.List()
}

// object fails if v is something else than an object or nothing.
func (r *reader) object(v payload.Value) payload.Value {
	if v.Exists() && !v.IsObject() {
		r.Fail(v, "is not an object")
	}
	return v
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
