package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// TestLogShow shows records by position, by id and by delivery: the bytes give the
// leaf, and what is personal is open.
func TestLogShow(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	receipt := p.mustPost(t, sampleNamed(t, "tahdah/eventCredits.Updated.json"))
	p.stop(t)
	record := receipt.Records[0]
	var first shownRecord
	for _, name := range []string{strconv.FormatInt(record.Position, 10), record.ID.String(), receipt.Delivery.String()} {
		out, _ := mustRun(t, url, exitDone, "log", "show", name, "--json")
		var shown shownRecord
		if err := json.Unmarshal([]byte(out), &shown); err != nil {
			t.Fatal(err)
		}
		if leaf := tree.Leaf(shown.Bytes); shown.Leaf != leaf.String() || shown.Leaf != record.Leaf {
			t.Errorf("%s: the leaf is %s, that of the bytes is %s, and the receipt has %s", name, shown.Leaf, leaf, record.Leaf)
		}
		if shown.ID != record.ID || shown.Delivery != receipt.Delivery || len(shown.Effects) != 0 {
			t.Errorf("%s shows %+v", name, shown)
		}
		first = shown
	}
	for path, text := range first.Personal {
		if strings.HasPrefix(text, "sealed.") {
			t.Errorf("%s is shown sealed", path)
		}
	}
	if len(first.Personal) == 0 {
		t.Error("nothing personal is shown")
	}
	if out, _ := mustRun(t, url, exitDone, "log", "show", "1", "--bytes"); out != string(first.Bytes) {
		t.Errorf("the bytes are\n%swant\n%s", out, first.Bytes)
	}
	if out, _ := mustRun(t, url, exitDone, "log", "show", "1"); !strings.Contains(out, record.Leaf) || !strings.Contains(out, string(first.Bytes)) {
		t.Errorf("for people it shows\n%s", out)
	}
	if out, _ := mustRun(t, url, exitDone, "log", "list", "kind="+string(record.Kind), "-o", "csv"); !strings.Contains(out, record.ID.String()) {
		t.Errorf("the list is\n%s", out)
	}
	mustRun(t, url, exitNotFound, "log", "show", "99")
	mustRun(t, url, exitNotFound, "log", "show", "01KHV3Q0000000000000000000")
	mustRun(t, url, exitUsage, "log", "show", "seven")
	mustRun(t, url, exitUsage, "log", "show", "1", "-o", "csv")
	mustRun(t, url, exitUsage, "log", "verify", "--from", "2")
	mustRun(t, url, exitUsage, "log", "verify", "--from", "-2")
	mustRun(t, url, exitUsage, "log", "verify", "--key", "nobody")
	mustRun(t, url, exitNotFound, "log", "verify", "--receipt", "nowhere")
}

// TestLogTail follows the log while records come: each is shown, once, in its order.
func TestLogTail(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	for i := range 3 {
		p.mustPost(t, enrolment(fmt.Sprint("before", i)))
	}
	if out, _ := mustRun(t, url, exitDone, "log", "tail", "-n", "2"); strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, "2  ") {
		t.Errorf("the last two are\n%s", out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tail := exec.CommandContext(ctx, os.Args[0], "log", "tail", "--follow", "--json", "-n", "1")
	tail.Cancel = func() error { return tail.Process.Signal(os.Interrupt) }
	tail.Env = append(os.Environ(), asMain+"=1", "DATABASE_URL="+url)
	var stderr bytes.Buffer
	tail.Stderr = &stderr
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(out)
	for want := int64(3); want <= 6; want++ {
		var row struct {
			Position int64 `json:"position"`
		}
		if err := lines.Decode(&row); err != nil || row.Position != want {
			t.Fatalf("record %d follows, want %d: %v\n%s", row.Position, want, err, stderr.String())
		}
		p.mustPost(t, enrolment(fmt.Sprint("after", want)))
	}
	cancel()
	if err := tail.Wait(); err != nil && ctx.Err() == nil {
		t.Errorf("interrupted it ends with %v\n%s", err, stderr.String())
	}
	p.stop(t)
}
