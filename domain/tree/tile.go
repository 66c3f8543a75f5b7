package tree

import (
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is the number of the tree's levels that a tile spans.
const TileHeight = 8

// TileWidth is the number of hashes in a full tile.
const TileWidth = 1 << TileHeight

// A Tile is a piece of the tree as c2sp.org/tlog-tiles cuts it: TileWidth
// hashes side by side, from which the TileHeight levels above them follow. Tile
// N of level 0 holds the leaves from N × 256 on, tile N of a higher level the
// roots of the full tiles from N × 256 on of the level below. The last of a level
// may be partial: of a smaller width.
type Tile struct {
	Level int
	N     int64
	Width int // 1 to TileWidth
}

// Tiles returns the tiles of a tree of the given size, full ones and partial
// ones, those of level 0 first.
func Tiles(size int64) []Tile {
	var tiles []Tile
	for level := 0; size > 0; level, size = level+1, size>>TileHeight {
		for n := range FullTiles(size, 0) {
			tiles = append(tiles, Tile{level, n, TileWidth})
		}
		if rest := int(size % TileWidth); rest > 0 {
			tiles = append(tiles, Tile{level, size >> TileHeight, rest})
		}
	}
	return tiles
}

// FullTiles returns how many tiles of the level are full in a tree of the given
// size.
func FullTiles(size int64, level int) int64 { return size >> (TileHeight * (level + 1)) }

// Path returns where a log serves the tile, such as
// tile/1/x001/x234/067.p/112.
func (t Tile) Path() string {
	return "tile/" + strings.TrimPrefix(t.tlog().Path(), "tile/8/")
}

// Read returns the tile's bytes: its hashes one after the other.
func (t Tile) Read(r HashReader) ([]byte, error) { return tlog.ReadTileData(t.tlog(), r) }

func (t Tile) tlog() tlog.Tile { return tlog.Tile{H: TileHeight, L: t.Level, N: t.N, W: t.Width} }

// AppendTiled is [Frontier.Append] that also calls full with the root of every
// tile that the leaf fills.
func (f *Frontier) AppendTiled(leaf Hash, full func(t Tile, root Hash)) {
	height := 0
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(f.hashes) - 1
		leaf = tlog.NodeHash(f.hashes[last], leaf)
		f.hashes = f.hashes[:last]
		if height++; height%TileHeight == 0 {
			full(Tile{height/TileHeight - 1, f.size >> height, TileWidth}, leaf)
		}
	}
	f.hashes = append(f.hashes, leaf)
	f.size++
}
