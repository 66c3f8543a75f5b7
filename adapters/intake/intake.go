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
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/problem"
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
}

// Limits of one request.
const (
	DefaultMaxBytes = 1 << 20 // of a body
	appendTimeout   = 10 * time.Second
)

// Handler is the HTTP handler of POST /webhooks/{source} and
// /webhooks/{source}/{token}.
type Handler struct {
	log      Appender
	sources  map[string]Source
	maxBytes int64
	logger   *slog.Logger
	now      func() time.Time
}

// NewHandler returns a handler that appends the deliveries of the sources to log.
func NewHandler(log Appender, sources []Source, logger *slog.Logger) *Handler {
	h := &Handler{log: log, sources: make(map[string]Source), maxBytes: DefaultMaxBytes, logger: logger, now: time.Now}
	for _, s := range sources {
		h.sources[s.Name] = s
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
	receipt, err := h.receive(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	body, err := json.Marshal(receipt)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// 200 and no other: Credly takes any other success for a failure.
	w.WriteHeader(http.StatusOK)
	// The delivery is committed; a sender that does not read on sends it again.
	_, _ = w.Write(append(body, '\n'))
}

// notice tells the operator of a delivery that waits for a person.
func (h *Handler) notice(ctx context.Context, source string, receipt domain.Receipt) {
	switch receipt.Status {
	case domain.Quarantined, domain.Conflicting:
		h.logger.LogAttrs(ctx, slog.LevelWarn, "delivery in quarantine", slog.String("source", source),
			slog.String("status", string(receipt.Status)), slog.String("delivery", receipt.Delivery.String()),
			slog.String("hint", "see: daybook delivery show "+receipt.Delivery.String()))
	}
}

// receive takes one request from its body to its receipt.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (domain.Receipt, error) {
	const op = "webhook"
	source, ok := h.sources[r.PathValue("source")]
	if !ok {
		return domain.Receipt{}, domain.Errorf(domain.NotFound, op, "there is no such source").
			WithHint("Check the URL against the sources in daybook.toml.")
	}
	if r.Method != http.MethodPost {
		return domain.Receipt{}, errMethod
	}
	if err := acceptable(r.Header); err != nil {
		return domain.Receipt{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBytes))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return domain.Receipt{}, domain.Errorf(domain.TooLarge, op, "the body has more than %d bytes", h.maxBytes)
		}
		return domain.Receipt{}, domain.Errorf(domain.Invalid, op, "the body cannot be read: %w", err)
	}
	request := domain.Request{Token: r.PathValue("token"), Header: r.Header, Body: body, ReceivedAt: h.now().UTC()}
	how, err := source.Provider.Verify(request)
	if err != nil {
		return domain.Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), appendTimeout)
	defer cancel()
	receipt, err := Record(ctx, h.log, source, request, how, ulid.ULID{})
	if err == nil {
		h.notice(ctx, source.Name, receipt)
	}
	return receipt, err
}

// Record translates an authentic request, however it came to us, and appends it.
// How says how it was authenticated, such as "fetched", and cause is the delivery
// it follows from, if it follows from one. What cannot be booked is appended as
// quarantined, with the field and the reason.
func Record(ctx context.Context, log Appender, source Source, r domain.Request, how string, cause ulid.ULID) (domain.Receipt, error) {
	d := domain.Delivery{
		ID:         ulid.MustNew(ulid.Timestamp(r.ReceivedAt), ulid.DefaultEntropy()),
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
			t, err = domain.Translation{}, domain.Errorf(domain.Internal, "translate", "the translator failed: %v", cause)
		}
	}()
	t, err = source.Provider.Translate(r)
	t.Test = t.Test && !source.BookTests
	return t, err
}

// quarantined returns the event that says why a delivery cannot be booked.
func quarantined(topic string, err error) domain.IntakeQuarantined {
	q := domain.IntakeQuarantined{Topic: domain.Label(topic), Reason: domain.Label(err.Error())}
	if field, ok := errors.AsType[*domain.FieldError](err); ok {
		q.Field, q.Reason = domain.Label(field.Field), domain.Label(field.Reason)
	}
	q.Reason = cmp.Or(q.Reason, "no reason given")
	return q
}

// errMethod says that a webhook is a POST.
var errMethod = &domain.Error{Code: domain.Unsupported, Op: "webhook", Err: errors.New("only POST is a webhook"), Hint: "Send the delivery with POST."}

// acceptable refuses bodies that cannot be kept and verified as they are: those
// of forms, and compressed ones.
func acceptable(header http.Header) error {
	if e := header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return domain.Errorf(domain.Unsupported, "webhook", "the body is encoded as %.100q", e).
			WithHint("Send it as it is, without Content-Encoding.")
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err == nil && strings.HasPrefix(media, "multipart/") {
		return domain.Errorf(domain.Unsupported, "webhook", "the body is %s", media).
			WithHint("Send JSON or XML.")
	}
	return nil
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

// refuse answers a request that was not recorded.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := problem.Status(domain.CodeOf(err))
	if errors.Is(err, errMethod) {
		status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", http.MethodPost)
	}
	level := slog.LevelInfo
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(1+int(h.now().UnixNano()%4)))
		level = slog.LevelWarn
	case http.StatusUnauthorized:
		level = slog.LevelWarn // perhaps a secret was changed on one side only
		w.Header().Set("WWW-Authenticate", `Basic realm="daybook"`)
	case http.StatusInternalServerError:
		level = slog.LevelError
	}
	// What is no source's name may be a secret that somebody put there.
	source := h.sources[r.PathValue("source")].Name
	h.logger.LogAttrs(r.Context(), level, "delivery refused",
		slog.String("source", source), slog.Int("status", status), slog.Any("error", err))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(problem.JSON(err))
}
