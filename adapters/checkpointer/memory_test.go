package checkpointer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

const logName = "example.com/log"

// A memory is a log in memory: what its records say, and what is stored of their
// hashes, which somebody may have changed alone.
type memory struct {
	mu     sync.Mutex
	leaves []tree.Hash // what the records give
	stored []tree.Hash // what is stored as their leaves
	forks  []domain.LogForked
	root   map[int64]tree.Hash // stored roots that are not those of the stored leaves
	tiles  int64               // up to where tiles are written
	read   int64               // leaves read so far
	fail   error
}

// leaf is that of a record, in one of many worlds.
func leaf(i int, world string) tree.Hash {
	return tree.Leaf(fmt.Appendf(nil, "record %d of %s", i, world))
}

// grow appends records.
func (m *memory) grow(n int, world string) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		l := leaf(len(m.leaves), world)
		m.leaves, m.stored = append(m.leaves, l), append(m.stored, l)
	}
	return m
}

// cut takes the log back to a size.
func (m *memory) cut(size int) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaves, m.stored = m.leaves[:size:size], m.stored[:size:size]
	return m
}

// fork appends the record that opens an epoch.
func (m *memory) fork(epoch int64, lost checkpoint.Signed) {
	m.mu.Lock()
	m.forks = append(m.forks, domain.LogForked{Epoch: epoch, Checkpoint: string(lost.Note), Size: int64(len(m.leaves))})
	m.mu.Unlock()
	m.grow(1, fmt.Sprint("fork ", epoch))
}

func frontier(leaves []tree.Hash) *tree.Frontier {
	f := new(tree.Frontier)
	for _, l := range leaves {
		f.Append(l)
	}
	return f
}

func (m *memory) End(context.Context) (int64, *tree.Frontier, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	epoch := int64(1)
	for _, f := range m.forks {
		epoch = f.Epoch
	}
	return epoch, frontier(m.stored), m.fail
}

func (m *memory) Root(_ context.Context, size int64) (tree.Hash, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if root, ok := m.root[size]; ok {
		return root, m.fail
	}
	return frontier(m.stored[:size]).Root(), m.fail
}

func (m *memory) Ended(_ context.Context, epoch int64) (domain.LogForked, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.forks {
		if f.Epoch > epoch {
			return f, nil
		}
	}
	return domain.LogForked{}, errors.New("no fork")
}

func (m *memory) Leaves(_ context.Context, after, upTo int64) iter.Seq2[[]tree.Hash, error] {
	return func(yield func([]tree.Hash, error) bool) {
		for after < upTo {
			m.mu.Lock()
			page := m.leaves[min(after, int64(len(m.leaves))):min(after+3, upTo, int64(len(m.leaves)))]
			m.read += int64(len(page))
			m.mu.Unlock()
			if len(page) == 0 || !yield(page, nil) {
				return
			}
			after += int64(len(page))
		}
	}
}

func (m *memory) WriteTiles(_ context.Context, size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tiles = size
	return nil
}

func (m *memory) Prove(_ context.Context, older, newer int64) ([]tree.Hash, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var stored []tree.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tree.Hash, error) {
		list := make([]tree.Hash, len(indexes))
		for i, n := range indexes {
			list[i] = stored[n]
		}
		return list, nil
	})
	for i, l := range m.stored {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), l, reader)
		if err != nil {
			return nil, err
		}
		stored = append(stored, hashes...)
	}
	return tree.ProveConsistency(older, newer, reader)
}

// A shelf is a sink in memory, which may be down.
type shelf struct {
	mu   sync.Mutex
	puts []checkpoint.Signed
	at   []time.Time
	down error
}

func (s *shelf) Put(_ context.Context, c checkpoint.Signed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	if s.down != nil {
		return s.down
	}
	s.puts = append(s.puts, c)
	return nil
}

func (s *shelf) Newest(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil || len(s.puts) == 0 {
		return nil, s.down
	}
	return s.puts[len(s.puts)-1].Note, nil
}

func (s *shelf) set(down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// sizes returns the sizes that were put.
func (s *shelf) sizes() (list []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.puts {
		list = append(list, c.Size)
	}
	return list
}

func newKey(t testing.TB) checkpointer.Key {
	t.Helper()
	skey, vkey, err := checkpoint.GenerateLogKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	var k checkpointer.Key
	if k.Signer, err = checkpoint.NewSigner(skey, nil); err != nil {
		t.Fatal(err)
	}
	if k.Verifier, err = checkpoint.NewVerifier(vkey); err != nil {
		t.Fatal(err)
	}
	return k
}

// config returns a configuration over m and the sinks.
func config(t testing.TB, m *memory, sinks ...checkpointer.Sink) checkpointer.Config {
	t.Helper()
	c := checkpointer.Config{
		Name: logName, Dir: t.TempDir(), Log: m, Prover: m, Keys: []checkpointer.Key{newKey(t)},
		Interval: time.Second, Logger: slog.New(slog.DiscardHandler),
	}
	for i, s := range sinks {
		c.Sinks = append(c.Sinks, checkpointer.NamedSink{Name: fmt.Sprint("sink-", i+1), Sink: s})
	}
	return c
}

func open(t testing.TB, c checkpointer.Config) *checkpointer.Checkpointer {
	t.Helper()
	cp, err := checkpointer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// sign signs and publishes, which must work.
func sign(t testing.TB, c *checkpointer.Checkpointer) checkpoint.Signed {
	t.Helper()
	s, _, err := c.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Publish(t.Context())
	return s
}
