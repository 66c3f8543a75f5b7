package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
)

// sampleFile writes the sample configuration, sets its secrets, and returns its
// name.
func sampleFile(t *testing.T) string {
	t.Helper()
	for _, e := range sampleEnv {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(sampleTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wire returns a sample as a request on the wire.
func wire(t *testing.T, s samples.Sample) []byte {
	t.Helper()
	path := "/webhooks/" + s.Provider
	if s.Provider == "credly" {
		path += "/test-token"
	}
	r, err := http.NewRequest(http.MethodPost, "http://daybook"+path, bytes.NewReader(s.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = s.Header.Clone()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// counted runs "daybook ingest" and returns how many deliveries had each fate.
func counted(t *testing.T, url, config string, status int, args ...string) (counts map[string]string, stderr string) {
	t.Helper()
	stdout, stderr, got := daybook(t, url, append([]string{"ingest", "--json", "--config", config}, args...)...)
	if got != status {
		t.Fatalf("ingest %v: status %d, want %d\n%s%s", args, got, status, stdout, stderr)
	}
	counts = make(map[string]string)
	var answer struct {
		Rows []struct {
			Status     string
			Deliveries json.Number
		}
	}
	if stdout != "" {
		if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
			t.Fatalf("%v\n%s", err, stdout)
		}
	}
	for _, row := range answer.Rows {
		counts[row.Status] = row.Deliveries.String()
	}
	return counts, stderr
}

// TestIngest ingests every sample delivery from files: the log says what it says
// if they are posted, but for how they came, and ingesting again changes nothing.
func TestIngest(t *testing.T) {
	config := sampleFile(t)
	posted, ingested := postgrestest.URL(t), postgrestest.URL(t)
	p := serve(t, posted)
	dirs := make(map[string]string)
	statuses := make(map[string]map[string]string)
	number := make(map[string]int)
	var order []string // of the providers
	for i, s := range webhooks(t) {
		if dirs[s.Provider] == "" {
			dirs[s.Provider], statuses[s.Provider] = t.TempDir(), make(map[string]string)
			order = append(order, s.Provider)
		}
		number[s.Provider+"/"+string(p.mustPost(t, s).Status)]++
		name := fmt.Sprintf("%s/%03d.http", dirs[s.Provider], i)
		if err := os.WriteFile(name, wire(t, s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, n := range number {
		provider, status, _ := strings.Cut(key, "/")
		statuses[provider][status] = fmt.Sprint(n)
	}
	for _, provider := range order {
		args := []string{provider, dirs[provider], "--received-at", "mtime"}
		dry, _ := counted(t, ingested, config, exitDone, append(args, "--dry-run")...)
		first, _ := counted(t, ingested, config, exitDone, args...)
		if diff := cmp.Diff(statuses[provider], first); diff != "" {
			t.Errorf("%s (-posted +ingested):\n%s", provider, diff)
		}
		// A dry run does not ask the log, and so tells no conflicts.
		if dry["accepted"] == "" || dry["failed"] != "" {
			t.Errorf("%s, dry run: %v", provider, dry)
		}
	}
	if stdout, stderr, status := daybook(t, ingested, "projection", "rebuild"); status != exitDone {
		t.Fatalf("rebuild: status %d\n%s%s", status, stdout, stderr)
	}
	before := state(t, ingested)
	for provider, dir := range dirs {
		again, _ := counted(t, ingested, config, exitDone, provider, dir, "--received-at", "mtime")
		if len(again) != 1 || again["duplicate"] == "" {
			t.Errorf("%s again: %v", provider, again)
		}
	}
	if diff := cmp.Diff(before, state(t, ingested)); diff != "" {
		t.Errorf("ingesting again changed (-before +after):\n%s", diff)
	}
	for _, path := range []string{"certifications/status", "trustgroups/members", "sales/orders", "sales/balances"} {
		if diff := cmp.Diff(undatedView(t, posted, path), undatedView(t, ingested, path)); diff != "" {
			t.Errorf("%s (-posted +ingested):\n%s", path, diff)
		}
	}
	if list := view(t, ingested, "log/deliveries"); strings.Count(list, `"imported, hmac-sha256, secret 1"`) == 0 || strings.Count(list, `"imported, url token, secret 1"`) == 0 {
		t.Errorf("the log does not say how they came:\n%s", list)
	}
	if strings.Contains(view(t, ingested, "log/deliveries"), "test-token") {
		t.Error("a token is recorded")
	}
}

func undatedView(t *testing.T, url, path string) string {
	t.Helper()
	_, v, err := viewNamed(path)
	if err != nil {
		t.Fatal(err)
	}
	return undated(t, v, view(t, url, path))
}

// sawtooth are levels that go 14, 15, 14, of which the last has the bytes of the
// first.
var sawtooth = []string{"edge/tahdah_credits_sawtooth_1_14.json", "edge/tahdah_credits_sawtooth_2_15.json", "edge/tahdah_credits_sawtooth_3_14.json"}

// line is a capture as JSON.
func line(t *testing.T, s samples.Sample, more map[string]any) string {
	t.Helper()
	object := map[string]any{"header": s.Header, "body_base64": s.Body}
	for name, value := range more {
		object[name] = value
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name string, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestIngestLevels ingests levels, which have neither an id nor a time: each is
// recorded once, at the time at which it was received, and never in the place of a
// later one.
func TestIngestLevels(t *testing.T) {
	config := sampleFile(t)
	url := postgrestest.URL(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var lines []string
	for i, file := range sawtooth {
		lines = append(lines, line(t, sampleNamed(t, file), map[string]any{"received_at": at.Add(time.Duration(i) * time.Hour)}))
	}
	outage := write(t, "outage.ndjson", lines...)
	got, _ := counted(t, url, config, exitDone, "tahdah", outage)
	if diff := cmp.Diff(map[string]string{"accepted": "3"}, got); diff != "" {
		t.Errorf("first:\n%s", diff)
	}
	got, _ = counted(t, url, config, exitDone, "tahdah", outage)
	if diff := cmp.Diff(map[string]string{"duplicate": "3"}, got); diff != "" {
		t.Errorf("again:\n%s", diff)
	}
	if balances := view(t, url, "credits/balances"); !strings.Contains(balances, ",14,14,") || !strings.Contains(balances, "2026-03-01T14:00:00Z") {
		t.Errorf("the level is not 14 as of when it was received:\n%s", balances)
	}
	// One between two that are recorded would take the place of the last.
	between := line(t, sampleNamed(t, "edge/tahdah_credits_refund_up.json"), map[string]any{"received_at": at.Add(90 * time.Minute)})
	got, _ = counted(t, url, config, exitDone, "tahdah", write(t, "late.ndjson", between))
	if diff := cmp.Diff(map[string]string{"superseded": "1"}, got); diff != "" {
		t.Errorf("late:\n%s", diff)
	}
	// Without a time nobody knows whether it is new.
	got, stderr := counted(t, url, config, exitDiffers, "tahdah", write(t, "undated.ndjson", line(t, sampleNamed(t, sawtooth[0]), nil)))
	if got["failed"] != "1" || !strings.Contains(stderr, "undated.ndjson: ingest: it reports a level and has neither an id nor a time") {
		t.Errorf("undated: %v\n%s", got, stderr)
	}
}

// TestIngestExported exports deliveries from a log that still takes them in, and
// ingests them into the same log and another.
func TestIngestExported(t *testing.T) {
	config := sampleFile(t)
	url, other := postgrestest.URL(t), postgrestest.URL(t)
	p := serve(t, url)
	var whole, timed []string
	for _, file := range sawtooth {
		receipt := p.mustPost(t, sampleNamed(t, file))
		stdout, _, _ := daybook(t, url, "delivery", "show", receipt.Delivery.String(), "--json")
		whole = append(whole, strings.TrimSpace(stdout))
		var shown struct {
			At time.Time `json:"received_at"`
		}
		if err := json.Unmarshal([]byte(stdout), &shown); err != nil {
			t.Fatal(err)
		}
		// A proxy in front has another clock.
		timed = append(timed, line(t, sampleNamed(t, file), map[string]any{"received_at": shown.At.Add(-time.Second)}))
	}
	exported := write(t, "exported.ndjson", whole...)
	got, _ := counted(t, url, config, exitDone, "tahdah", exported)
	if diff := cmp.Diff(map[string]string{"duplicate": "3"}, got); diff != "" {
		t.Errorf("exported into its own log:\n%s", diff)
	}
	// They came faster than the clocks agree: one can only be told to be older.
	got, _ = counted(t, url, config, exitDone, "tahdah", write(t, "captured.ndjson", timed...))
	if diff := cmp.Diff(map[string]string{"duplicate": "2", "superseded": "1"}, got); diff != "" {
		t.Errorf("captured into the same log:\n%s", diff)
	}
	for _, want := range []string{"accepted", "duplicate"} {
		got, _ := counted(t, other, config, exitDone, "tahdah", exported)
		if diff := cmp.Diff(map[string]string{want: "3"}, got); diff != "" {
			t.Errorf("into another log:\n%s", diff)
		}
	}
	// The last of three captures within the skew of clocks is not the first.
	third := postgrestest.URL(t)
	if got, _ := counted(t, third, config, exitDone, "tahdah", write(t, "captured.ndjson", timed...)); got["accepted"] != "3" {
		t.Errorf("captured at once, into an empty log: %v", got)
	}
	changed := strings.Replace(whole[0], `"body_base64":"`, `"body_base64":"WyB7`, 1)
	got, stderr := counted(t, url, config, exitDiffers, "tahdah", write(t, "changed.ndjson", changed), "--trust")
	if got["failed"] != "1" || !strings.Contains(stderr, "is in the log with other bytes") {
		t.Errorf("changed: %v\n%s", got, stderr)
	}
}

// TestIngestRefuses ingests what must not be taken in, among what must.
func TestIngestRefuses(t *testing.T) {
	config := sampleFile(t)
	url := postgrestest.URL(t)
	good, sale := enrolment("good"), sampleNamed(t, "braincert/new_sale.json")
	forged := enrolment("forged")
	forged.Header = good.Header
	unsigned := sale
	unsigned.Header = sale.Header.Clone()
	unsigned.Header.Del("Authorization")
	future := map[string]any{"received_at": time.Now().Add(time.Hour)}
	file := write(t, "mixed.ndjson",
		"nonsense", line(t, forged, nil), line(t, good, nil), line(t, good, map[string]any{"source": "elsewhere"}),
		line(t, enrolment("future"), future), line(t, enrolment("answer"), map[string]any{"fetched": "enrollments/1"}), line(t, enrolment("last"), nil))
	got, stderr := counted(t, url, config, exitDiffers, "thinkific", file, "/no/such/file")
	if diff := cmp.Diff(map[string]string{"accepted": "2", "failed": "5", "left out": "1"}, got); diff != "" {
		t.Errorf("mixed:\n%s", diff)
	}
	for _, want := range []string{
		"mixed.ndjson: capture: this is not a capture", "mixed.ndjson:2: thinkific: verify: the signature does not match → If you know",
		"mixed.ndjson:5: ingest: it cannot have been received at", "mixed.ndjson:6: ingest: it was fetched, and is not signed", "/no/such/file: read:",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("it does not say %q:\n%s", want, stderr)
		}
	}

	capture := write(t, "sale.http", string(wire(t, unsigned)))
	if got, _ := counted(t, url, config, exitDiffers, "braincert", capture); got["failed"] != "1" {
		t.Errorf("unsigned: %v", got)
	}
	t.Setenv("BRAINCERT", "") // who trusts needs no secret
	if got, _ := counted(t, url, config, exitDone, "braincert", capture, "--trust"); got["accepted"] != "1" {
		t.Errorf("trusted: %v", got)
	}
	if list := view(t, url, "log/deliveries", "source=braincert"); !strings.Contains(list, `"imported, not verified"`) {
		t.Errorf("the log does not say that it was not verified:\n%s", list)
	}

	stray := line(t, good, map[string]any{"source": "elsewhere"})
	for _, tt := range []struct {
		status int
		args   []string
	}{
		{exitNotFound, []string{"thinkific", write(t, "stray.ndjson", stray)}},
		{exitDone, []string{"thinkific", write(t, "stray.ndjson", stray), "--any-source"}},
		{exitNotFound, []string{"nobody", file}},
		{exitNotFound, []string{"thinkific", t.TempDir()}},
		{exitUsage, []string{"braincert", capture}},
		{exitUsage, []string{"thinkific", file, "--form", "xml"}},
		{exitUsage, []string{"thinkific", file, "--header", "nonsense"}},
		{exitUsage, []string{"thinkific", file, "--received-at", "yesterday"}},
		{exitUsage, []string{"thinkific"}},
	} {
		counted(t, url, config, tt.status, tt.args...)
	}
}

// TestSourceSend sends every source's probe to a running server, twice: it is
// recorded once and never booked.
func TestSourceSend(t *testing.T) {
	config := sampleFile(t)
	url := postgrestest.URL(t)
	p := serve(t, url)
	for _, status := range []string{"unrecognized", "duplicate"} {
		for provider := range providers {
			stdout, stderr, got := daybook(t, url, "source", "test", provider, "--send", "--url", p.url+"/", "-o", "csv", "--config", config)
			if got != exitDone || !strings.Contains(stdout, "\r\n1,200,"+status+",01") {
				t.Errorf("%s: status %d\n%s%s", provider, got, stdout, stderr)
			}
		}
	}
	if records := view(t, url, "log/records"); strings.Count(records, "intake.unrecognized.v1") != len(providers) || strings.Count(records, "\n") != len(providers)+1 {
		t.Errorf("records:\n%s", records)
	}
	t.Setenv("THINKIFIC", "another")
	t.Setenv("CREDLY", "another-token")
	for provider, want := range map[string]string{"thinkific": "the signature does not match", "credly": "wrong token"} {
		stdout, stderr, got := daybook(t, url, "source", "test", provider, "--send", "--url", p.url, "-o", "csv", "--config", config)
		if got != exitDiffers || !strings.Contains(stdout, ",401,") || !strings.Contains(stdout, want) {
			t.Errorf("%s, wrong secret: status %d\n%s%s", provider, got, stdout, stderr)
		}
	}
	for _, tt := range []struct {
		url    string
		status int
	}{{"http://127.0.0.1:1", exitTryAgain}, {"127.0.0.1", exitUsage}, {"http://\x7f", exitUsage}, {p.url + "/v1", exitDiffers}} {
		stdout, stderr, got := daybook(t, url, "source", "test", "credly", "--send", "--url", tt.url, "--config", config)
		if got != tt.status || strings.Contains(stdout+stderr, "another-token") {
			t.Errorf("%s: status %d, want %d\n%s%s", tt.url, got, tt.status, stdout, stderr)
		}
	}
}

// TestSenders wants every provider to have a sender.
func TestSenders(t *testing.T) {
	for provider := range providers {
		if s := senders[provider]; s.sign == nil || s.probe == nil {
			t.Errorf("nobody can send as %s does", provider)
		}
	}
}
