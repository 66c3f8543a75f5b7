package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// An app is what every command gets to work with.
type app struct {
	stdout, stderr io.Writer
	configFile     string
	stateDir       string // "" is embeddedpg's default
	databaseURL    string // "" is the embedded default
	output         string // table, json, ndjson or csv
	json           bool
	config         config
	started        bool // the command line was understood
}

// outputs are the forms in which a command prints its result.
var outputs = []string{"table", "json", "ndjson", "csv"}

// configure works out what the flags, the environment and the configuration
// file say, in that order of precedence.
func (a *app) configure() (err error) {
	if a.json {
		a.output = "json"
	}
	if !slices.Contains(outputs, a.output) {
		return domain.Errorf(domain.Usage, "", "the output %q is not known", a.output).
			WithHint("Use one of: " + strings.Join(outputs, ", ") + ".")
	}
	if a.config, err = readConfig(orEnv(a.configFile, "DAYBOOK_CONFIG")); err != nil {
		return err
	}
	a.stateDir = orEnv(a.stateDir, "DAYBOOK_STATE_DIR")
	a.databaseURL = os.Getenv("DATABASE_URL")
	if a.databaseURL == "" {
		a.databaseURL, err = a.config.Database.resolve()
	}
	return err
}

// orEnv returns value, or that of the environment variable if it is empty.
func orEnv(value, name string) string {
	if value != "" {
		return value
	}
	return os.Getenv(name)
}

// logger returns a logger to stderr.
func (a *app) logger() *slog.Logger { return a.loggerFrom(slog.LevelInfo) }

// loggerFrom returns a logger to stderr of what is at least as grave as level.
func (a *app) loggerFrom(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}

// A database is an open, migrated database.
type database struct {
	url      string
	embedded *embeddedpg.Server // nil: DATABASE_URL's
	version  string             // of the server
	book     string             // its name
	files    keyfile.Dir        // keys of the book
}

// openDatabase attaches to the configured database, or starts the embedded one,
// and brings it up to date.
func (a *app) openDatabase(ctx context.Context) (*database, error) {
	keysDir, err := a.keysDir()
	if err != nil {
		return nil, err
	}
	d := &database{url: a.databaseURL}
	if d.url == "" {
		server, err := embeddedpg.Start(ctx, a.embedded())
		if err != nil {
			return nil, err
		}
		d.embedded, d.url = server, server.URL()
	}
	if err := d.migrate(ctx, keysDir); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// migrate brings the database up to date, and makes the keys of a new book in a
// directory of its own below keysDir.
func (d *database) migrate(ctx context.Context, keysDir string) (err error) {
	owner, err := postgres.Open(ctx, d.url, postgres.RoleOwner, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, owner.Close()) }()
	if err := postgres.Migrate(ctx, owner); err != nil {
		return err
	}
	if d.book, err = postgres.Book(ctx, owner); err != nil {
		return err
	}
	d.files = keyfile.Open(keysDir, d.book)
	if err := postgres.SetupKeys(ctx, owner, d.files); err != nil {
		return err
	}
	if err := d.destroyErased(ctx, owner); err != nil {
		return err
	}
	return owner.QueryRowContext(ctx, `SELECT current_setting('server_version')`).Scan(&d.version)
}

// keysDir returns the directory below which the keys of books are kept.
func (a *app) keysDir() (string, error) {
	return a.stateSubdir(orEnv(a.config.Keys.Dir, "DAYBOOK_KEYS_DIR"), "keys")
}

// stateSubdir returns the directory that is configured, or that of the given name
// in the state directory.
func (a *app) stateSubdir(configured, name string) (string, error) {
	if configured != "" {
		return filepath.Abs(configured)
	}
	state := a.stateDir
	if state == "" {
		var err error
		if state, err = embeddedpg.DefaultStateDir(); err != nil {
			return "", err
		}
	}
	return filepath.Abs(filepath.Join(state, name))
}

// open returns a pool for a role.
func (d *database) open(ctx context.Context, role postgres.Role, conns int) (*sql.DB, error) {
	return postgres.Open(ctx, d.url, role, conns)
}

// Close stops using the database, and stops the embedded one if nobody else
// uses it.
func (d *database) Close() error {
	if d.embedded == nil {
		return nil
	}
	return d.embedded.Close(context.Background())
}

// banner says which database is used and where the data are.
func (d *database) banner(w io.Writer) {
	defer fmt.Fprintf(w, "keys        %s (back them up, apart from the database)\n", d.files.Path())
	if d.embedded == nil {
		fmt.Fprintf(w, "database    PostgreSQL %s (DATABASE_URL)\n", d.version)
		return
	}
	fmt.Fprintf(w, "database    private PostgreSQL %s (no DATABASE_URL is set; its data survive restarts)\n", d.version)
	fmt.Fprintf(w, "data        %s\n", d.embedded.DataDir())
	fmt.Fprintf(w, "production  set DATABASE_URL\n")
}

// withProjector runs f with a projector over the configured database.
func (a *app) withProjector(ctx context.Context, f func(*postgres.Projector) error) error {
	return a.withReader(ctx, func(db *sql.DB, keys *postgres.Keyring) error {
		projector := postgres.NewProjector(db, allProjections())
		projector.Opener = keys
		if err := projector.Setup(ctx); err != nil {
			return err
		}
		return f(projector)
	})
}

// withReader runs f with a pool that reads the log of the configured database, and
// the keys that open it, as far as they are here.
func (a *app) withReader(ctx context.Context, f func(*sql.DB, *postgres.Keyring) error) (err error) {
	d, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	db, err := d.open(ctx, postgres.RoleProjector, 4)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	keys, err := postgres.NewKeyring(ctx, db, d.files)
	if err != nil {
		return err
	}
	return f(db, keys)
}

// withAppender runs f with an appender to the configured database, and a pool to
// read from it with the keys that open it. A log that is not the one that was signed
// is refused.
func (a *app) withAppender(ctx context.Context, f func(*postgres.Appender, *sql.DB, *postgres.Keyring) error) error {
	return a.withLog(ctx, func(l *openLog) error { return f(l.appender, l.db, l.keys) })
}

// withLog is withAppender for who needs the rest of the database too.
func (a *app) withLog(ctx context.Context, f func(*openLog) error) (err error) {
	d, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := a.checkSigned(ctx, d); err != nil {
		return err
	}
	return d.withAppender(ctx, func(log *postgres.Appender, db *sql.DB, keys *postgres.Keyring) error {
		l := &openLog{database: d, appender: log, db: db, keys: keys}
		if err := l.recordErased(ctx, a.logger()); err != nil {
			return err
		}
		return f(l)
	})
}

// withAppender runs f with an appender to the database, whatever state it is in.
func (d *database) withAppender(ctx context.Context, f func(*postgres.Appender, *sql.DB, *postgres.Keyring) error) (err error) {
	writer, err := d.open(ctx, postgres.RoleWriter, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	reader, err := d.open(ctx, postgres.RoleProjector, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	keys, err := postgres.NewKeyring(ctx, reader, d.files)
	if err != nil {
		return err
	}
	if err := keys.Ready(ctx); err != nil {
		return err
	}
	appender := postgres.NewAppender(writer, keys)
	// What is in hand is finished although the command was interrupted.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { return appender.Run(running) })
	defer func() {
		stop()
		err = errors.Join(err, group.Wait())
	}()
	return f(appender, reader, keys)
}
