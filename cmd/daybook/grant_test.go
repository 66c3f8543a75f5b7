package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/credits"
)

// What a fakeTahdah does with a request, beyond refusing a key it knows.
const (
	grantsIt   = "grant"
	refusesIt  = "refuse"
	lateRefuse = "denied"        // refused by a proxy that knows no keys
	failsIt    = "fail"          // 503, nothing granted
	hides      = "grant and 500" // granted, and the answer says that it failed
	resets     = "reset"         // the connection, before anything is granted
	hidesReset = "grant and reset"
	hangs      = "hang" // until the client gives up, nothing granted
	hidesHang  = "grant and hang"
	slow       = "grant and wait" // to be told to go on
)

// A fakeTahdah adds credits as Tahdah's API is described to: a key counts once,
// and using it again is an error.
type fakeTahdah struct {
	*httptest.Server
	paths chan string   // of requests that hang or wait
	goOn  chan struct{} // what those that wait, wait for

	mu     sync.Mutex
	does   []string // one request after the other; the last one goes on
	bodies [][]byte
	levels map[string]int64 // by order, as granted
	times  map[string]int   // granted, by key
	report func(order string, level int64)
}

func newFakeTahdah(t testing.TB, does ...string) *fakeTahdah {
	f := &fakeTahdah{does: does, levels: map[string]int64{}, times: map[string]int{}, paths: make(chan string, 100), goOn: make(chan struct{})}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fakeTahdah) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	does, status := f.take(r, body)
	if does == slow {
		f.paths <- r.URL.Path
		<-f.goOn
	}
	switch does {
	case resets, hidesReset:
		panic(http.ErrAbortHandler)
	case hangs, hidesHang:
		f.paths <- r.URL.Path
		<-r.Context().Done()
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "session=secret")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"says":%q}`, map[int]string{
			200: "done", 400: "Idempotency key already used", 401: "who are you", 422: "no such template", 500: "oops", 503: "later",
		}[status])
	}
}

// take decides what to do with a request, and grants what is to be granted.
func (f *fakeTahdah) take(r *http.Request, body []byte) (does string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies = append(f.bodies, body)
	does = f.does[0]
	if len(f.does) > 1 {
		f.does = f.does[1:]
	}
	var request struct {
		IdempotencyKey, OrderNumber string
		Operations                  []struct{ EventTemplateID, NumberOfCredits int64 }
	}
	if r.Method != http.MethodPut || r.Header.Get("Authorization") != "Bearer t0ken" || !strings.HasPrefix(r.URL.Path, "/api/eventcredits/legalentities/") {
		return lateRefuse, 401
	}
	if err := json.Unmarshal(body, &request); err != nil || len(request.Operations) != 1 {
		return refusesIt, 422
	}
	switch does {
	case lateRefuse:
		return does, 401
	case failsIt:
		return does, 503
	case resets, hangs:
		return does, 0
	}
	if f.times[request.IdempotencyKey] > 0 {
		return grantsIt, 400
	}
	if does == refusesIt {
		return does, 422
	}
	f.times[request.IdempotencyKey]++
	f.levels[request.OrderNumber] += request.Operations[0].NumberOfCredits
	if f.report != nil {
		f.report(request.OrderNumber, f.levels[request.OrderNumber])
	}
	if does == hides {
		return does, 500
	}
	return does, 200
}

// granted returns how many times the key was granted.
func (f *fakeTahdah) granted(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times[key]
}

// grantBooks is a log to grant in, and what it says.
type grantBooks struct {
	log    *postgres.Appender
	db     *sql.DB
	keys   *postgres.Keyring
	memory *projections.Memory // folded so far
}

func newGrantBooks(t testing.TB) grantBooks { return newGrantBooksAt(t, postgrestest.URL(t)) }

func newGrantBooksAt(t testing.TB, url string) grantBooks {
	return grantBooks{
		postgrestest.Appender(t, url), postgrestest.Open(t, url, postgres.RoleProjector), postgrestest.Keys(t, url), projections.NewMemory(credits.Projection()),
	}
}

// granter returns one run of the command against the server.
func (b grantBooks) granter(t fataler, server *fakeTahdah, reference, order string, timeout time.Duration) *granter {
	client, err := fetch.New(fetch.Config{BaseURL: server.URL, Auth: fetch.Bearer("t0ken"), Timeout: timeout, AnyBody: true})
	if err != nil {
		t.Fatal(err)
	}
	return &granter{
		app: &app{stdout: io.Discard, stderr: io.Discard}, log: b.log, db: b.db, keys: b.keys, yes: true, api: server.URL, ask: client.Try,
		source: sourceConfig{Name: "acme-tahdah", Provider: "tahdah", OperationsMember: "operations"},
		grant: domain.CreditsGranted{
			Order: order, Template: "318", Quantity: decimal.NewFromInt(5), Holder: "4411", Reference: reference, By: "marta",
		},
	}
}

type fataler interface{ Fatal(...any) }

// rows folds the log and returns the rows of a view of the credits, by column,
// of the given order.
func (b grantBooks) rows(ctx context.Context, t fataler, view, order string) []map[string]string {
	head, err := postgres.Head(ctx, b.db)
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range postgres.Records(ctx, b.db, b.memory.Position(), head) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if err := b.memory.Fold(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	v, _ := credits.Projection().View(view)
	answer, err := v.Ask(ctx, b.memory, nil, projections.Query{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, cells := range answer.Rows {
		row := map[string]string{}
		for i, c := range v.Columns {
			row[c.Name] = cells[i].Text
		}
		if row["order"] == order {
			rows = append(rows, row)
		}
	}
	return rows
}

// report appends what Tahdah reports of an order's only line.
func (b grantBooks) report(ctx context.Context, t fataler, order string, level int64) {
	_, err := b.log.Append(ctx, domain.Delivery{
		ID: ulid.Make(), Source: "acme-tahdah", ReceivedAt: time.Now().UTC(), Body: []byte(ulid.Make().String()),
		Translation: domain.Translation{Topic: "eventCredits.Updated", Scopes: []string{"credits/" + order}, Facts: []domain.Fact{{
			Event: domain.CreditsReported{Line: "line-" + order, Template: "318", Order: order, Remaining: decimal.NewFromInt(level)},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestGrantOnce repeats one command against a Tahdah that fails in every way, and
// perhaps reports the credits before it answers. Whatever happens: it grants once
// at the most, every call has the same bytes, the books say granted only if it
// was, and refused only if it was not; and once Tahdah has shown the level, ours
// is the same.
func TestGrantOnce(t *testing.T) {
	books := newGrantBooks(t)
	var n int
	rapid.Check(t, func(rt *rapid.T) {
		n++
		reference, order := fmt.Sprintf("INV-%d", n), fmt.Sprintf("SO-%d", n)
		calls := rapid.IntRange(1, 4).Draw(rt, "calls")
		var does []string
		for range calls {
			does = append(does, rapid.SampledFrom([]string{
				grantsIt, grantsIt, refusesIt, lateRefuse, failsIt, hides, resets, hidesReset, hangs, hidesHang,
			}).Draw(rt, "does"))
		}
		server := newFakeTahdah(t, does...)
		defer server.Close()
		if rapid.Bool().Draw(rt, "reports first") {
			server.report = func(order string, level int64) { books.report(t.Context(), rt, order, level) }
		}
		said := ""
		key := books.granter(rt, server, reference, order, 0).request().Key
		for range calls {
			g := books.granter(rt, server, reference, order, 150*time.Millisecond)
			made, err := g.run(t.Context())
			if code := domain.CodeOf(err); code != "" && code != domain.Unavailable && code != domain.Refused {
				rt.Fatalf("%v", err)
			}
			if (made.outcome == "granted") != (err == nil) {
				rt.Errorf("outcome %q, %v", made.outcome, err)
			}
			if made.outcome == "refused" && server.granted(key) > 0 {
				rt.Errorf("the command says it is refused, and it is granted: %v", err)
			}
			if said = made.outcome; said == "granted" && rapid.Bool().Draw(rt, "enough") {
				break
			}
		}
		times := server.granted(key)
		if times > 1 {
			rt.Errorf("granted %d times", times)
		}
		for _, body := range server.bodies {
			if !bytes.Equal(body, server.bodies[0]) || !bytes.Contains(body, []byte(key)) {
				rt.Errorf("sent %s and then %s", server.bodies[0], body)
			}
		}
		row := books.rows(t.Context(), rt, "grants", order)[0]
		switch status := row["status"]; {
		case status == "granted" && times == 0, status == "refused" && times > 0:
			rt.Errorf("shown as %s, granted %d times", status, times)
		case (status == "granted") != (said == "granted"):
			rt.Errorf("shown as %s, and the last command said %s", status, said)
		}
		booked := decimal.Zero
		for _, e := range books.rows(t.Context(), rt, "entries", order) {
			if e["account"] == "granted" {
				booked = booked.Sub(decimal.RequireFromString(e["quantity"]))
			}
		}
		if want := map[bool]int64{true: 5}[row["status"] == "granted"]; booked.IntPart() != want {
			rt.Errorf("%s booked as granted, want %d", booked, want)
		}
		books.report(t.Context(), rt, order, server.levels[order])
		for _, b := range books.rows(t.Context(), rt, "balances", order) {
			if b["claim"] != "agrees" || b["remaining"] != fmt.Sprint(server.levels[order]) {
				rt.Errorf("remaining %s, %s; Tahdah has %d", b["remaining"], b["claim"], server.levels[order])
			}
		}
	})
}

// TestGrantAtOnce runs the same command many times at once.
func TestGrantAtOnce(t *testing.T) {
	books := newGrantBooks(t)
	server := newFakeTahdah(t, grantsIt)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := books.granter(t, server, "INV-1", "SO-1", 10*time.Second).run(t.Context()); err != nil && domain.CodeOf(err) != domain.Unavailable {
				t.Error(err)
			}
		})
	}
	all.Wait()
	rows := books.rows(t.Context(), t, "grants", "SO-1")
	if len(rows) != 1 || rows[0]["status"] != "granted" || len(server.times) != 1 {
		t.Errorf("grants %v, granted %v", rows, server.times)
	}
	if balances := books.rows(t.Context(), t, "balances", "SO-1"); len(balances) != 1 || balances[0]["remaining"] != "5" || balances[0]["holder"] != "4411" {
		t.Errorf("balances %v", balances)
	}
}

// TestGrantKept looks at what is in the log of a grant whose first call broke off:
// what was sent, the answer byte for byte, no secret, and each caused by the first.
func TestGrantKept(t *testing.T) {
	books := newGrantBooks(t)
	server := newFakeTahdah(t, resets, grantsIt)
	if _, err := books.granter(t, server, "INV-1", "SO-1", 10*time.Second).run(t.Context()); exitStatus[domain.CodeOf(err)] != exitTryAgain {
		t.Fatalf("a call that broke off: %v", err)
	}
	second := books.granter(t, server, "INV-1", "SO-1", 10*time.Second)
	second.source.OperationsMember = "items" // what was sent once is sent again, whatever is configured now
	made, err := second.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked, _, _, err := postgres.BookedDelivery(t.Context(), books.db, books.keys, "acme-tahdah", "grant/INV-1")
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"idempotencyKey":"e4f509ee-ca7a-87be-9b46-c7cbfa0a5db0","orderNumber":"SO-1","operations":[{"eventTemplateId":318,"numberOfCredits":5}]}`
	if string(asked.Body) != body || string(server.bodies[1]) != body || asked.Verified != "operator marta" || asked.Topic != topicRequested {
		t.Errorf("recorded %s by %s, sent %s", asked.Body, asked.Verified, server.bodies[1])
	}
	granted, err := postgres.ReadDelivery(t.Context(), books.db, books.keys, made.receipt.Delivery)
	if err != nil {
		t.Fatal(err)
	}
	if string(granted.Body) != `{"says":"done"}` || granted.Cause != asked.ID || granted.Topic != topicGranted || granted.Header["Set-Cookie"] != nil {
		t.Errorf("answer %q (%s), caused by %s, %v", granted.Body, granted.Topic, granted.Cause, granted.Header)
	}
	again, err := books.granter(t, server, "INV-1", "SO-1", time.Second).run(t.Context())
	if err != nil || again.receipt.Status != domain.Duplicate || again.receipt.Delivery != granted.ID || len(server.bodies) != 2 {
		t.Errorf("again: %+v, %v, %d calls", again, err, len(server.bodies))
	}
}

