package checkpointer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// TestSinks holds every sink to what is wanted of one.
func TestSinks(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) checkpointer.Sink{
		"directory": func(t *testing.T) checkpointer.Sink {
			return checkpointer.NewDirectory(filepath.Join(t.TempDir(), "made", "when needed"))
		},
		"http": func(t *testing.T) checkpointer.Sink {
			sink, err := checkpointer.NewHTTP(serveObject(t, "s3cret"), "s3cret")
			if err != nil {
				t.Fatal(err)
			}
			return sink
		},
		"nats": func(t *testing.T) checkpointer.Sink {
			return openNATS(t, startNATS(t, true).ClientURL())
		},
	} {
		t.Run(name, func(t *testing.T) { testSink(t, open(t)) })
	}
}

func testSink(t *testing.T, s checkpointer.Sink) {
	t.Helper()
	if got, err := s.Newest(t.Context()); got != nil || err != nil {
		t.Fatalf("an empty sink has %q, %v", got, err)
	}
	m := new(memory)
	key := newKey(t)
	put := func(epoch int64, grow int) checkpoint.Signed {
		t.Helper()
		f := frontier(m.grow(grow, "a").leaves)
		note, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(logName, epoch), Size: f.Size(), Root: f.Root()}.Sign(key.Signer)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := checkpoint.Open(note, key.Verifier)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), signed); err != nil {
			t.Fatal(err)
		}
		return signed
	}
	check := func(want []byte) {
		t.Helper()
		got, err := s.Newest(t.Context())
		if err != nil || string(got) != string(want) {
			t.Fatalf("newest is %q, %v; want %q", got, err, want)
		}
	}
	check(put(1, 3).Note)
	check(put(1, 997).Note)
	one := put(1, 1)
	check(one.Note)
	if err := s.Put(t.Context(), one); err != nil {
		t.Errorf("the same again: %v", err)
	}
	other := newKey(t)
	more, err := checkpoint.Cosign(one.Note, other.Signer)
	if err != nil {
		t.Fatal(err)
	}
	one.Note = more
	if err := s.Put(t.Context(), one); err != nil {
		t.Errorf("with one more signature: %v", err)
	}
	check(more)
	m.cut(5)
	check(put(2, 1).Note) // another epoch is newer, although it is smaller
}

// TestDirectory looks at the files.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	s := checkpointer.NewDirectory(dir)
	m := new(memory)
	c := config(t, m, s)
	cp := open(t, c)
	sign(t, withGrown(cp, m, 7))
	last := sign(t, withGrown(cp, m, 5))
	for file, size := range map[string]string{"latest": "12", "1/000000000/000/000000000000007": "7", "1/000000000/000/000000000000012": "12"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || strings.Split(string(text), "\n")[1] != size {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	// Whoever takes latest back does not take back what was said.
	old, err := os.ReadFile(filepath.Join(dir, "1/000000000/000/000000000000007"))
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { return os.WriteFile(filepath.Join(dir, "latest"), old, 0o644) },
		func() error { return os.WriteFile(filepath.Join(dir, "latest"), nil, 0o644) },
		func() error { return os.Remove(filepath.Join(dir, "latest")) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Newest(t.Context()); err != nil || string(got) != string(last.Note) {
			t.Errorf("newest is %q, %v", got, err)
		}
	}
	// Another root for a size that is there.
	f := frontier(m.cut(5).grow(2, "b").leaves)
	note, err := checkpoint.Checkpoint{Origin: logName + "/1", Size: 7, Root: f.Root()}.Sign(c.Keys[0].Signer)
	if err != nil {
		t.Fatal(err)
	}
	other, err := checkpoint.Open(note, c.Keys[0].Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), other); domain.CodeOf(err) != domain.Differs {
		t.Errorf("two roots for one size: %v", err)
	}
}

func withGrown(c *checkpointer.Checkpointer, m *memory, n int) *checkpointer.Checkpointer {
	m.grow(n, "a")
	return c
}

// serveObject serves one object at the URL it returns, to who has the token.
func serveObject(t *testing.T, token string) string {
	var mu sync.Mutex
	var object []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/elsewhere":
			t.Error("a redirect was followed")
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case r.Header.Get("Authorization") != "Bearer "+token:
			http.Error(w, "no", http.StatusUnauthorized)
		case r.Method == http.MethodPut:
			object, _ = io.ReadAll(r.Body)
			w.WriteHeader(http.StatusNoContent)
		case object == nil:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(object)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL + "/checkpoint"
}

// TestHTTPRefused checks that answers that are no success are none, that nobody is
// sent elsewhere, and that no secret gets into an error.
func TestHTTPRefused(t *testing.T) {
	at := serveObject(t, "right")
	for _, url := range []string{at, strings.Replace(at, "/checkpoint", "/moved", 1), "http://127.0.0.1:1/"} {
		s, err := checkpointer.NewHTTP(url, "s3cret")
		if err != nil {
			t.Fatal(err)
		}
		_, getErr := s.Newest(t.Context())
		putErr := s.Put(t.Context(), checkpoint.Signed{Note: []byte("x\n")})
		for _, err := range []error{getErr, putErr} {
			if domain.CodeOf(err) != domain.Unavailable || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	for _, url := range []string{"", "checkpoints", "ftp://example.com/x", "https://user:s3cret@example.com/x", "https://s3cret@example.com:x/"} {
		if _, err := checkpointer.NewHTTP(url, ""); domain.CodeOf(err) != domain.Usage || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// startNATS starts a server in this process, with a stream of checkpoints if
// wanted.
func startNATS(t *testing.T, stream bool) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	if !stream {
		return s
	}
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "CHECKPOINTS", Subjects: []string{"checkpoints.>"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func openNATS(t *testing.T, url string) *checkpointer.NATS {
	t.Helper()
	n, err := checkpointer.NewNATS(checkpointer.NATSConfig{URL: url, Subject: "checkpoints.test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// TestNATSDown checks what is said of a server that is not there, and of one
// without a stream.
func TestNATSDown(t *testing.T) {
	none := openNATS(t, startNATS(t, false).ClientURL())
	if _, err := none.Newest(t.Context()); domain.CodeOf(err) != domain.Unavailable || !strings.Contains(domain.HintOf(err), "nats stream add") {
		t.Errorf("no stream: %v (%s)", err, domain.HintOf(err))
	}
	if err := none.Put(t.Context(), checkpoint.Signed{Note: []byte("x\n")}); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("no stream: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "nats://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openNATS(t, url).Newest(t.Context()); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("no server: %v", err)
	}
	for _, url := range []string{"http://x/", "nats://a:b@x/", "nats://x,nats://a:b@y"} {
		if _, err := checkpointer.NewNATS(checkpointer.NATSConfig{URL: url}); domain.CodeOf(err) != domain.Usage {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// hangs is a sink that answers when it is told to stop.
type hangs struct{}

func (hangs) Put(ctx context.Context, _ checkpoint.Signed) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hangs) Newest(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, errors.New("it hangs")
}
