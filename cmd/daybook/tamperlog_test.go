package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A crime scene is a log of a few hundred records with its live tables, which is
// copied for each attack, and what was kept of it outside: a checkpoint of all its
// records, and the receipt of every delivery.
type crimeScene struct {
	key        string // of the template of its databases
	head       int64
	receipts   map[int64]domain.Receipt // by position of their first record
	checkpoint string                   // file
	vkey       string
}

// newCrimeScene makes the log.
func newCrimeScene(t *testing.T) *crimeScene {
	t.Helper()
	s := &crimeScene{key: fmt.Sprintf("tamper %d %d", os.Getpid(), time.Now().UnixNano()), receipts: make(map[int64]domain.Receipt)}
	url := s.copy(t)
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	var root []byte
	var book string
	err := db.QueryRowContext(t.Context(), `SELECT position, (SELECT root FROM log l WHERE l.position = h.position), (SELECT id FROM book) FROM head h`).
		Scan(&s.head, &root, &book)
	if err != nil || s.head < 300 {
		t.Fatal("a log of", s.head, err)
	}
	name := "daybook/" + book
	skey, vkey, err := checkpoint.GenerateLogKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skey, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(name, 1), Size: s.head, Root: tree.Hash(root)}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	s.vkey, s.checkpoint = vkey, filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(s.checkpoint, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// copy returns the URL of a copy of the log, which somebody may do anything to.
func (s *crimeScene) copy(t *testing.T) string {
	t.Helper()
	return pgtest.New(t, s.key, func(ctx context.Context, url string) error { return s.fill(ctx, t, url) })
}

// receipt returns a file with the receipt of the delivery that begins at a position.
func (s *crimeScene) receipt(t *testing.T, position int64) string {
	t.Helper()
	receipt, ok := s.receipts[position]
	if !ok {
		t.Fatalf("no delivery begins at %d", position)
	}
	text, err := json.Marshal(receipt)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "receipt.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// fill plays all samples into a new database, and some enrolments, each third of
// which follows from an earlier delivery, and folds them.
func (s *crimeScene) fill(ctx context.Context, t *testing.T, url string) (err error) {
	if err := postgrestest.Migrate(ctx, url); err != nil {
		return err
	}
	var pools []*sql.DB
	defer func() {
		for _, p := range pools {
			err = errors.Join(err, p.Close())
		}
	}()
	open := func(role postgres.Role) *sql.DB {
		db, openErr := postgres.Open(ctx, url, role, 4)
		if openErr != nil {
			t.Fatal(openErr)
		}
		pools = append(pools, db)
		return db
	}
	writer := open(postgres.RoleWriter)
	keys, err := postgrestest.OpenKeys(ctx, url, writer)
	if err != nil {
		return err
	}
	appender := postgres.NewAppender(writer, keys)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- appender.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	sources := sampleSources(t)
	list := webhooks(t)
	for i := range 260 {
		list = append(list, enrolment(fmt.Sprintf("candidate-%d", i)))
	}
	var cause ulid.ULID
	for i, sample := range list {
		source := sources[sample.Provider]
		request := domain.Request{Header: sample.Header, Body: sample.Body, ReceivedAt: time.Now()}
		if sample.Provider == "credly" {
			request.Token = "test-token"
		}
		how, err := source.Provider.Verify(request)
		if err != nil {
			return fmt.Errorf("%s: %w", sample.File, err)
		}
		follows := cause
		if i%3 > 0 {
			follows = ulid.ULID{}
		}
		receipt, err := intake.Record(ctx, appender, source, request, how, follows)
		if err != nil {
			return fmt.Errorf("%s: %w", sample.File, err)
		}
		if receipt.Status != domain.Duplicate {
			s.receipts[receipt.Records[0].Position], cause = receipt, receipt.Delivery
		}
	}
	projector := postgres.NewProjector(open(postgres.RoleProjector), allProjections())
	if err := projector.Setup(ctx); err != nil {
		return err
	}
	for _, p := range allProjections() {
		if _, err := projector.CatchUp(ctx, p, nil); err != nil {
			return err
		}
	}
	var head int64
	auditor := open(postgres.RoleAuditor)
	if head, err = postgres.Head(ctx, auditor); err != nil {
		return err
	}
	return postgres.WriteTiles(ctx, auditor, head)
}

// sampleSources returns the source that accepts the samples of each provider.
func sampleSources(t *testing.T) map[string]intake.Source {
	t.Helper()
	sources := make(map[string]intake.Source)
	for name, secret := range map[string]string{
		"tahdah": samples.TahdahSecret, "thinkific": samples.ThinkificKey, "braincert": samples.BraincertLogin, "credly": "test-token",
	} {
		config := sourceConfig{Name: name, Organizations: []string{samples.CredlyOrganization}}
		if name == "thinkific" {
			config.DefaultCurrency = "USD"
		}
		p, err := providers[name](config, []string{secret})
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = intake.Source{Name: name, Provider: p}
	}
	return sources
}

// A forger is a superuser with the triggers off, who knows daybook well.
type forger struct {
	*testing.T
	db   *sql.DB
	head int64
}

func (f *forger) exec(statement string, args ...any) {
	f.Helper()
	if _, err := f.db.ExecContext(f.Context(), statement, args...); err != nil {
		f.Fatalf("%s: %v", statement, err)
	}
}

// read returns the records from a position on, with their bytes complete.
func (f *forger) read(from int64) (records []*domain.Record) {
	f.Helper()
	for position := from; position <= f.head; position++ {
		r, err := postgres.ReadRecord(f.Context(), f.db, position)
		if err != nil {
			f.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// frontier returns the tree of the first records.
func (f *forger) frontier(size int64) *tree.Frontier {
	f.Helper()
	rows, err := f.db.QueryContext(f.Context(), `SELECT leaf FROM log WHERE position <= $1 ORDER BY position`, size)
	if err != nil {
		f.Fatal(err)
	}
	defer rows.Close()
	t := new(tree.Frontier)
	for rows.Next() {
		var leaf []byte
		if err := rows.Scan(&leaf); err != nil {
			f.Fatal(err)
		}
		t.Append(tree.Hash(leaf))
	}
	if err := rows.Err(); err != nil {
		f.Fatal(err)
	}
	return t
}

// rewrite computes every leaf and root from a position on again, the head and the
// tiles with them, so that the log agrees with itself.
func (f *forger) rewrite(from int64) {
	f.Helper()
	t := f.frontier(from - 1)
	for _, r := range f.read(from) {
		leaf := tree.Leaf(r.AppendBytes(nil))
		t.Append(leaf)
		root := t.Root()
		f.exec(`UPDATE log SET leaf = $2, root = $3 WHERE position = $1`, r.Position, leaf[:], root[:])
	}
	f.exec(`UPDATE head SET position = $1, frontier = $2, recorded_at = (SELECT recorded_at FROM log WHERE position = $1)`, t.Size(), t.Bytes())
	f.exec(`DELETE FROM tile`)
	if err := postgres.WriteTiles(f.Context(), f.db, f.head); err != nil {
		f.Fatal(err)
	}
}

// rewriteLeaf computes the leaf of one record again.
func (f *forger) rewriteLeaf(position int64) {
	f.Helper()
	r, err := postgres.ReadRecord(f.Context(), f.db, position)
	if err != nil {
		f.Fatal(err)
	}
	leaf := tree.Leaf(r.AppendBytes(nil))
	f.exec(`UPDATE log SET leaf = $2 WHERE position = $1`, position, leaf[:])
}

// rollBack puts the log in the state in which it had so many records, as a backup
// of that time would.
func (f *forger) rollBack(size int64) {
	f.Helper()
	t := f.frontier(size)
	for _, table := range []string{"log", "delivery", "delivery_scope"} {
		f.exec(`DELETE FROM `+table+` WHERE position > $1`, size)
	}
	f.exec(`DELETE FROM tile WHERE (n + 1) << (8 * (level + 1)) > $1`, size)
	f.exec(`UPDATE head SET position = $1, frontier = $2, recorded_at = (SELECT recorded_at FROM log WHERE position = $1)`, size, t.Bytes())
	f.head = size
}
