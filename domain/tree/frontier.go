package tree

import (
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// FrontierAt returns the frontier of the tree of the first size records.
func FrontierAt(size int64, r HashReader) (*Frontier, error) {
	if size < 0 || size > MaxSize {
		return nil, outOfRange("no tree has %d records", size)
	}
	var indexes []int64
	for before := int64(0); before < size; {
		level := bits.Len64(uint64(size-before)) - 1 // of the largest subtree that is left
		indexes = append(indexes, tlog.StoredHashIndex(level, before>>level))
		before += 1 << level
	}
	f := &Frontier{size: size}
	if len(indexes) == 0 {
		return f, nil
	}
	hashes, err := r.ReadHashes(indexes)
	f.hashes = hashes
	return f, err
}

// ProveLeaf is [ProveInclusion] for a tree whose leaves are all at hand.
func ProveLeaf(leaves []Hash, index int64) ([]Hash, error) {
	size := int64(len(leaves))
	if index < 0 || index >= size {
		return nil, outOfRange("a tree of %d records has none with index %d", size, index)
	}
	var proof []Hash
	for len(leaves) > 1 {
		// The largest power of two below.
		split := int64(1) << (bits.Len64(uint64(len(leaves)-1)) - 1) //nolint:gosec // there are two leaves at least
		beside := leaves[split:]
		if index < split {
			leaves = leaves[:split]
		} else {
			leaves, beside, index = leaves[split:], leaves[:split], index-split
		}
		var f Frontier
		for _, leaf := range beside {
			f.Append(leaf)
		}
		proof = append(proof, f.Root())
	}
	slices.Reverse(proof)
	return proof, nil
}
