package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

const apiToken = "k3y-4711"

// A platform plays the REST APIs of all providers, each below its name.
type platform struct {
	url string

	mu     sync.Mutex
	rows   map[string][]string // of "thinkific/users", each as it is sent
	per    int                 // rows on a page
	faults []fault             // met in turn, by requests that they are for
	asked  []string            // "thinkific/users 2"
}

// A fault is what a request is answered instead.
type fault struct {
	asked  string
	answer http.HandlerFunc
}

func play(t *testing.T, per int, rows map[string][]string, faults ...fault) *platform {
	t.Helper()
	p := &platform{rows: rows, per: per, faults: faults}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// requests returns what was asked since it was called last.
func (p *platform) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	provider, resource, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	page := max(1, pageNumber(r.URL.Query().Get("page")))
	switch provider {
	case "braincert":
		resource = strings.TrimSuffix(resource, "/list")
	case "credly":
		resource = strings.TrimPrefix(resource, "organizations/"+samples.CredlyOrganization+"/")
	}
	p.mu.Lock()
	asked := fmt.Sprintf("%s/%s %d", provider, resource, page)
	if since := r.URL.Query().Get("query[updated_after]"); since != "" {
		asked += " since " + since
	}
	p.asked = append(p.asked, asked)
	if i := slices.IndexFunc(p.faults, func(f fault) bool { return f.asked == asked }); i >= 0 {
		answer := p.faults[i].answer
		p.faults = slices.Delete(p.faults, i, i+1)
		p.mu.Unlock()
		answer(w, r)
		return
	}
	rows := p.rows[provider+"/"+resource]
	p.mu.Unlock()
	if !authentic(provider, r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, answerPage(provider, page, p.per, rows))
}

