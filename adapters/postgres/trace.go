package postgres

import (
	"context"
	"errors"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Trace is a record with what the log has beside it, what it follows from and
// what follows from it.
type Trace struct {
	*domain.Record
	Envelope domain.Envelope // of its delivery
	Leaf     tree.Hash       // as stored
	Root     tree.Hash       // as stored: of the tree that ends with it
	CausedBy []int64         // the record, or the first record of the delivery, that it follows from
	Effects  []int64         // first records of the deliveries that follow from it or its delivery, at most 100
}

// ReadTrace returns what there is to know of the record at a position, or an error
// with code NotFound.
func ReadTrace(ctx context.Context, q querier, position int64) (t Trace, err error) {
	if t.Record, err = ReadRecord(ctx, q, position); err != nil {
		return t, err
	}
	if t.Envelope, err = ReadEnvelope(ctx, q, t.Delivery); err != nil {
		return t, err
	}
	var leaf, root []byte
	err = q.QueryRowContext(ctx, `SELECT leaf, root FROM log WHERE position = $1`, position).Scan(&leaf, &root)
	if err != nil {
		return t, unreachable(err)
	}
	copy(t.Leaf[:], leaf)
	copy(t.Root[:], root)
	if !t.Cause.IsZero() {
		if first, _, err := Located(ctx, q, t.Cause); err == nil {
			t.CausedBy = []int64{first}
		} else if domain.CodeOf(err) != domain.NotFound {
			return t, err
		}
	}
	t.Effects, err = effects(ctx, q, t.ID, t.Delivery)
	return t, err
}

// effects returns where the deliveries are that follow from one of two.
func effects(ctx context.Context, q querier, record, delivery ulid.ULID) (positions []int64, err error) {
	rows, err := q.QueryContext(ctx, `SELECT position FROM delivery WHERE cause IN ($1, $2) ORDER BY position LIMIT 100`, record.String(), delivery.String())
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var position int64
		if err := rows.Scan(&position); err != nil {
			return nil, err
		}
		positions = append(positions, position)
	}
	return positions, unreachable(errors.Join(rows.Err(), rows.Close()))
}
