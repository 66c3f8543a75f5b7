package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// What the tree is read from are the leaves, which are in the log, and the roots
// of full tiles, in the table tile: one row for every 256 records, and one for
// every 256 of these, and so on. With them a proof takes some hundred rows,
// however long the log is. They follow from the leaves: where one is missing it is
// computed, and where one is wrong a proof made with it does not hold.

// Hashes returns a reader of the hashes of the log's tree. Of a tree that is
// larger than the log it reads nothing, with code NotFound.
func Hashes(ctx context.Context, q querier) tree.HashReader { return &hashReader{ctx: ctx, q: q} }

// LeafHashes is [Hashes] from the leaves alone, without the tiles: it depends on
// nothing else and reads, for a proof, most of the log.
func LeafHashes(ctx context.Context, q querier) tree.HashReader {
	return &hashReader{ctx: ctx, q: q, bare: true}
}

type hashReader struct {
	ctx  context.Context // of one proof
	q    querier
	bare bool // read no tiles
}

// A span is a range of hashes side by side: from is the first, to is behind the
// last.
type span struct{ from, to int64 }

// ReadHashes implements [tree.HashReader]. A hash is the root of what is side by
// side on the next lower level that is read: leaves, or roots of full tiles.
func (r *hashReader) ReadHashes(indexes []int64) ([]tree.Hash, error) {
	spans := make(map[int][]span) // by what is read: 0 leaves, 1 roots of tiles of level 0, and so on
	place := make([]int, len(indexes))
	floors := make([]int, len(indexes))
	for i, index := range indexes {
		height, n := tree.Place(index)
		floor, wide := height/tree.TileHeight, height%tree.TileHeight
		floors[i], place[i] = floor, len(spans[floor])
		spans[floor] = append(spans[floor], span{n << wide, (n + 1) << wide})
	}
	read := make(map[int][][]tree.Hash)
	for floor, list := range spans {
		var err error
		if read[floor], err = r.floor(floor, list); err != nil {
			return nil, err
		}
	}
	hashes := make([]tree.Hash, len(indexes))
	for i := range indexes {
		hashes[i] = rootAbove(read[floors[i]][place[i]])
	}
	return hashes, nil
}

// rootAbove returns the root above hashes that are side by side, a power of two.
func rootAbove(hashes []tree.Hash) tree.Hash {
	var f tree.Frontier
	for _, h := range hashes {
		f.Append(h)
	}
	return f.Root()
}

// floor returns the hashes of each span: leaves on floor 0, else the roots of the
// full tiles of the level below. No span is wider than a tile.
func (r *hashReader) floor(floor int, spans []span) ([][]tree.Hash, error) {
	if floor == 0 {
		return r.leaves(spans)
	}
	stored := make(map[int64]tree.Hash)
	if !r.bare {
		var err error
		if stored, err = r.tiles(floor-1, spans); err != nil {
			return nil, err
		}
	}
	list := make([][]tree.Hash, len(spans))
	for i, s := range spans {
		for n := s.from; n < s.to; n++ {
			root, ok := stored[n]
			if !ok {
				below, err := r.floor(floor-1, []span{{n << tree.TileHeight, (n + 1) << tree.TileHeight}})
				if err != nil {
					return nil, err
				}
				root = rootAbove(below[0])
			}
			list[i] = append(list[i], root)
		}
	}
	return list, nil
}

// leaves returns the leaves of each span. The limit says what the spans cannot
// exceed, so that nobody plans for more.
func (r *hashReader) leaves(spans []span) ([][]tree.Hash, error) {
	from, to := bounds(spans)
	rows, err := r.q.QueryContext(r.ctx, `SELECT (
			SELECT string_agg(leaf, ''::bytea ORDER BY position)
			FROM (SELECT position, leaf FROM log WHERE position > s."from" AND position <= s."to" ORDER BY position LIMIT 256) l
		) FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS s ("from", "to", i) ORDER BY i`, from, to)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	var list [][]tree.Hash
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		list = append(list, split32(b))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, unreachable(err)
	}
	for i, s := range spans {
		if i >= len(list) || int64(len(list[i])) != s.to-s.from {
			return nil, r.missing(s)
		}
	}
	return list, nil
}

