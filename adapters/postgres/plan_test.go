package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// testKeys returns keys that need no database as long as nobody is named.
func testKeys() *Keyring {
	return &Keyring{index: &seal.Key{1}, epoch: 1, keks: map[int]*seal.Key{1: {2}}, subjects: make(map[string]*dataKey), now: time.Now}
}

// replays returns replays of deliveries from a position on, which are not booked: of
// levels of one scope, with the key if there is one.
func replays(t *testing.T, keys *Keyring, e *existing, from int64, key string, levels ...int64) (batch []*prepared) {
	for i, remaining := range levels {
		p, err := prepare(t.Context(), keys, domain.Delivery{
			ID: ulid.Make(), Source: "s", ReceivedAt: time.Now(), Cause: ulid.Make(), Replay: true,
			Body: fmt.Append(nil, remaining),
			Translation: domain.Translation{Topic: "levels", Key: key, Scopes: []string{"credits/7"}, Facts: []domain.Fact{{
				Event: domain.CreditsReported{Line: "7", Template: "318", Remaining: decimal.NewFromInt(remaining)},
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		at := from + int64(i)
		e.replayed[p.Cause.String()] = found{position: at, origin: at, records: 1, id: p.Cause.String(), status: domain.Quarantined, body: p.body}
		batch = append(batch, p)
	}
	return batch
}

// TestReplaysOfOneBatch replays levels that wait together: each takes the place of
// the delivery that it replays, not its own.
func TestReplaysOfOneBatch(t *testing.T) {
	e, keys := newExisting(), testKeys()
	batch := replays(t, keys, e, 1, "", 14, 15, 14)
	pl, err := newPlan(t.Context(), batch, head{position: 3, frontier: new(tree.Frontier)}, e, time.Now(), newParams())
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range pl.answers {
		if a.err != nil || a.receipt.Status != domain.Accepted {
			t.Errorf("replay %d: %+v, %v", i+1, a.receipt, a.err)
		}
	}
}

// TestReplayBehindAKeyOfOneBatch is TestReplayBehindAKey for replays that wait
// together.
func TestReplayBehindAKeyOfOneBatch(t *testing.T) {
	e, keys := newExisting(), testKeys()
	batch := append(replays(t, keys, e, 1, "dated", 15), replays(t, keys, e, 2, "", 14)...)
	e.booked[[2]string{"s", keys.name(macScope, "credits/7")}] = found{position: 3, origin: 3, id: "later"}
	pl, err := newPlan(t.Context(), batch, head{position: 3, frontier: new(tree.Frontier)}, e, time.Now(), newParams())
	if err != nil {
		t.Fatal(err)
	}
	if a := pl.answers[0]; a.err != nil || a.receipt.Status != domain.Accepted {
		t.Errorf("dated: %+v, %v", a.receipt, a.err)
	}
	if a := pl.answers[1]; domain.CodeOf(a.err) != domain.Refused {
		t.Errorf("undated, with a later level booked: %+v, %v", a.receipt, a.err)
	}
}
