package postgres

import (
	"context"
	"database/sql"
	"encoding/base64"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// keysAtOnce is how many keys one statement destroys or wraps.
const keysAtOnce = 1000

// DestroyKeys destroys the keys with the given ids, in base64, and returns how many
// there were. It wants the pool of the role [RoleOwner].
func DestroyKeys(ctx context.Context, owner *sql.DB, ids []string) (destroyed int64, err error) {
	for chunk := range slices.Chunk(ids, keysAtOnce) {
		list, err := keyIDs(chunk)
		if err != nil {
			return destroyed, err
		}
		err = inTx(ctx, owner, nil, func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, `DELETE FROM data_key WHERE id = ANY ($1)`, list)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			destroyed += n
			return err
		})
		if err != nil {
			return destroyed, unreachable(err)
		}
	}
	return destroyed, nil
}

// AliveKeys returns how many of the keys with the given ids, in base64, there are.
func AliveKeys(ctx context.Context, q querier, ids []string) (alive int64, err error) {
	for chunk := range slices.Chunk(ids, keysAtOnce) {
		list, err := keyIDs(chunk)
		if err != nil {
			return alive, err
		}
		var n int64
		if err := q.QueryRowContext(ctx, `SELECT count(*) FROM data_key WHERE id = ANY ($1)`, list).Scan(&n); err != nil {
			return alive, unreachable(err)
		}
		alive += n
	}
	return alive, nil
}

func keyIDs(texts []string) (pq.ByteaArray, error) {
	list := make(pq.ByteaArray, len(texts))
	for i, t := range texts {
		id, err := base64.StdEncoding.DecodeString(t)
		if err != nil || len(id) != seal.KeySize {
			return nil, domain.Errorf(domain.Differs, "erase", "%.60q is not the id of a key", t)
		}
		list[i] = id
	}
	return list, nil
}

// ErasedRecords returns what the log says was erased, oldest first.
func ErasedRecords(ctx context.Context, q querier) (list []domain.PrivacyErased, err error) {
	rows, err := q.QueryContext(ctx, `SELECT position, data FROM log WHERE kind = 'privacy.erased.v1' ORDER BY position`)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		r := domain.Record{Kind: domain.PrivacyErased{}.Kind()}
		if err := rows.Scan(&r.Position, &r.Data); err != nil {
			return nil, err
		}
		if err := r.Decode(); err != nil {
			return nil, err
		}
		list = append(list, r.Event.(domain.PrivacyErased))
	}
	return list, unreachable(rows.Err())
}

// A Decision is what was recorded about whether what is held of a person is kept.
type Decision struct {
	Position int64
	At       time.Time
	Event    domain.Event // DirectoryPersonRemoved, PrivacyErased or PrivacyKept
}

// Decisions returns what was decided, and why it had to be, about any of the
// identities, oldest first.
func Decisions(ctx context.Context, q querier, identities []domain.Identity) (list []Decision, err error) {
	head, err := Head(ctx, q)
	if err != nil {
		return nil, err
	}
	about := func(list []domain.Identity) bool {
		return slices.ContainsFunc(list, func(i domain.Identity) bool { return slices.Contains(identities, i) })
	}
	kinds := domain.KindsOf(domain.DirectoryPersonRemoved{}, domain.PrivacyErased{}, domain.PrivacyKept{})
	for records, err := range recordsOf(ctx, q, 0, head, kinds) {
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if !slices.Contains(kinds, r.Kind) {
				continue
			}
			if err := r.Decode(); err != nil {
				return nil, err
			}
			var of []domain.Identity
			switch e := r.Event.(type) {
			case domain.DirectoryPersonRemoved:
				of = []domain.Identity{{Source: r.Source, Type: e.PersonType, ID: e.Person}}
			case domain.PrivacyErased:
				of = e.Identities
			case domain.PrivacyKept:
				of = e.Identities
			}
			if about(of) {
				list = append(list, Decision{r.Position, r.OccurredAt, r.Event})
			}
		}
	}
	return list, nil
}
