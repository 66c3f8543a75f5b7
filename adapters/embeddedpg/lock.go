package embeddedpg

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// How to hold a lock.
const (
	shared    = syscall.LOCK_SH
	exclusive = syscall.LOCK_EX
)

// A lock is a held flock. The kernel frees it when the process ends, however
// it ends; the server does not inherit it, because Go opens files close-on-exec.
type lock struct{ f *os.File }

// acquire waits for the lock on the file at path, which it creates if missing.
func acquire(ctx context.Context, path string, how int, log *slog.Logger) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unreachable("%w", err).WithHint(hintStateDir)
	}
	l := &lock{f}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	tell := time.NewTimer(2 * time.Second)
	defer tell.Stop()
	for {
		switch err := l.try(how); {
		case err == nil:
			return l, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, unreachable("lock %s: %w", path, err).WithHint(hintStateDir)
		}
		select {
		case <-tick.C:
		case <-tell.C:
			log.InfoContext(ctx, "waiting for another process that starts or stops the database", slog.String("lock", path))
		case <-ctx.Done():
			f.Close()
			return nil, unreachable("wait for %s: %w", path, context.Cause(ctx))
		}
	}
}

// tryExclusive reports whether nobody else held the lock and makes it
// exclusive then. Otherwise the lock is lost.
func (l *lock) tryExclusive() bool { return l.try(exclusive) == nil }

func (l *lock) try(how int) error {
	for {
		err := syscall.Flock(int(l.f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// release frees the lock. It unlocks before it closes, because a program that
// is being started at this moment still has a copy of the descriptor.
func (l *lock) release() {
	_ = syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN)
	l.f.Close()
}
