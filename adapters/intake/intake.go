// Package intake receives deliveries from providers and appends what they say
// to the log.
//
// The path of a delivery is fixed and short: read the body, verify it, have it
// translated, append it, answer with a receipt. What it keeps true: a 2xx means
// that the delivery is committed; the exact bytes are kept; what is not authentic
// never gets in; and what is authentic is never refused for not being
// understood: it is recorded as unrecognized or quarantined, with the reason.
package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/time/rate"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// A Provider reads the webhooks of one vendor. A package satisfies it without
// importing this one.
type Provider interface {
	// Verify returns how the request was authenticated, such as "hmac-sha256,
	// secret 1", or an error with code Unauthenticated.
	Verify(r domain.Request) (how string, err error)

	// Translate returns the facts in a verified request. It is a pure function.
	// An error with code Invalid says that they cannot be booked; Topic, Key,
	// Scopes, Test and Flags are then set as far as they can be read.
	Translate(r domain.Request) (domain.Translation, error)
}

// signsBody reports whether a provider's Verify looks at the body. One that has
// the method SignsBody and says no is asked before the body is read.
func signsBody(p Provider) bool {
	s, ok := p.(interface{ SignsBody() bool })
	return !ok || s.SignsBody()
}

// An Appender puts a delivery into the log; see adapters/postgres.
type Appender interface {
	Append(ctx context.Context, d domain.Delivery) (domain.Receipt, error)
}

// A Source is one configured connection to a provider. Its deliveries come in
// at /webhooks/{Name}.
type Source struct {
	Name     string
	Provider Provider

	// BookTests makes deliveries that the provider marks as tests count.
	BookTests bool

	// Secrets is how many secrets its deliveries may be verified with.
	Secrets int

	// Success is the HTTP status of a receipt; 0 is 200. With 204 there is no
	// receipt to read.
	Success int

	Limits Limits
}

// Limits of one request.
const (
	DefaultMaxBytes = 1 << 20 // of a body
	bodyTimeout     = 5 * time.Second
	appendTimeout   = 10 * time.Second
)

// Handler is the HTTP handler of POST /webhooks/{source} and
// /webhooks/{source}/{token}.
type Handler struct {
	log      Appender
	sources  map[string]*entrance
	logger   *slog.Logger
	observer Observer // nil: nobody watches

	tell   *rate.Limiter // of refusals that the log is told
	untold atomic.Int64  // refusals since the last one that it was told

	maxBytes    int64         // of a body
	bodyTimeout time.Duration // until it must have come to its end
	now         func() time.Time
}

// An entrance is where the deliveries of one source come in.
type entrance struct {
	Source
	gate gate
	rate *rate.Limiter // nil: no limit
}

// NewHandler returns a handler that appends the deliveries of the sources to log.
func NewHandler(log Appender, sources []Source, logger *slog.Logger) *Handler {
	h := &Handler{
		log: log, sources: make(map[string]*entrance), logger: logger,
		tell:     rate.NewLimiter(tellRate, tellBurst),
		maxBytes: DefaultMaxBytes, bodyTimeout: bodyTimeout, now: time.Now,
	}
	for _, s := range sources {
		h.sources[s.Name] = &entrance{Source: s, gate: gate{limit: cmp.Or(s.Limits.AtOnce, DefaultAtOnce)}, rate: s.Limits.Rate.limiter()}
	}
	return h
}

// Register adds the handler's routes to mux.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.Handle("/webhooks/{source}", h)
	mux.Handle("/webhooks/{source}/{token}", h)
	mux.Handle("/webhooks/", h) // anything else below it: there is no such source
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{entrance: h.sources[r.PathValue("source")], at: h.now()}
	a := Answer{At: v.at}
	if v.entrance != nil {
		a.Source = v.Name
	}
	receipt, err := h.receive(w, r, v)
	if err != nil {
		a.Code = h.refuse(w, r, v, err)
	} else {
		a.Status, a.Secret = receipt.Status, secret.Slot(v.how)
		a.Code = h.accept(w, v, receipt)
	}
	if h.observer != nil {
		a.Took = h.now().Sub(a.At)
		h.observer.Answered(a)
	}
}

// A visit is one request on its way through the handler.
type visit struct {
	*entrance // nil: there is no such source
	at        time.Time
	whole     bool   // the body has been read to its end
	how       string // how it was authenticated
}

