package intake_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// A clock can be set forward and back.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// A site is a handler behind a real TCP listener.
type site struct {
	*intake.Handler
	t       *testing.T
	address string
	clock   *clock
	answers chan intake.Answer
	open    sync.WaitGroup // connections
}

// Answered implements [intake.Observer].
func (s *site) Answered(a intake.Answer) { s.answers <- a }

// listen serves the sources until the test ends, and then wants every connection
// to have come to its end, with no place taken and no goroutine left.
func listen(t *testing.T, log intake.Appender, sources ...intake.Source) *site {
	t.Helper()
	s := &site{
		Handler: intake.NewHandler(log, sources, slog.New(slog.DiscardHandler)),
		t:       t, clock: &clock{}, answers: make(chan intake.Answer, 100),
	}
	s.SetClock(s.clock.now)
	s.Watch(s)
	mux := http.NewServeMux()
	s.Register(mux)
	server := httptest.NewUnstartedServer(mux)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed:
			s.open.Done()
		}
	}
	server.Start()
	s.address = server.Listener.Addr().String()
	t.Cleanup(func() {
		server.Close()
		s.open.Wait()
		for _, source := range sources {
			s.await(source.Name, 0)
		}
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if strings.Contains(string(stacks), "intake.(*Handler)") {
			t.Errorf("a request is still in hand:\n%s", stacks)
		}
	})
	return s
}

// await returns once so many requests of the source are in hand.
func (s *site) await(source string, n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for s.Busy(source) != n {
		if ctx.Err() != nil {
			s.t.Fatalf("%d requests of %s are in hand, want %d", s.Busy(source), source, n)
		}
		runtime.Gosched()
	}
}

// A sender is a connection on which anything can be said.
type sender struct {
	t    *testing.T
	conn *net.TCPConn
	in   *bufio.Reader
}

func (s *site) dial(parts ...string) *sender {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	c := &sender{s.t, conn.(*net.TCPConn), bufio.NewReader(conn)}
	c.say(parts...)
	return c
}

func (c *sender) say(parts ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, strings.Join(parts, "")); err != nil {
		c.t.Fatal(err)
	}
}

// answer returns the status and the headers of the next response.
func (c *sender) answer() *http.Response {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Errorf("the answer is cut: %v", err)
	}
	response.Body = io.NopCloser(strings.NewReader(string(body)))
	return response
}

func (c *sender) want(status int) *http.Response {
	c.t.Helper()
	response := c.answer()
	if response.StatusCode != status {
		body, _ := io.ReadAll(response.Body)
		c.t.Errorf("status %d, want %d: %s", response.StatusCode, status, body)
	}
	return response
}

// closed wants the server to have ended the connection.
func (c *sender) closed() {
	c.t.Helper()
	if _, err := c.in.ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		c.t.Errorf("the connection is still open: %v", err)
	}
}

// head is the beginning of a request to a source, with headers of its own.
func head(source string, header ...string) string {
	return "POST /webhooks/" + source + " HTTP/1.1\r\nHost: daybook\r\nAuthorization: ok\r\n" + strings.Join(append(header, "\r\n"), "\r\n")
}

// forged is the head of a request that is not authentic.
func forged(source string) string { return strings.Replace(head(source, length2), " ok", " no", 1) }

const length2 = "Content-Length: 2"

func source(name string, limits intake.Limits) intake.Source {
	return intake.Source{Name: name, Provider: vendor{reported(1, false)}, Limits: limits}
}

// A door is a log that lets appends through one at a time, each when told to.
type door struct{ entered, open chan struct{} }

func newDoor() door { return door{make(chan struct{}), make(chan struct{})} }

// Append implements [intake.Appender].
func (d door) Append(ctx context.Context, delivery domain.Delivery) (domain.Receipt, error) {
	d.entered <- struct{}{}
	<-d.open
	return domain.Receipt{Delivery: delivery.ID, Status: domain.Accepted}, context.Cause(ctx)
}

// TestOwnPlaces lets one source take all of its places: another is not concerned.
func TestOwnPlaces(t *testing.T) {
	log := newDoor()
	s := listen(t, log, source("busy", intake.Limits{AtOnce: 2}), source("other", intake.Limits{}))
	waiting := []*sender{s.dial(head("busy", length2), "{}"), s.dial(head("busy", length2), "{}")}
	<-log.entered
	<-log.entered
	s.clock.advance(time.Hour) // what is being recorded is never sent away
	r := s.dial(head("busy", length2)).want(http.StatusServiceUnavailable)
	if after, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || after < 1 {
		t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
	}
	other := s.dial(head("other", length2), "{}")
	<-log.entered
	for range 3 {
		log.open <- struct{}{}
	}
	for _, c := range append(waiting, other) {
		c.want(http.StatusOK)
	}
}

