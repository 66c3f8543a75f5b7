package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// A cage is a daybook with a private PostgreSQL of the test's own.
type cage struct {
	*process
	dir     string // the state directory
	status  embeddedpg.Status
	owners  map[string]string // of markers: in which canary they are
	answers bytes.Buffer      // what senders and others were told
	mu      sync.Mutex        // of answers
}

func newCage(t *testing.T) *cage {
	t.Helper()
	dir, err := os.MkdirTemp("", "daybook-canary-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cage{dir: dir}
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
	config := filepath.Join(dir, "daybook.toml")
	if err := os.WriteFile(config, []byte(sampleTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	// As a command of this process would have it, and as the server has it.
	t.Setenv("DAYBOOK_STATE_DIR", dir)
	t.Setenv("DAYBOOK_KEYS_DIR", filepath.Join(dir, "keys"))
	t.Setenv("DAYBOOK_CHECKPOINTS_DIR", filepath.Join(dir, "checkpoints"))
	t.Setenv("DAYBOOK_CONFIG", config)
	for _, secret := range sampleEnv {
		name, value, _ := strings.Cut(secret, "=")
		t.Setenv(name, value)
	}
	c.process = start(t, "", sampleEnv, "serve")
	if c.status, err = embeddedpg.Look(t.Context(), embeddedpg.Options{StateDir: dir}); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs a command and returns what it printed.
func (c *cage) run(t *testing.T, args ...string) string {
	t.Helper()
	out, said, status := daybook(t, "", args...)
	if status != exitDone {
		t.Fatalf("daybook %q: status %d, want %d\n%s%s", args, status, exitDone, out, said)
	}
	c.told([]byte(said))
	return out
}

func (c *cage) told(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers.Write(b)
	c.answers.WriteByte('\n')
}

// play sends every canary: what is fetched through an appender of the test's own,
// everything else over HTTP.
func (c *cage) play(t *testing.T, list []canary) {
	t.Helper()
	writer, err := postgres.Open(t.Context(), c.status.URL, postgres.RoleWriter, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	book, err := postgres.Book(t.Context(), writer)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := postgres.NewKeyring(t.Context(), writer, keyfile.Open(filepath.Join(c.dir, "keys"), book))
	if err != nil {
		t.Fatal(err)
	}
	log := postgres.NewAppender(writer, keys)
	running, stop := context.WithCancel(t.Context())
	var appending errgroup.Group
	appending.Go(func() error { return log.Run(running) })
	defer func() {
		stop()
		if err := appending.Wait(); err != nil {
			t.Error(err)
		}
	}()
	credly, err := providers["credly"](sourceConfig{Organizations: []string{samples.CredlyOrganization}}, []string{"test-token"})
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(16)
	for i, s := range list {
		group.Go(func() error {
			if s.Kind == samples.EventsAPIResponse {
				request := domain.Request{Fetched: fmt.Sprintf("events/62fadf95-%d", i), Header: s.Header, Body: s.Body, ReceivedAt: time.Now().UTC()}
				if m := eventID.FindSubmatch(s.Body); m != nil {
					request.Fetched = "events/" + string(m[0])
				}
				_, err := intake.Record(t.Context(), log, intake.Source{Name: "credly", Provider: credly}, request, "fetched", ulid.ULID{})
				return err
			}
			return c.send(t.Context(), s)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

var eventID = regexp.MustCompile(`62fadf95-0000-4000-8000-[0-9]{12}`)

// secretsOf are what the senders of the samples sign with.
var secretsOf = map[string]string{
	"tahdah": samples.TahdahSecret, "thinkific": samples.ThinkificKey, "braincert": samples.BraincertLogin, "credly": "test-token",
}

// send sends one canary, signed. It has to be taken in.
func (c *cage) send(ctx context.Context, s canary) error {
	signed := domain.Request{Header: s.Header, Body: s.Body}
	senders[s.Provider].sign(&signed, secretsOf[s.Provider])
	at := c.url + "/webhooks/" + s.Provider
	if signed.Token != "" {
		at += "/" + signed.Token
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(s.Body))
	if err != nil {
		return err
	}
	r.Header = signed.Header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s, %s: status %d, %s", s.File, s.what, response.StatusCode, answer)
	}
	c.told(answer)
	return err
}

// refusals sends what is not taken in, with markers.
func (c *cage) refusals(t *testing.T) {
	t.Helper()
	mark := canaryWord + "999999@canary.example"
	for _, r := range []struct {
		method, path, contentType, encoding string
	}{
		{"POST", "/webhooks/" + mark, "", ""},
		{"POST", "/webhooks/tahdah", mark, ""},
		{"POST", "/webhooks/tahdah", "multipart/" + canaryWord + "999999; boundary=x", ""},
		{"POST", "/webhooks/tahdah", "", mark},
		{"PUT", "/webhooks/tahdah", "", ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), r.method, c.url+r.path+"?q="+mark, strings.NewReader(mark))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", r.contentType)
		request.Header.Set("Content-Encoding", r.encoding)
		request.Header.Set("Webhook-Signature", mark)
		request.Header.Set("Authorization", "Basic "+mark)
		status, _, answer := do(t, request)
		if status < 400 {
			t.Errorf("%s %s: status %d", r.method, r.path, status)
		}
		c.told([]byte(answer))
	}
}

// scan fails if a marker is in any file of the data directory and its write-ahead
// log, in a dump, on stderr, in the metrics or in what anybody was told.
func (c *cage) scan(t *testing.T, when string) {
	t.Helper()
	db, err := postgres.Open(t.Context(), c.status.URL, postgres.RoleOwner, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{`SELECT pg_switch_wal()`, `CHECKPOINT`, `VACUUM`} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	bytesSeen := 0
	look := func(where string, b []byte) {
		bytesSeen += len(b)
		for _, form := range []string{canaryWord, strings.ToUpper(canaryWord), fmt.Sprintf("%x", canaryWord)} {
			if i := bytes.Index(b, []byte(form)); i >= 0 {
				t.Errorf("%s: a marker in %s: %q\nmarkers of %s", when, where, b[max(0, i-200):min(len(b), i+100)], c.ownersOf(b))
			}
		}
	}
	err = filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !entry.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		look(path, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"--format=plain", "--format=custom"} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(c.status.BinDir, "pg_dump"), format, "--compress=0", c.status.URL).Output()
		if err != nil {
			t.Fatal(err)
		}
		look("a dump "+format, out)
	}
	look("the log", []byte(c.log()))
	_, _, metrics := c.ask(t, "/metrics")
	look("the metrics", []byte(metrics))
	for _, view := range []string{"log/records", "log/deliveries", "log/quarantine", "log/projections"} {
		_, _, answer := c.ask(t, "/v1/"+view+"?limit=0")
		look("the view "+view, []byte(answer))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	look("what was told", c.answers.Bytes())
	if bytesSeen < 1<<20 {
		t.Errorf("%s: only %d bytes were looked at", when, bytesSeen)
	}
	t.Logf("%s: %d bytes hold no marker", when, bytesSeen)
}

var anyMarker = regexp.MustCompile(canaryWord + `[0-9]{6}`)

// ownersOf returns in which canaries the markers were.
func (c *cage) ownersOf(b []byte) string {
	owners := make(map[string]int)
	for _, m := range anyMarker.FindAll(b, -1) {
		owners[c.owners[string(m)]]++
	}
	return fmt.Sprint(owners)
}

// TestCanary sends bodies full of markers and looks for them everywhere, before
// anything is erased and afterwards.
func TestCanary(t *testing.T) {
	c := newCage(t)
	list := newCanaries(t)
	c.owners = make(map[string]string)
	for _, s := range list {
		for _, m := range anyMarker.FindAllString(string(s.Body)+fmt.Sprint(s.Header), -1) {
			c.owners[m] = s.File + ", " + s.what
		}
	}
	c.play(t, list)
	c.refusals(t)
	c.run(t, "projection", "verify")
	c.run(t, "doctor")
	people := c.run(t, "view", "directory/people", "--limit", "0", "-o", "csv")
	if !strings.Contains(people, canaryWord) {
		t.Errorf("nobody has a marked name: %.1000s", people)
	}
	t.Logf("%d deliveries", len(list))
	c.scan(t, "before")
	c.run(t, "privacy", "erase", "braincert/user/789310", "--namesakes", "erase", "--basis", because, "--by", "dpo")
	c.run(t, "privacy", "erase", "thinkific/user/123987", "--namesakes", "erase", "--basis", because, "--by", "dpo")
	c.run(t, "privacy", "rotate")
	people = c.run(t, "view", "directory/people", "person=789310", "-o", "csv")
	if strings.Contains(people, canaryWord) || !strings.Contains(people, "[erased]") {
		t.Errorf("after the erasure: %s", people)
	}
	c.run(t, "projection", "verify")
	c.scan(t, "after")
}
