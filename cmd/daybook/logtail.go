package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// tailPage is how many records are shown at a time, and tailPause how long nobody
// looks whether there are more if nothing wakes him.
const (
	tailPage  = 1000
	tailPause = 5 * time.Second
)

// logTail shows the last records and, if it is to follow, all that come after.
func (a *app) logTail(ctx context.Context, last int64, follow bool) (err error) {
	if a.output == "csv" {
		return domain.Errorf(domain.Usage, "", "what follows is not one table").WithHint("Use: daybook log list --limit 0 -o csv")
	}
	p, v, err := viewNamed("log/records")
	if err != nil {
		return err
	}
	d, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	db, err := d.open(ctx, postgres.RoleProjector, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	t := &recordTail{app: a, view: v, of: p, projector: postgres.NewProjector(db, nil)}
	if !follow {
		return t.begin(ctx, db, last)
	}
	// Listening begins first, so that nothing comes unnoticed in between.
	listening, stop := context.WithCancel(ctx)
	wake, err := bus.Listen(listening, d.url)
	if err != nil {
		stop()
		return err
	}
	defer func() {
		stop()
		<-wake.Done()
	}()
	woken, forget := wake.Channel()
	defer forget()
	if err := t.begin(ctx, db, last); err != nil {
		return err
	}
	return t.follow(ctx, woken)
}

// A recordTail shows records in their order.
type recordTail struct {
	app       *app
	view      projections.View
	of        *projections.Projection
	projector *postgres.Projector
	after     int64 // position of the last one shown
}

// begin shows the last records.
func (t *recordTail) begin(ctx context.Context, db *sql.DB, last int64) error {
	head, err := postgres.Head(ctx, db)
	if err != nil {
		return err
	}
	t.after = max(head-last, 0)
	return t.show(ctx)
}

// follow shows what comes until ctx is done, which is no failure.
func (t *recordTail) follow(ctx context.Context, woken <-chan struct{}) error {
	for {
		pause := time.NewTimer(tailPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-woken:
		case <-pause.C:
		}
		pause.Stop()
		if err := t.show(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// show shows the records that there are after the last one shown.
func (t *recordTail) show(ctx context.Context) error {
	for {
		q, err := projections.ParseQuery(t.view, url.Values{"limit": {fmt.Sprint(tailPage)}})
		if err != nil {
			return err
		}
		q.After = []projections.Cell{number(t.after)}
		answer, err := ask(ctx, t.projector, t.of, t.view, q)
		if err != nil || len(answer.Rows) == 0 {
			return err
		}
		if t.app.output == "table" {
			for _, row := range ofColumns(answer, recordColumns).Rows {
				fmt.Fprintf(t.app.stdout, "%s  %s  %s  %s  %s\n", row[0].Text, row[1].Text, row[2].Text, row[3].Text, row[4].Text)
			}
		} else if err := render.NDJSON(t.app.stdout, answer); err != nil {
			return err
		}
		t.after += int64(len(answer.Rows))
	}
}
