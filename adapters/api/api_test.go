package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/adapters/api"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

type balance struct {
	line      string
	remaining decimal.Decimal
}

var (
	balances = projections.NewKeyed("balances", 1,
		projections.Text("line", func(r *balance) *string { return &r.line }),
		projections.Decimal("remaining", func(r *balance) *decimal.Decimal { return &r.remaining }),
	)
	lines = &projections.Projection{Name: "credits", Views: []projections.View{
		projections.NewView("balances", "Balances", balances, "line", "remaining"),
	}}
	logViews = &projections.Projection{Name: "log", Views: []projections.View{
		projections.NewView("records", "Records", balances, "line"),
	}}
)

// ledger answers every question with three rows, or fails.
type ledger struct {
	err    error
	status []api.Status
	asked  projections.Query
}

var now = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

func (l *ledger) Ask(ctx context.Context, p *projections.Projection, v projections.View, q projections.Query) (render.Answer, error) {
	l.asked = q
	if l.err != nil {
		return render.Answer{}, l.err
	}
	m := projections.NewMemory(&projections.Projection{Name: p.Name, Tables: []projections.Table{balances}})
	for _, line := range []string{"7", "8", "9"} {
		m.Put(balances, line, &balance{line, decimal.NewFromInt(14)})
	}
	page, err := v.Ask(ctx, m, nil, q, 0)
	a := render.Answer{AsOf: q.AsOf, Known: q.Known, Root: "cm9vdA==", Rows: page.Rows, Next: page.Next}
	if a.AsOf.IsZero() {
		a.AsOf = now
	}
	if a.Known == 0 {
		a.Known = 7
	}
	return a, err
}

func (l *ledger) Status(context.Context) ([]api.Status, error) { return l.status, l.err }

func newHandler(l *ledger) http.Handler {
	return api.NewHandler(api.Config{
		Ledger: l, Projections: []*projections.Projection{lines, logViews},
		Version: map[string]string{"version": "test"},
	})
}

// get asks h and returns the answer and its body. It checks what every answer
// must have.
func get(t *testing.T, h http.Handler, method, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		"Referrer-Policy":         "no-referrer",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s %s: %s is %q, want %q", method, target, name, got, want)
		}
	}
	if res.Header.Get("Cache-Control") == "" {
		t.Errorf("%s %s: no Cache-Control", method, target)
	}
	return res, string(body)
}

const rowsJSON = `"columns":[{"name":"line","type":"text"},{"name":"remaining","type":"decimal"}],"rows":[{"line":"7","remaining":"14"},{"line":"8","remaining":"14"},{"line":"9","remaining":"14"}]}` + "\n"

func TestForms(t *testing.T) {
	h := newHandler(&ledger{})
	inJSON := `{"view":"credits/balances","as_of":"2026-04-01T00:00:00Z","known":7,"root":"cm9vdA==",` + rowsJSON
	inNDJSON := `{"line":"7","remaining":"14"}` + "\n" + `{"line":"8","remaining":"14"}` + "\n" + `{"line":"9","remaining":"14"}` + "\n"
	inCSV := "line,remaining\r\n7,14\r\n8,14\r\n9,14\r\n"
	for _, test := range []struct{ target, accept, want, media string }{
		{"/v1/credits/balances", "", inJSON, "application/json"},
		{"/v1/credits/balances.json", "text/csv", inJSON, "application/json"},
		{"/v1/credits/balances.ndjson", "", inNDJSON, "application/x-ndjson"},
		{"/v1/credits/balances.csv", "", inCSV, "text/csv; charset=utf-8; header=present"},
		{"/v1/credits/balances", "text/csv", inCSV, "text/csv; charset=utf-8; header=present"},
		{"/v1/credits/balances", "application/x-ndjson", inNDJSON, "application/x-ndjson"},
		{"/v1/credits/balances", "text/html, application/json;q=0.1, text/*;q=0.2", inCSV, "text/csv; charset=utf-8; header=present"},
		{"/v1/credits/balances", "text/csv;q=0.1, */*;q=0.8", inJSON, "application/json"},
		{"/v1/credits/balances", "text/csv;q=0, image/png, ;;", inJSON, "application/json"},
	} {
		res, body := get(t, h, http.MethodGet, test.target, "Accept", test.accept)
		if res.StatusCode != 200 || body != test.want || res.Header.Get("Content-Type") != test.media {
			t.Errorf("%s, accept %q: %d %s\n%s\nwant %s", test.target, test.accept, res.StatusCode, res.Header, body, test.want)
		}
		head, nothing := get(t, h, http.MethodHead, test.target, "Accept", test.accept)
		if head.StatusCode != 200 || nothing != "" || head.Header.Get("Content-Length") != fmt.Sprint(len(body)) || head.Header.Get("Content-Type") != test.media {
			t.Errorf("HEAD %s: %d %v %q", test.target, head.StatusCode, head.Header, nothing)
		}
	}
}

