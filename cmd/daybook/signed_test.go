package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// configWith writes a configuration with the sample sources and more.
func configWith(t *testing.T, more string) string {
	t.Helper()
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(more+sampleTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// mustRun runs one command that has to end with the given status, and returns what
// it printed.
func mustRun(t *testing.T, url string, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, status := daybook(t, url, args...)
	if status != want {
		t.Fatalf("daybook %s: status %d, want %d\n%s%s", strings.Join(args, " "), status, want, stdout, stderr)
	}
	return stdout, stderr
}

// checkDoctor wants doctor's verdict on something.
func checkDoctor(t *testing.T, url, what, verdict string, args ...string) {
	t.Helper()
	out, _, _ := daybook(t, url, append([]string{"doctor", "-o", "csv"}, args...)...)
	if !strings.Contains(out, "\n"+what+","+verdict+",") {
		t.Errorf("doctor does not say %s of %s:\n%s", verdict, what, out)
	}
}

// rewrite changes a record as only a superuser can who knows how the log is built:
// with its leaf, every root after it, and the head. The triggers are on again
// afterwards.
func rewrite(t *testing.T, url string, position int64) {
	t.Helper()
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := owner.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	triggers := func(how string) {
		for _, table := range []string{"log", "head"} {
			exec(`ALTER TABLE ` + table + ` ` + how + ` TRIGGER append_only`)
		}
	}
	triggers("DISABLE")
	exec(`UPDATE log SET occurred_at = occurred_at - interval '1 day' WHERE position = $1`, position)
	auditor := postgres.NewAuditor(owner)
	head, err := postgres.Head(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	f := new(tree.Frontier)
	for page, err := range auditor.Leaves(t.Context(), 0, head) {
		if err != nil {
			t.Fatal(err)
		}
		for _, leaf := range page {
			f.Append(leaf)
			root := f.Root()
			exec(`UPDATE log SET leaf = $1, root = $2 WHERE position = $3`, leaf[:], root[:], f.Size())
		}
	}
	exec(`UPDATE head SET frontier = $1`, f.Bytes())
	triggers("ENABLE ALWAYS")
}

// ask returns the status, the headers and the body of an answer.
func (p *process) ask(t *testing.T, path string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

// checkReadOnly wants a server that answers questions and takes nothing in, and
// says so everywhere.
func (p *process) checkReadOnly(t *testing.T) {
	t.Helper()
	s := enrolment("while-read-only")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/webhooks/thinkific", strings.NewReader(string(s.Body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = s.Header.Clone()
	status, header, body := do(t, r)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, `"code":"unavailable"`) || !strings.Contains(body, "read-only") {
		t.Errorf("a delivery is answered with %d, Retry-After %q: %s", status, header.Get("Retry-After"), body)
	}
	if status, _, body := p.ask(t, "/v1/certifications/status"); status != http.StatusOK {
		t.Errorf("a question is answered with %d: %s", status, body)
	}
	if status, _, body := p.ask(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"log":"read-only"`) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if got := p.figures(t)["daybook_log_read_only"]; got != "1" {
		t.Errorf("daybook_log_read_only %s", got)
	}
	if said := p.log(); !strings.Contains(said, "READ-ONLY") || !strings.Contains(said, "daybook log fork") {
		t.Errorf("it does not say so:\n%s", said)
	}
}

// TestRewritten rewrites a record with every hash after it: the next start, every
// command that writes and every checkpoint refuse the log.
func TestRewritten(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	for i := range 5 {
		p.mustPost(t, enrolment(fmt.Sprint("e", i)))
	}
	p.stop(t)
	mustRun(t, url, exitDone, "checkpoint", "sign")
	checkDoctor(t, url, "signed log", checkOK)
	rewrite(t, url, 3)
	if out, _ := mustRun(t, url, exitDiffers, "checkpoint", "sign"); out != "" {
		t.Errorf("it was signed all the same: %s", out)
	}
	out, said := mustRun(t, url, exitDiffers, "checkpoint", "show")
	if !strings.Contains(said, "the log is not the one that was signed") || !strings.Contains(out, "sink local") {
		t.Errorf("checkpoint show: %s%s", out, said)
	}
	checkDoctor(t, url, "signed log", checkFail)
	file := configWith(t, "")
	for _, env := range sampleEnv {
		name, value, _ := strings.Cut(env, "=")
		t.Setenv(name, value)
	}
	for _, args := range [][]string{
		{"record", "grant", "--config", file, "--source", "tahdah", "--order", "SO-1", "--template", "318", "--quantity", "5", "--by", "marta"},
		{"delivery", "replay", "--all", "--yes", "--config", file},
	} {
		if _, said := mustRun(t, url, exitRefused, args...); !strings.Contains(said, "read-only") {
			t.Errorf("%v says %s", args, said)
		}
	}
	p = serve(t, url)
	p.checkReadOnly(t)
}

// TestRewrittenWhileServed rewrites the log under a server that runs.
func TestRewrittenWhileServed(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	for i := range 5 {
		p.mustPost(t, enrolment(fmt.Sprint("e", i)))
	}
	mustRun(t, url, exitDone, "checkpoint", "sign")
	rewrite(t, url, 3)
	// What is appended wakes it.
	db := postgrestest.Open(t, url, postgres.RoleOwner)
	if _, err := db.ExecContext(t.Context(), `SELECT pg_notify('daybook_log', '5')`); err != nil {
		t.Fatal(err)
	}
	p.await(t, "READ-ONLY")
	p.checkReadOnly(t)
}

// TestRestored puts an old backup in the place of the log: nothing is recorded until
// somebody opens a new epoch, which goes on from there.
func TestRestored(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	for i := range 3 {
		p.mustPost(t, enrolment(fmt.Sprint("e", i)))
	}
	p.stop(t)
	restore := pgtest.Backup(t, url)
	if _, said := mustRun(t, url, exitRefused, "log", "fork", "--reason", "for fun", "--by", "marta"); !strings.Contains(said, "nothing is wrong") {
		t.Errorf("fork says %s", said)
	}
	p = serve(t, url)
	for i := range 4 {
		p.mustPost(t, enrolment(fmt.Sprint("lost", i)))
	}
	p.stop(t)
	out, _ := mustRun(t, url, exitDone, "checkpoint", "sign")
	if !regexp.MustCompile(`(?m)^daybook/[0-9a-f]{32}/1\n7\n`).MatchString(out) {
		t.Errorf("signed %s", out)
	}
	restore()
	p = serve(t, url)
	p.checkReadOnly(t)
	mustRun(t, url, exitUsage, "log", "fork")
	out, said := mustRun(t, url, exitDone, "log", "fork", "--reason", "disk lost", "--by", "marta")
	if !strings.Contains(out, "log.forked.v1") || !strings.Contains(said, "epoch 2") {
		t.Errorf("fork printed %s%s", out, said)
	}
	p.await(t, "takes deliveries in again")
	if receipt := p.mustPost(t, enrolment("lost0")); receipt.Records[0].Position != 5 {
		t.Errorf("after the fork: %+v", receipt)
	}
	p.stop(t)
	out, _ = mustRun(t, url, exitDone, "checkpoint", "sign")
	if !regexp.MustCompile(`(?m)^daybook/[0-9a-f]{32}/2\n5\n`).MatchString(out) {
		t.Errorf("signed %s", out)
	}
	out, _ = mustRun(t, url, exitDone, "log", "show", "4")
	if !strings.Contains(out, "disk lost") || !strings.Contains(out, "marta") {
		t.Errorf("the record that opened the epoch: %s", out)
	}
	checkDoctor(t, url, "signed log", checkOK)
	mustRun(t, url, exitRefused, "log", "fork", "--reason", "again", "--by", "marta")

	// The same backup again: the epoch that was opened is gone with it.
	restore()
	mustRun(t, url, exitDone, "log", "fork", "--reason", "lost again", "--by", "marta")
	out, _ = mustRun(t, url, exitDone, "checkpoint", "show", "--note")
	if !regexp.MustCompile(`(?m)^daybook/[0-9a-f]{32}/3\n4\n`).MatchString(out) {
		t.Errorf("the newest checkpoint is %s", out)
	}
}

var witnessKey = regexp.MustCompile(`(?m)^vkey +(\S+)$`)

// startWitness starts "daybook witness" over dir for the log at url.
func startWitness(t *testing.T, dir, url string) (p *process, vkey string) {
	t.Helper()
	out, _ := mustRun(t, url, exitDone, "checkpoint", "show", "--key")
	key := strings.TrimSpace(out)
	origin, _, _ := strings.Cut(key, "+")
	p = startPlain(t, "", nil, "witness", "--listen", "127.0.0.1:0", "--state", dir, "--name", "witness.example", "--log", origin+"="+key)
	return p, witnessKey.FindStringSubmatch(p.log())[1]
}

// TestWitness has an auditor's witness cosign the log, through its epochs, and
// refuse a log that was rewritten along with everything that is kept here.
func TestWitness(t *testing.T) {
	url, dir := postgrestest.URL(t), filepath.Join(t.TempDir(), "witness")
	w, vkey := startWitness(t, dir, url)
	config := func() string {
		return configWith(t, fmt.Sprintf("[[checkpoint.witness]]\nurl = %q\nvkey = %q\n", w.url, vkey))
	}
	file := config()
	p := start(t, url, sampleEnv, "serve", "--config", file)
	for i := range 3 {
		p.mustPost(t, enrolment(fmt.Sprint("e", i)))
	}
	p.stop(t)
	out, _ := mustRun(t, url, exitDone, "checkpoint", "sign", "--config", file)
	if !strings.Contains(out, "\n— witness.example ") {
		t.Errorf("it is not cosigned: %s", out)
	}
	restore := pgtest.Backup(t, url)
	p = start(t, url, sampleEnv, "serve", "--config", file)
	p.mustPost(t, enrolment("e4"))
	p.stop(t)
	mustRun(t, url, exitDone, "checkpoint", "sign", "--config", file)
	out, _ = mustRun(t, url, exitDone, "checkpoint", "show", "--config", file)
	if !strings.Contains(out, "witness witness.example") {
		t.Errorf("checkpoint show: %s", out)
	}

	// A witness that is down stops nothing, and is told.
	w.stop(t)
	p = start(t, url, sampleEnv, "serve", "--config", file)
	p.mustPost(t, enrolment("e5"))
	p.await(t, "witness did not take a checkpoint")
	p.stop(t)
	if _, said := mustRun(t, url, exitTryAgain, "checkpoint", "sign", "--config", file); !strings.Contains(said, "witness.example") {
		t.Errorf("checkpoint sign says %s", said)
	}

	// A new epoch is cosigned, as a log of its own.
	w, _ = startWitness(t, dir, url)
	file = config()
	restore()
	mustRun(t, url, exitDone, "log", "fork", "--config", file, "--reason", "disk lost", "--by", "marta")
	out, _ = mustRun(t, url, exitDone, "checkpoint", "sign", "--config", file)
	if !strings.Contains(out, "/2\n4\n") || !strings.Contains(out, "\n— witness.example ") {
		t.Errorf("signed %s", out)
	}

	// Whoever has the database, the key and every file here still cannot have the
	// witness forget.
	rewrite(t, url, 2)
	if err := os.RemoveAll(os.Getenv("DAYBOOK_CHECKPOINTS_DIR") + "/" + bookOf(t, url)); err != nil {
		t.Fatal(err)
	}
	_, said := mustRun(t, url, exitDiffers, "checkpoint", "sign", "--config", file)
	if !strings.Contains(said, "it has seen another log of 4 records") {
		t.Errorf("checkpoint sign says %s", said)
	}
	w.await(t, "REFUSED")
	checkDoctor(t, url, "witness witness.example", checkFail, "--config", file)
}

// TestSignerRotation replaces the key that signs.
func TestSignerRotation(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	p.mustPost(t, enrolment("e"))
	p.stop(t)
	mustRun(t, url, exitDone, "checkpoint", "sign")
	old, _ := mustRun(t, url, exitDone, "checkpoint", "show", "--key")
	out, _ := mustRun(t, url, exitDone, "checkpoint", "rotate")
	if strings.Count(out, "\n") != 2 || !strings.HasSuffix(out, old) {
		t.Errorf("rotate printed %s", out)
	}
	mustRun(t, url, exitRefused, "checkpoint", "rotate")
	mustRun(t, url, exitRefused, "checkpoint", "rotate", "--finish") // nothing bears the new signature
	out, _ = mustRun(t, url, exitDone, "checkpoint", "sign")
	if strings.Count(out, "\n— daybook/") != 2 {
		t.Errorf("signed %s", out)
	}
	out, _ = mustRun(t, url, exitDone, "checkpoint", "rotate", "--finish")
	if strings.Count(out, "\n") != 1 || out == old {
		t.Errorf("rotate --finish printed %s", out)
	}
	mustRun(t, url, exitDone, "checkpoint", "show")
}

// TestSignedByItself waits for a server to sign what it recorded.
func TestSignedByItself(t *testing.T) {
	url, dir := postgrestest.URL(t), t.TempDir()
	file := configWith(t, fmt.Sprintf("[checkpoint]\norigin = \"example.com/ledger\"\ninterval = \"100ms\"\n[[checkpoint.sink]]\nname = \"backup\"\ndirectory = %q\n", dir))
	p := start(t, url, sampleEnv, "serve", "--config", file)
	for i := range 3 {
		p.mustPost(t, enrolment(fmt.Sprint("e", i)))
	}
	for deadline := time.Now().Add(time.Minute); ; {
		text, err := os.ReadFile(filepath.Join(dir, "latest"))
		if err == nil && strings.HasPrefix(string(text), "example.com/ledger/1\n3\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the newest checkpoint is %q, %v\n%s", text, err, p.log())
		}
	}
	for figures := p.figures(t); figures[`daybook_checkpoint_sink_size{sink="backup"}`] != "3"; figures = p.figures(t) {
		if t.Context().Err() != nil {
			t.Fatal(figures)
		}
	}
	if got := p.figures(t); got["daybook_checkpoint_size"] != "3" || got[`daybook_checkpoint_sink_failures_total{sink="local"}`] != "0" || got["daybook_log_read_only"] != "0" {
		t.Errorf("figures %v", got)
	}
}

// TestSignedAtTheEnd stops a server long before the next checkpoint is due.
func TestSignedAtTheEnd(t *testing.T) {
	url := postgrestest.URL(t)
	p := start(t, url, sampleEnv, "serve", "--config", configWith(t, "[checkpoint]\ninterval = \"1h\"\n"))
	for i := range 3 {
		p.mustPost(t, enrolment(fmt.Sprint("e", i)))
	}
	p.stop(t)
	if out, _ := mustRun(t, url, exitDone, "checkpoint", "show", "--note"); !strings.Contains(out, "/1\n3\n") {
		t.Errorf("signed %q", out)
	}
}

// TestSigningKilled kills a server while it records and signs, over and over: no size
// ever has two roots, and the log goes on to be signed.
func TestSigningKilled(t *testing.T) {
	url, dir := postgrestest.URL(t), t.TempDir()
	file := configWith(t, fmt.Sprintf("[checkpoint]\ninterval = \"100ms\"\n[[checkpoint.sink]]\nname = \"backup\"\ndirectory = %q\n", dir))
	roots := make(map[string]string)
	collect := func() {
		t.Helper()
		for text, err := range checkpointer.NewDirectory(dir).All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			s, err := checkpoint.Unverified(text)
			if err != nil {
				t.Fatalf("%v: %q", err, text)
			}
			key := fmt.Sprint(s.Origin, " ", s.Size)
			if root, ok := roots[key]; ok && root != s.Root.String() {
				t.Errorf("two roots for %s", key)
			}
			roots[key] = s.Root.String()
		}
	}
	for round := range 4 {
		p := start(t, url, sampleEnv, "serve", "--config", file)
		var receipts sync.Map
		sent := load(t.Context(), 4, 1000, []*process{p}, &receipts)
		for known := len(roots); len(roots) < known+2; { // at some moment after some checkpoints
			collect()
		}
		p.kill()
		sent.Wait()
		collect()
		if round%2 == 0 {
			mustRun(t, url, exitDone, "checkpoint", "sign", "--config", file)
		}
	}
	mustRun(t, url, exitDone, "checkpoint", "sign", "--config", file)
	collect()
	mustRun(t, url, exitDone, "checkpoint", "show", "--config", file)
	mustRun(t, url, exitDone, "log", "verify", "--config", file)
}

func bookOf(t *testing.T, url string) string {
	t.Helper()
	book, err := postgres.Book(t.Context(), postgrestest.Open(t, url, postgres.RoleOwner))
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// TestSinkOverHTTP gives a checkpoint to a URL that wants a token, and does without
// it while it does not answer.
func TestSinkOverHTTP(t *testing.T) {
	var mu sync.Mutex
	var object []byte
	down := false
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case down || r.Header.Get("Authorization") != "Bearer s3cret":
			http.Error(w, "no", http.StatusServiceUnavailable)
		case r.Method == http.MethodPut:
			object, _ = io.ReadAll(r.Body)
		case object == nil:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(object)
		}
	}))
	defer sink.Close()
	t.Setenv("CHECKPOINT_TOKEN", "s3cret")
	url := postgrestest.URL(t)
	file := configWith(t, fmt.Sprintf("[[checkpoint.sink]]\nname = \"auditor\"\nurl = %q\ntoken = \"env:CHECKPOINT_TOKEN\"\n", sink.URL))
	p := start(t, url, sampleEnv, "serve", "--config", file)
	p.mustPost(t, enrolment("e1"))
	p.stop(t)
	out, _ := mustRun(t, url, exitDone, "checkpoint", "sign", "--config", file)
	mu.Lock()
	if string(object) != out {
		t.Errorf("the sink has %q, and signed was %q", object, out)
	}
	down = true
	mu.Unlock()
	p = start(t, url, sampleEnv, "serve", "--config", file)
	p.mustPost(t, enrolment("e2"))
	p.await(t, "sink did not take a checkpoint")
	if said := p.log(); !strings.Contains(said, "WARNING     the log is not compared with what is kept by the sink auditor") || strings.Contains(said, "s3cret") {
		t.Errorf("it says %s", said)
	}
	p.stop(t)
	if _, said := mustRun(t, url, exitTryAgain, "checkpoint", "sign", "--config", file); strings.Contains(said, "s3cret") {
		t.Errorf("checkpoint sign says %s", said)
	}
	checkDoctor(t, url, "sink auditor", checkWarn, "--config", file)
}

// TestCheckpointConfig refuses what would only be found out when it is needed.
func TestCheckpointConfig(t *testing.T) {
	const sink = "[[checkpoint.sink]]\nname = \"a\"\n"
	for text, want := range map[string]string{
		"[checkpoint]\norigin = \"a b\"":                                  "cannot be used",
		"[checkpoint]\norigin = \"a+b\"":                                  "cannot be used",
		"[checkpoint]\norigin = \"../a\"":                                 "cannot be used",
		"[checkpoint]\ninterval = \"1ms\"":                                "below 100ms",
		"[checkpoint]\nintervall = \"1s\"":                                "is not an option",
		sink:                                                              "not one of directory, url and nats",
		sink + "directory = \"/x\"\nurl = \"https://x/\"":                 "not one of directory, url and nats",
		sink + "nats = \"nats://x\"":                                      "go together",
		sink + "directory = \"/x\"\nsubject = \"x\"":                      "go together",
		sink + "directory = \"/x\"\ntoken = \"env:X\"":                    "no use for",
		sink + "url = \"https://x/\"\ncredentials = \"env:X\"":            "no use for",
		sink + "directory = \"/x\"\n" + sink + "directory = \"/y\"":       "cannot be named",
		strings.Replace(sink, `"a"`, `"local"`, 1) + "directory = \"/x\"": "cannot be named",
		"[[checkpoint.witness]]\nurl = \"https://x/\"\nvkey = \"x\"":      "verifier's key",
		"[[checkpoint.witness]]\nurl = \"https://a:b@x/\"\nvkey = \"x\"":  "holds a password",
	} {
		if _, err := readConfig(configWith(t, text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{
		sink + "url = \"https://user:s3cret@x/\"", sink + "url = \"file:///x\"",
		sink + "nats = \"http://x\"\nsubject = \"x\"", sink + "url = \"https://x/\"\ntoken = \"s3cret\"", sink + "url = \"https://x/\"\ntoken = \"env:NOT_SET\"",
	} {
		c, err := readConfig(configWith(t, text+"\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := c.Checkpoint.Sinks[0].open(); domain.CodeOf(err) != domain.Usage || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", text, err)
		}
	}
	key, _ := mustRun(t, postgrestest.URL(t), exitDone, "checkpoint", "show", "--key")
	for _, args := range [][]string{
		{"witness"},
		{"witness", "--state", t.TempDir()},
		{"witness", "--state", t.TempDir(), "--log", "x"},
		{"witness", "--state", t.TempDir(), "--log", "x=y"},
		{"witness", "--log", "x=" + key},
	} {
		mustRun(t, "", exitUsage, args...)
	}
}
