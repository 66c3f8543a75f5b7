package bus

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"maps"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

var (
	//go:embed records.sql
	recordsSQL string
	//go:embed range.sql
	rangeSQL string
)

const (
	startSQL = `INSERT INTO cursor (follower, position) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	ackSQL   = `UPDATE cursor SET position = $2, updated_at = now() WHERE follower = $1`
)

// Records are read in pages, a transaction each. A page begins with one record
// and doubles while handlers are quick, so that a slow one, which may have
// effects elsewhere, has few messages to repeat after a failure, and a
// transaction does not stay open for minutes.
const (
	maxPage  = 256
	slowPage = time.Second
)

// closeGrace is how long the message in hand has to be acknowledged once the
// subscriber is closed.
const closeGrace = time.Second

// A subscription is a follower's cursor in one topic. It adapts the log to
// watermill-sql's Subscriber: it is what that wants as a database, a schema, a
// table of offsets and a back-off, so that it can keep one thing in mind for
// all of them. Only that Subscriber's goroutine uses it.
type subscription struct {
	config SubscriberConfig
	topic  string
	cursor string // cursor.follower
	wake   <-chan struct{}
	stop   <-chan struct{} // closed: deliver nothing more
	page   int
	begun  time.Time // when the last transaction that had messages was begun
}

func newSubscription(config SubscriberConfig, topic string) *subscription {
	s := &subscription{config: config, topic: topic, cursor: config.Follower, page: 1}
	if topic != Log {
		s.cursor += "@" + topic
	}
	return s
}

// BeginTx begins a transaction for a page of messages.
func (s *subscription) BeginTx(ctx context.Context, options *sql.TxOptions) (wsql.Tx, error) {
	s.rest()
	t, err := s.config.DB.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &tx{Tx: t, begun: time.Now(), end: s.ended, messages: make(map[string]sent)}, nil
}

// rest waits until the pace allows another range.
func (s *subscription) rest() {
	left := s.config.Pace - time.Since(s.begun)
	if s.config.Batch == 0 || left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stop:
	}
}

// ExecContext is refused: nothing is done outside a transaction.
func (s *subscription) ExecContext(context.Context, string, ...any) (wsql.Result, error) {
	return nil, domain.Errorf(domain.Internal, "subscribe", "a statement outside a transaction")
}

// QueryContext is refused: nothing is done outside a transaction.
func (s *subscription) QueryContext(context.Context, string, ...any) (wsql.Rows, error) {
	return nil, domain.Errorf(domain.Internal, "subscribe", "a query outside a transaction")
}

// ended sizes the next page by what became of this one. A page that failed is
// followed by smaller ones, so that what is before a failure gets through.
func (s *subscription) ended(t *tx, committed bool) {
	if len(t.messages) > 0 {
		s.begun = t.begun
	}
	switch n := len(t.messages); {
	case n > 0 && (!committed || time.Since(t.begun) > slowPage):
		s.page = max(1, s.page/2)
	case n == s.page:
		s.page = min(2*s.page, maxPage)
	}
}

// SubscribeIsolationLevel is read committed: a record is visible to a statement
// that begins after it was committed, and the cursor is locked by its row.
func (s *subscription) SubscribeIsolationLevel() sql.IsolationLevel { return sql.LevelReadCommitted }

// SelectQuery reads the next page, or the next range.
func (s *subscription) SelectQuery(wsql.SelectQueryParams) (wsql.Query, error) {
	if s.config.Batch > 0 {
		return wsql.Query{Query: rangeSQL, Args: []any{s.cursor, s.config.Batch}}, nil
	}
	return wsql.Query{Query: recordsSQL, Args: []any{s.cursor, s.page}}, nil
}

// UnmarshalMessage reads one row of the query.
func (s *subscription) UnmarshalMessage(p wsql.UnmarshalMessageParams) (wsql.Row, error) {
	r, ok := p.Row.(*rows)
	if !ok {
		return wsql.Row{}, domain.Errorf(domain.Internal, "read log", "rows of another query: %T", p.Row)
	}
	read := readRecord
	if s.config.Batch > 0 {
		read = readRange
	}
	msg, m, err := read(r)
	if err != nil {
		return wsql.Row{}, err
	}
	r.tx.messages[msg.UUID], r.tx.last = m, m.position
	return wsql.Row{Offset: m.position, UUID: []byte(msg.UUID), Payload: msg.Payload, Msg: msg}, nil
}

// missing says that the log has a gap after one position and before another.
func missing(after, before int64) error {
	return domain.Errorf(domain.Differs, "read log", "a record is missing between %d and %d", after, before).
		WithHint("Restore the log from a backup.")
}

// readRange reads a row of range.sql.
func readRange(rows *rows) (*message.Message, sent, error) {
	var at span
	var n int64
	if err := rows.Scan(&at.After, &at.UpTo, &n); err != nil {
		return nil, sent{}, err
	}
	if at.UpTo != at.After+n {
		return nil, sent{}, missing(at.After, at.UpTo+1)
	}
	payload, err := json.Marshal(at)
	if err != nil {
		return nil, sent{}, err
	}
	msg := message.NewMessage(ulid.Make().String(), payload)
	msg.Metadata.Set("after", strconv.FormatInt(at.After, 10))
	msg.Metadata.Set("up_to", strconv.FormatInt(at.UpTo, 10))
	return msg, sent{position: at.UpTo}, nil
}

// readRecord reads a row of records.sql.
func readRecord(rows *rows) (*message.Message, sent, error) {
	r := new(domain.Record)
	var after int64
	var id, delivery string
	var cause sql.NullString
	err := rows.Scan(&after, &r.Position, &id, &r.Kind, &r.Source, &r.OccurredAt, &r.RecordedAt, &delivery, &cause, &r.Test, &r.Data, &r.Personal)
	if err != nil {
		return nil, sent{}, err
	}
	if before := max(after, rows.tx.last); r.Position != before+1 {
		return nil, sent{}, missing(before, r.Position)
	}
	if err := r.ParseIDs(id, delivery, cause.String); err != nil {
		return nil, sent{}, err
	}
	r.OccurredAt, r.RecordedAt = r.OccurredAt.UTC(), r.RecordedAt.UTC()
	return recordMessage(r), sent{r.Position, r}, nil
}

// recordMessage returns the message that stands for r; see the package comment.
func recordMessage(r *domain.Record) *message.Message {
	msg := message.NewMessage(r.ID.String(), r.Data)
	msg.Metadata = message.Metadata{
		"kind":        string(r.Kind),
		"name":        string(r.Kind),
		"position":    strconv.FormatInt(r.Position, 10),
		"source":      r.Source,
		"occurred_at": r.OccurredAt.Format(time.RFC3339Nano),
		"recorded_at": r.RecordedAt.Format(time.RFC3339Nano),
		"delivery":    r.Delivery.String(),
		"test":        strconv.FormatBool(r.Test),
	}
	if !r.Cause.IsZero() {
		msg.Metadata.Set("cause", r.Cause.String())
	}
	return msg
}

// InsertQuery is refused: publishing is appending.
func (s *subscription) InsertQuery(wsql.InsertQueryParams) (wsql.Query, error) {
	return wsql.Query{}, domain.Errorf(domain.Internal, "publish", "the log is written by its appender only")
}

// SchemaInitializingQueries are none: tables come from migrations.
func (s *subscription) SchemaInitializingQueries(wsql.SchemaInitializingQueriesParams) ([]wsql.Query, error) {
	return nil, nil
}

// offsets is the part of a subscription that keeps the cursor.
type offsets struct{ *subscription }

// SchemaInitializingQueries are none: tables come from migrations.
func (offsets) SchemaInitializingQueries(wsql.OffsetsSchemaInitializingQueriesParams) ([]wsql.Query, error) {
	return nil, nil
}

// BeforeSubscribingQueries creates the cursor unless it is there.
func (s offsets) BeforeSubscribingQueries(wsql.BeforeSubscribingQueriesParams) ([]wsql.Query, error) {
	return []wsql.Query{{Query: startSQL, Args: []any{s.cursor, s.config.StartAfter}}}, nil
}

// NextOffsetQuery is refused: the cursor is read with the records.
func (s offsets) NextOffsetQuery(wsql.NextOffsetQueryParams) (wsql.Query, error) {
	return wsql.Query{}, domain.Errorf(domain.Internal, "subscribe", "the cursor is read with the records")
}

// AckMessageQuery moves the cursor.
func (s offsets) AckMessageQuery(p wsql.AckMessageQueryParams) (wsql.Query, error) {
	return wsql.Query{Query: ackSQL, Args: []any{s.cursor, p.LastRow.Offset}}, nil
}

// ConsumedMessageQuery is none: nobody has to know what was sent.
func (s offsets) ConsumedMessageQuery(wsql.ConsumedMessageQueryParams) (wsql.Query, error) {
	return wsql.Query{}, nil
}

// HandleError waits until there may be something to read. After an error it
// says how long to wait.
func (s *subscription) HandleError(logger watermill.LoggerAdapter, noMsg bool, err error) time.Duration {
	switch {
	case stopped(s.stop):
		return 0
	case err != nil:
		logger.Error("cannot follow the log", err, watermill.LogFields{"cursor": s.cursor})
		return s.config.RetryInterval
	case !noMsg:
		return 0
	}
	timer := time.NewTimer(s.config.PollInterval)
	defer timer.Stop()
	select {
	case <-s.wake:
	case <-s.stop:
	case <-timer.C:
	}
	return 0
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// forward passes messages on until there are no more or it has to stop. When it
// stops, the message in hand has been acknowledged or had its time.
func (s *subscription) forward(in <-chan *message.Message, out chan<- *message.Message) {
	var first *message.Message // the one in hand as it was when it came first
	for !stopped(s.stop) {
		select {
		case <-s.stop:
		case msg, ok := <-in:
			switch {
			case !ok:
				return
			case first != nil && msg.Context() == first.Context():
				// It was refused and comes again, with what its handler has
				// made of it; the next attempt must not begin from there.
				msg.UUID, msg.Payload, msg.Metadata = first.UUID, first.Payload, maps.Clone(first.Metadata)
			default:
				first = msg.CopyWithContext()
			}
			s.pass(msg, out)
		}
	}
}

// pass hands one message over and waits until it is settled. The context of a
// message ends when Watermill has taken note of its acknowledgement or has
// given it up.
func (s *subscription) pass(msg *message.Message, out chan<- *message.Message) {
	if s.topic != Log && msg.Metadata.Get("source") != s.topic {
		msg.Ack()
		return
	}
	settled, refused := msg.Context().Done(), msg.Nacked()
	select {
	case out <- msg:
	case <-settled:
		return
	case <-s.stop:
		return
	}
	select {
	case <-settled:
	case <-refused:
	case <-s.stop:
		timer := time.NewTimer(closeGrace)
		defer timer.Stop()
		select {
		case <-settled:
		case <-refused:
		case <-timer.C:
		}
	}
}
