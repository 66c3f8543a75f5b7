package embeddedpg

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
)

// fake makes a directory of programs that say they are of the given version.
func fake(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	// A process that another test starts meanwhile would inherit a script open for
	// writing, and as long as it is so it cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestChoose asks for programs among 15.2, 15.18, 17.1 and 14.9.
func TestChoose(t *testing.T) {
	t.Parallel()
	incomplete := fake(t, "18.4")
	if err := os.Remove(filepath.Join(incomplete, "initdb")); err != nil {
		t.Fatal(err)
	}
	dirs := []string{
		fake(t, "15.2"), t.TempDir(), fake(t, "15.18 (Debian 15.18-0+deb12u1)"), fake(t, "17.1"),
		incomplete, fake(t, "14.9"), filepath.Join(t.TempDir(), "nowhere"),
	}
	found := findPrograms(t.Context(), append(dirs, dirs...))
	var versions []string
	for _, p := range found {
		versions = append(versions, p.version)
	}
	if got, want := strings.Join(versions, " "), "17.1 15.18 15.2 14.9"; got != want {
		t.Fatalf("found %s, want %s", got, want)
	}
	for _, test := range []struct {
		found []programs
		major int // of the data; 0 is a new cluster
		want  string
	}{
		{found, 0, "17.1"},
		{found, 15, "15.18"},
		{found, 14, "14.9"}, // too old for a new cluster, not for its own
		{found, 16, "is of PostgreSQL 16, and on this machine there is only 17.1"},
		{found, 18, "Nothing was changed"},
		{found[3:], 0, "PostgreSQL 15 or newer is needed"},
		{nil, 0, "there are no PostgreSQL server programs"},
		{nil, 15, "is of PostgreSQL 15, and there are no server programs"},
	} {
		p, err := choose(test.found, "on this machine", test.major, files{data: "/data"})
		if err == nil {
			if p[0].version != test.want {
				t.Errorf("data of %d: chose %s, want %s", test.major, p[0].version, test.want)
			}
			continue
		}
		if domain.CodeOf(err) != domain.Unreachable || !strings.Contains(err.Error(), test.want) || domain.HintOf(err) == "" {
			t.Errorf("data of %d: got %v (hint %q), want an error that says %q", test.major, err, domain.HintOf(err), test.want)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"15.9", "15.18", -1},
		{"18beta1", "17.10", 1},
		{"17.0", "17.0", 0},
		{"17", "17.1", -1},
	} {
		if got := compareVersions(test.a, test.b); got != test.want {
			t.Errorf("compareVersions(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// TestServerID reads what a server leaves, whole or not.
func TestServerID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file string
		pid  int
	}{
		{"4711\n/data\n1700000000\n5432\n/run\n\n", 4711},
		{"4711\n/data\n", 0}, // still being written
		{"", 0},
		{"1\n/data\n1700000000\n5432\n", 0}, // init, which must not be signalled
		{"-4711\n/data\n1700000000\n5432\n", 0},
		{"many\n/data\n1700000000\n5432\n", 0},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		pid, id := files{data: dir}.serverID()
		if pid != test.pid || (id == "") != (pid == 0) {
			t.Errorf("%q: got process %d (%q), want %d", test.file, pid, id, test.pid)
		}
	}
}

// TestBarredAt finds the directory that keeps an account out.
func TestBarredAt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	private := filepath.Join(root, "private")
	deep := filepath.Join(private, "deep")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	me := owner{os.Geteuid(), os.Getegid()}
	if got := barredAt(deep, me); got != "" {
		t.Errorf("the owner is kept out at %s", got)
	}
	// The directories above root may keep others out as well.
	if got := barredAt(deep, owner{me.uid + 1, me.gid + 1}); got == "" || !strings.HasPrefix(private, got) {
		t.Errorf("another user is kept out at %q, want %s or above", got, private)
	}
}
