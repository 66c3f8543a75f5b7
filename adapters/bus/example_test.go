package bus_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// follow is a Watermill program that receives every record in order and resumes
// where it stopped. This one stops of its own accord after n records.
func follow(ctx context.Context, db *sql.DB, dsn string, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake, err := bus.Listen(ctx, dsn)
	if err != nil {
		return err
	}
	sub, err := bus.NewSubscriber(bus.SubscriberConfig{DB: db, Follower: "printer", Wake: wake})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	router.AddMiddleware(bus.Savepoint)
	router.AddConsumerHandler("print", bus.Log, sub, func(msg *message.Message) error {
		fmt.Println(msg.Metadata.Get("position"), msg.Metadata.Get("kind"), string(msg.Payload))
		if n--; n == 0 {
			cancel()
		}
		return nil
	})
	return router.Run(ctx)
}

func Example() {
	ctx := context.Background()
	db, dsn, publisher, end := exampleLog(ctx)
	defer end()
	for i := range 5 {
		msg := message.NewMessage(watermill.NewUUID(), fmt.Appendf(nil, `{"reason":"event %d"}`, i+1))
		msg.Metadata.Set("kind", "intake.unrecognized.v1")
		must(publisher.Publish("acme", msg))
	}
	must(follow(ctx, db, dsn, 2))
	fmt.Println("stopped")
	must(follow(ctx, db, dsn, 3))
	// Output:
	// 1 intake.unrecognized.v1 {"reason":"event 1"}
	// 2 intake.unrecognized.v1 {"reason":"event 2"}
	// stopped
	// 3 intake.unrecognized.v1 {"reason":"event 3"}
	// 4 intake.unrecognized.v1 {"reason":"event 4"}
	// 5 intake.unrecognized.v1 {"reason":"event 5"}
}

// exampleLog returns an empty log of its own and what reads and writes it.
func exampleLog(ctx context.Context) (db *sql.DB, dsn string, publisher message.Publisher, end func()) {
	key, err := postgrestest.Key()
	must(err)
	dsn, drop, err := pgtest.Open(ctx, key, postgrestest.Migrate)
	must(err)
	db, err = postgres.Open(ctx, dsn, postgres.RoleOwner, 8)
	must(err)
	keys, err := postgrestest.OpenKeys(ctx, dsn, db)
	must(err)
	appender := postgres.NewAppender(db, keys)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { must(appender.Run(ctx)) })
	return db, dsn, bus.NewPublisher(appender), func() {
		cancel()
		running.Wait()
		must(db.Close())
		must(drop())
	}
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprint(err, domain.HintOf(err)))
	}
}
