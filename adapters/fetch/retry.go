package fetch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// Waits of [Client.Do] between tries: up to firstWait after the first, twice as
// long after each, up to longestWait.
const (
	firstWait   = time.Second
	longestWait = time.Minute
)

// A provider that asks for longer than maxRetryAfter is asked after that; one
// that asks for longer than patience is not waited for by [Client.Do].
const (
	maxRetryAfter = 24 * time.Hour
	patience      = 15 * time.Minute
)

// A laterError says when to ask again.
type laterError struct {
	after time.Duration
	err   error
}

func (e *laterError) Error() string { return e.err.Error() }
func (e *laterError) Unwrap() error { return e.err }

// RetryAfter returns how long the provider asked to be left alone, at most a
// day; 0: it did not say, and the caller decides.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*laterError](err); ok {
		return e.after
	}
	return 0
}

// Denied reports whether err says that the credentials are not good for the
// request: nothing but a person can change that.
func Denied(err error) bool {
	code := domain.CodeOf(err)
	return code == domain.Unauthenticated || code == domain.NotAllowed
}

// later adds to err when the headers of an answer ask us to come back, and holds
// back whoever uses the client until then.
func (c *Client) later(err error, h http.Header) error {
	now := time.Now()
	after := retryAfter(h, now)
	if after == 0 {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := now.Add(after); until.After(c.notBefore) {
		c.notBefore = until
	}
	return &laterError{after, err}
}

// held returns an error while the provider does not want to be asked.
func (c *Client) held(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := c.notBefore.Sub(now); left > 0 {
		return &laterError{left, domain.Errorf(domain.Unavailable, "fetch", "%s asked to be left alone for another %s", c.base.Host, left.Round(time.Second))}
	}
	return nil
}

// open returns the error that says that the circuit is open, and why.
func (c *Client) open(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Just after the circuit has closed a little, somebody else is trying it.
	left := max(c.broken.Add(breakFor).Sub(now), time.Second)
	return &laterError{left, domain.Errorf(domain.Unavailable, "fetch", "%s keeps failing and is left alone for %s: %w", c.base.Host, left.Round(time.Second), c.fault)}
}

// retryAfter reads Retry-After (RFC 9110: seconds, or an HTTP date) and
// RateLimit-Reset (Thinkific: Unix seconds; elsewhere seconds from now); the
// longer of the two counts. Moments are compared with the answer's own Date, so
// that our clock need not be right.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	after := seconds(h.Get("RateLimit-Reset"), now)
	if text := h.Get("Retry-After"); text != "" {
		if at, err := http.ParseTime(text); err == nil {
			after = max(after, at.Sub(now))
		} else {
			after = max(after, seconds(text, now))
		}
	}
	return min(max(after, 0), maxRetryAfter)
}

// seconds reads a number of seconds, or Unix seconds; 0: it is neither.
func seconds(text string, now time.Time) time.Duration {
	const epoch = 1_000_000_000 // in 2001: no wait is as long, no reset as long ago
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	switch {
	case err != nil || n <= 0:
		return 0
	case n >= epoch:
		return min(time.Unix(min(n, 1<<40), 0).Sub(now), maxRetryAfter)
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}

// Do asks until there is an answer, the attempts are used up or ctx ends. Only
// what is passing is tried again: after a random part of a time that doubles
// (full jitter), and not before the provider wants it. The error is that of the
// last try.
func (c *Client) Do(ctx context.Context, q domain.Query) (Answer, error) {
	var last error
	for attempt := 1; ; attempt++ {
		answer, err := c.Try(ctx, q)
		switch {
		case err == nil || domain.CodeOf(err) != domain.Unavailable:
			return answer, err
		case ctx.Err() != nil:
			return answer, endOf(ctx, last, err)
		}
		last = err
		wait := max(jittered(attempt), RetryAfter(err))
		if attempt >= c.config.Attempts || wait > patience {
			return answer, fmt.Errorf("given up after %d attempts: %w", attempt, err)
		}
		if c.config.Waiting != nil {
			c.config.Waiting(wait, err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, endOf(ctx, last, err)
		}
	}
}

// endOf returns the error of a request whose context ended: what was wrong
// before, if anything was.
func endOf(ctx context.Context, last, err error) error {
	if last == nil {
		last = err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), last)
}

// jittered returns how long to wait after the given attempt, counted from 1.
func jittered(attempt int) time.Duration {
	ceiling := longestWait
	if attempt < 7 {
		ceiling = min(firstWait<<(attempt-1), longestWait)
	}
	return rand.N(ceiling) + 1
}
