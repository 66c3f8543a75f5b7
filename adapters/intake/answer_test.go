package intake_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/intake"
)

// TestFloodOfRefusals checks that requests which are refused do not fill the log,
// that the log says how many it was not told of, and that the observer is told of
// all.
func TestFloodOfRefusals(t *testing.T) {
	var told bytes.Buffer
	answers := make(chan intake.Answer, 1000)
	now := time.Unix(0, 0)
	h := intake.NewHandler(nil, nil, slog.New(slog.NewTextHandler(&told, nil)))
	h.SetClock(func() time.Time { return now })
	h.Watch(observer(answers))
	refused := func(n int) {
		for range n {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/webhooks/nobody", nil))
		}
	}
	refused(500)
	lines := strings.Count(told.String(), "delivery refused")
	if lines < 10 || lines > 200 || strings.Contains(told.String(), "untold") {
		t.Errorf("%d lines:\n%.500s", lines, told.String())
	}
	if len(answers) != 500 {
		t.Errorf("the observer was told of %d", len(answers))
	}
	told.Reset()
	now = now.Add(time.Minute)
	refused(2)
	if got := told.String(); strings.Count(got, "delivery refused") != 2 || strings.Count(got, "untold=400") != 1 {
		t.Errorf("a minute later: %s", got)
	}
}

// An observer passes on what it is told.
type observer chan<- intake.Answer

// Answered implements [intake.Observer].
func (o observer) Answered(a intake.Answer) { o <- a }
