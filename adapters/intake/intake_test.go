package intake_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// A vendor is a provider that accepts what says "ok" and translates as told.
type vendor struct {
	translate func(domain.Request) (domain.Translation, error)
}

func (vendor) Verify(r domain.Request) (string, error) {
	if http.Header(r.Header).Get("Authorization") != "ok" && r.Token != "ok" {
		return "", domain.Errorf(domain.Unauthenticated, "vendor: verify", "no").WithHint("Say ok.")
	}
	return "vendor, secret 1", nil
}

func (v vendor) Translate(r domain.Request) (domain.Translation, error) { return v.translate(r) }

// reported is a translation with one level.
func reported(level int64, test bool) func(domain.Request) (domain.Translation, error) {
	return func(r domain.Request) (domain.Translation, error) {
		return domain.Translation{Topic: "level", Test: test, Facts: []domain.Fact{{
			Event: domain.CreditsReported{Line: "7", Template: "318", Remaining: decimal.NewFromInt(level)},
		}}}, nil
	}
}

// serve returns the answer of a handler with one source, "acme".
func serve(log intake.Appender, source intake.Source, r *http.Request) *httptest.ResponseRecorder {
	source.Name = "acme"
	mux := http.NewServeMux()
	intake.NewHandler(log, []intake.Source{source}, slog.New(slog.DiscardHandler)).Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func post(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "ok")
	return r
}

