package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// A StoredDelivery is a delivery as it is in the log, with what became of it.
// What its translator said of it beyond topic, test and flags is not stored, or so
// that it can be recognised only: it is in the records.
type StoredDelivery struct {
	domain.Delivery
	Position   int64 // of its first record
	Status     domain.Status
	Erased     bool                   // its key was destroyed: header and body are empty
	Records    []domain.ReceiptRecord // those it caused
	Field      string                 // why it is not booked: the field, if one is to blame,
	Reason     string                 // and what is wrong; "" if it is booked
	ReplayedBy ulid.ULID              // the delivery that booked it later; zero: none
}

// ReadDelivery returns a delivery, or an error with code NotFound.
func ReadDelivery(ctx context.Context, q querier, keys *Keyring, id ulid.ULID) (StoredDelivery, error) {
	d := StoredDelivery{Delivery: domain.Delivery{ID: id}}
	var (
		records       int
		cause, replay sql.NullString
		reason        sql.NullString
		sealed        []byte
		field         sql.NullString
		flags         string
		header        []byte
	)
	err := q.QueryRowContext(ctx, `SELECT d.position, records, d.source, topic, status, d.test, flags, verified, received_at, d.cause, header, body, fetched, replay,
			(SELECT r.id FROM delivery r WHERE r.cause = d.id AND r.replay), l.data->>'field', l.data->>'reason'
		FROM delivery d JOIN log l USING (position) WHERE d.id = $1`, id.String()).
		Scan(&d.Position, &records, &d.Source, &d.Topic, &d.Status, &d.Test, &flags, &d.Verified, &d.ReceivedAt, &cause, &header, &sealed,
			&d.Fetched, &d.Replay, &replay, &field, &reason)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return d, domain.Errorf(domain.NotFound, "", "there is no delivery %s", id).WithHint("See: daybook delivery list")
	case err != nil:
		return d, unreachable(err)
	}
	d.ReceivedAt = d.ReceivedAt.UTC()
	if flags != "" {
		d.Flags = strings.Split(flags, ",")
	}
	if d.Status != domain.Accepted {
		d.Field, d.Reason = field.String, reason.String
	}
	header, d.Body, err = keys.openDelivery(ctx, q, id.String(), header, sealed)
	if d.Erased = errors.Is(err, errErased); d.Erased {
		header = []byte("{}")
	} else if err != nil {
		return d, err
	}
	if err := json.Unmarshal(header, &d.Header); err != nil {
		return d, domain.Errorf(domain.Differs, "read delivery", "the headers of %s: %w", id, err)
	}
	for _, f := range []struct {
		text sql.NullString
		id   *ulid.ULID
	}{{cause, &d.Cause}, {replay, &d.ReplayedBy}} {
		if f.text.Valid {
			if *f.id, err = ulid.ParseStrict(f.text.String); err != nil {
				return d, domain.Errorf(domain.Differs, "read delivery", "%s: %w", id, err)
			}
		}
	}
	d.Records, err = receiptRecords(ctx, q, d.Position, records)
	return d, unreachable(err)
}

// BookedDelivery returns the delivery that has a key in a source and is booked, with
// its first record, and whether there is one.
func BookedDelivery(ctx context.Context, q querier, keys *Keyring, source, key string) (d StoredDelivery, first *domain.Record, ok bool, err error) {
	var text string
	err = q.QueryRowContext(ctx, `SELECT id FROM delivery WHERE source = $1 AND key = $2 AND status = 'accepted' ORDER BY position LIMIT 1`, source, keys.name(macKey, key)).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return d, nil, false, nil
	case err != nil:
		return d, nil, false, unreachable(err)
	}
	id, err := ulid.ParseStrict(text)
	if err != nil {
		return d, nil, false, domain.Errorf(domain.Differs, "read delivery", "%q: %w", text, err)
	}
	if d, err = ReadDelivery(ctx, q, keys, id); err != nil {
		return d, nil, false, err
	}
	r, err := readRecord(ctx, q, d.Position)
	if err != nil {
		return d, nil, false, err
	}
	if r == nil {
		return d, nil, false, missing(fmt.Sprintf("there is no record %d", d.Position))
	}
	return d, r, true, r.Decode()
}

// UnsureCalls returns how many calls for a grant at a source may have made it: all
// that are recorded but those that were refused. Calls that have no answer yet are
// among them.
func UnsureCalls(ctx context.Context, q querier, source, reference string) (n int, err error) {
	err = q.QueryRowContext(ctx, `
		SELECT count(*) FILTER (WHERE kind = $3) - count(*) FILTER (WHERE kind = $4 AND data ->> 'outcome' = $5)
		FROM log WHERE source = $1 AND kind IN ($3, $4) AND data ->> 'reference' = $2`,
		source, reference, domain.CreditsGrantRequested{}.Kind(), domain.CreditsGrantAnswered{}.Kind(), domain.GrantRefused).Scan(&n)
	return n, unreachable(err)
}

// OpenDeliveries yields the ids of the deliveries that are not booked, neither by
// themselves nor by a replay, oldest first. An empty source stands for all, and so
// do no statuses.
func OpenDeliveries(ctx context.Context, q querier, source string, statuses []domain.Status) iter.Seq2[ulid.ULID, error] {
	wanted := make(pq.StringArray, len(statuses))
	for i, s := range statuses {
		wanted[i] = string(s)
	}
	const page = 1000
	return func(yield func(ulid.ULID, error) bool) {
		for after, n := int64(0), page; n == page; {
			ids, last, err := openPage(ctx, q, source, wanted, after, page)
			if err != nil {
				yield(ulid.ULID{}, err)
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			after, n = last, len(ids)
		}
	}
}

func openPage(ctx context.Context, q querier, source string, statuses pq.StringArray, after int64, limit int) (ids []ulid.ULID, last int64, err error) {
	rows, err := q.QueryContext(ctx, `SELECT position, id FROM delivery d
		WHERE status <> 'accepted' AND position > $1 AND ($2 = '' OR source = $2) AND (cardinality($3::text[]) = 0 OR status = ANY ($3))
		AND NOT EXISTS (SELECT FROM delivery r WHERE r.cause = d.id AND r.status = 'accepted')
		ORDER BY position LIMIT $4`, after, source, statuses, limit)
	if err != nil {
		return nil, 0, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&last, &text); err != nil {
			return nil, 0, err
		}
		id, err := ulid.ParseStrict(text)
		if err != nil {
			return nil, 0, domain.Errorf(domain.Differs, "read delivery", "%q: %w", text, err)
		}
		ids = append(ids, id)
	}
	return ids, last, unreachable(rows.Err())
}

// CheckReplay says what appending a replay would do, as far as can be said before:
// it is accepted, a duplicate, or an error with code Refused or Invalid.
func CheckReplay(ctx context.Context, q querier, keys *Keyring, d domain.Delivery) (domain.Status, error) {
	p, err := prepare(ctx, keys, d)
	if err != nil {
		return "", err
	}
	asked := newLookup([]*prepared{p}, false)
	rows, err := q.QueryContext(ctx, lookupSQL, asked.args()...)
	if err != nil {
		return "", unreachable(err)
	}
	defer rows.Close()
	_, e, err := scanLookup(rows, asked)
	if err != nil {
		return "", unreachable(err)
	}
	_, same, err := e.replay(p)
	switch {
	case err != nil:
		return "", err
	case same != nil:
		return domain.Duplicate, nil
	}
	return domain.Accepted, nil
}
