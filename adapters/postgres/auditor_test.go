package postgres_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// fork returns the record that opens an epoch after a log of that size and root.
func fork(epoch, size int64, root tree.Hash) domain.LogForked {
	lost := checkpoint.Checkpoint{Origin: checkpoint.Origin("example.com/log", epoch-1), Size: size + 10}
	return domain.LogForked{
		Epoch: epoch, Checkpoint: lost.Text() + "\n", Size: size, Root: base64.StdEncoding.EncodeToString(root[:]),
		Reason: "restored", By: "marta",
	}
}

// TestAuditor reads back what was appended, and finds what was changed since.
func TestAuditor(t *testing.T) {
	url := postgrestest.URL(t)
	appender, auditor := postgrestest.Appender(t, url), postgres.NewAuditor(postgrestest.Open(t, url, postgres.RoleAuditor))
	if epoch, end, err := auditor.End(t.Context()); err != nil || epoch != 1 || end.Size() != 0 {
		t.Fatalf("an empty log is of epoch %d and has %d records, %v", epoch, end.Size(), err)
	}
	f := new(tree.Frontier)
	append := func(d domain.Delivery) error {
		t.Helper()
		d.ID = ulid.Make()
		r, err := appender.Append(t.Context(), d)
		for _, record := range r.Records {
			leaf, err := base64.StdEncoding.DecodeString(record.Leaf)
			if err != nil {
				t.Fatal(err)
			}
			f.Append(tree.Hash(leaf))
		}
		return err
	}
	event := domain.Fact{Event: domain.DirectoryItemSeen{ItemType: "course", Item: "1", Name: "Track safety"}}
	for i := range 7 {
		d := domain.Delivery{Source: "acme", Body: fmt.Append(nil, i), Translation: domain.Translation{
			Topic: "t", Scopes: []string{"b", "a", fmt.Sprint(i)}, Facts: []domain.Fact{event, event},
		}}
		if err := append(d); err != nil {
			t.Fatal(err)
		}
	}
	forked := func(epoch, size int64, root tree.Hash) error {
		return append(domain.Delivery{Source: domain.SourceLog, Translation: domain.Translation{
			Topic: "fork", Key: fmt.Sprint(epoch, size, root), Facts: []domain.Fact{{Event: fork(epoch, size, root)}},
		}})
	}
	if err := forked(2, 13, f.Root()); domain.CodeOf(err) != domain.Refused {
		t.Errorf("a fork after another size: %v", err)
	}
	if err := forked(2, 14, tree.Hash{}); domain.CodeOf(err) != domain.Refused {
		t.Errorf("a fork after another root: %v", err)
	}
	if err := forked(2, 14, f.Root()); err != nil {
		t.Fatal(err)
	}
	if err := forked(5, 15, f.Root()); err != nil {
		t.Fatal(err)
	}
	epoch, end, err := auditor.End(t.Context())
	if err != nil || epoch != 5 || end.Size() != 16 || end.Root() != f.Root() {
		t.Errorf("the log is of epoch %d and has %d records, %v", epoch, end.Size(), err)
	}
	for ended, opened := range map[int64]int64{1: 2, 2: 5, 4: 5} {
		if got, err := auditor.Ended(t.Context(), ended); err != nil || got.Epoch != opened {
			t.Errorf("epoch %d was ended by %d, %v; want %d", ended, got.Epoch, err, opened)
		}
	}
	if _, err := auditor.Ended(t.Context(), 5); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("the last epoch has ended: %v", err)
	}
	if root, err := auditor.Root(t.Context(), 16); err != nil || root != f.Root() {
		t.Errorf("root %v, %v", root, err)
	}
	if _, err := auditor.Root(t.Context(), 17); domain.CodeOf(err) != domain.Differs {
		t.Errorf("a record that is not there: %v", err)
	}
	read := func(after int64) (*tree.Frontier, error) {
		got := new(tree.Frontier)
		for page, err := range auditor.Leaves(t.Context(), 0, 16) {
			if err != nil {
				return got, err
			}
			for _, leaf := range page {
				got.Append(leaf)
			}
		}
		n := got.Size()
		for page, err := range auditor.Leaves(t.Context(), after, 16) {
			if err != nil {
				return got, err
			}
			n -= int64(len(page))
		}
		if n != after {
			return got, fmt.Errorf("%d records after %d", got.Size()-n, after)
		}
		return got, nil
	}
	for after := range int64(17) { // also from the middle of a delivery
		if got, err := read(after); err != nil || got.Root() != f.Root() {
			t.Errorf("after %d: %d leaves, root %s, want %s: %v", after, got.Size(), got.Root(), f.Root(), err)
		}
	}
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	for i, change := range []string{
		`UPDATE log SET data = '{"item_type":"course","item":"1","name":"Trick safety"}' WHERE position = 3`,
		`UPDATE delivery SET body = body || '\x00' WHERE position = 5`,
		`UPDATE delivery SET verified = 'by nobody' WHERE position = 5`,
		`UPDATE delivery_scope SET scope = reverse(scope) WHERE position = 7`,
		`DELETE FROM delivery_scope WHERE position = 7`,
		`DELETE FROM log WHERE position = 11`,
		`DELETE FROM delivery WHERE position = 9`,
		`UPDATE delivery_scope SET source = 'elsewhere' WHERE position = 3 AND scope = (SELECT min(scope) FROM delivery_scope WHERE position = 3)`,
	} {
		for _, table := range []string{"log", "delivery", "delivery_scope", "head"} {
			if _, err := owner.ExecContext(t.Context(), `ALTER TABLE `+table+` DISABLE TRIGGER append_only`); err != nil {
				t.Fatal(err)
			}
		}
		before, was := read(0)
		if _, err := owner.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if after, err := read(0); after.Root() == before.Root() && fmt.Sprint(err) == fmt.Sprint(was) || err != nil && domain.CodeOf(err) != domain.Differs {
			t.Errorf("change %d is not found: %v", i, err)
		}
	}
	if _, err := owner.ExecContext(t.Context(), `DELETE FROM head`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := auditor.End(t.Context()); domain.CodeOf(err) != domain.Differs || domain.HintOf(err) == "" {
		t.Errorf("without a head: %v", err)
	}
}

// TestHalt checks that nothing is appended while the appender is told not to, nor
// anything done for it.
func TestHalt(t *testing.T) {
	url := postgrestest.URL(t)
	appender := postgrestest.Appender(t, url)
	d := domain.Delivery{ID: ulid.Make(), Source: "acme", Body: []byte("x"), Translation: domain.Translation{Topic: "t", Key: "1"}}
	appender.Halt(domain.Errorf(domain.Differs, "compare", "the log is another one"))
	if _, err := appender.Append(t.Context(), d); domain.CodeOf(err) != domain.Unavailable || domain.HintOf(err) == "" {
		t.Errorf("while halted: %v", err)
	}
	bad := level("year", 1)
	bad.Facts[0].OccurredAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) // nobody looks
	if _, err := appender.Append(t.Context(), bad); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("while halted: %v", err)
	}
	appender.Halt(nil)
	if r, err := appender.Append(t.Context(), d); err != nil || r.Records[0].Position != 1 {
		t.Errorf("afterwards: %+v, %v", r, err)
	}
}
