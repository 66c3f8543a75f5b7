package postgres

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// An Auditor reads the log for who signs it. It believes nothing that is stored
// beside what the leaves commit to, unless it says so.
type Auditor struct{ db *sql.DB }

// NewAuditor returns an auditor of the log in db, a pool for the role
// [RoleAuditor] of at least [AuditConns] connections.
func NewAuditor(db *sql.DB) *Auditor { return &Auditor{db} }

// End returns the epoch of the log and where its head says that it ends.
func (a *Auditor) End(ctx context.Context) (epoch int64, end *tree.Frontier, err error) {
	var position int64
	var frontier, fork []byte
	err = a.db.QueryRowContext(ctx, `SELECT h.position, h.frontier,
			(SELECT data FROM log WHERE kind = 'log.forked.v1' AND position <= h.position ORDER BY position DESC LIMIT 1)
		FROM head h WHERE h.id = 1`).Scan(&position, &frontier, &fork)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil, domain.Errorf(domain.Differs, "read head", "the row that says where the log ends is missing").
			WithHint("Restore it from a backup. Run: daybook log verify")
	case err != nil:
		return 0, nil, unreachable(err)
	}
	epoch = 1
	if fork != nil {
		f, err := decodeFork(fork)
		if err != nil {
			return 0, nil, err
		}
		epoch = f.Epoch
	}
	if end, err = tree.Parse(position, frontier); err != nil {
		return 0, nil, domain.Errorf(domain.Differs, "read head", "%w", err).
			WithHint("The end of the log was changed by hand; restore it from a backup.")
	}
	return epoch, end, nil
}

func decodeFork(data []byte) (domain.LogForked, error) {
	e, err := domain.Decode(domain.LogForked{}.Kind(), data, nil)
	f, _ := e.(domain.LogForked)
	return f, err
}

// Ended returns the record that ended an epoch: the first that opened a later one.
// If there is none it is an error with code NotFound.
func (a *Auditor) Ended(ctx context.Context, epoch int64) (domain.LogForked, error) {
	rows, err := a.db.QueryContext(ctx, `SELECT data FROM log WHERE kind = 'log.forked.v1' ORDER BY position`)
	if err != nil {
		return domain.LogForked{}, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return domain.LogForked{}, err
		}
		if f, err := decodeFork(data); err != nil || f.Epoch > epoch {
			return f, err
		}
	}
	if err := rows.Err(); err != nil {
		return domain.LogForked{}, unreachable(err)
	}
	return domain.LogForked{}, domain.Errorf(domain.NotFound, "read log", "epoch %d has not ended", epoch)
}

// Root returns the root that is stored with the record at a position.
func (a *Auditor) Root(ctx context.Context, size int64) (root tree.Hash, err error) {
	var b []byte
	err = a.db.QueryRowContext(ctx, `SELECT root FROM log WHERE position = $1`, size).Scan(&b)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && len(b) != len(root):
		return root, domain.Errorf(domain.Differs, "read log", "there is no record %d, or it has no root", size).
			WithHint("Run: daybook log verify")
	case err != nil:
		return root, unreachable(err)
	}
	return tree.Hash(b), nil
}

// Leaves yields the leaves after a position up to another, in pages, computed from
// the columns of the records and of their deliveries.
func (a *Auditor) Leaves(ctx context.Context, after, upTo int64) iter.Seq2[[]tree.Hash, error] {
	return func(yield func([]tree.Hash, error) bool) {
		snapshot, err := openLog(ctx, a.db)
		if err != nil {
			yield(nil, unreachable(err))
			return
		}
		defer func() { _ = snapshot.Close() }() // it only read
		for b, err := range snapshot.batches(ctx, after+1, upTo) {
			if err != nil {
				yield(nil, unreachable(err))
				return
			}
			for _, d := range b.came {
				if d.wrong != "" {
					yield(nil, changed(d.position, "its delivery: "+d.wrong))
					return
				}
			}
			page := make([]tree.Hash, 0, len(b.checked))
			for _, r := range b.checked {
				after++
				switch {
				case r.position != after:
					yield(nil, changed(after, "it is missing"))
					return
				case r.wrong != "":
					yield(nil, changed(after, r.wrong))
					return
				}
				page = append(page, r.leaf)
			}
			if len(page) > 0 && !yield(page, nil) {
				return
			}
		}
	}
}

func changed(position int64, what string) error {
	return domain.Errorf(domain.Differs, "read log", "record %d: %s", position, what).
		WithHint("It was changed after it was recorded. Run: daybook log verify")
}

// WriteTiles is the function [WriteTiles] over the auditor's pool.
func (a *Auditor) WriteTiles(ctx context.Context, size int64) error {
	return WriteTiles(ctx, a.db, size)
}

// Prove returns the proof that the log of one size is the beginning of that of
// another, from what is stored of the tree.
func (a *Auditor) Prove(ctx context.Context, older, newer int64) ([]tree.Hash, error) {
	return tree.ProveConsistency(older, newer, Hashes(ctx, a.db))
}