// grantConfig writes a configuration whose only source has the API at url, and
// returns its name.
func grantConfig(t testing.TB, dir, url string) string {
	t.Helper()
	file := filepath.Join(dir, "daybook.toml")
	text := fmt.Sprintf("[[source]]\nname = \"acme-tahdah\"\nprovider = \"tahdah\"\nsecrets = [\"env:SECRET\"]\n"+
		"api_token = \"env:TOKEN\"\napi_url = %q\noperations_member = \"operations\"\n", url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// grantArgs are those of the command that the tests repeat.
func grantArgs(config string) []string {
	return []string{
		"record", "grant", "--config", config, "--source", "acme-tahdah", "--order", "SO-1", "--template", "318", "--quantity", "5",
		"--holder", "4411", "--reference", "INV-1", "--by", "marta", "--send", "--yes", "--json",
	}
}

// TestGrantKilled kills the command between its record and its call, and between
// the call and its outcome, and runs it again.
func TestGrantKilled(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  string                                          // status after the kill
		after   string                                          // and after another run
		reach   func(t *testing.T) (url string, reached func()) // the process may be killed once reached returns
		applied bool
	}{
		{"before the call", "requested", "granted", connects, false},
		{"before the answer", "requested", "unknown", applies, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			database := postgrestest.URL(t)
			books := newGrantBooksAt(t, database)
			url, reached := tt.reach(t)
			cmd := exec.Command(os.Args[0], grantArgs(grantConfig(t, t.TempDir(), url))...)
			cmd.Env = append(os.Environ(), asMain+"=1", "TOKEN=t0ken", "DATABASE_URL="+database)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			reached()
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if row := books.rows(t.Context(), t, "grants", "SO-1"); len(row) != 1 || row[0]["status"] != tt.before {
				t.Fatalf("after the kill: %v, want %s", row, tt.before)
			}
			if len(books.rows(t.Context(), t, "balances", "SO-1")) != 0 {
				t.Error("credits are booked")
			}

			t.Setenv("TOKEN", "t0ken")
			server := newFakeTahdah(t, grantsIt)
			if tt.applied {
				server.times[books.granter(t, server, "INV-1", "SO-1", 0).request().Key] = 1
			}
			stdout, stderr, status := daybook(t, database, grantArgs(grantConfig(t, t.TempDir(), server.URL))...)
			var answer struct{ Rows []map[string]any }
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil || len(answer.Rows) != 1 || answer.Rows[0]["status"] != tt.after {
				t.Fatalf("run again: %s%s (%v), want %s", stdout, stderr, err, tt.after)
			}
			if want := map[string]int{"granted": exitDone, "unknown": exitTryAgain}[tt.after]; status != want {
				t.Errorf("exit status %d, want %d\n%s", status, want, stderr)
			}
			if row := books.rows(t.Context(), t, "grants", "SO-1"); row[0]["status"] != tt.after {
				t.Errorf("shown as %s, want %s", row[0]["status"], tt.after)
			}
		})
	}
}