func pageNumber(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func authentic(provider string, r *http.Request) bool {
	user, _, basic := r.BasicAuth()
	switch provider {
	case "thinkific":
		return r.Header.Get("X-Auth-API-Key") == apiToken && r.Header.Get("X-Auth-Subdomain") == "acme" && r.URL.Query().Get("limit") == "250"
	case "braincert":
		return r.Method == http.MethodPost && r.Header.Get("Authorization") == apiToken && r.Header.Get("X-Domain-Id") == "48213"
	case "credly":
		return basic && user == apiToken
	}
	return r.Header.Get("Authorization") == "Bearer "+apiToken
}

// answerPage returns one page as the provider sends it.
func answerPage(provider string, page, per int, rows []string) string {
	pages := max(1, (len(rows)+per-1)/per)
	here := rows[min(len(rows), (page-1)*per):min(len(rows), page*per)]
	list := "[" + strings.Join(here, ",\n ") + "]"
	next := "null"
	if page < pages {
		next = strconv.Itoa(page + 1)
	}
	switch provider {
	case "thinkific":
		return fmt.Sprintf(`{"items":%s,"meta":{"pagination":{"current_page":%d,"next_page":%s,"total_pages":%d,"total_items":%d}}}`, list, page, next, pages, len(rows))
	case "credly":
		return fmt.Sprintf(`{"data":%s,"metadata":{"count":%d,"current_page":%d,"total_count":%d,"total_pages":%d,"per":%d}}`, list, len(here), page, len(rows), pages, per)
	case "braincert":
		return `{"status":"ok","list":[` + strings.Join(rows, ",") + `]}`
	}
	return "[" + strings.Join(rows, ",") + "]"
}

// apiEnv and apiTOML configure the sample sources with their APIs.
func apiConfig(t *testing.T, p *platform) string {
	t.Helper()
	for _, pair := range append(slices.Clone(sampleEnv), "API_TOKEN="+apiToken) {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	toml := sampleTOML
	for provider, more := range map[string]string{
		"thinkific": `api_subdomain = "acme"`, "braincert": `domain = "48213"`, "tahdah": `organizations = ["4388"]`, "credly": "",
	} {
		toml = strings.Replace(toml, "provider = \""+provider+"\"\n", fmt.Sprintf(
			"provider = %q\napi_token = \"env:API_TOKEN\"\napi_url = \"%s/%s\"\n%s\n", provider, p.url, provider, more), 1)
	}
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A backfilled is one row of what "daybook source backfill --json" prints.
type backfilled struct {
	Resource                                                              string
	Pages, Rows, Accepted, Duplicate, Unrecognized, Quarantined, Conflict int64
	State                                                                 string
}

// backfillFast runs a back-fill without the pace of the provider, and returns its
// table.
func backfillFast(t *testing.T, url, file string, args ...string) (rows []backfilled, talk string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, configFile: file, json: true, output: "json"}
	t.Setenv("DATABASE_URL", url)
	if err := a.configure(); err != nil {
		t.Fatal(err)
	}
	since := ""
	if len(args) > 1 && args[1] == "--since" {
		since, args = args[2], append(args[:1], args[3:]...)
	}
	b, err := a.newBackfill(args[0], args[1:], since)
	if err != nil {
		return nil, errs.String(), err
	}
	i := slices.IndexFunc(a.config.Sources, func(s sourceConfig) bool { return s.Name == args[0] })
	if b.client, err = newClient(a.config.Sources[i], func(c *fetch.Config) { c.PerMinute, c.Waiting = 600_000, b.waiting }); err != nil {
		t.Fatal(err)
	}
	if url == "" {
		err = b.run(t.Context())
	} else {
		err = a.withAppender(t.Context(), func(log *postgres.Appender, db *sql.DB, _ *postgres.Keyring) error {
			b.log, b.db = log, db
			return b.run(t.Context())
		})
	}
	var answer struct{ Rows []backfilled }
	if jsonErr := json.Unmarshal(out.Bytes(), &answer); jsonErr != nil {
		t.Fatalf("%v\n%s", jsonErr, out.String())
	}
	return answer.Rows, errs.String(), err
}

// table returns what became of the rows of each resource, one line each.
func table(rows []backfilled) string {
	var lines []string
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%s: %d pages, %d rows, %d accepted, %d duplicate, %d unrecognized, %d quarantined, %d conflict, %s",
			r.Resource, r.Pages, r.Rows, r.Accepted, r.Duplicate, r.Unrecognized, r.Quarantined, r.Conflict, r.State))
	}
	return strings.Join(lines, "\n")
}

// credlyBadge is a badge as the list has it.
func credlyBadge(t *testing.T) string {
	t.Helper()
	var event struct {
		Data struct{ Badge json.RawMessage }
	}
	if err := json.Unmarshal(sampleNamed(t, "credly/events_api/badge.state.changed.json").Body, &event); err != nil || event.Data.Badge == nil {
		t.Fatalf("%v", err)
	}
	return string(event.Data.Badge)
}

// platformRows are a few rows of everything.
func platformRows(t *testing.T) map[string][]string {
	rows := map[string][]string{
		"thinkific/users":       {`{"id":1,"first_name":"Ada","last_name":"L","email":"ada@example.com","roles":[]}`, `{"id":2,"first_name":"Zo\u00eb"}`, `{"id":3}`},
		"thinkific/courses":     {`{"id":88,"name":"Confined Spaces Entry"}`},
		"thinkific/products":    {},
		"thinkific/enrollments": {},
		"thinkific/orders":      {`{"id":70,"amount_dollars":"50.0","amount_cents":5000,"user_id":1,"created at":"2026-03-01T14:16:40.400Z"}`, `{"id":71}`},
		"braincert/users":       {`{"user_id":"789310","first_name":"Amina","last_name":"Yusuf","email":"amina.yusuf@example.com"}`},
		"braincert/courses":     {`{"course_id":909120,"course_name":"Track Safety"}`},
		"braincert/groups":      {},
		"credly/badges":         {credlyBadge(t)},
		"tahdah/api/trustgroups/legalentities/4388/legalentities": {`{"id":4391,"name":"Ardent Rail Ltd"}`},
	}
	for i := range 5 {
		rows["thinkific/enrollments"] = append(rows["thinkific/enrollments"], fmt.Sprintf(
			`{"id":%d,"user_id":%d,"course_id":88,"percentage_completed":1.0,"completed":true,"completed_at":"2026-03-0%dT12:00:00Z","created_at":"2026-02-01T00:00:00Z"}`, 6000+i, i+1, i+1))
	}
	return rows
}

