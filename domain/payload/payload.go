// Package payload reads what providers send, exactly.
//
// Numbers keep every digit: a value is never a float, so a 23-digit id and
// 0.30000000000000004 come out as they went in. What the standard decoder
// passes over in silence (members that are there twice, bytes that are not
// UTF-8) is noticed and reported. Reading is tolerant about types, since one
// provider sends an id as a number today and as text tomorrow, and strict about
// values: what is not exactly a number, a date or a yes is an error that names
// its field, never a guess.
package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/domain"
)

// MaxDepth is how deep objects and lists may be nested.
const MaxDepth = 64

// Flags of a document that was read and has something odd about it.
const (
	FlagDuplicateMember = "duplicate-member" // a member is there twice; the last one counts
	FlagInvalidUTF8     = "invalid-utf8"     // bad bytes were read as U+FFFD
	FlagByteOrderMark   = "byte-order-mark"
)

// byteOrderMark is U+FEFF in UTF-8, which .NET writers put in front.
var byteOrderMark = []byte("\uFEFF")

// TrimByteOrderMark returns body without a leading byte order mark.
func TrimByteOrderMark(body []byte) []byte { return bytes.TrimPrefix(body, byteOrderMark) }

// DecodeJSON reads body as one JSON document. The flags say what was odd about
// it; they are sorted and may be given along with an error, which is a
// [*domain.FieldError].
func DecodeJSON(body []byte) (v Value, flags []string, err error) {
	d := decoder{flags: make(map[string]bool)}
	if trimmed := TrimByteOrderMark(body); len(trimmed) < len(body) {
		d.flags[FlagByteOrderMark] = true
		body = trimmed
	}
	if !utf8.Valid(body) {
		d.flags[FlagInvalidUTF8] = true
	}
	d.dec = json.NewDecoder(bytes.NewReader(body))
	d.dec.UseNumber()
	node, err := d.document()
	flags = slices.Sorted(keys(d.flags))
	if err != nil {
		return Value{}, flags, err
	}
	return Value{node: node}, flags, nil
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// An object is a JSON object; member order does not matter to any reader.
type object map[string]any

type decoder struct {
	dec   *json.Decoder
	flags map[string]bool
}

func (d *decoder) document() (any, error) {
	node, err := d.value(0)
	if errors.Is(err, io.EOF) {
		return nil, &domain.FieldError{Field: "body", Reason: "is empty"}
	}
	if err != nil {
		return nil, malformed(err)
	}
	if _, err := d.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &domain.FieldError{Field: "body", Reason: "goes on after the document"}
	}
	return node, nil
}

func malformed(err error) error {
	var field *domain.FieldError
	if errors.As(err, &field) {
		return field
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &domain.FieldError{Field: "body", Reason: "ends early"}
	}
	return &domain.FieldError{Field: "body", Reason: "is not JSON: " + err.Error()}
}

func (d *decoder) value(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, &domain.FieldError{Field: "body", Reason: fmt.Sprintf("is nested deeper than %d", MaxDepth)}
	}
	token, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return d.object(depth)
	case json.Delim('['):
		return d.list(depth)
	}
	return token, nil // string, json.Number, bool or nil
}

func (d *decoder) object(depth int) (any, error) {
	o := make(object)
	for d.dec.More() {
		name, err := d.dec.Token()
		if err != nil {
			return nil, noEOF(err)
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, noEOF(err)
		}
		if _, twice := o[name.(string)]; twice {
			d.flags[FlagDuplicateMember] = true
		}
		o[name.(string)] = v
	}
	_, err := d.dec.Token()
	return o, noEOF(err)
}

func (d *decoder) list(depth int) (any, error) {
	l := []any{}
	for d.dec.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, noEOF(err)
		}
		l = append(l, v)
	}
	_, err := d.dec.Token()
	return l, noEOF(err)
}

// noEOF tells a document that ends within a value from one that is empty.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A Value is one place in a document. The zero Value is a place that is not there.
type Value struct {
	path string
	node any // nil: null or not there
}

// Path returns where in the document the value is, such as "payload/user/id";
// "body" for the document itself.
func (v Value) Path() string {
	if v.path == "" {
		return "body"
	}
	return v.path
}

// Get returns the value at the given member names, one below the other. It is
// an absent value if any of them is not there.
func (v Value) Get(names ...string) Value {
	for _, name := range names {
		o, _ := v.node.(object)
		v = Value{path: strings.TrimPrefix(v.path+"/"+name, "/"), node: o[name]}
	}
	return v
}

// At returns the value at a JSON pointer (RFC 6901), such as "/trustGroup/id".
func (v Value) At(pointer string) Value {
	if pointer == "" {
		return v
	}
	for _, name := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		if l, ok := v.node.([]any); ok {
			i, err := strconv.Atoi(name)
			path := strings.TrimPrefix(v.path+"/"+name, "/")
			if err != nil || i < 0 || i >= len(l) {
				return Value{path: path}
			}
			v = Value{path: path, node: l[i]}
			continue
		}
		v = v.Get(name)
	}
	return v
}

// Exists reports whether the value is there and not null.
func (v Value) Exists() bool { return v.node != nil }

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { _, ok := v.node.(object); return ok }

// IsList reports whether the value is a list.
func (v Value) IsList() bool { _, ok := v.node.([]any); return ok }

// List returns the elements of a list, none for anything else.
func (v Value) List() []Value {
	l, _ := v.node.([]any)
	values := make([]Value, len(l))
	for i, node := range l {
		values[i] = Value{path: strings.TrimPrefix(fmt.Sprintf("%s/%d", v.path, i), "/"), node: node}
	}
	return values
}

// Names returns the member names of an object, sorted.
func (v Value) Names() []string {
	o, _ := v.node.(object)
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
