package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/problem"
)

// An Observer is told what became of every request, before the next one on the
// same connection. It must be quick, and safe to use from many goroutines.
type Observer interface {
	Answered(a Answer)
}

// An Answer is what one request came to.
type Answer struct {
	Source string        // "" if there is no such source
	Code   int           // HTTP status
	Status domain.Status // what became of the delivery; "" if it was refused
	Secret int           // which secret it was verified with, 1 or 2; 0: none, or none is known
	At     time.Time     // when the request came
	Took   time.Duration // until it was answered
}

// Watch has o told what becomes of every request. It must be called before the
// first one.
func (h *Handler) Watch(o Observer) { h.observer = o }

// Busy returns how many requests of a source are in hand.
func (h *Handler) Busy(source string) int {
	if e, ok := h.sources[source]; ok {
		return e.gate.busy()
	}
	return 0
}

// accept answers a request that is recorded, and returns the HTTP status.
func (h *Handler) accept(w http.ResponseWriter, v *visit, receipt domain.Receipt) int {
	// 200 unless the source says otherwise: Credly takes any other success for a
	// failure.
	status := cmp.Or(v.Success, http.StatusOK)
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return status
	}
	body, err := json.Marshal(receipt)
	if err != nil {
		panic(err) // ids, numbers and words
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The delivery is committed; a sender that does not read on sends it again.
	_, _ = w.Write(append(body, '\n'))
	return status
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

// How many refusals the log is told in a second, and at once: whoever reaches the
// address can have requests refused, as many as he likes. An [Observer] is told of
// all.
const (
	tellRate  = 10
	tellBurst = 100
)

// tellRefusal tells the log of a request that was refused, unless it was told of
// many just now; of our own failures always.
func (h *Handler) tellRefusal(ctx context.Context, level slog.Level, v *visit, status int, err error) {
	if level < slog.LevelError && !h.tell.AllowN(h.now(), 1) {
		h.untold.Add(1)
		return
	}
	// What is no source's name may be a secret that somebody put there.
	source := ""
	if v.entrance != nil {
		source = v.Name
	}
	attrs := []slog.Attr{slog.String("source", source), slog.Int("status", status), slog.Any("error", err)}
	if hint := domain.HintOf(err); hint != "" && level >= slog.LevelWarn {
		attrs = append(attrs, slog.String("hint", hint))
	}
	if n := h.untold.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("untold", n))
	}
	h.logger.LogAttrs(ctx, level, "delivery refused", attrs...)
}

// lingering is how long the rest of a body that is not wanted is let come in.
const lingering = 500 * time.Millisecond

// refuse answers a request that was not recorded, and returns the HTTP status.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, v *visit, err error) int {
	status := problem.Status(domain.CodeOf(err))
	switch {
	case errors.Is(err, errMethod):
		status = http.StatusMethodNotAllowed
		w.Header().Set("Allow", http.MethodPost)
	case errors.Is(err, errSlow):
		status = http.StatusRequestTimeout
	}
	level := slog.LevelInfo
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", retryAfter(err))
		level = slog.LevelWarn
	case http.StatusUnauthorized:
		level = slog.LevelWarn // perhaps a secret was changed on one side only
		w.Header().Set("WWW-Authenticate", `Basic realm="daybook"`)
	case http.StatusInternalServerError:
		level = slog.LevelError
	}
	h.tellRefusal(r.Context(), level, v, status, err)
	if !v.whole {
		// Otherwise the server would wait for the rest before it answers. Who sends
		// it at once is let finish, since he reads the answer after that.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingering))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(problem.JSON(err))
	return status
}

// A laterError says that the same request may succeed after a time.
type laterError struct {
	error
	after time.Duration
}

// Unwrap returns the cause.
func (e laterError) Unwrap() error { return e.error }

// retryAfter returns in how many seconds a sender should try again. It differs
// from one to the next, so that those who were turned away together do not come
// back together.
func retryAfter(err error) string {
	seconds := 1 + rand.Int64N(4)
	if later, ok := errors.AsType[laterError](err); ok {
		seconds += int64(later.after / time.Second)
	}
	return strconv.FormatInt(seconds, 10)
}
