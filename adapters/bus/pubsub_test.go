package bus_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// TestPubSub is Watermill's own suite for implementations, its long version:
// every message goes through the appender, the log and the subscriber. Without
// ExactlyOnceDelivery, as the suite leaves two of its tests out with it.
func TestPubSub(t *testing.T) {
	quiet(t)
	dbs := new(databases)
	follow := func(t *testing.T, follower string) (message.Publisher, message.Subscriber) {
		return dbs.of(t).pubSub(t, follower)
	}
	tests.TestPubSub(t, tests.Features{
		ConsumerGroups:  true,
		GuaranteedOrder: true,
		Persistent:      true,
	}, func(t *testing.T) (message.Publisher, message.Subscriber) { return follow(t, "test") }, follow)
}

// TestPubSubExactlyOnce runs those of Watermill's tests that are stricter if
// nothing may come twice.
func TestPubSubExactlyOnce(t *testing.T) {
	quiet(t)
	dbs := new(databases)
	for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"PublishSubscribe": tests.TestPublishSubscribe,
		"ResendOnError":    tests.TestResendOnError,
		"NoAck":            tests.TestNoAck,
		"Topic":            tests.TestTopic,
		"InOrder":          tests.TestPublishSubscribeInOrder,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, tests.TestContext{TestID: tests.NewTestID(), Features: tests.Features{
				ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ExactlyOnceDelivery: true,
			}}, func(t *testing.T) (message.Publisher, message.Subscriber) { return dbs.of(t).pubSub(t, "test") })
		})
	}
}

// TestPubSubOldMessages: a new follower receives what was published before.
func TestPubSubOldMessages(t *testing.T) {
	quiet(t)
	db := newDatabase(t)
	tests.TestNewSubscriberReceivesOldMessages(t, tests.TestContext{TestID: tests.NewTestID(), Features: tests.Features{
		ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ExactlyOnceDelivery: true, NewSubscriberReceivesOldMessages: true,
	}}, func(t *testing.T) (message.Publisher, message.Subscriber) { return db.pubSub(t, ulid.Make().String()) })
}

// quiet drops what the suite writes to the log.
func quiet(t *testing.T) {
	was := log.Writer()
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(was) })
}

// A database is the log of one test.
type database struct {
	url      string
	appender *postgres.Appender
	pool     *sql.DB // for subscribers
	wake     *bus.Wake
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	url := postgrestest.URL(t)
	ctx, cancel := context.WithCancel(context.Background())
	wake, err := bus.Listen(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-wake.Done()
	})
	return &database{url, postgrestest.Appender(t, url), postgrestest.Open(t, url, postgres.RoleProjector), wake}
}

// databases holds the database of each test of a suite.
type databases struct {
	mu   sync.Mutex
	list map[string]*database
}

func (d *databases) of(t *testing.T) *database {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list = make(map[string]*database)
	}
	if d.list[t.Name()] == nil {
		d.list[t.Name()] = newDatabase(t)
	}
	return d.list[t.Name()]
}

func (d *database) pubSub(t *testing.T, follower string) (message.Publisher, message.Subscriber) {
	t.Helper()
	sub, err := bus.NewSubscriber(bus.SubscriberConfig{
		DB: d.pool, Follower: follower, Wake: d.wake,
		PollInterval: 250 * time.Millisecond, RetryInterval: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return wrapper{bus.NewPublisher(d.appender)}, &unwrapper{inner: sub}
}

// parcel is any message, carried by an event of the log.
type parcel struct {
	UUID     string            `json:"u"`
	Payload  []byte            `json:"p"`
	Metadata map[string]string `json:"m"`
}

// A wrapper publishes any message, to any topic, as an event of the source with
// the name of the topic.
type wrapper struct{ inner message.Publisher }

func (w wrapper) Close() error { return w.inner.Close() }

func (w wrapper) Publish(topic string, messages ...*message.Message) error {
	var wrapped []*message.Message
	for _, msg := range messages {
		p, err := json.Marshal(parcel{msg.UUID, msg.Payload, msg.Metadata})
		if err != nil {
			return err
		}
		data, _, err := domain.Encode(domain.IntakeUnrecognized{Reason: base64.StdEncoding.EncodeToString(p)})
		if err != nil {
			return err
		}
		m := message.NewMessage(msg.UUID, data)
		m.Metadata.Set("kind", "intake.unrecognized.v1")
		wrapped = append(wrapped, m)
	}
	return w.inner.Publish(topic, wrapped...)
}

// An unwrapper receives what a wrapper has published.
type unwrapper struct {
	inner  message.Subscriber
	active sync.WaitGroup
}

func (u *unwrapper) Close() error {
	err := u.inner.Close()
	u.active.Wait()
	return err
}

func (u *unwrapper) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := u.inner.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	u.active.Go(func() {
		defer close(out)
		for msg := range in {
			unwrap(msg)
			select {
			case out <- msg:
			case <-msg.Context().Done():
			}
		}
	})
	return out, nil
}

// unwrap turns the message into the one it carries.
func unwrap(msg *message.Message) {
	var e domain.IntakeUnrecognized
	var p parcel
	if err := json.Unmarshal(msg.Payload, &e); err != nil {
		panic(err)
	}
	text, err := base64.StdEncoding.DecodeString(e.Reason)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		panic(err)
	}
	msg.UUID, msg.Payload, msg.Metadata = p.UUID, p.Payload, p.Metadata
	if msg.Metadata == nil {
		msg.Metadata = message.Metadata{}
	}
}
