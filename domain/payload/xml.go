package payload

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/domain"
)

// Flags of an XML document that was read and has something odd about it, beside
// those of package payload.
const (
	FlagMixedContent = "mixed-content" // text beside elements, which was passed over
	FlagAttributes   = "attributes"    // attributes, which were passed over
	FlagNilContent   = "nil-content"   // something in an element that says it is nil
)

// maxElements is how many elements and attributes a document may have. It is far
// beyond what any provider sends, and keeps a megabyte of "<a/>" cheap.
const maxElements = 50_000

// DecodeXML reads body as one XML document, without knowing its names, into what
// [DecodeJSON] makes of the same document in JSON:
//
//   - The name of the root says nothing. Prefixes of names say nothing.
//   - An element without elements is its text, as it stands; null if that is
//     blank, or if the element has xsi:nil.
//   - An element with elements is an object, unless they all have one name and
//     this is "item", is the parent's singular, or is there more than once: then
//     it is a list.
//
// Nothing is fetched or expanded: a document type is refused, and so is an entity
// that XML does not define itself. Only UTF-8 is read. The flags and the error
// are as those of DecodeJSON.
func DecodeXML(body []byte) (v Value, flags []string, err error) {
	trimmed := TrimByteOrderMark(body)
	d := xmlDecoder{}
	if len(trimmed) < len(body) {
		d.flags = append(d.flags, FlagByteOrderMark)
	}
	if !utf8.Valid(trimmed) {
		d.flags = append(d.flags, FlagInvalidUTF8)
		trimmed = bytes.ToValidUTF8(trimmed, []byte("\uFFFD"))
	}
	d.tokens = xml.NewDecoder(bytes.NewReader(trimmed))
	d.tokens.CharsetReader = onlyUTF8
	node, err := d.document()
	slices.Sort(d.flags)
	flags = slices.Compact(d.flags)
	if err != nil {
		return Value{}, flags, err
	}
	return Value{node: node}, flags, nil
}

// onlyUTF8 is asked for the characters of a declared encoding that is not UTF-8.
func onlyUTF8(encoding string, input io.Reader) (io.Reader, error) {
	if strings.EqualFold(encoding, "us-ascii") { // a part of UTF-8
		return input, nil
	}
	return nil, bodyError("is in another encoding; only UTF-8 is read")
}

func bodyError(format string, args ...any) *domain.FieldError {
	return &domain.FieldError{Field: "body", Reason: domain.Label(fmt.Sprintf(format, args...))}
}

// An xmlDecoder reads one document into the nodes of a [decoder].
type xmlDecoder struct {
	tokens   *xml.Decoder
	elements int // and attributes, so far
	flags    []string
}

func (d *xmlDecoder) document() (any, error) {
	root, err := d.outside()
	if errors.Is(err, io.EOF) {
		return nil, bodyError("is empty")
	}
	if err != nil {
		return nil, err
	}
	node, err := d.element(root, 0)
	if err != nil {
		return nil, err
	}
	switch _, err := d.outside(); {
	case errors.Is(err, io.EOF):
		return node, nil
	case err != nil:
		return nil, err
	}
	return nil, bodyError("goes on after the document")
}

// outside returns the next element that is in no other, or [io.EOF].
func (d *xmlDecoder) outside() (xml.StartElement, error) {
	for {
		token, err := d.next()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			return token, nil
		case xml.CharData:
			if !blank(string(token)) {
				return xml.StartElement{}, bodyError("is not XML: text outside the document")
			}
		}
	}
}

// next returns what comes next and says something: the beginning or end of an
// element, or text.
func (d *xmlDecoder) next() (xml.Token, error) {
	for {
		token, err := d.tokens.Token()
		if err != nil {
			return nil, notXML(err)
		}
		switch token.(type) {
		case xml.StartElement, xml.EndElement, xml.CharData:
			return token, nil
		case xml.Directive:
			return nil, bodyError("has a document type, which is never read")
		}
	}
}

// notXML returns the error for what the standard library says of a document; its
// end stays [io.EOF].
func notXML(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if refused, ok := errors.AsType[*domain.FieldError](err); ok {
		return refused
	}
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return bodyError("is not XML: %s on line %d", plainly(syntax.Msg), syntax.Line)
	}
	return bodyError("is not XML")
}

