package domain_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

func parsedEnvelope() domain.Envelope {
	return domain.Envelope{
		ID: ulid.MustParse("01KHV3Q0000000000000000001"), Source: "acme-tahdah", Topic: "eventCredits.Updated", Status: domain.Accepted,
		Flags: "assumed-mapping,duplicate-member", Verified: "hmac-sha256, secret 1", ReceivedAt: at("2026-03-01T09:00:01Z"),
		Scopes: []string{"abc", "def"}, BodyMAC: sha256.Sum256([]byte("mac")),
		HeaderSHA256: sha256.Sum256([]byte("header")), BodySHA256: sha256.Sum256([]byte("body")),
	}
}

func TestParseRecord(t *testing.T) {
	want := record()
	got, err := domain.ParseRecord(want.AppendBytes(nil), want.Personal)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want.Personal, want.Cause = nil, ulid.ULID{}
	if got, err = domain.ParseRecord(want.AppendBytes(nil), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("without a personal part (-want +got):\n%s", diff)
	}
}

func TestParseEnvelope(t *testing.T) {
	full := parsedEnvelope()
	full.Cause, full.Fetched, full.Key, full.Replay, full.Test = ulid.MustParse("01KHV3Q0000000000000000002"), "events/1", "k", true, true
	full.Topic, full.Flags, full.Scopes = "-", "", nil
	for _, want := range []domain.Envelope{parsedEnvelope(), full, {ReceivedAt: at("2026-03-01T09:00:01Z")}} {
		got, err := domain.ParseEnvelope(want.AppendBytes(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestParseRefuses changes, cuts and adds every byte: what is still read is read
// as something else, and never as the same.
func TestParseRefuses(t *testing.T) {
	r, e := record(), parsedEnvelope()
	for name, form := range map[string]struct {
		bytes []byte
		parse func([]byte) ([]byte, error)
	}{
		"record": {r.AppendBytes(nil), func(b []byte) ([]byte, error) {
			got, err := domain.ParseRecord(b, r.Personal)
			if err != nil {
				return nil, err
			}
			return got.AppendBytes(nil), nil
		}},
		"delivery": {e.AppendBytes(nil), func(b []byte) ([]byte, error) {
			got, err := domain.ParseEnvelope(b)
			if err != nil {
				return nil, err
			}
			return got.AppendBytes(nil), nil
		}},
	} {
		for i := range form.bytes {
			for bit := range 8 {
				b := bytes.Clone(form.bytes)
				b[i] ^= 1 << bit
				if again, err := form.parse(b); err == nil && !bytes.Equal(again, b) {
					t.Errorf("%s: bit %d of byte %d: read as what is written otherwise", name, bit, i)
				}
			}
			if _, err := form.parse(form.bytes[:i]); err == nil {
				t.Errorf("%s: read from %d of its %d bytes", name, i, len(form.bytes))
			}
		}
		for _, changed := range []string{
			string(form.bytes) + "\n", string(form.bytes) + "more\n", "\n" + string(form.bytes),
			strings.Replace(string(form.bytes), "\n", "\r\n", 1),
			strings.Replace(string(form.bytes), "test false", "test no", 1),
			strings.Replace(string(form.bytes), "2026-03-01T09:00:01", "2026-03-01t09:00:01", 1),
			strings.Replace(string(form.bytes), "01KHV3Q0000000000000000001", "01khv3q0000000000000000001", 1),
		} {
			if _, err := form.parse([]byte(changed)); err == nil {
				t.Errorf("%s: read from\n%s", name, changed)
			}
		}
	}
	for _, personal := range []string{"", `{"consumed/0/description":"sealed.1.abd"}`} {
		if _, err := domain.ParseRecord(r.AppendBytes(nil), []byte(personal)); err == nil {
			t.Errorf("the personal part %q was taken", personal)
		}
	}
	r.Personal = nil
	if _, err := domain.ParseRecord(r.AppendBytes(nil), []byte("{}")); err == nil {
		t.Error("a personal part was taken that the record does not commit to")
	}
}

func FuzzParseRecord(f *testing.F) {
	r := record()
	f.Add(r.AppendBytes(nil), r.Personal)
	f.Fuzz(func(t *testing.T, b, personal []byte) {
		if r, err := domain.ParseRecord(b, personal); err == nil && !bytes.Equal(b, r.AppendBytes(nil)) {
			t.Errorf("%q is read as what is written %q", b, r.AppendBytes(nil))
		}
	})
}

func FuzzParseEnvelope(f *testing.F) {
	e := parsedEnvelope()
	f.Add(e.AppendBytes(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := domain.ParseEnvelope(b); err == nil && !bytes.Equal(b, e.AppendBytes(nil)) {
			t.Errorf("%q is read as what is written %q", b, e.AppendBytes(nil))
		}
	})
}
