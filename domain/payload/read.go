package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// A Reader reads fields out of a document and remembers the first thing that was
// wrong and everything that was odd, so that translations read as a list of
// fields. What an event cannot do without is an error, which quarantines the
// delivery; what it can do without is read by the Try methods, which leave it out
// and flag it.
type Reader struct {
	err   error
	flags []string // in the order in which they were noted, each once
}

// Err returns the first error, a [*domain.FieldError], or nil.
func (r *Reader) Err() error { return r.err }

// Fail records that v is wrong, unless something was wrong before.
func (r *Reader) Fail(v Value, format string, args ...any) {
	if r.err == nil {
		r.err = &domain.FieldError{Field: v.Path(), Reason: fmt.Sprintf(format, args...)}
	}
}

// Text returns the text of a string, number or boolean as it was sent, and ""
// for null and for what is not there. Anything else is an error.
func (r *Reader) Text(v Value) string {
	switch n := v.node.(type) {
	case nil:
		return ""
	case string:
		return n
	case json.Number:
		return n.String()
	case bool:
		return fmt.Sprint(n)
	case misplaced:
		r.Fail(v, "is in something that is no object")
	}
	r.Fail(v, "is not a text")
	return ""
}

// Label returns the text of v without white space around it.
func (r *Reader) Label(v Value) string { return strings.TrimSpace(r.Text(v)) }

// ID returns the text of an id and fails if it is missing. Every digit of a
// number is kept. A number with a fraction or an exponent is no id.
func (r *Reader) ID(v Value) string {
	id := r.OptionalID(v)
	if id == "" {
		r.Fail(v, "is missing")
	}
	return id
}

// OptionalID returns the text of an id, and "" if there is none. What held bytes
// that are not UTF-8 is no id: two of them would read the same.
func (r *Reader) OptionalID(v Value) string {
	switch n := v.node.(type) {
	case bool:
		r.Fail(v, "is not an id")
		return ""
	case json.Number:
		if strings.ContainsAny(n.String(), ".eE") {
			r.Fail(v, "is not an id")
		}
	case string:
		if strings.ContainsRune(n, utf8.RuneError) {
			r.Fail(v, "is not an id: it has bytes that are not UTF-8")
		}
	}
	return r.Label(v)
}

// Decimal returns an exact number, sent as a number or as text, and fails if it
// is missing.
func (r *Reader) Decimal(v Value) decimal.Decimal {
	d := r.OptionalDecimal(v)
	if d == nil {
		r.Fail(v, "is missing")
		return decimal.Decimal{}
	}
	return *d
}

// OptionalDecimal returns an exact number, and nil for null, "" and what is not
// there. A thousands separator or a currency sign makes it no number.
func (r *Reader) OptionalDecimal(v Value) *decimal.Decimal {
	text := r.Label(v)
	if text == "" {
		return nil
	}
	d, err := parseDecimal(text)
	if err != nil {
		r.Fail(v, "%s", err)
		return nil
	}
	return &d
}

// OptionalGrouped is [Reader.OptionalDecimal] for a sender whose texts have a
// separator between thousands: "," as in 1,180.50 or "." as in 1.180,50. The other
// one is then the decimal separator. Empty: there is none. A number that is no text
// is read as it is.
func (r *Reader) OptionalGrouped(v Value, thousands string) *decimal.Decimal {
	text, isText := v.node.(string)
	text = strings.TrimSpace(text)
	if !isText || thousands == "" || text == "" {
		return r.OptionalDecimal(v)
	}
	d, err := parseDecimal(ungroup(text, thousands))
	if err != nil {
		r.Fail(v, "is not a number with %q between thousands", thousands)
		return nil
	}
	return &d
}

// Separators that can stand between thousands.
const (
	ThousandsComma = ","
	ThousandsPoint = "."
)

var (
	commaGrouped = regexp.MustCompile(`^-?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]+)?$`)
	pointGrouped = regexp.MustCompile(`^-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?$`)
)

