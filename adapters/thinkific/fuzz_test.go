package thinkific_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// FuzzVerify computes by itself which signature is good.
func FuzzVerify(f *testing.F) {
	for _, r := range intaketest.Requests(f, "thinkific") {
		f.Add(http.Header(r.Header).Get("X-Thinkific-Hmac-Sha256"), r.Body)
	}
	p := provider(f, "USD")
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		h := hmac.New(sha256.New, []byte(samples.ThinkificKey))
		h.Write(body)
		good := hex.EncodeToString(h.Sum(nil))
		for _, s := range []string{signature, good, strings.ToUpper(good), good + signature, good[:len(good)-1]} {
			r := domain.Request{Header: http.Header{"X-Thinkific-Hmac-Sha256": {s}}, Body: body}
			intaketest.CheckVerify(t, p, r, strings.EqualFold(s, good))
		}
	})
}
