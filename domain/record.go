package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
)

// A Record is an event with its place in the log.
//
// # Record bytes
//
// The bytes that a record's leaf in the log's Merkle tree commits to are UTF-8
// text, one "name value" pair a line, each ended by a newline (U+000A), in this
// order:
//
//	daybook record v1
//	position 7
//	id 01KHV3Q0000000000000000000
//	kind credits.reported.v1
//	source acme-tahdah
//	occurred_at 2026-03-01T09:00:00.000000Z
//	recorded_at 2026-03-01T09:00:01.250000Z
//	delivery 01KHV3Q0000000000000000001 aa0586ff63f5013cc811b3bca1faff1baf966364c61d060b133b98cf719c3d12
//	cause -
//	test false
//	personal -
//	data {"line":"70412","template":"318","remaining":"14"}
//
// Times have six fraction digits. Delivery is the id of the delivery that caused
// the record and the hexadecimal SHA-256 of its bytes (see [Envelope]). Cause is
// the id of the delivery or record this one follows from, or "-". Personal is the
// hexadecimal SHA-256 of the personal part of the event, whose texts are sealed,
// or "-" if there is none: the leaf commits to it without holding it. Data is the
// wire form of the event. No value holds a newline, so the bytes can be read in
// one way only.
type Record struct {
	Position   int64     // 1 for the oldest; no number is left out
	ID         ulid.ULID // assigned once, when first appended
	Kind       Kind
	Source     string
	OccurredAt time.Time // when it happened, as far as the provider says; else when it was received
	RecordedAt time.Time // when it entered the log; never before an earlier record's
	Delivery   ulid.ULID // the delivery that caused it
	Envelope   [32]byte  // SHA-256 of that delivery's bytes
	Cause      ulid.ULID // what it follows from, if not only from its delivery; zero: nothing
	Test       bool      // the provider marked it as a test: projections leave it out
	Data       []byte    // wire form of the event, without its personal part
	Personal   []byte    // wire form of its personal part, sealed; nil if there is none
	Event      Event     // decoded from Kind, Data and Personal; nil until asked for
}

// EffectiveAt returns the moment from which the record counts in an answer as
// of a date: when it happened, but never later than when we were told. A record
// that claims to be from the future counts from when it was recorded.
func (r *Record) EffectiveAt() time.Time {
	if r.RecordedAt.Before(r.OccurredAt) {
		return r.RecordedAt
	}
	return r.OccurredAt
}

// ParseIDs sets the ids of r from their text; an empty one is left zero. Text
// that is no id has code [Differs]: only a log that was changed holds any.
func (r *Record) ParseIDs(id, delivery, cause string) (err error) {
	for _, field := range []struct {
		text string
		id   *ulid.ULID
	}{{id, &r.ID}, {delivery, &r.Delivery}, {cause, &r.Cause}} {
		if field.text == "" {
			continue
		}
		if *field.id, err = ulid.ParseStrict(field.text); err != nil {
			return Errorf(Differs, "read log", "position %d: %w", r.Position, err)
		}
	}
	return nil
}

// recordTime is the layout of a time in the record bytes.
const recordTime = "2006-01-02T15:04:05.000000Z"

// AppendBytes appends the record bytes to b; see [Record].
func (r *Record) AppendBytes(b []byte) []byte {
	b = append(b, "daybook record v1\nposition "...)
	b = strconv.AppendInt(b, r.Position, 10)
	b = append(b, "\nid "...)
	b = appendULID(b, r.ID)
	b = append(b, "\nkind "...)
	b = append(b, r.Kind...)
	b = append(b, "\nsource "...)
	b = append(b, r.Source...)
	b = append(b, "\noccurred_at "...)
	b = r.OccurredAt.UTC().AppendFormat(b, recordTime)
	b = append(b, "\nrecorded_at "...)
	b = r.RecordedAt.UTC().AppendFormat(b, recordTime)
	b = append(b, "\ndelivery "...)
	b = appendULID(b, r.Delivery)
	b = append(b, ' ')
	b = hex.AppendEncode(b, r.Envelope[:])
	b = append(b, "\ncause "...)
	b = appendULID(b, r.Cause)
	b = append(b, "\ntest "...)
	b = strconv.AppendBool(b, r.Test)
	b = append(b, "\npersonal "...)
	if len(r.Personal) == 0 {
		b = append(b, '-')
	} else {
		sum := sha256.Sum256(r.Personal)
		b = hex.AppendEncode(b, sum[:])
	}
	b = append(b, "\ndata "...)
	b = append(b, r.Data...)
	return append(b, '\n')
}

// appendULID appends the text of id, or "-" for the zero id.
func appendULID(b []byte, id ulid.ULID) []byte {
	if id == (ulid.ULID{}) {
		return append(b, '-')
	}
	var text [ulid.EncodedSize]byte
	_ = id.MarshalTextTo(text[:]) // cannot fail: the buffer has the size it asks for
	return append(b, text[:]...)
}

// Decode sets r.Event from its stored form. If that fails, Event stays nil.
func (r *Record) Decode() (err error) {
	if r.Event, err = Decode(r.Kind, r.Data, r.Personal); err != nil {
		return Errorf(Differs, "decode record "+strconv.FormatInt(r.Position, 10), "%w", err)
	}
	return nil
}
