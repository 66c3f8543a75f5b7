package intake

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/daybook-ledger/daybook/domain"
)

// Limits keep one source from taking what the others need.
type Limits struct {
	// Rate is how many deliveries are taken in. The zero Rate takes all: what is
	// refused is lost if its provider does not send it again, and not all say
	// that they do.
	Rate Rate

	// AtOnce is how many requests are read and recorded at the same time; 0 is
	// [DefaultAtOnce].
	AtOnce int
}

// DefaultAtOnce is how many requests of one source are in hand at the most,
// unless its [Limits] say otherwise. It is far less than may wait for the log, so
// that one source alone never fills that queue.
const DefaultAtOnce = 64

// A Rate is a number of deliveries in a time: a bucket that holds as many, and
// is filled again evenly in that time.
type Rate struct {
	Deliveries int
	Per        time.Duration
}

// ParseRate reads a rate such as "50/s", "600/m" or "10000/h"; "" is no limit.
func ParseRate(text string) (Rate, error) {
	if text == "" {
		return Rate{}, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(number)
	per, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if err != nil || !ok || n < 1 || n > 1_000_000 {
		return Rate{}, domain.Errorf(domain.Usage, "rate", "%q is not a rate", text).
			WithHint(`Write a number of deliveries and s, m or h, such as "50/s".`)
	}
	return Rate{n, per}, nil
}

// limiter returns the bucket of the rate, nil for no limit.
func (r Rate) limiter() *rate.Limiter {
	if r.Deliveries == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Every(r.each()), r.Deliveries)
}

// each returns the time in which one delivery is allowed.
func (r Rate) each() time.Duration { return r.Per / time.Duration(r.Deliveries) }

// patience is how long the body of a request may take while others of its source
// are turned away.
const patience = 100 * time.Millisecond

// A gate lets so many requests of one source in at once.
//
// Whoever is slow gives way: if all places are taken, the request whose body has
// been awaited the longest is sent away, if that is longer than [patience]. So
// senders that never come to an end, of whom nobody knows yet whether they are
// authentic, do not keep out those that do.
type gate struct {
	limit int

	mu      sync.Mutex
	taken   int
	reading []*place // oldest first
}

// A place in a gate is held from before the body is read until the outcome is
// known.
type place struct {
	gate    *gate
	since   time.Time
	cut     func() // ends the reading of the body
	evicted bool   // somebody else has the place
}

// enter takes a place, or reports that there is none. Whoever has one must call
// [place.read] once its body is read, and [place.leave]. Cut may be called until
// then, from elsewhere.
func (g *gate) enter(now time.Time, cut func()) (*place, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.taken < g.limit:
		g.taken++
	case len(g.reading) > 0 && now.Sub(g.reading[0].since) > patience:
		slow := g.reading[0]
		g.reading = slices.Delete(g.reading, 0, 1)
		slow.evicted = true
		slow.cut()
	default:
		return nil, false
	}
	p := &place{gate: g, since: now, cut: cut}
	g.reading = append(g.reading, p)
	return p, true
}

// read says that the body is read or never will be, and reports whether the
// place is still held.
func (p *place) read() bool {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if i := slices.Index(p.gate.reading, p); i >= 0 {
		p.gate.reading = slices.Delete(p.gate.reading, i, i+1)
	}
	return !p.evicted
}

// leave gives the place up.
func (p *place) leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if !p.evicted {
		p.gate.taken--
	}
}

// busy returns how many places are taken.
func (g *gate) busy() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}