// receive takes one request from its headers to its receipt. What can be refused
// is refused before the body is read. Only then a request takes a place, and
// keeps it until the outcome is known: also if its sender has gone by then, so
// that one who does not wait has no more in hand than one who does.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, v *visit) (receipt domain.Receipt, err error) {
	if err := h.admit(r, v); err != nil {
		return receipt, err
	}
	request := domain.Request{Token: r.PathValue("token"), Header: r.Header, ReceivedAt: v.at.UTC()}
	if !signsBody(v.Provider) {
		if _, err := v.Provider.Verify(request); err != nil {
			return receipt, err
		}
	}
	if v.rate != nil && v.rate.TokensAt(v.at) < 1 {
		return receipt, v.errRate()
	}
	control := http.NewResponseController(w)
	place, ok := v.gate.enter(v.at, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	if !ok {
		return receipt, v.errBusy()
	}
	defer place.leave()
	if request.Body, err = h.body(w, r, control); !place.read() {
		return receipt, errEvicted
	} else if err != nil {
		return receipt, err
	}
	v.whole = true
	request.ReceivedAt = h.now().UTC()
	if v.how, err = v.Provider.Verify(request); err != nil {
		return receipt, err
	}
	// Only what is authentic counts against the rate of a source.
	if v.rate != nil && !v.rate.AllowN(request.ReceivedAt, 1) {
		return receipt, v.errRate()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), appendTimeout)
	defer cancel()
	if receipt, err = Record(ctx, h.log, v.Source, request, v.how, ulid.ULID{}); err == nil {
		h.notice(ctx, v.Name, receipt)
	}
	return receipt, err
}

// Record translates an authentic request, however it came to us, and appends it.
// How says how it was authenticated, such as "fetched", and cause is the delivery
// it follows from, if it follows from one. What cannot be booked is appended as
// quarantined, with the field and the reason.
func Record(ctx context.Context, log Appender, source Source, r domain.Request, how string, cause ulid.ULID) (domain.Receipt, error) {
	return RecordAs(ctx, log, ulid.MustNew(ulid.Timestamp(r.ReceivedAt), ulid.DefaultEntropy()), source, r, how, cause)
}

// RecordAs is [Record] for a delivery that has an id. There must be no other
// delivery of that id.
func RecordAs(ctx context.Context, log Appender, id ulid.ULID, source Source, r domain.Request, how string, cause ulid.ULID) (domain.Receipt, error) {
	d := domain.Delivery{
		ID:         id,
		Source:     source.Name,
		ReceivedAt: r.ReceivedAt.Truncate(time.Microsecond),
		Verified:   how,
		Header:     kept(r.Header, r.Token),
		Body:       r.Body,
		Cause:      cause,
		Fetched:    r.Fetched,
	}
	var err error
	if d.Translation, err = Translate(source, r); err == nil {
		var receipt domain.Receipt
		if receipt, err = log.Append(ctx, d); err == nil || domain.CodeOf(err) != domain.Invalid {
			return receipt, err
		}
	}
	d.Facts = []domain.Fact{{Event: quarantined(d.Topic, err)}}
	return log.Append(ctx, d)
}

// Translate has the source's provider translate r. A translator with a bug must
// not lose a delivery that is authentic: one that panics is as good as one that
// refuses.
func Translate(source Source, r domain.Request) (t domain.Translation, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			// What it was about to say may quote the body.
			t, err = domain.Translation{}, domain.Errorf(domain.Internal, "translate", "%w", &domain.FieldError{Field: "body", Reason: fmt.Sprintf("makes the translator fail: %T", cause)})
		}
	}()
	t, err = source.Provider.Translate(r)
	t.Test = t.Test && !source.BookTests
	return t, err
}

// quarantined returns the event that says why a delivery cannot be booked. What is
// no [domain.FieldError] may quote the body, and is not repeated.
func quarantined(topic string, err error) domain.IntakeQuarantined {
	q := domain.IntakeQuarantined{Topic: domain.Label(topic), Reason: "the translator failed"}
	if field, ok := errors.AsType[*domain.FieldError](err); ok {
		q.Field, q.Reason = domain.Label(field.Field), cmp.Or(domain.Label(field.Reason), "no reason given")
	}
	return q
}

// kept returns the headers that are recorded: all but what would let a reader of
// the log send deliveries of his own. A proxy may repeat the path, and with it
// the token, in a header of its own.
func kept(header map[string][]string, token string) map[string][]string {
	k := make(map[string][]string, len(header))
	for name, values := range header {
		switch http.CanonicalHeaderKey(name) {
		case "Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key":
			k[name] = []string{notKept}
			continue
		}
		for _, v := range values {
			if reveals(v, token) {
				v = notKept
			}
			k[name] = append(k[name], v)
		}
	}
	return k
}

// notKept stands for a header that is not recorded.
const notKept = "(not kept)"

// reveals reports whether a header value holds the token, as it is or escaped.
func reveals(value, token string) bool {
	if token == "" {
		return false
	}
	plain, err := url.PathUnescape(value)
	return strings.Contains(value, token) || strings.Contains(value, url.PathEscape(token)) || err == nil && strings.Contains(plain, token)
}