func TestAnotherForm(t *testing.T) {
	shout := render.Format{Name: "txt", MediaType: "text/plain", Write: func(w io.Writer, a render.Answer) error {
		_, err := io.WriteString(w, strings.ToUpper(a.View))
		return err
	}}
	h := api.NewHandler(api.Config{Ledger: &ledger{}, Projections: []*projections.Projection{lines}, Formats: []render.Format{shout}})
	for _, target := range []string{"/v1/credits/balances.txt", "/v1/credits/balances"} {
		if res, body := get(t, h, http.MethodGet, target, "Accept", "text/plain"); body != "CREDITS/BALANCES" || res.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: %s", target, body)
		}
	}
}

// TestPages follows the links of every form to the last row. What they say of
// the log stays as it was on the first page.
func TestPages(t *testing.T) {
	for _, suffix := range []string{"", ".csv", ".ndjson"} {
		l := &ledger{}
		h := newHandler(l)
		path := "/v1/credits/balances" + suffix
		var all strings.Builder
		pages := 0
		for query := "?limit=1&sort=-line"; query != ""; pages++ {
			res, body := get(t, h, http.MethodGet, path+query)
			if res.StatusCode != 200 || pages > 3 {
				t.Fatalf("page %d: %d %s", pages, res.StatusCode, body)
			}
			all.WriteString(body)
			if pages > 0 && (!l.asked.AsOf.Equal(now) || l.asked.Known != 7 || !l.asked.Descending) {
				t.Errorf("page %d asks %+v", pages, l.asked)
			}
			if res.Header.Get("Daybook-Known") != "7" || res.Header.Get("Daybook-As-Of") != "2026-04-01T00:00:00Z" || res.Header.Get("Daybook-Root") != "cm9vdA==" {
				t.Errorf("header %v", res.Header)
			}
			query = strings.TrimSuffix(strings.TrimPrefix(res.Header.Get("Link"), "<"), `>; rel="next"`)
		}
		if pages != 3 || strings.Index(all.String(), "9") > strings.Index(all.String(), "8") {
			t.Errorf("%d pages: %s", pages, &all)
		}
	}
}

