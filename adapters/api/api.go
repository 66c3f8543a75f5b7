// Package api answers questions to views over HTTP.
//
//	GET /v1/                          the views there are
//	GET /v1/{projection}/{view}       the answer; .json .ndjson .csv choose its form
//	GET /healthz  /readyz  /version   for those who run daybook
//
// What it keeps true: a question that is not understood in every part is refused
// and never answered in part; an answer that is cut by its limit says so, in
// every form; a client learns nothing of a failure inside but its code and the
// id under which it is logged; and what may change is never cached.
package api

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/problem"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// A Ledger is what questions are put to.
type Ledger interface {
	// Ask answers q from the view v of p. It need not set the answer's View and
	// Columns.
	Ask(ctx context.Context, p *projections.Projection, v projections.View, q projections.Query) (render.Answer, error)

	// Status returns how every projection is doing. An error says that the
	// database cannot be used: it does not answer or was not migrated.
	Status(ctx context.Context) ([]Status, error)
}

// A Status is how one projection is doing.
type Status struct {
	Name      string
	Version   int   // 0: it has no tables yet
	Position  int64 // the last record it has folded
	Head      int64 // the last record of the log
	StoppedAt int64 // the record it cannot take; 0: it runs
}

// A Config says what a handler serves.
type Config struct {
	Ledger      Ledger
	Projections []*projections.Projection // a Name and Views are enough
	Formats     []render.Format           // beyond those of [render.Formats]
	ReadOnly    func() error              // why nothing is recorded; nil, or a nil error: it is
	Version     any                       // what /version says, as JSON
	Logger      *slog.Logger              // nil: nothing is logged
}

// handler is what [NewHandler] returns.
type handler struct {
	Config
	mux     *http.ServeMux
	formats []render.Format
}

// NewHandler returns the handler of the paths in the package comment. It has to
// be mounted at the root.
func NewHandler(c Config) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{Config: c, mux: http.NewServeMux(), formats: append(render.Formats(), c.Formats...)}
	h.handle("/v1", h.list)
	h.handle("/v1/{$}", h.list)
	h.handle("/v1/{projection}/{view}", h.ask)
	h.handle("/healthz", h.health)
	h.handle("/readyz", h.ready)
	h.handle("/version", h.version)
	h.handle("/", func(_ http.ResponseWriter, r *http.Request) error {
		return domain.Errorf(domain.NotFound, "request", "there is nothing at %.200q", r.URL.Path).
			WithHint("GET /v1/ lists the views.")
	})
	return h
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	h.mux.ServeHTTP(w, r)
}

// handle has f serve GET and HEAD, and answers for it if it fails. Nothing may
// be written before f fails.
func (h *handler) handle(pattern string, f func(http.ResponseWriter, *http.Request) error) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			err := domain.Errorf(domain.Unsupported, "request", "%.20q is not a way to ask", r.Method).
				WithHint("Use GET.")
			h.write(w, r, http.StatusMethodNotAllowed, problem.JSON(err))
			return
		}
		if err := f(w, r); err != nil {
			h.fail(w, r, err)
		}
	})
}

// fail answers a request that failed. What is not the client's fault is logged
// in full, under an id that the client is told.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := problem.Status(domain.CodeOf(err))
	if status >= http.StatusInternalServerError {
		id := requestID(r)
		w.Header().Set("X-Request-Id", id)
		level := slog.LevelError
		if r.Context().Err() != nil {
			level = slog.LevelInfo // whoever asked did not wait
		}
		h.Logger.LogAttrs(r.Context(), level, "request failed", slog.String("request_id", id),
			slog.String("path", r.URL.Path), slog.Int("status", status), slog.Any("error", err))
	}
	h.write(w, r, status, problem.JSON(err))
}

// requestID returns the id that a proxy gave the request, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	odd := func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_'
	}
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, odd) {
		return rand.Text()
	}
	return id
}

// write answers with a body, JSON unless the header says otherwise.
func (h *handler) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	header := w.Header()
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever does not read on has nothing to be told
	}
}

// writeJSON answers with v as JSON.
func (h *handler) writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := domain.Marshal(v)
	if err != nil {
		return err
	}
	h.write(w, r, status, append(body, '\n'))
	return nil
}
