// Package pgtest gives every test a PostgreSQL database of its own.
//
// It keeps this true: a test sees only what it wrote itself, however many tests
// of however many packages run at once, and a test that needs PostgreSQL never
// passes without it.
//
// All test processes of a user share one cluster, in memory where there is
// room. It is started by the first process that needs it and stopped after the
// end of the last one, killed or not. What a database must hold at first is
// prepared once, as a template that outlives the run; each test gets a copy,
// which takes some 25 ms.
//
// DATABASE_URL_TEST, the URL of a superuser on a PostgreSQL of one's own, takes
// the place of the shared cluster.
package pgtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/domain"
)

// New returns the URL of a new database that holds what prepare puts there.
// The database is dropped when the test ends; if the test has failed, it is
// kept and the log says how to look at it.
//
// prepare is run only if no earlier test, of this run or one before, had the
// same key: key must change whenever what prepare does changes, as the hash of
// the migrations does. prepare must close its connections. With a nil prepare
// the database is empty.
func New(t testing.TB, key string, prepare func(ctx context.Context, url string) error) string {
	t.Helper()
	db, err := create(t.Context(), key, prepare)
	if err != nil {
		fatal(t, err)
		return ""
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if !t.Failed() {
			if err := db.drop(ctx); err != nil {
				t.Error(err)
			}
			return
		}
		if err := db.keep(ctx, t.Name()); err != nil {
			t.Error(err)
		}
		t.Logf("its database is kept; look at it with\n\t%s", db.psql())
	})
	return db.url()
}

// Open is New for what has no [testing.TB], such as the set-up of a script.
// The caller must call drop.
func Open(ctx context.Context, key string, prepare func(ctx context.Context, url string) error) (url string, drop func() error, err error) {
	db, err := create(ctx, key, prepare)
	if err != nil {
		return "", nil, err
	}
	return db.url(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return db.drop(ctx)
	}, nil
}

// fatal ends the test and says what to do.
func fatal(t testing.TB, err error) {
	t.Helper()
	if domain.CodeOf(err) == domain.Unreachable {
		t.Fatalf("%v\nrun \"make pg\", or set DATABASE_URL_TEST\n(%s)", err, domain.HintOf(err))
	}
	t.Fatal(err)
}

// A cluster is where the databases of the tests are.
type cluster struct {
	admin *sql.DB // as a superuser, in a database that no test uses
	url   func(database string) string
	psql  func(database string) string // the command that shows a database
}

// shared is the cluster of this process. Nothing closes it: that the process
// ends is what tells the others that it is no longer used.
var shared = sync.OnceValues(func() (*cluster, error) {
	if u := os.Getenv("DATABASE_URL_TEST"); u != "" {
		return external(u)
	}
	dir, err := memoryDir()
	if err != nil {
		return nil, err
	}
	return own(dir)
})

// external returns the cluster that the URL names.
func external(at string) (*cluster, error) {
	base, err := url.Parse(at)
	if err != nil || base.Scheme != "postgres" && base.Scheme != "postgresql" {
		return nil, errors.New("DATABASE_URL_TEST must be a URL that begins with postgres://")
	}
	c := &cluster{url: func(database string) string {
		u := *base
		u.Path = "/" + database
		return u.String()
	}}
	c.psql = func(database string) string { return "psql '" + c.url(database) + "'" }
	c.admin, err = connect(at)
	return c, err
}

// own starts the cluster in dir or attaches to it.
func own(dir string) (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := embeddedpg.Start(ctx, embeddedpg.Options{StateDir: dir, Fast: true})
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w (%s holds nothing but the tests' databases and may be removed)", err, dir)
	}
	c := &cluster{
		url: s.DatabaseURL,
		psql: func(database string) string {
			return fmt.Sprintf("go run ./cmd/daybook db psql --state %s --database %s", s.StateDir(), database)
		},
	}
	if c.admin, err = connect(s.URL()); err != nil {
		return nil, err
	}
	if s.Attached() {
		return c, nil
	}
	return c, errors.Join(stopAfterLast(s), c.sweep(ctx))
}

func connect(at string) (*sql.DB, error) {
	c, err := pq.NewConnector(at)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(4)
	return db, nil
}

