package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// TestReplaysOfOneBatch replays levels that wait together: each takes the place of
// the delivery that it replays, not its own.
func TestReplaysOfOneBatch(t *testing.T) {
	e := newExisting()
	var batch []*prepared
	for i, remaining := range []int64{14, 15, 14} {
		p, err := prepare(domain.Delivery{
			ID: ulid.Make(), Source: "s", ReceivedAt: time.Now(), Cause: ulid.Make(), Replay: true,
			Body: fmt.Append(nil, remaining),
			Translation: domain.Translation{Topic: "levels", Scopes: []string{"credits/7"}, Facts: []domain.Fact{{
				Event: domain.CreditsReported{Line: "7", Template: "318", Remaining: decimal.NewFromInt(remaining)},
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		at := int64(i + 1)
		e.replayed[p.Cause.String()] = found{position: at, origin: at, records: 1, id: p.Cause.String(), status: domain.Quarantined, body: p.body}
		batch = append(batch, p)
	}
	pl, err := newPlan(batch, head{position: 3, frontier: new(tree.Frontier)}, e, time.Now(), newParams())
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range pl.answers {
		if a.err != nil || a.receipt.Status != domain.Accepted {
			t.Errorf("replay %d: %+v, %v", i+1, a.receipt, a.err)
		}
	}
}
