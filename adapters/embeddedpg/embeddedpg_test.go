package embeddedpg_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	_ "github.com/lib/pq"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/domain"
)

// TestFirstInLastOut shares a cluster between two processes. The first one in
// starts the server, though it leaves first; the last one out stops it.
func TestFirstInLastOut(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a := join(t, dir)
	a.want(t, "started")
	b := join(t, dir)
	b.want(t, "attached")
	query(t, dir, `CREATE TABLE kept AS SELECT 1 AS n`)

	a.leave(t)
	if st := look(t, dir); !st.Running || !st.InUse {
		t.Fatalf("the server stopped under its second user: %+v", st)
	}
	b.leave(t)
	if st := look(t, dir); st.Running || st.InUse {
		t.Fatalf("the server runs on without users: %+v", st)
	}

	c := join(t, dir)
	c.want(t, "started")
	query(t, dir, `SELECT n FROM kept`)
	c.leave(t)
}

// TestKilledUser kills the process that started the server, which runs on; the
// next process attaches to it and is the last one out.
func TestKilledUser(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a := join(t, dir)
	a.want(t, "started")
	a.kill(t)
	if st := look(t, dir); !st.Running || st.InUse {
		t.Fatalf("want the server orphaned, not %+v", st)
	}
	b := join(t, dir)
	b.want(t, "attached")
	b.leave(t)
	if st := look(t, dir); st.Running {
		t.Fatalf("the server runs on without users: %+v", st)
	}
}

// TestKilledServer kills the server, and with it or not the process that
// started it. The next process recovers what was committed.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	for _, alsoUser := range []bool{false, true} {
		t.Run(fmt.Sprintf("user too %t", alsoUser), func(t *testing.T) {
			t.Parallel()
			dir := stateDir(t)
			a := join(t, dir, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "EMBEDDEDPG_CHILD_FAST=false") })
			a.want(t, "started")
			query(t, dir, `CREATE TABLE kept AS SELECT 1 AS n`)
			kill(t, look(t, dir).PID)
			if alsoUser {
				a.kill(t)
			}
			b := join(t, dir)
			b.want(t, "started")
			query(t, dir, `SELECT n FROM kept`)
			b.leave(t)
		})
	}
}

