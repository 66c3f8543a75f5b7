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
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
	trimmed := TrimByteOrderMark(body)
	d := decoder{in: string(trimmed), valid: utf8.Valid(trimmed)}
	node, err := d.document()
	if len(trimmed) < len(body) {
		flags = append(flags, FlagByteOrderMark)
	}
	if d.twice {
		flags = append(flags, FlagDuplicateMember)
	}
	if !d.valid {
		flags = append(flags, FlagInvalidUTF8)
	}
	if err != nil {
		return Value{}, flags, err
	}
	return Value{node: node}, flags, nil
}

// A Value is one place in a document. The zero Value is a place that is not there.
type Value struct {
	path string
	node any // nil: null or not there; a Value within an object or a list: see Overlay
}

// Path returns where in the document the value is, such as "payload/user/id";
// "body" for the document itself. A name that is nothing a program would call a
// member is "*": it may be a text about somebody, and a path is for everybody to
// read.
func (v Value) Path() string {
	if v.path == "" {
		return "body"
	}
	names := strings.Split(v.path, "/")
	for i, name := range names {
		if !IsWord(name) {
			names[i] = "*"
		}
	}
	return strings.Join(names, "/")
}

// maxWord is how long a word may be.
const maxWord = 64

// IsWord reports whether s looks like what programs call things: a few ASCII
// letters and digits, with single spaces and the marks . _ - : ~ between them.
func IsWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._-:~", c) >= 0:
		case c == ' ' && i > 0 && i < len(s)-1 && s[i-1] != ' ':
		default:
			return false
		}
	}
	return true
}

// Topic returns s if it is a word, or some with a slash between, else "": what a
// sender calls a topic is told to everybody, and must not be a text about
// somebody.
func Topic(s string) string {
	s = strings.TrimSpace(s)
	for name := range strings.SplitSeq(s, "/") {
		if !IsWord(strings.TrimSpace(name)) {
			return ""
		}
	}
	return s
}

// Get returns the value at the given member names, one below the other. It is
// an absent value if any of them is not there. Below what is filled and is no
// object nothing is absent, but cannot be read either: the value is there, and
// every reader refuses it.
func (v Value) Get(names ...string) Value {
	for _, name := range names {
		o, ok := v.node.(object)
		node := o[name]
		if !ok && v.Filled() {
			node = misplaced{}
		}
		v = below(v, name, node)
	}
	return v
}

// misplaced is what there is below a node that has no members.
type misplaced struct{}

// below returns the value of a member or element of v. One that an [Overlay] put
// there comes from elsewhere.
func below(v Value, name string, node any) Value {
	if moved, ok := node.(Value); ok {
		return moved
	}
	return Value{path: join(v.path, name), node: node}
}

// At returns the value at a JSON pointer (RFC 6901), such as "/trustGroup/id".
func (v Value) At(pointer string) Value {
	rest, more := strings.CutPrefix(pointer, "/")
	for more = more || rest != ""; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if strings.Contains(name, "~") {
			name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		}
		l, ok := v.node.([]any)
		if !ok {
			v = v.Get(name)
			continue
		}
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(l) {
			// The path ends here: nothing in a list has another name.
			return Value{path: join(v.path, name)}
		}
		v = below(v, name, l[i])
	}
	return v
}

// join returns the path of a place below another.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

// Exists reports whether the value is there and not null.
func (v Value) Exists() bool { return v.node != nil }

// Filled reports whether the value holds something. The texts "" and "null" are
// nothing, like null: a body that a customer edited has them for want of a value.
func (v Value) Filled() bool {
	text, isText := v.node.(string)
	if !isText {
		return v.Exists()
	}
	text = strings.TrimSpace(text)
	return text != "" && !strings.EqualFold(text, "null")
}

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { _, ok := v.node.(object); return ok }

// IsList reports whether the value is a list.
func (v Value) IsList() bool { _, ok := v.node.([]any); return ok }

// List returns the elements of a list, none for anything else.
func (v Value) List() []Value {
	l, _ := v.node.([]any)
	values := make([]Value, len(l))
	for i, node := range l {
		values[i] = below(v, strconv.Itoa(i), node)
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
