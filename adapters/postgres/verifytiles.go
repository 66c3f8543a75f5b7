package postgres

import (
	"context"
	"database/sql"

	"github.com/daybook-ledger/daybook/domain/tree"
)

// A tileCheck compares the roots of tiles that are stored with those of the tree.
type tileCheck struct {
	stored map[tree.Tile]tree.Hash // not seen in the tree yet: one for every 256 records
	wrong  []LogFinding
}

func (t *tileCheck) load(ctx context.Context, tx *sql.Tx) error {
	t.stored = make(map[tree.Tile]tree.Hash)
	rows, err := tx.QueryContext(ctx, `SELECT level, n, root FROM tile`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		at := tree.Tile{Width: tree.TileWidth}
		var root []byte
		if err := rows.Scan(&at.Level, &at.N, &root); err != nil {
			return err
		}
		switch {
		case at.Level < 0 || at.Level > 6 || at.N < 0 || at.N >= tree.FullTiles(tree.MaxSize, at.Level):
			t.wrong = append(t.wrong, LogFinding{What: "a tile is stored for a place that no tree has"})
		case len(root) != tree.HashSize:
			t.wrong = append(t.wrong, tileFinding(at, "a stored tile has no root"))
		default:
			t.stored[at] = tree.Hash(root)
		}
	}
	return rows.Err()
}

// full compares a tile that the tree has with the stored one. There may be none:
// they follow from the leaves, and are made when somebody needs them.
func (t *tileCheck) full(at tree.Tile, root tree.Hash) {
	stored, ok := t.stored[at]
	delete(t.stored, at)
	if ok && stored != root {
		f := tileFinding(at, "the stored tile does not have the root of these records")
		f.Stored, f.Computed = hash64(stored), hash64(root)
		t.wrong = append(t.wrong, f)
	}
}

func tileFinding(at tree.Tile, what string) LogFinding {
	height := tree.TileHeight * (at.Level + 1)
	return LogFinding{Position: at.N<<height + 1, Until: (at.N + 1) << height, What: what}
}

// end says what is wrong with the stored tiles.
func (t *tileCheck) end(c *chain) {
	if c.lost {
		return // that is what is wrong
	}
	for _, f := range t.wrong {
		c.find(f)
	}
	for at := range t.stored {
		c.find(tileFinding(at, "a tile is stored of records that are not there"))
	}
}
