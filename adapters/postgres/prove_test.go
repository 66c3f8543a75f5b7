package postgres_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// stated returns the checkpoint, not signed, of the first size records.
func stated(t *testing.T, db *sql.DB, size int64) checkpoint.Checkpoint {
	t.Helper()
	root, err := tree.RootAt(size, postgres.LeafHashes(t.Context(), db))
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.Checkpoint{Origin: "daybook/test/1", Size: size, Root: root}
}

// TestProve proves every record of a log at every size, and that each size
// continues those before.
func TestProve(t *testing.T) {
	url := postgrestest.URL(t)
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	a := postgrestest.Appender(t, url)
	const size = 9
	var receipts []domain.Receipt
	for n := range int64(size) {
		receipts = append(receipts, mustAppend(t, a, level(fmt.Sprint("key ", n), 100-n)))
	}
	ctx := t.Context()
	for newer := range int64(size + 1) {
		c := stated(t, db, newer)
		for position := int64(1); position <= newer; position++ {
			r, proof, err := postgres.ProveRecord(ctx, db, position, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.CheckInclusion(proof, newer, c.Root, position-1, tree.Leaf(r.AppendBytes(nil))); err != nil {
				t.Error(err)
			}
		}
		for older := range newer + 1 {
			proof, err := postgres.ProveConsistency(ctx, db, older, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Continues(stated(t, db, older), proof); err != nil {
				t.Error(err)
			}
		}
	}
	c := stated(t, db, 5)
	for _, position := range []int64{-1, 0, 6} {
		if _, _, err := postgres.ProveRecord(ctx, db, position, c); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("record %d under a checkpoint of 5: %v", position, err)
		}
	}
	c.Size = size + 1
	if _, _, err := postgres.ProveRecord(ctx, db, 1, c); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("under a checkpoint of more records than there are: %v", err)
	}
	for _, r := range receipts {
		for _, id := range []ulid.ULID{r.Delivery, r.Records[0].ID} {
			first, last, err := postgres.Located(ctx, db, id)
			if err != nil || first != r.Records[0].Position || last != first {
				t.Errorf("%s is at %d to %d, %v", id, first, last, err)
			}
		}
	}
	if _, _, err := postgres.Located(ctx, db, ulid.Make()); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("an id of nothing: %v", err)
	}
}

// TestProveTampered changes the log under a checkpoint: nothing is proven that
// was not signed, and a wrong tile keeps nothing from being proven.
func TestProveTampered(t *testing.T) {
	const size, position = 600, 300
	for _, tt := range []struct {
		name, statement, says string // "": it is proven all the same
	}{
		{"a tile", `UPDATE tile SET root = sha256('x')`, ""},
		{"the record", `UPDATE log SET data = replace(data::text, '318', '319')::json WHERE position = 300`, "record 300 was changed"},
		{"its delivery", `UPDATE delivery SET body = body || '\x00'::bytea WHERE position = 300`, "record 300 was changed"},
		{"its leaf", `UPDATE log SET leaf = sha256('x') WHERE position = 300`, ""}, // its bytes are what was signed
		{"another leaf", `UPDATE log SET leaf = sha256('x') WHERE position = 299`, "the checkpoint of 600 records says"},
		{"the signed root", ``, "the checkpoint of 600 records says"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := postgrestest.URL(t)
			db := postgrestest.Open(t, url, postgres.RoleOwner)
			a := postgrestest.Appender(t, url)
			for n := range int64(position) {
				mustAppend(t, a, level(fmt.Sprint("key ", n), 1000-n))
			}
			fillLog(t, db, size)
			c := stated(t, db, size)
			if err := postgres.WriteTiles(t.Context(), db, size); err != nil {
				t.Fatal(err)
			}
			if tt.statement == "" {
				c.Root[0] ^= 1
			} else {
				tampered(t, db, tt.statement)
			}
			_, _, err := postgres.ProveRecord(t.Context(), db, position, c)
			if tt.says == "" && err != nil || tt.says != "" && (domain.CodeOf(err) != domain.Differs || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("record: %v", err)
			}
			_, err = postgres.ProveConsistency(t.Context(), db, 299, c)
			if changed := strings.Contains(tt.statement, "leaf") || tt.statement == ""; changed != (domain.CodeOf(err) == domain.Differs) || !changed && err != nil {
				t.Errorf("consistency: %v", err)
			}
			if _, err := postgres.ProveConsistency(t.Context(), db, 0, c); tt.statement == "" && domain.CodeOf(err) != domain.Differs {
				t.Errorf("from nothing to a root that the log does not have: %v", err)
			}
		})
	}
}
