package payload

import (
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// Flags of fields that were left out of a fact.
const (
	FlagBadEmail = "bad-email"  // an e-mail that is no address, or a masked one
	flagOddField = "odd-field:" // and its path: it cannot be read, and is not needed
)

// maxOdd is how many fields of one delivery are named as odd.
const maxOdd = 8

// Flag notes that something odd was tolerated.
func (r *Reader) Flag(flags ...string) {
	for _, f := range flags {
		if !slices.Contains(r.flags, f) {
			r.flags = append(r.flags, f)
		}
	}
}

// Flagged returns what was noted, sorted and each once; nil if nothing was.
func (r *Reader) Flagged() []string { return slices.Sorted(slices.Values(r.flags)) }

// Odd flags v as a field that was left out.
func (r *Reader) Odd(v Value) {
	n := 0
	for _, f := range r.flags {
		if strings.HasPrefix(f, flagOddField) {
			n++
		}
	}
	if n < maxOdd {
		r.Flag(flagOddField + v.Path())
	}
}

// try is behind all Try methods, which read what a fact can do without: it
// returns what read makes of v or, if read fails, flags v as odd and returns the
// zero value. Nothing becomes an error.
func try[T any](r *Reader, v Value, read func(*Reader, Value) T) T {
	var scratch Reader
	got := read(&scratch, v)
	if scratch.err != nil {
		r.Odd(v)
		var none T
		return none
	}
	return got
}

// TryText returns free text, or "" if it is none.
func (r *Reader) TryText(v Value) string {
	return try(r, v, func(r *Reader, v Value) string {
		s := r.Text(v)
		if len(s) > domain.MaxTextBytes {
			r.Fail(v, "is too long")
		}
		return s
	})
}

// TryLabel returns a text that can be a key, or "" if it is none.
func (r *Reader) TryLabel(v Value) string {
	return try(r, v, func(r *Reader, v Value) string {
		s := r.Label(v)
		if !IsLabel(s) {
			r.Fail(v, "cannot be a key")
		}
		return s
	})
}

// TryID returns an id that can be a key, or "" if it is none.
func (r *Reader) TryID(v Value) string {
	return try(r, v, func(r *Reader, v Value) string {
		id := r.OptionalID(v)
		if !IsLabel(id) {
			r.Fail(v, "cannot be a key")
		}
		return id
	})
}

// TryTime returns a moment, or the zero time if it is none.
func (r *Reader) TryTime(v Value) time.Time { return try(r, v, (*Reader).Time) }

// TryDecimal returns a number, or zero if it is none.
func (r *Reader) TryDecimal(v Value) decimal.Decimal { return try(r, v, (*Reader).DecimalOrZero) }

// TryYes reports whether v says yes.
func (r *Reader) TryYes(v Value) bool {
	return try(r, v, func(r *Reader, v Value) bool {
		yes, _ := r.Yes(v)
		return yes
	})
}

// Until returns the last moment of a period. A bare date counts to its last
// microsecond in UTC, as it does in a question as of that date.
func (r *Reader) Until(v Value) time.Time {
	t := r.Time(v)
	if !t.IsZero() && v.DateOnly() {
		t = t.AddDate(0, 0, 1).Add(-time.Microsecond)
	}
	return t
}

// TryUntil is [Reader.Until] for a period that can be left out.
func (r *Reader) TryUntil(v Value) time.Time {
	return try(r, v, (*Reader).Until)
}

// Elements returns the elements of a list, which may be absent and must not be
// anything else.
func (r *Reader) Elements(v Value) []Value {
	if v.Exists() && !v.IsList() {
		r.Fail(v, "is not a list")
	}
	return v.List()
}

// Object returns v, and fails if it is something else than an object or nothing.
func (r *Reader) Object(v Value) Value {
	if v.Exists() && !v.IsObject() {
		r.Fail(v, "is not an object")
	}
	return v
}

// Email returns text, without white space around it, if it is an e-mail address,
// and flags it otherwise. An address becomes part of an identity, so a masked one
// is none: the same mask stands for many people.
func (r *Reader) Email(text string) domain.Personal {
	text = strings.TrimSpace(text)
	if text != "" && !isEmail(text) {
		r.Flag(FlagBadEmail)
		return ""
	}
	return domain.Personal(text)
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || strings.Contains(s, "*") {
		return false
	}
	_, host, _ := strings.Cut(s, "@")
	return strings.Contains(host, ".") && !strings.HasPrefix(host, "[")
}

// IsLabel reports whether s can be a key, or is empty.
func IsLabel(s string) bool { return s == domain.Label(s) }
