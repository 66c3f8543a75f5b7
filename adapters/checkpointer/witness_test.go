package checkpointer_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/adapters/witness"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// startWitness serves a real witness for the keys, at the URL of what is returned.
func startWitness(t *testing.T, keys ...note.Verifier) checkpointer.Witness {
	t.Helper()
	store, err := witness.Open(t.TempDir(), "witness.example", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(witness.New(store, []witness.Log{{Name: logName, Keys: keys}}, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() {
		s.Close()
		store.Close()
	})
	w, err := checkpointer.NewWitness(s.URL+"/", store.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWitness has a real witness cosign a log that grows, that forgets how far the
// witness is, and that forks; and refuse one that was rewritten with all that is
// kept here.
func TestWitness(t *testing.T) {
	m, s := new(memory).grow(5, "a"), new(shelf)
	c := config(t, m, s)
	w := startWitness(t, c.Keys[0].Verifier)
	c.Witnesses = []checkpointer.Witness{w}
	check := func(size int64) {
		t.Helper()
		signed, err := checkpoint.Open(s.puts[len(s.puts)-1].Note, w.Verifier)
		if err != nil || signed.Size != size {
			t.Errorf("published %q: %v", s.puts[len(s.puts)-1].Note, err)
		}
	}
	cp := open(t, c)
	sign(t, cp)
	check(5)
	m.grow(1, "a")
	sign(t, cp)
	check(6)
	m.grow(20, "a")
	cp = open(t, c)
	last := sign(t, cp)
	check(26)
	if status := cp.Status(); status.Failed() != nil || status.Witnesses[0].Size != 26 {
		t.Errorf("status %+v", status)
	}
	for _, k := range cp.AskWitnesses(t.Context(), last) {
		if k.Err != nil || k.Signed.Size != 26 || k.At.IsZero() {
			t.Errorf("the witness has %+v", k)
		}
	}
	m.cut(9).fork(2, last)
	sign(t, cp)
	check(10)

	// The log, what is kept here and every sink are another one by now.
	for name, rewritten := range map[string]*memory{
		"at the same size": new(memory).grow(26, "b"),
		"smaller":          new(memory).grow(20, "b"),
		"greater":          new(memory).grow(30, "b"),
	} {
		forged := config(t, rewritten, new(shelf))
		forged.Keys, forged.Witnesses = c.Keys, c.Witnesses
		cp := open(t, forged)
		sign(t, cp)
		if err := cp.Status().Failed(); domain.CodeOf(err) != domain.Differs {
			t.Errorf("%s: the witness says %v", name, err)
		}
	}
}

// TestWitnessAnswers checks what is made of every answer that a witness may give.
func TestWitnessAnswers(t *testing.T) {
	_, other, err := checkpoint.GenerateWitnessKey(strings.NewReader(strings.Repeat("x", 32)), "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status    int
		mediaType string
		body      string
		want      domain.Code
	}{
		{200, "", "", domain.Unavailable},
		{200, "", "— witness.example AAAAAAAA\n", domain.Unavailable},
		{200, "", strings.Repeat("x", 1<<20), domain.Unavailable},
		{400, "", "", domain.Unavailable},
		{403, "", "", domain.Unavailable},
		{404, "", "", domain.Unavailable},
		{409, "", "", domain.Differs},
		{409, "text/x.tlog.size", "9\n", domain.Differs},
		{409, "text/x.tlog.size", "0\n", domain.Differs},
		{409, "text/x.tlog.size", "many\n", domain.Unavailable},
		{409, "text/x.tlog.size", "-1\n", domain.Unavailable},
		{422, "", "", domain.Differs},
		{500, "", "", domain.Unavailable},
		{302, "", "", domain.Unavailable},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", test.mediaType)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		}))
		w, err := checkpointer.NewWitness(s.URL, other)
		if err != nil {
			t.Fatal(err)
		}
		m, shelf := new(memory).grow(5, "a"), new(shelf)
		c := config(t, m, shelf)
		c.Witnesses = []checkpointer.Witness{w}
		cp := open(t, c)
		sign(t, cp)
		if got := domain.CodeOf(cp.Status().Failed()); got != test.want {
			t.Errorf("%d %q: %v, want code %s", test.status, test.body[:min(len(test.body), 40)], cp.Status().Failed(), test.want)
		}
		if len(shelf.puts) != 1 {
			t.Errorf("%d: it was published %d times", test.status, len(shelf.puts))
		}
		s.Close()
	}
	_, logKey, err := checkpoint.GenerateLogKey(strings.NewReader(strings.Repeat("x", 32)), "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][2]string{{"https://x/", logKey}, {"ftp://x", other}, {"https://a:b@x/", other}, {"https://x/", "nonsense"}} {
		if _, err := checkpointer.NewWitness(bad[0], bad[1]); err == nil {
			t.Errorf("%v is taken for a witness", bad)
		}
	}
}

// TestSignedMeanwhile has another process sign a later checkpoint while a witness
// cosigns: what is kept here does not go back.
func TestSignedMeanwhile(t *testing.T) {
	m := new(memory).grow(5, "a")
	c := config(t, m)
	other := open(t, c)
	w := startWitness(t, c.Keys[0].Verifier)
	slow := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		m.grow(1, "a")
		if _, signed, err := other.Sign(t.Context()); !signed || err != nil {
			t.Errorf("signed %t, %v", signed, err)
		}
		http.Redirect(rw, r, w.URL, http.StatusBadGateway)
	}))
	t.Cleanup(slow.Close)
	c.Witnesses = []checkpointer.Witness{w, {URL: slow.URL, Verifier: newKey(t).Verifier}}
	sign(t, open(t, c))
	if known := open(t, c).Known(t.Context()); known[0].Err != nil || known[0].Signed.Size != 6 {
		t.Errorf("%d records were signed last, %v", known[0].Signed.Size, known[0].Err)
	}
}