func TestSupervise(t *testing.T) {
	t.Parallel()
	s := start(t, embeddedpg.Options{StateDir: stateDir(t), Fast: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Supervise(ctx) }()

	db := open(t, s.URL())
	first := look(t, s.StateDir()).PID
	kill(t, first)
	await(t, "a query works again", func() bool {
		return db.PingContext(t.Context()) == nil && look(t, s.StateDir()).PID != first
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Supervise: %v, want nil after its context has ended", err)
	}
}

// TestSuperviseAttached sees a process restart a server that another one, now
// killed, had started.
func TestSuperviseAttached(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a := join(t, dir)
	a.want(t, "started")
	s := start(t, embeddedpg.Options{StateDir: dir, Fast: true})
	if !s.Attached() {
		t.Fatal("not attached")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Supervise(ctx) }()
	first := look(t, dir).PID
	a.kill(t)
	kill(t, first)
	await(t, "the server is restarted", func() bool { st := look(t, dir); return st.Running && st.PID != first })
	cancel()
	<-done
}

// TestSuperviseYields stops the server by force: that is no death to undo.
func TestSuperviseYields(t *testing.T) {
	t.Parallel()
	o := embeddedpg.Options{StateDir: stateDir(t), Fast: true}
	s := start(t, o)
	done := make(chan error, 1)
	go func() { done <- s.Supervise(t.Context()) }()
	if stopped, err := embeddedpg.Stop(t.Context(), o, true); err != nil || !stopped {
		t.Fatalf("Stop: %t, %v", stopped, err)
	}
	if err := <-done; domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("Supervise: %v, want code %s", err, domain.Unavailable)
	}
	if look(t, o.StateDir).Running {
		t.Error("the server was restarted")
	}
}

// TestEightAtOnce starts eight processes on a directory that holds nothing.
func TestEightAtOnce(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	all := make([]*process, 8)
	for i := range all {
		all[i] = join(t, dir)
	}
	said := make(map[string]int)
	for _, p := range all {
		said[<-p.first]++
	}
	if said["started"] != 1 || said["attached"] != 7 {
		t.Errorf("the processes say %v, want 1 started and 7 attached", said)
	}
	for _, p := range all {
		p.leave(t)
	}
	if st := look(t, dir); st.Running {
		t.Errorf("the server runs on without users: %+v", st)
	}
	if n := strings.Count(readFile(t, filepath.Join(dir, "pg/postgres.log")), "database system is ready"); n != 1 {
		t.Errorf("the server was started %d times, want once", n)
	}
}

// TestInitdbKilled kills the first process and initdb in the middle of it.
func TestInitdbKilled(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a := join(t, dir, func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} })
	pattern := filepath.Join(dir, "pg/init-*/data/base")
	await(t, "initdb has begun", func() bool { found, _ := filepath.Glob(pattern); return len(found) > 0 })
	if err := syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.cmd.Wait()
	if _, err := os.Stat(filepath.Join(dir, "pg/data")); err == nil {
		t.Fatal("half a cluster has the name of a whole one")
	}
	b := join(t, dir)
	b.want(t, "started")
	b.leave(t)
	if left, _ := filepath.Glob(filepath.Join(dir, "pg/init-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestStartCancelled cancels the first start; the next one is not disturbed.
func TestStartCancelled(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := embeddedpg.Start(ctx, embeddedpg.Options{StateDir: dir, Fast: true})
		done <- err
	}()
	pattern := filepath.Join(dir, "pg/init-*/data")
	await(t, "initdb has begun", func() bool { found, _ := filepath.Glob(pattern); return len(found) > 0 })
	cancel()
	if err := <-done; domain.CodeOf(err) != domain.Unreachable {
		t.Errorf("Start: %v, want code %s", err, domain.Unreachable)
	}
	start(t, embeddedpg.Options{StateDir: dir, Fast: true})
}

// TestOtherMajor finds data of a version that the machine has no programs for.
func TestOtherMajor(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	data := filepath.Join(dir, "pg/data")
	if err := os.MkdirAll(filepath.Join(data, "base/1"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"PG_VERSION": "9\n", "base/1/ledger": "all of it"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := digest(t, data)
	_, err := embeddedpg.Start(t.Context(), embeddedpg.Options{StateDir: dir})
	refused(t, err, "is of PostgreSQL 9", "Nothing was changed")
	if digest(t, data) != before {
		t.Error("the data directory was changed")
	}
}

// TestNotACluster finds files where the data directory would be.
func TestNotACluster(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	data := filepath.Join(dir, "pg/data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "thesis.txt"), []byte("the only copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := digest(t, data)
	_, err := embeddedpg.Start(t.Context(), embeddedpg.Options{StateDir: dir})
	refused(t, err, "not a PostgreSQL cluster", "Nothing was changed")
	if digest(t, data) != before {
		t.Error("the data directory was changed")
	}
}

func TestNoPrograms(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	_, err := embeddedpg.Start(t.Context(), embeddedpg.Options{StateDir: stateDir(t), BinDir: empty})
	refused(t, err, "no PostgreSQL server programs", empty)
	for _, want := range []string{"make pg", "DAYBOOK_PG_BINDIR", "DATABASE_URL"} {
		if hint := domain.HintOf(err); !strings.Contains(hint, want) {
			t.Errorf("the hint does not mention %s: %s", want, hint)
		}
	}
}

func TestUnwritable(t *testing.T) {
	t.Parallel()
	parent := openDir(t)
	if err := os.Chmod(parent, 0o555); err != nil {
		t.Fatal(err)
	}
	p := join(t, filepath.Join(parent, "state"), asPlainUser(t))
	if got := <-p.first; !strings.HasPrefix(got, "unreachable | ") || !strings.Contains(got, "permission denied") || !strings.Contains(got, "DAYBOOK_STATE_DIR") {
		t.Errorf("the process says %q", got)
	}
}

func TestPlainUser(t *testing.T) {
	t.Parallel()
	dir := plainDir(t)
	p := join(t, dir, asPlainUser(t))
	p.want(t, "started")
	if os.Geteuid() == 0 {
		if info, err := os.Stat(filepath.Join(dir, "pg/data")); err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody {
			t.Errorf("the data is not the user's own: %v", err)
		}
	}
	p.leave(t)
}

// TestForeignData is another user's cluster.
func TestForeignData(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plainDir(t)
	join(t, dir, asPlainUser(t)).leave(t)
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && filepath.Base(path) == "pg" {
			err = os.Chmod(path, 0o777)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p := join(t, dir, as(t, nobody-1))
	if got := <-p.first; !strings.HasPrefix(got, "unreachable | ") || !strings.Contains(got, "user that the directory belongs to") && !strings.Contains(got, "permission denied") {
		t.Errorf("the process says %q", got)
	}
}

// TestNoPasswdEntry runs as a user whom the passwd file does not know, and
// whom initdb refuses therefore.
func TestNoPasswdEntry(t *testing.T) {
	t.Parallel()
	needRoot(t)
	needNamespace(t)
	const uid = 54321
	dir := openDir(t)
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	stopAfter(t, dir)
	for range 2 {
		p := join(t, dir, as(t, uid))
		p.want(t, "started")
		p.leave(t)
	}
}

// TestRootAlone keeps the state where only root can enter.
func TestRootAlone(t *testing.T) {
	t.Parallel()
	needRoot(t)
	needNamespace(t)
	dir := t.TempDir() // below a directory with mode 0700
	stopAfter(t, dir)
	for range 2 {
		s, err := embeddedpg.Start(t.Context(), embeddedpg.Options{StateDir: dir, Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(s.DataDir()); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("the data does not belong to root: %v", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLongPath has a state directory whose path is too long for a socket.
func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(stateDir(t), strings.Repeat("long/", 30))
	run := runDir(t, look(t, dir).URL)
	t.Cleanup(func() { os.RemoveAll(run) })
	s := start(t, embeddedpg.Options{StateDir: dir, Fast: true})
	if _, err := open(t, s.URL()).ExecContext(t.Context(), `SELECT 1`); err != nil {
		t.Error(err)
	}
	if len(run) > 80 {
		t.Errorf("the socket is in %s, whose name is too long", run)
	}
}

// TestForeignSocketDir finds that somebody has made the socket directory.
func TestForeignSocketDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(stateDir(t), strings.Repeat("long/", 30))
	run := runDir(t, look(t, dir).URL)
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	if err := os.Chmod(run, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := embeddedpg.Start(t.Context(), embeddedpg.Options{StateDir: dir, Fast: true})
	refused(t, err, run, "somebody else")
}

func TestStop(t *testing.T) {
	t.Parallel()
	o := embeddedpg.Options{StateDir: stateDir(t), Fast: true}
	if stopped, err := embeddedpg.Stop(t.Context(), o, false); stopped || err != nil {
		t.Errorf("Stop without a cluster: %t, %v", stopped, err)
	}
	s := start(t, o)
	if _, err := embeddedpg.Stop(t.Context(), o, false); domain.CodeOf(err) != domain.Refused {
		t.Errorf("Stop while in use: %v, want code %s", err, domain.Refused)
	}
	if !look(t, o.StateDir).Running {
		t.Fatal("the server was stopped")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stopped, err := embeddedpg.Stop(t.Context(), o, false); stopped || err != nil {
		t.Errorf("Stop of a stopped server: %t, %v", stopped, err)
	}
}

// TestKeep keeps the server running without users, until Stop.
func TestKeep(t *testing.T) {
	t.Parallel()
	o := embeddedpg.Options{StateDir: stateDir(t), Fast: true}
	s := start(t, o)
	if err := s.Keep(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(t.Context()); err != nil { // the second time it does nothing
			t.Fatal(err)
		}
		if st := look(t, o.StateDir); !st.Running || !st.Kept || st.InUse {
			t.Fatalf("want the server running without users, not %+v", st)
		}
	}
	if stopped, err := embeddedpg.Stop(t.Context(), o, false); !stopped || err != nil {
		t.Errorf("Stop: %t, %v", stopped, err)
	}
	s = start(t, o)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := look(t, o.StateDir); st.Running {
		t.Errorf("the next server was kept too: %+v", st)
	}
}

// TestPrivate sees that nobody else can connect.
func TestPrivate(t *testing.T) {
	t.Parallel()
	s := start(t, embeddedpg.Options{StateDir: stateDir(t), Fast: true})
	info, err := os.Stat(runDir(t, s.URL()))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket directory has mode %v (%v), want 0700", info.Mode(), err)
	}
	var addresses, checksums, collation string
	err = open(t, s.URL()).QueryRowContext(t.Context(), `
		SELECT current_setting('listen_addresses'), current_setting('data_checksums'), datcollate
		FROM pg_database WHERE datname = current_database()`).Scan(&addresses, &checksums, &collation)
	if err != nil {
		t.Fatal(err)
	}
	if addresses != "" || checksums != "on" || collation != "C" {
		t.Errorf("listens on %q, checksums %s, collation %s; want \"\", on, C", addresses, checksums, collation)
	}
}

const nobody = 65534

func asPlainUser(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	if os.Geteuid() == 0 {
		return as(t, nobody)
	}
	return func(*exec.Cmd) {}
}

// plainDir returns a state directory of the plain user.
func plainDir(t *testing.T) string {
	t.Helper()
	dir := stateDir(t)
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can act as two users")
	}
}

// needNamespace skips the test where the kernel has no user namespaces to give,
// as in most containers.
func needNamespace(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("user namespaces are Linux's")
	}
	if err := exec.CommandContext(t.Context(), "unshare", "--user", "true").Run(); err != nil {
		t.Skipf("this kernel or container allows no user namespaces: %v", err)
	}
}

func start(t *testing.T, o embeddedpg.Options) *embeddedpg.Server {
	t.Helper()
	s, err := embeddedpg.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, domain.HintOf(err))
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// query runs one statement on the server that runs in dir.
func query(t *testing.T, dir, stmt string) {
	t.Helper()
	db, err := sql.Open("postgres", look(t, dir).URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), stmt); err != nil {
		t.Fatal(err)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no server to kill: process %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// refused checks that err says the database cannot be used and mentions words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if domain.CodeOf(err) != domain.Unreachable {
		t.Fatalf("got %v, want an error with code %s", err, domain.Unreachable)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not mention %q: %v", w, err)
		}
	}
	if domain.HintOf(err) == "" {
		t.Error("the error has no hint")
	}
}

// runDir returns the socket directory in a URL.
func runDir(t *testing.T, url string) string {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// digest returns a hash of every name, mode, owner, time and content below dir.
func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(h, path, info.Mode(), st.Uid, st.Gid, info.ModTime())
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		h.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
