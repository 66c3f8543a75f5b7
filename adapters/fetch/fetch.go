// Package fetch asks providers' REST APIs.
//
// A client belongs to one source and one origin. What it keeps true: credentials
// go to that origin alone, over TLS unless it is this machine, and no redirect is
// followed; a body is bounded; no more is asked at once, or per minute, than the
// provider bears, and nothing before the moment it asked us to come back; an
// origin that keeps failing is left alone for a while; a request is repeated
// only when that can help; and no error says what the credentials are.
//
// What came of a request is told by the code of its error:
//
//	Unavailable                  not now: the network, 408, 425, 429, 5xx, an answer
//	                             that cannot be read, a circuit that is open.
//	                             [RetryAfter] says when it may be asked again
//	Unauthenticated, NotAllowed  401, 403: pause, a person has to act
//	NotFound                     404, 410
//	TooLarge                     the answer is larger than the bound
//	Refused                      any other status, redirects included
package fetch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// Defaults of a [Config].
const (
	DefaultMaxBytes  = 8 << 20
	DefaultTimeout   = 15 * time.Second
	DefaultPerMinute = 60
	DefaultAtOnce    = 2
	DefaultAttempts  = 8
)

// How long an origin is left alone, and after how many failures in a row.
const (
	breakAfter = 5
	breakFor   = 30 * time.Second
)

// A Config says where an API is and what it bears. The zero value of a field
// is its default.
type Config struct {
	BaseURL   string        // such as "https://api.credly.com/v1"; plain http on loopback only
	Auth      Auth          // nil: none
	MaxBytes  int64         // of an answer, once it is decompressed
	Timeout   time.Duration // of one try
	PerMinute int           // requests
	AtOnce    int           // requests
	Attempts  int           // of [Client.Do]

	// AnyBody takes answers that are not JSON. Otherwise such an answer counts as
	// a failure of the origin: a proxy's error page is one.
	AnyBody bool

	// Waiting, if it is set, is told before [Client.Do] waits: for how long, and why.
	Waiting func(d time.Duration, err error)

	// Transport is for tests; nil: one of the client's own.
	Transport http.RoundTripper
}

// An Auth has the credentials for an API. It is safe for use by many goroutines.
type Auth interface {
	// Add adds them to a request. The error must not say what they are.
	Add(*http.Request) error

	// Refused is told of a request whose credentials the API does not accept, and
	// reports whether Add may have others now.
	Refused(*http.Request) bool
}

// An Answer is what an API said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // exact bytes, decompressed
}

// A Client asks one API. It is safe for use by many goroutines.
type Client struct {
	config  Config
	base    *url.URL
	http    *http.Client
	limit   *rate.Limiter
	slots   chan struct{}
	breaker *gobreaker.CircuitBreaker[Answer]

	mu        sync.Mutex
	notBefore time.Time // the provider asked not to be asked earlier
	broken    time.Time // the circuit opened then
	fault     error     // the last that speaks against the origin
}

// New returns a client, or an error with code [domain.Usage].
func New(c Config) (*Client, error) {
	base, err := parseBase(c.BaseURL)
	if err != nil {
		return nil, err
	}
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.PerMinute = cmp.Or(c.PerMinute, DefaultPerMinute)
	c.AtOnce = cmp.Or(c.AtOnce, DefaultAtOnce)
	c.Attempts = cmp.Or(c.Attempts, DefaultAttempts)
	if c.Transport == nil {
		c.Transport = newTransport(c.AtOnce)
	}
	client := &Client{
		config: c,
		base:   base,
		http: &http.Client{
			Transport: c.Transport,
			// The redirect itself is the answer: whoever it points to must not get
			// the credentials.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limit: rate.NewLimiter(rate.Every(time.Minute/time.Duration(c.PerMinute)), 1),
		slots: make(chan struct{}, c.AtOnce),
	}
	client.breaker = gobreaker.NewCircuitBreaker[Answer](gobreaker.Settings{
		Timeout:      breakFor,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= breakAfter },
		IsSuccessful: func(err error) bool { return !faulty(err) },
		IsExcluded:   func(err error) bool { return errors.Is(err, errGivenUp) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			client.mu.Lock()
			defer client.mu.Unlock()
			if client.broken = (time.Time{}); to == gobreaker.StateOpen {
				client.broken = time.Now()
			}
		},
	})
	return client, nil
}

