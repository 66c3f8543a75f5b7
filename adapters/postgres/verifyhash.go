package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// hashed is what a batch was found to be, looking at each row by itself.
type hashed struct {
	checked []checkedRecord
	came    []checkedDelivery
	stray   []int64 // positions of scopes without a delivery

	recordBytes, deliveryBytes []byte // of the one in hand
}

// A checkedRecord is a record with the leaf that its bytes give.
type checkedRecord struct {
	position     int64
	id           string
	kind         domain.Kind
	recordedAt   time.Time
	stored, root tree.Hash      // as they are in the log
	leaf         tree.Hash      // computed; stored if the record cannot be read
	wrong        string         // what is wrong with it, other than its leaf; "": nothing
	record       *domain.Record // if the batch keeps it
}

// A checkedDelivery is a delivery with the hash of its bytes.
type checkedDelivery struct {
	position, records int64
	id                string
	sum               [32]byte
	wrong             string // "": nothing

	// If the batch keeps them; sealed.
	envelope     *domain.Envelope
	header, body []byte
}

// hash reads and hashes every row of b.
func (b *logBatch) hash() {
	scopes := b.scopes
	for _, row := range b.deliveries {
		for len(scopes) > 0 && scopes[0].position < row.position {
			b.stray = append(b.stray, scopes[0].position)
			scopes = scopes[1:]
		}
		n := 0
		for n < len(scopes) && scopes[n].position == row.position {
			n++
		}
		b.came = append(b.came, b.delivery(row, scopes[:n]))
		scopes = scopes[n:]
	}
	for _, row := range scopes {
		b.stray = append(b.stray, row.position)
	}
	b.checked = make([]checkedRecord, 0, len(b.records))
	d := -1 // the last delivery that begins no later than the record
	for _, row := range b.records {
		for d+1 < len(b.came) && b.came[d+1].position <= row.position {
			d++
		}
		var came *checkedDelivery
		if d >= 0 {
			came = &b.came[d]
		}
		b.checked = append(b.checked, b.record(row, came))
	}
	b.records, b.scopes, b.deliveries = nil, nil, nil
}

// delivery checks one delivery and hashes its bytes.
func (b *logBatch) delivery(row rawRow, scopes []rawRow) checkedDelivery {
	f := newFields(row.columns)
	c := checkedDelivery{position: row.position, records: f.integer("records")}
	var e domain.Envelope
	e.ID, c.id = f.ulid("id", false)
	e.Source, e.Topic, e.Status = f.text("source"), f.text("topic"), domain.Status(f.text("status"))
	e.Test, e.Flags, e.Verified = f.boolean("test"), f.text("flags"), f.text("verified")
	e.ReceivedAt = f.moment("received_at")
	e.Cause, _ = f.ulid("cause", true)
	e.Fetched, e.Replay = f.text("fetched"), f.boolean("replay")
	if e.Key = f.textOrNull("key"); e.Key == "-" {
		f.fail("key is %q, which stands for none", e.Key)
	}
	e.BodyMAC = f.hash("body_mac")
	header, body := f.value("header"), f.value("body")
	e.HeaderSHA256, e.BodySHA256 = sha256.Sum256(header), sha256.Sum256(body)
	for _, s := range scopes {
		sf := newFields(s.columns)
		source, scope := sf.text("source"), sf.text("scope")
		switch {
		case sf.wrong != "":
			f.fail("a scope's %s", sf.wrong)
		case source != e.Source:
			f.fail("one of its scopes is of the source %q", source)
		case scope == "", strings.Contains(scope, ","):
			f.fail("the scope %q is none", scope)
		}
		e.Scopes = append(e.Scopes, scope)
	}
	slices.Sort(e.Scopes)
	b.deliveryBytes = e.AppendBytes(b.deliveryBytes[:0])
	c.sum, c.wrong = sha256.Sum256(b.deliveryBytes), f.end()
	if b.keep {
		c.envelope, c.header, c.body = &e, header, body
	}
	return c
}

