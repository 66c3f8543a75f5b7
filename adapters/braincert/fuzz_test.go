package braincert_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// FuzzVerify has one good header, but for the letter case of its scheme.
func FuzzVerify(f *testing.F) {
	for _, r := range intaketest.Requests(f, "braincert") {
		f.Add(http.Header(r.Header).Get("Authorization"), samples.BraincertLogin)
	}
	f.Add("Bearer x", "braincert-hook:")
	p := provider(f)
	f.Fuzz(func(t *testing.T, header, login string) {
		encode := base64.StdEncoding.EncodeToString
		for _, s := range []string{header, "Basic " + encode([]byte(login)), "basic " + encode([]byte(samples.BraincertLogin))} {
			scheme, encoded, _ := strings.Cut(s, " ")
			authentic := strings.EqualFold(scheme, "Basic") && encoded == encode([]byte(samples.BraincertLogin))
			intaketest.CheckVerify(t, p, domain.Request{Header: http.Header{"Authorization": {s}}}, authentic)
		}
	})
}
