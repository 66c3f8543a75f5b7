package fetch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// A Noticer knows what the notices of a provider are of: webhooks that say no
// more than that something happened. It asks nothing itself. A package satisfies
// it without importing this one.
type Noticer interface {
	// Noticed returns the notice that the body of a delivery is, or a row of the
	// list that is swept. Ok reports whether what it is of has to be fetched.
	Noticed(body []byte) (n domain.BadgesNoticed, ok bool)

	// Ask returns the query for what a notice is of, and what that is called in
	// [domain.Request].
	Ask(n domain.BadgesNoticed) (q domain.Query, fetched string)

	// Confirm returns nil if an answer says what its notice says. An error with
	// code Differs says that it is about something else, any other that it is no
	// answer, and that asking again may help.
	Confirm(n domain.BadgesNoticed, answer []byte) error

	// AnswerKey returns the key of the delivery that the answer to a notice is.
	AnswerKey(notice string) string
}

// A Log is what an enricher reads, and where it keeps how far it has come.
type Log interface {
	// Notices returns the first deliveries of a source after a position that a
	// provider sent by itself and that are a notice or in quarantine, and the
	// position up to which there are no others.
	Notices(ctx context.Context, source string, after int64) (list []domain.Notice, upTo int64, err error)

	// Statuses returns what became of the deliveries of a source with the given
	// keys, by key; those that are not there are left out.
	Statuses(ctx context.Context, source string, keys []string) (map[string]domain.Status, error)

	// Cursor returns the position that Advance was last given, 0 at first.
	Cursor(ctx context.Context, follower string) (int64, error)
	Advance(ctx context.Context, follower string, position int64) error
}

// A Recorder appends to the log. An error with code Unavailable says that it may
// or may not have done so, and that the same bytes are safe to be given again.
type Recorder interface {
	// Check returns why an answer could not be booked if it was recorded, nil if it
	// could be.
	Check(r domain.Request) error

	// Record has an answer translated, and appends it.
	Record(ctx context.Context, r domain.Request, cause ulid.ULID) (domain.Receipt, error)

	// Append appends what is translated already.
	Append(ctx context.Context, d domain.Delivery) (domain.Receipt, error)
}

// An EnricherConfig says what an [Enricher] works with. All of it must be given.
type EnricherConfig struct {
	Source   string
	Client   *Client
	Noticer  Noticer
	Events   Lister // of everything that there may have been a notice of,
	Resource string // in the list of this name
	Log      Log
	Recorder Recorder
	AtOnce   int // how many are fetched at once
	Logger   *slog.Logger
}

// How long a notice is tried before it is given up as unverified.
const (
	answerFor = 7 * 24 * time.Hour // with a provider that gives no answer
	missedFor = time.Hour          // with one that says there is no such thing
)

// unreadFor is how long an answer that cannot be read, or is about something else,
// is asked for again, before it is recorded as it is: in quarantine, or as what
// speaks against the notice.
const unreadFor = time.Minute

// How often it looks without being told to.
const (
	pollEvery  = 30 * time.Second
	probeEvery = 5 * time.Minute // with credentials that were refused
	sweepEvery = 24 * time.Hour
	sweepAgain = 15 * time.Minute // after a sweep that failed
)

// An Enricher fetches what the notices of one source are of, and appends each
// answer as a delivery of its own.
//
// What it keeps true: what has to be fetched follows from the log alone, so that
// a crash, a restart or a second server neither loses a notice nor books one
// twice; its cursor is never beyond a notice that is not settled. A notice is a
// hint until its answer says the same. It is settled by the answer, or by a
// badges.unverified that says why there is none. An answer that may be in the log
// is appended again with the same bytes, not fetched again.
//
// Only one may run for a source at a time.
type Enricher struct {
	EnricherConfig
	mu     sync.Mutex
	status Status
	inHand map[string]bool // ids that are being fetched, after a notice or by a sweep
}

