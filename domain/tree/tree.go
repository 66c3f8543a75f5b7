// Package tree keeps the root of the log's Merkle tree up to date while records
// are appended, proves that a record is in the log and that the log only grew,
// and checks such proofs.
//
// What it keeps true: a proof that was changed by a bit, or is checked against
// another leaf, place, size or root, does not hold.
//
// The tree is that of RFC 6962, section 2.1: a leaf is SHA-256(0x00 ‖ record
// bytes), a node SHA-256(0x01 ‖ left ‖ right), and a tree of n leaves splits at
// the largest power of two below n. So a root depends on nothing but the records
// in their order, and any Certificate Transparency tool can check it. Proofs are
// those of sections 2.1.1 and 2.1.2, tiles those of c2sp.org/tlog-tiles.
package tree

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// HashSize is the size of a hash in bytes.
const HashSize = tlog.HashSize

// A Hash is a leaf, a node or a root.
type Hash = tlog.Hash

// Leaf returns the leaf hash of the record bytes.
func Leaf(record []byte) Hash { return tlog.RecordHash(record) }

// A Frontier is what is needed to append to a tree: its size and the roots of
// the perfect subtrees it is made of, largest first. There is one for every bit
// that is set in the size. The zero Frontier is the empty tree.
type Frontier struct {
	size   int64
	hashes []Hash
}

// Size returns the number of leaves.
func (f *Frontier) Size() int64 { return f.size }

// Append adds a leaf.
func (f *Frontier) Append(leaf Hash) { f.AppendTiled(leaf, func(Tile, Hash) {}) }

// Root returns the root of the tree. That of the empty tree is the SHA-256 of
// nothing.
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		root, err := tlog.TreeHash(0, nil)
		if err != nil {
			panic(err) // the empty tree needs no hashes
		}
		return root
	}
	root := f.hashes[len(f.hashes)-1]
	for i := len(f.hashes) - 2; i >= 0; i-- {
		root = tlog.NodeHash(f.hashes[i], root)
	}
	return root
}

// Clone returns a copy that can be appended to on its own.
func (f *Frontier) Clone() *Frontier {
	return &Frontier{f.size, append([]Hash(nil), f.hashes...)}
}

// Bytes returns the hashes one after the other. [Parse] is its inverse.
func (f *Frontier) Bytes() []byte {
	b := make([]byte, 0, len(f.hashes)*HashSize)
	for _, h := range f.hashes {
		b = append(b, h[:]...)
	}
	return b
}

// Parse returns the frontier of a tree of the given size.
func Parse(size int64, b []byte) (*Frontier, error) {
	if size < 0 || len(b) != bits.OnesCount64(uint64(size))*HashSize {
		return nil, fmt.Errorf("a tree of %d records has no frontier of %d bytes", size, len(b))
	}
	f := &Frontier{size: size}
	for ; len(b) > 0; b = b[HashSize:] {
		f.hashes = append(f.hashes, Hash(b[:HashSize]))
	}
	return f, nil
}
