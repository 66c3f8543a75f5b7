package postgres

import (
	"context"
	"database/sql"
	"errors"
)

// Mark returns how far the work of the given name has come, 0 if it is not under
// way. It is kept beside the cursors of followers: derived from nothing, it can be
// lost, and the work starts anew.
func Mark(ctx context.Context, q querier, name string) (at int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT position FROM cursor WHERE follower = $1`, name).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return at, unreachable(err)
}

// SetMark says how far the work of the given name has come; 0: it is done.
func SetMark(ctx context.Context, db *sql.DB, name string, at int64) error {
	return inTx(ctx, db, nil, func(tx *sql.Tx) error {
		if at == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM cursor WHERE follower = $1`, name)
			return unreachable(err)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO cursor (follower, position) VALUES ($1, $2)
			ON CONFLICT (follower) DO UPDATE SET position = excluded.position, updated_at = now()`, name, at)
		return unreachable(err)
	})
}
