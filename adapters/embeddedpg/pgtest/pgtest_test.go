package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
)

// TestMain lets the test binary play other test processes: see child.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PGTEST_CHILD_DIR"); dir != "" {
		if err := childMain(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childMain does what New does in a process of its own, in the cluster in dir,
// and ends when its standard input does.
func childMain(dir string) error {
	c, err := own(dir)
	if err != nil {
		return err
	}
	err = c.ensureTemplate(context.Background(), "tpl_child", func(_ context.Context, url string) error {
		fmt.Println("prepared")
		if os.Getenv("PGTEST_CHILD_HANG") != "" {
			_, err := io.Copy(io.Discard, os.Stdin)
			return err
		}
		return oneTable(context.Background(), url)
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A process is a child that uses the cluster in a directory.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *lines
}

func child(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "PGTEST_CHILD_DIR="+dir), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &process{cmd, stdin, newLines(stdout)}
}

func (p *process) end(t *testing.T) {
	t.Helper()
	p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func oneTable(ctx context.Context, url string) error {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, `CREATE TABLE one (n int)`)
	return err
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

// A recorder is a test whose outcome another test decides.
type recorder struct {
	testing.TB
	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (r *recorder) Helper()                    {}
func (r *recorder) Failed() bool               { return r.failed }
func (r *recorder) Cleanup(f func())           { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(f string, args ...any) { fmt.Fprintf(&r.log, f+"\n", args...) }
func (r *recorder) Error(args ...any)          { r.failed = true; fmt.Fprintln(&r.log, args...) }
func (r *recorder) Fatal(args ...any)          { r.Error(args...) }
func (r *recorder) Fatalf(f string, args ...any) {
	r.failed = true
	r.Logf(f, args...)
}

func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}

func exists(t *testing.T, name string) bool {
	t.Helper()
	c, err := shared()
	if err != nil {
		fatal(t, err)
	}
	var is bool
	if err := c.admin.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

func nameIn(t *testing.T, url string) string {
	t.Helper()
	var name string
	if err := open(t, url).QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestOwnDatabase fills ten databases at once; each holds its own row only.
func TestOwnDatabase(t *testing.T) {
	t.Parallel()
	for n := range 10 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			db := open(t, New(t, "one_table", oneTable))
			if _, err := db.ExecContext(t.Context(), `INSERT INTO one VALUES ($1)`, n); err != nil {
				t.Fatal(err)
			}
			var rows, got int
			if err := db.QueryRowContext(t.Context(), `SELECT count(*), min(n) FROM one`).Scan(&rows, &got); err != nil {
				t.Fatal(err)
			}
			if rows != 1 || got != n {
				t.Errorf("found %d rows with least %d, want the row %d alone", rows, got, n)
			}
		})
	}
}

func TestPreparedOnce(t *testing.T) {
	t.Parallel()
	key := fmt.Sprintf("a key that is no identifier %d", rand.Int64())
	prepared := 0
	for range 3 {
		_, drop, err := Open(t.Context(), key, func(ctx context.Context, url string) error {
			prepared++
			return oneTable(ctx, url)
		})
		if err != nil {
			fatal(t, err)
		}
		if err := drop(); err != nil {
			t.Error(err)
		}
	}
	if prepared != 1 {
		t.Errorf("prepared %d times, want 1", prepared)
	}
	dropTemplate(t, templateName(key))
}

func TestPrepareFails(t *testing.T) {
	t.Parallel()
	key := fmt.Sprintf("fails_%d", rand.Uint32())
	_, _, err := Open(t.Context(), key, func(context.Context, string) error { return io.ErrUnexpectedEOF })
	if err == nil {
		t.Fatal("no error")
	}
	url := New(t, key, oneTable) // the half-made template is not used
	if _, err := open(t, url).ExecContext(t.Context(), `SELECT n FROM one`); err != nil {
		t.Error(err)
	}
	dropTemplate(t, templateName(key))
}

func dropTemplate(t *testing.T, name string) {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	for _, stmt := range []string{`ALTER DATABASE ` + name + ` IS_TEMPLATE false`, `DROP DATABASE ` + name} {
		if _, err := c.admin.ExecContext(t.Context(), stmt); err != nil {
			t.Error(err)
		}
	}
}

func TestDroppedAfterSuccess(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	url := New(r, "", nil)
	if r.failed {
		t.Fatal(&r.log)
	}
	name := nameIn(t, url)
	r.end()
	if r.failed || exists(t, name) {
		t.Errorf("the database is still there: %s", &r.log)
	}
}

func TestKeptAfterFailure(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	url := New(r, "", nil)
	if r.failed {
		t.Fatal(&r.log)
	}
	name := nameIn(t, url)
	r.failed = true
	r.end()
	if !exists(t, name) {
		t.Error("the database of a failed test is gone")
	}
	if got := r.log.String(); !strings.Contains(got, "psql") || !strings.Contains(got, name) {
		t.Errorf("the log does not say how to look at it: %s", got)
	}
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	if err := (database{c, name}).drop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNoPrograms(t *testing.T) {
	t.Setenv("DAYBOOK_PG_BINDIR", t.TempDir())
	_, err := own(t.TempDir())
	r := &recorder{TB: t}
	fatal(r, err)
	if got := r.log.String(); !strings.Contains(got, `run "make pg"`) {
		t.Errorf("the failure does not say what to do: %s", got)
	}
}

// TestLastProcessStops has two processes share a cluster, kills one, lets the
// other end, and sees the server stop.
func TestLastProcessStops(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a := child(t, dir)
	a.out.want(t, "prepared")
	a.out.want(t, "ready")
	b := child(t, dir)
	b.out.want(t, "ready") // without "prepared": the template is there

	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.cmd.Wait()
	if !running(t, dir) {
		t.Fatal("the server stopped although a process uses it")
	}
	b.end(t)
	awaitStop(t, dir)

	c := child(t, dir)
	c.out.want(t, "ready") // the template has survived
	c.end(t)
	awaitStop(t, dir)
}

// TestKilledWhilePreparing kills a process in the middle of prepare; the next
// one prepares again.
func TestKilledWhilePreparing(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	a := child(t, dir, "PGTEST_CHILD_HANG=1")
	a.out.want(t, "prepared")
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.cmd.Wait()
	b := child(t, dir)
	b.out.want(t, "prepared")
	b.out.want(t, "ready")
	b.end(t)
	awaitStop(t, dir)
}

func TestDurable(t *testing.T) {
	t.Parallel()
	url, bin := Durable(t)
	var fsync, commit string
	err := open(t, url).QueryRowContext(t.Context(), `SELECT current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&fsync, &commit)
	if err != nil {
		t.Fatal(err)
	}
	if fsync != "on" || commit != "on" {
		t.Errorf("fsync is %s and synchronous_commit %s, want both on", fsync, commit)
	}
	if _, err := os.Stat(filepath.Join(bin, "postgres")); err != nil {
		t.Error(err)
	}
}

// stateDir returns a directory in which the server's account can work.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pgtest")
	if err != nil {
		dir, err = os.MkdirTemp("", "pgtest")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := embeddedpg.Stop(context.Background(), embeddedpg.Options{StateDir: dir}, true); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func running(t *testing.T, dir string) bool {
	t.Helper()
	st, err := embeddedpg.Look(t.Context(), embeddedpg.Options{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return st.Running
}

// awaitStop waits for the server to be gone, which is what nobody reports.
func awaitStop(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for running(t, dir) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the server still runs though nobody uses it")
		}
	}
}
