package postgres

import (
	"context"
	"errors"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/projections"
)

// read returns the keys with the given ids, by id. Those that were destroyed are
// left out; those that cannot be unwrapped here are nil.
func (k *Keyring) read(ctx context.Context, q querier, ids []seal.ID) (map[seal.ID]*seal.Key, error) {
	keys, err := k.readOnce(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if key == nil {
			// Perhaps they were wrapped again just now, and the key before is gone.
			return k.readOnce(ctx, q, ids)
		}
	}
	return keys, nil
}

func (k *Keyring) readOnce(ctx context.Context, q querier, ids []seal.ID) (map[seal.ID]*seal.Key, error) {
	list := make(pq.ByteaArray, len(ids))
	for i := range ids {
		list[i] = ids[i][:]
	}
	found, err := k.query(ctx, q, `SELECT id, coalesce(subject, ''), epoch, wrapped FROM data_key WHERE id = ANY ($1)`, list)
	if err != nil {
		return nil, err
	}
	keys := make(map[seal.ID]*seal.Key, len(found))
	for _, d := range found {
		err := k.unwrap(ctx, d)
		if domain.CodeOf(err) == domain.NotFound {
			keys[d.id] = nil
			continue
		}
		if err != nil {
			return nil, err
		}
		keys[d.id] = &d.Key
	}
	return keys, nil
}

// Open implements [projections.Opener]. A text whose key is there, and the
// key-encryption key is not, is [projections.Unopened]. What is not sealed, or only
// looks as if it were, is returned as it is: somebody's name must not keep a view
// from being shown.
func (k *Keyring) Open(ctx context.Context, texts []string) ([]string, error) {
	var ids []seal.ID
	wanted := make(map[seal.ID]bool)
	for _, t := range texts {
		if id, err := seal.IDOf(t); err == nil && !wanted[id] {
			wanted[id] = true
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return texts, nil
	}
	keys, err := k.read(ctx, k.db, ids)
	if err != nil {
		return nil, err
	}
	opened := make([]string, len(texts))
	for i, t := range texts {
		opened[i] = t
		id, err := seal.IDOf(t)
		if err != nil {
			continue
		}
		key, there := keys[id]
		switch {
		case !there:
			opened[i] = projections.Erased
		case key == nil:
			opened[i] = projections.Unopened
		default:
			if text, err := seal.OpenText(key, t); err == nil {
				opened[i] = text
			}
		}
	}
	return opened, nil
}

// What the sealed parts of a delivery are. Their context names the delivery, so
// that one cannot stand in another's place.
const (
	partHeader = "header"
	partBody   = "body"
)

func contextOf(delivery, part string) string { return "delivery " + delivery + " " + part }

// openDelivery returns the header and the body of a delivery, as they are sealed.
// If their key was destroyed it is [errErased].
func (k *Keyring) openDelivery(ctx context.Context, q querier, delivery string, header, body []byte) (openHeader, openBody []byte, err error) {
	id, err := seal.IDOfBytes(body)
	if err != nil {
		return nil, nil, err
	}
	keys, err := k.read(ctx, q, []seal.ID{id})
	if err != nil {
		return nil, nil, err
	}
	key, there := keys[id]
	switch {
	case !there:
		return nil, nil, errErased
	case key == nil:
		return nil, nil, notHere(delivery)
	}
	if openHeader, err = seal.OpenBytes(key, contextOf(delivery, partHeader), header); err != nil {
		return nil, nil, err
	}
	openBody, err = seal.OpenBytes(key, contextOf(delivery, partBody), body)
	return openHeader, openBody, err
}

// notHere says that a delivery cannot be opened on this machine.
func notHere(delivery string) error {
	return domain.Errorf(domain.Refused, "read delivery", "%s cannot be opened here: its key-encryption key is not in the directory of keys", delivery).
		WithHint("Copy the directory of keys from where this book is kept.")
}

// errErased says that the key of a delivery was destroyed.
var errErased = errors.New("erased")
