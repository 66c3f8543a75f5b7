package witness_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/adapters/witness"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

const logName = "example.com/log"

// A history is a log of made-up records, which can be another one from a record on.
type history struct{ hashes []tree.Hash } // stored hashes, as tlog numbers them

func newHistory(t *testing.T, size int, otherFrom int) *history {
	t.Helper()
	h := new(history)
	for i := range size {
		record := "record " + strconv.Itoa(i)
		if otherFrom >= 0 && i >= otherFrom {
			record = "other " + record
		}
		hashes, err := tlog.StoredHashes(int64(i), []byte(record), h)
		if err != nil {
			t.Fatal(err)
		}
		h.hashes = append(h.hashes, hashes...)
	}
	return h
}

func (h *history) ReadHashes(indexes []int64) ([]tree.Hash, error) {
	list := make([]tree.Hash, len(indexes))
	for i, n := range indexes {
		list[i] = h.hashes[n]
	}
	return list, nil
}

// A client signs checkpoints and asks the witness.
type client struct {
	t       *testing.T
	signer  note.Signer
	origin  string
	witness http.Handler
}

// request returns the body of a request to go from one size to another.
func (c *client) request(h *history, older, newer int64) string {
	c.t.Helper()
	root, err := tree.RootAt(newer, h)
	if err != nil {
		c.t.Fatal(err)
	}
	msg, err := checkpoint.Checkpoint{Origin: c.origin, Size: newer, Root: root}.Sign(c.signer)
	if err != nil {
		c.t.Fatal(err)
	}
	body := fmt.Sprintf("old %d\n", older)
	if older < newer {
		proof, err := tree.ProveConsistency(older, newer, h)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, p := range proof {
			body += base64.StdEncoding.EncodeToString(p[:]) + "\n"
		}
	}
	return body + "\n" + string(msg)
}

// post sends a request and returns the status, the type and the body.
func (c *client) post(body string) (int, string, string) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), http.MethodPost, "/add-checkpoint", strings.NewReader(body))
	w := httptest.NewRecorder()
	c.witness.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

