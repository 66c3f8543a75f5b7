package embeddedpg

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// A Status is what is known of a cluster without starting it.
type Status struct {
	Running  bool   `json:"running"`
	InUse    bool   `json:"in_use"`            // by a daybook process
	Kept     bool   `json:"kept"`              // runs until it is stopped, whether in use or not
	Version  string `json:"version,omitempty"` // of the server, or the major version of the data
	PID      int    `json:"pid,omitempty"`
	StateDir string `json:"state_dir,omitempty"`
	DataDir  string `json:"data_dir,omitempty"`
	Log      string `json:"log,omitempty"`
	URL      string `json:"url"`               // valid while the server runs
	BinDir   string `json:"bin_dir,omitempty"` // of the programs that would be used
}

// Look returns the status of the cluster that o names. It changes nothing, and
// a cluster that does not exist is one that does not run.
func Look(ctx context.Context, o Options) (Status, error) {
	f, err := locate(o.StateDir)
	if err != nil {
		return Status{}, err
	}
	st := Status{StateDir: f.state, DataDir: f.data, Log: f.log, URL: f.url(Database)}
	major, err := f.major()
	if err != nil {
		return st, err
	}
	if p, err := selectPrograms(ctx, o.BinDir, major, f); err == nil {
		st.BinDir = p[0].dir
		st.Version = p[0].version
	}
	if major == 0 {
		st.Version = ""
		return st, nil
	}
	if st.InUse, err = f.inUse(ctx); err != nil {
		return st, err
	}
	a, err := ping(ctx, f)
	if err != nil {
		return st, unreachable("connect: %w", err).WithHint("The server's log is " + f.log + ".")
	}
	if st.Running = a.state != absent; st.Running {
		st.PID, _ = f.serverID()
		st.Kept = f.isKept()
		st.Version = a.version
	}
	return st, nil
}

// inUse reports whether a process uses the cluster. While one is starting or
// stopping the server, it is in use.
func (f files) inUse(ctx context.Context) (bool, error) {
	if _, err := os.Lstat(f.usersLock); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	brief, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	starting, err := acquire(brief, f.startLock, exclusive, log)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return true, nil
		}
		return false, err
	}
	defer starting.release()
	users, err := acquire(ctx, f.usersLock, shared, log)
	if err != nil {
		return false, err
	}
	defer users.release()
	return !users.tryExclusive(), nil
}

// Stop stops the server that o names, also one that was to be kept, and reports
// whether it ran. While other processes use it, it refuses with
// [domain.Refused] unless force is given.
func Stop(ctx context.Context, o Options, force bool) (bool, error) {
	f, err := locate(o.StateDir)
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(f.pg); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	log := slog.New(slog.DiscardHandler)
	if o.Logger != nil {
		log = o.Logger
	}
	starting, err := acquire(ctx, f.startLock, exclusive, log)
	if err != nil {
		return false, err
	}
	defer starting.release()
	users, err := acquire(ctx, f.usersLock, shared, log)
	if err != nil {
		return false, err
	}
	defer users.release()
	if !users.tryExclusive() {
		if !force {
			return false, domain.Errorf(domain.Refused, op, "other daybook processes use it").
				WithHint("Stop them first; the last one stops the server. --force stops it at once and fails whatever they are doing.")
		}
		if err := os.WriteFile(f.stopped, nil, 0o600); err != nil {
			return false, unreachable("%w", err)
		}
	}
	if err := os.Remove(f.keep); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, unreachable("%w", err)
	}
	return f.halt(ctx)
}
