package intake

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// op is what is being done when a request is refused.
const op = "webhook"

// Refusals that have a status of their own, or are told apart.
var (
	errMethod = &domain.Error{Code: domain.Unsupported, Op: op, Err: errors.New("only POST is a webhook"), Hint: "Send the delivery with POST."}
	errSlow   = &domain.Error{
		Code: domain.Invalid, Op: op, Err: errors.New("the body did not come to its end in time"),
		Hint: "Send the delivery again, without a pause in it.",
	}
	errEvicted = &domain.Error{
		Code: domain.Unavailable, Op: op, Err: errors.New("the body was slow and others were waiting"),
		Hint: "Send the delivery again, without a pause in it.",
	}
)

// errBusy says that as many requests of the source as may be are in hand.
func (e *entrance) errBusy() error {
	return domain.Errorf(domain.Unavailable, op, "%d requests of this source are in hand already", e.gate.limit).
		WithHint("Send the delivery again, and fewer at once.")
}

// errRate says that the source has sent all that its rate allows.
func (e *entrance) errRate() error {
	limit := e.Limits.Rate
	err := domain.Errorf(domain.Limited, op, "this source may send %d deliveries in %s", limit.Deliveries, limit.Per).
		WithHint("Send the delivery again after the time in Retry-After.")
	return laterError{err, limit.each()}
}

// admit refuses what can be refused without the body.
func (h *Handler) admit(r *http.Request, v *visit) error {
	switch {
	case v.entrance == nil:
		return domain.Errorf(domain.NotFound, op, "there is no such source").
			WithHint("Check the URL against the sources in daybook.toml.")
	case r.Method != http.MethodPost:
		return errMethod
	case r.ContentLength > h.maxBytes:
		return h.tooLarge()
	}
	return acceptable(r.Header)
}

func (h *Handler) tooLarge() error {
	return domain.Errorf(domain.TooLarge, op, "the body has more than %d bytes", h.maxBytes)
}

// acceptable refuses bodies that cannot be kept and verified as they are: those
// of forms, and compressed ones.
func acceptable(header http.Header) error {
	if e := header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return domain.Errorf(domain.Unsupported, op, "the body is encoded").
			WithHint("Send it as it is, without Content-Encoding.")
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err == nil && strings.HasPrefix(media, "multipart/") {
		return domain.Errorf(domain.Unsupported, op, "the body is multipart").
			WithHint("Send JSON or XML.")
	}
	return nil
}

// body reads the body of a request, which must come to its end in time.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, control *http.ResponseController) ([]byte, error) {
	// Not every kind of connection has deadlines; those of a server have.
	_ = control.SetReadDeadline(time.Now().Add(h.bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBytes))
	if err == nil {
		return body, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, h.tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errSlow
	}
	return nil, domain.Errorf(domain.Invalid, op, "the body cannot be read")
}
