package bus

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
)

// SubscriberConfig says who follows the log, and how.
type SubscriberConfig struct {
	// DB is a pool for a role that may read the log and write cursors. Each
	// subscription holds a connection of it while it has messages in hand, so
	// handlers that use the database otherwise than by [Tx] need a pool of
	// their own.
	DB *sql.DB

	// Follower is the consumer group: letters, digits and "-_./:".
	Follower string

	// StartAfter is the position after which a new follower begins. 0 is the
	// beginning of the log. A follower that has a cursor goes on from there.
	StartAfter int64

	// Batch makes each message stand for a range of up to so many records; see
	// [Range]. Only the topic [Log] has ranges. 0: each stands for one record.
	Batch int

	// Pace is the least time from the start of one range to that of the next.
	// Under steady traffic a follower would otherwise never rest and have a
	// transaction for every few records; after a rest it is still woken at once.
	Pace time.Duration

	// Wake tells when something was appended. Nil: the log is only polled.
	Wake *Wake

	// PollInterval is how often the log is looked at anyway. 0: 5 s with Wake,
	// 1 s without.
	PollInterval time.Duration

	// AckDeadline is how long a message may remain without an answer before it
	// is taken back and sent again. It must be shorter than the server's
	// idle_in_transaction_session_timeout. 0: 30 s.
	AckDeadline time.Duration

	// RetryInterval is the time before a refused message is sent again, and
	// before a failed query. 0: 1 s.
	RetryInterval time.Duration

	// Logger is told about failures. Nil: nobody is.
	Logger *slog.Logger
}

var followers = regexp.MustCompile(`^[A-Za-z0-9_./:-]{1,255}$`)

func (c *SubscriberConfig) complete() error {
	refuse := func(format string, args ...any) error {
		return domain.Errorf(domain.Usage, "follow log", format, args...)
	}
	switch {
	case c.DB == nil:
		return refuse("there is no database")
	case !followers.MatchString(c.Follower):
		return refuse("follower %.40q has other characters than letters, digits and -_./:", c.Follower)
	case c.StartAfter < 0 || c.Batch < 0:
		return refuse("a negative position or batch")
	case c.PollInterval < 0 || c.AckDeadline < 0 || c.RetryInterval < 0 || c.Pace < 0:
		return refuse("a negative interval")
	}
	poll := time.Second
	if c.Wake != nil {
		poll = 5 * time.Second
	}
	c.PollInterval = cmp.Or(c.PollInterval, poll)
	c.AckDeadline = cmp.Or(c.AckDeadline, 30*time.Second)
	c.RetryInterval = cmp.Or(c.RetryInterval, time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return nil
}

// A Subscriber receives the log. Several may run at once for one follower: one
// of them receives, the others stand by.
type Subscriber struct {
	config SubscriberConfig
	open   context.Context // ends with Close
	close  context.CancelFunc

	mu     sync.Mutex // guards that nothing is added to active once open has ended
	active sync.WaitGroup
}

var _ message.Subscriber = (*Subscriber)(nil)

// NewSubscriber returns a subscriber. It uses no connection until Subscribe.
func NewSubscriber(config SubscriberConfig) (*Subscriber, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Subscriber{config: config}
	s.open, s.close = context.WithCancel(context.Background())
	return s, nil
}

// Subscribe returns the messages of a topic, which is [Log] or the name of a
// source, from the follower's cursor on. Each has to be acknowledged before the
// next one is sent. The channel is closed soon after ctx ends or Close is
// called; until then the message in hand has a second to be acknowledged.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if topic != Log && s.config.Batch > 0 {
		return nil, domain.Errorf(domain.Usage, "follow log", "only the topic %q has ranges of records", Log)
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	started := make(chan error)
	go func() {
		defer s.active.Done()
		s.run(ctx, topic, out, started)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return out, nil
}

// enter counts a subscription in, unless the subscriber is closed.
func (s *Subscriber) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.Err() != nil {
		return domain.Errorf(domain.Refused, "follow log", "the subscriber is closed")
	}
	s.active.Add(1)
	return nil
}

// run follows a topic until ctx ends or the subscriber is closed. It tells
// started whether it could begin, and closes out at the end.
func (s *Subscriber) run(ctx context.Context, topic string, out chan<- *message.Message, started chan<- error) {
	sub := newSubscription(s.config, topic)
	if s.config.Wake != nil {
		wake, forget := s.config.Wake.Channel()
		defer forget()
		sub.wake = wake
	}
	// Watermill drops what it has in hand when its context ends. So it is given
	// one that ends later than ctx: when all is done, or has had its time.
	living, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.open, stop)()
	sub.stop = stopping.Done()

	inner, in, err := sub.start(living, stopping, kill)
	if err != nil {
		started <- err
		return
	}
	defer close(out)
	started <- nil
	sub.forward(in, out)
	stop()
	defer time.AfterFunc(closeGrace, kill).Stop()
	_ = inner.Close() // commits; it never fails
}

// start begins to read. Until it has, kill is called when stopping ends.
func (s *subscription) start(living, stopping context.Context, kill func()) (*wsql.Subscriber, <-chan *message.Message, error) {
	inner, err := wsql.NewSubscriber(s, wsql.SubscriberConfig{
		ConsumerGroup:  s.cursor,
		AckDeadline:    &s.config.AckDeadline,
		ResendInterval: s.config.RetryInterval,
		BackoffManager: s,
		SchemaAdapter:  s,
		OffsetsAdapter: offsets{s},
	}, watermill.NewSlogLogger(s.config.Logger))
	if err != nil {
		return nil, nil, domain.Errorf(domain.Internal, "follow log", "%w", err)
	}
	unhook := context.AfterFunc(stopping, kill)
	in, err := inner.Subscribe(living, s.topic)
	if !unhook() && err == nil {
		// The context that reading goes on with has ended, or soon will.
		err = errors.Join(context.Cause(stopping), inner.Close())
	}
	switch {
	case err == nil:
		return inner, in, nil
	case errors.Is(err, wsql.ErrInvalidTopicName):
		return nil, nil, domain.Errorf(domain.Usage, "follow log", "%w", err)
	}
	return nil, nil, unreachable(err)
}

// unreachable says that the database does not answer, unless it did answer.
func unreachable(err error) error {
	if _, ok := errors.AsType[*pq.Error](err); ok {
		return domain.Errorf(domain.Internal, "follow log", "%w", err)
	}
	return domain.Errorf(domain.Unreachable, "follow log", "%w", err).
		WithHint("Check that PostgreSQL is running and that DATABASE_URL names it; run: daybook doctor")
}

// Close ends every subscription and returns when their channels are closed.
// What was acknowledged is committed by then.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.close()
	s.mu.Unlock()
	s.active.Wait()
	return nil
}
