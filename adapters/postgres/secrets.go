package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain/secret"
)

// A SecretUse says when a source last recorded something new that was verified
// with one of its secrets.
type SecretUse struct {
	Source string
	Secret int // 1 or 2, as they were configured then
	LastAt time.Time
}

// SecretUses returns the last use of every secret since a moment. It reads the
// deliveries since then, and not the log before: ids are in the order of the time
// at which they were received. What was imported does not count.
func SecretUses(ctx context.Context, db *sql.DB, since time.Time) (uses []SecretUse, err error) {
	var first ulid.ULID
	if err := first.SetTime(ulid.Timestamp(since)); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT source, verified, max(received_at) FROM delivery
		WHERE id >= $1 AND verified NOT LIKE 'imported%' GROUP BY source, verified ORDER BY source, verified`, first.String())
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	byName := make(map[[2]any]int)
	for rows.Next() {
		var source, verified string
		var at time.Time
		if err := rows.Scan(&source, &verified, &at); err != nil {
			return nil, err
		}
		slot := secret.Slot(verified)
		if slot == 0 {
			continue
		}
		key := [2]any{source, slot}
		i, seen := byName[key]
		if !seen {
			i = len(uses)
			byName[key] = i
			uses = append(uses, SecretUse{Source: source, Secret: slot})
		}
		if uses[i].LastAt.Before(at) {
			uses[i].LastAt = at.UTC()
		}
	}
	return uses, unreachable(rows.Err())
}
