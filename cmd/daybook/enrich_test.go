package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// credlyFake is Credly's API over real HTTP, once for each source: what is asked
// for below /SOURCE/v1. A source whose API is down has a fault.
type credlyFake struct {
	*httptest.Server
	api http.Handler

	mu     sync.Mutex
	events map[string][]byte
	listed []string          // ids
	faults map[string]string // by source; "": none
	fixed  map[string]chan struct{}
	asked  map[string]int // events, by source
	serial int            // makes the bytes of every answer different
	led    int            // requests that followed a redirect
}

func newCredlyFake(t *testing.T) *credlyFake {
	t.Helper()
	events, err := sampleEvents(false)
	if err != nil {
		t.Fatal(err)
	}
	f := &credlyFake{events: events, faults: make(map[string]string), fixed: make(map[string]chan struct{}), asked: make(map[string]int)}
	for id := range events {
		f.listed = append(f.listed, id)
	}
	slices.Sort(f.listed)
	f.api = sampleAPI(events)
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *credlyFake) breaks(source, fault string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[source], f.fixed[source] = fault, make(chan struct{})
}

func (f *credlyFake) fix(source string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.faults[source] != "" {
		close(f.fixed[source])
	}
	f.faults[source] = ""
}

func (f *credlyFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	_, id, event := strings.Cut(path, "/events/")
	f.mu.Lock()
	fault, fixed := f.faults[source], f.fixed[source]
	f.serial++
	serial := f.serial
	if event {
		f.asked[source]++
	}
	if source == "elsewhere" {
		f.led++
	}
	f.mu.Unlock()
	r2 := r.Clone(r.Context())
	r2.URL.Path = "/" + path
	answer := httptest.NewRecorder()
	if strings.HasSuffix(path, "/events") {
		f.list(answer)
	} else {
		f.api.ServeHTTP(answer, r2)
	}
	body := bytes.Replace(answer.Body.Bytes(), []byte(`"metadata": {}`), fmt.Appendf(nil, `"metadata": {"answer": %d}`, serial), 1)
	switch fault {
	case "":
	case "slow":
		select {
		case <-time.After(2 * time.Second):
		case <-r.Context().Done():
		}
	case "hanging":
		select {
		case <-fixed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case "reset":
		panic(http.ErrAbortHandler)
	case "cut":
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	default:
		misbehave(w, fault, id, body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

// misbehave answers in one of the ways of an API that is down.
func misbehave(w http.ResponseWriter, fault, id string, body []byte) {
	status := map[string]int{"500": 500, "503": 503, "429": 429, "404": 404, "401": 401, "403": 403, "redirect": 302}[fault]
	switch fault {
	case "429", "503":
		w.Header().Set("Retry-After", "2")
	case "redirect":
		w.Header().Set("Location", "/elsewhere/v1/")
	case "garbage":
		status, body = 200, []byte("<html>We are down for maintenance</html>")
	case "another JSON":
		status, body = 200, []byte(`{"message":"We are down for maintenance"}`)
	case "oversized":
		status, body = 200, append([]byte(`{"data":"`), bytes.Repeat([]byte("x"), 9<<20)...)
	case "another type", "another organization", "another time":
		// The list is not there, so that nothing is swept meanwhile.
		if status = 200; id == "" {
			status = 500
		}
		for old, replacement := range map[string]map[string]string{
			"another type":         {`"event_type": "`: `"event_type": "not.`},
			"another organization": {samples.CredlyOrganization: "00000000-0000-0000-0000-000000000000"},
			"another time":         {`"occurred_at": "2026-03`: `"occurred_at": "2026-04`},
		}[fault] {
			body = bytes.ReplaceAll(body, []byte(old), []byte(replacement))
		}
	default:
		body = []byte(`{"data":{"message":"no"}}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// list answers with every event on one page.
func (f *credlyFake) list(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rows []json.RawMessage
	for _, id := range f.listed {
		var answer struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(f.events[id], &answer); err == nil {
			rows = append(rows, answer.Data)
		}
	}
	body, _ := json.Marshal(map[string]any{"data": rows, "metadata": map[string]any{"current_page": 1, "total_pages": 1, "total_count": len(rows)}})
	_, _ = w.Write(body)
}

// count returns how many events were asked for by the source acme.
func (f *credlyFake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked["acme"]
}

// credlySources is the configuration of a server with these Credly sources.
func (f *credlyFake) config(t *testing.T, sources ...string) string {
	t.Helper()
	var b strings.Builder
	for _, s := range sources {
		fmt.Fprintf(&b, "[[source]]\nname = %q\nprovider = \"credly\"\nsecrets = [\"env:CREDLY\"]\norganizations = [%q]\napi_token = \"env:CREDLY_API\"\napi_url = %q\n",
			s, samples.CredlyOrganization, f.URL+"/"+s+"/v1")
	}
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var credlyEnv = []string{"CREDLY=test-token", "CREDLY_API=" + demoToken}

// notices returns the sample notices that have an answer.
func notices(t *testing.T) []samples.Sample {
	t.Helper()
	list, err := samples.Webhooks("credly")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(s samples.Sample) bool { return s.Status == samples.Edge })
}

// notify posts a notice to a source, which has to be acknowledged within two
// seconds whatever the API does.
func (p *process) notify(t *testing.T, source string, s samples.Sample) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/webhooks/"+source+"/test-token", bytes.NewReader(s.Body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s, %s: %v\n%s", source, s.File, err, p.log())
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s, %s: status %d", source, s.File, response.StatusCode)
	}
}

// A fetchedLog asks the log what was fetched.
type fetchedLog struct {
	t    *testing.T
	url  string
	wake <-chan struct{}
}

func newFetchedLog(t *testing.T, url string) fetchedLog {
	t.Helper()
	wake, err := bus.Listen(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := wake.Channel()
	return fetchedLog{t, url, c}
}

// counts returns how many answers of each source are in the log, and how many of
// its notices were given up. Nothing may be in quarantine.
func (l fetchedLog) counts() (answers, unverified map[string]int) {
	l.t.Helper()
	db := postgrestest.Open(l.t, l.url, postgres.RoleProjector)
	defer db.Close()
	answers, unverified = make(map[string]int), make(map[string]int)
	rows, err := db.QueryContext(l.t.Context(), `SELECT source, status, key LIKE 'unverified/%', count(*) FROM delivery WHERE fetched <> '' GROUP BY 1, 2, 3`)
	if err != nil {
		l.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var source string
		var status domain.Status
		var given bool
		var n int
		if err := rows.Scan(&source, &status, &given, &n); err != nil {
			l.t.Fatal(err)
		}
		switch {
		case status == domain.Quarantined || status == domain.Conflicting:
			l.t.Errorf("%s: %d answers are in %s", source, n, status)
		case given:
			unverified[source] += n
		default:
			answers[source] += n
		}
	}
	if err := rows.Err(); err != nil {
		l.t.Fatal(err)
	}
	return answers, unverified
}

// await returns once the log is as it is wanted.
func (l fetchedLog) await(what string, p *process, done func(answers, unverified map[string]int) bool) {
	l.t.Helper()
	late := time.After(2 * time.Minute)
	for {
		answers, unverified := l.counts()
		if done(answers, unverified) {
			return
		}
		select {
		case <-l.wake:
		case <-late:
			l.t.Fatalf("%s never happens: answers %v, unverified %v\n%s", what, answers, unverified, p.log())
		}
	}
}

// TestAPIDown has Credly's API be down in every way, each for a source of its own:
// every notice is acknowledged within two seconds all the while, and every badge
// arrives once the API is back, in the state that it has, whatever the order in
// which the answers came.
func TestAPIDown(t *testing.T) {
	f := newCredlyFake(t)
	faults := []string{
		"500", "503", "429", "404", "401", "403", "garbage", "another JSON", "slow", "hanging", "reset", "cut", "redirect", "oversized",
		"another type", "another organization", "another time",
	}
	var sources []string
	for _, fault := range append(faults, "well") {
		source := strings.ReplaceAll(strings.ToLower(fault), " ", "-")
		sources = append(sources, source)
		if fault != "well" {
			f.breaks(source, fault)
		}
	}
	url := postgrestest.URL(t)
	config := f.config(t, sources...)
	p := start(t, url, credlyEnv, "serve", "--config", config)
	log := newFetchedLog(t, url)
	sent := notices(t)
	for i := range sent {
		var wg sync.WaitGroup
		for _, source := range sources {
			wg.Go(func() { p.notify(t, source, sent[i]) })
		}
		wg.Wait()
	}
	log.await("every badge of the API that is well", p, func(answers, _ map[string]int) bool { return answers["well"] == len(sent) })
	for _, source := range sources[:len(faults)] {
		if answers, _ := log.counts(); answers[source] > 0 && source != "slow" {
			t.Errorf("%s: %d answers while the API was down", source, answers[source])
		}
		f.fix(source)
	}
	arrived := func(which ...string) func(answers, _ map[string]int) bool {
		return func(answers, _ map[string]int) bool {
			return !slices.ContainsFunc(which, func(s string) bool { return answers[s] < len(sent) })
		}
	}
	// A source whose credentials were refused is probed every five minutes, and at
	// the next start.
	later := func(source string) bool { return source == "401" || source == "403" }
	log.await("every badge that waits", p, arrived(slices.DeleteFunc(slices.Clone(sources), later)...))
	p.stop(t)
	p = start(t, url, credlyEnv, "serve", "--config", config)
	log.await("every badge", p, arrived(sources...))
	answers, unverified := log.counts()
	for _, source := range sources {
		if answers[source] != len(sent) {
			t.Errorf("%s: %d answers to %d notices", source, answers[source], len(sent))
		}
		if given := unverified[source]; given > 0 {
			t.Errorf("%s: %d notices were given up", source, given)
		}
	}
	if f.led > 0 {
		t.Errorf("%d requests followed a redirect", f.led)
	}
	for _, v := range []string{"certifications/status", "certifications/visibility", "directory/items", "directory/people"} {
		want := without(t, view(t, url, v, "source=well"))
		if len(want) < 2 {
			t.Errorf("%s has no rows", v)
		}
		for _, source := range sources {
			if diff := cmp.Diff(want, without(t, view(t, url, v, "source="+source))); diff != "" {
				t.Errorf("%s of %s (-well +%[2]s):\n%s", v, source, diff)
			}
		}
	}
}

// without returns rows without the name of their source.
func without(t *testing.T, rows string) (list [][]string) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(rows)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		list = append(list, r[1:])
	}
	return list
}

// TestEnricherKilled kills the server over and over while it fetches: every
// answer, of which no two are the same, is in the log once, and what is there is
// never asked for again.
func TestEnricherKilled(t *testing.T) {
	f := newCredlyFake(t)
	url := postgrestest.URL(t)
	config := f.config(t, "acme")
	log := newFetchedLog(t, url)
	sent := notices(t)
	p := start(t, url, credlyEnv, "serve", "--config", config)
	f.breaks("acme", "500")
	for _, s := range sent {
		p.notify(t, "acme", s)
	}
	p.kill() // in the middle of its waits
	f.fix("acme")
	f.breaks("acme", "slow") // it is killed between asking and appending
	for n := 4; n < len(sent); n += 8 {
		p = start(t, url, credlyEnv, "serve", "--config", config)
		log.await("some badges", p, func(answers, _ map[string]int) bool { return answers["acme"] >= n })
		p.kill()
	}
	f.fix("acme")
	p = start(t, url, credlyEnv, "serve", "--config", config)
	log.await("every badge", p, func(answers, _ map[string]int) bool { return answers["acme"] == len(sent) })
	p.stop(t)
	before, head := f.count(), view(t, url, "log/records")
	if stdout, stderr, status := daybook(t, url, "projection", "rebuild"); status != exitDone {
		t.Errorf("rebuild: status %d\n%s%s", status, stdout, stderr)
	}
	p = start(t, url, credlyEnv, "serve", "--config", config)
	p.awaitProjection(t, "certifications", "running", strings.Count(head, "\n")-1)
	p.stop(t)
	if n := f.count() - before; n > 0 || view(t, url, "log/records") != head {
		t.Errorf("%d events were fetched again, or something was appended", n)
	}
}

// TestTwoEnrichers runs two servers over one log: each event is asked for once.
func TestTwoEnrichers(t *testing.T) {
	f := newCredlyFake(t)
	f.listed = nil
	url := postgrestest.URL(t)
	config := f.config(t, "acme")
	log := newFetchedLog(t, url)
	servers := []*process{start(t, url, credlyEnv, "serve", "--config", config), start(t, url, credlyEnv, "serve", "--config", config)}
	sent := notices(t)
	for i, s := range sent {
		servers[i%2].notify(t, "acme", s)
	}
	log.await("every badge", servers[0], func(answers, _ map[string]int) bool { return answers["acme"] == len(sent) })
	if n := f.count(); n != len(sent) {
		t.Errorf("%d requests for %d events", n, len(sent))
	}
	// Whichever fetched, the other one takes over.
	servers[0].kill()
	other := sent[0]
	other.Body = bytes.ReplaceAll(other.Body, []byte("155914d7"), []byte("255914d7"))
	f.add(t, sent[0], "155914d7", "255914d7")
	servers[1].notify(t, "acme", other)
	log.await("one more", servers[1], func(answers, _ map[string]int) bool { return answers["acme"] == len(sent)+1 })
}

// add adds an event like that of a notice, with another id.
func (f *credlyFake) add(t *testing.T, s samples.Sample, id, other string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for known, body := range f.events {
		if strings.HasPrefix(known, id) {
			f.events[strings.Replace(known, id, other, 1)] = bytes.ReplaceAll(body, []byte(id), []byte(other))
			return
		}
	}
	t.Fatalf("%s has no event %s", s.File, id)
}

// TestSweepAfterOutage has the server be away while things happen: the next start
// appends what nobody told it, and only that.
func TestSweepAfterOutage(t *testing.T) {
	f := newCredlyFake(t)
	url := postgrestest.URL(t)
	config := f.config(t, "acme")
	log := newFetchedLog(t, url)
	sent := notices(t)
	told, missed := sent[:10], len(sent)-10
	all := f.listed
	f.listed = nil
	p := start(t, url, credlyEnv, "serve", "--config", config)
	for _, s := range told {
		p.notify(t, "acme", s)
	}
	log.await("what was told", p, func(answers, _ map[string]int) bool { return answers["acme"] == len(told) })
	p.stop(t)
	f.listed = all
	before := f.count()
	p = start(t, url, credlyEnv, "serve", "--config", config)
	log.await("what was missed", p, func(answers, _ map[string]int) bool { return answers["acme"] == len(sent) })
	if n := f.count() - before; n != missed {
		t.Errorf("%d events were fetched, want %d", n, missed)
	}
	// The notices come late: Credly sends them again for 25 days.
	for _, s := range sent {
		p.notify(t, "acme", s)
	}
	if answers, unverified := log.counts(); answers["acme"] != len(sent) || unverified["acme"] > 0 {
		t.Errorf("%d answers, %d unverified", answers["acme"], unverified["acme"])
	}
	if n := f.count() - before; n != missed {
		t.Errorf("%d events were fetched after the late notices, want %d", n, missed)
	}
}

// TestEnrichments wants a server to need no token but those it asks with: one that is
// for back-filling may be set elsewhere.
func TestEnrichments(t *testing.T) {
	t.Setenv("KEY", "key")
	configs := []sourceConfig{{Name: "acme", Provider: "thinkific", Secrets: []string{"env:KEY"}, APIToken: "env:NO_SUCH_TOKEN"}}
	source, err := newSource(configs[0])
	if err != nil {
		t.Fatal(err)
	}
	if list, err := enrichments(configs, []intake.Source{source}); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	configs[0] = sourceConfig{Name: "acme", Provider: "credly", Secrets: []string{"env:KEY"}, Organizations: []string{"1"}, APIToken: "env:NO_SUCH_TOKEN"}
	if source, err = newSource(configs[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := enrichments(configs, []intake.Source{source}); domain.CodeOf(err) != domain.Usage {
		t.Errorf("without the token that it asks with: %v", err)
	}
}

// TestBackfillEvents fetches by hand what nobody told, each event once although two
// do it at the same time.
func TestBackfillEvents(t *testing.T) {
	f := newCredlyFake(t)
	url := postgrestest.URL(t)
	for _, env := range credlyEnv {
		name, value, _ := strings.Cut(env, "=")
		t.Setenv(name, value)
	}
	t.Setenv("DATABASE_URL", url)
	config := f.config(t, "acme")
	said := make(chan string)
	for range 2 {
		go func() {
			var out, errs bytes.Buffer
			status := run(t.Context(), []string{"source", "backfill", "acme", "events", "--config", config, "-o", "csv"}, &out, &errs)
			said <- fmt.Sprintf("status %d\n%s%s", status, &out, &errs)
		}()
	}
	both := <-said + <-said
	for _, want := range []string{"events,1,24,18,0,6,0,0,done", "events,1,24,0,24,0,0,0,done"} {
		if !strings.Contains(both, want) {
			t.Errorf("want %s\n%s", want, both)
		}
	}
	if answers, _ := newFetchedLog(t, url).counts(); answers["acme"] != 24 || f.count() != 24 {
		t.Errorf("%d answers to %d requests", answers["acme"], f.count())
	}
	if _, stderr, status := daybook(t, url, "source", "backfill", "acme", "events", "--config", config, "--dry-run"); status != exitUsage {
		t.Errorf("dry run: status %d\n%s", status, stderr)
	}
}

// TestNoticeWithoutType posts a notice that does not say what it is of: it is
// quarantined, and the event it names is fetched all the same.
func TestNoticeWithoutType(t *testing.T) {
	f := newCredlyFake(t)
	f.listed = nil
	f.add(t, samples.Sample{}, "155914d7-0ca7-5111-b27d-cb826c4eee87", "6fbb138a-87d5-5f9b-b391-3c081995ade5")
	url := postgrestest.URL(t)
	log := newFetchedLog(t, url)
	p := start(t, url, credlyEnv, "serve", "--config", f.config(t, "acme"))
	p.notify(t, "acme", sampleNamed(t, "edge/credly_unknown_event_type.json"))
	p.notify(t, "acme", sampleNamed(t, "edge/credly_missing_event_type.json"))
	log.await("the event", p, func(answers, _ map[string]int) bool { return answers["acme"] == 1 })
	if rows := view(t, url, "certifications/status"); !strings.Contains(rows, "43b75a40-8691-541d-8a9c-d20cedceb5e9,Rope Access Level 1,pending") {
		t.Errorf("%s", rows)
	}
	if n := f.count(); n != 1 {
		t.Errorf("%d events were asked for", n)
	}
}
