package postgres_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/credits"
)

// creditsOf returns the credits projection as another version of it.
func creditsOf(version int) *projections.Projection {
	p := credits.Projection()
	p.Version = version
	return p
}

// A ledger is a log with one credit level, and who folds it.
type ledger struct {
	url      string
	appender *postgres.Appender
}

func newLedger(t *testing.T) ledger {
	t.Helper()
	url := postgrestest.URL(t)
	l := ledger{url, postgrestest.Appender(t, url)}
	mustAppend(t, l.appender, scoped(14))
	return l
}

// projector returns a projector of one projection, set up.
func (l ledger) projector(t *testing.T, p *projections.Projection) *postgres.Projector {
	t.Helper()
	e := postgres.NewProjector(postgrestest.Open(t, l.url, postgres.RoleProjector), []*projections.Projection{p})
	if err := e.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func mustCatchUp(t *testing.T, e *postgres.Projector, p *projections.Projection) {
	t.Helper()
	if _, err := e.CatchUp(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
}

func mustVerify(t *testing.T, e *postgres.Projector, p *projections.Projection) {
	t.Helper()
	v, err := e.Verify(t.Context(), p, nil)
	if err != nil || v.Live != v.Digest {
		t.Errorf("verify: %+v, %v", v, err)
	}
}

// TestOldVersion lets a process of the version before go on beside a newer one:
// it may not touch the newer one's tables.
func TestOldVersion(t *testing.T) {
	l := newLedger(t)
	older, newer := creditsOf(1), creditsOf(2)
	was := l.projector(t, older)
	mustCatchUp(t, was, older)
	is := l.projector(t, newer)
	if upgraded, err := is.Upgrade(t.Context(), newer, nil); err != nil || !upgraded {
		t.Fatalf("upgraded %v, %v", upgraded, err)
	}
	mustAppend(t, l.appender, scoped(13))
	if _, err := was.CatchUp(t.Context(), older, nil); domain.CodeOf(err) != domain.Refused {
		t.Errorf("the older version caught up: %v", err)
	}
	if _, err := was.Upgrade(t.Context(), older, nil); domain.CodeOf(err) != domain.Refused {
		t.Errorf("the older version took the tables back: %v", err)
	}
	if _, err := was.Rebuild(t.Context(), older, nil); domain.CodeOf(err) != domain.Refused {
		t.Errorf("the older version rebuilt: %v", err)
	}
	mustCatchUp(t, is, newer)
	mustVerify(t, is, newer)
}

// TestLostTables drops what can be derived again, as a dump without it would.
func TestLostTables(t *testing.T) {
	l := newLedger(t)
	p := creditsOf(1)
	mustCatchUp(t, l.projector(t, p), p)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `DROP SCHEMA credits CASCADE`); err != nil {
		t.Fatal(err)
	}
	e := l.projector(t, p)
	if upgraded, err := e.Upgrade(t.Context(), p, nil); err != nil || !upgraded {
		t.Fatalf("upgraded %v, %v", upgraded, err)
	}
	mustVerify(t, e, p)
}

// TestUndecodable appends what this build cannot read: the projection stops just
// before it, and says so.
func TestUndecodable(t *testing.T) {
	l := newLedger(t)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	for _, s := range []string{
		`INSERT INTO log SELECT 2, '01KHV3Q0000000000000000009', 'credits.reported.v9', source, occurred_at, recorded_at, delivery, cause, test, data, personal, leaf, root FROM log`,
		`UPDATE head SET position = 2`,
	} {
		if _, err := owner.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	p := creditsOf(1)
	e := l.projector(t, p)
	if _, err := e.CatchUp(t.Context(), p, nil); domain.CodeOf(err) != domain.Differs {
		t.Errorf("caught up: %v", err)
	}
	list, err := e.List(t.Context())
	if err != nil || list[0].StoppedAt != 2 || list[0].Position != 1 || !strings.Contains(list[0].Reason, "credits.reported.v9") {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestPanickingFold has a fold fail as a bug would have it.
func TestPanickingFold(t *testing.T) {
	l := newLedger(t)
	p := creditsOf(1)
	p.Fold = func(*projections.Tx, *domain.Record) error { panic("a bug") }
	e := l.projector(t, p)
	if _, err := e.CatchUp(t.Context(), p, nil); domain.CodeOf(err) != domain.Differs {
		t.Errorf("caught up: %v", err)
	}
	if stopped, err := e.Stopped(t.Context(), p); err != nil || !stopped {
		t.Errorf("stopped %v, %v", stopped, err)
	}
}

// TestGrantsReturn takes away what a dump without privileges lacks.
func TestGrantsReturn(t *testing.T) {
	l := newLedger(t)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `REVOKE ALL ON log, delivery, delivery_scope, head, cursor, projection FROM daybook_writer, daybook_projector`); err != nil {
		t.Fatal(err)
	}
	if err := postgrestest.Migrate(t.Context(), l.url); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, postgrestest.Appender(t, l.url), scoped(13))
	p := creditsOf(1)
	e := l.projector(t, p)
	mustCatchUp(t, e, p)
	mustVerify(t, e, p)
}

// TestOwnSchema gives the user a schema of his own name, which comes first in a
// session's search path unless that is set.
func TestOwnSchema(t *testing.T) {
	l := newLedger(t)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `DO $$ BEGIN EXECUTE format('CREATE SCHEMA %I', current_user); END $$`); err != nil {
		t.Fatal(err)
	}
	if err := postgrestest.Migrate(t.Context(), l.url); err != nil {
		t.Fatal(err)
	}
	if r := mustAppend(t, postgrestest.Appender(t, l.url), scoped(13)); r.Records[0].Position != 2 {
		t.Errorf("appended at %d, want 2", r.Records[0].Position)
	}
}

// TestReadOnlyServer appends to a server that cannot write for now.
func TestReadOnlyServer(t *testing.T) {
	l := newLedger(t)
	db := postgrestest.Open(t, l.url+"&default_transaction_read_only=on", postgres.RoleWriter)
	a := postgres.NewAppender(db, postgrestest.Keys(t, l.url))
	go func() { _ = a.Run(t.Context()) }()
	if _, err := a.Append(t.Context(), level("read-only", 1)); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("appended: %v", err)
	}
}

