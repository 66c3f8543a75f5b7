package domain

import (
	"time"

	"github.com/oklog/ulid/v2"
)

// A Request is one webhook call as it came in, or one answer of a provider's API,
// before anybody looked at it.
type Request struct {
	Token      string              // last path element of /webhooks/{source}/{token}, if there was one
	Header     map[string][]string // an http.Header: canonical names
	Body       []byte              // exact bytes
	ReceivedAt time.Time

	// Fetched says what was asked of the provider's API, a resource and an id such
	// as "events/62fadf95". It is empty for what came by itself: nobody outside can
	// set it, so an answer can be trusted where a webhook is a hint.
	Fetched string
}

// A Translation is what a provider makes of an authentic request.
//
// Topic, Key and Scopes are set as far as they can be read even when the
// request cannot be translated, so that its repetition is still recognised.
type Translation struct {
	Topic string // as the provider names it, such as "eventCredits.Updated"

	// Key identifies the delivery for ever: the same key with the same bytes is
	// a repetition, the same key with other bytes a conflict. If it is empty and
	// there are no scopes, the topic and the bytes are the key.
	Key string

	// Scopes is for providers that send levels without any id. Without a key, a
	// delivery is a repetition only if it has the bytes of the last one in each
	// of its scopes. With a key, the key alone decides; the delivery is the last
	// one of its scopes all the same, so that what is sent without a key after it
	// is not taken for a repetition of what was sent before it.
	Scopes []string

	Test   bool     // the provider marks it as a test
	Flags  []string // what was noticed and tolerated, such as "duplicate-member"
	Facts  []Fact   // none: the delivery is unrecognized
	Reason string   // why there are no facts, such as "unknown topic"
}

// A Fact is an event and when it happened.
type Fact struct {
	OccurredAt time.Time // zero: when it was received
	Event      Event
}

// A Delivery is one authentic request kept verbatim, with what was made of it.
// It is what is appended to the log: its facts become records, all or none.
type Delivery struct {
	ID         ulid.ULID // assigned when it is received; its time is ReceivedAt
	Source     string
	ReceivedAt time.Time
	Verified   string              // how it was authenticated, such as "hmac-sha256, secret 1"
	Header     map[string][]string // an http.Header; secrets left out
	Body       []byte
	Cause      ulid.ULID // an earlier delivery this one follows from; zero: none
	Fetched    string    // see [Request]

	// Replay says that this is Cause, which was not booked, translated again. It
	// is booked once, and only if nothing else with its key is, and nothing later
	// in its scopes. With Insist, what has its key and other bytes does not count:
	// a person has decided that both are facts.
	Replay, Insist bool
	Translation
}

// A Status says what became of a delivery.
type Status string

// Statuses.
const (
	Accepted     Status = "accepted"     // its facts are in the log
	Duplicate    Status = "duplicate"    // it was there already; nothing changed
	Conflicting  Status = "conflict"     // its key was there with other bytes; quarantined
	Unrecognized Status = "unrecognized" // authentic and recorded; nothing in it is kept
	Quarantined  Status = "quarantined"  // authentic and recorded; a person decides
)

// A Receipt is what the sender of a delivery gets: proof of where its facts
// are. For a duplicate it is the first delivery's.
type Receipt struct {
	Delivery    ulid.ULID       `json:"delivery"`
	Status      Status          `json:"status"`
	Contradicts ulid.ULID       `json:"contradicts,omitzero"` // the first delivery with its key, if this is in conflict with it
	Records     []ReceiptRecord `json:"records"`
}

// A ReceiptRecord is one record that a delivery caused.
type ReceiptRecord struct {
	Position int64     `json:"position"`
	ID       ulid.ULID `json:"id"`
	Kind     Kind      `json:"kind"`
	Leaf     string    `json:"leaf"` // base64 leaf hash in the log's Merkle tree
}

// A Notice is a delivery of the log that may say no more than that there is
// something to be fetched.
type Notice struct {
	Position   int64 // of its record
	Delivery   ulid.ULID
	RecordedAt time.Time
	Body       []byte // exact bytes
}
