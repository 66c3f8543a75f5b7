package postgres

import (
	"bytes"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
)

// FuzzHash has rows of any bytes hashed, as a server that lies might send them:
// each is called wrong, or read and hashed.
func FuzzHash(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 1, 'x'}, []byte{0, 0, 0, 1, 0, 0, 0, 25, 255, 255, 255, 255}, []byte{})
	f.Fuzz(func(t *testing.T, record, delivery, scope []byte) {
		b := &logBatch{
			records: []rawRow{{1, record}, {2, record}}, deliveries: []rawRow{{1, delivery}},
			scopes: []rawRow{{0, scope}, {1, scope}, {3, scope}}, done: make(chan struct{}),
		}
		b.hash()
		if len(b.checked) != 2 || len(b.came) != 1 || len(b.stray) != 2 {
			t.Fatalf("%d records, %d deliveries, %d stray scopes", len(b.checked), len(b.came), len(b.stray))
		}
		c := newChain(LogCheck{})
		c.From, c.To, c.Head = 1, 2, 2
		c.follow(b)
		if c.judge(); c.Result != domain.Fail {
			t.Errorf("records without their bytes are %s", c.Result)
		}
	})
}

// TestFields reads every form of column that there is, cut off everywhere.
func TestFields(t *testing.T) {
	whole := []byte{0, 0, 0, 2}
	whole = append(whole, 0, 0, 0, 16, 0, 0, 0, 1, 1)       // true
	whole = append(whole, 0, 0, 0, 23, 0, 0, 0, 4, 0, 0, 1) // 256
	whole = append(whole, 0)
	f := newFields(whole)
	if truth, n := f.boolean("truth"), f.integer("n"); !truth || n != 256 || f.end() != "" {
		t.Errorf("%v %d %q", truth, n, f.end())
	}
	for n := range whole {
		f := newFields(whole[:n])
		f.boolean("truth")
		f.integer("n")
		if f.end() == "" {
			t.Errorf("%d bytes are taken for the whole row", n)
		}
	}
	if f := newFields(bytes.Clone(whole)); f.end() == "" {
		t.Error("columns that nobody reads are not noticed")
	}
}
