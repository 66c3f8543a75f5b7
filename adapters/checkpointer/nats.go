package checkpointer

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// A NATS is a sink that is a subject of a JetStream stream: every checkpoint is a
// message, the last one is the newest. The stream has to be there. JetStream
// acknowledges before it is on a disk, unless it is told otherwise: this sink is
// as durable as its stream.
type NATS struct {
	url, subject string
	options      []nats.Option

	mu   sync.Mutex
	conn *nats.Conn // nil: not connected yet
}

// A NATSConfig says where a [NATS] is.
type NATSConfig struct {
	URL         string // such as nats://nats.example:4222; several, with commas between them
	Subject     string
	Token       string // "": none
	Credentials string // what a file of credentials holds; "": none
}

// NewNATS returns the sink. Nothing is connected before it is used.
func NewNATS(c NATSConfig) (*NATS, error) {
	for at := range strings.SplitSeq(c.URL, ",") {
		if err := checkURL(at, "nats", "tls", "ws", "wss"); err != nil {
			return nil, err
		}
	}
	n := &NATS{url: c.URL, subject: c.Subject, options: []nats.Option{
		nats.Name("daybook checkpoints"), nats.Timeout(askTimeout), nats.MaxReconnects(-1),
	}}
	if c.Token != "" {
		n.options = append(n.options, nats.Token(c.Token))
	}
	if c.Credentials != "" {
		n.options = append(n.options, nats.UserCredentialBytes([]byte(c.Credentials)))
	}
	return n, nil
}

// Put implements [Sink].
func (n *NATS) Put(ctx context.Context, s checkpoint.Signed) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	js, err := n.connect()
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, n.subject, s.Note); err != nil {
		return n.failed(err)
	}
	return nil
}

// Newest implements [Sink].
func (n *NATS) Newest(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	js, err := n.connect()
	if err != nil {
		return nil, err
	}
	name, err := js.StreamNameBySubject(ctx, n.subject)
	if err != nil {
		return nil, n.failed(err)
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, n.failed(err)
	}
	last, err := stream.GetLastMsgForSubject(ctx, n.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, n.failed(err)
	}
	return last.Data, nil
}

// connect returns the connection, which the client keeps up once it was made.
func (n *NATS) connect() (jetstream.JetStream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		conn, err := nats.Connect(n.url, n.options...)
		if err != nil {
			return nil, n.failed(err)
		}
		n.conn = conn
	}
	js, err := jetstream.New(n.conn)
	if err != nil {
		return nil, n.failed(err)
	}
	return js, nil
}

// Close ends the connection, if there is one.
func (n *NATS) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		n.conn.Close()
		n.conn = nil
	}
	return nil
}

func (n *NATS) failed(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		return domain.Errorf(domain.Unavailable, "checkpoint", "no stream keeps the subject %s: %w", n.subject, err).
			WithHint("Make one: nats stream add --subjects " + n.subject)
	}
	return sinkFailed(err)
}
