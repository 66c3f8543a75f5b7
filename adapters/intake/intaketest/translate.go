package intaketest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// Check tries the laws of Translate on one request; a fuzz target calls it.
//
//   - It is pure: twice the same, and the request stays as it is.
//   - It either fails, naming a field, and books nothing; or it returns facts; or
//     it says why there are none.
//   - What it returns can be recorded: each fact, the topic, and the reason for
//     a failure.
func Check(t testing.TB, p Provider, r domain.Request) {
	t.Helper()
	before := clone(r)
	tr, err := p.Translate(r)
	if !reflect.DeepEqual(clone(r), before) {
		t.Errorf("Translate changed its request: %q", before.Body)
	}
	again, errAgain := p.Translate(before)
	if a, b := Describe(tr, err), Describe(again, errAgain); a != b || !reflect.DeepEqual(tr, again) {
		t.Errorf("Translate is not pure:\n%s\nand then\n%s", a, b)
	}

	switch {
	case err != nil:
		checkQuarantine(t, tr, err)
	case len(tr.Facts) == 0 && tr.Reason == "":
		t.Errorf("neither facts nor a reason: %q", r.Body)
	case len(tr.Facts) > 0 && tr.Reason != "":
		t.Errorf("facts, and yet the reason %q for none", tr.Reason)
	}
	for i, f := range tr.Facts {
		checkFact(t, i, f)
	}
	if e := (domain.IntakeUnrecognized{Topic: tr.Topic, Reason: "-"}).Validate(); e != nil {
		t.Errorf("topic %q cannot be recorded: %v", tr.Topic, e)
	}
	checkKeys(t, tr)
}

func checkQuarantine(t testing.TB, tr domain.Translation, err error) {
	t.Helper()
	if domain.CodeOf(err) != domain.Invalid {
		t.Errorf("code %q (%v), want %q", domain.CodeOf(err), err, domain.Invalid)
	}
	field, ok := errors.AsType[*domain.FieldError](err)
	if !ok || field.Field == "" {
		t.Errorf("the error names no field: %v", err)
	} else if e := (domain.IntakeQuarantined{Topic: tr.Topic, Reason: field.Reason, Field: field.Field}).Validate(); e != nil {
		t.Errorf("the reason cannot be recorded: %v: %v", e, err)
	}
	if len(tr.Facts) > 0 {
		t.Errorf("facts beside the error %v", err)
	}
}

func checkFact(t testing.TB, i int, f domain.Fact) {
	t.Helper()
	if f.Event == nil {
		t.Errorf("fact %d has no event", i)
		return
	}
	data, personal, err := domain.Encode(f.Event)
	if err != nil {
		t.Errorf("fact %d cannot be recorded: %v", i, err)
	} else if _, err := domain.Decode(f.Event.Kind(), data, personal); err != nil {
		t.Errorf("fact %d cannot be read again: %v", i, err)
	}
	at := f.OccurredAt
	if !at.IsZero() && (at.Location() != time.UTC || !at.Equal(at.Truncate(time.Microsecond)) || at.Year() < 1 || at.Year() > 9999) {
		t.Errorf("fact %d: occurred_at %v is not in UTC and whole microseconds", i, at)
	}
}

func checkKeys(t testing.TB, tr domain.Translation) {
	t.Helper()
	for name, list := range map[string][]string{"scopes": tr.Scopes, "flags": tr.Flags} {
		if slices.Contains(list, "") || len(slices.Compact(slices.Sorted(slices.Values(list)))) != len(list) {
			t.Errorf("%s hold an empty or a repeated one: %q", name, list)
		}
	}
}

// tries is how many times a body is cut, and how many times it is mangled.
const tries = 48

// checkDamaged checks r, and r with its body cut and mangled.
func checkDamaged(t *testing.T, p Provider, r domain.Request) {
	t.Helper()
	Check(t, p, r)
	n := len(r.Body)
	for i := range tries {
		bad := clone(r)
		bad.Body = r.Body[:n*i/tries]
		Check(t, p, bad)
	}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for range min(tries, n*8) {
		bad := clone(r)
		bad.Body = flip(r.Body, random.IntN(n*8))
		Check(t, p, bad)
	}
	Check(t, p, domain.Request{})
}