// open returns the store in dir and a witness over it that follows one log.
func open(t *testing.T, dir string, key note.Verifier) (*witness.Store, http.Handler) {
	t.Helper()
	store, err := witness.Open(dir, "witness.example", func() time.Time { return time.Unix(1_700_000_000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, serve(store, key)
}

func serve(store *witness.Store, key note.Verifier) http.Handler {
	return witness.New(store, []witness.Log{{Name: logName, Keys: []note.Verifier{key}}}, slog.New(slog.DiscardHandler))
}

func newKey(t *testing.T) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := checkpoint.GenerateLogKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skey, nil)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := checkpoint.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

// TestCosign follows a log, and its next epoch, and refuses every other history.
func TestCosign(t *testing.T) {
	signer, verifier := newKey(t)
	other, _ := newKey(t)
	store, handler := open(t, t.TempDir(), verifier)
	witnessKey, err := checkpoint.NewVerifier(store.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	good, bad, badLater := newHistory(t, 40, -1), newHistory(t, 40, 3), newHistory(t, 40, 25)
	c := &client{t, signer, logName + "/1", handler}
	second := &client{t, signer, logName + "/2", handler}
	forged := &client{t, other, logName + "/1", handler}
	unknown := &client{t, signer, "example.com/elsewhere/1", handler}
	for _, step := range []struct {
		name   string
		client *client
		body   string
		status int
		size   string // with 409
	}{
		{"unknown log", unknown, unknown.request(good, 0, 7), 404, ""},
		{"not signed by it", forged, forged.request(good, 0, 7), 403, ""},
		{"old size above", c, strings.Replace(c.request(good, 0, 7), "old 0", "old 8", 1), 400, ""},
		{"no old size", c, strings.TrimPrefix(c.request(good, 0, 7), "old 0\n"), 400, ""},
		{"leading zero", c, strings.Replace(c.request(good, 0, 7), "old 0", "old 00", 1), 400, ""},
		{"no proof line", c, strings.Replace(c.request(good, 0, 7), "old 0\n", "old 0\nAAAA\n", 1), 400, ""},
		{"too long a proof", c, strings.Replace(c.request(good, 0, 7), "old 0\n", "old 0\n"+strings.Repeat(strings.Repeat("A", 43)+"=\n", 64), 1), 400, ""},
		{"proof from nothing", c, strings.Replace(c.request(good, 0, 7), "old 0\n", "old 0\n"+strings.Repeat("A", 43)+"=\n", 1), 422, ""},
		{"first", c, c.request(good, 0, 7), 200, ""},
		{"from elsewhere", c, c.request(good, 5, 9), 409, "7\n"},
		{"from the beginning again", c, c.request(good, 0, 9), 409, "7\n"},
		{"the same again", c, c.request(good, 7, 7), 200, ""},
		{"the same size, another root", c, c.request(bad, 7, 7), 409, "7\n"},
		{"rewritten", c, c.request(bad, 7, 20), 422, ""},
		{"proof left out", c, strings.Replace(c.request(good, 0, 20), "old 0", "old 7", 1), 422, ""},
		{"grown", c, c.request(good, 7, 30), 200, ""},
		{"rewritten later", c, c.request(badLater, 30, 40), 422, ""},
		{"smaller", c, c.request(good, 7, 20), 409, "30\n"},
		{"rolled back and grown", c, c.request(badLater, 20, 40), 409, "30\n"},
		{"the next epoch", second, second.request(badLater, 0, 31), 200, ""},
		{"the next epoch, grown", second, second.request(badLater, 31, 40), 200, ""},
		{"the first epoch again", c, c.request(good, 30, 40), 200, ""},
	} {
		status, contentType, body := step.client.post(step.body)
		if status != step.status {
			t.Errorf("%s: status %d, want %d: %s", step.name, status, step.status, body)
			continue
		}
		if step.size != "" && (body != step.size || contentType != "text/x.tlog.size") {
			t.Errorf("%s: %q of type %q, want %q", step.name, body, contentType, step.size)
		}
		if status != http.StatusOK {
			continue
		}
		_, note, _ := strings.Cut(step.body, "\n\n")
		text, _, _ := strings.Cut(note, "\n\n")
		signed, err := checkpoint.Open([]byte(text+"\n\n"+body), witnessKey)
		if err != nil || !signed.SignedBy(witnessKey) || signed.By[0].Time.Unix() != 1_700_000_000 {
			t.Errorf("%s: %q is no cosignature: %v", step.name, body, err)
		}
	}
}

// TestRestart checks that a witness remembers what it cosigned, and who it is.
func TestRestart(t *testing.T) {
	signer, verifier := newKey(t)
	dir := t.TempDir()
	store, handler := open(t, dir, verifier)
	c := &client{t, signer, logName + "/1", handler}
	if status, _, body := c.post(c.request(newHistory(t, 7, -1), 0, 7)); status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	if _, err := witness.Open(dir, "witness.example", time.Now); domain.CodeOf(err) != domain.Refused {
		t.Errorf("two witnesses use one directory: %v", err)
	}
	vkey := store.VerifierKey()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store, c.witness = open(t, dir, verifier)
	if again := store.VerifierKey(); again != vkey {
		t.Errorf("its key is %s after a restart, and was %s", again, vkey)
	}
	if status, _, body := c.post(c.request(newHistory(t, 9, 3), 7, 9)); status != http.StatusUnprocessableEntity {
		t.Errorf("rewritten: status %d: %s", status, body)
	}
}

// TestDamage checks that a directory that was tampered with is refused.
func TestDamage(t *testing.T) {
	signer, verifier := newKey(t)
	file := filepath.Join("cosigned", "example.com%2Flog%2F1")
	for name, damage := range map[string]func(dir string) error{
		"a byte of the last checkpoint": func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(string(text), "\n7\n", "\n5\n", 1)), 0o600)
		},
		"an empty file": func(dir string) error { return os.WriteFile(filepath.Join(dir, file), nil, 0o600) },
		"its key":       func(dir string) error { return os.Remove(filepath.Join(dir, "witness.key")) },
		"its mode":      func(dir string) error { return os.Chmod(filepath.Join(dir, "witness.key"), 0o644) },
	} {
		dir := t.TempDir()
		store, handler := open(t, dir, verifier)
		c := &client{t, signer, logName + "/1", handler}
		if status, _, body := c.post(c.request(newHistory(t, 7, -1), 0, 7)); status != http.StatusOK {
			t.Fatalf("status %d: %s", status, body)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		store, err := witness.Open(dir, "witness.example", time.Now)
		if err != nil {
			continue
		}
		c.witness = serve(store, verifier)
		if status, _, _ := c.post(c.request(newHistory(t, 9, -1), 7, 9)); status != http.StatusServiceUnavailable {
			t.Errorf("%s is changed: status %d, want 503", name, status)
		}
		store.Close()
	}
}

// TestStoreMoved refuses what was cosigned of one log in the place of another.
func TestStoreMoved(t *testing.T) {
	dir := t.TempDir()
	store, err := witness.Open(dir, "witness.example", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	skey, vkey, err := checkpoint.GenerateLogKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skey, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := checkpoint.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	w := witness.New(store, []witness.Log{{Name: logName, Keys: []note.Verifier{key}}}, slog.New(slog.DiscardHandler))
	c := client{t, signer, logName + "/1", w}
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/add-checkpoint", strings.NewReader(c.request(newHistory(t, 3, -1), 0, 3))))
	if answer.Code != http.StatusOK {
		t.Fatal(answer.Code)
	}
	files, err := filepath.Glob(filepath.Join(dir, "cosigned", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.Rename(files[0], strings.TrimSuffix(files[0], "1")+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Last(logName + "/2"); domain.CodeOf(err) != domain.Differs {
		t.Errorf("it is taken for that of another epoch: %v", err)
	}
}