// TestGone sends a delivery and leaves: it is recorded, and its place is taken
// until it is.
func TestGone(t *testing.T) {
	log := newDoor()
	s := listen(t, log, source("acme", intake.Limits{AtOnce: 1}))
	s.dial(head("acme", length2), "{}").conn.Close()
	<-log.entered
	s.dial(head("acme", length2), "{}").want(http.StatusServiceUnavailable)
	<-s.answers
	log.open <- struct{}{}
	if a := <-s.answers; a.Status != domain.Accepted {
		t.Errorf("%+v: the sender's leaving counts", a)
	}
}

// TestSlowGivesWay fills all places with bodies that never come to their end: who
// does not wait gets in all the same.
func TestSlowGivesWay(t *testing.T) {
	const places = 3
	s := listen(t, postgrestest.Appender(t, postgrestest.URL(t)), source("acme", intake.Limits{AtOnce: places}))
	s.SetBodyTimeout(time.Minute)
	var slow []*sender
	for i := range places {
		slow = append(slow, s.dial(head("acme", length2), "{"))
		s.await("acme", i+1)
	}
	s.dial(head("acme", length2), "{}").want(http.StatusServiceUnavailable).Body.Close()
	s.clock.advance(intake.Patience + 1)
	for i, c := range slow {
		s.dial(head("acme", length2), "{}").want(http.StatusOK)
		if r := c.want(http.StatusServiceUnavailable); r.Header.Get("Retry-After") == "" {
			t.Errorf("slow sender %d is not told when to try again", i)
		}
		c.closed()
		// The place that was free again is taken by another slow one.
		s.await("acme", places-1)
		fresh := s.dial(head("acme", length2), "{")
		s.await("acme", places)
		t.Cleanup(func() { fresh.conn.Close() })
	}
	s.clock.advance(intake.Patience + 1)
	s.dial(head("acme", length2), "{}").want(http.StatusOK)
}

// TestStalled lets a body stop in the middle: its time is over soon.
func TestStalled(t *testing.T) {
	s := listen(t, postgrestest.Appender(t, postgrestest.URL(t)), source("acme", intake.Limits{}))
	s.SetBodyTimeout(20 * time.Millisecond)
	for _, header := range []string{length2, "Transfer-Encoding: chunked"} {
		c := s.dial(head("acme", header))
		c.want(http.StatusRequestTimeout)
		c.closed()
	}
}

// TestBroken sends what is not a whole request, or not one: each has its answer,
// if there is anybody left to answer, and then a good delivery gets in.
func TestBroken(t *testing.T) {
	s := listen(t, postgrestest.Appender(t, postgrestest.URL(t)), source("acme", intake.Limits{AtOnce: 1}))
	huge := strconv.Itoa(intake.DefaultMaxBytes + 1)
	for _, tt := range []struct {
		name    string
		say     string
		abort   string // "", "close", "reset" or "half" (no more is sent, and the answer read)
		want    []int  // statuses
		refused int    // that the observer is told, if nobody reads the answer
	}{
		{"chunked", head("acme", "Transfer-Encoding: chunked") + "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", "", []int{200}, 0},
		{"without a body", head("acme", "Content-Length: 0"), "", []int{200}, 0},
		{"without a length", head("acme"), "half", []int{200}, 0},
		{"two in a row", head("acme", length2) + "{}" + head("acme", length2) + "{}", "", []int{200, 200}, 0},
		{"broken chunk", head("acme", "Transfer-Encoding: chunked") + "x\r\n{}\r\n", "", []int{400}, 0},
		{"chunks without an end", head("acme", "Transfer-Encoding: chunked") + "1\r\n{\r\n", "half", []int{400}, 0},
		{"chunks that are too many", head("acme", "Transfer-Encoding: chunked") + strings.Repeat("8000\r\n"+strings.Repeat("x", 0x8000)+"\r\n", 33), "", []int{413}, 0},
		{"too large, and it says so", head("acme", "Content-Length: "+huge), "", []int{413}, 0},
		{"too large, and it asks first", head("acme", "Content-Length: "+huge, "Expect: 100-continue"), "", []int{413}, 0},
		{"it asks first", head("acme", length2, "Expect: 100-continue") + "{}", "", []int{100, 200}, 0},
		{"a length that is none", head("acme", "Content-Length: two"), "", []int{400}, 0},
		{"two lengths", head("acme", length2, "Content-Length: 3") + "{}", "", []int{400}, 0},
		{"a length that is too small", head("acme", "Content-Length: 1") + "{}\r\n\r\n", "", []int{200, 400}, 0},
		{"a length that is too great", head("acme", "Content-Length: 3") + "{}", "half", []int{400}, 0},
		{"closed in the middle", head("acme", "Content-Length: 3") + "{}", "close", nil, 400},
		{"reset in the middle", head("acme", "Content-Length: 3") + "{}", "reset", nil, 400},
		{"closed before the answer", head("acme", length2) + "{}", "close", nil, 200},
		{"not a request", "\x16\x03\x01\x02\x00\x01\x00", "half", []int{400}, 0},
		{"not authentic", forged("acme") + "{}", "", []int{401}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			for len(s.answers) > 0 {
				<-s.answers
			}
			c := s.dial(tt.say)
			switch tt.abort {
			case "half":
				if err := c.conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			case "reset":
				s.await("acme", 1)
				if err := c.conn.SetLinger(0); err != nil {
					t.Fatal(err)
				}
				c.conn.Close()
			case "close":
				c.conn.Close()
			}
			for _, status := range tt.want {
				c.want(status)
			}
			if tt.refused != 0 {
				if a := <-s.answers; a.Code != tt.refused {
					t.Errorf("the observer is told %+v, want code %d", a, tt.refused)
				}
			}
			s.await("acme", 0)
			s.dial(head("acme", length2), "{}").want(http.StatusOK)
		})
	}
}

