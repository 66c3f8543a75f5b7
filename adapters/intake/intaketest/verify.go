package intaketest

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
)

func (s Suite) verify(t *testing.T) {
	t.Run("accepts either secret", s.acceptsEither)
	t.Run("refuses other secrets", s.refusesOthers)
	t.Run("refuses a damaged signature", s.refusesSignature)
	t.Run("accepts what means the same", s.acceptsSame)
	if s.Signs {
		t.Run("refuses a damaged body", s.refusesBody)
	} else {
		t.Run("says that it does not look at the body", s.needsNoBody)
	}
	t.Run("does not start without a secret", s.needsSecret)
}

func (s Suite) provider(t *testing.T, secrets ...string) Provider {
	t.Helper()
	p, err := s.New(secrets...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

// signed returns the suite's request as a sender that knows the secret sends it.
func (s Suite) signed(secret string) domain.Request {
	r := clone(s.Request)
	s.Sign(&r, secret)
	return r
}

func (s Suite) acceptsEither(t *testing.T) {
	both := s.provider(t, s.Secrets[:]...)
	said := make(map[string]bool)
	for i, secret := range s.Secrets {
		r := s.signed(secret)
		how, err := both.Verify(r)
		if err != nil || how == "" {
			t.Errorf("secret %d of two: %q, %v", i+1, how, err)
		}
		said[how] = true
		if _, err := s.provider(t, secret).Verify(r); err != nil {
			t.Errorf("secret %d alone: %v", i+1, err)
		}
	}
	if len(said) != 2 {
		t.Errorf("it does not say which secret it was: %v", said)
	}
}

func (s Suite) refusesOthers(t *testing.T) {
	first := s.provider(t, s.Secrets[0])
	for name, secret := range map[string]string{
		"other":       s.Secrets[1],
		"none":        "",
		"a byte more": s.Secrets[0] + "0",
		"a byte less": s.Secrets[0][:len(s.Secrets[0])-1],
	} {
		refused(t, first, s.signed(secret), "secret: "+name)
	}
}

func (s Suite) refusesSignature(t *testing.T) {
	p := s.provider(t, s.Secrets[:]...)
	good := s.signature(s.signed(s.Secrets[0]))

	absent := s.signed(s.Secrets[0])
	absent.Token = ""
	delete(absent.Header, http.CanonicalHeaderKey(s.Header))
	refused(t, p, absent, "absent")

	for cut := range len(good) {
		if !s.same(good, good[:cut]) {
			refused(t, p, s.withSignature(good[:cut]), "cut to %d bytes", cut)
		}
	}
	refused(t, p, s.withSignature(good+"00"), "a byte more")
	for bit := range len(good) * 8 {
		if bad := string(flip([]byte(good), bit)); !s.same(good, bad) {
			refused(t, p, s.withSignature(bad), "bit %d flipped: %q", bit, bad)
		}
	}
}

// acceptsSame wants every spelling of a signature that [Suite.Same] calls the
// same to be accepted.
func (s Suite) acceptsSame(t *testing.T) {
	p := s.provider(t, s.Secrets[:]...)
	good := s.signature(s.signed(s.Secrets[0]))
	spellings := []string{strings.ToUpper(good), strings.ToLower(good)}
	for bit := range len(good) * 8 {
		spellings = append(spellings, string(flip([]byte(good), bit)))
	}
	for _, spelling := range spellings {
		if !s.same(good, spelling) {
			continue
		}
		if _, err := p.Verify(s.withSignature(spelling)); err != nil {
			t.Errorf("%q for %q: %v", spelling, good, err)
		}
	}
}

func (s Suite) refusesBody(t *testing.T) {
	p := s.provider(t, s.Secrets[:]...)
	good := s.signed(s.Secrets[0])
	for bit := range len(good.Body) * 8 {
		bad := clone(good)
		bad.Body = flip(good.Body, bit)
		refused(t, p, bad, "bit %d flipped", bit)
	}
	for cut := range len(good.Body) {
		bad := clone(good)
		bad.Body = good.Body[:cut]
		refused(t, p, bad, "cut to %d bytes", cut)
	}
	bad := clone(good)
	bad.Body = append(bad.Body, '\n')
	refused(t, p, bad, "a newline more")
}

// needsNoBody wants a provider whose signature does not cover the body to say so,
// and to verify a request whose body nobody has read yet.
func (s Suite) needsNoBody(t *testing.T) {
	p := s.provider(t, s.Secrets[0])
	if says, ok := p.(interface{ SignsBody() bool }); !ok || says.SignsBody() {
		t.Error("it has no method SignsBody that says no")
	}
	r := s.signed(s.Secrets[0])
	r.Body = nil
	if _, err := p.Verify(r); err != nil {
		t.Errorf("without the body: %v", err)
	}
}

func (s Suite) needsSecret(t *testing.T) {
	for name, secrets := range map[string][]string{
		"none":         nil,
		"empty":        {""},
		"blank":        {" \t"},
		"second empty": {s.Secrets[0], ""},
		"three":        {s.Secrets[0], s.Secrets[1], s.Secrets[0] + "3"},
	} {
		if _, err := s.New(secrets...); err == nil {
			t.Errorf("%s: New returned a provider", name)
		} else if domain.CodeOf(err) != domain.Usage {
			t.Errorf("%s: code %q (%v), want %q", name, domain.CodeOf(err), err, domain.Usage)
		}
	}
}

// refused wants Verify to refuse r and to say what to do.
func refused(t *testing.T, p Provider, r domain.Request, format string, args ...any) {
	t.Helper()
	switch how, err := p.Verify(r); {
	case err == nil:
		t.Errorf(format+": accepted as %q", append(args, how)...)
	case domain.CodeOf(err) != domain.Unauthenticated:
		t.Errorf(format+": code %q (%v), want %q", append(args, domain.CodeOf(err), err, domain.Unauthenticated)...)
	case domain.HintOf(err) == "":
		t.Errorf(format+": no hint in %v", append(args, err)...)
	}
}

func (s Suite) signature(r domain.Request) string {
	if s.Header == "" {
		return r.Token
	}
	return http.Header(r.Header).Get(s.Header)
}

func (s Suite) withSignature(signature string) domain.Request {
	r := clone(s.Request)
	if s.Header == "" {
		r.Token = signature
	} else {
		http.Header(r.Header).Set(s.Header, signature)
	}
	return r
}

func (s Suite) same(a, b string) bool { return a == b || s.Same != nil && s.Same(a, b) }

// flip returns b with one bit changed.
func flip(b []byte, bit int) []byte {
	c := append([]byte(nil), b...)
	c[bit/8] ^= 1 << (bit % 8)
	return c
}

// CheckVerify wants Verify to accept r if and only if it is authentic, to leave
// it as it is, and to say what to do if it refuses; a fuzz target calls it.
func CheckVerify(t testing.TB, p Provider, r domain.Request, authentic bool) {
	t.Helper()
	before := clone(r)
	how, err := p.Verify(r)
	if !reflect.DeepEqual(clone(r), before) {
		t.Errorf("Verify changed its request: %q", before.Body)
	}
	switch {
	case (err == nil) != authentic:
		t.Errorf("%q, %v; authentic: %v; headers %q, token %q, body %q", how, err, authentic, before.Header, before.Token, before.Body)
	case authentic && how == "":
		t.Error("it does not say how the request was authenticated")
	case !authentic && (domain.CodeOf(err) != domain.Unauthenticated || domain.HintOf(err) == ""):
		t.Errorf("code %q, hint %q in %v", domain.CodeOf(err), domain.HintOf(err), err)
	}
}
