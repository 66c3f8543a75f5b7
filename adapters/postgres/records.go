package postgres

import (
	"context"
	"database/sql"
	"encoding/base64"
	"iter"
	"time"

	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// A querier is a pool, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// receiptRecords returns the records that one delivery caused.
func receiptRecords(ctx context.Context, q querier, position int64, n int) ([]domain.ReceiptRecord, error) {
	rows, err := q.QueryContext(ctx, `SELECT position, id, kind, leaf FROM log
		WHERE position >= $1 AND position < $1 + $2::bigint ORDER BY position`, position, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []domain.ReceiptRecord
	for rows.Next() {
		var r domain.ReceiptRecord
		var id string
		var leaf []byte
		if err := rows.Scan(&r.Position, &id, &r.Kind, &leaf); err != nil {
			return nil, err
		}
		if r.ID, err = ulid.ParseStrict(id); err != nil {
			return nil, domain.Errorf(domain.Differs, "read log", "position %d: %w", r.Position, err)
		}
		r.Leaf = base64.StdEncoding.EncodeToString(leaf)
		records = append(records, r)
	}
	return records, rows.Err()
}

// pageSize is how many records are read at a time.
const pageSize = 5000

// Records yields the records after one position up to another, oldest first,
// not yet decoded. Each page is a statement of its own, so nothing is held open
// while the caller works; a record that was seen is never followed by one that
// was skipped, because positions become visible in order.
func Records(ctx context.Context, q querier, after, upTo int64) iter.Seq2[[]*domain.Record, error] {
	return recordsOf(ctx, q, after, upTo, nil)
}

// recordsOf is [Records] without the events of other kinds than those given, which
// are not fetched; nil stands for all.
func recordsOf(ctx context.Context, q querier, after, upTo int64, kinds []domain.Kind) iter.Seq2[[]*domain.Record, error] {
	return func(yield func([]*domain.Record, error) bool) {
		for after < upTo {
			page, err := readPage(ctx, q, after, upTo, kinds, pageSize)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 {
				yield(nil, domain.Errorf(domain.Differs, "read log", "there is no record %d", after+1).
					WithHint("A record is missing from the log; restore it from a backup."))
				return
			}
			if !yield(page, nil) {
				return
			}
			after = page[len(page)-1].Position
		}
	}
}

// readPage returns up to limit records after a position. They are in order and
// without a gap; a gap is an error.
func readPage(ctx context.Context, q querier, after, upTo int64, kinds []domain.Kind, limit int) ([]*domain.Record, error) {
	var wanted any // null: all
	if kinds != nil {
		list := make(pq.StringArray, len(kinds))
		for i, k := range kinds {
			list[i] = string(k)
		}
		wanted = list
	}
	rows, err := q.QueryContext(ctx, `SELECT position, id, kind, source, occurred_at, recorded_at, delivery, cause, test,
			CASE WHEN $4::text[] IS NULL OR kind = ANY ($4) THEN data END, CASE WHEN $4::text[] IS NULL OR kind = ANY ($4) THEN personal END
		FROM log WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3`, after, upTo, limit, wanted)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	page := make([]*domain.Record, 0, min(int64(limit), upTo-after))
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		if after++; r.Position != after {
			return nil, domain.Errorf(domain.Differs, "read log", "record %d follows %d", r.Position, after-1).
				WithHint("A record is missing from the log; restore it from a backup.")
		}
		page = append(page, r)
	}
	return page, unreachable(rows.Err())
}

func scanRecord(rows *sql.Rows) (*domain.Record, error) {
	r := new(domain.Record)
	var id, delivery string
	var cause sql.NullString
	err := rows.Scan(&r.Position, &id, &r.Kind, &r.Source, &r.OccurredAt, &r.RecordedAt, &delivery, &cause, &r.Test, &r.Data, &r.Personal)
	if err != nil {
		return nil, err
	}
	if err := r.ParseIDs(id, delivery, cause.String); err != nil {
		return nil, err
	}
	r.OccurredAt, r.RecordedAt = r.OccurredAt.UTC(), r.RecordedAt.UTC()
	return r, nil
}

// Head returns the position of the last record, 0 if there is none.
func Head(ctx context.Context, q querier) (position int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT position FROM head WHERE id = 1`).Scan(&position)
	return position, unreachable(err)
}

// CheckHead reports whether the log ends where its head says, with the root that
// the head gives. If not, that is an error with code Differs.
func CheckHead(ctx context.Context, q querier) error {
	var position int64
	var recordedAt time.Time
	var frontier, root []byte
	var last sql.NullInt64
	err := q.QueryRowContext(ctx, `SELECT h.position, h.recorded_at, h.frontier, (SELECT root FROM log WHERE position = h.position), (SELECT max(position) FROM log)
		FROM head h WHERE h.id = 1`).Scan(&position, &recordedAt, &frontier, &root, &last)
	if err != nil {
		return unreachable(err)
	}
	if last.Int64 != position {
		return domain.Errorf(domain.Differs, "log", "the last record is %d, and the head says %d", last.Int64, position).
			WithHint("The log or its head was changed by hand; restore it from a backup.")
	}
	_, err = newHead(position, recordedAt, frontier, root)
	return err
}
