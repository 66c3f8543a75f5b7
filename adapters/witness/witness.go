// Package witness cosigns checkpoints of logs, for an auditor who runs it where
// nobody else rules, by c2sp.org/tlog-witness.
//
//	POST /add-checkpoint
//
// What it keeps true: of one origin, it cosigns a checkpoint only if that goes on
// from the one it cosigned last, so that whoever sees its signature knows that
// nobody was shown another history; and what it cosigned is on the disk before
// anybody sees it. It knows nothing of what the records say, and needs no access to
// the log: the proof comes with the request.
package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Log is one that is followed.
type Log struct {
	// Name is its origin, with or without the epoch that follows it in the origin
	// line: without it every epoch is followed, each by itself.
	Name string
	Keys []note.Verifier // of who signs it: one, or two while one replaces the other
}

// A Witness implements [http.Handler].
type Witness struct {
	store  *Store
	logs   map[string][]note.Verifier
	logger *slog.Logger
	mux    *http.ServeMux
	mu     sync.Mutex // from reading what was cosigned last to writing what is now
}

// New returns a witness to the logs that signs with the key of its store.
func New(store *Store, logs []Log, logger *slog.Logger) *Witness {
	w := &Witness{store: store, logs: make(map[string][]note.Verifier), logger: logger, mux: http.NewServeMux()}
	for _, l := range logs {
		w.logs[l.Name] = append(w.logs[l.Name], l.Keys...)
	}
	w.mux.HandleFunc("POST /add-checkpoint", w.add)
	return w
}

// ServeHTTP implements [http.Handler].
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

// keys returns the keys of the log with the origin, none if it is not followed.
func (w *Witness) keys(origin string) []note.Verifier {
	if keys := w.logs[origin]; keys != nil {
		return keys
	}
	name, _, _ := checkpoint.SplitOrigin(origin)
	return w.logs[name]
}

// add answers a request to cosign a checkpoint.
func (w *Witness) add(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	var answer []byte
	if err != nil {
		err = refuse(http.StatusBadRequest, "the request cannot be read")
	} else {
		answer, err = w.cosign(r.Context(), body)
	}
	var no *refusal
	switch {
	case err == nil:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write(answer)
	case errors.As(err, &no):
		if no.status == http.StatusConflict {
			rw.Header().Set("Content-Type", "text/x.tlog.size")
			rw.WriteHeader(no.status)
			_, _ = fmt.Fprintf(rw, "%d\n", no.size)
			return
		}
		http.Error(rw, no.reason, no.status)
	default:
		w.logger.LogAttrs(r.Context(), slog.LevelError, "checkpoint not cosigned", slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
		http.Error(rw, "not now", http.StatusServiceUnavailable)
	}
}

// maxRequest is how long a request may be: a proof and a note with some signatures.
const maxRequest = 64 << 10

// A refusal says why a checkpoint is not cosigned.
type refusal struct {
	status int
	reason string
	size   int64 // with status 409: of what was cosigned last
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, reason: fmt.Sprintf(format, args...)}
}

// cosign cosigns the checkpoint in a request, or says why not.
func (w *Witness) cosign(ctx context.Context, body []byte) ([]byte, error) {
	q, err := parseRequest(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	keys := w.keys(q.unverified.Origin)
	if keys == nil {
		return nil, refuse(http.StatusNotFound, "the log %q is not followed here", q.unverified.Origin)
	}
	signed, err := checkpoint.Open(q.note, keys...)
	if err != nil {
		return nil, refuse(http.StatusForbidden, "%v", err)
	}
	if q.older > signed.Size {
		return nil, refuse(http.StatusBadRequest, "the old size is %d, more than %d", q.older, signed.Size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, err := w.store.Last(signed.Origin)
	if err != nil {
		return nil, err
	}
	if err := w.goesOn(ctx, last, signed, q); err != nil {
		return nil, err
	}
	return w.store.cosign(signed)
}

// goesOn refuses a checkpoint that does not go on from the last one. That the log
// asks for it, signed by its own key, is told: it may be the proof that it was
// changed.
func (w *Witness) goesOn(ctx context.Context, last checkpoint.Checkpoint, signed checkpoint.Signed, q request) error {
	told := []slog.Attr{
		slog.String("origin", signed.Origin), slog.Int64("size", signed.Size), slog.Int64("cosigned_size", last.Size), slog.Int64("old_size", q.older),
	}
	if q.older != last.Size {
		// Who does not know how far this witness is has to ask so; one whose log is
		// behind it has lost records.
		if signed.Size < last.Size {
			w.logger.LogAttrs(ctx, slog.LevelError, "REFUSED: the log is smaller than what was cosigned", append(told, slog.String("note", string(signed.Note)))...)
		}
		return &refusal{status: http.StatusConflict, reason: "the old size is not that of the last checkpoint", size: last.Size}
	}
	if last.Size == signed.Size && last.Size > 0 && last.Root != signed.Root {
		w.logger.LogAttrs(ctx, slog.LevelError, "REFUSED: the log of this size had another root", append(told, slog.String("note", string(signed.Note)))...)
		return &refusal{status: http.StatusConflict, reason: "the root differs", size: last.Size}
	}
	if err := tree.CheckConsistency(q.proof, last.Size, last.Root, signed.Size, signed.Root); err != nil {
		w.logger.LogAttrs(ctx, slog.LevelError, "REFUSED: the log does not go on from what was cosigned", append(told, slog.String("note", string(signed.Note)))...)
		return refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	if last.Size == 0 {
		w.logger.LogAttrs(ctx, slog.LevelWarn, "first checkpoint of a log or of an epoch of it; of an epoch above 1, its first record says why it was opened", told...)
	}
	return nil
}
