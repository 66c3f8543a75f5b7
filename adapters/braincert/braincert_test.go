package braincert_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/braincert"
	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

func TestProvider(t *testing.T) {
	intaketest.Run(t, intaketest.Suite{
		New: func(secrets ...string) (intaketest.Provider, error) {
			return braincert.New(braincert.Config{Secrets: secrets})
		},
		Secrets: [2]string{samples.BraincertLogin, "hook:pass:with:colons"},
		Sign:    braincert.Sign,
		Header:  "Authorization",
		Same:    sameScheme,
		Request: domain.Request{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{}`)},
		More:    intaketest.Requests(t, "braincert"),
	})
}

// sameScheme reports whether two headers differ in the letter case of the
// scheme only (RFC 7617).
func sameScheme(a, b string) bool {
	schemeA, loginA, _ := strings.Cut(a, " ")
	schemeB, loginB, _ := strings.Cut(b, " ")
	return strings.EqualFold(schemeA, schemeB) && loginA == loginB
}

func provider(t testing.TB) *braincert.Provider {
	t.Helper()
	p, err := braincert.New(braincert.Config{Secrets: []string{samples.BraincertLogin}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSamples fixes what becomes of every sample.
func TestSamples(t *testing.T) {
	p := provider(t)
	intaketest.Samples(t, "braincert", func(s samples.Sample, r domain.Request) string {
		if _, err := p.Verify(r); err != nil {
			t.Errorf("%s: %v", s.File, err)
		}
		return intaketest.Describe(p.Translate(r))
	})
}

func TestVerify(t *testing.T) {
	p := provider(t)
	basic := func(login string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(login)) }
	for _, tt := range []struct{ name, header, how string }{
		{"good", basic(samples.BraincertLogin), "basic, secret 1"},
		{"scheme in lower case", strings.Replace(basic(samples.BraincertLogin), "Basic", "basic", 1), "basic, secret 1"},
		{"no header", "", ""},
		{"other scheme", "Bearer " + samples.BraincertLogin, ""},
		{"not base64", "Basic " + samples.BraincertLogin, ""},
		{"nothing behind the scheme", "Basic ", ""},
		{"other user", basic("x" + samples.BraincertLogin), ""},
		{"only the user", basic("braincert-hook"), ""},
		{"empty password", basic("braincert-hook:"), ""},
		{"longer password", basic(samples.BraincertLogin + "\x00"), ""},
	} {
		r := domain.Request{Header: http.Header{"Authorization": {tt.header}}}
		how, err := p.Verify(r)
		if how != tt.how || (err == nil) != (tt.how != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, how, err, tt.how)
		}
	}
	if _, err := p.Verify(domain.Request{}); domain.CodeOf(err) != domain.Unauthenticated {
		t.Errorf("a request without any header: %v", err)
	}
}

// TestVerifyOneForm: the same login in base64 that no encoder writes is a forgery.
func TestVerifyOneForm(t *testing.T) {
	p, err := braincert.New(braincert.Config{Secrets: []string{"u:pw"}})
	if err != nil {
		t.Fatal(err)
	}
	for encoded, want := range map[string]bool{"dTpwdw==": true, "dTpwdx==": false, "dTpwdw": false, " dTpwdw==": false} {
		_, err := p.Verify(domain.Request{Header: http.Header{"Authorization": {"Basic " + encoded}}})
		if (err == nil) != want {
			t.Errorf("%q: %v", encoded, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, secret := range []string{"Passw0rd", ":Passw0rd", "Passw0rd:"} {
		_, err := braincert.New(braincert.Config{Secrets: []string{secret}})
		if domain.CodeOf(err) != domain.Usage || domain.HintOf(err) == "" {
			t.Errorf("%q: %v, want code %q and a hint", secret, err, domain.Usage)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	for _, r := range intaketest.Requests(f, "braincert") {
		f.Add(http.Header(r.Header).Get("Content-Type"), "", r.Body)
	}
	f.Add("", "users/789310", []byte(`{"user_id":789310,"name":"Amina Yusuf","roles":[{"role_id":1}]}`))
	f.Add("", "courses/909120", []byte(`{"id":"909120","title":"Track Safety Foundation"}`))
	f.Add("", "groups/304120", []byte(`{"group_id":304120,"group_name":"Rail Safety 2026"}`))
	p := provider(f)
	f.Fuzz(func(t *testing.T, contentType, fetched string, body []byte) {
		intaketest.Check(t, p, domain.Request{Header: http.Header{"Content-Type": {contentType}}, Fetched: fetched, Body: body})
	})
}
