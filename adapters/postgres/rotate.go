package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// RotatedFiles are the key-encryption keys of a book. DestroyKEK leaves nothing of
// one that is there, and is content with one that is not.
type RotatedFiles interface {
	Index() (*seal.Key, error)
	KEK(epoch int) (*seal.Key, error)
	MakeKEK(epoch int) (*seal.Key, error)
	DestroyKEK(epoch int) error
}

// A KeyEpoch is the time of one key-encryption key.
type KeyEpoch struct {
	Epoch     int
	MadeAt    time.Time
	Destroyed time.Time // zero: it is not
	Keys      int64     // that are wrapped by it
}

// KeyEpochs returns all epochs, oldest first.
func KeyEpochs(ctx context.Context, q querier) (list []KeyEpoch, err error) {
	rows, err := q.QueryContext(ctx, `SELECT e.epoch, e.made_at, e.destroyed_at, (SELECT count(*) FROM data_key k WHERE k.epoch = e.epoch)
		FROM key_epoch e ORDER BY e.epoch`)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e KeyEpoch
		var destroyed sql.NullTime
		if err := rows.Scan(&e.Epoch, &e.MadeAt, &destroyed, &e.Keys); err != nil {
			return nil, err
		}
		e.MadeAt, e.Destroyed = e.MadeAt.UTC(), destroyed.Time.UTC()
		if !destroyed.Valid {
			e.Destroyed = time.Time{}
		}
		list = append(list, e)
	}
	return list, unreachable(rows.Err())
}

// A Rotation is what [Rotate] has done.
type Rotation struct {
	Epoch     int   // that everything is wrapped in now
	Wrapped   int64 // keys that were wrapped again
	Lost      int64 // keys that cannot be unwrapped here: the file that they need is not there
	Destroyed []int // epochs whose key-encryption keys are destroyed
}

// Rotate wraps every key with a new key-encryption key and then destroys the old
// ones, so that nobody can use what is left of destroyed keys in the server's files
// and in backups. Others may append meanwhile. A rotation that was interrupted is
// gone on with. Progress is told how many keys are wrapped again, of how many. It
// wants the pool of the role [RoleOwner]. In a directory that is not this book's,
// which has no index key, nothing is begun.
func Rotate(ctx context.Context, owner *sql.DB, files RotatedFiles, progress func(done, total int64)) (r Rotation, err error) {
	if _, err := files.Index(); err != nil {
		return r, err
	}
	if r.Epoch, err = beginEpoch(ctx, owner, files); err != nil {
		return r, err
	}
	w := &wrapper{owner: owner, files: files, epoch: r.Epoch, keks: make(map[int]*seal.Key), lost: make(map[int]bool)}
	if w.kek, err = files.KEK(r.Epoch); err != nil {
		return r, err
	}
	var total int64
	if err := owner.QueryRowContext(ctx, `SELECT count(*) FROM data_key WHERE epoch < $1`, r.Epoch).Scan(&total); err != nil {
		return r, unreachable(err)
	}
	for {
		var n int64
		err := inTx(ctx, owner, nil, func(tx *sql.Tx) (err error) {
			n, err = w.batch(ctx, tx)
			return err
		})
		r.Wrapped += n
		if err != nil {
			return r, err
		}
		if n == 0 {
			break
		}
		progress(r.Wrapped, total)
	}
	n, err := w.last(ctx)
	r.Wrapped += n
	if err != nil {
		return r, err
	}
	if err := owner.QueryRowContext(ctx, `SELECT count(*) FROM data_key WHERE epoch < $1`, r.Epoch).Scan(&r.Lost); err != nil {
		return r, unreachable(err)
	}
	r.Destroyed, err = endEpochs(ctx, owner, files, r.Epoch)
	return r, err
}

