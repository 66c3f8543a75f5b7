package credly_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/domain"
)

// FuzzVerify has one good token, letter for letter.
func FuzzVerify(f *testing.F) {
	for _, s := range []string{token, "", token + "0", "6A1F0C52D9E84B7F", "%36a1f0c52d9e84b7f", "another-token"} {
		f.Add(s)
	}
	p := provider(f)
	f.Fuzz(func(t *testing.T, presented string) {
		for _, s := range []string{presented, token + presented, presented + token} {
			intaketest.CheckVerify(t, p, domain.Request{Token: s}, s == token)
		}
	})
}