// record checks one record that came with a delivery, nil if none is there, and
// hashes its bytes.
func (b *logBatch) record(row rawRow, came *checkedDelivery) checkedRecord {
	f := newFields(row.columns)
	r := domain.Record{Position: row.position}
	c := checkedRecord{position: row.position}
	r.ID, c.id = f.ulid("id", false)
	r.Kind, r.Source = domain.Kind(f.text("kind")), f.text("source")
	r.OccurredAt, r.RecordedAt = f.moment("occurred_at"), f.moment("recorded_at")
	var delivery string
	r.Delivery, delivery = f.ulid("delivery", false)
	r.Cause, _ = f.ulid("cause", true)
	r.Test, r.Data, r.Personal = f.boolean("test"), f.value("data"), f.valueOrNull("personal")
	c.stored, c.root = f.hash("leaf"), f.hash("root")
	c.wrong, c.kind, c.recordedAt = f.end(), r.Kind, r.RecordedAt
	c.leaf = c.stored
	if c.wrong != "" {
		return c
	}
	switch {
	case came == nil || row.position >= came.position+came.records:
		c.wrong = "its delivery " + delivery + " is missing"
		return c
	case came.id != delivery:
		c.wrong = "it names the delivery " + delivery + ", and " + came.id + " is in its place"
	}
	r.Envelope = came.sum
	if b.keep {
		c.record = &r
	}
	b.recordBytes = r.AppendBytes(b.recordBytes[:0])
	if c.leaf = tree.Leaf(b.recordBytes); c.leaf != c.stored {
		return c
	}
	// Its bytes are those that its leaf commits to. They must also be such as
	// daybook writes: who rewrites a record with its leaf may not know how.
	if r.ID.Time() != ulid.Timestamp(r.RecordedAt) {
		c.wrong = "its id " + c.id + " is not of the moment it was recorded at"
	} else if domain.IsKind(r.Kind) {
		if err := r.Decode(); err != nil {
			c.wrong = "it cannot be read: " + err.Error()
		}
	}
	return c
}

// fields reads the columns of a row in the binary form of a composite: their
// number, and of each its type, its length (-1: null) and its bytes, all integers
// of 4 bytes, big-endian. What is not as daybook writes it is noted, the first
// time, and read as nothing.
type fields struct {
	rest  []byte
	wrong string
}

func newFields(row []byte) *fields {
	f := &fields{rest: row}
	if len(row) < 4 {
		f.fail("the row cannot be read")
		return f
	}
	f.rest = row[4:]
	return f
}

func (f *fields) fail(format string, args ...any) {
	if f.wrong == "" {
		f.wrong = fmt.Sprintf(format, args...)
	}
}

// end returns what is wrong with the row, "" if nothing is.
func (f *fields) end() string {
	if len(f.rest) > 0 {
		f.fail("the row has more columns than it should have")
	}
	return f.wrong
}

// next returns the next column; nil if it is null.
func (f *fields) next() []byte {
	if len(f.rest) < 8 {
		f.fail("the row has fewer columns than it should have")
		return nil
	}
	n := int(int32(binary.BigEndian.Uint32(f.rest[4:]))) //nolint:gosec // the bits of a signed number
	f.rest = f.rest[8:]
	if n < 0 {
		return nil
	}
	if n > len(f.rest) {
		f.fail("the row cannot be read")
		return nil
	}
	v := f.rest[:n:n]
	f.rest = f.rest[n:]
	return v
}

func (f *fields) value(name string) []byte {
	v := f.next()
	if v == nil {
		f.fail("%s is null", name)
	}
	return v
}

// valueOrNull is nil for null, and for nothing else: what is there and empty is
// not what daybook writes.
func (f *fields) valueOrNull(name string) []byte {
	v := f.next()
	if v != nil && len(v) == 0 {
		f.fail("%s is empty", name)
	}
	return v
}

func (f *fields) text(name string) string       { return string(f.value(name)) }
func (f *fields) textOrNull(name string) string { return string(f.valueOrNull(name)) }

// sized returns a column of a certain length, zeros if it is of another.
func (f *fields) sized(name string, size int) []byte {
	v := f.value(name)
	if v != nil && len(v) != size {
		f.fail("%s has %d bytes, not %d", name, len(v), size)
	}
	if len(v) != size {
		return make([]byte, size)
	}
	return v
}

func (f *fields) hash(name string) [32]byte { return [32]byte(f.sized(name, 32)) }

func (f *fields) boolean(name string) bool { return f.sized(name, 1)[0] != 0 }

func (f *fields) integer(name string) int64 {
	return int64(int32(binary.BigEndian.Uint32(f.sized(name, 4)))) //nolint:gosec // the bits of a signed number
}

// epoch2000 is where PostgreSQL counts microseconds from.
const epoch2000 = 946_684_800_000_000

func (f *fields) moment(name string) time.Time {
	us := int64(binary.BigEndian.Uint64(f.sized(name, 8))) //nolint:gosec // the bits of a signed number
	if us > math.MaxInt64-epoch2000 || us == math.MinInt64 {
		f.fail("%s is infinite", name)
		return time.Time{}
	}
	return time.UnixMicro(us + epoch2000).UTC()
}

// ulid returns an id and its text. Only the one text that daybook writes counts:
// with other letters it would be the same id.
func (f *fields) ulid(name string, nullable bool) (id ulid.ULID, text string) {
	v := f.next()
	if v == nil {
		if !nullable {
			f.fail("%s is null", name)
		}
		return id, ""
	}
	if err := id.UnmarshalText(v); err != nil || id.IsZero() || id.String() != string(v) {
		f.fail("%s %q is not an id as daybook writes it", name, v)
	}
	return id, string(v)
}
