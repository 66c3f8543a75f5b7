package bus

import (
	"context"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// An Appender writes the log. Append returns when the delivery is committed, or
// was found to be there already.
type Appender interface {
	Append(ctx context.Context, d domain.Delivery) (domain.Receipt, error)
}

// A Publisher appends messages to the log. Each becomes a delivery with one
// fact, kept verbatim with its metadata as headers:
//
//   - the topic is the source, or [Log] with the source in metadata "source";
//   - metadata "kind" is the event's kind and the payload its data in its wire
//     form, exactly as [domain.Encode] writes it. There is no way to publish a
//     personal part;
//   - metadata "occurred_at" (RFC 3339), "cause" (a ULID) and "test" (true or
//     false) may be there;
//   - the UUID tells messages of a source apart: publishing the same message
//     again changes nothing, another one with the same UUID is refused.
//
// The record gets an id of its own. Afterwards metadata "position" says where
// the record is.
type Publisher struct {
	appender Appender
	closed   atomic.Bool
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher returns a publisher that appends through a.
func NewPublisher(a Appender) *Publisher { return &Publisher{appender: a} }

// Publish appends the messages one after the other, so that they are in the log
// in their order. It ends at the first that fails; publishing all of them again
// is safe.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		if p.closed.Load() {
			return domain.Errorf(domain.Refused, "publish", "the publisher is closed")
		}
		d, err := delivery(topic, msg, time.Now())
		if err != nil {
			return domain.Errorf(domain.Invalid, "publish message "+strconv.Quote(msg.UUID), "%w", err)
		}
		receipt, err := p.appender.Append(msg.Context(), d)
		if err != nil {
			return err
		}
		if receipt.Status == domain.Conflicting || len(receipt.Records) != 1 || string(receipt.Records[0].Kind) != d.Topic {
			return domain.Errorf(domain.Refused, "publish message "+strconv.Quote(msg.UUID), "the source %s has another message with this UUID", d.Source).
				WithHint("Give every message a UUID of its own.")
		}
		msg.Metadata.Set("position", strconv.FormatInt(receipt.Records[0].Position, 10))
	}
	return nil
}

// Close makes Publish fail. What is being published is finished.
func (p *Publisher) Close() error {
	p.closed.Store(true)
	return nil
}

// sources is what a source can be named: what Watermill accepts as a topic.
var sources = regexp.MustCompile(`^[A-Za-z0-9\-$:._]{1,255}$`)

// delivery returns what is appended for a message received at a moment.
func delivery(topic string, msg *message.Message, now time.Time) (domain.Delivery, error) {
	now = now.UTC()
	d := domain.Delivery{
		ID:          ulid.MustNewDefault(now),
		Source:      topic,
		ReceivedAt:  now,
		Verified:    "bus",
		Header:      make(map[string][]string, len(msg.Metadata)),
		Body:        msg.Payload,
		Translation: domain.Translation{Topic: msg.Metadata.Get("kind"), Key: "message/" + msg.UUID},
	}
	for name, value := range msg.Metadata {
		d.Header[name] = []string{value}
	}
	source := msg.Metadata.Get("source")
	if topic == Log {
		d.Source = source
	}
	fact := domain.Fact{}
	var err error
	switch {
	case msg.UUID == "":
		return d, &domain.FieldError{Field: "UUID", Reason: "is missing"}
	case d.Source == Log || !sources.MatchString(d.Source):
		return d, &domain.FieldError{Field: "source", Reason: "is not the name of a source: " + strconv.Quote(d.Source)}
	case source != "" && source != d.Source:
		return d, &domain.FieldError{Field: "source", Reason: "is not the topic"}
	}
	if fact.Event, err = domain.Decode(domain.Kind(d.Topic), msg.Payload, nil); err != nil {
		return d, domain.Errorf(domain.Invalid, "payload", "%w", err).
			WithHint("Metadata kind must name a kind of event and the payload be its data as domain.Encode writes it.")
	}
	if text := msg.Metadata.Get("occurred_at"); text != "" {
		if fact.OccurredAt, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return d, &domain.FieldError{Field: "occurred_at", Reason: "is no RFC 3339 time"}
		}
	}
	if text := msg.Metadata.Get("cause"); text != "" {
		if d.Cause, err = ulid.ParseStrict(text); err != nil {
			return d, &domain.FieldError{Field: "cause", Reason: "is no ULID"}
		}
	}
	if text := msg.Metadata.Get("test"); text != "" {
		if d.Test, err = strconv.ParseBool(text); err != nil {
			return d, &domain.FieldError{Field: "test", Reason: "is neither true nor false"}
		}
	}
	d.Facts = []domain.Fact{fact}
	return d, nil
}
