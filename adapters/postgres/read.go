package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
)

// pageSize is how many records one page has.
const pageSize = 256

// A page is some records that follow each other, as they come from the database:
// in one value, because a row of its own costs the driver more than a record costs
// to decode.
type page struct {
	after int64 // position before the first
	n     int   // how many there must be
	data  []byte
}

// packedRecords gives one value per page: its rows one after the other as
// record_send writes them, in the order and types of [parseRecord]. Nothing else
// reads these bytes, and they are never stored.
const packedRecords = `SELECT (
		SELECT string_agg(record_send(r), '') FROM (
			SELECT position, id, kind, source, occurred_at, recorded_at, delivery, cause, test,
				CASE WHEN $4::text[] IS NULL OR kind = ANY ($4) THEN data END AS data,
				CASE WHEN $4::text[] IS NULL OR kind = ANY ($4) THEN personal END AS personal
			FROM log WHERE position > g AND position <= least(g + $3::bigint, $2::bigint) ORDER BY position
		) r
	) FROM generate_series($1::bigint, $2::bigint - 1, $3::bigint) g`

// readPages yields the pages of the records after one position up to another, by
// one statement, which is read as the caller goes on. The events of other kinds
// than those given are left out; nil stands for all.
func readPages(ctx context.Context, q querier, after, upTo int64, size int, kinds []domain.Kind) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		var wanted any // null: all
		if kinds != nil {
			list := make(pq.StringArray, len(kinds))
			for i, k := range kinds {
				list[i] = string(k)
			}
			wanted = list
		}
		rows, err := q.QueryContext(ctx, packedRecords, after, upTo, size, wanted)
		if err != nil {
			yield(page{}, unreachable(err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			p := page{after: after, n: int(min(int64(size), upTo-after))}
			if err := rows.Scan(&p.data); err != nil {
				yield(page{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
			after += int64(p.n)
		}
		if err := rows.Err(); err != nil {
			yield(page{}, unreachable(err))
		}
	}
}

// parse returns the records of a page. They are in order and without a gap; a gap
// is an error.
func (p page) parse(names names) ([]*domain.Record, error) {
	records, list := make([]domain.Record, p.n), make([]*domain.Record, p.n)
	rest, position := p.data, p.after
	var err error
	for i := range records {
		position++
		if len(rest) == 0 {
			return nil, missing(fmt.Sprintf("there is no record %d", position))
		}
		r := &records[i]
		if rest, err = parseRecord(rest, r, names); err != nil {
			return nil, domain.Errorf(domain.Differs, "read log", "position %d: %w", position, err)
		}
		if r.Position != position {
			return nil, missing(fmt.Sprintf("record %d follows %d", r.Position, position-1))
		}
		list[i] = r
	}
	return list, nil
}

func missing(what string) error {
	return domain.Errorf(domain.Differs, "read log", "%s", what).
		WithHint("A record is missing from the log; restore it from a backup.")
}

// parseRecord reads one row of [packedRecords]. What r holds afterwards refers to
// the bytes read.
func parseRecord(b []byte, r *domain.Record, names names) (rest []byte, err error) {
	var cells [11][]byte
	if rest, err = unpackRow(b, cells[:]); err != nil {
		return nil, err
	}
	if r.Position, err = unpackInteger(cells[0]); err != nil {
		return nil, err
	}
	r.Kind, r.Source = domain.Kind(names.of(cells[2])), names.of(cells[3])
	if r.OccurredAt, err = unpackTime(cells[4]); err != nil {
		return nil, err
	}
	if r.RecordedAt, err = unpackTime(cells[5]); err != nil {
		return nil, err
	}
	if err := r.ParseIDs(string(cells[1]), string(cells[6]), string(cells[7])); err != nil {
		return nil, err
	}
	r.Test = len(cells[8]) == 1 && cells[8][0] != 0
	r.Data, r.Personal = cells[9], cells[10]
	return rest, nil
}

// names are texts that come again and again, each kept once.
type names map[string]string

func (n names) of(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	if len(n) == 10_000 { // they do not come again after all
		clear(n)
	}
	s := string(b)
	n[s] = s
	return s
}

var errUnpack = errors.New("a row has not the form of record_send")

// unpackRow reads a row as record_send writes it: the number of its columns in
// four bytes, then for each column its type in four, its length in four, -1 for
// null, and its value as the type's own send function writes it. A null is a nil
// cell. It returns what comes after the row.
func unpackRow(b []byte, cells [][]byte) (rest []byte, err error) {
	if len(b) < 4 || int64(binary.BigEndian.Uint32(b)) != int64(len(cells)) {
		return nil, errUnpack
	}
	b = b[4:]
	for i := range cells {
		if len(b) < 8 {
			return nil, errUnpack
		}
		n := int(int32(binary.BigEndian.Uint32(b[4:]))) //nolint:gosec // the bits of a signed number
		b = b[8:]
		switch {
		case n == -1:
			cells[i] = nil
			continue
		case n < 0 || n > len(b):
			return nil, errUnpack
		}
		cells[i], b = b[:n:n], b[n:]
	}
	return b, nil
}

func unpackInteger(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, errUnpack
	}
	return int64(binary.BigEndian.Uint64(b)), nil //nolint:gosec // the bits of a signed number
}

// postgresEpoch is what PostgreSQL counts the microseconds of a time from.
const postgresEpoch = 946_684_800_000_000 // 2000-01-01 in microseconds since 1970

func unpackTime(b []byte) (time.Time, error) {
	n, err := unpackInteger(b)
	if err != nil {
		return time.Time{}, err
	}
	if n == math.MinInt64 || n > math.MaxInt64-postgresEpoch {
		return time.Time{}, errors.New("a time is infinite")
	}
	return time.UnixMicro(n + postgresEpoch).UTC(), nil
}