// TestUnread refuses without the body whatever it can: the sender, who has not
// sent any of it yet, is answered.
func TestUnread(t *testing.T) {
	minute := intake.Limits{Rate: intake.Rate{Deliveries: 1, Per: time.Minute}}
	byHead := source("by-head", intake.Limits{})
	byHead.Provider = headVendor{vendor{reported(1, false)}}
	s := listen(t, postgrestest.Appender(t, postgrestest.URL(t)), source("acme", minute), byHead)
	s.dial(head("acme", length2), "{}").want(http.StatusOK)
	for _, tt := range []struct {
		name, head string
		want       int
	}{
		{"no such source", head("nobody", length2), 404},
		{"not a POST", strings.Replace(head("acme", length2), "POST", "PUT", 1), 405},
		{"too large", head("acme", "Content-Length: 9999999"), 413},
		{"compressed", head("acme", length2, "Content-Encoding: gzip"), 415},
		{"over its rate", head("acme", length2), 429},
		{"not authentic", forged("by-head"), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			c := s.dial(tt.head)
			c.want(tt.want)
			c.closed()
		})
	}
}

// headVendor is a vendor that does not look at the body.
type headVendor struct{ vendor }

func (headVendor) SignsBody() bool { return false }

// TestRate sends more than a source may: what is too much is refused for as long
// as the rate says, and what is not authentic takes nothing from the rest.
func TestRate(t *testing.T) {
	s := listen(t, postgrestest.Appender(t, postgrestest.URL(t)), source("acme", intake.Limits{Rate: intake.Rate{Deliveries: 2, Per: time.Minute}}))
	post := func(status int) *http.Response { return s.dial(head("acme", length2), "{}").want(status) }
	post(200)
	for range 5 {
		s.dial(forged("acme"), "{}").want(http.StatusUnauthorized)
	}
	post(200)
	for range 3 {
		after, err := strconv.Atoi(post(http.StatusTooManyRequests).Header.Get("Retry-After"))
		if err != nil || after < 31 || after > 34 {
			t.Errorf("Retry-After %d, %v", after, err)
		}
	}
	s.clock.advance(30 * time.Second)
	post(200)
	post(http.StatusTooManyRequests)
	s.clock.advance(time.Hour) // no more is saved up than there was
	post(200)
	post(200)
	post(http.StatusTooManyRequests)
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]intake.Rate{
		"": {}, "50/s": {50, time.Second}, "600/m": {600, time.Minute}, "1/h": {1, time.Hour},
	} {
		if got, err := intake.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"50", "/s", "50/", "50/d", "0/s", "-1/s", "1.5/s", "50/s ", "1e3/s", "9999999/s"} {
		if got, err := intake.ParseRate(text); domain.CodeOf(err) != domain.Usage || domain.HintOf(err) == "" {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestSuccess answers with the status that the source wants.
func TestSuccess(t *testing.T) {
	log := postgrestest.Appender(t, postgrestest.URL(t))
	var sources []intake.Source
	statuses := []int{200, 201, 202, 204}
	for _, status := range statuses {
		of := source(fmt.Sprint("acme-", status), intake.Limits{})
		of.Success = status
		sources = append(sources, of)
	}
	s := listen(t, log, sources...)
	for _, status := range statuses {
		r := s.dial(head(fmt.Sprint("acme-", status), length2), "{}").want(status)
		body, err := io.ReadAll(r.Body)
		if err != nil || (len(body) == 0) != (status == 204) || (r.Header.Get("Content-Type") == "") != (status == 204) {
			t.Errorf("%d: %q, %v, %v", status, body, r.Header, err)
		}
	}
}

// TestObserver wants every request to be told of, with what it came to and no
// name from outside.
func TestObserver(t *testing.T) {
	s := listen(t, postgrestest.Appender(t, postgrestest.URL(t)), source("acme", intake.Limits{}))
	var got []string
	for _, request := range []string{
		head("acme", length2) + "{}", head("acme", length2) + "{}", head("nobody", length2), forged("acme") + "{}",
	} {
		s.dial(request).answer()
		a := <-s.answers
		got = append(got, fmt.Sprintf("%q %d %q %d", a.Source, a.Code, a.Status, a.Secret))
		if a.Took <= 0 || a.At.IsZero() {
			t.Errorf("%+v", a)
		}
	}
	want := []string{`"acme" 200 "accepted" 1`, `"acme" 200 "duplicate" 1`, `"" 404 "" 0`, `"acme" 401 "" 0`}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