// ungroup returns a number as JSON writes it, and "" if its separators are not
// where they belong.
func ungroup(text, thousands string) string {
	switch {
	case thousands == ThousandsComma && commaGrouped.MatchString(text):
		return strings.ReplaceAll(text, ",", "")
	case thousands == ThousandsPoint && pointGrouped.MatchString(text):
		return strings.NewReplacer(".", "", ",", ".").Replace(text)
	}
	return ""
}

// DecimalOrZero is [Reader.OptionalDecimal] with zero for none.
func (r *Reader) DecimalOrZero(v Value) decimal.Decimal {
	if d := r.OptionalDecimal(v); d != nil {
		return *d
	}
	return decimal.Decimal{}
}

// parseDecimal accepts the grammar of a JSON number, which is what every
// provider documents, and nothing else.
func parseDecimal(text string) (decimal.Decimal, error) {
	if !jsonNumber(text) {
		return decimal.Decimal{}, errors.New("is not a plain number")
	}
	if len(text) > 100 {
		return decimal.Decimal{}, fmt.Errorf("has more than %d digits", domain.MaxDigits)
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Decimal{}, errors.New("is not a number that can be held")
	}
	return d, domain.CheckDecimal(d)
}

func jsonNumber(s string) bool {
	digits := func() bool {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		s = s[n:]
		return n > 0
	}
	s = strings.TrimPrefix(s, "-")
	zero := strings.HasPrefix(s, "0")
	if rest := s; !digits() || zero && len(rest)-len(s) > 1 {
		return false
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		s = rest
		if !digits() {
			return false
		}
	}
	if len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}

// timeLayouts are the forms in which the providers' samples and documents give
// a moment. A moment without a zone is taken as UTC. UTC and GMT are the only
// zones read by name: the others mean different things in different places.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05 UTC",
	"2006-01-02 15:04:05 GMT",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05",
	time.DateOnly,
}

// Time returns a moment in UTC, cut to microseconds, and the zero time for
// null, "" and what is not there. The year 1, with which .NET says "none", is
// none too.
func (r *Reader) Time(v Value) time.Time {
	text := r.Label(v)
	if text == "" {
		return time.Time{}
	}
	t, err := ParseTime(text)
	if err != nil {
		r.Fail(v, "%s", err)
	}
	return t
}

// ParseTime returns the moment that text names; see [Reader.Time].
func ParseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		none := t.Year() == 1 // as written, whatever the offset
		t = t.UTC().Truncate(time.Microsecond)
		switch {
		case none:
			return time.Time{}, nil
		case t.Year() < 2 || t.Year() > 9999:
			return time.Time{}, errors.New("is outside the years 2 to 9999")
		}
		return t, nil
	}
	return time.Time{}, errors.New("is not a date or a time")
}

// ParseUnix returns the moment that text names in seconds since 1970, and whether
// it does. Nothing before 1970 or after 2199 is taken for seconds, so that
// milliseconds are not.
func ParseUnix(text string) (t time.Time, ok bool) {
	const year2200 = 7258118400
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 || seconds >= year2200 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0).UTC(), true
}

// DateOnly reports whether v is a date without a time of day.
func (v Value) DateOnly() bool {
	s, _ := v.node.(string)
	_, err := time.Parse(time.DateOnly, strings.TrimSpace(s))
	return err == nil
}

// Yes returns whether v says yes, and whether it says either. true, "true",
// "yes" and "1" are yes; false, "false", "no" and "0" are no; letters of any
// case.
func (r *Reader) Yes(v Value) (yes, said bool) {
	switch word := strings.ToLower(r.Label(v)); {
	case slices.Contains([]string{"true", "yes", "1"}, word):
		return true, true
	case slices.Contains([]string{"false", "no", "0"}, word):
		return false, true
	case word == "" || word == "null":
		return false, false
	}
	r.Fail(v, "is neither yes nor no")
	return false, false
}

// Key joins the parts of a deduplication key. Each part is escaped, so that
// different parts never make the same key; a long key is cut by the log to its
// hash.
func Key(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = escape(p)
	}
	return strings.Join(escaped, "/")
}

// escape percent-encodes everything but printable ASCII, and "/" and "%".
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '/' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
