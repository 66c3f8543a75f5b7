package fetch

import (
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

const secretToken = "tok-4711-secret"

// serve returns a client of a real server.
func serve(t *testing.T, c Config, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c.BaseURL = server.URL + "/v1"
	c.Auth = Bearer(secretToken)
	c.PerMinute = 60_000
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// quiet checks that an error tells no secret.
func quiet(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "4711") || strings.Contains(err.Error(), "example.org") || strings.Contains(domain.HintOf(err), "4711")) {
		t.Errorf("the error tells too much: %v", err)
	}
}

func TestAnswer(t *testing.T) {
	client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.RequestURI != "/v1/events/a%2Fb?page=2" || r.Header.Get("Authorization") != "Bearer "+secretToken {
			t.Errorf("%s %s %v", r.Method, r.RequestURI, r.Header)
		}
		for _, name := range []string{"Accept", "Content-Type"} {
			if r.Header.Get(name) != "application/json" {
				t.Errorf("%s: %q", name, r.Header.Get(name))
			}
		}
		_, _ = io.WriteString(w, "{ \"a\" : 0.10 }\n")
	})
	answer, err := client.Try(t.Context(), domain.Query{Path: "events/a%2Fb", Values: url.Values{"page": {"2"}}})
	if err != nil || string(answer.Body) != "{ \"a\" : 0.10 }\n" {
		t.Errorf("%q, %v", answer.Body, err)
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[int]domain.Code{
		200: "", 204: domain.Unavailable /* nothing is not JSON */, 301: domain.Refused, 302: domain.Refused, 307: domain.Refused,
		400: domain.Refused, 401: domain.Unauthenticated, 402: domain.Refused, 403: domain.NotAllowed, 404: domain.NotFound,
		408: domain.Unavailable, 410: domain.NotFound, 422: domain.Refused, 425: domain.Unavailable, 429: domain.Unavailable,
		500: domain.Unavailable, 502: domain.Unavailable, 503: domain.Unavailable, 599: domain.Unavailable,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				if status != 204 {
					_, _ = io.WriteString(w, `{"message":"`+r.Header.Get("Authorization")+`"}`)
				}
			})
			answer, err := client.Try(t.Context(), domain.Query{Path: "x", Values: url.Values{"email": {"zoe@example.org"}}})
			if domain.CodeOf(err) != want || answer.Status != status {
				t.Errorf("%d, %v, want %s", answer.Status, err, want)
			}
			if Denied(err) != (status == 401 || status == 403) {
				t.Errorf("Denied: %t", Denied(err))
			}
			quiet(t, err)
		})
	}
}

// TestRedirect checks that nobody else gets the credentials, however he is
// pointed to.
func TestRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request was sent on: %v", r.Header)
	}))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		client := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if _, err := client.Do(t.Context(), domain.Query{Path: "x"}); domain.CodeOf(err) != domain.Refused {
			t.Errorf("%d: %v", status, err)
		}
	}
	client := serve(t, Config{}, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.RequestURI) })
	for _, path := range []string{"../admin", "a/%2e%2e/b", "/x", "x?y=1", "x#y", "a/./b", "%zz", "a/%2e%2e%2fb"} {
		if _, err := client.Try(t.Context(), domain.Query{Path: path}); domain.CodeOf(err) != domain.Internal {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestBaseURL(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://api.example.com/v1/": true, "http://127.0.0.1:80": true, "http://[::1]/x": true, "http://localhost:1": true,
		"http://api.example.com": false, "ftp://x": false, "": false, "/v1": false, "https://u:p@x/": false, "https://x/?a=b": false, "https://": false,
	} {
		if _, err := New(Config{BaseURL: base}); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// TestFaults plays what goes wrong on real connections.
func TestFaults(t *testing.T) {
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, answer)
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a reset
			}
			_ = conn.Close()
		}
	}
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    domain.Code
	}{
		"reset":     {hijack(""), domain.Unavailable},
		"cut":       {hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":"), domain.Unavailable},
		"cut error": {hijack("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{\"a\":"), domain.Unauthenticated},
		"no http":   {hijack("SSH-2.0-OpenSSH\r\n"), domain.Unavailable},
		"garbage": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>be right back</html>")
		}, domain.Unavailable},
		"half": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"a":1`) }, domain.Unavailable},
		"oversized": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", 2000)+`"`)
		}, domain.TooLarge},
		"bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, strings.Repeat(" ", 1<<20))
			_ = z.Close()
		}, domain.TooLarge},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}, domain.Unavailable},
		"header too large": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100_000)) }, domain.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{MaxBytes: 1000}
			if name == "slow" {
				config.Timeout = 200 * time.Millisecond
			}
			client := serve(t, config, test.handler)
			_, err := client.Try(t.Context(), domain.Query{Path: "x", Values: url.Values{"email": {"zoe@example.org"}}})
			if domain.CodeOf(err) != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			quiet(t, err)
		})
	}
}

