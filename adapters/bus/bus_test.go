package bus_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// patience is how long a test waits for what must happen; moment, for what
// must not.
const (
	patience = 20 * time.Second
	moment   = 200 * time.Millisecond
)

// append appends n records of a source, in one delivery.
func (d *database) append(t *testing.T, source string, n int) {
	t.Helper()
	delivery := domain.Delivery{
		ID: ulid.Make(), Source: source, ReceivedAt: time.Now(), Verified: "test",
		Translation: domain.Translation{Topic: "test", Key: ulid.Make().String()},
	}
	for i := range n {
		delivery.Facts = append(delivery.Facts, domain.Fact{Event: domain.DirectoryPersonSeen{
			PersonType: domain.PersonUser, Person: strconv.Itoa(i), Name: "Amina Diallo",
		}})
	}
	if _, err := d.appender.Append(t.Context(), delivery); err != nil {
		t.Fatal(err)
	}
}

// subscriber returns a subscriber that relies on being woken.
func (d *database) subscriber(t *testing.T, change func(*bus.SubscriberConfig)) *bus.Subscriber {
	t.Helper()
	config := bus.SubscriberConfig{DB: d.pool, Follower: "f", Wake: d.wake, PollInterval: time.Hour, RetryInterval: 5 * time.Millisecond}
	if change != nil {
		change(&config)
	}
	sub, err := bus.NewSubscriber(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { within(t, "Close", func() { sub.Close() }) })
	return sub
}

func subscribe(t *testing.T, sub *bus.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := sub.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, ok := <-messages:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return msg
	case <-time.After(patience):
		t.Fatal("nothing was received")
	}
	return nil
}

// positions acknowledges the next n messages and returns where they are.
func positions(t *testing.T, messages <-chan *message.Message, n int) (list []string) {
	t.Helper()
	for range n {
		msg := receive(t, messages)
		list = append(list, msg.Metadata.Get("position"))
		msg.Ack()
	}
	return list
}

func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("%s hangs", what)
	}
}

func (d *database) cursor(t *testing.T, follower string) (position int64) {
	t.Helper()
	if err := d.pool.QueryRow(`SELECT position FROM cursor WHERE follower = $1`, follower).Scan(&position); err != nil {
		t.Fatal(err)
	}
	return position
}

func TestMessage(t *testing.T) {
	db := newDatabase(t)
	cause := ulid.Make()
	if _, err := db.appender.Append(t.Context(), domain.Delivery{
		ID: ulid.Make(), Source: "acme", ReceivedAt: time.Now(), Cause: cause,
		Translation: domain.Translation{Test: true, Facts: []domain.Fact{{
			OccurredAt: time.Date(2026, 3, 1, 10, 0, 0, 0, time.FixedZone("", 3600)),
			Event:      domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "1", Name: "Amina Diallo"},
		}}},
	}); err != nil {
		t.Fatal(err)
	}
	msg := receive(t, subscribe(t, db.subscriber(t, nil), bus.Log))
	r, err := bus.Record(msg)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"kind": "directory.person-seen.v1", "name": "directory.person-seen.v1", "position": "1", "source": "acme", "test": "true",
		"occurred_at": "2026-03-01T09:00:00Z", "recorded_at": r.RecordedAt.Format(time.RFC3339Nano),
		"delivery": r.Delivery.String(), "cause": cause.String(),
	} {
		if got := msg.Metadata.Get(name); got != want {
			t.Errorf("metadata %s is %q, want %q", name, got, want)
		}
	}
	if msg.UUID != r.ID.String() || string(msg.Payload) != string(r.Data) {
		t.Errorf("message %s %s, record %s %s", msg.UUID, msg.Payload, r.ID, r.Data)
	}
	if got := fmt.Sprint(msg.Metadata, string(msg.Payload)); strings.Contains(got, "Amina") {
		t.Errorf("a message carries a name: %s", got)
	}
	if e, ok := r.Event.(domain.DirectoryPersonSeen); !ok || !seal.IsText(string(e.Name)) {
		t.Errorf("the record is %+v", r.Event)
	}
	if _, err := bus.Record(message.NewMessage(msg.UUID, nil)); err == nil {
		t.Error("a message from elsewhere stands for a record")
	}
	if _, _, err := bus.Range(msg); err == nil {
		t.Error("a record is a range")
	}
	if _, ok := bus.Tx(msg.Context()); ok {
		t.Error("there is a transaction outside Savepoint")
	}
	msg.Ack()
}

