// Package domain names the facts that daybook keeps.
//
// A fact is something a provider or an operator told us has already happened:
// credits were counted, a sale was made, a badge changed state. Facts are plain
// values as they were reported; what they mean for a balance is decided by the
// projections. A fact never changes once appended, and nothing in this package
// reads a clock, a database or a network.
//
// # Wire form
//
// Every event has two parts, both JSON objects. Data holds the facts; it never
// holds a name, an address or any other value of type [Personal]. Personal holds
// only those, flat, each under the path of its field ("name",
// "consumed/0/description"), in the order in which the fields are declared, empty
// ones left out. They are kept apart, and sealed with a key of whom they are about
// ([EncodeSealed]), so that a person can be forgotten while every hash stays valid.
//
// Both are compact, in the member order of the Go types, with HTML characters
// unescaped. Amounts and quantities are decimal strings; times are RFC 3339 in
// UTC with at most six fraction digits.
//
// # Changing an event
//
// A kind's wire form is frozen the day it is first appended: the log outlives
// the code. To add a field, add a new kind ("credits.reported.v2") beside the
// old one and teach the projections both. The files in testdata/events hold one
// example of every kind; deleting one fails the build.
package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// An Event is one fact. The set of events is closed: every implementation is
// in this package and listed in kinds.
type Event interface {
	// Kind returns the frozen wire name, such as "credits.reported.v1".
	Kind() Kind

	// Validate reports whether the fact is well formed, as a [*FieldError] if
	// it is not. An invalid event is never appended.
	Validate() error
}

// A Kind is the frozen wire name of an event type and its version.
type Kind string

// Personal is text about a person: a name, an address, free text that may hold
// either. It is plain on its way into the log, and sealed in the log and in
// everything that is derived from it; see the package comment.
type Personal string

// A DataSubject is whom a personal text is about, within a source.
type DataSubject struct {
	Type string // one of the Person constants, or [SubjectOrganization] or [SubjectName]
	ID   string // the provider's id of them
}

// Types of data subjects that are no persons.
const (
	SubjectOrganization = "organization"
	SubjectGroup        = "group"
	SubjectBadge        = "badge" // whoever it was issued to, as long as their id is not known
	SubjectName         = "name"  // somebody known by name only; their id is to be derived from the text
)

// someone is a data subject of the given type. The zero one, for whom no id is
// known, is nobody in particular.
func someone(typ, id string) DataSubject {
	if id == "" {
		return DataSubject{}
	}
	return DataSubject{typ, id}
}

// A personalVisitor is told every Personal field of an event and whom it is
// about, in the order of its declaration, and may change it.
type personalVisitor func(path string, about DataSubject, p *Personal)

// A Sealer returns the sealed form of a text about somebody.
type Sealer func(about DataSubject, text Personal) (Personal, error)

// codec encodes and decodes the events of one kind.
type codec struct {
	encode func(Event, Sealer) (data, personal []byte, err error)
	decode func(data, personal []byte) (Event, error)
	texts  func(Event) []PersonalText
	read   func(data, personal []byte) (Event, bool) // quick, and may refuse what decode takes; see [wireForm]
}

// kinds maps every wire name ever written to its codec.
var kinds = codecs(
	kind[CreditsReported](),
	kind[CreditsGranted](),
	kind[CreditsGrantRequested](),
	kind[CreditsGrantAnswered](),
	kind[CreditsAdjusted](),
	kind[SalesSold](),
	kind[SalesListed](),
	kind[SalesPaid](),
	kind[SalesPaymentFailed](),
	kind[SalesRefunded](),
	kind[SalesSubscriptionChanged](),
	kind[SalesEntryPosted](),
	kind[TrustgroupsMemberChanged](),
	kind[TrustgroupsMemberListed](),
	kind[LearningEnrolled](),
	kind[LearningProgressed](),
	kind[LearningCompleted](),
	kind[LearningTested](),
	kind[LearningListed](),
	kind[BadgesNoticed](),
	kind[BadgesReported](),
	kind[BadgesListed](),
	kind[BadgesDeleted](),
	kind[BadgesUnverified](),
	kind[DirectoryPersonSeen](),
	kind[DirectoryPersonRemoved](),
	kind[DirectoryOrganizationSeen](),
	kind[DirectoryOrganizationListed](),
	kind[DirectoryItemSeen](),
	kind[DirectoryItemRemoved](),
	kind[DirectoryGroupSeen](),
	kind[DirectoryGroupListed](),
	kind[DirectoryEmploymentChanged](),
	kind[IntakeUnrecognized](),
	kind[IntakeQuarantined](),
	kind[LogForked](),
	kind[PrivacyErased](),
	kind[PrivacyKept](),
)

// Kinds returns every kind this build can decode, sorted.
func Kinds() []Kind {
	return slices.Sorted(maps.Keys(kinds))
}

// IsKind reports whether this build can decode events of the kind.
func IsKind(k Kind) bool {
	_, ok := kinds[k]
	return ok
}

// KindsOf returns the kinds of the events.
func KindsOf(events ...Event) []Kind {
	list := make([]Kind, len(events))
	for i, e := range events {
		list[i] = e.Kind()
	}
	return list
}