// TestGrantInterrupted interrupts the command while Tahdah has yet to answer: it
// waits for the answer and records it.
func TestGrantInterrupted(t *testing.T) {
	database := postgrestest.URL(t)
	books := newGrantBooksAt(t, database)
	server := newFakeTahdah(t, slow)
	cmd := exec.Command(os.Args[0], grantArgs(grantConfig(t, t.TempDir(), server.URL))...)
	cmd.Env = append(os.Environ(), asMain+"=1", "TOKEN=t0ken", "DATABASE_URL="+database)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-server.paths
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if said += lines.Text() + "\n"; strings.Contains(lines.Text(), "interrupt again") {
			close(server.goOn)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if row := books.rows(t.Context(), t, "grants", "SO-1"); len(row) != 1 || row[0]["status"] != "granted" {
		t.Errorf("%v\n%s", row, said)
	}
}

// connects is a server that takes a connection and reads nothing.
func connects(t *testing.T) (string, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String(), func() {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// applies is a server that grants and does not answer.
func applies(t *testing.T) (string, func()) {
	server := newFakeTahdah(t, hidesHang)
	return server.URL, func() {
		select {
		case <-server.paths:
		case <-t.Context().Done():
		}
	}
}

// TestGrantScript runs testdata/grant/*.txtar beside a Tahdah that does what the
// script's file "does" says, one line a request.
func TestGrantScript(t *testing.T) {
	key, err := postgrestest.Key()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/grant",
		UpdateScripts: os.Getenv("UPDATE_GOLDEN") != "",
		Setup: func(e *testscript.Env) error {
			url, drop, err := pgtest.Open(t.Context(), key, postgrestest.Migrate)
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := drop(); err != nil {
					t.Error(err)
				}
			})
			does, err := os.ReadFile(e.WorkDir + "/does")
			if err != nil {
				return err
			}
			server := newFakeTahdah(t, strings.Split(strings.TrimSpace(string(does)), "\n")...)
			grantConfig(t, e.WorkDir, server.URL)
			e.Vars = append(e.Vars, "DATABASE_URL="+url, "TOKEN=t0ken", "API="+server.URL)
			e.Values["server"] = server
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": exitsWith,
			"calls": func(ts *testscript.TestScript, _ bool, args []string) {
				server := ts.Value("server").(*fakeTahdah)
				server.mu.Lock()
				defer server.mu.Unlock()
				if got := fmt.Sprint(len(server.bodies)); got != args[0] {
					ts.Fatalf("Tahdah was called %s times, want %s", got, args[0])
				}
			},
		},
	})
}