// A scripted transport gives its answers in turn, the last one for ever.
type scripted struct {
	answers []scriptedAnswer
	asked   []time.Duration // since the start
	start   time.Time
	now     atomic.Int32 // at once
	most    atomic.Int32
	takes   time.Duration
}

type scriptedAnswer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.now.Add(-1)
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	} else {
		s.asked = append(s.asked, time.Since(s.start))
	}
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if a.err != nil {
		return nil, a.err
	}
	header := a.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// script returns a client of a scripted transport; call it in a bubble.
func script(t *testing.T, c Config, answers ...scriptedAnswer) (*Client, *scripted) {
	t.Helper()
	s := &scripted{answers: answers, start: time.Now()}
	c.BaseURL, c.Transport = "https://api.example.com", s
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client, s
}

var fine = scriptedAnswer{status: 200, body: "{}"}

func status(code int, header ...string) scriptedAnswer {
	h := make(http.Header)
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return scriptedAnswer{status: code, header: h, body: "{}"}
}

func TestRetry(t *testing.T) {
	for name, test := range map[string]struct {
		answers []scriptedAnswer
		tries   int
		code    domain.Code
	}{
		"at once":       {[]scriptedAnswer{fine}, 1, ""},
		"network":       {[]scriptedAnswer{{err: errors.New("no route")}, fine}, 2, ""},
		"passing":       {[]scriptedAnswer{status(500), status(503), status(429), fine}, 4, ""},
		"for ever":      {[]scriptedAnswer{status(429)}, 6, domain.Unavailable},
		"cannot help":   {[]scriptedAnswer{status(422), fine}, 1, domain.Refused},
		"denied":        {[]scriptedAnswer{status(401), fine}, 1, domain.Unauthenticated},
		"not there":     {[]scriptedAnswer{status(404), fine}, 1, domain.NotFound},
		"later no more": {[]scriptedAnswer{status(500), status(403), fine}, 2, domain.NotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, s := script(t, Config{Attempts: 6, PerMinute: 6000}, test.answers...)
				_, err := client.Do(t.Context(), domain.Query{Path: "x"})
				if domain.CodeOf(err) != test.code || len(s.asked) != test.tries {
					t.Errorf("%d tries, %v", len(s.asked), err)
				}
			})
		})
	}
}

// TestJitter checks how waits grow: random below a ceiling that doubles.
func TestJitter(t *testing.T) {
	for attempt := 1; attempt < 80; attempt++ {
		ceiling := time.Minute
		if attempt < 7 {
			ceiling = time.Second << (attempt - 1)
		}
		for range 50 {
			if wait := jittered(attempt); wait <= 0 || wait > ceiling {
				t.Fatalf("attempt %d: %v", attempt, wait)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"none":             {nil, 0},
		"seconds":          {[]string{"Retry-After", "17"}, 17 * time.Second},
		"date":             {[]string{"Retry-After", "Sat, 01 Jan 2000 00:00:40 GMT"}, 40 * time.Second},
		"date, their time": {[]string{"Retry-After", "Fri, 01 Mar 2030 10:00:05 GMT", "Date", "Fri, 01 Mar 2030 10:00:00 GMT"}, 5 * time.Second},
		"past":             {[]string{"Retry-After", "Fri, 01 Jan 1999 00:00:40 GMT"}, 0},
		"epoch":            {[]string{"RateLimit-Reset", "1767225645", "Date", "Thu, 01 Jan 2026 00:00:00 GMT"}, 45 * time.Second},
		"epoch past":       {[]string{"RateLimit-Reset", "1000000001", "Date", "Thu, 01 Jan 2026 00:00:00 GMT"}, 0},
		"delta":            {[]string{"RateLimit-Reset", "9"}, 9 * time.Second},
		"both":             {[]string{"RateLimit-Reset", "9", "Retry-After", "30"}, 30 * time.Second},
		"absurd":           {[]string{"Retry-After", "999999999"}, 24 * time.Hour},
		"absurd epoch":     {[]string{"Retry-After", "9223372036854775807"}, 24 * time.Hour},
		"absurd date":      {[]string{"Retry-After", "Sat, 01 Jan 2050 00:00:00 GMT"}, 24 * time.Hour},
		"garbage":          {[]string{"Retry-After", "soon", "RateLimit-Reset", "-5"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // where it is 2000-01-01
				client, _ := script(t, Config{PerMinute: 60_000}, status(429, test.header...))
				_, err := client.Try(t.Context(), domain.Query{Path: "x"})
				if got := RetryAfter(err); got != test.want {
					t.Errorf("%v, want %v", got, test.want)
				}
			})
		})
	}
}

