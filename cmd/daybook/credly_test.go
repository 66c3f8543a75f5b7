package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// TestCredlyAuth checks what is sent for each way to authenticate.
func TestCredlyAuth(t *testing.T) {
	var got, bought string
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/x", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		_, _ = io.WriteString(w, "{}")
	})
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		bought = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"bought","token_type":"Bearer","expires_in":7200}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for auth, want := range map[string]string{
		"":           "Basic aWQ6c2VjcmV0Og==", // id:secret and a colon
		"basic":      "Basic aWQ6c2VjcmV0Og==",
		"basic-bare": "Basic aWQ6c2VjcmV0",
		"oauth":      "Bearer bought",
	} {
		config, err := credlyAPI(sourceConfig{APIURL: server.URL + "/v1", APIAuth: auth}, "id:secret")
		if err != nil {
			t.Fatal(err)
		}
		client, err := fetch.New(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Try(t.Context(), domain.Query{Path: "x"}); err != nil || got != want {
			t.Errorf("%q sends %q, %v; want %q", auth, got, err, want)
		}
	}
	if bought != "Basic aWQ6c2VjcmV0" {
		t.Errorf("the token is bought with %q", bought)
	}
	for _, s := range []sourceConfig{{APIAuth: "bearer"}, {APIAuth: "oauth"}} {
		if _, err := credlyAPI(s, "no-colon"); domain.CodeOf(err) != domain.Usage || domain.HintOf(err) == "" {
			t.Errorf("%q: %v", s.APIAuth, err)
		}
	}
}

func TestTokenAge(t *testing.T) {
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for days, want := range map[int]string{0: "", 149: "", 151: checkWarn, 179: checkWarn, 180: checkFail, 400: checkFail} {
		now := issued.AddDate(0, 0, days)
		verdict, text := sourceConfig{APIToken: "env:X", APITokenIssued: issued}.tokenAge(now)
		if verdict != want || (verdict != "") != strings.Contains(text, "2026-06-30") {
			t.Errorf("after %d days: %s, %s", days, verdict, text)
		}
	}
	for _, s := range []sourceConfig{{APITokenIssued: issued}, {APIToken: "env:X"}, {APIToken: "env:X", APITokenIssued: issued, APIAuth: authOAuth}} {
		if verdict, text := s.tokenAge(issued.AddDate(5, 0, 0)); verdict != "" {
			t.Errorf("%+v: %s", s, text)
		}
	}
}

// TestDoctorAsksCredly checks what doctor makes of a source's API, and that it
// never shows a secret.
func TestDoctorAsksCredly(t *testing.T) {
	const token, secret = "api-token-4711", "path-secret-0815"
	answer, status := "", http.StatusOK
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/organizations/{organization}", func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); user != token || r.PathValue("organization") != samples.CredlyOrganization {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("PATH_SECRET", secret)
	url := postgrestest.URL(t)
	for _, tt := range []struct {
		name, token, webhook, more string
		status                     int
		want                       string
		exit                       int
	}{
		{"good", token, "https://hooks.example.com/webhooks/acme/" + secret, "", 200, "acme,ok,the API token is good; webhooks go to https://hooks.example.com/webhooks/acme/…", exitDone},
		{"behind a prefix", token, "https://hooks.example.com/daybook/webhooks/acme/" + secret, "", 200, "/daybook/webhooks/acme/…", exitDone},
		{"another secret", token, "https://hooks.example.com/webhooks/acme/path-secret-old", "", 200, "acme,fail,the API token is good; webhooks go to https://hooks.example.com/webhooks/acme/… with a secret", exitDiffers},
		{"elsewhere", token, "https://other.example.com/hook/path-secret-old", "", 200, "acme,warn,", exitDone},
		{"nowhere", token, "", "", 200, "no webhook_url is set at Credly", exitDone},
		{"refused", "wrong-token", "", "", 200, "the API answers 401 Unauthorized", exitDiffers},
		{"down", token, "", "", 503, "acme,warn,Credly does not answer; notices wait", exitDone},
		{"old", token, "https://hooks.example.com/webhooks/acme/" + secret, "api_token_issued = 2020-01-01\n", 200, "acme,fail,the API token ended on 2020-06-29", exitDiffers},
		{"unknown way", token, "", "api_auth = \"magic\"\n", 200, "there is no way", exitDiffers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, status = fmt.Sprintf(`{"data":{"id":"1","webhook_url":%q}}`, tt.webhook), tt.status
			t.Setenv("API_TOKEN", tt.token)
			file := t.TempDir() + "/daybook.toml"
			config := fmt.Sprintf("[[source]]\nname = \"acme\"\nprovider = \"credly\"\nsecrets = [\"env:PATH_SECRET\"]\norganizations = [%q]\napi_token = \"env:API_TOKEN\"\napi_url = %q\n%s",
				samples.CredlyOrganization, server.URL+"/v1", tt.more)
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			stdout, stderr, exit := daybook(t, url, "doctor", "--config", file, "-o", "csv")
			if !strings.Contains(strings.ReplaceAll(stdout, `"`, ""), tt.want) {
				t.Errorf("it does not say %q:\n%s%s", tt.want, stdout, stderr)
			}
			// The test database may lose what it has committed, which doctor fails for.
			if failed := strings.Contains(stdout, "acme,fail"); failed != (tt.exit == exitDiffers) {
				t.Errorf("failed %v, exit status %d:\n%s", failed, exit, stdout)
			}
			for _, hidden := range []string{token, "wrong-token", "path-secret"} {
				if strings.Contains(stdout+stderr, hidden) {
					t.Errorf("it shows %q:\n%s%s", hidden, stdout, stderr)
				}
			}
		})
	}
}