func TestList(t *testing.T) {
	want := `{"views":[` +
		`{"view":"credits/balances","title":"Balances","url":"/v1/credits/balances","columns":[{"name":"line","type":"text"},{"name":"remaining","type":"decimal"}]},` +
		`{"view":"log/records","title":"Records","url":"/v1/log/records","columns":[{"name":"line","type":"text"}]}],` +
		`"formats":["json","ndjson","csv"],"parameters":["as_of","known","sort","limit","after"]}` + "\n"
	for _, target := range []string{"/v1/", "/v1"} {
		if res, body := get(t, newHandler(&ledger{}), http.MethodGet, target); res.StatusCode != 200 || body != want {
			t.Errorf("%s: %d\n%s\nwant %s", target, res.StatusCode, body, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	h := newHandler(&ledger{})
	for _, test := range []struct {
		method, target string
		status         int
		code, mention  string
	}{
		{"GET", "/v1/credits/nothing", 404, "not_found", "The views are credits/balances, log/records."},
		{"GET", "/v1/nothing/balances", 404, "not_found", "credits/balances"},
		{"GET", "/v1/credits/balances.exe", 404, "not_found", ".ndjson"},
		{"GET", "/v1/credits/balances.", 404, "not_found", ".csv"},
		{"GET", "/v1/credits", 404, "not_found", "/v1/"},
		{"GET", "/", 404, "not_found", "/v1/"},
		{"GET", "/v1/credits/balances?template=318", 400, "invalid", "parameter template: is unknown"},
		{"GET", "/v1/credits/balances?line=7&line=8", 400, "invalid", "2 times"},
		{"GET", "/v1/credits/balances?line=7;remaining=1", 400, "invalid", "semicolon"},
		{"GET", "/v1/credits/balances?line=%zz", 400, "invalid", "parameters"},
		{"GET", "/v1/credits/balances?as_of=soon", 400, "invalid", "2026-03-31"},
		{"GET", "/v1/credits/balances?limit=-1", 400, "invalid", "number of rows"},
		{"GET", "/v1/credits/balances?after=x", 400, "invalid", "cursor"},
		{"POST", "/v1/credits/balances", 405, "unsupported", "POST"},
		{"DELETE", "/v1/", 405, "unsupported", "GET"},
		{"PUT", "/healthz", 405, "unsupported", "GET"},
	} {
		res, body := get(t, h, test.method, test.target)
		var e struct {
			Error struct{ Code, Message, Hint string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Errorf("%s %s: %v in %s", test.method, test.target, err, body)
		}
		if res.StatusCode != test.status || e.Error.Code != test.code || !strings.Contains(body, test.mention) {
			t.Errorf("%s %s: %d %s, want %d %s mentioning %q", test.method, test.target, res.StatusCode, body, test.status, test.code, test.mention)
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Content-Type") != "application/json" || (test.status == 405) != (res.Header.Get("Allow") == "GET, HEAD") {
			t.Errorf("%s %s: %v", test.method, test.target, res.Header)
		}
	}
}

// TestFailures checks that a failure inside is logged in full and told in part.
func TestFailures(t *testing.T) {
	secret := errors.New(`pq: password authentication failed for user "ledger" at 10.0.0.7: SELECT * FROM log`)
	for _, test := range []struct {
		err    error
		status int
		code   string
	}{
		{secret, 500, "internal"},
		{domain.Errorf(domain.Internal, "ask", "%w", secret), 500, "internal"},
		{domain.Errorf(domain.Unreachable, "database", "%w", secret), 503, "unreachable"},
		{domain.Errorf(domain.Unavailable, "ask", "%w", secret), 503, "unavailable"},
		{domain.Errorf(domain.NotFound, "view", "no tables yet"), 404, "not_found"},
		{domain.Errorf(domain.NotAllowed, "view", "not yours"), 403, "not_allowed"},
		{domain.Errorf(domain.Refused, "view", "no"), 409, "refused"},
	} {
		var logged bytes.Buffer
		h := api.NewHandler(api.Config{
			Ledger: &ledger{err: test.err}, Projections: []*projections.Projection{lines},
			Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		res, body := get(t, h, http.MethodGet, "/v1/credits/balances", "X-Request-Id", "abc-1")
		if res.StatusCode != test.status || !strings.Contains(body, `"code":"`+test.code+`"`) {
			t.Errorf("%v: %d %s", test.err, res.StatusCode, body)
		}
		if strings.Contains(body, "pq") || strings.Contains(body, "ledger") || strings.Contains(body, "10.0.0.7") {
			t.Errorf("%v: the client is told %s", test.err, body)
		}
		if inside := test.status >= 500; inside != (strings.Contains(logged.String(), "10.0.0.7") && strings.Contains(logged.String(), "request_id=abc-1") && res.Header.Get("X-Request-Id") == "abc-1") {
			t.Errorf("%v: header %v, logged %q", test.err, res.Header, &logged)
		}
		if (res.Header.Get("Retry-After") == "1") != (test.status == 503) {
			t.Errorf("%v: Retry-After %q", test.err, res.Header.Get("Retry-After"))
		}
	}
}

// TestRequestID checks that an id that could forge a line of the log is not
// taken over.
func TestRequestID(t *testing.T) {
	h := newHandler(&ledger{err: errors.New("lost")})
	for _, bad := range []string{"", "a b", "x\"y", strings.Repeat("a", 65)} {
		if res, _ := get(t, h, http.MethodGet, "/v1/credits/balances", "X-Request-Id", bad); len(res.Header.Get("X-Request-Id")) != 26 {
			t.Errorf("%q became %q", bad, res.Header.Get("X-Request-Id"))
		}
	}
}

func TestCaching(t *testing.T) {
	h := newHandler(&ledger{})
	for _, open := range []string{"", "?as_of=2026-03-31", "?known=7", "?as_of=2026-03-31&known=2026-03-31"} {
		res, _ := get(t, h, http.MethodGet, "/v1/credits/balances"+open)
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("ETag") != "" {
			t.Errorf("%q may be cached: %v", open, res.Header)
		}
	}
	const pinned = "/v1/credits/balances?as_of=2026-03-31&known=7"
	res, body := get(t, h, http.MethodGet, pinned)
	tag := res.Header.Get("ETag")
	if res.Header.Get("Cache-Control") != "private, no-cache" || len(tag) != 66 || body == "" {
		t.Fatalf("%v", res.Header)
	}
	for _, test := range []struct {
		target, given string
		status        int
	}{
		{pinned, tag, 304},
		{pinned, `"x", W/` + tag, 304},
		{pinned, "*", 304},
		{pinned, `"x"`, 200},
		{strings.Replace(pinned, "?", ".csv?", 1), tag, 200},
		{pinned + "&limit=1", tag, 200},
		{"/v1/credits/balances", tag, 200},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			res, body := get(t, h, method, test.target, "If-None-Match", test.given)
			if res.StatusCode != test.status || (body == "") != (test.status == 304 || method == http.MethodHead) {
				t.Errorf("%s %s, If-None-Match %s: %d %q", method, test.target, test.given, res.StatusCode, body)
			}
			if test.target == pinned && res.Header.Get("ETag") != tag {
				t.Errorf("%s %s: ETag %s, want %s", method, test.target, res.Header.Get("ETag"), tag)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	dead := &ledger{err: domain.Errorf(domain.Unreachable, "database", "dial tcp 10.0.0.7:5432: refused")}
	for _, test := range []struct {
		target string
		ledger *ledger
		status int
		want   string
	}{
		{"/healthz", dead, 200, `{"status":"ok"}`},
		{"/version", dead, 200, `{"version":"test"}`},
		{"/readyz", dead, 503, `{"ready":false,"database":"unusable","log":"ok","head":0,"projections":[]}`},
		{"/readyz", &ledger{status: []api.Status{
			{Name: "credits", Version: 1, Position: 5, Head: 7}, {Name: "sales", Version: 2, Position: 3, Head: 7, StoppedAt: 4},
		}}, 200, `{"ready":true,"database":"ok","log":"ok","head":7,"projections":[` +
			`{"name":"credits","status":"running","version":1,"position":5,"lag":2},` +
			`{"name":"sales","status":"stopped","version":2,"position":3,"lag":4,"stopped_at":4}]}`},
		{"/readyz", &ledger{status: []api.Status{{Name: "credits", Version: 1}, {Name: "sales"}}}, 503, `{"ready":false,"database":"ok","log":"ok","head":0,"projections":[` +
			`{"name":"credits","status":"running","version":1,"position":0,"lag":0},` +
			`{"name":"sales","status":"missing","version":0,"position":0,"lag":0}]}`},
	} {
		res, body := get(t, newHandler(test.ledger), http.MethodGet, test.target)
		if res.StatusCode != test.status || body != test.want+"\n" {
			t.Errorf("%s: %d %s, want %d %s", test.target, res.StatusCode, body, test.status, test.want)
		}
		if (res.Header.Get("Retry-After") == "1") != (test.status == 503) {
			t.Errorf("%s: Retry-After %q", test.target, res.Header.Get("Retry-After"))
		}
	}
}

// TestServer asks over a real connection, where HEAD and 304 must not break the
// one after.
func TestServer(t *testing.T) {
	server := httptest.NewServer(newHandler(&ledger{}))
	defer server.Close()
	client := server.Client()
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} {
		u, err := url.JoinPath(server.URL, "v1", "credits", "balances")
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || method == http.MethodGet && !strings.HasSuffix(string(body), rowsJSON) {
			t.Errorf("%s: %d %s %v", method, res.StatusCode, body, err)
		}
	}
}