// effects runs a handler that writes the position of each record into a table,
// and that meets with trouble at record 3. It returns what is in the table and
// where the cursor is when the router is closed.
func effects(t *testing.T, trouble func(tx *sql.Tx, msg *message.Message, attempt int) error, outer ...message.HandlerMiddleware) (written []string, cursor int64) {
	t.Helper()
	db := newDatabase(t)
	db.pool = postgrestest.Open(t, db.url, postgres.RoleOwner)
	// The cursor is slow, so that a handler which is late meets it on its way.
	if _, err := db.pool.Exec(`CREATE TABLE effects (position text);
		CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.02); RETURN new; END';
		CREATE TRIGGER slow BEFORE UPDATE ON cursor FOR EACH ROW EXECUTE FUNCTION slow()`); err != nil {
		t.Fatal(err)
	}
	db.append(t, "acme", 5)
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	enough := make(chan struct{}, 1)
	var attempts atomic.Int64 // one that is late may overlap the next
	router.AddMiddleware(outer...)
	router.AddMiddleware(middleware.Recoverer, bus.Savepoint)
	sub := db.subscriber(t, func(c *bus.SubscriberConfig) { c.AckDeadline = 500 * time.Millisecond })
	router.AddConsumerHandler("effects", bus.Log, sub, func(msg *message.Message) error {
		tx, ok := bus.Tx(msg.Context())
		if !ok {
			return errors.New("no transaction")
		}
		position := msg.Metadata.Get("position")
		if _, err := tx.ExecContext(msg.Context(), `INSERT INTO effects VALUES ($1)`, position); err != nil {
			return err
		}
		if position == "3" {
			n := attempts.Add(1)
			if n == 5 {
				enough <- struct{}{}
			}
			return trouble(tx, msg, int(n))
		}
		if position == "5" {
			select {
			case enough <- struct{}{}:
			default:
			}
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		if err := router.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-enough:
	case <-time.After(patience):
		t.Error("record 5 was not handled")
	}
	within(t, "the router", func() {
		router.Close()
		running.Wait()
	})
	rows, err := db.pool.Query(`SELECT position FROM effects ORDER BY position`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var position string
		if err := rows.Scan(&position); err != nil {
			t.Fatal(err)
		}
		written = append(written, position)
	}
	return written, db.cursor(t, "f")
}

// TestSavepoint: whatever happens to record 3, each record has its effect once.
func TestSavepoint(t *testing.T) {
	once := []string{"1", "2", "3", "4", "5"}
	failed := errors.New("failed")
	refuseTwice := func(h message.HandlerFunc) message.HandlerFunc {
		n := 0
		return func(msg *message.Message) ([]*message.Message, error) {
			out, err := h(msg)
			if msg.Metadata.Get("position") == "3" && err == nil {
				if n++; n <= 2 {
					return nil, failed
				}
			}
			return out, err
		}
	}
	for name, c := range map[string]struct {
		trouble func(tx *sql.Tx, msg *message.Message, attempt int) error
		outer   []message.HandlerMiddleware
		want    []string
	}{
		"none": {want: once},
		"fails twice": {func(_ *sql.Tx, _ *message.Message, n int) error {
			if n <= 2 {
				return failed
			}
			return nil
		}, nil, once},
		"fails for ever": {func(*sql.Tx, *message.Message, int) error { return failed }, nil, once[:2]},
		"SQL error": {func(tx *sql.Tx, msg *message.Message, n int) error {
			if n == 1 {
				_, err := tx.ExecContext(msg.Context(), `SELECT 1/0`)
				return err
			}
			return nil
		}, nil, once},
		"panic": {func(_ *sql.Tx, _ *message.Message, n int) error {
			if n == 1 {
				panic("trouble")
			}
			return nil
		}, nil, once},
		"refused after success": {nil, []message.HandlerMiddleware{refuseTwice}, once},
		"deadline": {func(_ *sql.Tx, msg *message.Message, n int) error {
			if n == 1 {
				<-msg.Context().Done() // and then it says that all is well
			}
			return nil
		}, nil, once},
		"deadline while it fails": {func(_ *sql.Tx, msg *message.Message, n int) error {
			if n == 1 {
				<-msg.Context().Done()
				return failed
			}
			return nil
		}, nil, once},
		"connection lost": {func(tx *sql.Tx, msg *message.Message, n int) error {
			if n == 1 {
				_, _ = tx.ExecContext(msg.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
			}
			return nil
		}, nil, once},
		"metadata changed": {func(_ *sql.Tx, msg *message.Message, n int) error {
			if n <= 2 {
				msg.UUID, msg.Metadata = "", message.Metadata{}
				return failed
			}
			return nil
		}, nil, once},
	} {
		t.Run(name, func(t *testing.T) {
			trouble := c.trouble
			if trouble == nil {
				trouble = func(*sql.Tx, *message.Message, int) error { return nil }
			}
			written, cursor := effects(t, trouble, c.outer...)
			if !slices.Equal(written, c.want) || cursor != int64(len(c.want)) {
				t.Errorf("effects %v, cursor %d; want %v", written, cursor, c.want)
			}
		})
	}
}

// TestSavepointPassesOthers: a message from elsewhere has no transaction.
func TestSavepointPassesOthers(t *testing.T) {
	msg := message.NewMessage("1", nil)
	called := false
	if _, err := bus.Savepoint(func(*message.Message) ([]*message.Message, error) {
		called = true
		return nil, nil
	})(msg); err != nil || !called {
		t.Errorf("called %t, %v", called, err)
	}
}

func TestResume(t *testing.T) {
	db := newDatabase(t)
	db.append(t, "acme", 11)
	var got []string
	for i := range 5 {
		sub := db.subscriber(t, nil)
		messages := subscribe(t, sub, bus.Log)
		got = append(got, positions(t, messages, 2)...)
		if i%2 == 0 {
			receive(t, messages) // in hand when it is closed
		}
		within(t, "Close", func() { sub.Close() })
		if _, open := <-messages; open {
			t.Error("a message after Close")
		}
		if cursor := db.cursor(t, "f"); cursor != int64(len(got)) {
			t.Errorf("the cursor is at %d after %d messages", cursor, len(got))
		}
	}
	if want := "[1 2 3 4 5 6 7 8 9 10]"; fmt.Sprint(got) != want {
		t.Errorf("received %v, want %v", got, want)
	}
	late := db.subscriber(t, func(c *bus.SubscriberConfig) { c.Follower, c.StartAfter = "late", 7 })
	if got := positions(t, subscribe(t, late, bus.Log), 3); fmt.Sprint(got) != "[8 9 10]" {
		t.Errorf("a follower that begins after 7 received %v", got)
	}
}

// TestStandby: of two instances one receives; the other takes over.
func TestStandby(t *testing.T) {
	db := newDatabase(t)
	db.append(t, "acme", 4)
	active := db.subscriber(t, nil)
	first := subscribe(t, active, bus.Log)
	positions(t, first, 1)
	receive(t, first)
	standby := db.subscriber(t, func(c *bus.SubscriberConfig) { c.PollInterval = 10 * time.Millisecond })
	second := subscribe(t, standby, bus.Log)
	select {
	case msg := <-second:
		t.Errorf("record %s went to the standby", msg.Metadata.Get("position"))
	case <-time.After(moment):
	}
	// It does not wait for the cursor's lock, which would hold a connection.
	var waiting int
	err := db.pool.QueryRow(`SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE NOT l.granted AND a.datname = current_database()`).Scan(&waiting)
	if err != nil || waiting != 0 {
		t.Errorf("%d wait for a lock, %v", waiting, err)
	}
	within(t, "Close", func() { active.Close() })
	if got := positions(t, second, 3); fmt.Sprint(got) != "[2 3 4]" {
		t.Errorf("the standby received %v", got)
	}
}

// TestWake: with polling out of the way, a notification alone delivers, also
// while a transaction is open elsewhere.
func TestWake(t *testing.T) {
	db := newDatabase(t)
	messages := subscribe(t, db.subscriber(t, nil), bus.Log)
	idle, err := postgrestest.Open(t, db.url, postgres.RoleOwner).Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Rollback()
	if _, err := idle.Exec(`INSERT INTO cursor (follower) VALUES ('somebody else')`); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for range 30 {
		begin := time.Now()
		db.append(t, "acme", 1)
		positions(t, messages, 1)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("from Append to handler: median %v, most %v", took[len(took)/2], took[len(took)-1])
}

// TestListenReconnects: what was appended while the listener had no connection
// is delivered once it has one.
func TestListenReconnects(t *testing.T) {
	db := newDatabase(t)
	messages := subscribe(t, db.subscriber(t, nil), bus.Log)
	owner := postgrestest.Open(t, db.url, postgres.RoleOwner)
	for range 3 {
		var ended int
		err := owner.QueryRow(`SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LISTEN%'`).Scan(&ended)
		if err != nil || ended != 1 {
			t.Fatalf("ended %d listeners, %v", ended, err)
		}
		db.append(t, "acme", 1)
		positions(t, messages, 1)
		db.append(t, "acme", 1)
		positions(t, messages, 1)
	}
}

func TestListenFails(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		dsn  string
		want domain.Code
	}{
		"no server":  {t.Context(), "postgres://u:secret@127.0.0.1:1/x?sslmode=disable", domain.Unreachable},
		"no URL":     {t.Context(), "postgres://u:secret@[/x", domain.Usage},
		"ctx at end": {ended, "postgres://u:secret@127.0.0.1:1/x?sslmode=disable", domain.Unreachable},
	} {
		w, err := bus.Listen(c.ctx, c.dsn)
		if w != nil || domain.CodeOf(err) != c.want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestSource: the topic of a source carries its records; the cursor passes over
// the others.
func TestSource(t *testing.T) {
	db := newDatabase(t)
	for range 3 {
		db.append(t, "acme", 2)
		db.append(t, "zenith", 1)
	}
	sub := db.subscriber(t, nil)
	acme, zenith, nobody, all := subscribe(t, sub, "acme"), subscribe(t, sub, "zenith"), subscribe(t, sub, "nobody"), subscribe(t, sub, bus.Log)
	for _, c := range []struct {
		messages <-chan *message.Message
		want     string
	}{{acme, "[1 2 4 5 7 8]"}, {zenith, "[3 6 9]"}, {all, "[1 2 3 4 5 6 7 8 9]"}} {
		if got := fmt.Sprint(positions(t, c.messages, len(strings.Fields(c.want)))); got != c.want {
			t.Errorf("received %s, want %s", got, c.want)
		}
	}
	for begin := time.Now(); db.cursor(t, "f@nobody") != 9; runtime.Gosched() {
		if time.Since(begin) > patience {
			t.Fatalf("the cursor stays at %d", db.cursor(t, "f@nobody"))
		}
	}
	select {
	case msg := <-nobody:
		t.Errorf("received record %s of another source", msg.Metadata.Get("position"))
	default:
	}
}

func TestRange(t *testing.T) {
	db := newDatabase(t)
	db.append(t, "acme", 10)
	sub := db.subscriber(t, func(c *bus.SubscriberConfig) { c.Batch = 4 })
	messages := subscribe(t, sub, bus.Log)
	ids := make(map[string]bool)
	for i, want := range []string{`{"after":0,"up_to":4}`, `{"after":4,"up_to":8}`, `{"after":8,"up_to":10}`} {
		msg := receive(t, messages)
		if i == 1 {
			msg.Nack() // it comes again, as it was
			msg = receive(t, messages)
		}
		after, upTo, err := bus.Range(msg)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf(`{"after":%d,"up_to":%d}`, after, upTo)
		meta := fmt.Sprintf(`{"after":%s,"up_to":%s}`, msg.Metadata.Get("after"), msg.Metadata.Get("up_to"))
		if got != want || meta != want || string(msg.Payload) != want {
			t.Errorf("range %s, metadata %s, payload %s, want %s", got, meta, msg.Payload, want)
		}
		if _, err := bus.Record(msg); err == nil {
			t.Error("a range is a record")
		}
		ids[msg.UUID] = true
		msg.Ack()
	}
	if len(ids) != 3 {
		t.Errorf("3 ranges have %d ids", len(ids))
	}
	if _, err := sub.Subscribe(t.Context(), "acme"); domain.CodeOf(err) != domain.Usage {
		t.Errorf("ranges of one source: %v", err)
	}
	within(t, "Close", func() { sub.Close() })
	if cursor := db.cursor(t, "f"); cursor != 10 {
		t.Errorf("the cursor is at %d", cursor)
	}
}

// A journal keeps what is logged as errors.
type journal struct {
	slog.Handler
	errors chan error
}

func (j journal) Enabled(context.Context, slog.Level) bool { return true }
func (j journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j journal) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			select {
			case j.errors <- err:
			default:
			}
		}
		return true
	})
	return nil
}

// TestGap: a record that is missing is not passed over.
func TestGap(t *testing.T) {
	for _, batch := range []int{0, 3} {
		t.Run(fmt.Sprint("batch ", batch), func(t *testing.T) {
			db := newDatabase(t)
			db.append(t, "acme", 9)
			owner := postgrestest.Open(t, db.url, postgres.RoleOwner)
			if _, err := owner.Exec(`ALTER TABLE log DISABLE TRIGGER append_only; DELETE FROM log WHERE position = 7`); err != nil {
				t.Fatal(err)
			}
			j := journal{slog.DiscardHandler, make(chan error, 1)}
			messages := subscribe(t, db.subscriber(t, func(c *bus.SubscriberConfig) { c.Batch, c.Logger = batch, slog.New(j) }), bus.Log)
			n := 6
			if batch > 0 {
				n = 2
			}
			positions(t, messages, n)
			// Twice, so that it is known that the one before is no longer in hand.
			for range 2 {
				select {
				case err := <-j.errors:
					if domain.CodeOf(err) != domain.Differs {
						t.Fatal(err)
					}
				case msg := <-messages:
					t.Fatalf("received %s %s", msg.Metadata.Get("position"), msg.Payload)
				case <-time.After(patience):
					t.Fatal("nobody was told")
				}
			}
			for begin := time.Now(); db.cursor(t, "f") != 6; runtime.Gosched() {
				if time.Since(begin) > patience {
					t.Fatalf("the cursor is at %d", db.cursor(t, "f"))
				}
			}
		})
	}
}

func TestSubscriberRefuses(t *testing.T) {
	for name, change := range map[string]func(*bus.SubscriberConfig){
		"no database":  func(c *bus.SubscriberConfig) { c.DB = nil },
		"no follower":  func(c *bus.SubscriberConfig) { c.Follower = "" },
		"its cursor":   func(c *bus.SubscriberConfig) { c.Follower = "f@acme" },
		"before start": func(c *bus.SubscriberConfig) { c.StartAfter = -1 },
		"batch":        func(c *bus.SubscriberConfig) { c.Batch = -1 },
		"deadline":     func(c *bus.SubscriberConfig) { c.AckDeadline = -1 },
	} {
		c := bus.SubscriberConfig{DB: new(sql.DB), Follower: "f"}
		change(&c)
		if _, err := bus.NewSubscriber(c); domain.CodeOf(err) != domain.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	db := newDatabase(t)
	sub := db.subscriber(t, nil)
	if _, err := sub.Subscribe(t.Context(), "no/source"); domain.CodeOf(err) != domain.Usage {
		t.Errorf("topic no/source: %v", err)
	}
	sub.Close()
	if _, err := sub.Subscribe(t.Context(), bus.Log); domain.CodeOf(err) != domain.Refused {
		t.Errorf("after Close: %v", err)
	}
	db.pool.Close()
	if _, err := db.subscriber(t, nil).Subscribe(t.Context(), bus.Log); domain.CodeOf(err) != domain.Unreachable {
		t.Errorf("without a database: %v", err)
	}
}

// TestClose: whatever a subscriber is doing, it can be closed, by Close as by
// its context, and leaves nothing behind.
func TestClose(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, db *database, messages <-chan *message.Message) func(){
		"waiting": func(*testing.T, *database, <-chan *message.Message) func() { return func() {} },
		"message in hand": func(t *testing.T, db *database, messages <-chan *message.Message) func() {
			db.append(t, "acme", 3)
			receive(t, messages)
			return func() {}
		},
		"message not taken": func(t *testing.T, db *database, messages <-chan *message.Message) func() {
			db.append(t, "acme", 3)
			positions(t, messages, 1)
			return func() {}
		},
		"no connection to be had": func(t *testing.T, db *database, _ <-chan *message.Message) func() {
			var held []*sql.Conn
			for range db.pool.Stats().MaxOpenConnections {
				conn, err := db.pool.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, conn)
			}
			db.append(t, "acme", 1)
			return func() {
				for _, conn := range held {
					conn.Close()
				}
			}
		},
		"refused over and over": func(t *testing.T, db *database, messages <-chan *message.Message) func() {
			db.append(t, "acme", 3)
			for range 10 {
				receive(t, messages).Nack()
			}
			return func() {}
		},
	} {
		for _, by := range []string{"Close", "context"} {
			t.Run(name+"/"+by, func(t *testing.T) {
				db := newDatabase(t)
				sub := db.subscriber(t, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				messages, err := sub.Subscribe(ctx, bus.Log)
				if err != nil {
					t.Fatal(err)
				}
				defer prepare(t, db, messages)()
				if by == "context" {
					cancel()
				} else {
					within(t, "Close", func() { sub.Close() })
				}
				within(t, "the channel", func() {
					for range messages {
					}
				})
			})
		}
	}
	left := func() string {
		var stacks []string
		buf := make([]byte, 1<<20)
		for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(stack, "adapters/bus.") || strings.Contains(stack, "watermill-sql") || strings.Contains(stack, "pq.(*Listener)") {
				stacks = append(stacks, stack)
			}
		}
		return strings.Join(stacks, "\n\n")
	}
	for begin := time.Now(); left() != ""; runtime.Gosched() {
		if time.Since(begin) > patience {
			t.Fatalf("still running:\n%s", left())
		}
	}
}

