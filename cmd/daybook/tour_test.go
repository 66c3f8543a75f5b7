package main

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/lib/pq" // the driver that psql stands on

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
)

// TestTour runs the commands of README's tour as a reader would, beside a
// running demo, and compares what they print with what README says: every line
// that it shows must be printed, in that order, "…" standing for anything.
func TestTour(t *testing.T) {
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, ok := strings.Cut(string(text), "## A tour in five minutes")
	if !ok {
		t.Fatal("README.md has no tour")
	}
	tour, _, _ = strings.Cut(tour, "\n## ")

	state, err := os.MkdirTemp("", "daybook-tour")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(state, 0o711); err != nil { // the server's account passes through
		t.Fatal(err)
	}
	p := start(t, "", []string{"DAYBOOK_STATE_DIR=" + state}, "demo", "--pace", "0")
	t.Cleanup(func() {
		p.stop(t)
		if _, err := embeddedpg.Stop(t.Context(), embeddedpg.Options{StateDir: state}, true); err != nil {
			t.Log(err)
		}
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	p.await(t, "Serving on ")

	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	programs := []string{"daybook"}
	if _, err := exec.LookPath("psql"); err != nil {
		programs = append(programs, "psql") // some packages of PostgreSQL come without it
	}
	for _, program := range programs {
		if err := os.Symlink(self, filepath.Join(dir, "bin", program)); err != nil {
			t.Fatal(err)
		}
	}
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(tour, -1) {
		for _, step := range strings.Split(block[1], "$ ")[1:] {
			command, want, _ := strings.Cut(step, "\n")
			commands++
			cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "http://127.0.0.1:8080", p.url))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), asMain+"=1", "DATABASE_URL=", "DAYBOOK_STATE_DIR="+state,
				"PATH="+os.Getenv("PATH")+":"+filepath.Join(dir, "bin"))
			var talk strings.Builder
			cmd.Stderr = &talk
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%s: %v\n%s%s", command, err, out, &talk)
				continue
			}
			checkShown(t, command, want, string(out))
		}
	}
	if commands < 10 {
		t.Errorf("the tour has %d commands only", commands)
	}
}

// psql runs the statement of a command line "psql URL -c STATEMENT" where the
// real one is not installed, and returns the exit status.
func psql(args []string) int {
	db, err := sql.Open("postgres", args[0])
	if err == nil {
		_, err = db.Exec(args[len(args)-1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// checkShown checks that every line of want is a line of got, in order.
func checkShown(t *testing.T, command, want, got string) {
	t.Helper()
	rest := strings.Split(got, "\n")
	for line := range strings.Lines(want) {
		line = strings.TrimSpace(line)
		if line == "" || line == "…" {
			continue
		}
		parts := strings.Split(line, "…")
		for i, part := range parts {
			parts[i] = strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(part)), " ", " +")
		}
		like := regexp.MustCompile(`^\s*` + strings.Join(parts, ".*") + `\s*$`)
		found := false
		for i, l := range rest {
			if like.MatchString(l) {
				rest, found = rest[i+1:], true
				break
			}
		}
		if !found {
			t.Errorf("$ %s\nREADME shows\n  %s\nand it printed\n%s", command, line, got)
			return
		}
	}
}