func receipt(t *testing.T, w *httptest.ResponseRecorder) domain.Receipt {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var r domain.Receipt
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecord posts deliveries whose translation goes every possible way: each
// is answered with 200 and recorded.
func TestRecord(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	long := strings.Repeat("long ", 100)
	for i, tt := range []struct {
		name      string
		translate func(domain.Request) (domain.Translation, error)
		bookTests bool
		status    domain.Status
		kind      domain.Kind
		test      bool
		data      string // part of the record's data
	}{
		{"accepted", reported(14, false), false, domain.Accepted, "credits.reported.v1", false, `"remaining":"14"`},
		{"test", reported(14, true), false, domain.Accepted, "credits.reported.v1", true, `"line":"7"`},
		{"test that counts", reported(14, true), true, domain.Accepted, "credits.reported.v1", false, `"line":"7"`},
		{"nothing to keep", func(domain.Request) (domain.Translation, error) {
			return domain.Translation{Topic: "chatter", Reason: "unknown topic"}, nil
		}, false, domain.Unrecognized, "intake.unrecognized.v1", false, `{"topic":"chatter","reason":"unknown topic"}`},
		{"refused with a field", func(domain.Request) (domain.Translation, error) {
			return domain.Translation{Topic: "level"}, domain.Errorf(domain.Invalid, "vendor", "%w", &domain.FieldError{Field: "payload/user/id", Reason: "is missing"})
		}, false, domain.Quarantined, "intake.quarantined.v1", false, `{"topic":"level","reason":"is missing","field":"payload/user/id"}`},
		{"refused at length", func(domain.Request) (domain.Translation, error) {
			return domain.Translation{Topic: long}, errors.New("control \x01 and " + long)
		}, false, domain.Quarantined, "intake.quarantined.v1", false, `"reason":"the translator failed"`},
		{"not a valid event", reported(-1, false), false, domain.Quarantined, "intake.quarantined.v1", false, `{"topic":"level","reason":"is negative","field":"remaining"}`},
		{"panics", func(domain.Request) (domain.Translation, error) { panic("bug") }, false, domain.Quarantined, "intake.quarantined.v1", false, `"reason":"makes the translator fail: string","field":"body"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := `{"delivery":"` + tt.name + `"}`
			r := receipt(t, serve(log, intake.Source{Provider: vendor{tt.translate}, BookTests: tt.bookTests}, post("/webhooks/acme", body)))
			if r.Status != tt.status || len(r.Records) != 1 || r.Records[0].Kind != tt.kind || r.Records[0].Position != int64(i+1) {
				t.Fatalf("receipt %+v", r)
			}
			var data string
			var test bool
			if err := db.QueryRowContext(t.Context(), `SELECT data, test FROM log WHERE position = $1`, i+1).Scan(&data, &test); err != nil {
				t.Fatal(err)
			}
			kept := delivery(t, url, db, r.Delivery)
			if string(kept.Body) != body || kept.Verified != "vendor, secret 1" {
				t.Errorf("kept %q, verified by %q", kept.Body, kept.Verified)
			}
			if !strings.Contains(data, tt.data) || test != tt.test {
				t.Errorf("data %s, test %v", data, test)
			}
			if header := fmt.Sprint(kept.Header); strings.Contains(header, "ok") || !strings.Contains(header, "(not kept)") {
				t.Errorf("the credentials are in the headers kept: %s", header)
			}
		})
	}
}

// delivery reads a delivery back.
func delivery(t *testing.T, url string, db *sql.DB, id ulid.ULID) postgres.StoredDelivery {
	t.Helper()
	d, err := postgres.ReadDelivery(t.Context(), db, postgrestest.Keys(t, url), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestKept checks which headers are not recorded, in whatever case they are written.
func TestKept(t *testing.T) {
	header := map[string][]string{"X-Original-Uri": {"/webhooks/acme/t%2Fk", "/"}, "X-Other": {"t/k?"}, "Content-Type": {"application/json"}}
	secrets := []string{"Authorization", "proxy-authorization", "Cookie", "X-API-Key"}
	for _, name := range secrets {
		header[name] = []string{"4711"}
	}
	got := intake.Kept(header, "t/k")
	for _, name := range append(secrets, "X-Other") {
		if !slices.Equal(got[name], []string{"(not kept)"}) {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	if !slices.Equal(got["X-Original-Uri"], []string{"(not kept)", "/"}) || !slices.Equal(got["Content-Type"], []string{"application/json"}) {
		t.Errorf("%q", got)
	}
}

// TestVerbatim posts bytes that no text column takes.
func TestVerbatim(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	body := "\x00\xff\xfe{\\u0000}\r\n"
	r := post("/webhooks/acme", body)
	r.Header.Set("X-Note", "caf\xe9")
	recorded := receipt(t, serve(log, intake.Source{Provider: vendor{reported(1, false)}}, r))
	kept := delivery(t, url, postgrestest.Open(t, url, postgres.RoleProjector), recorded.Delivery)
	if note := kept.Header["X-Note"]; string(kept.Body) != body || !slices.Equal(note, []string{"café"}) {
		t.Errorf("kept %q, %q", kept.Body, note)
	}
}

func TestRefuse(t *testing.T) {
	log := postgrestest.Appender(t, postgrestest.URL(t))
	with := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	get := httptest.NewRequest(http.MethodGet, "/webhooks/acme", nil)
	for _, tt := range []struct {
		name    string
		request *http.Request
		status  int
		header  string
	}{
		{"not authentic", with(post("/webhooks/acme", "{}"), "Authorization", "no"), 401, "Www-Authenticate"},
		{"by token", with(post("/webhooks/acme/ok", "{}"), "Authorization", ""), 200, ""},
		{"wrong token", with(post("/webhooks/acme/no", "{}"), "Authorization", ""), 401, ""},
		{"no such source", post("/webhooks/other", "{}"), 404, ""},
		{"not a POST", get, 405, "Allow"},
		{"too large", post("/webhooks/acme", strings.Repeat("x", intake.DefaultMaxBytes+1)), 413, ""},
		{"as large as may be", post("/webhooks/acme", strings.Repeat("x", intake.DefaultMaxBytes)), 200, ""},
		{"compressed", with(post("/webhooks/acme", "{}"), "Content-Encoding", "gzip"), 415, ""},
		{"a form", with(post("/webhooks/acme", "{}"), "Content-Type", "multipart/form-data; boundary=x"), 415, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := serve(log, intake.Source{Provider: vendor{reported(1, false)}}, tt.request)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.header != "" && w.Header().Get(tt.header) == "" {
				t.Errorf("no %s header", tt.header)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("the answer is no JSON: %s", w.Body)
			}
		})
	}
}

// stopped is a log that cannot be reached: an appender whose time is over.
func stopped(t *testing.T) *postgres.Appender {
	t.Helper()
	url := postgrestest.URL(t)
	a := postgres.NewAppender(postgrestest.Open(t, url, postgres.RoleWriter), postgrestest.Keys(t, url))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestTryAgain refuses with 503 what cannot be recorded now, and says when to
// try again.
func TestTryAgain(t *testing.T) {
	w := serve(stopped(t), intake.Source{Provider: vendor{reported(1, false)}}, post("/webhooks/acme", "{}"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, headers %v: %s", w.Code, w.Header(), w.Body)
	}
}

// TestTokenNotKept posts with a token in the path, which a proxy repeats in
// headers of its own.
func TestTokenNotKept(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	r := httptest.NewRequest(http.MethodPost, "/webhooks/acme/s%2Fcret-1", strings.NewReader("{}"))
	for name, value := range map[string]string{
		"X-Original-Uri":      "/webhooks/acme/s%2Fcret-1",
		"X-Original-Url":      "/webhooks/acme/s%2fcret-1?x=1",
		"X-Forwarded-Request": "POST /webhooks/acme/s/cret-1",
		"X-Harmless":          "kept",
	} {
		r.Header.Set(name, value)
	}
	translate := reported(1, false)
	recorded := receipt(t, serve(log, intake.Source{Provider: anyone{translate}}, r))
	header := fmt.Sprint(delivery(t, url, postgrestest.Open(t, url, postgres.RoleProjector), recorded.Delivery).Header)
	if strings.Contains(header, "cret") || !strings.Contains(header, "kept") {
		t.Errorf("kept %s", header)
	}
}

// anyone is a provider that takes every request for authentic.
type anyone struct {
	translate func(domain.Request) (domain.Translation, error)
}

func (anyone) Verify(domain.Request) (string, error) { return "nothing", nil }

func (a anyone) Translate(r domain.Request) (domain.Translation, error) { return a.translate(r) }
