package domain

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// A wireForm reads the data of one event type as [Encode] writes it, in one pass
// and without encoding it again to compare.
//
// It is only ever a short cut. What it takes is in the wire form, and gives the
// event that encoding/json gives; what it does not take may be in the wire form
// all the same (a text with an escape, a number of too many digits) and is decoded and
// compared in the long way, which also says what is wrong. So it can refuse what it
// does not care to know, and must never take what Encode does not write.
type wireForm struct {
	read  func(r *wire, v reflect.Value) bool
	empty func(v reflect.Value) bool // reports whether omitempty leaves v out; nil: it never does
	zero  func(v reflect.Value) bool // reports whether omitzero does
}

// A wireField is one member of an object.
type wireField struct {
	key   []byte // "name":
	index []int
	wireForm
	omit func(v reflect.Value) bool // reports whether Encode leaves it out; nil: never
}

// A wire is the bytes that are left to read.
type wire struct{ rest []byte }

// eat reports whether the next bytes are those given, and goes past them if so.
func (r *wire) eat(b []byte) bool {
	if !bytes.HasPrefix(r.rest, b) {
		return false
	}
	r.rest = r.rest[len(b):]
	return true
}

func (r *wire) eatByte(c byte) bool {
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// plain says which bytes stand for themselves in a JSON string of ASCII.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text reads a string without escapes.
func (r *wire) text() ([]byte, bool) {
	if !r.eatByte('"') {
		return nil, false
	}
	i := 0
	for i < len(r.rest) && plain[r.rest[i]] {
		i++
	}
	if i < len(r.rest) && r.rest[i] >= utf8.RuneSelf {
		i = bytes.IndexAny(r.rest, `"\`)
		// Encode writes these two line separators, and what is no UTF-8, as escapes.
		if i < 0 || !utf8.Valid(r.rest[:i]) || bytes.Contains(r.rest[:i], []byte("\u2028")) || bytes.Contains(r.rest[:i], []byte("\u2029")) ||
			bytes.ContainsFunc(r.rest[:i], func(c rune) bool { return c < 0x20 }) {
			return nil, false
		}
	}
	if i >= len(r.rest) || r.rest[i] != '"' {
		return nil, false
	}
	text := r.rest[:i]
	r.rest = r.rest[i+1:]
	return text, true
}

// wireDigits is how many digits are sure to fit an int64.
const wireDigits = 18

// number reads a decimal as [decimal.Decimal]'s String gives it.
func (r *wire) number() (d decimal.Decimal, ok bool) {
	text, ok := r.text()
	if !ok {
		return d, false
	}
	all, negative := text, len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	whole, fraction, point := bytes.Cut(text, []byte("."))
	digits := len(whole) + len(fraction)
	switch {
	case len(whole) == 0, len(whole) > 1 && whole[0] == '0', digits > MaxDigits:
		return d, false
	case point && (len(fraction) == 0 || fraction[len(fraction)-1] == '0'):
		return d, false
	}
	var n int64
	for _, part := range [2][]byte{whole, fraction} {
		for _, c := range part {
			if c < '0' || c > '9' {
				return d, false
			}
			n = 10*n + int64(c-'0')
		}
	}
	if digits > wireDigits {
		d, err := decimal.NewFromString(string(all))
		return d, err == nil && !d.IsZero()
	}
	if negative {
		if n == 0 {
			return d, false
		}
		n = -n
	}
	return decimal.New(n, -int32(len(fraction))), true //nolint:gosec // there are wireDigits at most
}

// moment reads a time in UTC as [time.Time] encodes it.
func (r *wire) moment() (t time.Time, ok bool) {
	text, ok := r.text()
	if !ok || len(text) < len("2006-01-02T15:04:05Z") || len(text) > len("2006-01-02T15:04:05.999999999Z") || text[len(text)-1] != 'Z' {
		return t, false
	}
	var n [6]int
	at := 0
	for i, width := range [6]int{4, 2, 2, 2, 2, 2} {
		for range width {
			c := text[at]
			if c < '0' || c > '9' {
				return t, false
			}
			n[i] = 10*n[i] + int(c-'0')
			at++
		}
		if i < 5 {
			if text[at] != "--T::"[i] {
				return t, false
			}
			at++
		}
	}
	nanos := 0
	if fraction := text[at : len(text)-1]; len(fraction) > 0 {
		if fraction[0] != '.' || len(fraction) < 2 || fraction[len(fraction)-1] == '0' {
			return t, false
		}
		unit := 100_000_000
		for _, c := range fraction[1:] {
			if c < '0' || c > '9' {
				return t, false
			}
			nanos += unit * int(c-'0')
			unit /= 10
		}
	}
	t = time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], nanos, time.UTC)
	// A 31st of June would come out as the 1st of July.
	year, month, day := t.Date()
	return t, year == n[0] && int(month) == n[1] && day == n[2] && n[3] < 24 && n[4] < 60 && n[5] < 60
}

// personal reads the personal part of e, which must be all that is left.
func (r *wire) personal(e interface{ personal(personalVisitor) }) bool {
	ok, first := r.eatByte('{'), true
	e.personal(func(path string, _ DataSubject, p *Personal) {
		rest := r.rest
		*p = ""
		if !ok || !first && !r.eatByte(',') {
			return
		}
		if !r.eatByte('"') || len(r.rest) < len(path) || string(r.rest[:len(path)]) != path {
			r.rest = rest
			return
		}
		r.rest = r.rest[len(path):]
		if !r.eatByte('"') {
			r.rest = rest
			return
		}
		var text []byte
		if ok = r.eatByte(':'); ok {
			text, ok = r.text()
		}
		ok, first = ok && len(text) > 0, false
		*p = Personal(text)
	})
	return ok && !first && r.eatByte('}') && len(r.rest) == 0
}

// readWire returns the function that reads the wire form of the events of type E,
// and reports whether it took it. It is nil for a type that has a part which
// nobody has described here.
func readWire[E Event]() func(data, personal []byte) (E, bool) {
	form, ok := wireFormOf(reflect.TypeFor[E]())
	if !ok {
		return nil
	}
	return func(data, personal []byte) (E, bool) {
		var e E
		r := wire{data}
		if !form.read(&r, reflect.ValueOf(&e).Elem()) || len(r.rest) > 0 {
			return e, false
		}
		if len(personal) == 0 {
			return e, true
		}
		r.rest = personal
		v, ok := any(&e).(interface{ personal(personalVisitor) })
		return e, ok && r.personal(v)
	}
}

var (
	decimalType  = reflect.TypeFor[decimal.Decimal]()
	timeType     = reflect.TypeFor[time.Time]()
	personalType = reflect.TypeFor[Personal]()
)

// wireFormOf returns how values of type t are read, and whether that is known.
func wireFormOf(t reflect.Type) (wireForm, bool) {
	isZero := func(v reflect.Value) bool { return v.IsZero() }
	switch {
	case t == decimalType:
		return wireForm{func(r *wire, v reflect.Value) bool {
			d, ok := r.number()
			*v.Addr().Interface().(*decimal.Decimal) = d
			return ok
		}, nil, func(v reflect.Value) bool { return v.Addr().Interface().(*decimal.Decimal).IsZero() }}, true
	case t == timeType:
		return wireForm{func(r *wire, v reflect.Value) bool {
			at, ok := r.moment()
			*v.Addr().Interface().(*time.Time) = at
			return ok
		}, nil, func(v reflect.Value) bool { return v.Addr().Interface().(*time.Time).IsZero() }}, true
	case t.Kind() != reflect.Pointer && encodesItself(t):
		return wireForm{}, false
	}
	switch t.Kind() {
	case reflect.String:
		return wireForm{func(r *wire, v reflect.Value) bool {
			text, ok := r.text()
			v.SetString(string(text))
			return ok
		}, isZero, isZero}, true
	case reflect.Bool:
		return wireForm{func(r *wire, v reflect.Value) bool {
			yes := r.eat([]byte("true"))
			v.SetBool(yes)
			return yes || r.eat([]byte("false"))
		}, isZero, isZero}, true
	case reflect.Int, reflect.Int64:
		return wireForm{readInt, isZero, isZero}, true
	case reflect.Pointer:
		elem, ok := wireFormOf(t.Elem())
		return wireForm{func(r *wire, v reflect.Value) bool {
			v.Set(reflect.New(t.Elem()))
			return elem.read(r, v.Elem())
		}, isZero, isZero}, ok
	case reflect.Slice:
		elem, ok := wireFormOf(t.Elem())
		empty := func(v reflect.Value) bool { return v.Len() == 0 }
		return wireForm{func(r *wire, v reflect.Value) bool { return readList(r, v, elem) }, empty, isZero}, ok
	case reflect.Struct:
		return wireFormOfStruct(t)
	}
	return wireForm{}, false
}

// encodesItself reports whether encoding/json leaves t to its own methods.
func encodesItself(t reflect.Type) bool {
	for _, method := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if t.Implements(method) || reflect.PointerTo(t).Implements(method) {
			return true
		}
	}
	return false
}

func readInt(r *wire, v reflect.Value) bool {
	i, n := 0, int64(0)
	for ; i < len(r.rest) && i <= wireDigits && '0' <= r.rest[i] && r.rest[i] <= '9'; i++ {
		n = 10*n + int64(r.rest[i]-'0')
	}
	if i == 0 || i > wireDigits || i > 1 && r.rest[0] == '0' || v.OverflowInt(n) {
		return false
	}
	v.SetInt(n)
	r.rest = r.rest[i:]
	return true
}

func readList(r *wire, v reflect.Value, elem wireForm) bool {
	if !r.eatByte('[') {
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 1))
	for n := 0; !r.eatByte(']'); n++ {
		if n > 0 && !r.eatByte(',') {
			return false
		}
		v.Grow(1)
		v.SetLen(n + 1)
		if !elem.read(r, v.Index(n)) {
			return false
		}
	}
	return true
}

func wireFormOfStruct(t reflect.Type) (wireForm, bool) {
	fields, ok := wireFields(t, nil)
	names := make(map[string]bool)
	for _, f := range fields {
		if names[string(f.key)] { // which of two counts is encoding/json's to say
			return wireForm{}, false
		}
		names[string(f.key)] = true
	}
	form := wireForm{read: func(r *wire, v reflect.Value) bool { return readObject(r, v, fields) }}
	switch {
	case t.Implements(reflect.TypeFor[interface{ IsZero() bool }]()):
		form.zero = func(v reflect.Value) bool { return v.Interface().(interface{ IsZero() bool }).IsZero() }
	case !holdsPersonal(t): // else it is not zero before its personal part is read
		form.zero = func(v reflect.Value) bool { return v.IsZero() }
	}
	return form, ok
}

func readObject(r *wire, v reflect.Value, fields []wireField) bool {
	if !r.eatByte('{') {
		return false
	}
	first := true
	for i := range fields {
		f := &fields[i]
		rest := r.rest
		if !first && !r.eatByte(',') || !r.eat(f.key) {
			r.rest = rest
			if f.omit == nil {
				return false
			}
			continue
		}
		first = false
		at := v.FieldByIndex(f.index)
		if !f.read(r, at) || f.omit != nil && f.omit(at) {
			return false
		}
	}
	return r.eatByte('}')
}

// wireFields returns the members of an object in the order in which encoding/json
// writes them: that of their declaration, those of embedded structs in their place.
func wireFields(t reflect.Type, index []int) (fields []wireField, ok bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		tag, tagged := f.Tag.Lookup("json")
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct && !encodesItself(f.Type):
			inner, ok := wireFields(f.Type, at)
			if !ok {
				return nil, false
			}
			fields = append(fields, inner...)
			continue
		case f.Anonymous || !tagged || f.Type == personalType:
			return nil, false
		}
		name, options, _ := strings.Cut(tag, ",")
		form, ok := wireFormOf(f.Type)
		if !ok || name == "" {
			return nil, false
		}
		field := wireField{key: []byte(`"` + name + `":`), index: at, wireForm: form}
		switch options {
		case "":
		case "omitempty":
			field.omit = form.empty
		case "omitzero":
			if field.omit = form.zero; field.omit == nil {
				return nil, false
			}
		default:
			return nil, false
		}
		fields = append(fields, field)
	}
	return fields, true
}

// holdsPersonal reports whether a value of type t can hold personal text.
func holdsPersonal(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsPersonal(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsPersonal(t.Field(i).Type) {
				return true
			}
		}
	}
	return t == personalType
}
