package embeddedpg_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/domain"
)

// TestMain lets the test binary play other processes: see join.
func TestMain(m *testing.M) {
	if dir := os.Getenv("EMBEDDEDPG_CHILD_DIR"); dir != "" {
		os.Exit(childMain(dir))
	}
	os.Exit(m.Run())
}

// childMain uses the server in dir until its standard input ends.
func childMain(dir string) int {
	fast, _ := strconv.ParseBool(os.Getenv("EMBEDDEDPG_CHILD_FAST"))
	ctx := context.Background()
	s, err := embeddedpg.Start(ctx, embeddedpg.Options{StateDir: dir, Fast: fast, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Printf("%s | %v | %s\n", domain.CodeOf(err), strings.ReplaceAll(err.Error(), "\n", " "), domain.HintOf(err))
		return 1
	}
	if s.Attached() {
		fmt.Println("attached")
	} else {
		fmt.Println("started")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// A process is another process that uses, or tries to use, a cluster.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	first chan string // its first line
}

// join starts a process that uses the cluster in dir.
func join(t *testing.T, dir string, change ...func(*exec.Cmd)) *process {
	t.Helper()
	cmd := exec.Command(executable(t))
	// The working directory is not this one, from which .tools would be found.
	cmd.Env = append(os.Environ(), "EMBEDDEDPG_CHILD_DIR="+dir, "EMBEDDEDPG_CHILD_FAST=true",
		"DAYBOOK_PG_BINDIR="+look(t, t.TempDir()).BinDir)
	cmd.Dir = "/"
	cmd.Stderr = t.Output()
	for _, c := range change {
		c(cmd)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, stdin, make(chan string, 1)}
	go func() { // ends with the process
		s := bufio.NewScanner(stdout)
		s.Scan()
		p.first <- s.Text()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

// as makes a process run as an ordinary user.
func as(t *testing.T, uid uint32) func(*exec.Cmd) {
	t.Helper()
	bin := binFor(t)
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Env = append(cmd.Env, "HOME=/nonexistent", "DAYBOOK_PG_BINDIR="+bin)
	}
}

// binFor returns a directory of server programs that every user can run. Root
// may have its own where nobody else can go; then they are copied.
func binFor(t *testing.T) string {
	t.Helper()
	bin := look(t, t.TempDir()).BinDir
	for dir := bin; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o001 == 0 {
			break
		}
		if dir == filepath.Dir(dir) {
			return bin
		}
	}
	all := filepath.Join(openDir(t), "pg")
	syscall.ForkLock.RLock() // see writeProgram
	err := os.CopyFS(all, os.DirFS(filepath.Dir(bin)))
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(all, filepath.Base(bin))
}

// executable returns a link to the test binary, or a copy of it, that every
// user can run.
func executable(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return os.Args[0]
	}
	path := filepath.Join(openDir(t), "test")
	if os.Link(os.Args[0], path) == nil {
		return path
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, path, self)
	return path
}

// writeProgram writes a file that is run soon after. A process that another test
// starts meanwhile would inherit it open for writing, and as long as it is so it
// cannot be run.
func writeProgram(t *testing.T, path string, text []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

func (p *process) want(t *testing.T, want string) {
	t.Helper()
	if got := <-p.first; got != want {
		t.Fatalf("the process says %q, want %q", got, want)
	}
}

func (p *process) leave(t *testing.T) {
	t.Helper()
	p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.cmd.Wait()
}

// openDir returns a temporary directory that every account can enter, unlike
// that of t.TempDir. It is in memory if it can be: a cluster is 40 MB.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "embeddedpg")
	if err != nil {
		dir, err = os.MkdirTemp("", "embeddedpg")
	}
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// stateDir returns a state directory whose server is stopped after the test.
func stateDir(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	stopAfter(t, dir)
	return dir
}

func stopAfter(t *testing.T, dir string) {
	t.Cleanup(func() {
		if _, err := embeddedpg.Stop(context.Background(), embeddedpg.Options{StateDir: dir}, true); err != nil {
			t.Error(err)
		}
	})
}

func look(t *testing.T, dir string) embeddedpg.Status {
	t.Helper()
	st, err := embeddedpg.Look(t.Context(), embeddedpg.Options{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// await waits for what no event tells of, in another process.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 30 s for this: %s", what)
		}
	}
}