// TestAppendRefuses hands over what can never be recorded, and what only looks so.
func TestAppendRefuses(t *testing.T) {
	l := newLedger(t)
	for _, year := range []int{0, 10_000} {
		d := level("year", 1)
		d.Facts[0].OccurredAt = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		if _, err := l.appender.Append(t.Context(), d); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("year %d: %v", year, err)
		}
	}
	twice := scoped(12)
	twice.Scopes = []string{"credits/7", "credits/7"}
	mustAppend(t, l.appender, twice)
	odd := level("odd", 1)
	odd.Topic, odd.Flags = "a\u0085\x00b", []string{"odd\x00flag"}
	mustAppend(t, l.appender, odd)
	odd = level("odd", 1)
	odd.Topic, odd.Body = "a\u0085\x00b", []byte("other bytes")
	if r := mustAppend(t, l.appender, odd); r.Status != domain.Conflicting {
		t.Errorf("status %s, want conflict", r.Status)
	}
}

// await returns once a query gives true: something another goroutine or another
// connection brings about.
func await(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	for done := false; !done; {
		if err := db.QueryRowContext(t.Context(), query, args...).Scan(&done); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVersionRisesWhileWaiting lets an older process wait for the cursor while
// the tables become a newer version's.
func TestVersionRisesWhileWaiting(t *testing.T) {
	l := newLedger(t)
	p := creditsOf(1)
	e := l.projector(t, p)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	tx, err := owner.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{`UPDATE cursor SET updated_at = now()`, `UPDATE projection SET version = 2`} {
		if _, err := tx.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	caught := make(chan error, 1)
	go func() {
		_, err := e.CatchUp(t.Context(), p, nil)
		caught <- err
	}()
	await(t, owner, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-caught; domain.CodeOf(err) != domain.Refused {
		t.Errorf("caught up: %v", err)
	}
}

// TestTakenOver finds tables and a log that the user made when there were no
// roles, without the mark of the tables.
func TestTakenOver(t *testing.T) {
	l := newLedger(t)
	p := creditsOf(1)
	as := postgres.NewProjector(postgrestest.Open(t, l.url, postgres.RoleOwner), []*projections.Projection{p})
	if err := as.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := postgrestest.Migrate(t.Context(), l.url); err != nil {
		t.Fatal(err)
	}
	e := l.projector(t, p)
	mustCatchUp(t, e, p)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `COMMENT ON SCHEMA credits IS NULL`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := e.Rebuild(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
	}
	mustVerify(t, e, p)
}

// TestLostCursor deletes the cursor: the projection is built again.
func TestLostCursor(t *testing.T) {
	l := newLedger(t)
	p := creditsOf(1)
	mustCatchUp(t, l.projector(t, p), p)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `DELETE FROM cursor`); err != nil {
		t.Fatal(err)
	}
	e := l.projector(t, p)
	if upgraded, err := e.Upgrade(t.Context(), p, nil); err != nil || !upgraded {
		t.Fatalf("upgraded %v, %v", upgraded, err)
	}
	mustVerify(t, e, p)
}

// TestTablesRefuse has the tables refuse what comes before a record that the fold
// cannot take: the projection stops at the first of the two.
func TestTablesRefuse(t *testing.T) {
	l := newLedger(t)
	mustAppend(t, l.appender, scoped(13))
	p := creditsOf(1)
	fold := p.Fold
	p.Fold = func(tx *projections.Tx, r *domain.Record) error {
		if r.Position == 2 {
			return errors.New("no")
		}
		return fold(tx, r)
	}
	e := l.projector(t, p)
	owner := postgrestest.Open(t, l.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `ALTER TABLE credits.balances ADD CHECK (remaining < 0)`); err != nil {
		t.Fatal(err)
	}
	if _, err := e.CatchUp(t.Context(), p, nil); domain.CodeOf(err) != domain.Differs {
		t.Errorf("caught up: %v", err)
	}
	if list, err := e.List(t.Context()); err != nil || list[0].StoppedAt != 1 || list[0].Position != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
