package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"

	"github.com/daybook-ledger/daybook/adapters/postgres"
)

// plainTopic is the topic of the plain Watermill log.
const plainTopic = "plain"

// published is how many messages of the plain log share a transaction, as if each
// publisher had published so many at a time.
const published = 100

// plain is the same log as watermill-sql keeps one by default, with its default
// schema, offsets and subscriber: what a service would have that took Watermill as
// it comes.
type plain struct {
	db *sql.DB
}

// openPlain fills the default schema's table with the events of the log.
func openPlain(ctx context.Context, url string) (*plain, error) {
	db, err := postgres.Open(ctx, url, postgres.RoleOwner, 4)
	if err != nil {
		return nil, err
	}
	p := &plain{db}
	if err := p.fill(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return p, nil
}

func (p *plain) subscriber() (*wsql.Subscriber, error) {
	return wsql.NewSubscriber(wsql.BeginnerFromStdSQL(p.db), wsql.SubscriberConfig{
		SchemaAdapter: wsql.DefaultPostgreSQLSchema{}, OffsetsAdapter: wsql.DefaultPostgreSQLOffsetsAdapter{}, InitializeSchema: true,
	}, watermill.NopLogger{})
}

func (p *plain) fill(ctx context.Context) (err error) {
	s, err := p.subscriber()
	if err != nil {
		return err
	}
	if err := errors.Join(s.SubscribeInitialize(plainTopic), s.Close()); err != nil {
		return err
	}
	// A procedure of one statement that commits after every so many messages.
	_, err = p.db.ExecContext(ctx, fmt.Sprintf(`DO $$
		DECLARE
			last bigint := (SELECT position FROM head);
			after bigint;
		BEGIN
			FOR after IN SELECT * FROM generate_series(0, last - 1, %d) LOOP
				INSERT INTO watermill_%s (uuid, payload, metadata, transaction_id)
					SELECT id, data, json_build_object('kind', kind, 'source', source, 'position', position::text, 'personal', coalesce(personal::text, '')), pg_current_xact_id()
					FROM log WHERE position > after AND position <= after + %d ORDER BY position;
				COMMIT;
			END LOOP;
		END $$`, published, plainTopic, published))
	if err != nil {
		return err
	}
	_, err = p.db.ExecContext(ctx, `VACUUM ANALYZE watermill_`+plainTopic)
	return err
}

// read has a new subscriber read from the beginning for so long, or to the end, and
// returns how many messages it was given.
func (p *plain) read(ctx context.Context, most int64, d time.Duration) (read int64, took time.Duration, err error) {
	if _, err := p.db.ExecContext(ctx, `DELETE FROM watermill_offsets_`+plainTopic); err != nil {
		return 0, 0, err
	}
	s, err := p.subscriber()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := time.Now()
	messages, err := s.Subscribe(reading, plainTopic)
	if err != nil {
		return 0, 0, err
	}
	for over := time.After(d); read < most; {
		select {
		case m := <-messages:
			m.Ack()
			read++
			took = time.Since(begun)
		case <-over:
			if read == 0 {
				return 0, 0, errors.New("the plain subscriber was given no message")
			}
			return read, max(took, d), nil
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
	}
	return read, took, nil
}

func (p *plain) close() error { return p.db.Close() }
