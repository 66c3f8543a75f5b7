package tahdah_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
)

// FuzzVerify computes by itself which signatures are good: that of the body, and
// that of the body without its byte order mark.
func FuzzVerify(f *testing.F) {
	for _, r := range intaketest.Requests(f, "tahdah") {
		f.Add(http.Header(r.Header).Get("Webhook-Signature"), r.Body)
	}
	p := provider(f, tahdah.Config{})
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		marked, trimmed := mac(body), mac(bytes.TrimPrefix(body, []byte("\uFEFF")))
		for _, s := range []string{signature, marked, trimmed, strings.ToUpper(marked), marked + signature, marked[:len(marked)-1]} {
			authentic := strings.EqualFold(s, marked) || strings.EqualFold(s, trimmed)
			intaketest.CheckVerify(t, p, domain.Request{Header: http.Header{"Webhook-Signature": {s}}, Body: body}, authentic)
		}
	})
}

// mac returns the hexadecimal HMAC-SHA-256 of a message.
func mac(message []byte) string {
	h := hmac.New(sha256.New, []byte(samples.TahdahSecret))
	h.Write(message)
	return hex.EncodeToString(h.Sum(nil))
}
