package pgtest

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
)

// Durable returns the URL of a database in a cluster of its own that syncs to
// disk like one in production, and the directory of the server programs, which
// may hold pgbench. Both are for measuring. The cluster is removed when the
// benchmark ends.
func Durable(t testing.TB) (url, binDir string) {
	t.Helper()
	url, binDir, remove, err := OpenDurable(t.Context())
	if err != nil {
		fatal(t, err)
		return "", ""
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	return url, binDir
}

// OpenDurable is Durable for what has no [testing.TB]. The caller must call remove.
func OpenDurable(ctx context.Context) (url, binDir string, remove func() error, err error) {
	dir, err := os.MkdirTemp(diskDir(), "daybook-bench-")
	if err != nil {
		return "", "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := os.Chmod(dir, 0o711); err != nil { // the server's account passes through
		return "", "", nil, err
	}
	o := embeddedpg.Options{StateDir: dir}
	s, err := embeddedpg.Start(ctx, o)
	if err != nil {
		return "", "", nil, err
	}
	remove = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			return err
		}
		return os.RemoveAll(dir)
	}
	status, err := embeddedpg.Look(ctx, o)
	if err != nil {
		return "", "", nil, errors.Join(err, remove())
	}
	return s.URL(), status.BinDir, remove, nil
}

// diskDir returns a directory for temporary files that is not in memory.
func diskDir() string {
	dir := os.TempDir()
	if inMemory(dir) && !inMemory("/var/tmp") {
		return "/var/tmp"
	}
	return dir
}

// inMemory reports whether dir is on a tmpfs, which only Linux has.
func inMemory(dir string) bool {
	const tmpfsMagic = 0x01021994
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && int64(fs.Type) == tmpfsMagic //nolint:unconvert // the width differs between systems
}
