package tree

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/domain"
)

// MaxSize is the largest size of a tree that is dealt with: beyond it the
// arithmetic of stored hashes would overflow.
const MaxSize = 1 << 61

// MaxProof is the number of hashes that no proof exceeds: two for every level
// of the largest tree.
const MaxProof = 128

// A HashReader reads hashes of the tree by their stored index: see
// [tlog.HashReader].
type HashReader = tlog.HashReader

// Place returns where the hash with a stored index is in the tree: how many
// levels above the leaves, and the how manieth there, from zero.
func Place(index int64) (height int, n int64) { return tlog.SplitStoredHashIndex(index) }

// RootAt returns the root of the tree of the first size records.
func RootAt(size int64, r HashReader) (Hash, error) {
	if size < 0 || size > MaxSize {
		return Hash{}, outOfRange("no tree has %d records", size)
	}
	return tlog.TreeHash(size, r)
}

// ProveInclusion returns the proof that the record with the index, which counts
// from zero, is in the tree of that size: the hashes that lead from its leaf to
// the root, the leaf's sibling first.
func ProveInclusion(size, index int64, r HashReader) ([]Hash, error) {
	if index < 0 || index >= size || size > MaxSize {
		return nil, outOfRange("a tree of %d records has none with index %d", size, index)
	}
	return tlog.ProveRecord(size, index, r)
}

// CheckInclusion verifies a proof of [ProveInclusion]: that the tree with the
// size and root has the leaf at the index. If not, the error has code
// [domain.Differs].
func CheckInclusion(proof []Hash, size int64, root Hash, index int64, leaf Hash) error {
	if index < 0 || index >= size || size > MaxSize {
		return outOfRange("a tree of %d records has none with index %d", size, index)
	}
	if err := tlog.CheckRecord(proof, size, root, index, leaf); err != nil {
		return domain.Errorf(domain.Differs, "check inclusion",
			"the proof does not lead from leaf %x at index %d to root %x of %d records", leaf[:], index, root[:], size)
	}
	return nil
}

// ProveConsistency returns the proof that the tree of size older is the
// beginning of the one of size newer. It is empty if they are the same, or if
// the older has no records.
func ProveConsistency(older, newer int64, r HashReader) ([]Hash, error) {
	if older < 0 || older > newer || newer > MaxSize {
		return nil, outOfRange("a tree of %d records is no beginning of one of %d", older, newer)
	}
	if older == 0 {
		return nil, nil
	}
	return tlog.ProveTree(newer, older, r)
}

// CheckConsistency verifies a proof of [ProveConsistency]: that the first older
// records of the tree with size newer and root newRoot are those of the tree
// with root oldRoot. If not, the error has code [domain.Differs].
func CheckConsistency(proof []Hash, older int64, oldRoot Hash, newer int64, newRoot Hash) error {
	if older < 0 || older > newer || newer > MaxSize {
		return outOfRange("a tree of %d records is no beginning of one of %d", older, newer)
	}
	empty := new(Frontier).Root()
	if older == 0 && (oldRoot != empty || newer == 0 && newRoot != empty || len(proof) != 0) {
		return domain.Errorf(domain.Differs, "check consistency", "the tree of no records has root %x and needs no proof", empty[:])
	}
	if older == 0 {
		return nil // every tree begins with the empty one
	}
	if err := tlog.CheckTree(proof, newer, newRoot, older, oldRoot); err != nil {
		return domain.Errorf(domain.Differs, "check consistency",
			"root %x of %d records does not continue root %x of %d", newRoot[:], newer, oldRoot[:], older)
	}
	return nil
}

func outOfRange(format string, args ...any) error {
	return domain.Errorf(domain.Invalid, "proof", format, args...)
}
