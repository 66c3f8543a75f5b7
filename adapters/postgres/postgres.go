// Package postgres keeps the log, and the tables of the projections, in
// PostgreSQL.
//
// What it keeps true: a record that was acknowledged is committed; positions
// are dense and rows become visible in their order; a delivery has its effect
// once; nothing that is in the log is ever changed; and a projection's tables
// and its cursor change in the same transaction, so that every record counts
// exactly once.
//
// Nothing is written outside an explicit transaction, except by one statement
// that compares and swaps the head of the log and so changes nothing when it is
// run again: database/sql runs a statement a second time when the reply to the
// first is lost.
package postgres

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/migrations"
)

//go:embed grants.sql
var grantsSQL string

// A Role is what a connection may do; see migrations.
type Role string

// Roles. The zero Role is that of the database URL's user, who owns the tables.
const (
	RoleOwner     Role = ""
	RoleWriter    Role = "daybook_writer"
	RoleProjector Role = "daybook_projector"
	RoleAuditor   Role = "daybook_auditor"
)

// Open returns a pool of at most conns connections to the database at dsn, a
// PostgreSQL URL or connection string, that act as role. Where the role cannot be
// taken, because the user may not make or grant any, they act as the user.
func Open(ctx context.Context, dsn string, role Role, conns int) (*sql.DB, error) {
	settings := map[string]string{
		"timezone":         "UTC",
		"application_name": "daybook",
		// A user's schema of his own name would come first otherwise.
		"search_path": "public",
		// Compiling a statement takes longer than any of these does without.
		"jit": "off",
		// A process that is frozen inside a transaction must not hold its locks.
		"idle_in_transaction_session_timeout": "60000",
	}
	db, err := open(dsn, settings, conns)
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(unreachable(err), db.Close())
	}
	if role == RoleOwner {
		return db, nil
	}
	var may bool
	err = db.QueryRowContext(ctx, `SELECT coalesce((
		SELECT pg_has_role(oid, CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
			AND has_table_privilege(oid, 'log', 'SELECT')
			AND ($1 <> 'daybook_projector' OR has_database_privilege(oid, current_database(), 'CREATE'))
		FROM pg_roles WHERE rolname = $1), false)`, string(role)).Scan(&may)
	if err != nil {
		return nil, errors.Join(unreachable(err), db.Close())
	}
	if !may {
		return db, nil
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	settings["role"] = string(role)
	return open(dsn, settings, conns)
}

// open returns a pool whose sessions start with the given settings.
func open(dsn string, settings map[string]string, conns int) (*sql.DB, error) {
	dsn, err := withSettings(dsn, settings)
	if err != nil {
		return nil, domain.Errorf(domain.Usage, "open database", "%w", err).
			WithHint("Set DATABASE_URL to a URL such as postgres://user:password@host/database.")
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, domain.Errorf(domain.Usage, "open database", "%w", err).
			WithHint("Set DATABASE_URL to a URL such as postgres://user:password@host/database.")
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// withSettings adds run-time parameters to a URL or a connection string.
func withSettings(dsn string, settings map[string]string) (string, error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		u, err := url.Parse(dsn)
		if err != nil {
			return "", errors.New("the database URL cannot be read") // the error would quote the password
		}
		q := u.Query()
		for name, value := range settings {
			q.Set(name, value)
		}
		u.RawQuery = q.Encode()
		return u.String(), nil
	}
	for name, value := range settings {
		dsn += fmt.Sprintf(" %s='%s'", name, value)
	}
	return dsn, nil
}

// unreachable says that the database does not answer, if that is what err says.
func unreachable(err error) error {
	if err == nil || !connectionLost(err) {
		return err
	}
	return domain.Errorf(domain.Unreachable, "database", "%w", err).
		WithHint("Check that PostgreSQL is running and that DATABASE_URL names it.")
}

// Migrate brings the database up to date. Processes that start at the same
// time wait for one another.
func Migrate(ctx context.Context, db *sql.DB) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return domain.Errorf(domain.Internal, "migrate database", "%w", unreachable(err)).
			WithHint("The user of DATABASE_URL must own the database.")
	}
	return inTx(ctx, db, nil, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, grantsSQL)
		return err
	})
}

// Durability says whether the server keeps what it has committed.
type Durability struct {
	Fsync             string `json:"fsync"`
	FullPageWrites    string `json:"full_page_writes"`
	SynchronousCommit string `json:"synchronous_commit"`
}

// Safe reports whether a committed record survives a power cut.
func (d Durability) Safe() bool {
	return d.Fsync == "on" && d.FullPageWrites == "on" && d.SynchronousCommit != "off"
}

// CheckDurability asks the server how it treats commits. If it may lose one,
// that is an error with code Refused.
func CheckDurability(ctx context.Context, db *sql.DB) (Durability, error) {
	var d Durability
	err := db.QueryRowContext(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')`).
		Scan(&d.Fsync, &d.FullPageWrites, &d.SynchronousCommit)
	if err != nil {
		return d, unreachable(err)
	}
	if !d.Safe() {
		return d, domain.Errorf(domain.Refused, "durability",
			"the server may lose what it has committed: fsync=%s, full_page_writes=%s, synchronous_commit=%s",
			d.Fsync, d.FullPageWrites, d.SynchronousCommit).
			WithHint("Turn them on, or pass --unsafe-durability if nothing here has to survive.")
	}
	return d, nil
}

// A beginner is a pool or a connection.
type beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// inTx runs f in a transaction and commits it, or rolls it back if f fails.
func inTx(ctx context.Context, db beginner, opts *sql.TxOptions, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return unreachable(err)
	}
	if err := f(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return unreachable(tx.Commit())
}

// rollback ends a transaction that failed. That it ended already is no news.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) && !connectionLost(err) {
		return err
	}
	return nil
}

// micros cuts a time to what PostgreSQL keeps.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
