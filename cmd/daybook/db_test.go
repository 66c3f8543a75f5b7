package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
)

// TestDB starts, looks at and stops a private PostgreSQL.
func TestDB(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	dir, err := os.MkdirTemp("", "daybook-db")
	if err != nil {
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
	if err := os.Chmod(dir, 0o711); err != nil { // the server's account passes through
		t.Fatal(err)
	}
	db := func(wantStatus int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, talk bytes.Buffer
		args = append([]string{"db", "--state", dir}, args...)
		if got := run(t.Context(), args, &out, &talk); got != wantStatus {
			t.Fatalf("daybook %s: exit status %d, want %d\n%s", strings.Join(args, " "), got, wantStatus, &talk)
		}
		return out.String(), talk.String()
	}
	status := func() (st databaseStatus) {
		t.Helper()
		out, _ := db(exitDone, "status", "--json")
		if err := json.Unmarshal([]byte(out), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	contains := func(got string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("got %q, want it to mention %q", got, w)
			}
		}
	}

	db(exitNotFound, "log") // nothing has been started yet
	if st := status(); st.Database != "embedded" || st.Running {
		t.Errorf("before the start: %+v", st)
	}
	_, talk := db(exitDone, "start")
	contains(talk, "started", dir)
	_, talk = db(exitDone, "start")
	contains(talk, "runs already")
	if st := status(); !st.Running || !st.Kept || st.InUse {
		t.Errorf("after the start: %+v", st)
	}
	out, _ := db(exitDone, "status")
	contains(out, "private PostgreSQL", "running", dir)
	out, _ = db(exitDone, "url")
	contains(out, "postgres://daybook@/daybook?host=")
	out, _ = db(exitDone, "log", "--lines", "1")
	if strings.Count(out, "\n") != 1 {
		t.Errorf("asked for one line of the log, got %q", out)
	}
	_, talk = db(exitDone, "stop")
	contains(talk, "stopped")
	_, talk = db(exitDone, "stop")
	contains(talk, "not running")

	db(exitUsage, "halt")
	db(exitUsage, "status", "--output", "csv")
}

// TestDBExternal has a database that daybook neither starts nor stops.
func TestDBExternal(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/x")
	for _, verb := range []string{"start", "stop", "log"} {
		var out, talk bytes.Buffer
		if got := run(t.Context(), []string{"db", verb}, &out, &talk); got != exitRefused || !strings.Contains(talk.String(), "DATABASE_URL") {
			t.Errorf("db %s: exit status %d, want %d: %s", verb, got, exitRefused, &talk)
		}
	}
	var out, talk bytes.Buffer
	if got := run(t.Context(), []string{"db", "status", "--json"}, &out, &talk); got != exitDone {
		t.Fatalf("db status: exit status %d: %s", got, &talk)
	}
	var st databaseStatus
	if err := json.Unmarshal(out.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	if st.Database != "external" || st.Running || st.Error == "" || strings.Contains(out.String(), "secret") {
		t.Errorf("got %s", &out)
	}
}
