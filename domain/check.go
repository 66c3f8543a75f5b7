package domain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// Limits of what an event can hold. What exceeds them is quarantined with its
// delivery, never cut or rounded.
const (
	MaxIDBytes   = 255     // ids, names of things, statuses: they become keys
	MaxTextBytes = 1 << 16 // free text
	MaxDigits    = 38      // of an amount or a quantity, as SQL's widest numeric
	MaxScale     = 18      // digits behind the decimal point
)

// A FieldError says which field of an event or a delivery is wrong, and why.
type FieldError struct {
	Field  string // path of the field, such as "lines/0/amount"
	Reason string // lower case, such as "is missing"
}

// Error returns "field reason".
func (e *FieldError) Error() string { return e.Field + " " + e.Reason }

// check collects the first thing that is wrong with an event.
type check struct {
	err   error
	list  string // what is checked is within an element of this list; "": it is not
	index int
}

func (c *check) fail(field, format string, args ...any) {
	if c.list != "" {
		field = strings.TrimSuffix(element(c.list, c.index, field), "/")
	}
	if c.err == nil {
		c.err = &FieldError{field, fmt.Sprintf(format, args...)}
	}
}

// in has what is checked next be within element i of a list, or be the element if
// it has no name; "" ends that.
func (c *check) in(list string, i int) { c.list, c.index = list, i }

// element returns the path of a field of an element of a list.
func element(list string, i int, field string) string {
	return list + "/" + strconv.Itoa(i) + "/" + field
}

// isPlain reports whether s is printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// id wants a text that can be a key: present, short, printable.
func (c *check) id(field, s string) {
	if s == "" {
		c.fail(field, "is missing")
	}
	c.label(field, s)
}

// label wants a text that can be a key, or none.
func (c *check) label(field, s string) {
	switch {
	case len(s) <= MaxIDBytes && isPlain(s): // nearly all are
	case len(s) > MaxIDBytes:
		c.fail(field, "has %d bytes, more than %d", len(s), MaxIDBytes)
	case !utf8.ValidString(s):
		c.fail(field, "is not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		c.fail(field, "has a control character")
	}
}

// Label returns what a sender wrote as a text that can be a key: without control
// characters, bad bytes as U+FFFD, and cut to the limit.
func Label(s string) string {
	// What is cut off later need not be looked at first.
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), 8*MaxIDBytes)], "\uFFFD"))
	if len(s) > MaxIDBytes {
		s = strings.ToValidUTF8(s[:MaxIDBytes], "")
	}
	return s
}

// text wants free text, or none.
func (c *check) text(field, s string) {
	switch {
	case len(s) <= MaxTextBytes && isPlain(s): // nearly all are
	case len(s) > MaxTextBytes:
		c.fail(field, "has %d bytes, more than %d", len(s), MaxTextBytes)
	case !utf8.ValidString(s):
		c.fail(field, "is not UTF-8")
	case strings.ContainsRune(s, 0):
		c.fail(field, "has a NUL, which PostgreSQL's text cannot hold")
	}
}

// oneOf wants s to be among the allowed words.
func (c *check) oneOf(field, s string, allowed ...string) {
	for _, a := range allowed {
		if s == a {
			return
		}
	}
	c.fail(field, "is none of %s", strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
}

// number wants an amount or quantity within the limits.
func (c *check) number(field string, d decimal.Decimal) {
	if err := CheckDecimal(d); err != nil {
		c.fail(field, "%s", err)
	}
}

// time wants a moment that every part of the system can hold: a year from 1 to
// 9999, UTC, no fraction below the microsecond. The zero time is none.
func (c *check) time(field string, t time.Time) {
	if t.IsZero() {
		return
	}
	if !t.Equal(t.Truncate(time.Microsecond)) || t.Location() != time.UTC {
		c.fail(field, "is not in UTC and whole microseconds")
	}
	if err := CheckTime(t); err != nil {
		c.fail(field, "%s", err)
	}
}

// CheckTime reports whether t, in UTC, is within the years that every part of
// the system can hold.
func CheckTime(t time.Time) error {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return fmt.Errorf("has the year %d", y)
	}
	return nil
}

// CheckDecimal reports whether d is within [MaxDigits] and [MaxScale].
func CheckDecimal(d decimal.Decimal) error {
	exp := int(d.Exponent())
	switch {
	case -MaxScale <= exp && exp <= 0 && d.NumDigits() <= MaxDigits-MaxScale:
		return nil // as nearly all are: too few digits to be too many
	// A positive exponent stands for that many zeros; look before they are written out.
	case exp > MaxDigits:
		return fmt.Errorf("has more than %d digits", MaxDigits)
	case exp < -10*MaxScale:
		return fmt.Errorf("has more than %d digits behind the point", MaxScale)
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(d.String(), "-"), ".")
	switch {
	case len(fraction) > MaxScale:
		return fmt.Errorf("has more than %d digits behind the point", MaxScale)
	case len(strings.TrimLeft(whole, "0"))+len(fraction) > MaxDigits:
		return fmt.Errorf("has more than %d digits", MaxDigits)
	}
	return nil
}

// personals checks every personal field of e as free text.
func (c *check) personals(e interface{ personal(personalVisitor) }) {
	e.personal(func(path string, _ DataSubject, p *Personal) { c.personal(path, *p) })
}

// sealedPrefix begins every sealed text; see the package seal.
const sealedPrefix = "sealed."

// personal wants free text, or such a text in its sealed form, which is longer.
func (c *check) personal(field string, p Personal) {
	if strings.HasPrefix(string(p), sealedPrefix) && len(p) <= 2*MaxTextBytes && utf8.ValidString(string(p)) && !strings.ContainsRune(string(p), 0) {
		return
	}
	c.text(field, string(p))
}
