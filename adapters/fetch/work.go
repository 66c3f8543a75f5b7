package fetch

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// A pending notice is one that is not settled.
type pending struct {
	notice   domain.BadgesNoticed
	position int64
	delivery ulid.ULID
	since    time.Time // when it was recorded

	attempts int
	due      time.Time // when it is tried next
	missed   bool      // the provider said that there is no such thing
	settled  bool
}

// Waits between the tries of one notice: up to noticeWait after the first, twice
// as long after each, up to longestNoticeWait.
const (
	noticeWait        = time.Second
	longestNoticeWait = 10 * time.Minute
)

// readPace is how often the log is read at most, and savePace the cursor saved.
const (
	readPace = 200 * time.Millisecond
	savePace = time.Second
)

// An outcome is what came of a try: nil if the notice is settled.
type outcome struct {
	of  *pending
	err error
}

type sweepOutcome struct {
	became map[domain.Status]int64
	err    error
}

// found returns how many answers the sweep has appended.
func (o sweepOutcome) found() (n int64) {
	for status, rows := range o.became {
		if status != domain.Duplicate {
			n += rows
		}
	}
	return n
}

// work is what an enricher has to do. One goroutine owns it; tries tell it what
// came of them.
type work struct {
	enricher *Enricher
	pending  map[string]*pending // by id
	order    []*pending          // by position, settled ones in between
	waiting  queue               // those that are not being tried
	trying   int
	outcomes chan outcome
	swept    chan sweepOutcome

	readTo  int64
	readAt  time.Time
	stale   bool // there may be more to read
	saved   int64
	savedAt time.Time

	denied   time.Time // since when; zero: not
	probeAt  time.Time
	failed   error // of the last try
	sweeping bool
	sweepAt  time.Time
	sweptAt  time.Time
}

// newWork begins where the log says that everything before is settled.
func newWork(ctx context.Context, e *Enricher) (*work, error) {
	from, err := e.Log.Cursor(ctx, e.Follower())
	return &work{
		enricher: e, pending: make(map[string]*pending), readTo: from, saved: from, stale: true,
		// A try that ends after the owner of the work has gone must not wait for him.
		outcomes: make(chan outcome, e.AtOnce), swept: make(chan sweepOutcome, 1),
	}, err
}

func unverifiedKey(notice string) string { return payload.Key("unverified", notice) }

// read takes up the notices that are new in the log.
func (w *work) read(ctx context.Context) error {
	now := time.Now()
	if !w.stale && now.Sub(w.readAt) < pollEvery || now.Sub(w.readAt) < readPace {
		return nil
	}
	w.readAt, w.stale = now, false
	for {
		list, upTo, err := w.enricher.Log.Notices(ctx, w.enricher.Source, w.readTo)
		if err != nil {
			return err
		}
		if err := w.add(ctx, list); err != nil {
			return err
		}
		if w.readTo = upTo; len(list) == 0 {
			return nil
		}
	}
}

// add takes up those of the deliveries that are notices and are not settled.
func (w *work) add(ctx context.Context, list []domain.Notice) error {
	e := w.enricher
	var found []*pending
	var keys []string
	for _, d := range list {
		n, ok := e.Noticer.Noticed(d.Body)
		if !ok || w.pending[n.Notice] != nil {
			continue
		}
		// It may be kept for days: without the body that its texts are a part of.
		for _, text := range []*string{&n.Notice, &n.Organization, &n.EventType} {
			*text = strings.Clone(*text)
		}
		found = append(found, &pending{notice: n, position: d.Position, delivery: d.Delivery, since: d.RecordedAt})
		keys = append(keys, e.Noticer.AnswerKey(n.Notice), unverifiedKey(n.Notice))
	}
	if len(found) == 0 {
		return nil
	}
	known, err := e.Log.Statuses(ctx, e.Source, keys)
	if err != nil {
		return err
	}
	for _, p := range found {
		id := p.notice.Notice
		if known[e.Noticer.AnswerKey(id)] == "" && known[unverifiedKey(id)] == "" && w.pending[id] == nil {
			w.pending[id] = p
			w.order = append(w.order, p)
			heap.Push(&w.waiting, p)
		}
	}
	return nil
}

// next returns a notice to be tried now, nil if there is none. While the
// credentials are refused, one is tried now and then, whichever.
func (w *work) next(now time.Time) *pending {
	switch {
	case len(w.waiting) == 0 || w.trying == w.enricher.AtOnce:
		return nil
	case w.isDenied():
		if w.trying > 0 || now.Before(w.probeAt) {
			return nil
		}
	case w.waiting[0].due.After(now):
		return nil
	}
	w.trying++
	return heap.Pop(&w.waiting).(*pending)
}

func (w *work) isDenied() bool { return !w.denied.IsZero() }

// settled takes up what came of a try.
func (w *work) settled(o outcome, now time.Time) {
	w.trying--
	p := o.of
	if errors.Is(o.err, errInHand) {
		p.due = now.Add(noticeWait)
		w.probeAt = p.due // which nobody looks at unless the credentials are refused
		heap.Push(&w.waiting, p)
		return
	}
	w.judge(o.err, now)
	if o.err == nil {
		p.settled = true
		delete(w.pending, p.notice.Notice)
		return
	}
	p.attempts++
	p.missed = domain.CodeOf(o.err) == domain.NotFound
	p.due = now.Add(max(noticeJitter(p.attempts), RetryAfter(o.err)))
	heap.Push(&w.waiting, p)
}