// memoryDir returns the state directory of the shared cluster: in memory if
// there is at least 1 GB of it, or if the cluster is there already.
func memoryDir() (string, error) {
	const enough = 1 << 30
	name := "daybook-test-" + strconv.Itoa(os.Geteuid())
	dir := "/dev/shm/" + name
	var fs syscall.Statfs_t
	roomy := syscall.Statfs("/dev/shm", &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= enough
	if _, err := os.Stat(dir + "/pg/data/PG_VERSION"); err != nil && !roomy {
		dir = strings.TrimSuffix(os.TempDir(), "/") + "/" + name
	}
	err := os.Mkdir(dir, 0o711)
	if err == nil {
		return dir, os.Chmod(dir, 0o711) // the umask may have kept the server's account out
	}
	info, statErr := os.Lstat(dir)
	if statErr != nil {
		return "", err
	}
	// Anybody may make such a directory, and who owns it owns what runs in it.
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() {
		return "", fmt.Errorf("%s is not a directory of user %d", dir, os.Geteuid())
	}
	return dir, nil
}

// A database is one of a cluster.
type database struct {
	*cluster
	name string
}

func (d database) url() string  { return d.cluster.url(d.name) }
func (d database) psql() string { return d.cluster.psql(d.name) }

func (d database) drop(ctx context.Context) error {
	_, err := d.admin.ExecContext(ctx, `DROP DATABASE IF EXISTS `+pq.QuoteIdentifier(d.name)+` WITH (FORCE)`)
	return err
}

// keep marks the database as one that somebody may want to look at.
func (d database) keep(ctx context.Context, test string) error {
	_, err := d.admin.ExecContext(ctx, `COMMENT ON DATABASE `+pq.QuoteIdentifier(d.name)+` IS `+pq.QuoteLiteral(test))
	return err
}

// create makes the database of one test.
func create(ctx context.Context, key string, prepare func(ctx context.Context, url string) error) (database, error) {
	c, err := shared()
	if err != nil {
		return database{}, err
	}
	template := "template1"
	if prepare != nil {
		template = templateName(key)
	}
	d := database{c, fmt.Sprintf("t_%d_%08x", os.Getpid(), rand.Uint32())}
	// Copying files writes no WAL, and the checkpoint it asks for costs nothing
	// where nothing is synced.
	create := `CREATE DATABASE ` + pq.QuoteIdentifier(d.name) + ` TEMPLATE ` + pq.QuoteIdentifier(template) + ` STRATEGY file_copy`
	for attempt := 1; ; attempt++ {
		if prepare != nil {
			if err := c.ensureTemplate(ctx, template, prepare); err != nil {
				return database{}, err
			}
		}
		_, err := c.admin.ExecContext(ctx, create)
		switch {
		case err == nil:
			return d, nil
		case pq.As(err, pqerror.InvalidCatalogName) != nil && attempt < 3: // swept in between
		case pq.As(err, pqerror.ObjectInUse) != nil && attempt < 3: // template1 is in use for a moment
		default:
			return database{}, fmt.Errorf("pgtest: %w", err)
		}
	}
}

var plainKey = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// templateName returns the name of the template that key stands for.
func templateName(key string) string {
	if plainKey.MatchString(key) {
		return "tpl_" + key
	}
	sum := sha256.Sum256([]byte(key))
	return "tpl_" + hex.EncodeToString(sum[:16])
}

// ensureTemplate makes the template unless it is there. One that is not marked
// as a template is what is left of a process that was killed while it prepared.
func (c *cluster) ensureTemplate(ctx context.Context, name string, prepare func(ctx context.Context, url string) error) error {
	if done, err := c.hasTemplate(ctx, c.admin, name); err != nil || done {
		return err
	}
	conn, err := c.admin.Conn(ctx)
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 0))`, name); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, _ = conn.ExecContext(ctx, `SELECT pg_advisory_unlock_all()`) // if it fails, the session is gone and the lock with it
	}()
	if done, err := c.hasTemplate(ctx, conn, name); err != nil || done {
		return err
	}
	id := pq.QuoteIdentifier(name)
	for _, stmt := range []string{
		`DROP DATABASE IF EXISTS ` + id + ` WITH (FORCE)`,
		`CREATE DATABASE ` + id + ` TEMPLATE template0`,
	} {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	if err := prepare(ctx, c.url(name)); err != nil {
		return fmt.Errorf("pgtest: prepare %s: %w", name, err)
	}
	// Without connections there is nothing that could keep it from being copied.
	for _, stmt := range []string{
		`ALTER DATABASE ` + id + ` ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = ` + pq.QuoteLiteral(name),
		`ALTER DATABASE ` + id + ` IS_TEMPLATE true`,
	} {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	return nil
}

// A querier is a connection or a pool of them.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (c *cluster) hasTemplate(ctx context.Context, q querier, name string) (bool, error) {
	var is bool
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)`, name).Scan(&is)
	if err != nil {
		return false, domain.Errorf(domain.Unreachable, "pgtest", "%w", err)
	}
	return is, nil
}

// How much the sweep leaves.
const (
	keptTemplates = 12
	keptFailures  = 12
)

const listSQL = `
SELECT datname, datistemplate, shobj_description(oid, 'pg_database') IS NOT NULL
FROM pg_database
WHERE datname LIKE 't\_%' OR datname LIKE 'tpl\_%'
ORDER BY oid DESC`

// sweep drops what processes that were killed have left, and all but the newest
// templates and databases of failed tests.
func (c *cluster) sweep(ctx context.Context) error {
	rows, err := c.admin.QueryContext(ctx, listSQL)
	if err != nil {
		return fmt.Errorf("pgtest: sweep: %w", err)
	}
	defer rows.Close()
	var templates, failures int
	var stmts []string
	for rows.Next() {
		var name string
		var isTemplate, isKept bool
		if err := rows.Scan(&name, &isTemplate, &isKept); err != nil {
			return fmt.Errorf("pgtest: sweep: %w", err)
		}
		id := pq.QuoteIdentifier(name)
		drop := false
		switch {
		case isTemplate:
			templates++
			if drop = templates > keptTemplates; drop {
				stmts = append(stmts, `ALTER DATABASE `+id+` IS_TEMPLATE false`)
			}
		case isKept:
			failures++
			drop = failures > keptFailures
		default:
			drop = isLeft(name)
		}
		if drop {
			stmts = append(stmts, `DROP DATABASE `+id+` WITH (FORCE)`)
		}
	}
	if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("pgtest: sweep: %w", err)
	}
	for _, stmt := range stmts {
		if _, err := c.admin.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("pgtest: sweep: %w", err)
		}
	}
	return nil
}

// isLeft reports whether the process that made the named database is gone.
func isLeft(name string) bool {
	part, _, _ := strings.Cut(strings.TrimPrefix(name, "t_"), "_")
	pid, err := strconv.Atoi(part)
	return err == nil && pid > 1 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
