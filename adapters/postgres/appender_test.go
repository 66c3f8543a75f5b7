package postgres_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// level is a delivery of one credit level, told apart by its key.
func level(key string, remaining int64) domain.Delivery {
	return domain.Delivery{
		ID:         ulid.Make(),
		Source:     "acme-tahdah",
		ReceivedAt: time.Now(),
		Verified:   "test",
		Body:       fmt.Appendf(nil, `[{"id":7,"quantityRemaining":%d}]`, remaining),
		Translation: domain.Translation{
			Topic: "eventCredits.Updated",
			Key:   key,
			Facts: []domain.Fact{{Event: domain.CreditsReported{
				Line: "7", Template: "318", Remaining: decimal.NewFromInt(remaining),
				Consumed: []domain.Consumption{{Description: "Level 1, Amina"}},
			}}},
		},
	}
}

func scoped(remaining int64) domain.Delivery {
	d := level("", remaining)
	d.Scopes = []string{"credits/7"}
	return d
}

func mustAppend(t *testing.T, a *postgres.Appender, d domain.Delivery) domain.Receipt {
	t.Helper()
	r, err := a.Append(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkLog reads the whole log and checks that positions are dense and that
// every leaf and every root is what the records give. It returns the records.
func checkLog(t *testing.T, db *sql.DB) []*domain.Record {
	t.Helper()
	ctx := t.Context()
	head, err := postgres.Head(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	var records []*domain.Record
	for page, err := range postgres.Records(ctx, db, 0, head) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, page...)
	}
	var f tree.Frontier
	for i, r := range records {
		var leaf, root []byte
		err := db.QueryRowContext(ctx, `SELECT leaf, root FROM log WHERE position = $1`, r.Position).Scan(&leaf, &root)
		if err != nil {
			t.Fatal(err)
		}
		e, err := postgres.ReadEnvelope(ctx, db, r.Delivery)
		if err != nil {
			t.Fatal(err)
		}
		r.Envelope = sha256.Sum256(e.AppendBytes(nil))
		f.Append(tree.Leaf(r.AppendBytes(nil)))
		if got := f.Root(); r.Position != int64(i+1) || got != tree.Hash(root) {
			t.Fatalf("record %d: position %d, root %v, want %x", i+1, r.Position, got, root)
		}
	}
	if int64(len(records)) != head {
		t.Fatalf("read %d records, the head is %d", len(records), head)
	}
	return records
}

func TestAppend(t *testing.T) {
	url := postgrestest.URL(t)
	a := postgrestest.Appender(t, url)
	d := level("one", 14)
	r := mustAppend(t, a, d)
	if r.Status != domain.Accepted || r.Delivery != d.ID || len(r.Records) != 1 || r.Records[0].Position != 1 || r.Records[0].Kind != "credits.reported.v1" {
		t.Fatalf("receipt %+v", r)
	}

	again := level("one", 14)
	if got := mustAppend(t, a, again); got.Status != domain.Duplicate || got.Delivery != d.ID || got.Records[0] != r.Records[0] {
		t.Errorf("same key, same bytes: %+v, want the first receipt %+v", got, r)
	}
	other := mustAppend(t, a, level("one", 13))
	if other.Status != domain.Conflicting || other.Records[0].Kind != "intake.quarantined.v1" || other.Contradicts != d.ID {
		t.Errorf("same key, other bytes: %+v, want a conflict with %s", other, d.ID)
	}
	if third := mustAppend(t, a, level("one", 12)); third.Status != domain.Conflicting || third.Contradicts != d.ID {
		t.Errorf("same key, yet other bytes: %+v, want a conflict with %s", third, d.ID)
	}
	if got := mustAppend(t, a, level("one", 13)); got.Status != domain.Duplicate || got.Delivery != other.Delivery || got.Contradicts != d.ID {
		t.Errorf("the conflict repeated: %+v, want a repetition of %v", got, other)
	}
	nothing := level("two", 1)
	nothing.Facts = nil
	if got := mustAppend(t, a, nothing); got.Status != domain.Unrecognized {
		t.Errorf("no facts: %+v", got)
	}
	bad := level("three", -1)
	if _, err := a.Append(t.Context(), bad); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a negative level: %v", err)
	}

	records := checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))
	if len(records) != 4 {
		t.Fatalf("%d records, want 4", len(records))
	}
	if strings.Contains(string(records[0].Data), "Amina") {
		t.Errorf("personal text in the facts: %s", records[0].Data)
	}
	if err := records[0].Decode(); err != nil {
		t.Fatal(err)
	}
	if e := records[0].Event.(domain.CreditsReported); opened(t, url, string(e.Consumed[0].Description)) != "Level 1, Amina" || !e.Remaining.Equal(decimal.NewFromInt(14)) {
		t.Errorf("decoded %+v", e)
	}
}

// opened returns the plain text of one that is sealed.
func opened(t *testing.T, url, text string) string {
	t.Helper()
	if !seal.IsText(text) {
		t.Errorf("%q is not sealed", text)
	}
	texts, err := postgrestest.Keys(t, url).Open(t.Context(), []string{text})
	if err != nil {
		t.Fatal(err)
	}
	return texts[0]
}