// beginEpoch makes a new epoch, or returns the one whose rotation is not done.
func beginEpoch(ctx context.Context, owner *sql.DB, files RotatedFiles) (epoch int, err error) {
	err = inTx(ctx, owner, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `LOCK TABLE key_epoch IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		var open int
		err := tx.QueryRowContext(ctx, `SELECT coalesce(max(epoch), 0), count(*) FILTER (WHERE destroyed_at IS NULL) FROM key_epoch`).Scan(&epoch, &open)
		if err != nil || open > 1 {
			return err
		}
		epoch++
		kek, err := files.MakeKEK(epoch)
		if err != nil {
			return err
		}
		id := kek.ID()
		_, err = tx.ExecContext(ctx, `INSERT INTO key_epoch (epoch, id) VALUES ($1, $2)`, epoch, id[:])
		return err
	})
	return epoch, err
}

// endEpochs destroys the key-encryption keys before an epoch, by which nothing is
// wrapped that could be unwrapped.
func endEpochs(ctx context.Context, owner *sql.DB, files RotatedFiles, epoch int) (destroyed []int, err error) {
	list, err := KeyEpochs(ctx, owner)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Epoch >= epoch || !e.Destroyed.IsZero() {
			continue
		}
		if err := files.DestroyKEK(e.Epoch); err != nil {
			return destroyed, err
		}
		err := inTx(ctx, owner, nil, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE key_epoch SET destroyed_at = now() WHERE epoch = $1`, e.Epoch)
			return err
		})
		if err != nil {
			return destroyed, err
		}
		destroyed = append(destroyed, e.Epoch)
	}
	return destroyed, nil
}

// A wrapper wraps keys with the key-encryption key of another epoch.
type wrapper struct {
	owner *sql.DB
	files RotatedFiles
	epoch int
	kek   *seal.Key
	keks  map[int]*seal.Key // of the epochs before
	lost  map[int]bool      // epochs whose file is not there
}

// batch wraps some keys again and returns how many; 0: there are no others. A key
// that is destroyed meanwhile stays so.
func (w *wrapper) batch(ctx context.Context, tx *sql.Tx) (n int64, err error) {
	lost := make(pq.Int64Array, 0, len(w.lost))
	for epoch := range w.lost {
		lost = append(lost, int64(epoch))
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, epoch, wrapped FROM data_key WHERE epoch < $1 AND epoch <> ALL ($2) LIMIT $3 FOR UPDATE SKIP LOCKED`, w.epoch, lost, keysAtOnce)
	if err != nil {
		return 0, unreachable(err)
	}
	defer rows.Close()
	var ids, wrapped pq.ByteaArray
	for rows.Next() {
		var id, old []byte
		var epoch int
		if err := rows.Scan(&id, &epoch, &old); err != nil {
			return 0, err
		}
		again, err := w.wrap(epoch, id, old)
		if err != nil {
			return 0, err
		}
		if again != nil {
			ids, wrapped = append(ids, id), append(wrapped, again)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, unreachable(err)
	}
	if len(ids) == 0 && len(w.lost) == len(lost) {
		return 0, nil
	}
	_, err = tx.ExecContext(ctx, `UPDATE data_key k SET epoch = $1, wrapped = u.wrapped FROM unnest($2::bytea[], $3::bytea[]) AS u (id, wrapped) WHERE k.id = u.id`, w.epoch, ids, wrapped)
	if len(ids) == 0 && err == nil {
		return w.batch(ctx, tx) // those of a lost epoch were in the way
	}
	return int64(len(ids)), unreachable(err)
}

// wrap returns a key wrapped again, nil if its key-encryption key is not there.
func (w *wrapper) wrap(epoch int, id, old []byte) ([]byte, error) {
	if w.lost[epoch] {
		return nil, nil
	}
	kek := w.keks[epoch]
	if kek == nil {
		var err error
		if kek, err = w.files.KEK(epoch); domain.CodeOf(err) == domain.NotFound {
			w.lost[epoch] = true
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		w.keks[epoch] = kek
	}
	key, err := seal.Unwrap(kek, old)
	if err != nil || key.ID() != seal.ID(id) {
		return nil, domain.Errorf(domain.Differs, "rotate", "the key with the id %x was changed", id[:8]).WithHint("Restore data_key from a backup.")
	}
	return seal.Wrap(w.kek, key), nil
}

// last wraps what was added since the batches, while nobody can add anything, nor has
// a row locked that batch would pass over. From then on nothing but the new epoch is
// taken.
func (w *wrapper) last(ctx context.Context) (wrapped int64, err error) {
	err = inTx(ctx, w.owner, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `LOCK TABLE data_key IN EXCLUSIVE MODE`); err != nil {
			return err
		}
		for {
			n, err := w.batch(ctx, tx)
			wrapped += n
			if err != nil || n == 0 {
				return err
			}
		}
	})
	return wrapped, err
}
