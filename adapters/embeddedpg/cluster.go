package embeddedpg

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// How long to wait.
const (
	pollEvery    = 10 * time.Millisecond
	answerWithin = 60 * time.Second // a started server that answers nothing, not even that it is not ready
	retryFor     = 15 * time.Second // what the last server, killed, left behind may take to go away
	retryEvery   = 100 * time.Millisecond
	stopWithin   = 30 * time.Second
)

// A postmaster is a server process that this process has started.
type postmaster struct {
	process *os.Process
	exited  chan struct{} // closed when it has ended and its exit status was taken
	logFrom int64         // where its messages begin in the log file
}

// up makes the server run, or finds that it does. It creates what is missing.
// The caller holds the start lock.
func (s *Server) up(ctx context.Context) error {
	major, err := s.files.major()
	if err != nil {
		return err
	}
	if major != 0 {
		o, _, err := ownerOf(s.files.data)
		if err != nil {
			return unreachable("%w", err)
		}
		if err := s.files.checkRun(o); err != nil {
			return err
		}
		// A server that runs needs no programs to be found.
		if a, err := ping(ctx, s.files); err != nil || a.state == ready {
			return s.ready(ctx, a, nil, err)
		}
	}
	fit, err := selectPrograms(ctx, s.opts.BinDir, major, s.files)
	if err != nil {
		return err
	}
	p, id, err := s.match(ctx, fit, major)
	if err != nil {
		return err
	}
	if err := s.files.makeRun(id.owner); err != nil {
		return err
	}
	if major == 0 {
		if err := s.create(ctx, p, id); err != nil {
			return err
		}
	}
	return s.launchAndWait(ctx, p, id)
}

// match returns the first of fit that somebody can run, and who. The best
// programs may lie where only root can go.
func (s *Server) match(ctx context.Context, fit []programs, major int) (programs, identity, error) {
	var first error
	for _, p := range fit {
		id, err := identify(ctx, s.files, p, major)
		if err == nil {
			return p, id, nil
		}
		first = cmp.Or(first, err)
	}
	return programs{}, identity{}, first
}

// launchAndWait starts p unless a server answers already, and waits until it
// takes queries. It starts it again if it was the leavings of a killed server
// that kept it from starting.
func (s *Server) launchAndWait(ctx context.Context, p programs, id identity) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var child *postmaster
	begun, heard, launchAt := time.Now(), time.Now(), time.Now()
	for {
		a, err := ping(ctx, s.files)
		if err != nil || a.state == ready {
			return s.ready(ctx, a, child, err)
		}
		switch {
		case a.state == busy:
			heard = time.Now()
		case child == nil:
			if time.Now().Before(launchAt) {
				break
			}
			if child, err = s.launch(ctx, p, id); err != nil {
				return err
			}
		case child.hasExited():
			said := s.files.logTail(child.logFrom)
			if !leftBehind(said) || time.Since(begun) > retryFor {
				return unreachable("the server did not start:\n%s", said).
					WithHint("The whole log is " + s.files.log + ".")
			}
			child, launchAt = nil, time.Now().Add(retryEvery)
		case time.Since(heard) > answerWithin:
			child.stop()
			return unreachable("the server started and did not answer for %s", answerWithin).
				WithHint("Its log is " + s.files.log + ".")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			child.stop()
			return unreachable("start: %w", context.Cause(ctx))
		}
	}
}

// leftBehind reports whether what a server said when it did not start is
// something that passes: the process of a server that was killed is not reaped
// yet, or one of its children still holds the shared memory.
func leftBehind(said string) bool {
	return strings.Contains(said, `lock file "postmaster.pid" already exists`) ||
		strings.Contains(said, "pre-existing shared memory block")
}