// TestCloseWaits: the message in hand may be acknowledged after Close began, and
// counts then.
func TestCloseWaits(t *testing.T) {
	db := newDatabase(t)
	db.append(t, "acme", 3)
	sub := db.subscriber(t, nil)
	messages := subscribe(t, sub, bus.Log)
	msg := receive(t, messages)
	var closed atomic.Bool
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		sub.Close()
		closed.Store(true)
	}()
	for {
		if _, err := sub.Subscribe(t.Context(), bus.Log); err != nil {
			break // it has begun to close
		}
	}
	if closed.Load() {
		t.Error("it was closed with a message in hand")
	}
	msg.Ack()
	within(t, "Close", func() { <-closing })
	if cursor := db.cursor(t, "f"); cursor != 1 {
		t.Errorf("the cursor is at %d", cursor)
	}
}

// TestPace lets no second range follow within the hour, and closes at once all
// the same.
func TestPace(t *testing.T) {
	db := newDatabase(t)
	db.append(t, "acme", 2)
	sub := db.subscriber(t, func(c *bus.SubscriberConfig) { c.Batch, c.Pace = 1, time.Hour })
	messages := subscribe(t, sub, bus.Log)
	receive(t, messages).Ack()
	within(t, "Close", func() { sub.Close() })
	if msg, ok := <-messages; ok {
		t.Errorf("range %s came too early", msg.Payload)
	}
	if cursor := db.cursor(t, "f"); cursor != 1 {
		t.Errorf("the cursor is at %d, want 1", cursor)
	}
}