// judge takes up what a try says of the API: that the credentials are refused,
// that it is well again, or that it is not.
func (w *work) judge(err error, now time.Time) {
	e := w.enricher
	switch {
	case Denied(err):
		if !w.isDenied() {
			w.denied = now
			e.say(slog.LevelError, "source paused: its credentials are refused and nothing is fetched",
				slog.Any("error", err), slog.String("hint", domain.HintOf(err)), slog.Duration("next", probeEvery))
		}
		w.probeAt = now.Add(probeEvery)
	case w.isDenied() && letIn(err):
		w.denied = time.Time{}
		e.say(slog.LevelInfo, "source resumed: its credentials are accepted")
		w.hurry(now)
	case w.isDenied():
		w.probeAt = now.Add(probeEvery)
	case err == nil && w.failed != nil:
		w.hurry(now)
	case err != nil && w.failed == nil:
		e.say(slog.LevelWarn, "not fetched; it will be tried again", slog.Any("error", err), slog.Int("pending", len(w.pending)))
	}
	w.failed = err
}

// say tells the operator something about the source.
func (e *Enricher) say(level slog.Level, what string, attrs ...slog.Attr) {
	e.Logger.LogAttrs(context.Background(), level, what, //nolint:sloglint // the callers have constants
		append([]slog.Attr{slog.String("source", e.Source)}, attrs...)...)
}

// letIn reports whether who answered so has accepted our credentials.
func letIn(err error) bool {
	switch domain.CodeOf(err) {
	case "", domain.NotFound, domain.Differs, domain.TooLarge:
		return true
	}
	return false
}

// hurry makes everything due that waits because the API was not well.
func (w *work) hurry(now time.Time) {
	for _, p := range w.waiting {
		if !p.missed {
			p.due = now
		}
	}
	heap.Init(&w.waiting)
}

// sweepDue reports whether a sweep has to begin, and counts it as begun. While
// the credentials are refused, it is what is tried if there is no notice to try.
func (w *work) sweepDue(now time.Time) bool {
	if w.sweeping || now.Before(w.sweepAt) || w.isDenied() && len(w.pending) > 0 {
		return false
	}
	w.sweeping = true
	return true
}

// sweptOnce takes up what came of a sweep.
func (w *work) sweptOnce(o sweepOutcome, now time.Time) {
	w.sweeping = false
	if Denied(o.err) || w.isDenied() {
		w.judge(o.err, now)
	}
	found := slog.Int64("found", o.found())
	switch {
	case o.err != nil:
		if w.sweepAt = now.Add(sweepAgain); w.isDenied() {
			w.sweepAt = w.probeAt
		}
		w.enricher.say(slog.LevelWarn, "sweep not completed; it will be tried again", found, slog.Any("error", o.err), slog.Duration("next", w.sweepAt.Sub(now)))
		return
	case o.found() > 0:
		w.enricher.say(slog.LevelInfo, "sweep found events that no notice was confirmed of", found)
	}
	w.sweptAt, w.sweepAt = now, now.Add(sweepEvery)
}

// oldest returns the first notice that is not settled, nil if all are.
func (w *work) oldest() *pending {
	for len(w.order) > 0 && w.order[0].settled {
		w.order[0] = nil
		w.order = w.order[1:]
	}
	if len(w.order) == 0 {
		return nil
	}
	return w.order[0]
}

// status returns how the work is doing.
func (w *work) status() Status {
	s := Status{Running: true, Pending: len(w.pending), Denied: w.denied, Failed: w.failed, Swept: w.sweptAt}
	if p := w.oldest(); p != nil {
		s.Oldest = p.since
	}
	return s
}

// save moves the cursor up to the first notice that is not settled.
func (w *work) save(ctx context.Context) error {
	low := w.readTo
	if p := w.oldest(); p != nil {
		low = p.position - 1
	}
	now := time.Now()
	if low <= w.saved || now.Sub(w.savedAt) < savePace {
		return nil
	}
	if err := w.enricher.Log.Advance(ctx, w.enricher.Follower(), low); err != nil {
		return err
	}
	w.saved, w.savedAt = low, now
	return nil
}

// sleep returns how long there is nothing to do unless somebody wakes.
func (w *work) sleep(now time.Time) time.Duration {
	until := w.readAt.Add(pollEvery)
	earlier := func(t time.Time) {
		if t.Before(until) {
			until = t
		}
	}
	if w.stale {
		earlier(w.readAt.Add(readPace))
	}
	if len(w.waiting) > 0 && w.trying < w.enricher.AtOnce {
		if w.isDenied() {
			earlier(w.probeAt)
		} else {
			earlier(w.waiting[0].due)
		}
	}
	if !w.sweeping && (!w.isDenied() || len(w.pending) == 0) {
		earlier(w.sweepAt)
	}
	// Never nothing, so that a clock which stands still cannot make it spin.
	return max(until.Sub(now), time.Millisecond)
}

// noticeJitter returns how long to wait after the given attempt, counted from 1:
// a random part of a time that doubles.
func noticeJitter(attempt int) time.Duration {
	ceiling := longestNoticeWait
	if attempt < 20 {
		ceiling = min(noticeWait<<(attempt-1), longestNoticeWait)
	}
	return rand.N(ceiling) + 1
}

// A queue is a heap of notices, the one due first on top; of two, the older one.
type queue []*pending

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if c := q[i].due.Compare(q[j].due); c != 0 {
		return c < 0
	}
	return q[i].position < q[j].position
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*pending)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return p
}