// TestGrantDifference wants every field of a grant to be compared but who makes it.
func TestGrantDifference(t *testing.T) {
	price := decimal.RequireFromString("12.5")
	was := domain.CreditsGranted{
		Order: "o", Template: "t", Quantity: decimal.NewFromInt(1), Holder: "h", UnitPrice: price, Currency: "GBP",
		ExpiresAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Reference: "r", Reason: "why", By: "marta",
	}
	same := was
	same.By, same.UnitPrice = "tomas", decimal.RequireFromString("12.50")
	if d := difference(was, same); d != "" {
		t.Error(d)
	}
	var got []string
	for _, change := range []func(*domain.CreditsGranted){
		func(g *domain.CreditsGranted) { g.Order = "" },
		func(g *domain.CreditsGranted) { g.Template = "" },
		func(g *domain.CreditsGranted) { g.Quantity = decimal.Zero },
		func(g *domain.CreditsGranted) { g.Holder = "" },
		func(g *domain.CreditsGranted) { g.UnitPrice = decimal.Zero },
		func(g *domain.CreditsGranted) { g.Currency = "" },
		func(g *domain.CreditsGranted) { g.ExpiresAt = time.Time{} },
		func(g *domain.CreditsGranted) { g.Reason = "" },
	} {
		is := was
		change(&is)
		name, _, _ := strings.Cut(strings.TrimPrefix(difference(was, is), "its "), " is ")
		got = append(got, name)
	}
	want := []string{"order", "template", "quantity", "holder", "unit price", "currency", "expiry", "reason"}
	if diff := cmp.Diff(want, got); diff != "" || slices.Contains(got, "") {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

// TestGrantEcho wants nothing of the token in an answer that repeats the request.
func TestGrantEcho(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-You-Sent", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"you sent":%q}`, r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	t.Setenv("TAHDAH_TOKEN", "t0ken-4711")
	g := &granter{
		source: sourceConfig{Name: "acme-tahdah", Provider: "tahdah", OperationsMember: "operations", APIToken: "env:TAHDAH_TOKEN", APIURL: server.URL},
		grant:  domain.CreditsGranted{Order: "SO-1", Template: "318", Quantity: decimal.NewFromInt(5), Holder: "4411", Reference: "INV-1"},
	}
	if err := g.configure(); err != nil {
		t.Fatal(err)
	}
	body, err := g.request().Body("operations")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := g.ask(t.Context(), tahdah.GrantQuery("4411", body))
	if all := fmt.Sprintf("%s %v %v", answer.Body, answer.Header, err); answer.Status != 401 || strings.Contains(all, "t0ken-4711") || strings.Count(all, "(not kept)") != 2 {
		t.Errorf("%d %s", answer.Status, all)
	}
}