// TestBackfill fetches everything from every provider, twice, and once more
// after a row has changed.
func TestBackfill(t *testing.T) {
	url := postgrestest.URL(t)
	p := play(t, 2, platformRows(t))
	file := apiConfig(t, p)
	want := map[string][2]string{
		"thinkific": {
			"users: 2 pages, 3 rows, 3 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"courses: 1 pages, 1 rows, 1 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"products: 1 pages, 0 rows, 0 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"enrollments: 3 pages, 5 rows, 5 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"orders: 1 pages, 2 rows, 1 accepted, 0 duplicate, 0 unrecognized, 1 quarantined, 0 conflict, done",
			"thinkific/users 1, thinkific/users 2, thinkific/courses 1, thinkific/products 1, thinkific/enrollments 1, thinkific/enrollments 2, thinkific/enrollments 3, thinkific/orders 1",
		},
		"braincert": {
			"users: 1 pages, 1 rows, 1 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"courses: 1 pages, 1 rows, 1 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"groups: 1 pages, 0 rows, 0 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done",
			"braincert/users 1, braincert/courses 1, braincert/groups 1",
		},
		"credly": {
			"badge_templates: 1 pages, 0 rows, 0 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"employees: 1 pages, 0 rows, 0 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done\n" +
				"badges: 1 pages, 1 rows, 1 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done",
			"credly/badge_templates 1, credly/employees 1, credly/badges 1",
		},
		"tahdah": {
			"members: 1 pages, 1 rows, 1 accepted, 0 duplicate, 0 unrecognized, 0 quarantined, 0 conflict, done",
			"tahdah/api/trustgroups/legalentities/4388/legalentities 1",
		},
	}
	for _, source := range sortedKeys(want) {
		dry, talk, err := backfillFast(t, "", file, source)
		if err != nil || table(dry) != want[source][0] || !strings.Contains(talk, "nothing was recorded") {
			t.Errorf("%s, dry: %v\n%s\n%s", source, err, table(dry), talk)
		}
		p.requests()
		rows, talk, err := backfillFast(t, url, file, source)
		if diff := cmp.Diff(want[source][0], table(rows)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s\n%s", source, err, diff, talk)
		}
		if got := strings.Join(p.requests(), ", "); got != want[source][1] {
			t.Errorf("%s asked for %s", source, got)
		}
	}
	records := view(t, url, "log/records", "--config", file)
	for _, source := range sortedKeys(want) {
		rows, _, err := backfillFast(t, url, file, source)
		if err != nil {
			t.Error(err)
		}
		for _, r := range rows {
			if r.Duplicate != r.Rows {
				t.Errorf("again: %s", table([]backfilled{r}))
			}
		}
	}
	if again := view(t, url, "log/records", "--config", file); again != records {
		t.Error("fetching the same again changed the log")
	}
	p.mu.Lock()
	p.rows["thinkific/users"][1] = `{"id":2,"first_name":"Zoe"}`
	p.mu.Unlock()
	if rows, _, err := backfillFast(t, url, file, "thinkific", "users"); err != nil || rows[0].Accepted != 1 || rows[0].Duplicate != 2 {
		t.Errorf("after a change: %v, %s", err, table(rows))
	}
	if people := view(t, url, "directory/people", "person=2", "--config", file); !strings.Contains(people, "Zoe") {
		t.Errorf("%s", people)
	}
	// What is recorded is the row as it was sent.
	body, _, _ := daybook(t, url, "view", "log/deliveries", "-o", "ndjson", "topic=badges", "--config", file)
	var delivery struct{ ID string }
	if err := json.Unmarshal([]byte(body), &delivery); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if stored, _, _ := daybook(t, url, "delivery", "show", delivery.ID, "--body", "--config", file); stored != credlyBadge(t) {
		t.Errorf("recorded as %s", stored)
	}
}

