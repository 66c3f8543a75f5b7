package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/domain"
)

// warn says something on stderr that is not data.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// writeJSON writes v as one line of JSON on stdout.
func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// writeReceipt says what was recorded: as JSON the receipt, else a line per record.
func (a *app) writeReceipt(r domain.Receipt) error {
	if a.output != "table" {
		return a.writeJSON(r)
	}
	for _, record := range r.Records {
		fmt.Fprintf(a.stdout, "record %d  %s  %s\n", record.Position, record.ID, record.Kind)
	}
	return nil
}

// A progress shows on stderr how far long work has come: on a terminal one line
// that is redrawn, elsewhere a line every few seconds.
type progress struct {
	app      *app
	what     string
	started  time.Time
	shown    time.Time
	terminal bool
	from     int64 // how much was done when it was told for the first time
	told     bool
}

func (a *app) progress(what string) *progress {
	now := time.Now()
	p := &progress{app: a, what: what, started: now, shown: now}
	if f, ok := a.stderr.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	return p
}

// update shows how much is done of how much. It has the type of postgres.Progress.
func (p *progress) update(done, total int64) {
	if !p.told { // what was done before is not to this work's credit
		p.from, p.told = done, true
	}
	p.show(func(spent time.Duration) string {
		since := done - p.from
		rate := int64(time.Duration(since) * time.Second / spent)
		left := time.Duration(0)
		if since > 0 {
			left = time.Duration(spent.Milliseconds()*(total-done)/since) * time.Millisecond
		}
		return fmt.Sprintf("%3d%%  %d/%d  %d records/s  %s left", 100*done/max(total, 1), done, total, rate, left.Round(time.Second))
	})
}

// count shows how much is done where nobody knows of how much.
func (p *progress) count(done int64) {
	p.show(func(time.Duration) string { return fmt.Sprintf("%d records", done) })
}

// show shows a line, unless the last one was shown just now.
func (p *progress) show(line func(spent time.Duration) string) {
	every := 5 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	now := time.Now()
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	if p.terminal {
		fmt.Fprintf(p.app.stderr, "\r\x1b[K%s  %s", p.what, line(now.Sub(p.started)))
		return
	}
	fmt.Fprintf(p.app.stderr, "%s  %s\n", p.what, line(now.Sub(p.started)))
}

// end removes the redrawn line.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.app.stderr, "\r\x1b[K")
	}
}
