package postgres_test

import (
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// fillLog puts records into the log whose leaves are those of "record 1",
// "record 2" and so on, without an appender: only the tree is looked at.
func fillLog(t testing.TB, db *sql.DB, size int64) {
	t.Helper()
	for _, statement := range []string{
		`INSERT INTO log (position, id, kind, source, occurred_at, recorded_at, delivery, test, data, leaf, root)
			SELECT n, lpad(n::text, 26, '0'), 'k', 's', now(), now(), '', false, '{}',
				sha256('\x00'::bytea || convert_to('record ' || n, 'UTF8')), repeat('0', 32)::bytea
			FROM generate_series((SELECT position FROM head) + 1, %d) n`,
		`UPDATE head SET position = %d`,
	} {
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf(statement, size)); err != nil {
			t.Fatal(err)
		}
	}
}

// tampered runs a statement that the log's triggers refuse.
func tampered(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, table := range []string{"log", "delivery", "tile"} {
		if _, err := conn.ExecContext(t.Context(), `ALTER TABLE `+table+` DISABLE TRIGGER USER`); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// reference returns the stored hashes of that log, kept in memory.
func reference(size int64) tree.HashReader {
	var all []tree.Hash
	r := tlog.HashReaderFunc(func(indexes []int64) ([]tree.Hash, error) {
		hashes := make([]tree.Hash, len(indexes))
		for i, x := range indexes {
			hashes[i] = all[x]
		}
		return hashes, nil
	})
	for n := range size {
		hashes, err := tlog.StoredHashes(n, fmt.Appendf(nil, "record %d", n+1), r)
		if err != nil {
			panic(err)
		}
		all = append(all, hashes...)
	}
	return r
}

// TestTiles compares proofs from the database with those of tlog's own storage:
// without tiles, with some, and with all.
func TestTiles(t *testing.T) {
	const size = 70_000
	url := postgrestest.URL(t)
	db := postgrestest.Open(t, url, postgres.RoleOwner)
	fillLog(t, db, size)
	auditor := postgrestest.Open(t, url, postgres.RoleAuditor)
	want := reference(size)
	for _, tiles := range []int64{0, 20_000, 66_000, size} {
		// Several at once write the same.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := postgres.WriteTiles(t.Context(), auditor, tiles); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var rows int64
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM tile`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if n := tree.FullTiles(tiles, 0) + tree.FullTiles(tiles, 1); rows != n {
			t.Errorf("%d tiles are written up to %d, want %d", rows, tiles, n)
		}
		for name, got := range map[string]tree.HashReader{"tiles": postgres.Hashes(t.Context(), auditor), "leaves": postgres.LeafHashes(t.Context(), db)} {
			if name == "leaves" && tiles > 0 {
				continue
			}
			for _, n := range []int64{0, 1, 255, 256, 257, 65_535, 65_536, 65_537, size} {
				sameHashes(t, fmt.Sprint("root at ", n), got, want, func(r tree.HashReader) ([]tree.Hash, error) {
					root, err := tree.RootAt(n, r)
					return []tree.Hash{root}, err
				})
				sameHashes(t, fmt.Sprint("consistency from ", n), got, want, func(r tree.HashReader) ([]tree.Hash, error) {
					return tree.ProveConsistency(n, size, r)
				})
				if n < size {
					sameHashes(t, fmt.Sprint("inclusion of ", n), got, want, func(r tree.HashReader) ([]tree.Hash, error) {
						return tree.ProveInclusion(size, n, r)
					})
				}
			}
		}
	}
	for _, r := range []tree.HashReader{postgres.Hashes(t.Context(), db), postgres.LeafHashes(t.Context(), db)} {
		if _, err := tree.ProveInclusion(size+1, 0, r); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("proof in a tree larger than the log: %v", err)
		}
	}
	if err := postgres.WriteTiles(t.Context(), db, 2*size); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("tiles beyond the log: %v", err)
	}
}

func sameHashes(t *testing.T, what string, got, want tree.HashReader, of func(tree.HashReader) ([]tree.Hash, error)) {
	t.Helper()
	g, err := of(got)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	w, err := of(want)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g, w) {
		t.Errorf("%s: %v, want %v", what, g, w)
	}
}

// TestTilesLaw proves any record at any size.
func TestTilesLaw(t *testing.T) {
	const size = 3000
	db := postgrestest.Open(t, postgrestest.URL(t), postgres.RoleOwner)
	fillLog(t, db, size)
	if err := postgres.WriteTiles(t.Context(), db, size); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		r := postgres.Hashes(ctx, db)
		newer := rapid.Int64Range(1, size).Draw(t, "newer")
		older := rapid.Int64Range(0, newer).Draw(t, "older")
		index := rapid.Int64Range(0, newer-1).Draw(t, "index")
		newRoot, err := tree.RootAt(newer, r)
		if err != nil {
			t.Fatal(err)
		}
		oldRoot, err := tree.RootAt(older, r)
		if err != nil {
			t.Fatal(err)
		}
		p, err := tree.ProveInclusion(newer, index, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.CheckInclusion(p, newer, newRoot, index, tree.Leaf(fmt.Appendf(nil, "record %d", index+1))); err != nil {
			t.Fatal(err)
		}
		if p, err = tree.ProveConsistency(older, newer, r); err != nil {
			t.Fatal(err)
		}
		if err := tree.CheckConsistency(p, older, oldRoot, newer, newRoot); err != nil {
			t.Fatal(err)
		}
	})
}

// TestProofReadsLittle takes every record away that a proof has no need of.
func TestProofReadsLittle(t *testing.T) {
	const size, index = 70_000, 30_000
	db := postgrestest.Open(t, postgrestest.URL(t), postgres.RoleOwner)
	fillLog(t, db, size)
	if err := postgres.WriteTiles(t.Context(), db, size); err != nil {
		t.Fatal(err)
	}
	want, err := tree.ProveInclusion(size, index, postgres.Hashes(t.Context(), db))
	if err != nil {
		t.Fatal(err)
	}
	tampered(t, db, `DELETE FROM log WHERE position NOT BETWEEN $1 AND $2 AND position <= $3`, index/256*256+1, index/256*256+256, size/256*256)
	got, err := tree.ProveInclusion(size, index, postgres.Hashes(t.Context(), db))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("proof %v, %v, want %v", got, err, want)
	}
	if _, err := tree.ProveInclusion(size, index, postgres.LeafHashes(t.Context(), db)); domain.CodeOf(err) != domain.Differs {
		t.Errorf("proof from leaves that are not there: %v", err)
	}
}

// BenchmarkProof proves records of a log of a million.
func BenchmarkProof(b *testing.B) {
	const size = 1_000_000
	db := postgrestest.Open(b, postgrestest.URL(b), postgres.RoleOwner)
	fillLog(b, db, size)
	started := time.Now()
	if err := postgres.WriteTiles(b.Context(), db, size); err != nil {
		b.Fatal(err)
	}
	b.Logf("the tiles of %d records are written in %s", size, time.Since(started))
	b.Run("inclusion", func(b *testing.B) {
		for i := range b.N {
			if _, err := tree.ProveInclusion(size, int64(i)*7919%size, postgres.Hashes(b.Context(), db)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("consistency", func(b *testing.B) {
		for i := range b.N {
			if _, err := tree.ProveConsistency(int64(i)*7919%size, size, postgres.Hashes(b.Context(), db)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("inclusion from leaves", func(b *testing.B) {
		for i := range b.N {
			if _, err := tree.ProveInclusion(size, int64(i)*7919%size, postgres.LeafHashes(b.Context(), db)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
