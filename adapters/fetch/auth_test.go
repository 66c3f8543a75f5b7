package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
)

func contextWithStop(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func TestAuth(t *testing.T) {
	for _, test := range []struct {
		auth Auth
		want http.Header
	}{
		{Basic("tok", ""), http.Header{"Authorization": {"Basic dG9rOg=="}}},
		{Bearer("tok"), http.Header{"Authorization": {"Bearer tok"}}},
		{Header("Authorization", "bare", "x-domain-id", "7"), http.Header{"Authorization": {"bare"}, "X-Domain-Id": {"7"}}},
	} {
		r := httptest.NewRequest("GET", "https://api.example.com", nil)
		if err := test.auth.Add(r); err != nil {
			t.Error(err)
		}
		for name := range test.want {
			if r.Header.Get(name) != test.want.Get(name) {
				t.Errorf("%s: %q, want %q", name, r.Header.Get(name), test.want.Get(name))
			}
		}
	}
}

// TestOAuth checks that a token is bought once, used by many, and that a refusal
// is told without what the server said.
func TestOAuth(t *testing.T) {
	var bought atomic.Int32
	code := 200
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		bought.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if code == 200 {
			_, _ = io.WriteString(w, `{"access_token":"bought","token_type":"Bearer","expires_in":7200}`)
			return
		}
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"secret-4711 is wrong"}`)
	})
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer bought" {
			t.Errorf("%v", r.Header)
		}
		_, _ = io.WriteString(w, "{}")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := func() *Client {
		auth, err := OAuth(server.URL+"/oauth/token", "daybook", "secret-4711", "read")
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(Config{BaseURL: server.URL + "/v1", Auth: auth, PerMinute: 60_000})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := client()
	done := make(chan error)
	for range 5 {
		go func() { _, err := c.Try(t.Context(), domain.Query{Path: "x"}); done <- err }()
	}
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if bought.Load() != 1 {
		t.Errorf("%d tokens were bought", bought.Load())
	}
	for status, want := range map[int]domain.Code{401: domain.Unauthenticated, 400: domain.Unauthenticated, 302: domain.Unauthenticated, 429: domain.Unavailable, 503: domain.Unavailable} {
		code = status
		_, err := client().Try(t.Context(), domain.Query{Path: "x"})
		if domain.CodeOf(err) != want {
			t.Errorf("%d: %v", status, err)
		}
		quiet(t, err)
	}
	if _, err := OAuth("http://api.example.com/oauth/token", "a", "b"); domain.CodeOf(err) != domain.Usage {
		t.Error(err)
	}
}

// TestOAuthRefused wants a token that the API does not accept any more to be
// replaced at once, also if its server never said how long it lasts; and not for
// ever, if the API accepts none.
func TestOAuthRefused(t *testing.T) {
	var bought, asked atomic.Int32
	var ended, none atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer"}`, bought.Add(1))
	})
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if none.Load() || ended.Load() && r.Header.Get("Authorization") == "Bearer token-1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, "{}")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	auth, err := OAuth(server.URL+"/oauth/token", "daybook", "secret-4711")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{BaseURL: server.URL + "/v1", Auth: auth, PerMinute: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		ended, none   bool
		want          domain.Code
		bought, asked int32
	}{
		{false, false, "", 1, 1},
		{true, false, "", 2, 3},
		{true, false, "", 2, 4},
		{true, true, domain.Unauthenticated, 3, 6},
		{true, false, "", 4, 7},
	} {
		ended.Store(step.ended)
		none.Store(step.none)
		_, err := c.Try(t.Context(), domain.Query{Path: "x"})
		if domain.CodeOf(err) != step.want || bought.Load() != step.bought || asked.Load() != step.asked {
			t.Errorf("%+v: %d tokens were bought and %d requests sent: %v", step, bought.Load(), asked.Load(), err)
		}
	}
	// Whoever was refused with the former token is told late.
	late := httptest.NewRequest("GET", "https://api.example.com", nil)
	late.Header.Set("Authorization", "Bearer token-1")
	auth.Refused(late)
	if _, err := c.Try(t.Context(), domain.Query{Path: "x"}); err != nil || bought.Load() != 4 {
		t.Errorf("%d tokens were bought: %v", bought.Load(), err)
	}
}