// A Status says how an enricher is doing.
type Status struct {
	Running bool      // here; what follows is known to nobody else
	Pending int       // notices that are not settled
	Oldest  time.Time // when the first of them was recorded
	Denied  time.Time // since when the credentials are refused and nothing is fetched; zero: they are good
	Failed  error     // why the last try failed; nil: it did not
	Swept   time.Time // when a sweep was last completed
}

// NewEnricher returns an enricher. Nothing is fetched until Run runs.
func NewEnricher(c EnricherConfig) *Enricher {
	return &Enricher{EnricherConfig: c, inHand: make(map[string]bool)}
}

// Follower returns the name of the enricher's cursor.
func (e *Enricher) Follower() string { return "enrich/" + e.Source }

// Status returns how the enricher is doing. It may be called while it runs.
func (e *Enricher) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// Run fetches until ctx is done or the log cannot be read or written; the error
// says why, and running again goes on. It looks into the log whenever wake
// receives, and now and then anyway.
func (e *Enricher) Run(ctx context.Context, wake <-chan struct{}) error {
	w, err := newWork(ctx, e)
	if err != nil {
		return err
	}
	defer e.show(Status{})
	ctx, stop := context.WithCancel(ctx)
	var tries sync.WaitGroup
	defer tries.Wait()
	defer stop()
	for {
		if err := w.read(ctx); err != nil {
			return err
		}
		for p := w.next(time.Now()); p != nil; p = w.next(time.Now()) {
			tries.Go(func() { w.outcomes <- outcome{p, e.settle(ctx, p)} })
		}
		if w.sweepDue(time.Now()) {
			tries.Go(func() {
				became, err := e.Sweep(ctx, nil)
				w.swept <- sweepOutcome{became, err}
			})
		}
		if err := w.save(ctx); err != nil {
			return err
		}
		e.show(w.status())
		timer := time.NewTimer(w.sleep(time.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-wake:
			w.stale = true
		case o := <-w.outcomes:
			w.settled(o, time.Now())
		case o := <-w.swept:
			w.sweptOnce(o, time.Now())
		case <-timer.C:
		}
		timer.Stop()
	}
}

// show makes the state of the work visible to others.
func (e *Enricher) show(s Status) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = s
}

// Backlog returns how many notices are not settled, and since when the first of
// them is known. It is for whoever does not run the enricher.
func (e *Enricher) Backlog(ctx context.Context) (pending int, oldest time.Time, err error) {
	w, err := newWork(ctx, e)
	if err == nil {
		err = w.read(ctx)
	}
	if err != nil {
		return 0, time.Time{}, err
	}
	s := w.status()
	return s.Pending, s.Oldest, nil
}

// errInHand says that somebody else is fetching the same.
var errInHand = errors.New("it is being fetched")

// take takes an id in hand and reports whether its answer is in the log already.
// A sweep and a notice may come upon the same event at once, and of two answers
// with different bytes only one could be booked. The error is errInHand if
// somebody else has it in hand; otherwise leave must be called.
func (e *Enricher) take(ctx context.Context, id string) (answered bool, leave func(), err error) {
	e.mu.Lock()
	taken := e.inHand[id]
	e.inHand[id] = true
	e.mu.Unlock()
	if taken {
		return false, nil, errInHand
	}
	leave = func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.inHand, id)
	}
	key := e.Noticer.AnswerKey(id)
	known, err := e.Log.Statuses(ctx, e.Source, []string{key})
	if err != nil {
		leave()
	}
	return known[key] != "", leave, err
}

// settle tries once to settle a notice. The error says why it is not.
func (e *Enricher) settle(ctx context.Context, p *pending) error {
	answered, leave, err := e.take(ctx, p.notice.Notice)
	if err != nil {
		return err
	}
	defer leave()
	if answered {
		return nil
	}
	return e.confirm(ctx, p)
}

