package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// What may become of a capture, beside a [domain.Status].
const (
	ingestSuperseded = "superseded" // a level; a later one of the same is recorded
	ingestLeftOut    = "left out"   // of another source, or no arrival
	ingestFailed     = "failed"
)

// ingestOrder is the order in which the numbers are shown.
var ingestOrder = []string{
	string(domain.Accepted), string(domain.Duplicate), string(domain.Conflicting), string(domain.Unrecognized), string(domain.Quarantined),
	ingestSuperseded, ingestLeftOut, ingestFailed,
}

// How an imported delivery was verified begins with that.
const imported = "imported, "

// An ingest is one run of "daybook ingest".
type ingest struct {
	app       *app
	source    intake.Source
	verifies  bool               // its secrets are there
	trust     bool               // what is not verified is taken in, too
	anySource bool               // a capture may name another source
	log       *postgres.Appender // nil: a dry run
	db        *sql.DB
	keys      *postgres.Keyring
	now       func() time.Time
	counts    map[string]int64
	others    map[string]int // by why, those that are left out
	read      int64
}

func ingestCommand(a *app) *cobra.Command {
	var o captureOptions
	var trust, dry, anySource bool
	cmd := &cobra.Command{
		Use:   "ingest SOURCE FILE|DIRECTORY…",
		Short: "Record captured deliveries of a source as if they came in now",
		Long: `Records deliveries that were captured: by a proxy, from the log of another
daybook ("delivery show --json"), or by hand. A file holds

  a request as it is on the wire: headers, an empty line, the body (--form http);
  JSON objects, one a line (--form ndjson):
    {"header":{"Webhook-Verb":"…"},"body":"…","received_at":"2026-03-01T12:00:00Z"}
    with body_base64 instead of body for what is not text, and source, id or token;
  or a body alone, with --header for what else is needed (--form body).

Of a directory all files are read, by name, and "-" is standard input.

Each delivery is verified as if it had been sent; --trust takes in also what cannot
be verified, because its signature was not captured or its token is not recorded,
and the log says so. When it was received is kept if the capture says it: a level
without a time of its own, such as Tahdah's credits, counts from then, must say it,
and is left out as superseded if a later one of the same is recorded.

Ingesting again changes nothing. What cannot be taken in is named and does not keep
the rest from being; the exit status is 3 then. It works beside "daybook serve".`,
		Example: `  daybook ingest acme-thinkific captured/
  daybook ingest acme-tahdah outage.ndjson --dry-run
  daybook ingest acme-braincert sale.xml --header "Content-Type: text/xml" --trust --received-at mtime
  daybook delivery show 01KHV3Q0000000000000000001 --json | daybook ingest acme-tahdah -`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			header, err := o.check()
			if err != nil {
				return err
			}
			source, verifies, err := a.ingestSource(args[0], trust)
			if err != nil {
				return err
			}
			i := &ingest{app: a, source: source, verifies: verifies, trust: trust, anySource: anySource, now: time.Now, counts: make(map[string]int64)}
			captures := o.read(os.Stdin, header, args[1:])
			if dry {
				return i.run(cmd.Context(), captures)
			}
			return a.withAppender(cmd.Context(), func(log *postgres.Appender, db *sql.DB, keys *postgres.Keyring) error {
				if err := noDemo(cmd.Context(), db, "ingest"); err != nil {
					return err
				}
				i.log, i.db, i.keys = log, db, keys
				return i.run(cmd.Context(), captures)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&trust, "trust", false, "take in also what cannot be verified")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "record nothing; say what would become of each delivery if it is new")
	cmd.Flags().BoolVar(&anySource, "any-source", false, "take captures that name another source, too")
	return cmd
}

// ingestSource returns the configured source of the given name, and whether it can
// verify. One that is trusted needs none of its secrets.
func (a *app) ingestSource(name string, trust bool) (source intake.Source, verifies bool, err error) {
	config, err := a.sourceNamed(name)
	if err != nil {
		return source, false, err
	}
	source, err = newSource(config)
	if err != nil && trust {
		source, err = a.translator(name)
		return source, false, err
	}
	return source, true, err
}

// run takes the captures in, one after the other, since their order may count.
func (i *ingest) run(ctx context.Context, captures iter.Seq2[captured, error]) error {
	progress := i.app.progress("ingest " + i.source.Name)
	for c, err := range captures {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.read++
		status := ingestFailed
		if err == nil {
			status, err = i.one(ctx, c)
		}
		if code := domain.CodeOf(err); code == domain.Unreachable || code == domain.Unavailable {
			progress.end()
			return i.interrupted(c, err)
		}
		if err != nil {
			progress.end()
			i.app.warn("%s: %v%s", c.place(), err, hint(err))
		}
		i.counts[status]++
		progress.count(i.read)
	}
	progress.end()
	return i.report()
}

// hint returns what to do about an error, as part of a line.
func hint(err error) string {
	if h := domain.HintOf(err); h != "" {
		return " → " + h
	}
	return ""
}

// interrupted says how far it came: the rest would fail in the same way.
func (i *ingest) interrupted(c captured, err error) error {
	return domain.Errorf(domain.CodeOf(err), "ingest", "stopped at %s, the %d. delivery: %w", c.place(), i.read, err).
		WithHint("Run it again: what is recorded is not recorded twice.")
}

// one takes one capture in and returns what became of it.
func (i *ingest) one(ctx context.Context, c captured) (status string, err error) {
	if c.Replay || c.Source != "" && c.Source != i.source.Name && !i.anySource {
		i.leftOut(c)
		return ingestLeftOut, nil
	}
	how, err := i.verify(c)
	if err != nil {
		return ingestFailed, err
	}
	translation, err := intake.Translate(i.source, c.Request)
	d, failed := i.identify(c, translation)
	if failed != nil {
		return ingestFailed, failed
	}
	c.Request.ReceivedAt = d.ReceivedAt
	if i.log == nil {
		return string(wouldBe(translation, err)), nil
	}
	if status, err := i.known(ctx, c, d); status != "" || err != nil {
		return cmp.Or(status, ingestFailed), err
	}
	receipt, err := intake.RecordAs(ctx, i.log, d.ID, i.source, c.Request, how, c.Cause)
	if err != nil {
		// Another run may have recorded it in this moment.
		if again, lost := postgres.Recorded(ctx, i.db, i.keys, d); again && lost == nil {
			return string(domain.Duplicate), nil
		}
		return ingestFailed, err
	}
	return string(receipt.Status), nil
}

// leftOut notes why a capture is left out.
func (i *ingest) leftOut(c captured) {
	why := "replays: what they were made of is a delivery of its own"
	if !c.Replay {
		why = fmt.Sprintf("of the source %.60q; --any-source takes them in, too", c.Source)
	}
	if i.others == nil {
		i.others = make(map[string]int)
	}
	i.others[why]++
}

// known returns what becomes of a capture because of what is in the log, beside
// what the log itself says of every delivery; "" if nothing does.
func (i *ingest) known(ctx context.Context, c captured, d domain.Delivery) (status string, err error) {
	known, err := postgres.Recorded(ctx, i.db, i.keys, d)
	if err == nil && !known && c.ID.IsZero() {
		known, err = postgres.Received(ctx, i.db, i.keys, d)
	}
	if err != nil {
		return "", err
	}
	if known {
		return string(domain.Duplicate), nil
	}
	if later, err := postgres.Superseded(ctx, i.db, i.keys, d); later || err != nil {
		return ingestSuperseded, err
	}
	return "", nil
}

// wouldBe returns what becomes of a new delivery with that translation.
func wouldBe(t domain.Translation, err error) domain.Status {
	switch {
	case err != nil:
		return domain.Quarantined
	case len(t.Facts) == 0:
		return domain.Unrecognized
	}
	for _, f := range t.Facts {
		if f.Event.Validate() != nil {
			return domain.Quarantined
		}
	}
	return domain.Accepted
}

// verify returns how a capture was verified. An answer of a provider's API is
// signed by nobody: whoever has it ingested vouches for it.
func (i *ingest) verify(c captured) (how string, err error) {
	switch {
	case c.Request.Fetched != "":
		err = domain.Errorf(domain.Unauthenticated, "ingest", "it was fetched, and is not signed")
	case i.verifies:
		if how, err = i.source.Provider.Verify(c.Request); err == nil {
			return imported + how, nil
		}
	}
	if i.trust {
		return imported + "not verified", nil
	}
	return "", domain.Errorf(domain.Unauthenticated, "", "%w", err).
		WithHint("If you know where it comes from and its signature was not captured, give --trust.")
}

// identify returns the delivery that a capture is, as far as it is needed to find
// it in the log. Its id is the one that it had, or follows from its source, its
// bytes and when it was received, so that ingesting again is recognised.
func (i *ingest) identify(c captured, t domain.Translation) (domain.Delivery, error) {
	d := domain.Delivery{ID: c.ID, Source: i.source.Name, ReceivedAt: c.Request.ReceivedAt.Truncate(time.Microsecond), Body: c.Request.Body, Translation: t}
	now := i.now().UTC()
	switch {
	case d.ReceivedAt.IsZero() && len(t.Scopes) > 0:
		return d, domain.Errorf(domain.Invalid, "ingest", "it reports a level and has neither an id nor a time").
			WithHint("Say when it was received: received_at in the capture, or --received-at.")
	case d.ReceivedAt.IsZero():
		d.ReceivedAt = now.Truncate(time.Microsecond)
		d.ID = ulid.Make()
	case d.ReceivedAt.After(now.Add(time.Minute)) || d.ReceivedAt.Year() < 2000:
		return d, domain.Errorf(domain.Invalid, "ingest", "it cannot have been received at %s", d.ReceivedAt.Format(time.RFC3339))
	case d.ID.IsZero():
		d.ID = derivedID(d)
	}
	return d, nil
}

// derivedID returns the id of a delivery that had none: the time at which it was
// received, and the first 10 bytes of the SHA-256 of its source, that time in
// RFC 3339 and its body, each but the last followed by a zero byte.
func derivedID(d domain.Delivery) (id ulid.ULID) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", d.Source, d.ReceivedAt.Format(time.RFC3339Nano))
	h.Write(d.Body)
	// Neither fails for a time since 2000 and ten bytes.
	err := errors.Join(id.SetTime(ulid.Timestamp(d.ReceivedAt)), id.SetEntropy(h.Sum(nil)[:10]))
	if err != nil {
		panic(err)
	}
	return id
}

