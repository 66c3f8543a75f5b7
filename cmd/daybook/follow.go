package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// liveBatch is how many records one message stands for at most.
const liveBatch = 1000

// livePace is how often the live tables change at most. It costs a reader up to
// that much freshness while deliveries come in without a pause, and saves most of
// what folding them one by one would take from intake.
const livePace = 100 * time.Millisecond

// A follower keeps one projection up to date.
type follower struct {
	projection *projections.Projection
	projector  *postgres.Projector
	pool       *sql.DB
	wake       *bus.Wake
	logger     *slog.Logger
	busLogger  *slog.Logger // for Watermill, which tells more than anybody wants to know
}

// run follows the log until ctx is done. A record that the projection cannot
// take stops it and nothing else: how it stopped is kept in the database, and it
// goes on once it was rebuilt.
func (f follower) run(ctx context.Context) error {
	logger := f.logger.With(slog.String("projection", f.projection.Name))
	// What was stopped is tried again by a program that was started again.
	if err := f.projector.Resume(ctx, f.projection); err != nil {
		return ignoreCancel(ctx, err)
	}
	said, pause := "", time.Second
	for ctx.Err() == nil {
		err := f.follow(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			said, pause = "", time.Second
		case err.Error() != said:
			logger.LogAttrs(ctx, slog.LevelError, "projection waits", slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
			said, pause = err.Error(), time.Second
		default:
			// What fails in the same way again may take long to try.
			pause = min(2*pause, time.Minute)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// follow rebuilds what is outdated, catches up in bulk, and then folds what the
// bus brings, each batch in the transaction that moves the cursor. It returns
// when something fails, and at once while the projection is stopped.
func (f follower) follow(ctx context.Context) error {
	if _, err := f.projector.Upgrade(ctx, f.projection, nil); err != nil {
		return err
	}
	if stopped, err := f.projector.Stopped(ctx, f.projection); stopped || err != nil {
		return err
	}
	if _, err := f.projector.CatchUp(ctx, f.projection, nil); err != nil {
		return err
	}
	subscriber, err := bus.NewSubscriber(bus.SubscriberConfig{
		DB:       f.pool,
		Follower: postgres.Follower(f.projection),
		Batch:    liveBatch,
		Pace:     livePace,
		Wake:     f.wake,
		Logger:   f.busLogger,
	})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	router.AddConsumerHandler(f.projection.Name, bus.Log, subscriber, func(m *message.Message) error {
		err := f.fold(m)
		switch _, ok := errors.AsType[*projections.FoldError](err); {
		case ok, domain.CodeOf(err) == domain.Refused, domain.CodeOf(err) == domain.Differs, domain.CodeOf(err) == domain.NotFound:
			// It would fail for as long as it is tried. The router is left first,
			// since the message in hand holds the cursor.
			stop(err)
		}
		if err != nil {
			f.logger.LogAttrs(ctx, slog.LevelWarn, "batch not folded", slog.String("projection", f.projection.Name), slog.Any("error", err))
		}
		return err
	})
	router.AddMiddleware(bus.Savepoint)
	err = router.Run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return f.projector.Stop(context.WithoutCancel(ctx), f.projection, cause)
	}
	return err
}

// fold folds the records that a message stands for.
func (f follower) fold(m *message.Message) error {
	after, upTo, err := bus.Range(m)
	if err != nil {
		return err
	}
	tx, ok := bus.Tx(m.Context())
	if !ok {
		return fmt.Errorf("message %s came without a transaction", m.UUID)
	}
	return f.projector.Apply(m.Context(), tx, f.projection, after, upTo)
}
