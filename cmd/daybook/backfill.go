package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// Limits of a back-fill.
const (
	pageTimeout   = time.Minute // to be told a page, which may be slow to make
	recordTimeout = time.Minute // to record a page
	recordAtOnce  = 16          // rows, which the appender commits together
)

func sourceBackfill(a *app) *cobra.Command {
	var since string
	var dry, restart bool
	cmd := &cobra.Command{
		Use:   "backfill NAME [RESOURCE…]",
		Short: "Record what a provider's API lists: users, courses, enrolments, orders, badges",
		Long: `Asks the API of the source NAME for what it lists, page by page and no faster than
the provider bears, and records every row as a delivery of its own. What a list says
fills in what no webhook told; it outranks and duplicates nothing. A row that is
recorded already is a duplicate; one that has changed is recorded again.

  thinkific   users courses products enrollments orders
  credly      badge_templates employees badges; if named, events
  braincert   users courses groups
  tahdah      members

Without RESOURCE, all of them. Credly's events are those that no notice was
confirmed of, each fetched by itself; "serve" looks for them every day. The source
needs api_token in daybook.toml, and some need more: "daybook init --print" says
what. "serve" may run meanwhile.

How far it has come is kept in the database after every page. Interrupted, by
Ctrl-C or by a failure, it goes on from the last page that was recorded; that page
is asked for again, since rows may have moved. --restart begins anew, and so does
the next run after one that reached the end.

The table says what became of the rows. Exit status 75 says that the API cannot be
asked now: run it again later.`,
		Example: `  daybook source backfill acme-thinkific --dry-run
  daybook source backfill acme-thinkific
  daybook source backfill acme-thinkific enrollments --since 2026-03-01
  daybook source backfill acme-credly badges --json
  daybook source backfill acme-credly events`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := a.newBackfill(args[0], args[1:], since)
			if err != nil {
				return err
			}
			b.restart = restart
			switch {
			case dry && slices.Contains(b.resources, resourceEvents):
				return domain.Errorf(domain.Usage, "", "which events are missing follows from the log").WithHint("Leave --dry-run out.")
			case dry:
				return b.run(cmd.Context())
			}
			return a.withAppender(cmd.Context(), func(log *postgres.Appender, db *sql.DB, keys *postgres.Keyring) error {
				if err := noDemo(cmd.Context(), db, "backfill"); err != nil {
					return err
				}
				b.log, b.db, b.keys = log, db, keys
				return b.run(cmd.Context())
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only what changed since an hour before then, a day or RFC 3339; for thinkific's enrollments")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "fetch and translate, and record nothing; needs no database")
	cmd.Flags().BoolVar(&restart, "restart", false, "begin with the first page although the last run was interrupted")
	return cmd
}

// A backfill is one run of "daybook source backfill".
type backfill struct {
	app       *app
	config    sourceConfig
	source    intake.Source
	lists     fetch.Lister
	client    *fetch.Client
	log       *postgres.Appender // nil: a dry run
	db        *sql.DB            // nil: a dry run
	keys      *postgres.Keyring  // nil: a dry run
	resources []string
	since     time.Time
	restart   bool
	rows      [][]projections.Cell
}

// newBackfill works out what to ask whom. Nothing is asked yet.
func (a *app) newBackfill(name string, resources []string, since string) (*backfill, error) {
	config, err := a.sourceNamed(name)
	if err != nil {
		return nil, err
	}
	b := &backfill{app: a, config: config, lists: listers[config.Provider](config)}
	if b.source, err = a.translator(name); err != nil {
		return nil, err
	}
	sweeps := slices.Equal(resources, []string{resourceEvents})
	b.client, err = newClient(config, func(c *fetch.Config) {
		if !sweeps {
			c.PerMinute, c.AtOnce = b.lists.Pace()
		}
		c.Timeout, c.Waiting = pageTimeout, b.waiting
	})
	switch {
	case err != nil:
		return nil, err
	case b.client == nil:
		return nil, domain.Errorf(domain.Usage, "source "+name, "it has no api_token").
			WithHint(`Give it one in daybook.toml, such as api_token = "env:NAME".`)
	}
	if b.since, err = parseSince(since); err != nil {
		return nil, err
	}
	switch events := slices.Contains(resources, resourceEvents) && b.notified(); {
	case !events:
		return b, b.choose(resources)
	case !sweeps || !b.since.IsZero():
		return nil, domain.Errorf(domain.Usage, "", "events are asked for alone, and from the first to the last").
			WithHint("Run: daybook source backfill " + name + " " + resourceEvents)
	}
	b.resources = resources
	return b, nil
}

// notified reports whether the source's webhooks are notices of events, which are
// fetched by a sweep.
func (b *backfill) notified() bool {
	_, ok := newEnrichment(b.config, b.source, b.client)
	return ok
}

// parseSince reads a day, which begins in UTC, or a moment; "" is the zero time.
func parseSince(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, domain.Errorf(domain.Usage, "--since", "%.40q is neither a day nor a moment", text).
		WithHint("Write 2026-03-01 or 2026-03-01T09:00:00Z.")
}

// choose sets the resources: those that are named, or all that can be asked what
// is to be asked. Each is tried, so that nothing fails half way for being misspelt.
func (b *backfill) choose(named []string) error {
	all := b.lists.Resources()
	for _, r := range named {
		if !slices.Contains(all, r) {
			return domain.Errorf(domain.Usage, "", "%s has no list of %q", b.source.Name, r).
				WithHint("Its lists are: " + strings.Join(all, ", ") + ".")
		}
	}
	var first error
	list := named
	if len(named) == 0 {
		list = all
	}
	for _, r := range list {
		switch _, err := b.lists.List(r, 1, b.since); {
		case err == nil:
			b.resources = append(b.resources, r)
		case len(named) > 0:
			return err
		default:
			if first == nil {
				first = err
			}
			b.app.warn("%s: left out: %v", r, err)
		}
	}
	if len(b.resources) == 0 {
		return first
	}
	return nil
}

// waiting says why nothing happens for a while.
func (b *backfill) waiting(d time.Duration, err error) {
	b.app.warn("waiting %s: %v", d.Round(100*time.Millisecond), err)
}

// backfillColumns are what is said of each resource.
var backfillColumns = []projections.Column{
	{Name: "resource", Type: projections.TypeText},
	{Name: "pages", Type: projections.TypeInteger},
	{Name: "rows", Type: projections.TypeInteger},
	{Name: "accepted", Type: projections.TypeInteger},
	{Name: "duplicate", Type: projections.TypeInteger},
	{Name: "unrecognized", Type: projections.TypeInteger},
	{Name: "quarantined", Type: projections.TypeInteger},
	{Name: "conflict", Type: projections.TypeInteger},
	{Name: "state", Type: projections.TypeText},
}

// run fetches one resource after the other and prints what became of their rows.
// One that the token may not read, or that the API does not have, does not keep
// the others from being fetched.
func (b *backfill) run(ctx context.Context) error {
	var failed error
	open := int64(0)
	for _, r := range b.resources {
		t := &tally{resource: r, statuses: make(map[domain.Status]int64)}
		fetch := b.fetch
		if r == resourceEvents {
			fetch = b.sweep
		}
		err := fetch(ctx, t)
		b.rows = append(b.rows, t.cells(err))
		open += t.statuses[domain.Quarantined] + t.statuses[domain.Conflicting]
		failed = errors.Join(failed, err)
		if final(err) || ctx.Err() != nil {
			break
		}
	}
	if err := b.app.printWhole(render.Answer{View: "backfill", Columns: backfillColumns, Rows: b.rows}); err != nil {
		return errors.Join(failed, err)
	}
	switch {
	case b.log == nil:
		b.app.warn("nothing was recorded; accepted is what would be, if it is not there already")
	case open > 0:
		b.app.warn("%d rows cannot be booked as they are; see: daybook delivery list --open", open)
	}
	return failed
}

// final reports whether err stops the other resources too: they would meet it as
// well.
func final(err error) bool {
	switch domain.CodeOf(err) {
	case "", domain.NotAllowed, domain.NotFound, domain.Invalid, domain.Refused, domain.TooLarge:
		return false
	}
	return true
}

// A tally is what became of the rows of one resource.
type tally struct {
	resource    string
	pages, rows int64
	mu          sync.Mutex
	statuses    map[domain.Status]int64
}

func (t *tally) add(s domain.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows++
	t.statuses[s]++
}

func (t *tally) cells(err error) []projections.Cell {
	state := "done"
	if err != nil {
		state = "stopped: " + err.Error()
	}
	cells := []projections.Cell{{Text: t.resource}}
	for _, n := range []int64{
		t.pages, t.rows, t.statuses[domain.Accepted], t.statuses[domain.Duplicate], t.statuses[domain.Unrecognized],
		t.statuses[domain.Quarantined], t.statuses[domain.Conflicting],
	} {
		cells = append(cells, projections.Cell{Text: strconv.FormatInt(n, 10)})
	}
	return append(cells, projections.Cell{Text: state})
}

// fetch fetches one resource, from where the last run was interrupted.
func (b *backfill) fetch(ctx context.Context, t *tally) error {
	from, err := b.begin(ctx, t.resource)
	if err != nil {
		return err
	}
	p := b.app.progress("backfill " + t.resource)
	defer p.end()
	err = b.client.Walk(ctx, b.lists, t.resource, from, b.since, func(number int64, page domain.Page) error {
		if err := b.take(ctx, t, page); err != nil {
			return err
		}
		t.pages++
		if page.Total > 0 && from == 1 {
			p.update(min(t.rows, page.Total), page.Total)
		} else {
			p.count(t.rows)
		}
		return b.mark(ctx, t.resource, number)
	})
	if err != nil {
		return err
	}
	return b.mark(ctx, t.resource, 0)
}

// take records the rows of a page. What is begun is finished although the command
// was interrupted.
func (b *backfill) take(ctx context.Context, t *tally, page domain.Page) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(recordAtOnce)
	for _, row := range page.Rows {
		group.Go(func() error {
			status, err := b.record(ctx, t.resource, row)
			if err == nil {
				t.add(status)
			}
			return err
		})
	}
	return group.Wait()
}

// record records a row, or says what it would be recorded as.
func (b *backfill) record(ctx context.Context, resource string, row domain.Row) (domain.Status, error) {
	r := domain.Request{
		Header: http.Header{"Content-Type": {"application/json"}}, Body: row.Body, ReceivedAt: time.Now().UTC(), Fetched: resource + "/" + row.ID,
	}
	if b.log != nil {
		receipt, err := intake.Record(ctx, b.log, b.source, r, "fetched", ulid.ULID{})
		return receipt.Status, err
	}
	switch translation, err := intake.Translate(b.source, r); {
	case err != nil:
		return domain.Quarantined, nil
	case len(translation.Facts) == 0:
		return domain.Unrecognized, nil
	}
	return domain.Accepted, nil
}

// begin returns the page to begin with.
func (b *backfill) begin(ctx context.Context, resource string) (int64, error) {
	if b.db == nil || b.restart {
		return 1, nil
	}
	at, err := postgres.Mark(ctx, b.db, b.markName(resource))
	if at > 0 {
		b.app.warn("%s: going on from page %d, where the last run stopped; --restart begins anew", resource, at)
	}
	return max(at, 1), err
}

// mark keeps how far the back-fill of a resource has come; 0: it is done.
func (b *backfill) mark(ctx context.Context, resource string, page int64) error {
	if b.db == nil {
		return nil
	}
	return postgres.SetMark(context.WithoutCancel(ctx), b.db, b.markName(resource), page)
}

// markName names the progress of a resource. The pages since a moment are others.
func (b *backfill) markName(resource string) string {
	name := "backfill/" + b.source.Name + "/" + resource
	if !b.since.IsZero() {
		name += "?since=" + b.since.Format(time.RFC3339)
	}
	return name
}