// plainly returns what the standard library says of a document without the names
// and texts that it quotes: those may be about people.
func plainly(said string) string {
	for _, known := range []struct{ begins, means string }{
		{"unexpected EOF", "it ends early"},
		{"element <", "an element ends under another name"},
		{"unexpected end element", "an element ends that has not begun"},
		{"invalid character entity", "an entity that XML does not define"},
		{"illegal character code", "a character that XML does not have"},
		{"invalid UTF-8", "a character that XML does not have"},
		{"attribute name without", "an attribute without a value"},
		{"unquoted or missing attribute value", "an attribute without a value"},
		{"unescaped < inside quoted string", "an attribute with a < in it"},
		{"unescaped ]]> not in CDATA", "a ]]> that ends nothing"},
	} {
		if strings.HasPrefix(said, known.begins) {
			return known.means
		}
	}
	return "a mistake"
}

// A member is an element in another.
type member struct {
	name string
	node any
}

// element reads an element behind its start.
func (d *xmlDecoder) element(start xml.StartElement, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, bodyError("is nested deeper than %d", MaxDepth)
	}
	if d.elements += 1 + len(start.Attr); d.elements > maxElements {
		return nil, bodyError("has more than %d elements", maxElements)
	}
	none := d.attributes(start.Attr)
	var members []member
	var text strings.Builder
	for {
		token, err := d.next()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			node, err := d.element(token, depth+1)
			if err != nil {
				return nil, err
			}
			members = append(members, member{token.Name.Local, node})
		case xml.EndElement:
			return d.node(start.Name.Local, none, members, text.String()), nil
		}
	}
}

// node returns what an element comes to.
func (d *xmlDecoder) node(name string, none bool, members []member, text string) any {
	empty := blank(text)
	switch {
	case none:
		if !empty || len(members) > 0 {
			d.flags = append(d.flags, FlagNilContent)
		}
		return nil
	case len(members) == 0 && empty:
		return nil
	case len(members) == 0:
		return text
	case !empty:
		d.flags = append(d.flags, FlagMixedContent)
	}
	if isList(name, members) {
		list := make([]any, len(members))
		for i, m := range members {
			list[i] = m.node
		}
		return list
	}
	o := make(object, len(members))
	for _, m := range members {
		if _, twice := o[m.name]; twice {
			d.flags = append(d.flags, FlagDuplicateMember)
		}
		o[m.name] = m.node
	}
	return o
}

// isList reports whether the elements in the element of the given name, at least
// one, are those of a list.
func isList(parent string, members []member) bool {
	name := members[0].name
	for _, m := range members[1:] {
		if m.name != name {
			return false
		}
	}
	return len(members) > 1 || name == "item" || isSingular(name, parent)
}

// isSingular reports whether one is the singular of many, as English regularly
// makes it: course of courses, class of classes, category of categories.
func isSingular(one, many string) bool {
	if strings.EqualFold(many, one+"s") || strings.EqualFold(many, one+"es") {
		return true
	}
	stem, ok := strings.CutSuffix(strings.ToLower(one), "y")
	return ok && strings.EqualFold(many, stem+"ies")
}

// attributes reports whether an element says that it is nil (XML Schema part 1,
// section 2.6.2), and flags attributes that say something else. The prefix may
// be used without having been declared.
func (d *xmlDecoder) attributes(list []xml.Attr) (none bool) {
	const (
		instance  = "http://www.w3.org/2001/XMLSchema-instance"
		xmlItself = "http://www.w3.org/XML/1998/namespace" // xml:lang and the like
	)
	for _, a := range list {
		switch {
		case a.Name.Space == instance || a.Name.Space == "xsi":
			none = none || a.Name.Local == "nil" && (a.Value == "true" || a.Value == "1")
		case a.Name.Space != "xmlns" && a.Name.Local != "xmlns" && a.Name.Space != xmlItself:
			d.flags = append(d.flags, FlagAttributes)
		}
	}
	return none
}

// blank reports whether text is white space as XML counts it.
func blank(text string) bool { return strings.Trim(text, " \t\r\n") == "" }