// TestScope plays 14, 14, 15, 14: the second is a repetition, the fourth is not.
func TestScope(t *testing.T) {
	url := postgrestest.URL(t)
	a := postgrestest.Appender(t, url)
	for i, step := range []struct {
		level int64
		want  domain.Status
	}{{14, domain.Accepted}, {14, domain.Duplicate}, {15, domain.Accepted}, {14, domain.Accepted}, {14, domain.Duplicate}} {
		if got := mustAppend(t, a, scoped(step.level)); got.Status != step.want {
			t.Errorf("step %d, level %d: %s, want %s", i, step.level, got.Status, step.want)
		}
	}
	// A delivery of two lines repeats only if it was the last of both.
	both := scoped(14)
	both.Scopes = append(both.Scopes, "credits/8")
	if got := mustAppend(t, a, both); got.Status != domain.Accepted {
		t.Errorf("two lines: %s", got.Status)
	}
	// One with a key is told apart by it, and is the last of its scopes.
	for i, step := range []struct {
		d    domain.Delivery
		want domain.Status
	}{{scoped(16), domain.Accepted}, {dated(scoped(20)), domain.Accepted}, {scoped(16), domain.Accepted}, {dated(scoped(20)), domain.Duplicate}, {scoped(16), domain.Duplicate}} {
		if got := mustAppend(t, a, step.d); got.Status != step.want {
			t.Errorf("with a key, step %d: %s, want %s", i, got.Status, step.want)
		}
	}
	checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))
}

// TestManyAppenders lets two processes' worth of appenders and many callers
// append at once, half of the deliveries twice.
func TestManyAppenders(t *testing.T) {
	const callers, each = 16, 30
	url := postgrestest.URL(t)
	appenders := []*postgres.Appender{postgrestest.Appender(t, url), postgrestest.Appender(t, url)}
	var mu sync.Mutex
	receipts := make(map[string]domain.Receipt)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				// Neighbours send the same deliveries through different appenders.
				key := fmt.Sprintf("%d/%d", c/2, n)
				r, err := appenders[c%2].Append(context.Background(), level(key, int64(n)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if first, ok := receipts[key]; ok && (first.Delivery != r.Delivery || first.Records[0] != r.Records[0]) {
					t.Errorf("%s: receipts %+v and %+v", key, first, r)
				}
				receipts[key] = r
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got, want := len(checkLog(t, postgrestest.Open(t, url, postgres.RoleProjector))), callers/2*each; got != want {
		t.Errorf("%d records, want %d", got, want)
	}
}

// TestLogRefusesChange tries, in every role, what must never work.
func TestLogRefusesChange(t *testing.T) {
	url := postgrestest.URL(t)
	mustAppend(t, postgrestest.Appender(t, url), scoped(14))
	for _, role := range []postgres.Role{postgres.RoleOwner, postgres.RoleWriter, postgres.RoleProjector} {
		db := postgrestest.Open(t, url, role)
		for _, table := range []string{"log", "delivery", "delivery_scope"} {
			for _, statement := range []string{"UPDATE " + table + " SET source = 'x'", "DELETE FROM " + table, "TRUNCATE " + table} {
				for _, session := range []string{"origin", "replica"} {
					if role != postgres.RoleOwner && session == "replica" {
						continue // only a superuser may pretend to be a replica
					}
					_, err := db.ExecContext(t.Context(), "SET session_replication_role = "+session+"; "+statement)
					if session == "origin" {
						_, err = db.ExecContext(t.Context(), statement)
					}
					if err == nil {
						t.Errorf("%q as %q in session %s succeeded", statement, role, session)
					}
				}
			}
		}
		if _, err := db.ExecContext(t.Context(), "DELETE FROM head"); err == nil {
			t.Errorf("deleting the head as %q succeeded", role)
		}
	}
	projector := postgrestest.Open(t, url, postgres.RoleProjector)
	if _, err := projector.ExecContext(t.Context(), "UPDATE head SET position = 0"); err == nil {
		t.Error("the projector moved the head")
	}
}

// TestBackendKilled kills the appender's backend again and again while callers
// append: nothing acknowledged is lost, nothing is there twice.
func TestBackendKilled(t *testing.T) {
	url := postgrestest.URL(t)
	a := postgrestest.Appender(t, url)
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	const callers, each = 8, 60
	acked := make(chan string, callers*each)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				d := level(fmt.Sprintf("%d/%d", c, n), int64(n))
				for {
					_, err := a.Append(context.Background(), d)
					if err == nil {
						break
					}
					if domain.CodeOf(err) != domain.Unavailable {
						t.Error(err)
						return
					}
				}
				acked <- d.Key
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	kills := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			var n int
			err := owner.QueryRowContext(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%delivery_scope%'`).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			kills += n
		}
	}
	close(acked)
	keys := make(map[string]int)
	for key := range acked {
		keys[key]++
	}
	records := checkLog(t, owner)
	if len(keys) != callers*each || len(records) != callers*each {
		t.Errorf("%d acknowledged, %d records, want %d (%d kills)", len(keys), len(records), callers*each, kills)
	}
	if kills == 0 {
		t.Error("no backend was killed: the test tried nothing")
	}
}