// ready takes note of the server that answered and creates the database.
// child is nil if the server ran already.
func (s *Server) ready(ctx context.Context, a answer, child *postmaster, err error) error {
	if err != nil {
		child.stop()
		return unreachable("connect: %w", err).WithHint("The server's log is " + s.files.log + ".")
	}
	if !a.hasDatabase {
		if err := createDatabase(ctx, s.files); err != nil {
			return err
		}
	}
	if child != nil && child.hasExited() {
		child = nil // another server answered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version, s.attached = a.version, child == nil
	if child != nil {
		s.child = child
	}
	return nil
}

// create makes the cluster. It appears under its name only when it is whole.
func (s *Server) create(ctx context.Context, p programs, id identity) (err error) {
	begun := time.Now()
	s.log.InfoContext(ctx, "creating the private database", slog.String("data", s.files.data), slog.String("postgresql", p.version))
	old, err := filepath.Glob(filepath.Join(s.files.pg, "init-*"))
	if err != nil {
		panic(err) // the pattern is malformed
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			return unreachable("sweep: %w", err)
		}
	}
	tmp, err := os.MkdirTemp(s.files.pg, "init-")
	if err != nil {
		return unreachable("%w", err).WithHint(hintStateDir)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.Lchown(tmp, id.owner.uid, id.owner.gid); err != nil {
		return unreachable("%w", err)
	}
	data := filepath.Join(tmp, "data")
	args := []string{
		"-D", data, "-U", Superuser, "-A", "trust", "-E", "UTF8",
		// The C collation sorts the same everywhere and outlives an upgrade of
		// the system's locales.
		"--no-locale", "--data-checksums",
	}
	if s.opts.Fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, p.path("initdb"), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", serverEnv(p), new(id.attr)
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return unreachable("initdb: %w\n%s", err, bytes.TrimSpace(out)).WithHint(hintStateDir)
	}
	if err := os.Rename(data, s.files.data); err != nil {
		return unreachable("%w", err)
	}
	if !s.opts.Fast {
		if err := syncDir(s.files.pg); err != nil {
			return unreachable("%w", err)
		}
	}
	s.log.DebugContext(ctx, "created the private database", slog.Duration("took", time.Since(begun)))
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func serverEnv(p programs) []string {
	return []string{"PATH=" + p.dir + ":/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

// serverArgs are the settings the server is started with. Those a person wants
// to change are in postgresql.conf, which they override.
func (s *Server) serverArgs() []string {
	settings := []string{
		"listen_addresses=",
		"unix_socket_permissions=0700",
		"logging_collector=off",
		"log_destination=stderr",
		"log_line_prefix=%m [%p] ",
		"timezone=UTC",
		"log_timezone=UTC",
	}
	if s.opts.Fast {
		settings = append(settings, "max_connections=200", "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	} else {
		settings = append(settings, "max_connections=100")
	}
	args := []string{"-D", s.files.data, "-k", s.files.run, "-p", port}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

// launch starts the server. It is in a session of its own, so that the Ctrl-C
// meant for daybook leaves it running until daybook has closed its connections.
func (s *Server) launch(ctx context.Context, p programs, id identity) (*postmaster, error) {
	if err := os.Remove(s.files.stopped); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, unreachable("%w", err)
	}
	log, err := s.files.openLog()
	if err != nil {
		return nil, unreachable("%w", err).WithHint(hintStateDir)
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, unreachable("%w", err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.path("postgres"), s.serverArgs()...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", serverEnv(p), log, log
	attr := id.attr
	attr.Setsid = true
	cmd.SysProcAttr = &attr
	if err := cmd.Start(); err != nil {
		return nil, unreachable("start as %s: %w", id.name, err)
	}
	s.log.DebugContext(ctx, "started the private database",
		slog.String("postgresql", p.String()), slog.String("as", id.name), slog.Int("pid", cmd.Process.Pid))
	child := &postmaster{process: cmd.Process, exited: make(chan struct{}), logFrom: from}
	// This goroutine lives as long as the server, which may be longer than its
	// users here: a process that has ended and was not waited for would keep
	// the next server from starting.
	go func() {
		_ = cmd.Wait() // the log says why
		close(child.exited)
	}()
	return child, nil
}

func (p *postmaster) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop stops a server whose start has failed. p may be nil.
func (p *postmaster) stop() {
	if p == nil {
		return
	}
	_ = p.process.Signal(syscall.SIGINT)
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
	}
}

// A state is what a ping found.
type state int

const (
	absent state = iota // nothing answers
	busy                // a server answers that it is starting, recovering or shutting down
	ready
)

type answer struct {
	state       state
	version     string
	hasDatabase bool
}

const pingSQL = `
SELECT current_setting('data_directory'), current_setting('server_version'),
       EXISTS (SELECT FROM pg_database WHERE datname = $1)`

// ping asks the server at f's socket what it is. An error means that there is
// one, but that it cannot be used.
func ping(ctx context.Context, f files) (answer, error) {
	if _, err := os.Lstat(filepath.Join(f.run, socketName)); err != nil {
		return answer{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	db, err := open(f, "postgres")
	if err != nil {
		return answer{}, err
	}
	defer db.Close()
	var dir, version string
	a := answer{state: ready}
	if err := db.QueryRowContext(ctx, pingSQL, Database).Scan(&dir, &version, &a.hasDatabase); err != nil {
		switch {
		case pq.As(err, pqerror.CannotConnectNow) != nil:
			return answer{state: busy}, nil
		case pq.As(err, pqerror.AdminShutdown, pqerror.CrashShutdown) != nil:
			return answer{}, nil
		}
		if _, ok := errors.AsType[*pq.Error](err); ok {
			return answer{}, err
		}
		return answer{}, nil
	}
	is, err1 := os.Stat(dir)
	want, err2 := os.Stat(f.data)
	if err := errors.Join(err1, err2); err != nil {
		return answer{}, err
	}
	if !os.SameFile(is, want) {
		return answer{}, fmt.Errorf("the server at %s has its data in %s, not in %s", f.run, dir, f.data)
	}
	a.version, _, _ = strings.Cut(version, " ")
	return a, nil
}

// open returns a pool of one connection to the named database.
func open(f files, database string) (*sql.DB, error) {
	c, err := pq.NewConnector(f.url(database))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	return db, nil
}

func createDatabase(ctx context.Context, f files) error {
	db, err := open(f, "postgres")
	if err != nil {
		return unreachable("%w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(Database)); err != nil {
		return unreachable("%w", err)
	}
	return nil
}

// halt stops the server and reports whether there was one. The caller holds
// the start lock.
func (f files) halt(ctx context.Context) (bool, error) {
	// Only what answers at the socket is signalled: after a crash the number in
	// postmaster.pid may be another program's.
	if a, err := ping(ctx, f); err == nil && a.state == absent {
		return false, nil
	}
	pid, id := f.serverID()
	if pid == 0 {
		return false, nil
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return false, nil
		}
		return false, unreachable("stop process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	tick := time.NewTicker(pollEvery / 2)
	defer tick.Stop()
	for {
		if _, now := f.serverID(); now != id {
			return true, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, unreachable("the server, process %d, is still stopping: %w", pid, context.Cause(ctx)).
				WithHint("Its log is " + f.log + ".")
		}
	}
}

// maxLog is the size at which the log is put aside as postgres.log.1.
const maxLog = 16 << 20

func (f files) openLog() (*os.File, error) {
	if info, err := os.Stat(f.log); err == nil && info.Size() > maxLog {
		if err := os.Rename(f.log, f.log+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(f.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// logTail returns the last lines of what was logged after the first from bytes.
func (f files) logTail(from int64) string {
	const most = 4 << 10
	file, err := os.Open(f.log)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(io.NewSectionReader(file, max(from, info.Size()-most), most))
	if err != nil {
		return err.Error()
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return "(the server said nothing: " + strconv.Itoa(len(b)) + " bytes)"
	}
	return string(bytes.TrimSpace(b))
}
