package tree_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// most is the size of the largest tree that the laws draw: past two tiles.
const most = 700

func leaf(n int64) tree.Hash { return tree.Leaf(fmt.Appendf(nil, "record %d", n)) }

// log returns the stored hashes of a log of that many records.
func log(size int64) stored {
	var all stored
	for n := range size {
		hashes, err := tlog.StoredHashesForRecordHash(n, leaf(n), all)
		if err != nil {
			panic(err)
		}
		all = append(all, hashes...)
	}
	return all
}

func rootAt(t *rapid.T, size int64, r tree.HashReader) tree.Hash {
	root, err := tree.RootAt(size, r)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// slicesOf returns the hashes as another library has them.
func slicesOf(hashes []tree.Hash) [][]byte {
	list := make([][]byte, len(hashes))
	for i := range hashes {
		list[i] = hashes[i][:]
	}
	return list
}

// flipped returns the hash with one bit changed.
func flipped(t *rapid.T, h tree.Hash) tree.Hash {
	bit := rapid.IntRange(0, tree.HashSize*8-1).Draw(t, "bit")
	h[bit/8] ^= 1 << (bit % 8)
	return h
}

// mangled returns the proof in every way in which it is not that proof: a bit
// changed, a hash left out, one too many, two exchanged.
func mangled(t *rapid.T, p []tree.Hash) map[string][]tree.Hash {
	bad := map[string][]tree.Hash{"one more": append(slices.Clone(p), leaf(0))}
	if len(p) == 0 {
		return bad
	}
	i := rapid.IntRange(0, len(p)-1).Draw(t, "hash of the proof")
	bad["one less"] = slices.Delete(slices.Clone(p), i, i+1)
	bad["a bit"] = slices.Clone(p)
	bad["a bit"][i] = flipped(t, p[i])
	if last := len(p) - 1; i != last {
		bad["exchanged"] = slices.Clone(p)
		bad["exchanged"][i], bad["exchanged"][last] = p[last], p[i]
	}
	return bad
}

// TestInclusionLaw proves any record of any log, has the other library check the
// proof, and refuses it for everything else.
func TestInclusionLaw(t *testing.T) {
	all := log(most)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, most).Draw(t, "size")
		index := rapid.Int64Range(0, size-1).Draw(t, "index")
		root := rootAt(t, size, all)
		p, err := tree.ProveInclusion(size, index, all)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.CheckInclusion(p, size, root, index, leaf(index)); err != nil {
			t.Fatal(err)
		}
		h := leaf(index)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), h[:], slicesOf(p), root[:]); err != nil {
			t.Fatalf("transparency-dev: %v", err)
		}
		refused := func(what string, p []tree.Hash, size int64, root tree.Hash, index int64, leaf tree.Hash) {
			err := tree.CheckInclusion(p, size, root, index, leaf)
			if code := domain.CodeOf(err); code != domain.Differs && (code != domain.Invalid || index < size && index >= 0) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		refused("root", p, size, flipped(t, root), index, h)
		refused("leaf", p, size, root, index, flipped(t, h))
		refused("another record's leaf", p, size, root, index, leaf(index+1))
		refused("index before", p, size, root, index-1, h)
		refused("index after", p, size, root, index+1, h)
		for what, bad := range mangled(t, p) {
			refused(what, bad, size, root, index, h)
		}
	})
}

// TestConsistencyLaw takes any two sizes of a log.
func TestConsistencyLaw(t *testing.T) {
	all := log(most)
	rapid.Check(t, func(t *rapid.T) {
		newer := rapid.Int64Range(0, most).Draw(t, "newer")
		older := rapid.Int64Range(0, newer).Draw(t, "older")
		oldRoot, newRoot := rootAt(t, older, all), rootAt(t, newer, all)
		p, err := tree.ProveConsistency(older, newer, all)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.CheckConsistency(p, older, oldRoot, newer, newRoot); err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(older), uint64(newer), slicesOf(p), oldRoot[:], newRoot[:]); err != nil {
			t.Fatalf("transparency-dev: %v", err)
		}
		refused := func(what string, p []tree.Hash, oldRoot, newRoot tree.Hash) {
			if err := tree.CheckConsistency(p, older, oldRoot, newer, newRoot); domain.CodeOf(err) != domain.Differs {
				t.Fatalf("%s: %v", what, err)
			}
		}
		refused("old root", p, flipped(t, oldRoot), newRoot)
		if older > 0 || newer == 0 { // nothing is said of what follows the empty tree
			refused("new root", p, oldRoot, flipped(t, newRoot))
		}
		for what, bad := range mangled(t, p) {
			refused(what, bad, oldRoot, newRoot)
		}
		if older < newer && older > 0 {
			if err := tree.CheckConsistency(p, newer, newRoot, older, oldRoot); domain.CodeOf(err) != domain.Invalid {
				t.Fatalf("the wrong way round: %v", err)
			}
		}
	})
}

