package tree_test

import (
	"fmt"
	"testing"

	"github.com/daybook-ledger/daybook/domain/tree"
)

func TestProveLeaf(t *testing.T) {
	var leaves []tree.Hash
	var f tree.Frontier
	for n := range int64(70) {
		leaves = append(leaves, tree.Leaf(fmt.Appendf(nil, "record %d", n)))
		f.Append(leaves[n])
		for i, leaf := range leaves {
			proof, err := tree.ProveLeaf(leaves, int64(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.CheckInclusion(proof, n+1, f.Root(), int64(i), leaf); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, index := range []int64{-1, 70} {
		if _, err := tree.ProveLeaf(leaves, index); err == nil {
			t.Errorf("a leaf with index %d is proved", index)
		}
	}
}
