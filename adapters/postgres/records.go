package postgres

import (
	"context"
	"database/sql"
	"encoding/base64"
	"iter"
	"time"

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

// atATime is how many records are in memory while others are read by one statement
// after the other.
const atATime = 4096

// Records yields the records after one position up to another, oldest first,
// not yet decoded. Nothing is held open while the caller works; a record that was
// seen is never followed by one that was skipped, because positions become visible
// in order.
func Records(ctx context.Context, q querier, after, upTo int64) iter.Seq2[[]*domain.Record, error] {
	return recordsOf(ctx, q, after, upTo, nil)
}

// recordsOf is [Records] without the events of other kinds than those given, which
// are not fetched; nil stands for all.
func recordsOf(ctx context.Context, q querier, after, upTo int64, kinds []domain.Kind) iter.Seq2[[]*domain.Record, error] {
	return func(yield func([]*domain.Record, error) bool) {
		names := make(names)
		for after < upTo {
			var records []*domain.Record
			for p, err := range readPages(ctx, q, after, min(after+atATime, upTo), pageSize, kinds) {
				var more []*domain.Record
				if err == nil {
					more, err = p.parse(names)
				}
				if err != nil {
					yield(nil, err)
					return
				}
				records = append(records, more...)
			}
			if !yield(records, nil) {
				return
			}
			after += int64(len(records))
		}
	}
}

// readRecord returns the record at a position, nil if there is none.
func readRecord(ctx context.Context, q querier, position int64) (*domain.Record, error) {
	for p, err := range readPages(ctx, q, position-1, position, 1, nil) {
		if err != nil || len(p.data) == 0 {
			return nil, err
		}
		records, err := p.parse(make(names))
		if err != nil {
			return nil, err
		}
		return records[0], nil
	}
	return nil, nil
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