// TestBackfillFaults has pages fail in passing, and for good.
func TestBackfillFaults(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	url := postgrestest.URL(t)
	p := play(
		t, 2, platformRows(t),
		fault{"thinkific/users 1", status(500)},
		fault{"thinkific/enrollments 2", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"items":[{"id":6002,"user_id`)
		}},
		fault{"thinkific/orders 1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		fault{"credly/employees 1", status(403)},
		fault{"credly/badge_templates 1", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":{}}`) }},
		fault{"braincert/users 1", status(401)},
		fault{"tahdah/api/trustgroups/legalentities/4388/legalentities 1", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		}},
	)
	file := apiConfig(t, p)
	rows, talk, err := backfillFast(t, url, file, "thinkific", "users", "enrollments", "orders")
	if err != nil || rows[0].Accepted != 3 || rows[1].Accepted != 5 || rows[2].Accepted != 1 || strings.Count(talk, "waiting") != 3 {
		t.Errorf("%v\n%s\n%s", err, table(rows), talk)
	}
	rows, _, err = backfillFast(t, url, file, "credly")
	if domain.CodeOf(err) != domain.Invalid || len(rows) != 3 || rows[2].Accepted != 1 || !strings.Contains(rows[1].State, "403") || !strings.Contains(rows[0].State, "data is not a list") {
		t.Errorf("%v\n%s", err, table(rows))
	}
	rows, _, err = backfillFast(t, url, file, "braincert")
	if domain.CodeOf(err) != domain.Unauthenticated || len(rows) != 1 {
		t.Errorf("%v\n%s", err, table(rows))
	}
	rows, _, err = backfillFast(t, url, file, "tahdah")
	if domain.CodeOf(err) != domain.Refused || strings.Contains(fmt.Sprint(err, rows), apiToken) {
		t.Errorf("%v\n%s", err, table(rows))
	}
}

// TestBackfillUsage says what is refused before anything is asked.
func TestBackfillUsage(t *testing.T) {
	p := play(t, 2, platformRows(t))
	file := apiConfig(t, p)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"elsewhere"}, `there is no source "elsewhere"`},
		{[]string{"thinkific", "badges"}, "users, courses, products, enrollments, orders"},
		{[]string{"thinkific", "--since", "yesterday"}, "neither a day nor a moment"},
		{[]string{"thinkific", "orders", "--since", "2026-03-01"}, "cannot list orders since"},
		{[]string{"credly", "--since", "2026-03-01"}, "cannot list badge_templates since"},
		{[]string{"credly", "events", "--since", "2026-03-01"}, "daybook source backfill credly events"},
		{[]string{"credly", "badges", "events"}, "events are asked for alone"},
		{[]string{"thinkific", "events"}, "users, courses, products, enrollments, orders"},
		{[]string{"tahdah", "--config", withoutAPI(t)}, "api_token"},
	} {
		args := append([]string{"source", "backfill", "--dry-run", "--config", file}, tt.args...)
		if _, stderr, status := daybook(t, "", args...); status == exitDone || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: status %d, %s", tt.args, status, stderr)
		}
	}
	if asked := p.requests(); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
	rows, talk, err := backfillFast(t, "", file, "thinkific", "--since", "2026-03-01")
	if err != nil || len(rows) != 1 || !strings.Contains(talk, "orders: left out") {
		t.Errorf("%v\n%s\n%s", err, table(rows), talk)
	}
	if asked := p.requests(); asked[0] != "thinkific/enrollments 1 since 2026-02-28T23:00:00Z" {
		t.Errorf("asked for %v", asked)
	}
}