// Encode returns the wire form of e, or an error with code [Invalid] if e is
// not valid. Personal is nil if e holds nothing personal.
func Encode(e Event) (data, personal []byte, err error) {
	return EncodeSealed(e, func(_ DataSubject, text Personal) (Personal, error) { return text, nil })
}

// EncodeSealed is [Encode] with every personal text in its sealed form.
func EncodeSealed(e Event, seal Sealer) (data, personal []byte, err error) {
	op := "encode " + string(e.Kind())
	c, ok := kinds[e.Kind()]
	if !ok {
		return nil, nil, Errorf(Internal, op, "the kind is not listed")
	}
	if err := e.Validate(); err != nil {
		return nil, nil, Errorf(Invalid, op, "%w", err)
	}
	return c.encode(e, seal)
}

// Decode is the inverse of [Encode], and of nothing else: it refuses bytes that
// Encode does not write. A kind or a field this build does not know, a number
// that is missing or a member that is there twice would silently change a balance.
// An event whose personal part was erased is decoded with an empty one.
func Decode(k Kind, data, personal []byte) (Event, error) {
	c, ok := kinds[k]
	if !ok {
		return nil, Errorf(Differs, "decode "+string(k), "unknown kind").
			WithHint("The log was written by a newer daybook; upgrade this one.")
	}
	e, ok := c.read(data, personal)
	if !ok {
		return c.decodeStrictly(k, data, personal)
	}
	if err := e.Validate(); err != nil {
		return nil, notValid(k, err)
	}
	return e, nil
}

// decodeStrictly decodes an event, encodes it again and compares.
func (c codec) decodeStrictly(k Kind, data, personal []byte) (Event, error) {
	op := "decode " + string(k)
	e, err := c.decode(data, personal)
	if err != nil {
		return nil, Errorf(Differs, op, "%w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, notValid(k, err)
	}
	data2, personal2, err := c.encode(e, nil)
	switch {
	case err != nil:
		return nil, Errorf(Differs, op, "%w", err)
	case !bytes.Equal(data, data2) || !bytes.Equal(personal, personal2):
		return nil, Errorf(Differs, op, "stored event is not in its wire form")
	}
	return e, nil
}

func notValid(k Kind, err error) error {
	return Errorf(Differs, "decode "+string(k), "stored event is not valid: %w", err)
}

type namedCodec struct {
	kind  Kind
	codec codec
}

func codecs(list ...namedCodec) map[Kind]codec {
	m := make(map[Kind]codec, len(list))
	for _, n := range list {
		m[n.kind] = n.codec
	}
	return m
}

// kind returns the codec of the event type E. If *E has a method personal, it
// lists E's personal fields.
func kind[E Event]() namedCodec {
	var zero E
	read := readWire[E]()
	return namedCodec{zero.Kind(), codec{
		read: func(data, personal []byte) (Event, bool) {
			if read == nil {
				return nil, false
			}
			return read(data, personal)
		},
		texts: func(ev Event) (list []PersonalText) {
			e := ev.(E)
			v, ok := any(&e).(interface{ personal(personalVisitor) })
			if !ok {
				return nil
			}
			v.personal(func(path string, about DataSubject, p *Personal) {
				if *p != "" {
					list = append(list, PersonalText{path, about, string(*p)})
				}
			})
			return list
		},
		encode: func(ev Event, seal Sealer) ([]byte, []byte, error) {
			e := ev.(E)
			data, err := Marshal(e)
			if err != nil {
				return nil, nil, err
			}
			personal, err := marshalPersonal(&e, seal)
			return data, personal, err
		},
		decode: func(data, personal []byte) (Event, error) {
			var e E
			if err := unmarshalStrict(data, &e); err != nil {
				return nil, err
			}
			if err := unmarshalPersonal(personal, &e); err != nil {
				return nil, err
			}
			return e, nil
		},
	}}
}

// Marshal returns v as compact JSON with HTML characters unescaped.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func unmarshalStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.InputOffset() != int64(len(data)) {
		return fmt.Errorf("%d bytes after the event", int64(len(data))-dec.InputOffset())
	}
	return nil
}

// marshalPersonal returns the personal part of e. Without a sealer its texts are
// written as they are.
func marshalPersonal(e any, seal Sealer) ([]byte, error) {
	v, ok := e.(interface{ personal(personalVisitor) })
	if !ok {
		return nil, nil
	}
	var b bytes.Buffer
	var failed error
	v.personal(func(path string, about DataSubject, p *Personal) {
		if *p == "" || failed != nil {
			return
		}
		sealed, err := *p, error(nil)
		if seal != nil {
			sealed, err = seal(about, *p)
		}
		var text []byte
		if err == nil {
			text, err = Marshal(string(sealed))
		}
		if err != nil {
			failed = err
			return
		}
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(path))
		b.WriteByte(':')
		b.Write(text)
	})
	if failed != nil || b.Len() == 0 {
		return nil, failed
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func unmarshalPersonal(personal []byte, e any) error {
	if len(personal) == 0 {
		return nil
	}
	var m map[string]Personal
	if err := unmarshalStrict(personal, &m); err != nil {
		return err
	}
	if v, ok := e.(interface{ personal(personalVisitor) }); ok {
		v.personal(func(path string, _ DataSubject, p *Personal) {
			*p = m[path]
			delete(m, path)
		})
	}
	for path := range m {
		return fmt.Errorf("unknown personal field %q", path)
	}
	return nil
}
