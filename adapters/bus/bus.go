// Package bus makes the log a Watermill topic.
//
// What it keeps true: a subscriber sees every record, in order of position, and
// a record that is missing stops it rather than being passed over; a message
// that was acknowledged is behind the follower's cursor; and what a handler
// writes inside [Savepoint] is there once for each record, whatever fails,
// because it is committed with the cursor or not at all.
//
// # Topics
//
// The topic [Log] carries every record. Any other topic carries the records of
// the source of that name; the cursor passes over the others. A subscriber's
// follower is its consumer group: it has one cursor in the topic Log, under its
// own name, and one in the topic of each source, as "follower@source". Of
// several instances of a follower one receives; the others stand by and take
// over when it stops, at the latest after their poll interval.
//
// # Messages
//
// The UUID is the event's ULID and the payload its wire form without the
// personal part (see package domain). [Record] gives the whole of it. Metadata:
//
//	kind         credits.reported.v1
//	name         the same, for cqrs.EventGroupProcessor
//	position     7
//	source       acme-tahdah
//	occurred_at  2026-03-01T09:00:00Z
//	recorded_at  2026-03-01T09:00:01.25Z
//	delivery     01KHV3Q0000000000000000001
//	cause        01KHV3Q0000000000000000002, absent if there is none
//	test         false
//
// With [SubscriberConfig.Batch] a message stands for a range of records
// instead; see [Range].
//
// Publishing is appending: see [Publisher].
//
// # What it claims of Watermill
//
// Watermill's own suite for implementations passes with ConsumerGroups,
// GuaranteedOrder (with any number of subscribers), Persistent and, for new
// followers, NewSubscriberReceivesOldMessages. Delivery is at least once: a
// message is repeated if the process or its connection dies before the commit,
// or if its handler does not finish before the deadline. Where nothing fails it
// is exactly once, also across [Subscriber.Close]; effects in the database are
// exactly once always.
package bus

import (
	"context"
	"encoding/json"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/daybook-ledger/daybook/domain"
)

// Log is the topic that carries every record. No source has this name.
const Log = "log"

// Record returns the record that a message of a [Subscriber] stands for,
// decoded, with its personal part. The message must have the context that it
// was received with, or one that follows from it. The hash of the delivery's
// body is not part of it.
func Record(msg *message.Message) (*domain.Record, error) {
	t, ok := received(msg.Context())
	if !ok || t.messages[msg.UUID].record == nil {
		return nil, domain.Errorf(domain.Internal, "read message", "message %q does not stand for a record of the log", msg.UUID)
	}
	r := *t.messages[msg.UUID].record
	if err := r.Decode(); err != nil {
		return nil, err
	}
	return &r, nil
}

// span is the payload of a message that stands for a range, such as
//
//	{"after":7,"up_to":1007}
type span struct {
	After int64 `json:"after"`
	UpTo  int64 `json:"up_to"`
}

// Range returns the positions of the records that a message stands for: those
// greater than after, up to and including upTo. The handler reads them in the
// transaction that it shares with its cursor, see [Tx].
func Range(msg *message.Message) (after, upTo int64, err error) {
	var s span
	if err := json.Unmarshal(msg.Payload, &s); err != nil || s.UpTo <= s.After || s.After < 0 {
		return 0, 0, domain.Errorf(domain.Internal, "read message", "message %q does not stand for a range of records", msg.UUID)
	}
	return s.After, s.UpTo, nil
}

// received returns the transaction in which a message was read.
func received(ctx context.Context) (*tx, bool) {
	t, ok := wsqlTx(ctx).(*tx)
	return t, ok
}