// TestMarkName wants a walk through what changed since a moment to go on from no
// page of another walk.
func TestMarkName(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range []string{"acme", "other"} {
		for _, since := range []time.Time{{}, time.Unix(0, 0), time.Unix(1, 0)} {
			for _, resource := range []string{"users", "orders"} {
				b := backfill{source: intake.Source{Name: name}, since: since.UTC()}
				mark := b.markName(resource)
				if seen[mark] {
					t.Errorf("%s is the mark of two", mark)
				}
				seen[mark] = true
			}
		}
	}
}

// withoutAPI writes the sample configuration as it is.
func withoutAPI(t *testing.T) string {
	t.Helper()
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(sampleTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestBackfillInterrupted stops a back-fill at its third page, once by Ctrl-C and
// once by a kill, and wants the next one to go on from the second, and the one
// after that to begin anew.
func TestBackfillInterrupted(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprintf("kill %t", kill), func(t *testing.T) {
			url := postgrestest.URL(t)
			held := make(chan struct{})
			p := play(t, 2, platformRows(t), fault{"thinkific/enrollments 3", func(_ http.ResponseWriter, r *http.Request) {
				close(held)
				<-r.Context().Done()
			}})
			file := apiConfig(t, p)
			args := []string{"source", "backfill", "thinkific", "enrollments", "--config", file}
			if kill {
				killAt(t, url, held, args...)
			} else {
				interruptAt(t, url, held, args...)
			}
			if got := strings.Join(p.requests(), ", "); got != "thinkific/enrollments 1, thinkific/enrollments 2, thinkific/enrollments 3" {
				t.Errorf("asked for %s", got)
			}
			rows, talk, err := backfillFast(t, url, file, "thinkific", "enrollments")
			if err != nil || rows[0].Accepted != 1 || rows[0].Duplicate != 2 || !strings.Contains(talk, "going on from page 2") {
				t.Errorf("%v\n%s\n%s", err, table(rows), talk)
			}
			if rows, _, err = backfillFast(t, url, file, "thinkific", "enrollments"); err != nil || rows[0].Duplicate != 5 {
				t.Errorf("%v\n%s", err, table(rows))
			}
		})
	}
}

// interruptAt runs a command until held is closed, and ends it as Ctrl-C does.
func interruptAt(t *testing.T, url string, held <-chan struct{}, args ...string) {
	t.Helper()
	t.Setenv("DATABASE_URL", url)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-held; cancel() }()
	var out, errs bytes.Buffer
	if status := run(ctx, args, &out, &errs); status != exitTryAgain {
		t.Errorf("status %d\n%s%s", status, &out, &errs)
	}
}

// killAt runs a process until held is closed, and kills it.
func killAt(t *testing.T, url string, held <-chan struct{}, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMain+"=1", "DATABASE_URL="+url)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-held:
	case <-time.After(time.Minute):
		t.Errorf("the third page is never asked for")
	}
	_ = cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		t.Errorf("it ended by itself: %s", &errs)
	}
}

