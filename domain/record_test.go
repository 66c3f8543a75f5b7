package domain_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
)

// The bytes that a leaf commits to, as the comment of Record has them.
func ExampleRecord_AppendBytes() {
	envelope, err := hex.DecodeString("aa0586ff63f5013cc811b3bca1faff1baf966364c61d060b133b98cf719c3d12")
	if err != nil {
		panic(err)
	}
	r := domain.Record{
		Position:   7,
		ID:         ulid.MustParse("01KHV3Q0000000000000000000"),
		Kind:       "credits.reported.v1",
		Source:     "acme-tahdah",
		OccurredAt: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		RecordedAt: time.Date(2026, 3, 1, 9, 0, 1, 250_000_000, time.UTC),
		Delivery:   ulid.MustParse("01KHV3Q0000000000000000001"),
		Envelope:   [32]byte(envelope),
		Data:       []byte(`{"line":"70412","template":"318","remaining":"14"}`),
	}
	fmt.Printf("%s", r.AppendBytes(nil))
	// Output:
	// daybook record v1
	// position 7
	// id 01KHV3Q0000000000000000000
	// kind credits.reported.v1
	// source acme-tahdah
	// occurred_at 2026-03-01T09:00:00.000000Z
	// recorded_at 2026-03-01T09:00:01.250000Z
	// delivery 01KHV3Q0000000000000000001 aa0586ff63f5013cc811b3bca1faff1baf966364c61d060b133b98cf719c3d12
	// cause -
	// test false
	// personal -
	// data {"line":"70412","template":"318","remaining":"14"}
}

func record() domain.Record {
	return domain.Record{
		Position:   7,
		ID:         ulid.MustParse("01KHV3Q0000000000000000000"),
		Kind:       "credits.reported.v1",
		Source:     "acme-tahdah",
		OccurredAt: at("2026-03-01T09:00:00Z"),
		RecordedAt: at("2026-03-01T09:00:01.25Z"),
		Delivery:   ulid.MustParse("01KHV3Q0000000000000000001"),
		Envelope:   sha256.Sum256([]byte("envelope")),
		Cause:      ulid.MustParse("01KHV3Q0000000000000000002"),
		Data:       []byte(`{"line":"70412","template":"318","remaining":"14","consumed":[{}]}`),
		Personal:   []byte(`{"consumed/0/description":"sealed.1.abc"}`),
	}
}

// TestLeafCoversEveryField changes each field by itself: no two records that
// differ anywhere have the same bytes.
func TestLeafCoversEveryField(t *testing.T) {
	changes := map[string]func(*domain.Record){
		"Position":   func(r *domain.Record) { r.Position++ },
		"ID":         func(r *domain.Record) { r.ID[15]++ },
		"Kind":       func(r *domain.Record) { r.Kind = "credits.reported.v2" },
		"Source":     func(r *domain.Record) { r.Source += "x" },
		"OccurredAt": func(r *domain.Record) { r.OccurredAt = r.OccurredAt.Add(time.Microsecond) },
		"RecordedAt": func(r *domain.Record) { r.RecordedAt = r.RecordedAt.Add(time.Microsecond) },
		"Delivery":   func(r *domain.Record) { r.Delivery[0]++ },
		"Envelope":   func(r *domain.Record) { r.Envelope[31]++ },
		"Cause":      func(r *domain.Record) { r.Cause = ulid.ULID{} },
		"Test":       func(r *domain.Record) { r.Test = true },
		"Data":       func(r *domain.Record) { r.Data = bytes.Replace(r.Data, []byte("14"), []byte("15"), 1) },
		"Personal":   func(r *domain.Record) { r.Personal = bytes.Replace(r.Personal, []byte("abc"), []byte("abd"), 1) },
	}
	seen := map[string]string{string(new(record()).AppendBytes(nil)): "none"}
	for field := range reflect.TypeFor[domain.Record]().Fields() {
		change, ok := changes[field.Name]
		if !ok {
			if field.Name != "Event" { // decoded from the others
				t.Errorf("nobody changes %s", field.Name)
			}
			continue
		}
		r := record()
		change(&r)
		leaf := string(r.AppendBytes(nil))
		if other, same := seen[leaf]; same {
			t.Errorf("a change of %s makes the same bytes as a change of %s", field.Name, other)
		}
		seen[leaf] = field.Name
	}
}

