package intaketest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// Requests returns the samples of a provider as requests. A provider whose
// secret is in the address sets the token itself.
func Requests(t testing.TB, provider string) []domain.Request {
	t.Helper()
	var requests []domain.Request
	for _, s := range webhooks(t, provider) {
		requests = append(requests, domain.Request{Header: s.Header, Body: s.Body})
	}
	return requests
}

func webhooks(t testing.TB, provider string) []samples.Sample {
	t.Helper()
	all, err := samples.Webhooks(provider)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no samples of %s", provider)
	}
	return all
}

// Samples fixes in testdata/samples.golden what becomes of every sample of a
// provider: its file, what is expected of it, and what describe says.
func Samples(t *testing.T, provider string, describe func(samples.Sample, domain.Request) string) {
	t.Helper()
	var b strings.Builder
	for _, s := range webhooks(t, provider) {
		got := describe(s, domain.Request{Header: s.Header, Body: s.Body})
		fmt.Fprintf(&b, "== %s\n# %s\n%s\n", s.File, s.Expect, got)
	}
	Golden(t, "testdata/samples.golden", b.String())
}

// Verified describes an authentic request as [Describe] does, below a line that
// says how it was authenticated.
func Verified(t testing.TB, p Provider, r domain.Request) string {
	t.Helper()
	how, err := p.Verify(r)
	if err != nil {
		t.Errorf("%q: %v", r.Body, err)
	}
	return "verified " + how + "\n" + Describe(p.Translate(r))
}

// Quarantined wants Translate to refuse r with the given "field reason", and
// returns what can be said of r all the same.
func Quarantined(t testing.TB, p Provider, r domain.Request, want string) domain.Translation {
	t.Helper()
	tr, err := p.Translate(r)
	field, _ := errors.AsType[*domain.FieldError](err)
	if field == nil || field.Error() != want || domain.CodeOf(err) != domain.Invalid {
		t.Errorf("%v, want %q", err, want)
	}
	if len(tr.Facts) > 0 {
		t.Errorf("%d facts", len(tr.Facts))
	}
	return tr
}
