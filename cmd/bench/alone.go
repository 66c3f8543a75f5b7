package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// fillers is how many callers append at once when only a long log is wanted.
const fillers = 256

// alone is an appender in this process, on a database of its own.
type alone struct {
	url      string
	db       *sql.DB
	appender *postgres.Appender
	end      func()
	running  sync.WaitGroup
	next     atomic.Int64
}

func openAlone(ctx context.Context, c *cluster, name string) (_ *alone, err error) {
	a := new(alone)
	if a.url, err = c.database(ctx, name); err != nil {
		return nil, err
	}
	owner, err := postgres.Open(ctx, a.url, postgres.RoleOwner, 2)
	if err != nil {
		return nil, err
	}
	files, err := prepareBook(ctx, owner)
	if err = errors.Join(err, owner.Close()); err != nil {
		return nil, err
	}
	if a.db, err = postgres.Open(ctx, a.url, postgres.RoleWriter, 2); err != nil {
		return nil, err
	}
	keys, err := postgres.NewKeyring(ctx, a.db, files)
	if err != nil {
		return nil, err
	}
	a.appender = postgres.NewAppender(a.db, keys)
	appending, end := context.WithCancel(context.WithoutCancel(ctx))
	a.end = end
	a.running.Go(func() { _ = a.appender.Run(appending) }) // returns nil
	return a, nil
}

// prepareBook brings a database up to date and makes the keys of its book, in
// the directory that main has set.
func prepareBook(ctx context.Context, owner *sql.DB) (postgres.KeyFiles, error) {
	if err := postgres.Migrate(ctx, owner); err != nil {
		return nil, err
	}
	book, err := postgres.Book(ctx, owner)
	if err != nil {
		return nil, err
	}
	files := keyfile.Open(os.Getenv("DAYBOOK_KEYS_DIR"), book)
	return files, postgres.SetupKeys(ctx, owner, files)
}

func (a *alone) close() {
	a.end()
	a.running.Wait()
	a.db.Close()
}

// run is a [load]: each caller appends one delivery after the other.
func (a *alone) run(ctx context.Context, n int, d time.Duration) (driven, error) {
	return drive(ctx, n, d, func(int) error { return a.append(ctx) })
}

func (a *alone) append(ctx context.Context) error {
	d := newDelivery(a.next.Add(1))
	receipt, err := a.appender.Append(ctx, domain.Delivery{
		ID:          ulid.Make(),
		Source:      "bench",
		ReceivedAt:  time.Now().UTC().Truncate(time.Microsecond),
		Verified:    "hmac-sha256, secret 1",
		Header:      map[string][]string{"Content-Type": {"application/json"}, "X-Thinkific-Topic": {"enrollment.created"}},
		Body:        d.body,
		Translation: d.translation(),
	})
	if err == nil && receipt.Status != domain.Accepted {
		err = fmt.Errorf("a delivery was %s", receipt.Status)
	}
	return err
}

// fill appends so many records.
func (a *alone) fill(ctx context.Context, records int) error {
	var wg sync.WaitGroup
	errs := make([]error, fillers)
	for i := range fillers {
		wg.Go(func() {
			for range (records + i) / fillers {
				if errs[i] = a.append(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// project has the projections catch up with the log from its beginning, by
// "daybook serve".
func (a *alone) project(ctx context.Context, program, dir string) (p projected, err error) {
	if p.Records, err = value(ctx, a.db, `SELECT position FROM head`); err != nil {
		return p, err
	}
	counted, err := value(ctx, a.db, `SELECT count(*) FROM log`)
	if err != nil {
		return p, err
	}
	if acknowledged := a.next.Load(); counted != acknowledged || p.Records != acknowledged {
		return p, fmt.Errorf("%d appended, the head is %d and the log has %d records", acknowledged, p.Records, counted)
	}
	s := &server{url: a.url, program: program, dir: dir, ended: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		return p, err
	}
	begun := time.Now()
	defer s.stop()
	if s.db, err = postgres.Open(ctx, s.url, postgres.RoleProjector, 2); err != nil {
		return p, err
	}
	if err := caughtUp(ctx, s.db, s.ended); err != nil {
		return p, err
	}
	p.CatchUp = seconds(time.Since(begun))
	if p.Projections, err = value(ctx, s.db, `SELECT count(*) FROM projection`); err != nil {
		return p, err
	}
	return p, nil
}
