package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"

	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// ReadEnvelope returns what the records of a delivery commit to, or an error with
// code NotFound.
func ReadEnvelope(ctx context.Context, q querier, id ulid.ULID) (domain.Envelope, error) {
	e := domain.Envelope{ID: id}
	var (
		cause, key        sql.NullString
		header, body, mac []byte
		scopes            pq.StringArray
	)
	err := q.QueryRowContext(ctx, `SELECT source, topic, status, test, flags, verified, received_at, cause, fetched, replay, key, header, body, body_mac,
			ARRAY(SELECT scope FROM delivery_scope s WHERE s.source = d.source AND s.position = d.position ORDER BY scope)
		FROM delivery d WHERE id = $1`, id.String()).
		Scan(&e.Source, &e.Topic, &e.Status, &e.Test, &e.Flags, &e.Verified, &e.ReceivedAt, &cause, &e.Fetched, &e.Replay, &key, &header, &body, &mac, &scopes)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return e, domain.Errorf(domain.NotFound, "", "there is no delivery %s", id).WithHint("See: daybook delivery list")
	case err != nil:
		return e, unreachable(err)
	}
	e.ReceivedAt, e.Key, e.Scopes = e.ReceivedAt.UTC(), key.String, scopes
	e.HeaderSHA256, e.BodySHA256 = sha256.Sum256(header), sha256.Sum256(body)
	copy(e.BodyMAC[:], mac)
	if cause.Valid {
		if e.Cause, err = ulid.ParseStrict(cause.String); err != nil {
			return e, domain.Errorf(domain.Differs, "read delivery", "%s: %w", id, err)
		}
	}
	return e, nil
}