func TestOutOfRange(t *testing.T) {
	all := log(4)
	for _, tt := range [][2]int64{{0, 0}, {1, 1}, {1, -1}, {-1, -1}, {-1, 0}, {tree.MaxSize + 1, 0}, {1<<63 - 1, 5}} {
		if _, err := tree.ProveInclusion(tt[0], tt[1], all); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("ProveInclusion%v: %v", tt, err)
		}
		if err := tree.CheckInclusion(make([]tree.Hash, 62), tt[0], leaf(0), tt[1], leaf(0)); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("CheckInclusion%v: %v", tt, err)
		}
	}
	for _, tt := range [][2]int64{{2, 1}, {-1, 1}, {-1, -1}, {0, -1}, {1, tree.MaxSize + 1}, {1, 1<<63 - 1}} {
		if _, err := tree.ProveConsistency(tt[0], tt[1], all); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("ProveConsistency%v: %v", tt, err)
		}
		if err := tree.CheckConsistency(make([]tree.Hash, 62), tt[0], leaf(0), tt[1], leaf(0)); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("CheckConsistency%v: %v", tt, err)
		}
	}
	for _, size := range []int64{-1, tree.MaxSize + 1} {
		if _, err := tree.RootAt(size, all); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("RootAt(%d): %v", size, err)
		}
	}
}

// TestTiled compares the roots of tiles, as they are filled, with the compact
// ranges of the other library, at every boundary there is with three levels.
func TestTiled(t *testing.T) {
	const size = tree.TileWidth*tree.TileWidth + 3*tree.TileWidth + 7
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	reference, want := factory.NewEmptyRange(0), make(map[compact.NodeID][]byte)
	frontier, got := new(tree.Frontier), make(map[tree.Tile]tree.Hash)
	for n := range int64(size) {
		h := leaf(n)
		frontier.AppendTiled(h, func(t tree.Tile, root tree.Hash) { got[t] = root })
		if err := reference.Append(h[:], func(id compact.NodeID, h []byte) { want[id] = h }); err != nil {
			t.Fatal(err)
		}
	}
	root, err := reference.GetRootHash(nil)
	if mine := frontier.Root(); err != nil || !bytes.Equal(mine[:], root) {
		t.Errorf("root %x, want %x (%v)", mine, root, err)
	}
	full := 0
	for _, tile := range tree.Tiles(size) {
		if tile.Width < tree.TileWidth {
			continue
		}
		full++
		id := compact.NewNodeID(uint(tile.Level+1)*tree.TileHeight, uint64(tile.N))
		if root := got[tile]; !bytes.Equal(root[:], want[id]) {
			t.Errorf("%+v: root %x, want %x", tile, root, want[id])
		}
	}
	if full != len(got) || full != 259+1 {
		t.Errorf("%d tiles were filled, and %d are full", len(got), full)
	}
}

// TestTiles is the example of c2sp.org/tlog-tiles and paths of its parts.
func TestTiles(t *testing.T) {
	count := make(map[string]int)
	for _, tile := range tree.Tiles(70_000) {
		if tile.Width == tree.TileWidth {
			count[fmt.Sprint(tile.Level)]++
		} else {
			count[tile.Path()]++
		}
	}
	want := map[string]int{"0": 273, "tile/0/273.p/112": 1, "1": 1, "tile/1/001.p/17": 1, "tile/2/000.p/1": 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("tiles %v, want %v", count, want)
	}
	if len(tree.Tiles(0)) != 0 {
		t.Error("the empty tree has tiles")
	}
	for path, tile := range map[string]tree.Tile{
		"tile/0/x001/x234/067":     {0, 1234067, 256},
		"tile/8/000.p/1":           {8, 0, 1},
		"tile/1/x001/000.p/255":    {1, 1000, 255},
		"tile/63/x999/x999/999":    {63, 999999999, 256},
		"tile/2/x001/x000/000.p/8": {2, 1000000, 8},
	} {
		if got := tile.Path(); got != path {
			t.Errorf("path %s, want %s", got, path)
		}
	}
	all := log(most)
	for _, tile := range tree.Tiles(most) {
		data, err := tile.Read(all)
		if err != nil || len(data) != tile.Width*tree.HashSize {
			t.Errorf("%s: %d bytes, %v", tile.Path(), len(data), err)
		}
		if h := leaf(tile.N * tree.TileWidth); tile.Level == 0 && !bytes.Equal(data[:tree.HashSize], h[:]) {
			t.Errorf("%s does not begin with leaf %d", tile.Path(), tile.N*tree.TileWidth)
		}
	}
}

// FuzzCheck tries proofs of any form: none panics, and what holds is a proof of
// the other library too.
func FuzzCheck(f *testing.F) {
	all := log(9)
	p, err := tree.ProveInclusion(9, 3, all)
	if err != nil {
		f.Fatal(err)
	}
	root, err := tree.RootAt(9, all)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(int64(9), int64(3), slices.Concat(slicesOf(p)...))
	f.Add(int64(9), int64(4), []byte{})
	f.Fuzz(func(t *testing.T, size, other int64, b []byte) {
		var p []tree.Hash
		for ; len(b) >= tree.HashSize; b = b[tree.HashSize:] {
			p = append(p, tree.Hash(b))
		}
		h, old := leaf(3), leaf(4)
		for _, root := range []tree.Hash{root, {}} {
			if tree.CheckInclusion(p, size, root, other, h) == nil {
				if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(other), uint64(size), h[:], slicesOf(p), root[:]); err != nil {
					t.Error(err)
				}
			}
			if other > 0 && tree.CheckConsistency(p, other, old, size, root) == nil {
				if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(other), uint64(size), slicesOf(p), old[:], root[:]); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