// confirm asks for what a notice is of, and appends what settles it.
func (e *Enricher) confirm(ctx context.Context, p *pending) error {
	q, fetched := e.Noticer.Ask(p.notice)
	answer, err := e.Client.Try(ctx, q)
	if err == nil {
		err = e.Noticer.Confirm(p.notice, answer.Body)
	}
	age := time.Since(p.since)
	switch code := domain.CodeOf(err); {
	case err == nil:
		r := request(answer, fetched)
		// There is one answer to a notice. One that cannot be read may be a mistake
		// that is over in a minute.
		if err := e.Recorder.Check(r); err != nil && age < unreadFor {
			return domain.Errorf(domain.Invalid, "fetch "+fetched, "%w", err)
		}
		_, err := e.record(ctx, r, p.delivery)
		return err
	case ctx.Err() != nil || Denied(err):
		return err
	case code == domain.Differs && age >= unreadFor:
		return e.unverify(ctx, p, answer, fetched, err.Error())
	case code == domain.NotFound && age >= missedFor:
		return e.unverify(ctx, p, answer, fetched, "the provider knows nothing of it, an hour later or more")
	case age >= answerFor:
		return e.unverify(ctx, p, answer, fetched, "no answer for 7 days: "+err.Error())
	}
	return err
}

// request returns an answer as it is recorded.
func request(a Answer, fetched string) domain.Request {
	return domain.Request{Header: kept(a.Header), Body: a.Body, ReceivedAt: time.Now().UTC(), Fetched: fetched}
}

// record appends an answer as it came, and returns what became of it.
func (e *Enricher) record(ctx context.Context, r domain.Request, cause ulid.ULID) (status domain.Status, err error) {
	err = e.append(ctx, func(ctx context.Context) error {
		receipt, err := e.Recorder.Record(ctx, r, cause)
		status = receipt.Status
		if err == nil && (receipt.Status == domain.Quarantined || receipt.Status == domain.Conflicting) {
			e.Logger.LogAttrs(ctx, slog.LevelWarn, "answer in quarantine", slog.String("source", e.Source),
				slog.String("fetched", r.Fetched), slog.String("delivery", receipt.Delivery.String()))
		}
		return err
	})
	return status, err
}

// unverify gives a notice up, with the answer that speaks against it.
func (e *Enricher) unverify(ctx context.Context, p *pending, answer Answer, fetched, reason string) error {
	now := time.Now().UTC()
	d := domain.Delivery{
		ID: ulid.MustNewDefault(now), Source: e.Source, ReceivedAt: now.Truncate(time.Microsecond), Verified: "fetched",
		Header: kept(answer.Header), Body: answer.Body, Cause: p.delivery, Fetched: fetched,
		Translation: domain.Translation{
			Topic: p.notice.EventType, Key: unverifiedKey(p.notice.Notice),
			Facts: []domain.Fact{{Event: domain.BadgesUnverified{Notice: p.notice.Notice, Reason: domain.Label(reason)}}},
		},
	}
	e.Logger.LogAttrs(ctx, slog.LevelWarn, "notice not confirmed", slog.String("source", e.Source),
		slog.String("notice", p.notice.Notice), slog.String("reason", reason))
	return e.append(ctx, func(ctx context.Context) error {
		_, err := e.Recorder.Append(ctx, d)
		return err
	})
}

// append runs f until it is known whether the delivery is in the log.
func (e *Enricher) append(ctx context.Context, f func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(try)
		cancel()
		if err == nil || domain.CodeOf(err) != domain.Unavailable {
			return err
		}
		e.Logger.LogAttrs(ctx, slog.LevelWarn, "answer not recorded yet", slog.String("source", e.Source), slog.Any("error", err))
		timer := time.NewTimer(jittered(attempt))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return cmp.Or(ctx.Err(), err)
		}
	}
}

// kept returns the headers of an answer that say something about it.
func kept(h map[string][]string) map[string][]string {
	k := make(map[string][]string)
	for _, name := range []string{"Content-Type", "Date", "Etag", "Last-Modified", "X-Request-Id"} {
		if values := h[name]; values != nil {
			k[name] = values
		}
	}
	return k
}