// missing says whether the log ends before the span or lacks one of its records.
func (r *hashReader) missing(s span) error {
	last, err := Head(r.ctx, r.q)
	if err != nil {
		return err
	}
	if last < s.to {
		return domain.Errorf(domain.NotFound, "read tree", "the log ends with record %d, before %d", last, s.to)
	}
	return domain.Errorf(domain.Differs, "read tree", "a record from %d to %d is missing from the log", s.from+1, s.to).
		WithHint("Run: daybook log verify")
}

// tiles returns the roots of full tiles of the level, as far as they are stored.
func (r *hashReader) tiles(level int, spans []span) (map[int64]tree.Hash, error) {
	from, to := bounds(spans)
	rows, err := r.q.QueryContext(r.ctx, `SELECT t.n, t.root FROM unnest($2::bigint[], $3::bigint[]) AS s ("from", "to"), LATERAL (
			SELECT n, root FROM tile WHERE level = $1 AND n >= s."from" AND n < s."to" ORDER BY n LIMIT 256) t`, level, from, to)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	stored := make(map[int64]tree.Hash)
	for rows.Next() {
		var n int64
		var root []byte
		if err := rows.Scan(&n, &root); err != nil {
			return nil, err
		}
		if len(root) == tree.HashSize {
			stored[n] = tree.Hash(root)
		}
	}
	return stored, unreachable(rows.Err())
}

func bounds(spans []span) (from, to pq.Int64Array) {
	for _, s := range spans {
		from, to = append(from, s.from), append(to, s.to)
	}
	return from, to
}

func split32(b []byte) []tree.Hash {
	hashes := make([]tree.Hash, 0, len(b)/tree.HashSize)
	for ; len(b) >= tree.HashSize; b = b[tree.HashSize:] {
		hashes = append(hashes, tree.Hash(b[:tree.HashSize]))
	}
	return hashes
}

// tilesAtOnce is how many tiles are written in one transaction: of level 0 they
// are those of 16,384 records.
const tilesAtOnce = 64

// WriteTiles writes the tiles that are full in the tree of the first size records
// and are not there yet, computed from the leaves and from lower tiles. It may be
// run again at any time, and by several at once.
func WriteTiles(ctx context.Context, db *sql.DB, size int64) error {
	for level := 0; tree.FullTiles(size, level) > 0; level++ {
		for more := true; more; {
			var err error
			if more, err = writeTiles(ctx, db, level, tree.FullTiles(size, level)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTiles writes the next tiles of the level, of which there are to be so
// many. It reports whether more are left.
func writeTiles(ctx context.Context, db *sql.DB, level int, full int64) (more bool, err error) {
	err = inTx(ctx, db, nil, func(tx *sql.Tx) error {
		var next int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(n), -1) + 1 FROM tile WHERE level = $1`, level).Scan(&next); err != nil {
			return unreachable(err)
		}
		end := min(next+tilesAtOnce, full)
		if next >= end {
			return nil
		}
		more = end < full
		spans := make([]span, 0, end-next)
		for n := next; n < end; n++ {
			spans = append(spans, span{n << tree.TileHeight, (n + 1) << tree.TileHeight})
		}
		list, err := (&hashReader{ctx: ctx, q: tx}).floor(level, spans)
		if err != nil {
			return err
		}
		roots := make(pq.ByteaArray, len(list))
		for i, hashes := range list {
			root := rootAbove(hashes)
			roots[i] = root[:]
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tile (level, n, root)
			SELECT $1, $2 + i - 1, root FROM unnest($3::bytea[]) WITH ORDINALITY AS t (root, i) ON CONFLICT DO NOTHING`, level, next, roots)
		return unreachable(err)
	})
	return more, err
}
