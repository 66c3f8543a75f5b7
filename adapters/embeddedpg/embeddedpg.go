// Package embeddedpg keeps a private PostgreSQL for who has configured none.
//
// It uses the server programs it finds on the machine and keeps this true:
//
//   - One state directory holds one cluster, whatever number of processes,
//     started in whatever order, use it. The first one in starts the server,
//     the others attach, the last one out stops it. A process that is killed
//     counts as out at once.
//   - The data directory is whole or absent, and is never deleted, overwritten
//     or given to programs of another major version.
//   - Nobody but the owner of the state directory can connect: there is no TCP
//     port, only a Unix socket in a directory with mode 0700.
//
// # Files
//
//	STATE/pg/data          the cluster
//	STATE/pg/run           the socket; if the path is too long, /tmp/daybook-UID-HASH
//	STATE/pg/postgres.log  what the server says
//	STATE/pg/start.lock    flock: held while starting and stopping
//	STATE/pg/users.lock    flock: held, shared, by every process that uses the server
//	STATE/pg/keep          names the server process that must outlive its users
//	STATE/pg/stopped       the last stop was forced: who supervises must not restart
//	STATE/pg/init-*        a cluster being created; swept by the next start
package embeddedpg

import (
	"context"
	"log/slog"
	"sync"

	"github.com/daybook-ledger/daybook/domain"
)

// op is the operation that the errors of this package name.
const op = "embedded database"

// Superuser and Database are the names that every cluster has.
const (
	Superuser = "daybook"
	Database  = "daybook"
)

// MinimumMajor is the oldest PostgreSQL that is used.
const MinimumMajor = 15

// Options say which cluster and how to run it. The zero value is the default
// cluster of the calling user.
type Options struct {
	// StateDir is the directory to keep everything in; "" means [DefaultStateDir].
	StateDir string

	// BinDir is the directory of the server programs; "" means
	// DAYBOOK_PG_BINDIR, or else to look where PostgreSQL is usually installed.
	BinDir string

	// Fast gives up durability for speed: a power cut loses the cluster. For
	// tests. It matters to the process that starts the server, not to those
	// that attach.
	Fast bool

	// Logger is told what takes time or goes wrong; nil discards it.
	Logger *slog.Logger
}

// A Server is one process's use of the private PostgreSQL.
// Its methods may be called from several goroutines.
type Server struct {
	opts  Options
	files files
	log   *slog.Logger

	mu       sync.Mutex
	users    *lock // shared; nil after Close
	version  string
	attached bool
	child    *postmaster // nil unless this process started the server
}

// Start attaches to the server of o.StateDir, having started it if it does not
// run, and having created the cluster if there is none. The caller must Close
// the Server. Its failures have the code [domain.Unreachable].
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{opts: o, log: o.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.files, err = makeFiles(o.StateDir); err != nil {
		return nil, err
	}
	starting, err := acquire(ctx, s.files.startLock, exclusive, s.log)
	if err != nil {
		return nil, err
	}
	defer starting.release()
	if s.users, err = acquire(ctx, s.files.usersLock, shared, s.log); err != nil {
		return nil, err
	}
	if err := s.up(ctx); err != nil {
		s.users.release()
		return nil, err
	}
	return s, nil
}

// URL returns the URL of the database, as lib/pq and psql take it.
func (s *Server) URL() string { return s.files.url(Database) }

// DatabaseURL returns the URL of another database of the cluster.
func (s *Server) DatabaseURL(name string) string { return s.files.url(name) }

// Version returns the version of the server, such as "15.18".
func (s *Server) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Attached reports whether the server ran already.
func (s *Server) Attached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attached
}

// StateDir returns the directory that holds everything.
func (s *Server) StateDir() string { return s.files.state }

// DataDir returns the data directory.
func (s *Server) DataDir() string { return s.files.data }

// LogPath returns the file that the server writes its messages to.
func (s *Server) LogPath() string { return s.files.log }

// UsersLock returns the file whose shared flock says that the cluster is in
// use. Who holds it exclusively knows that nobody uses it.
func (s *Server) UsersLock() string { return s.files.usersLock }

// Keep makes the server outlive its users, until [Stop] or its own end.
func (s *Server) Keep() error { return s.files.keepServer() }

// Close ends the use and, if it was the last one, stops the server. Connections
// should be closed before. ctx bounds the wait for the server to stop; it must
// not be the context whose end made the caller close.
//
// Closing again does nothing.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	users := s.users
	s.users = nil
	s.mu.Unlock()
	if users == nil {
		return nil
	}
	defer users.release()
	starting, err := acquire(ctx, s.files.startLock, exclusive, s.log)
	if err != nil {
		return err
	}
	defer starting.release()
	if !users.tryExclusive() || s.files.isKept() {
		return nil
	}
	_, err = s.files.halt(ctx)
	return err
}

// unreachable returns an error of this package.
func unreachable(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.Unreachable, op, format, args...)
}