// TestLeftAlone checks that nobody is asked before he wants to be: a single try
// says so at once, Do waits.
func TestLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told time.Duration
		client, s := script(t, Config{Waiting: func(d time.Duration, _ error) { told = d }}, status(503, "Retry-After", "90"), fine)
		if _, err := client.Try(t.Context(), domain.Query{Path: "x"}); RetryAfter(err) != 90*time.Second {
			t.Errorf("%v", err)
		}
		time.Sleep(30 * time.Second)
		if _, err := client.Try(t.Context(), domain.Query{Path: "y"}); RetryAfter(err) != 60*time.Second || domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("%v, after %v", err, RetryAfter(err))
		}
		if _, err := client.Do(t.Context(), domain.Query{Path: "y"}); err != nil || len(s.asked) != 2 || s.asked[1] < 90*time.Second {
			t.Errorf("%v: asked at %v", err, s.asked)
		}
		if told < 60*time.Second {
			t.Errorf("told of %v", told)
		}
	})
}

// TestLeftAloneInTurn checks that those who wait for their turn wait no less.
func TestLeftAloneInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, s := script(t, Config{AtOnce: 4}, status(429, "Retry-After", "90"), fine)
		s.takes = 500 * time.Millisecond
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := client.Try(t.Context(), domain.Query{Path: "x"}); domain.CodeOf(err) != domain.Unavailable || RetryAfter(err) == 0 {
					t.Errorf("%v, after %v", err, RetryAfter(err))
				}
			})
		}
		all.Wait()
	})
}

// TestImpatient checks that nobody sits before a terminal for hours.
func TestImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, s := script(t, Config{}, status(429, "Retry-After", "7200"), fine)
		_, err := client.Do(t.Context(), domain.Query{Path: "x"})
		if RetryAfter(err) != 2*time.Hour || len(s.asked) != 1 {
			t.Errorf("%v: asked at %v", err, s.asked)
		}
	})
}

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, s := script(t, Config{PerMinute: 60_000}, status(500))
		for range breakAfter + 3 {
			if _, err := client.Try(t.Context(), domain.Query{Path: "x"}); domain.CodeOf(err) != domain.Unavailable {
				t.Error(err)
			}
		}
		if len(s.asked) != breakAfter {
			t.Errorf("asked %d times, want %d", len(s.asked), breakAfter)
		}
		_, err := client.Try(t.Context(), domain.Query{Path: "x"})
		if after := RetryAfter(err); after <= 0 || after > breakFor {
			t.Errorf("after %v: %v", after, err)
		}
		s.answers = []scriptedAnswer{fine}
		time.Sleep(breakFor + time.Second)
		for range 3 {
			if _, err := client.Try(t.Context(), domain.Query{Path: "x"}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestCircuitStays checks what does not speak against an origin: that it is
// asked too often or wrongly, and that the caller gives up.
func TestCircuitStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []int{429, 401, 404, 422} {
			client, s := script(t, Config{PerMinute: 60_000}, status(code))
			for range 2 * breakAfter {
				_, _ = client.Try(t.Context(), domain.Query{Path: "x"})
			}
			if len(s.asked) != 2*breakAfter {
				t.Errorf("%d: asked %d times", code, len(s.asked))
			}
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, s := script(t, Config{PerMinute: 120}, fine)
		for range 10 {
			if _, err := client.Try(t.Context(), domain.Query{Path: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		for i := 1; i < len(s.asked); i++ {
			if gap := s.asked[i] - s.asked[i-1]; gap < 500*time.Millisecond {
				t.Errorf("request %d came after %v", i, gap)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		client, s := script(t, Config{PerMinute: 60_000, AtOnce: 3}, fine)
		s.takes = 10 * time.Second
		done := make(chan error)
		for range 9 {
			go func() { _, err := client.Try(t.Context(), domain.Query{Path: "x"}); done <- err }()
		}
		for range 9 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if s.most.Load() != 3 {
			t.Errorf("%d at once", s.most.Load())
		}
	})
}

// TestStop checks that a context ends everything at once, and that what was
// wrong before is still told.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := contextWithStop(t)
		client, s := script(t, Config{Attempts: 1000}, status(500))
		time.AfterFunc(10*time.Minute, cancel)
		_, err := client.Do(ctx, domain.Query{Path: "x"})
		if !errors.Is(err, ctx.Err()) || !strings.Contains(err.Error(), "500") || time.Since(s.start) != 10*time.Minute {
			t.Errorf("%v after %v", err, time.Since(s.start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := contextWithStop(t)
		client, s := script(t, Config{}, fine)
		s.takes = time.Hour
		time.AfterFunc(time.Second, cancel)
		_, err := client.Do(ctx, domain.Query{Path: "x"})
		if !errors.Is(err, ctx.Err()) || time.Since(s.start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(s.start))
		}
	})
}
