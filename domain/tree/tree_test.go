package tree_test

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/domain/tree"
)

// stored is a tlog.HashReader over a whole tree, the reference to compare with.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = s[x]
	}
	return hashes, nil
}

// TestRootIsTlogs appends a few hundred records and compares every root, and
// every frontier that went through its bytes, with tlog's own.
func TestRootIsTlogs(t *testing.T) {
	var reference stored
	frontier := new(tree.Frontier)
	for n := range int64(300) {
		want, err := tlog.TreeHash(n, reference)
		if err != nil {
			t.Fatal(err)
		}
		if got := frontier.Root(); got != want {
			t.Fatalf("root of %d records = %v, want %v", n, got, want)
		}
		record := fmt.Appendf(nil, "record %d", n)
		hashes, err := tlog.StoredHashes(n, record, reference)
		if err != nil {
			t.Fatal(err)
		}
		reference = append(reference, hashes...)
		at, err := tree.FrontierAt(n, reference)
		if err != nil || at.Root() != want || string(at.Bytes()) != string(frontier.Bytes()) {
			t.Fatalf("frontier of %d records from its hashes = %x, want %x, %v", n, at.Bytes(), frontier.Bytes(), err)
		}
		if frontier, err = tree.Parse(n, frontier.Bytes()); err != nil {
			t.Fatal(err)
		}
		frontier.Append(tree.Leaf(record))
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		size  int64
		bytes int
	}{{-1, 32}, {-1, 64 * 32}, {0, 32}, {1, 0}, {1, 31}, {1, 64}, {3, 32}, {4, 64}} {
		if _, err := tree.Parse(tt.size, make([]byte, tt.bytes)); err == nil {
			t.Errorf("Parse(%d, %d bytes) succeeded", tt.size, tt.bytes)
		}
	}
}
