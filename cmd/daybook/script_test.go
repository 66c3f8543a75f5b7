package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// TestScript runs testdata/script/*.txtar, each over a database of its own.
func TestScript(t *testing.T) {
	key, err := postgrestest.Key()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_GOLDEN") != "",
		Setup: func(e *testscript.Env) error {
			url, drop, err := pgtest.Open(t.Context(), key, postgrestest.Migrate)
			if err != nil {
				return err
			}
			e.Setenv("DATABASE_URL", url)
			e.Setenv("DAYBOOK_KEYS_DIR", filepath.Join(e.WorkDir, "keys"))
			e.Setenv("DAYBOOK_CHECKPOINTS_DIR", filepath.Join(e.WorkDir, "checkpoints"))
			e.Defer(func() {
				if err := drop(); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": exitsWith},
	})
}

// exitsWith implements the script command "status N command…": the command must
// exit with status N.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: %v, want exit status %s", strings.Join(args[1:], " "), err, args[0])
	}
}

// TestHelp wants every command to say in one line what it does, more in lines that
// fit a terminal, and to give examples that begin with a command that exists.
func TestHelp(t *testing.T) {
	root := rootCommand(&app{})
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short description is %q", c.CommandPath(), c.Short)
		}
		for line := range strings.Lines(c.Long) {
			if utf8.RuneCountInString(line) > 88 {
				t.Errorf("%s: a line of the description is too long: %s", c.CommandPath(), line)
			}
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			_, command, ok := strings.Cut(line, "daybook ")
			if !ok {
				t.Errorf("%s: the example %q is not of daybook", c.CommandPath(), line)
				continue
			}
			if found, _, err := root.Find(strings.Fields(command)); err != nil || found == root {
				t.Errorf("%s: the example %q names no command", c.CommandPath(), line)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, c := range root.Commands() {
		walk(c)
	}
}

// TestExitStatus wants an exit status for every code there is.
func TestExitStatus(t *testing.T) {
	for _, code := range []domain.Code{
		domain.Internal, domain.Usage, domain.Invalid, domain.TooLarge, domain.Unsupported, domain.Unauthenticated,
		domain.NotAllowed, domain.NotFound, domain.Refused, domain.Differs, domain.Unreachable, domain.Unavailable, domain.Limited,
	} {
		if exitStatus[code] == exitDone {
			t.Errorf("a failure with code %s ends with exit status 0", code)
		}
	}
}