func TestAppendBytesAppends(t *testing.T) {
	r := record()
	if got := r.AppendBytes([]byte("before")); !bytes.Equal(got, append([]byte("before"), r.AppendBytes(nil)...)) {
		t.Errorf("got %q", got)
	}
}

// TestRecordTimesAreUTC: the same moment has one form.
func TestRecordTimesAreUTC(t *testing.T) {
	a, b := record(), record()
	b.OccurredAt = b.OccurredAt.In(time.FixedZone("", -5*60*60))
	b.RecordedAt = b.RecordedAt.In(time.FixedZone("", 60))
	if !bytes.Equal(a.AppendBytes(nil), b.AppendBytes(nil)) {
		t.Errorf("the zone shows:\n%s", b.AppendBytes(nil))
	}
}

// TestNoEventForgesALine is the law that makes record bytes readable in one way
// only: whatever text a provider sends, an event that can be recorded takes one
// line.
func TestNoEventForgesALine(t *testing.T) {
	lines := bytes.Count(new(record()).AppendBytes(nil), []byte("\n"))
	evil := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"1\nposition 8", "\n", "\r\n", "\u2028", "\u0085", "\"}\ndata {}", "\x00"}),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return evil.Draw(t, name) }
		for _, e := range []domain.Event{
			domain.DirectoryItemSeen{
				ItemType: domain.ItemCourse, Item: text("item"), Name: text("name"), Slug: text("slug"),
				Status: text("status"), Price: text("price"), Activity: text("activity"),
			},
			domain.DirectoryItemSeen{ItemType: domain.ItemCourse, Item: "1", Name: text("name"), Slug: text("slug")},
			domain.IntakeQuarantined{Topic: text("topic"), Reason: text("reason"), Field: text("field")},
			domain.DirectoryPersonSeen{
				PersonType: domain.PersonUser, Person: "1", Name: domain.Personal(text("name")),
				Attributes: []domain.Attribute{{Name: "a", Value: domain.Personal(text("value"))}},
			},
		} {
			data, personal, err := domain.Encode(e)
			if err != nil {
				continue // never appended
			}
			r := record()
			r.Kind, r.Data, r.Personal = e.Kind(), data, personal
			if got := r.AppendBytes(nil); bytes.Count(got, []byte("\n")) != lines {
				t.Fatalf("a line too many:\n%s", got)
			}
			if bytes.ContainsAny(personal, "\n") {
				t.Fatalf("personal part with a newline: %q", personal)
			}
		}
	})
}

func TestRecordDecode(t *testing.T) {
	r := record()
	if err := r.Decode(); err != nil {
		t.Fatal(err)
	}
	e, ok := r.Event.(domain.CreditsReported)
	if !ok || e.Line != "70412" || e.Consumed[0].Description != "sealed.1.abc" {
		t.Errorf("Event = %+v", r.Event)
	}
	for name, change := range map[string]func(*domain.Record){
		"data cut":       func(r *domain.Record) { r.Data = r.Data[:10] },
		"other kind":     func(r *domain.Record) { r.Kind = "badges.deleted.v1" },
		"personal cut":   func(r *domain.Record) { r.Personal = r.Personal[:20] },
		"personal field": func(r *domain.Record) { r.Personal = []byte(`{"name":"sealed.1.abc"}`) },
	} {
		r := record()
		change(&r)
		err := r.Decode()
		if domain.CodeOf(err) != domain.Differs || !strings.Contains(err.Error(), "record 7") {
			t.Errorf("%s: %v, want code %q and the position", name, err, domain.Differs)
		}
	}
}

func TestEffectiveAt(t *testing.T) {
	r := record()
	if got := r.EffectiveAt(); !got.Equal(r.OccurredAt) {
		t.Errorf("of the past: %v", got)
	}
	r.OccurredAt = r.RecordedAt.Add(time.Hour)
	if got := r.EffectiveAt(); !got.Equal(r.RecordedAt) {
		t.Errorf("of the future: %v", got)
	}
}
