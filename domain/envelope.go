package domain

import (
	"cmp"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// An Envelope is what the log keeps of a delivery, all but its sealed header and
// body, of which it has the hashes. Every record that the delivery caused commits
// to the SHA-256 of the envelope's bytes, and so to all of it.
//
// # Delivery bytes
//
// The bytes are UTF-8 text, one "name value" pair a line, each ended by a newline
// (U+000A), in this order:
//
//	daybook delivery v1
//	id 01KHV3Q0000000000000000001
//	source acme-tahdah
//	topic eventCredits.Updated
//	status accepted
//	test false
//	flags assumed-mapping,duplicate-member
//	verified hmac-sha256, secret 1
//	received_at 2026-03-01T09:00:01.000000Z
//	cause -
//	fetched events/62fadf95
//	replay false
//	key -
//	scopes Z3R…,hT4…
//	mac 9b1f…
//	header 5e88…
//	body 2c26…
//
// Key, if there is one, and the scopes, which are sorted and joined by commas, are
// what deduplication goes by, as HMACs in base64url; mac is the HMAC of the body's
// exact bytes in hexadecimal. Header and body are the hexadecimal SHA-256 of their
// sealed forms (see the package seal), which commit to the key they open with.
//
// Where there is no cause or no key there is a "-", which neither can be. A text
// that is empty, or no scopes, is nothing behind the space: a topic may be "-". No
// value holds a newline, so two deliveries never have the same bytes.
type Envelope struct {
	ID           ulid.ULID
	Source       string
	Topic        string
	Status       Status // not [Duplicate]: a repetition is not recorded
	Test         bool
	Flags        string // words, joined by commas
	Verified     string
	ReceivedAt   time.Time
	Cause        ulid.ULID
	Fetched      string
	Replay       bool
	Key          string   // HMAC, base64url; "": told apart by its scopes
	Scopes       []string // HMACs, base64url, sorted
	BodyMAC      [32]byte
	HeaderSHA256 [32]byte // of the sealed header
	BodySHA256   [32]byte // of the sealed body
}

// AppendBytes appends the delivery bytes to b.
func (e *Envelope) AppendBytes(b []byte) []byte {
	b = append(b, "daybook delivery v1\nid "...)
	b = appendULID(b, e.ID)
	b = appendLine(b, "source", e.Source)
	b = appendLine(b, "topic", e.Topic)
	b = appendLine(b, "status", string(e.Status))
	b = append(b, "\ntest "...)
	b = strconv.AppendBool(b, e.Test)
	b = appendLine(b, "flags", e.Flags)
	b = appendLine(b, "verified", e.Verified)
	b = append(b, "\nreceived_at "...)
	b = e.ReceivedAt.UTC().AppendFormat(b, recordTime)
	b = append(b, "\ncause "...)
	b = appendULID(b, e.Cause)
	b = appendLine(b, "fetched", e.Fetched)
	b = append(b, "\nreplay "...)
	b = strconv.AppendBool(b, e.Replay)
	b = appendLine(b, "key", cmp.Or(e.Key, "-"))
	b = appendLine(b, "scopes", strings.Join(e.Scopes, ","))
	b = append(b, "\nmac "...)
	b = hex.AppendEncode(b, e.BodyMAC[:])
	b = append(b, "\nheader "...)
	b = hex.AppendEncode(b, e.HeaderSHA256[:])
	b = append(b, "\nbody "...)
	b = hex.AppendEncode(b, e.BodySHA256[:])
	return append(b, '\n')
}

// appendLine appends a newline, a name and a value.
func appendLine(b []byte, name, value string) []byte {
	b = append(append(append(b, '\n'), name...), ' ')
	return append(b, value...)
}
