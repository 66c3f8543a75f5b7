package postgres

import (
	"context"
	"database/sql"
	_ "embed"

	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

//go:embed notices.sql
var noticesSQL string

// noticesPage is how many notices are read at once. Each may be as large as a
// delivery may be.
const noticesPage = 100

// Notices reads from the log what may have to be fetched from a provider, and
// keeps cursors of who fetches it. The pool must be for the role [RoleProjector].
type Notices struct {
	db   *sql.DB
	keys *Keyring
}

// NewNotices returns a reader of the log in db, which is sealed with keys.
func NewNotices(db *sql.DB, keys *Keyring) Notices { return Notices{db, keys} }

// Notices returns the first deliveries of a source after a position that its
// provider sent by itself and that are a notice or in quarantine, and the position
// up to which there are no others.
func (n Notices) Notices(ctx context.Context, source string, after int64) (list []domain.Notice, upTo int64, err error) {
	// The head is read first: what is appended meanwhile is behind it.
	head, err := Head(ctx, n.db)
	if err != nil {
		return nil, after, err
	}
	rows, err := n.db.QueryContext(ctx, noticesSQL, source, after, head, noticesPage)
	if err != nil {
		return nil, after, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d domain.Notice
		var id string
		if err := rows.Scan(&d.Position, &d.RecordedAt, &id, &d.Body); err != nil {
			return nil, after, err
		}
		if d.Delivery, err = ulid.ParseStrict(id); err != nil {
			return nil, after, domain.Errorf(domain.Differs, "read notices", "%q: %w", id, err)
		}
		list = append(list, d)
	}
	if err := rows.Err(); err != nil {
		return nil, after, unreachable(err)
	}
	upTo = max(head, after)
	if len(list) == noticesPage {
		upTo = list[len(list)-1].Position
	}
	list, err = n.open(ctx, list)
	return list, upTo, err
}

// open opens the bodies of notices. Those that were erased are left out: nothing
// can be asked about them any more.
func (n Notices) open(ctx context.Context, sealed []domain.Notice) ([]domain.Notice, error) {
	ids := make([]seal.ID, len(sealed))
	for i, d := range sealed {
		var err error
		if ids[i], err = seal.IDOfBytes(d.Body); err != nil {
			return nil, err
		}
	}
	keys, err := n.keys.read(ctx, n.db, ids)
	if err != nil {
		return nil, err
	}
	list := make([]domain.Notice, 0, len(sealed))
	for i, d := range sealed {
		key, there := keys[ids[i]]
		if !there {
			continue
		}
		if key == nil {
			return nil, notHere(d.Delivery.String())
		}
		if d.Body, err = seal.OpenBytes(key, contextOf(d.Delivery.String(), partBody), d.Body); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// Statuses returns what became of the deliveries of a source with the given keys,
// by key; of several, the first. Those that are not there are left out.
func (n Notices) Statuses(ctx context.Context, source string, keys []string) (map[string]domain.Status, error) {
	stored := make(pq.StringArray, len(keys))
	byStored := make(map[string]string, len(keys))
	for i, key := range keys {
		stored[i] = n.keys.name(macKey, key)
		byStored[stored[i]] = key
	}
	rows, err := n.db.QueryContext(ctx, `SELECT DISTINCT ON (key) key, status FROM delivery WHERE source = $1 AND key = ANY ($2) ORDER BY key, position`, source, stored)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	statuses := make(map[string]domain.Status)
	for rows.Next() {
		var key string
		var status domain.Status
		if err := rows.Scan(&key, &status); err != nil {
			return nil, err
		}
		statuses[byStored[key]] = status
	}
	return statuses, unreachable(rows.Err())
}

// Cursor returns where a follower is, 0 if it has never been anywhere.
func (n Notices) Cursor(ctx context.Context, follower string) (position int64, err error) {
	err = n.db.QueryRowContext(ctx, `SELECT coalesce((SELECT position FROM cursor WHERE follower = $1), 0)`, follower).Scan(&position)
	return position, unreachable(err)
}

// Advance moves a follower on. It never moves back.
func (n Notices) Advance(ctx context.Context, follower string, position int64) error {
	return inTx(ctx, n.db, nil, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO cursor (follower, position) VALUES ($1, $2)
			ON CONFLICT (follower) DO UPDATE SET position = greatest(cursor.position, excluded.position), updated_at = now()`, follower, position)
		return err
	})
}
