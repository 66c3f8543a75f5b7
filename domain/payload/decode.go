package payload

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// A decoder reads one JSON document (RFC 8259) into nodes: object, []any,
// string, json.Number, bool and nil. It takes and gives what the standard
// library does, which a test holds it to, in a fraction of the time, and notices
// a member that is there twice.
type decoder struct {
	in    string
	at    int  // what is before it was read
	valid bool // in is UTF-8
	twice bool // a member was there twice
}

// An object is a JSON object; member order does not matter to any reader.
type object map[string]any

func (d *decoder) document() (any, error) {
	if _, more := d.peek(); !more {
		return nil, &domain.FieldError{Field: "body", Reason: "is empty"}
	}
	node, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, more := d.peek(); more {
		return nil, &domain.FieldError{Field: "body", Reason: "goes on after the document"}
	}
	return node, nil
}

// peek passes over white space and returns the byte after it, unless the
// document ends there.
func (d *decoder) peek() (c byte, more bool) {
	for ; d.at < len(d.in); d.at++ {
		if c := d.in[d.at]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, true
		}
	}
	return 0, false
}

// unexpected says that what is at d.at, or the end, must not be there.
func (d *decoder) unexpected() error {
	if d.at == len(d.in) {
		return &domain.FieldError{Field: "body", Reason: "ends early"}
	}
	return &domain.FieldError{Field: "body", Reason: fmt.Sprintf("is not JSON: unexpected %q at byte %d", rune(d.in[d.at]), d.at)}
}

func (d *decoder) value(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, &domain.FieldError{Field: "body", Reason: fmt.Sprintf("is nested deeper than %d", MaxDepth)}
	}
	switch c, _ := d.peek(); c {
	case '{':
		return d.object(depth)
	case '[':
		return d.list(depth)
	case '"':
		return d.text()
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		return nil, d.word("null")
	}
	return d.number()
}

func (d *decoder) object(depth int) (any, error) {
	o := make(object)
	for more := d.begin('}'); more; {
		if c, _ := d.peek(); c != '"' {
			return nil, d.unexpected()
		}
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if c, _ := d.peek(); c != ':' {
			return nil, d.unexpected()
		}
		d.at++
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if _, twice := o[name]; twice {
			d.twice = true
		}
		o[name] = v
		if more, err = d.next('}'); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (d *decoder) list(depth int) (any, error) {
	l := []any{}
	for more := d.begin(']'); more; {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
		if more, err = d.next(']'); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// begin passes over the bracket before the first element, and reports whether
// there is one.
func (d *decoder) begin(end byte) (more bool) {
	d.at++
	if c, _ := d.peek(); c == end {
		d.at++
		return false
	}
	return true
}

// next passes over what is behind an element, and reports whether another
// follows.
func (d *decoder) next(end byte) (more bool, err error) {
	switch c, _ := d.peek(); c {
	case ',':
		d.at++
		return true, nil
	case end:
		d.at++
		return false, nil
	}
	return false, d.unexpected()
}

func (d *decoder) word(w string) error {
	for i := range len(w) {
		if d.at == len(d.in) || d.in[d.at] != w[i] {
			return d.unexpected()
		}
		d.at++
	}
	return nil
}

func (d *decoder) number() (any, error) {
	begin := d.at
	for d.at < len(d.in) && strings.IndexByte("+-.0123456789Ee", d.in[d.at]) >= 0 {
		d.at++
	}
	n := d.in[begin:d.at]
	if !jsonNumber(n) {
		if d.at < len(d.in) || !jsonNumber(n+"0") { // it is wrong, not cut off
			d.at = begin
		}
		return nil, d.unexpected()
	}
	return json.Number(n), nil
}

// text reads a string. One without an escape, in a document that is UTF-8, is a
// part of the document; any other is left to the standard library.
func (d *decoder) text() (string, error) {
	begin, plain := d.at, d.valid
	for d.at++; d.at < len(d.in); d.at++ {
		switch c := d.in[d.at]; {
		case c == '"':
			d.at++
			if plain {
				return d.in[begin+1 : d.at-1], nil
			}
			var s string
			if err := json.Unmarshal([]byte(d.in[begin:d.at]), &s); err != nil {
				return "", &domain.FieldError{Field: "body", Reason: fmt.Sprintf("is not JSON: the string at byte %d cannot be read", begin)}
			}
			return s, nil
		case c == '\\':
			plain = false
			d.at++
		case c < ' ':
			return "", d.unexpected()
		}
	}
	d.at = len(d.in) // an escape may have gone beyond
	return "", d.unexpected()
}
