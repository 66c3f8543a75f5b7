package tahdah

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
)

func TestGrantKey(t *testing.T) {
	// It is for ever: another key for the same reference would grant twice.
	const want = "e4f509ee-ca7a-87be-9b46-c7cbfa0a5db0"
	if got := GrantKey("acme-tahdah", "INV-1"); got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string][2]string{}
	rapid.Check(t, func(t *rapid.T) {
		of := [2]string{rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(t, "source"), rapid.String().Draw(t, "reference")}
		key := GrantKey(of[0], of[1])
		if !form.MatchString(key) {
			t.Errorf("%q is no UUID of version 8", key)
		}
		if other, ok := seen[key]; ok && other != of {
			t.Errorf("%q and %q have one key", other, of)
		}
		seen[key] = of
	})
}

func TestGrantBody(t *testing.T) {
	g := Grant{Key: "k", Holder: "4411", Order: `SO "1" & <2>`, Template: "318", Quantity: decimal.RequireFromString("20")}
	body, err := g.Body("operations")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"idempotencyKey":"k","orderNumber":"SO \"1\" & <2>","operations":[{"eventTemplateId":318,"numberOfCredits":20}]}`
	if string(body) != want || !json.Valid(body) {
		t.Errorf("body %s\nwant %s", body, want)
	}
	for _, tt := range []struct {
		name, member, holder, template, quantity string
		code                                     domain.Code
	}{
		{"no member", "", "4411", "318", "20", domain.Refused},
		{"a member that is taken", "orderNumber", "4411", "318", "20", domain.Usage},
		{"no holder", "operations", "", "318", "20", domain.Refused},
		{"a holder that is a path", "operations", "44/../11", "318", "20", domain.Refused},
		{"a template that is no number", "operations", "4411", "3e2", "20", domain.Refused},
		{"a template that is code", "operations", "4411", `1},{"eventTemplateId":2`, "20", domain.Refused},
		{"no credits", "operations", "4411", "318", "0", domain.Refused},
		{"credits taken away", "operations", "4411", "318", "-1", domain.Refused},
		{"half a credit", "operations", "4411", "318", "0.5", domain.Refused},
	} {
		g := Grant{Key: "k", Holder: tt.holder, Order: "o", Template: tt.template, Quantity: decimal.RequireFromString(tt.quantity)}
		if body, err := g.Body(tt.member); domain.CodeOf(err) != tt.code {
			t.Errorf("%s: %s, %v, want code %s", tt.name, body, err, tt.code)
		}
	}
	large := Grant{Key: "k", Holder: "4411", Order: "o", Template: "1", Quantity: decimal.RequireFromString("1e6")}
	if body, err := large.Body("x"); err != nil || !strings.Contains(string(body), `"numberOfCredits":1000000}`) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestGrantQuery(t *testing.T) {
	q := GrantQuery("44/../11?x", []byte("{}"))
	if want := "api/eventcredits/legalentities/44%2F..%2F11%3Fx"; q.Method != http.MethodPut || q.Path != want {
		t.Errorf("%s %s, want PUT %s", q.Method, q.Path, want)
	}
}

func TestGrantOutcome(t *testing.T) {
	for _, tt := range []struct {
		status int
		media  string
		body   string
		want   string
	}{
		{200, "application/json", `{}`, Granted},
		{201, "application/json", ``, Granted},
		{204, "", ``, Granted},
		{202, "application/json", `{}`, domain.GrantUnknown},
		{200, "text/html; charset=utf-8", `<html>`, domain.GrantUnknown},
		{302, "", ``, domain.GrantUnknown},
		{400, "application/json", `{"errors":{"operations":["required"]}}`, domain.GrantRefused},
		{401, "", ``, domain.GrantRefused},
		{401, "", `{"error":"invalid API key used"}`, domain.GrantRefused},
		{403, "", ``, domain.GrantRefused},
		{404, "", `{"title":"no such legal entity"}`, domain.GrantRefused},
		{422, "", `{"error":"template 318 is retired"}`, domain.GrantRefused},
		{429, "", ``, domain.GrantRefused},
		{400, "application/json", `{"error":"Idempotency key already used"}`, domain.GrantUnknown},
		{400, "application/json", `{"detail":"The key 7c9e has been used."}`, domain.GrantUnknown},
		{422, "application/json", `{"message":"Request has already been processed"}`, domain.GrantUnknown},
		{400, "", `Duplicate request`, domain.GrantUnknown},
		{422, "application/json", `{"error":"duplicate request key"}`, domain.GrantUnknown},
		{409, "", ``, domain.GrantUnknown},
		{408, "", ``, domain.GrantUnknown},
		{500, "", ``, domain.GrantUnknown},
		{502, "text/html", `<html>`, domain.GrantUnknown},
		{503, "", ``, domain.GrantUnknown},
		{504, "", ``, domain.GrantUnknown},
		{599, "", ``, domain.GrantUnknown},
	} {
		got, reason := GrantOutcome(tt.status, http.Header{"Content-Type": {tt.media}}, []byte(tt.body))
		if got != tt.want || (reason == "") != (got == Granted) {
			t.Errorf("%d %q: %s (%s), want %s", tt.status, tt.body, got, reason, tt.want)
		}
	}
}