// newTransport returns a transport with limits that the default one lacks.
func newTransport(atOnce int) http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    atOnce,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// parseBase returns the base URL of an API. Credentials go there, so it must not
// be readable on the way.
func parseBase(s string) (*url.URL, error) {
	const op = "fetch: configure"
	u, err := url.Parse(strings.TrimRight(s, "/"))
	switch {
	case err != nil || u.Host == "":
		return nil, domain.Errorf(domain.Usage, op, "the API's URL is not one").WithHint(`Give one such as "https://api.example.com/v1".`)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, domain.Errorf(domain.Usage, op, "the API's URL holds more than scheme, host and path").
			WithHint("Leave user, password and query out of it.")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, domain.Errorf(domain.Usage, op, "the API's URL is not https").
		WithHint("Use https: the credentials would be readable on the way.")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Try asks once. It waits for its turn, but not for a provider that asked not to
// be asked and not for a circuit to close: then, and for whatever else is passing,
// the error has code [domain.Unavailable] and [RetryAfter] says for how long.
//
// The answer is given as far as it was read, along with an error too.
func (c *Client) Try(ctx context.Context, q domain.Query) (Answer, error) {
	if err := c.held(time.Now()); err != nil {
		return Answer{}, err
	}
	if err := c.turn(ctx); err != nil {
		return Answer{}, domain.Errorf(domain.Unavailable, op(q), "%w: %w", errGivenUp, err)
	}
	defer func() { <-c.slots }()
	// Another request may have been told meanwhile.
	if err := c.held(time.Now()); err != nil {
		return Answer{}, err
	}
	answer, err := c.breaker.Execute(func() (Answer, error) {
		answer, err := c.ask(ctx, q)
		c.blame(err)
		return answer, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return Answer{}, c.open(time.Now())
	}
	return answer, err
}

// turn waits until the request may be sent, and takes a slot.
func (c *Client) turn(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.limit.Wait(ctx); err != nil {
		<-c.slots
		return err
	}
	return nil
}

// errGivenUp marks a try that the caller ended: nobody's failure.
var errGivenUp = errors.New("given up")

// ask sends the request and says what came of it. If its credentials are refused
// and there are others, it is sent once more.
func (c *Client) ask(ctx context.Context, q domain.Query) (Answer, error) {
	answer, request, err := c.send(ctx, q)
	if answer.Status != http.StatusUnauthorized || c.config.Auth == nil || !c.config.Auth.Refused(request) || c.limit.Wait(ctx) != nil {
		return answer, err
	}
	answer, request, err = c.send(ctx, q)
	if answer.Status == http.StatusUnauthorized {
		c.config.Auth.Refused(request)
	}
	return answer, err
}

// send sends the request once. The request that is returned was sent if the answer
// has a status.
func (c *Client) send(ctx context.Context, q domain.Query) (Answer, *http.Request, error) {
	request, cancel, err := c.request(ctx, q)
	defer cancel()
	if err != nil {
		return Answer{}, nil, c.abandoned(ctx, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, nil, c.abandoned(ctx, domain.Errorf(domain.Unavailable, op(q), "%w", withoutURL(err)))
	}
	defer func() { _ = response.Body.Close() }() // what was read is what counts
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	answer.Body, err = io.ReadAll(io.LimitReader(response.Body, c.config.MaxBytes+1))
	if int64(len(answer.Body)) > c.config.MaxBytes {
		answer.Body = nil
		return answer, request, domain.Errorf(domain.TooLarge, op(q), "the answer has more than %d bytes", c.config.MaxBytes)
	}
	if refused := c.refused(q, answer); refused != nil {
		return answer, request, refused
	}
	if err != nil {
		return answer, request, c.abandoned(ctx, domain.Errorf(domain.Unavailable, op(q), "the answer broke off: %w", withoutURL(err)))
	}
	if !c.config.AnyBody && !json.Valid(payload.TrimByteOrderMark(answer.Body)) {
		return answer, request, domain.Errorf(domain.Unavailable, op(q), "the answer is not JSON")
	}
	return answer, request, nil
}

// abandoned marks err if it is the caller's doing: that the whole is over, as
// opposed to one try that took too long.
func (c *Client) abandoned(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return domain.Errorf(domain.Unavailable, "", "%w: %w", errGivenUp, err)
}

// request builds the HTTP request. It cannot leave the API's base.
func (c *Client) request(ctx context.Context, q domain.Query) (*http.Request, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	u, err := url.Parse(c.base.String() + "/" + q.Path)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != c.base.Host || u.Scheme != c.base.Scheme || climbs(q.Path) {
		return nil, cancel, domain.Errorf(domain.Internal, "fetch", "%.100q is not a path below the API's", q.Path)
	}
	u.RawQuery = q.Values.Encode()
	r, err := http.NewRequestWithContext(ctx, cmp.Or(q.Method, http.MethodGet), u.String(), bytes.NewReader(q.Body))
	if err != nil {
		return nil, cancel, domain.Errorf(domain.Internal, "fetch", "%.20q is not a method", q.Method)
	}
	// Credly asks for both, also of a GET.
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "daybook")
	if c.config.Auth == nil {
		return r, cancel, nil
	}
	return r, cancel, c.config.Auth.Add(r)
}

// climbs reports whether a path has an element that means another one.
func climbs(path string) bool {
	plain, err := url.PathUnescape(path)
	if err != nil || strings.HasPrefix(path, "/") {
		return true
	}
	for element := range strings.SplitSeq(plain, "/") {
		if element == "." || element == ".." {
			return true
		}
	}
	return false
}

// refused returns the error that the status of an answer means, nil if it is a
// success. What the body says stays out of it: it may repeat what was sent.
func (c *Client) refused(q domain.Query, a Answer) error {
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	e := domain.Errorf(domain.Refused, op(q), "the API answers %d %s", a.Status, http.StatusText(a.Status))
	switch {
	case a.Status == http.StatusUnauthorized:
		e.Code = domain.Unauthenticated
		return e.WithHint("Check the API token of this source: it may be wrong, replaced or expired.")
	case a.Status == http.StatusForbidden:
		e.Code = domain.NotAllowed
		return e.WithHint("Ask the provider whether the token may do this, and whether your plan includes the API.")
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		e.Code = domain.NotFound
		return e.WithHint("Check api_url of this source.")
	case a.Status == http.StatusTooManyRequests:
		e.Code = domain.Unavailable
		e.Err = errTooMany
		return c.later(e, a.Header)
	case a.Status == http.StatusRequestTimeout || a.Status == http.StatusTooEarly || a.Status >= 500:
		e.Code = domain.Unavailable
		return c.later(e, a.Header)
	case a.Status >= 300 && a.Status < 400:
		return e.WithHint("Check api_url of this source; redirects are not followed, since credentials would go along.")
	}
	return e
}

// errTooMany is 429: the origin is well, and we are too fast.
var errTooMany = errors.New("the API answers 429 Too Many Requests")

// blame keeps err to be told while the circuit is open, if it speaks against the
// origin.
func (c *Client) blame(err error) {
	if faulty(err) && !errors.Is(err, errGivenUp) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fault = err
	}
}

// faulty reports whether err speaks against the origin.
func faulty(err error) bool {
	return domain.CodeOf(err) == domain.Unavailable && !errors.Is(err, errTooMany)
}

// withoutURL takes the URL off an error of net/http: its query may name people.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// op names a request in an error.
func op(q domain.Query) string {
	return "fetch " + cmp.Or(q.Method, http.MethodGet) + " " + q.Path
}
