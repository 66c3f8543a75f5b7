// Package postgrestest gives a test a migrated database, empty of records, and
// an appender that runs until the test ends.
package postgrestest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/migrations"
)

// URL returns the URL of a migrated database of the test's own.
func URL(t testing.TB) string {
	t.Helper()
	key, err := Key()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keysDir(); err != nil { // before any process is started
		t.Fatal(err)
	}
	url := pgtest.New(t, key, Migrate)
	// What a database made from a template lacks: grants on the database itself.
	if err := errors.Join(Migrate(t.Context(), url), rename(t.Context(), url)); err != nil {
		t.Fatal(err)
	}
	return url
}

// rename makes the log of the database at url another one than the template's: what
// is kept outside of it is kept by its name.
func rename(ctx context.Context, url string) error {
	db, err := postgres.Open(ctx, url, postgres.RoleOwner, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `ALTER TABLE book DISABLE TRIGGER append_only;
		UPDATE book SET id = replace(gen_random_uuid()::text, '-', '');
		ALTER TABLE book ENABLE ALWAYS TRIGGER append_only`)
	return errors.Join(err, db.Close())
}

// Key returns what the template of a migrated database is named after.
func Key() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		data, err := fs.ReadFile(migrations.FS, path)
		h.Write(data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:16], err
}

// Migrate brings the database at url up to date.
func Migrate(ctx context.Context, url string) error {
	db, err := postgres.Open(ctx, url, postgres.RoleOwner, 2)
	if err != nil {
		return err
	}
	return errors.Join(postgres.Migrate(ctx, db), db.Close())
}

// Open returns a pool for the role, closed when the test ends.
func Open(t testing.TB, url string, role postgres.Role) *sql.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, role, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Files returns the files of the keys of the book at url. They are below the
// directory that DAYBOOK_KEYS_DIR names, which this sets if nobody did.
func Files(ctx context.Context, db *sql.DB) (postgres.KeyFiles, error) {
	dir, err := keysDir()
	if err != nil {
		return nil, err
	}
	book, err := postgres.Book(ctx, db)
	if err != nil {
		return nil, err
	}
	return keyfile.Open(dir, book), nil
}

// keysDir returns where keys are kept: somewhere for all tests of the process, and
// for the processes that it starts. So are checkpoints.
var keysDir = sync.OnceValues(func() (string, error) {
	const name = "DAYBOOK_KEYS_DIR"
	if dir := os.Getenv(name); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "daybook-test-keys-")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.Setenv(name, dir), os.Setenv("DAYBOOK_CHECKPOINTS_DIR", filepath.Join(dir, "checkpoints")))
})

// OpenKeys returns the keys of the book in db, which may be a pool for any role
// that may write keys.
func OpenKeys(ctx context.Context, url string, db *sql.DB) (_ *postgres.Keyring, err error) {
	owner, err := postgres.Open(ctx, url, postgres.RoleOwner, 2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, owner.Close()) }()
	files, err := Files(ctx, owner)
	if err != nil {
		return nil, err
	}
	if err := postgres.SetupKeys(ctx, owner, files); err != nil {
		return nil, err
	}
	return postgres.NewKeyring(ctx, db, files)
}

// Keys returns the keys of the book at url.
func Keys(t testing.TB, url string) *postgres.Keyring {
	t.Helper()
	keys, err := OpenKeys(t.Context(), url, Open(t, url, postgres.RoleWriter))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Appender returns a running appender to the log at url.
func Appender(t testing.TB, url string) *postgres.Appender {
	t.Helper()
	return AppenderWith(t, url, Keys(t, url))
}

// AppenderWith is [Appender] with keys that the test has as well.
func AppenderWith(t testing.TB, url string, keys *postgres.Keyring) *postgres.Appender {
	t.Helper()
	a := postgres.NewAppender(Open(t, url, postgres.RoleWriter), keys)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return a
}
