package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// An enrichment is a source whose notices have to be answered by its API.
type enrichment struct {
	config  sourceConfig
	source  intake.Source
	noticer fetch.Noticer
	events  fetch.Lister // of everything that there may have been a notice of
	client  *fetch.Client
}

// enrichments returns those of the sources that are to be enriched: those whose
// provider sends notices and whose API is configured.
func enrichments(configs []sourceConfig, sources []intake.Source) ([]enrichment, error) {
	var list []enrichment
	for i, s := range configs {
		if _, sends := sources[i].Provider.(fetch.Noticer); !sends {
			continue // a token for back-filling is nothing that serving needs
		}
		client, err := newClient(s)
		if err != nil {
			return nil, err
		}
		if e, ok := newEnrichment(s, sources[i], client); ok {
			list = append(list, e)
		}
	}
	return list, nil
}

// newEnrichment returns the enrichment of a source by its API, and false if there
// is nothing to enrich or nothing to do it with.
func newEnrichment(s sourceConfig, source intake.Source, client *fetch.Client) (enrichment, bool) {
	noticer, sends := source.Provider.(fetch.Noticer)
	if !sends || client == nil {
		return enrichment{}, false
	}
	return enrichment{config: s, source: source, noticer: noticer, events: listers[s.Provider](s), client: client}, true
}

// enricher returns what fetches for the source, appends to log and keeps its
// cursor in db.
func (e enrichment) enricher(log intake.Appender, db *sql.DB, keys *postgres.Keyring, logger *slog.Logger) *fetch.Enricher {
	return fetch.NewEnricher(fetch.EnricherConfig{
		Source:   e.source.Name,
		Client:   e.client,
		Noticer:  e.noticer,
		Events:   e.events,
		Resource: resourceEvents,
		Log:      postgres.NewNotices(db, keys),
		Recorder: recorder{log, e.source},
		AtOnce:   enrichAtOnce,
		Logger:   logger,
	})
}

// resourceEvents is the list of everything that there may have been a notice of.
const resourceEvents = "events"

// enrichAtOnce is how many answers are asked for at once for one source.
const enrichAtOnce = 4

// A recorder appends what was fetched for a source.
type recorder struct {
	log    intake.Appender
	source intake.Source
}

// Check implements [fetch.Recorder].
func (r recorder) Check(request domain.Request) error {
	_, err := intake.Translate(r.source, request)
	return err
}

// Record implements [fetch.Recorder].
func (r recorder) Record(ctx context.Context, request domain.Request, cause ulid.ULID) (domain.Receipt, error) {
	return intake.Record(ctx, r.log, r.source, request, "fetched", cause)
}

// Append implements [fetch.Recorder].
func (r recorder) Append(ctx context.Context, d domain.Delivery) (domain.Receipt, error) {
	return r.log.Append(ctx, d)
}

// fetching runs an enricher until ctx is done, on one server at a time: here
// whenever no other does. What stops it is tried again.
func (s *server) fetching(ctx context.Context, e *fetch.Enricher, wake *bus.Wake) error {
	appended, forget := wake.Channel()
	defer forget()
	for pause := time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
		begun := time.Now()
		err := postgres.Alone(ctx, s.pools.enricher, e.Follower(), func(ctx context.Context) error {
			s.logger.LogAttrs(ctx, slog.LevelInfo, "fetching what notices are of", slog.String("source", e.Source))
			return e.Run(ctx, appended)
		})
		if ctx.Err() != nil {
			return nil
		}
		s.logger.LogAttrs(ctx, slog.LevelError, "nothing is fetched for now", slog.String("source", e.Source),
			slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
		if time.Since(begun) > time.Minute {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// fetchStatuses says how far the enrichers are. Those that run on another server
// are told from the log; only that server knows whether its credentials are refused.
func (s *server) fetchStatuses(ctx context.Context) ([]fetchStatus, error) {
	statuses := make([]fetchStatus, len(s.enrichers))
	for i, e := range s.enrichers {
		is := e.Status()
		if !is.Running {
			var err error
			if is.Pending, is.Oldest, err = e.Backlog(ctx); err != nil {
				return nil, err
			}
		}
		statuses[i] = fetchStatus{Source: e.Source, Pending: int64(is.Pending), Oldest: is.Oldest, Paused: !is.Denied.IsZero()}
	}
	return statuses, nil
}

// sweep fetches the events that no notice was confirmed of.
func (b *backfill) sweep(ctx context.Context, t *tally) error {
	p := b.app.progress("backfill " + t.resource)
	defer p.end()
	e, _ := newEnrichment(b.config, b.source, b.client)
	enricher := e.enricher(b.log, b.db, b.keys, b.app.loggerFrom(slog.LevelWarn))
	// Of two answers to one question, with different bytes, the second would be a
	// conflict.
	err := postgres.Alone(ctx, b.db, "sweep of "+b.source.Name, func(ctx context.Context) (err error) {
		t.statuses, err = enricher.Sweep(ctx, func(seen, total int64) {
			t.pages++
			t.rows = seen
			p.update(seen, max(seen, total))
		})
		return err
	})
	return cmp.Or(err, ctx.Err())
}

// remind says every day how long the source's API token lasts, once that is not
// long any more.
func (s *server) remind(ctx context.Context, source sourceConfig) error {
	for {
		if verdict, text := source.tokenAge(time.Now()); verdict != "" {
			level := slog.LevelWarn
			if verdict == checkFail {
				level = slog.LevelError
			}
			s.logger.LogAttrs(ctx, level, "the API's token", slog.String("source", source.Name), slog.String("state", text))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(24 * time.Hour):
		}
	}
}

// checkBacklogs counts the notices that are not settled.
func (a *app) checkBacklogs(ctx context.Context, c *checks, db *sql.DB, keys *postgres.Keyring) error {
	for _, s := range a.config.Sources {
		source, err := newSource(s)
		if err != nil {
			continue // which is said already
		}
		client, err := newClient(s)
		if err != nil {
			continue
		}
		e, ok := newEnrichment(s, source, client)
		if !ok {
			continue
		}
		n, oldest, err := e.enricher(nil, db, keys, slog.New(slog.DiscardHandler)).Backlog(ctx)
		if err != nil {
			return err
		}
		c.backlog(s.Name, n, oldest, time.Now())
	}
	return nil
}

// backlogFor is how long a notice may wait before doctor warns of it.
const backlogFor = 15 * time.Minute

func (c *checks) backlog(source string, n int, oldest, now time.Time) {
	what := "notices of " + source
	switch {
	case n == 0:
		c.add(what, checkOK, "all are settled")
	case now.Sub(oldest) < backlogFor:
		c.add(what, checkOK, fmt.Sprintf("%d not fetched yet", n))
	default:
		c.add(what, checkWarn, fmt.Sprintf(`%d not fetched yet, the oldest since %s; the log of "daybook serve" says why`, n, oldest.UTC().Format(time.RFC3339)))
	}
}
