package domain_test

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

func envelope() domain.Envelope {
	return domain.Envelope{
		ID:           ulid.MustParse("01KHV3Q0000000000000000001"),
		Source:       "acme-tahdah",
		Topic:        "eventCredits.Updated",
		Status:       domain.Accepted,
		Flags:        "assumed-mapping,duplicate-member",
		Verified:     "hmac-sha256, secret 1",
		Fetched:      "events/62fadf95",
		ReceivedAt:   at("2026-03-01T09:00:01Z"),
		Scopes:       []string{"one", "two"},
		BodyMAC:      sha256.Sum256([]byte("mac")),
		HeaderSHA256: sha256.Sum256([]byte("header")),
		BodySHA256:   sha256.Sum256([]byte("body")),
	}
}

// The bytes that records commit to.
func ExampleEnvelope_AppendBytes() {
	e := envelope()
	fmt.Printf("%s", e.AppendBytes(nil))
	// Output:
	// daybook delivery v1
	// id 01KHV3Q0000000000000000001
	// source acme-tahdah
	// topic eventCredits.Updated
	// status accepted
	// test false
	// flags assumed-mapping,duplicate-member
	// verified hmac-sha256, secret 1
	// received_at 2026-03-01T09:00:01.000000Z
	// cause -
	// fetched events/62fadf95
	// replay false
	// key -
	// scopes one,two
	// mac 348a629f5ceed032c3e8706ec47d9bfafb00fb4250b018dd965435ca50cb836e
	// header 1e0584a25d9f43bf5cbd0aec01eb1af2220ed085b4e7f1837b0d89958cae353a
	// body 230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5
}

// TestEnvelopeCoversEveryField changes each field by itself.
func TestEnvelopeCoversEveryField(t *testing.T) {
	changes := map[string]func(*domain.Envelope){
		"ID":           func(e *domain.Envelope) { e.ID[15]++ },
		"Source":       func(e *domain.Envelope) { e.Source += "x" },
		"Topic":        func(e *domain.Envelope) { e.Topic += "x" },
		"Status":       func(e *domain.Envelope) { e.Status = domain.Quarantined },
		"Test":         func(e *domain.Envelope) { e.Test = true },
		"Flags":        func(e *domain.Envelope) { e.Flags = "" },
		"Verified":     func(e *domain.Envelope) { e.Verified += "x" },
		"ReceivedAt":   func(e *domain.Envelope) { e.ReceivedAt = e.ReceivedAt.Add(time.Microsecond) },
		"Cause":        func(e *domain.Envelope) { e.Cause[0]++ },
		"Fetched":      func(e *domain.Envelope) { e.Fetched = "" },
		"Replay":       func(e *domain.Envelope) { e.Replay = true },
		"Key":          func(e *domain.Envelope) { e.Key = "one" },
		"Scopes":       func(e *domain.Envelope) { e.Scopes = e.Scopes[:1] },
		"BodyMAC":      func(e *domain.Envelope) { e.BodyMAC[0]++ },
		"HeaderSHA256": func(e *domain.Envelope) { e.HeaderSHA256[0]++ },
		"BodySHA256":   func(e *domain.Envelope) { e.BodySHA256[31]++ },
	}
	first := envelope()
	seen := map[string]string{string(first.AppendBytes(nil)): "none"}
	for field := range reflect.TypeFor[domain.Envelope]().Fields() {
		change, ok := changes[field.Name]
		if !ok {
			t.Errorf("nobody changes %s", field.Name)
			continue
		}
		e := envelope()
		change(&e)
		b := string(e.AppendBytes(nil))
		if other, same := seen[b]; same {
			t.Errorf("a change of %s makes the same bytes as a change of %s", field.Name, other)
		}
		seen[b] = field.Name
	}
}

// TestEnvelopeOfDashes wants a text that is a dash to be none that is empty.
func TestEnvelopeOfDashes(t *testing.T) {
	empty := domain.Envelope{ID: envelope().ID}
	for name, change := range map[string]func(*domain.Envelope){
		"topic":   func(e *domain.Envelope) { e.Topic = "-" },
		"flags":   func(e *domain.Envelope) { e.Flags = "-" },
		"fetched": func(e *domain.Envelope) { e.Fetched = "-" },
		"scopes":  func(e *domain.Envelope) { e.Scopes = []string{"-"} },
	} {
		e := empty
		if change(&e); string(e.AppendBytes(nil)) == string(empty.AppendBytes(nil)) {
			t.Errorf("with %q as %s the bytes are the same", "-", name)
		}
	}
}
