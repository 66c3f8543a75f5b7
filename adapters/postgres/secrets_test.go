package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
)

// TestSecretUses checks that the last use of each secret counts, however it was
// verified, and neither what was imported nor what was before.
func TestSecretUses(t *testing.T) {
	url := postgrestest.URL(t)
	a := postgrestest.Appender(t, url)
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	for key, d := range map[string]struct {
		on       int
		verified string
	}{
		"long ago":   {1, "hmac-sha256, secret 2"},
		"first":      {3, "hmac-sha256, secret 1"},
		"again":      {5, "hmac-sha256 without byte order mark, secret 1"},
		"imported":   {9, "imported, hmac-sha256, secret 1"},
		"unverified": {9, "imported, not verified"},
		"fetched":    {9, "fetched"},
	} {
		stored := level(key, 14)
		stored.ReceivedAt, stored.Verified = day(d.on), d.verified
		if err := stored.ID.SetTime(ulid.Timestamp(day(d.on))); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, a, stored)
	}
	uses, err := postgres.SecretUses(t.Context(), postgrestest.Open(t, url, postgres.RoleProjector), day(2))
	if want := []postgres.SecretUse{{Source: "acme-tahdah", Secret: 1, LastAt: day(5)}}; err != nil || !slices.Equal(uses, want) {
		t.Errorf("%v, %v, want %v", uses, err, want)
	}
}
