package postgres

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
)

// Recorded reports whether d is in the log, by its id. If that has other bytes
// there, it is an error with code Refused.
func Recorded(ctx context.Context, db *sql.DB, keys *Keyring, d domain.Delivery) (bool, error) {
	body := keys.bodyMAC(d.Body)
	var same bool
	err := db.QueryRowContext(ctx, `SELECT body_mac = $2 FROM delivery WHERE id = $1`, d.ID.String(), body[:]).Scan(&same)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, unreachable(err)
	case !same:
		return false, domain.Errorf(domain.Refused, "recorded", "delivery %s is in the log with other bytes", d.ID).
			WithHint("Compare with: daybook delivery show " + d.ID.String())
	}
	return true, nil
}

//go:embed received.sql
var receivedSQL string

// captureSkew is how far apart the clocks may be of whoever captured a delivery
// and of who recorded it.
const captureSkew = 5 * time.Second

// Received reports whether d, which was captured elsewhere and has scopes instead
// of a key, is in the log under an id that nobody knows: one of the same bytes was
// received at the same time, and nothing of its scopes between the two.
func Received(ctx context.Context, db *sql.DB, keys *Keyring, d domain.Delivery) (bool, error) {
	if len(d.Scopes) == 0 {
		return false, nil
	}
	body, at := keys.bodyMAC(d.Body), micros(d.ReceivedAt)
	var id string
	err := db.QueryRowContext(ctx, receivedSQL, d.Source, body[:], at, at.Add(-captureSkew), at.Add(captureSkew), pq.StringArray(keys.scopes(d.Scopes))).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, unreachable(err)
}

// Superseded reports whether the last delivery in one of the scopes of d was
// received after d, whose level would then take the place of a later one.
func Superseded(ctx context.Context, db *sql.DB, keys *Keyring, d domain.Delivery) (later bool, err error) {
	if len(d.Scopes) == 0 {
		return false, nil
	}
	err = db.QueryRowContext(ctx, `SELECT EXISTS (
			SELECT FROM unnest($2::text[]) AS u (scope),
			LATERAL (SELECT position FROM delivery_scope s WHERE s.source = $1 AND s.scope = u.scope ORDER BY position DESC LIMIT 1) last
			JOIN delivery d USING (position)
			WHERE d.received_at > $3)`, d.Source, pq.StringArray(keys.scopes(d.Scopes)), micros(d.ReceivedAt)).Scan(&later)
	return later, unreachable(err)
}
