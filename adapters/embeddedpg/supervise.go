package embeddedpg

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

const (
	watchEvery  = 500 * time.Millisecond
	maxRestarts = 5 // in a minute
)

// Supervise restarts the server whenever it dies, until ctx ends; then it
// returns nil. It gives up with [domain.Unavailable] when the server died
// oftener than five times in a minute, or was stopped by force.
//
// Connections that were open when the server died are lost; a pool makes new
// ones. It must have returned before Close is called.
func (s *Server) Supervise(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var restarts []time.Time
	for {
		s.mu.Lock()
		child := s.child
		s.mu.Unlock()
		var exited chan struct{} // never, if another process started the server
		if child != nil {
			exited = child.exited
		}
		select {
		case <-ctx.Done():
			return nil
		case <-exited:
		case <-tick.C:
			if s.files.alive() {
				continue
			}
		}
		now := time.Now()
		for len(restarts) > 0 && now.Sub(restarts[0]) > time.Minute {
			restarts = restarts[1:]
		}
		if len(restarts) == maxRestarts {
			return domain.Errorf(domain.Unavailable, op, "the server died %d times in a minute", maxRestarts+1).
				WithHint("Its log is " + s.files.log + ".")
		}
		if len(restarts) > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(500 * time.Millisecond << len(restarts)):
			}
		}
		restarts = append(restarts, now)
		switch err := s.restart(ctx); {
		case ctx.Err() != nil:
			return nil
		case domain.CodeOf(err) == domain.Unavailable:
			return err
		case err != nil:
			s.log.ErrorContext(ctx, "the private database died and could not be restarted", slog.Any("error", err))
		default:
			s.log.WarnContext(ctx, "the private database died and was restarted", slog.String("log", s.files.log))
		}
	}
}

// restart makes a dead server run again, unless somebody wanted it dead.
func (s *Server) restart(ctx context.Context) error {
	s.mu.Lock()
	s.child = nil
	s.mu.Unlock()
	starting, err := acquire(ctx, s.files.startLock, exclusive, s.log)
	if err != nil {
		return err
	}
	defer starting.release()
	if _, err := os.Lstat(s.files.stopped); err == nil {
		return domain.Errorf(domain.Unavailable, op, "the server was stopped by force")
	}
	return s.up(ctx)
}

// alive reports whether the process named in postmaster.pid exists.
func (f files) alive() bool {
	pid, _ := f.serverID()
	if pid == 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