// report prints how many deliveries had each fate.
func (i *ingest) report() error {
	answer := render.Answer{View: "ingest", Columns: []projections.Column{
		{Name: "status", Type: projections.TypeText}, {Name: "deliveries", Type: projections.TypeInteger},
	}}
	for _, status := range ingestOrder {
		if n := i.counts[status]; n > 0 {
			answer.Rows = append(answer.Rows, []projections.Cell{{Text: status}, {Text: strconv.FormatInt(n, 10)}})
		}
	}
	if err := i.app.printWhole(answer); err != nil {
		return err
	}
	for _, why := range slices.Sorted(maps.Keys(i.others)) {
		i.app.warn("left out: %d %s", i.others[why], why)
	}
	if i.log != nil && i.counts[string(domain.Quarantined)]+i.counts[string(domain.Conflicting)] > 0 {
		i.app.warn("what is quarantined or in conflict waits for a person; see: daybook delivery list --open source=%s", i.source.Name)
	}
	switch {
	case i.counts[ingestFailed] > 0:
		return domain.Errorf(domain.Differs, "ingest", "%d of %d deliveries were not taken in", i.counts[ingestFailed], i.read).
			WithHint("Each is named above; run it again once they are mended.")
	case i.read == 0:
		return domain.Errorf(domain.NotFound, "ingest", "there are no deliveries in it")
	case i.counts[ingestLeftOut] == i.read:
		return domain.Errorf(domain.NotFound, "ingest", "none of %d deliveries is of %s", i.read, i.source.Name).
			WithHint("Name the source that they name, or give --any-source.")
	}
	if i.log == nil {
		i.app.warn("nothing was recorded: it was a dry run")
	}
	return nil
}
