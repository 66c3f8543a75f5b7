// Package intaketest checks that a provider keeps the promises intake relies on.
//
// A provider is trusted with two decisions, who sent a request and what it
// says. The suite tries both on damaged requests: every bit of a signature and
// of what it covers is flipped, bodies are cut and mangled, and the examples in
// testdata fix what each delivery means, to the byte.
package intaketest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/daybook-ledger/daybook/domain"
)

// A Provider is what intake asks of a provider; this is the part that is tested.
type Provider interface {
	Verify(r domain.Request) (how string, err error)
	Translate(r domain.Request) (domain.Translation, error)
}

// A Suite says how a provider is made and how its sender authenticates.
type Suite struct {
	// New returns a provider that accepts any of the secrets. It must refuse
	// none, more than two, and a blank one.
	New func(secrets ...string) (Provider, error)

	// Secrets are two secrets of the right form.
	Secrets [2]string

	// Sign authenticates r as a sender does that knows the secret.
	Sign func(r *domain.Request, secret string)

	// Header is the name of the header that Sign sets. Empty: it sets the token.
	Header string

	// Signs says that the signature covers the body.
	Signs bool

	// Same reports whether two different values of the header mean the same,
	// such as hexadecimal in either case; then both must be accepted. Nil: they
	// never do.
	Same func(a, b string) bool

	// Request is an authentic request but for its signature. Its body should be
	// short: each of its bits is flipped.
	Request domain.Request

	// More are further requests on which the laws of Translate are tried, beside
	// those in testdata.
	More []domain.Request
}

// Run runs the suite: the laws of Verify, the examples in the calling package's
// testdata/*.txtar, and the laws of Translate on each of them.
func Run(t *testing.T, s Suite) {
	t.Helper()
	t.Run("Verify", s.verify)
	p, err := s.New(s.Secrets[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Run("Examples", func(t *testing.T) { examples(t, p) })
	t.Run("Laws", func(t *testing.T) {
		for _, r := range s.More {
			checkDamaged(t, p, r)
		}
	})
}

// update rewrites the expected results instead of comparing with them.
var update = os.Getenv("UPDATE_GOLDEN") != ""

// examples translates every testdata/*.txtar.
//
// An example holds the delivery as received (header and body) and what is made
// of it (want), as [Describe] writes it.
func examples(t *testing.T, p Provider) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no examples in testdata")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := request(t, section(ar, "header"), section(ar, "body"))
			got := Describe(p.Translate(r))
			if want := string(section(ar, "want")); got != want {
				if !update {
					t.Fatalf("%s (-want +got):\n%s", file, cmp.Diff(want, got))
				}
				write(t, file, replace(ar, "want", got))
			}
			checkDamaged(t, p, r)
		})
	}
}

func request(t *testing.T, header, body []byte) domain.Request {
	t.Helper()
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(header))).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("header: %v", err)
	}
	return domain.Request{Header: h, Body: body, ReceivedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// Describe returns what Translate returned as text, one thing a line:
//
//	topic eventCredits.Updated
//	key a/b                              if there is one
//	scope credits/70412                  one line each
//	test                                 if it is one
//	flag duplicate-member                one line each
//	reason unknown topic                 if there is one
//	fact <occurred_at> <kind> <data> <personal>
//	error <message>
//
// A fact's moment or personal part that is not there is "-".
func Describe(tr domain.Translation, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "topic %s\n", tr.Topic)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s %s\n", name, value)
		}
	}
	line("key", tr.Key)
	for _, scope := range tr.Scopes {
		line("scope", scope)
	}
	if tr.Test {
		b.WriteString("test\n")
	}
	for _, flag := range tr.Flags {
		line("flag", flag)
	}
	line("reason", tr.Reason)
	for _, f := range tr.Facts {
		line("fact", describeFact(f))
	}
	if err != nil {
		line("error", err.Error())
	}
	return b.String()
}

func describeFact(f domain.Fact) string {
	at := "-"
	if !f.OccurredAt.IsZero() {
		at = f.OccurredAt.Format(time.RFC3339Nano)
	}
	data, personal, err := domain.Encode(f.Event)
	if err != nil {
		return fmt.Sprintf("%s %s CANNOT BE ENCODED: %v", at, f.Event.Kind(), err)
	}
	if personal == nil {
		personal = []byte("-")
	}
	return fmt.Sprintf("%s %s %s %s", at, f.Event.Kind(), data, personal)
}

// Golden compares got with a file, and writes the file instead if UPDATE_GOLDEN
// is set.
func Golden(t *testing.T, file, got string) {
	t.Helper()
	if update {
		write(t, file, []byte(got))
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func section(ar *txtar.Archive, name string) []byte {
	for _, f := range ar.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func replace(ar *txtar.Archive, name, data string) []byte {
	i := slices.IndexFunc(ar.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		ar.Files = append(ar.Files, txtar.File{Name: name})
		i = len(ar.Files) - 1
	}
	ar.Files[i].Data = []byte(data)
	return txtar.Format(ar)
}

// clone returns a copy of r that shares nothing with it.
func clone(r domain.Request) domain.Request {
	r.Body = bytes.Clone(r.Body)
	r.Header = maps.Clone(r.Header)
	for name, values := range r.Header {
		r.Header[name] = slices.Clone(values)
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	return r
}
