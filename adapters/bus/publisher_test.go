package bus_test

import (
	"fmt"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

func granted(uuid, payload string, metadata ...string) *message.Message {
	msg := message.NewMessage(uuid, []byte(payload))
	msg.Metadata.Set("kind", "intake.unrecognized.v1")
	for i := 0; i < len(metadata); i += 2 {
		msg.Metadata.Set(metadata[i], metadata[i+1])
	}
	return msg
}

const payload = `{"topic":"t","reason":"nothing"}`

func TestPublish(t *testing.T) {
	db := newDatabase(t)
	pub := bus.NewPublisher(db.appender)
	cause := ulid.Make().String()
	one, two := granted("1", payload), granted("2", payload, "source", "acme", "occurred_at", "2026-03-01T10:00:00.5+01:00", "cause", cause, "test", "true")
	if err := pub.Publish("acme", one); err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(bus.Log, two); err != nil {
		t.Fatal(err)
	}
	// Once more, and from another source.
	if err := pub.Publish("acme", granted("1", payload), two.Copy()); err != nil {
		t.Fatal(err)
	}
	three := granted("1", payload)
	if err := pub.Publish("zenith", three); err != nil {
		t.Fatal(err)
	}
	if got := one.Metadata.Get("position") + two.Metadata.Get("position") + three.Metadata.Get("position"); got != "123" {
		t.Errorf("positions %s, want 123", got)
	}
	messages := subscribe(t, db.subscriber(t, nil), bus.Log)
	first, second := receive(t, messages), (*message.Message)(nil)
	if string(first.Payload) != payload || first.Metadata.Get("source") != "acme" || first.UUID == "1" {
		t.Errorf("received %s %s %v", first.UUID, first.Payload, first.Metadata)
	}
	first.Ack()
	second = receive(t, messages)
	if m := second.Metadata; m.Get("occurred_at") != "2026-03-01T09:00:00.5Z" || m.Get("cause") != cause || m.Get("test") != "true" {
		t.Errorf("received %v", m)
	}
	second.Ack()
	if got := positions(t, messages, 1); fmt.Sprint(got) != "[3]" {
		t.Errorf("then %v", got)
	}

	// As it was sent, with its headers.
	d, err := postgres.ReadDelivery(t.Context(), db.pool, postgrestest.Keys(t, db.url), ulid.MustParse(second.Metadata.Get("delivery")))
	if err != nil {
		t.Fatal(err)
	}
	if header := d.Header["occurred_at"]; string(d.Body) != payload || d.Verified != "bus" || d.Topic != "intake.unrecognized.v1" ||
		len(header) != 1 || header[0] != "2026-03-01T10:00:00.5+01:00" {
		t.Errorf("delivery %s %s %s %s", d.Body, d.Verified, d.Topic, header)
	}
}

func TestPublishRefuses(t *testing.T) {
	db := newDatabase(t)
	pub := bus.NewPublisher(db.appender)
	for name, c := range map[string]struct {
		topic string
		msg   *message.Message
	}{
		"no UUID":           {"acme", granted("", payload)},
		"no kind":           {"acme", granted("1", payload, "kind", "")},
		"unknown kind":      {"acme", granted("1", payload, "kind", "credits.invented.v1")},
		"other kind":        {"acme", granted("1", payload, "kind", "credits.reported.v1")},
		"no payload":        {"acme", granted("1", "")},
		"not JSON":          {"acme", granted("1", payload[1:])},
		"space":             {"acme", granted("1", payload+" ")},
		"more":              {"acme", granted("1", payload+payload)},
		"unknown field":     {"acme", granted("1", `{"reason":"nothing","x":1}`)},
		"missing field":     {"acme", granted("1", `{"topic":"t"}`)},
		"personal":          {"acme", granted("1", `{"person_type":"user","person":"1","name":"Amina"}`, "kind", "directory.person-seen.v1")},
		"no source":         {bus.Log, granted("1", payload)},
		"log as source":     {bus.Log, granted("1", payload, "source", bus.Log)},
		"two sources":       {"acme", granted("1", payload, "source", "zenith")},
		"source, newline":   {bus.Log, granted("1", payload, "source", "acme\nkind x")},
		"time":              {"acme", granted("1", payload, "occurred_at", "yesterday")},
		"cause":             {"acme", granted("1", payload, "cause", "1")},
		"test":              {"acme", granted("1", payload, "test", "perhaps")},
		"source, empty":     {"", granted("1", payload)},
		"source, with path": {"a/b", granted("1", payload)},
	} {
		if err := pub.Publish(c.topic, c.msg); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		if c.msg.Metadata.Get("position") != "" {
			t.Errorf("%s: it has a position", name)
		}
	}
	var n int
	if err := db.pool.QueryRow(`SELECT count(*) FROM log`).Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d records, %v", n, err)
	}

	if err := pub.Publish("acme", granted("1", payload)); err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish("acme", granted("1", `{"reason":"another"}`)); domain.CodeOf(err) != domain.Refused {
		t.Errorf("same UUID, other payload: %v", err)
	}
	if err := pub.Publish("acme", granted("1", payload, "kind", "intake.quarantined.v1")); domain.CodeOf(err) != domain.Refused {
		t.Errorf("same UUID, other kind: %v", err)
	}
	pub.Close()
	if err := pub.Publish("acme", granted("2", payload)); domain.CodeOf(err) != domain.Refused {
		t.Errorf("after Close: %v", err)
	}
}