// TestBackfillBesideWebhooks back-fills beside a running server what webhooks
// told too, differently, and more: what they told stays as it is shown, and
// balances add up to what both know.
func TestBackfillBesideWebhooks(t *testing.T) {
	url := postgrestest.URL(t)
	rows := map[string][]string{
		"thinkific/users":   {`{"id":123987,"first_name":"Listed","email":"listed@example.com","created_at":"2030-01-01T00:00:00Z"}`},
		"thinkific/courses": {`{"id":4410,"name":"Listed"}`, `{"id":88,"name":"Listed"}`},
		"thinkific/enrollments": {
			`{"id":97472,"user_id":123987,"user_name":"Listed","user_email":"listed@example.com","course_id":4410,"course_name":"Listed","percentage_completed":0.1,"completed":true,
			"completed_at":"2020-01-01T00:00:00Z","created_at":"2020-01-01T00:00:00Z","started_at":"2020-01-01T00:00:00Z","updated_at":"2020-01-01T00:00:00Z"}`,
		},
		"thinkific/orders": {
			`{"id":19796,"amount_dollars":"99.0","amount_cents":9900,"user_id":7,"user_name":"Listed","product_id":88,"product_name":"Listed","created at":"2020-01-01T00:00:00Z"}`,
		},
	}
	p := play(t, 250, rows)
	file := apiConfig(t, p)
	server := start(t, url, append(slices.Clone(sampleEnv), "API_TOKEN="+apiToken), "serve", "--config", file)
	for _, s := range webhooks(t) {
		if s.Provider == "thinkific" && !strings.Contains(s.File, "order.created") { // an order's comes after its payments and the list
			server.mustPost(t, s)
		}
	}
	questions := [][]string{
		{"sales/balances"}, {"sales/orders"}, {"certifications/status"}, {"directory/people"}, {"directory/items"},
	}
	ask := func() (all []string) {
		for _, q := range questions {
			all = append(all, view(t, url, append(q, "--config", file)...))
		}
		return all
	}
	backfill := func() {
		rows, talk, err := backfillFast(t, url, file, "thinkific", "users", "courses", "enrollments", "orders")
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, table(rows), talk)
		}
	}
	backfill()
	if orders := view(t, url, "sales/orders", "order=19796", "--config", file); !strings.Contains(orders, ",99,") {
		t.Errorf("before the order's webhook the list is what is known: %s", orders)
	}
	order := sampleNamed(t, "thinkific/order.created.json")
	server.mustPost(t, order)
	p.mu.Lock()
	for resource := range p.rows { // every row has changed
		for i, row := range p.rows[resource] {
			p.rows[resource][i] = strings.Replace(row, "{", `{"again":true,`, 1)
		}
	}
	p.mu.Unlock()
	backfill()
	got := ask()

	alone := postgrestest.URL(t)
	other := start(t, alone, append(slices.Clone(sampleEnv), "API_TOKEN="+apiToken), "serve", "--config", file)
	for _, s := range webhooks(t) {
		if s.Provider == "thinkific" && s.File != order.File {
			other.mustPost(t, s)
		}
	}
	other.mustPost(t, order)
	url = alone
	for i, want := range ask() {
		told := slices.DeleteFunc(comparable(got[i]), func(row string) bool {
			return strings.HasPrefix(row, "thinkific,user,7,Listed,") || strings.HasPrefix(row, "thinkific,course,88,Listed,") // the list alone knows them
		})
		if diff := cmp.Diff(comparable(want), told); diff != "" {
			t.Errorf("%v (-webhooks alone +with lists):\n%s", questions[i], diff)
		}
	}
	if people := got[3]; !strings.Contains(people, "thinkific,user,7,Listed,") {
		t.Errorf("what the list alone knows is not there: %s", people)
	}
}

// comparable returns the rows of a view as CSV without what depends on when it was
// told: positions, and what was booked and taken back.
func comparable(csv string) (rows []string) {
	header, rest, _ := strings.Cut(strings.ReplaceAll(csv, "\r", ""), "\n")
	leaveOut := map[string]bool{"position": true, "debit": true, "credit": true}
	names := strings.Split(header, ",")
	for line := range strings.Lines(rest) {
		var kept []string
		for i, cell := range strings.Split(strings.TrimSuffix(line, "\n"), ",") {
			if i >= len(names) || !leaveOut[names[i]] {
				kept = append(kept, cell)
			}
		}
		rows = append(rows, strings.Join(kept, ","))
	}
	return rows
}
