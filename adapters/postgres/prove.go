package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// checkLogHint is what to do when the log is not what was signed.
const checkLogHint = "The log was changed, or the checkpoint is of another one. Run: daybook log verify"

// ProveRecord returns the record at a position, with everything that its bytes
// are made of, and the proof that its leaf is in the tree that the checkpoint
// says. What it returns was checked; a log that does not lead to the
// checkpoint's root has code Differs.
func ProveRecord(ctx context.Context, q querier, position int64, under checkpoint.Checkpoint) (*domain.Record, []tree.Hash, error) {
	if position < 1 || position > under.Size {
		return nil, nil, domain.Errorf(domain.NotFound, "prove", "the checkpoint is of %d records, and record %d is not among them", under.Size, position).
			WithHint("Take a newer checkpoint; one is signed when the log has grown: daybook checkpoint sign")
	}
	r, err := ReadRecord(ctx, q, position)
	if err != nil {
		return nil, nil, err
	}
	leaf := tree.Leaf(r.AppendBytes(nil))
	// A tile that is wrong spoils the proof and not the evidence: the leaves are
	// asked then.
	for _, hashes := range []tree.HashReader{Hashes(ctx, q), LeafHashes(ctx, q)} {
		proof, err := tree.ProveInclusion(under.Size, position-1, hashes)
		if err != nil {
			return nil, nil, err
		}
		if tree.CheckInclusion(proof, under.Size, under.Root, position-1, leaf) == nil {
			return r, proof, nil
		}
	}
	return nil, nil, notProven(ctx, q, position, leaf, under)
}

// notProven says why a record that gives the leaf is not proven.
func notProven(ctx context.Context, q querier, position int64, leaf tree.Hash, under checkpoint.Checkpoint) error {
	var stored []byte
	if err := q.QueryRowContext(ctx, `SELECT leaf FROM log WHERE position = $1`, position).Scan(&stored); err != nil {
		return unreachable(err)
	}
	if string(stored) != string(leaf[:]) {
		return domain.Errorf(domain.Differs, "prove", "record %d was changed: its bytes, and those of its delivery, give the leaf %x, and the log has %x", position, leaf[:], stored).
			WithHint(checkLogHint)
	}
	return notSigned(under)
}

func notSigned(under checkpoint.Checkpoint) error {
	return domain.Errorf(domain.Differs, "prove", "the leaves of the log do not give the root %x that the checkpoint of %d records says", under.Root[:], under.Size).
		WithHint(checkLogHint)
}

// ProveConsistency returns the proof that the tree of the first older records is
// the beginning of the one that the checkpoint says. What it returns was checked;
// a log that does not lead to the checkpoint's root has code Differs.
func ProveConsistency(ctx context.Context, q querier, older int64, newer checkpoint.Checkpoint) ([]tree.Hash, error) {
	for _, hashes := range []tree.HashReader{Hashes(ctx, q), LeafHashes(ctx, q)} {
		proof, err := tree.ProveConsistency(older, newer.Size, hashes)
		if err != nil {
			return nil, err
		}
		root, err := tree.RootAt(older, hashes)
		if err != nil {
			return nil, err
		}
		whole, err := tree.RootAt(newer.Size, hashes)
		if err != nil {
			return nil, err
		}
		if whole == newer.Root && tree.CheckConsistency(proof, older, root, newer.Size, newer.Root) == nil {
			return proof, nil
		}
	}
	return nil, notSigned(newer)
}

// ReadRecord returns the record at a position with all that its bytes are made
// of, not yet decoded, or an error with code NotFound.
func ReadRecord(ctx context.Context, q querier, position int64) (*domain.Record, error) {
	r, err := readRecord(ctx, q, position)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, domain.Errorf(domain.NotFound, "", "there is no record %d", position).WithHint("The newest is the first of: daybook log list")
	}
	envelope, err := ReadEnvelope(ctx, q, r.Delivery)
	if err != nil {
		return nil, domain.Errorf(domain.Differs, "read record", "the delivery of record %d: %w", position, err)
	}
	r.Envelope = sha256.Sum256(envelope.AppendBytes(nil))
	return r, nil
}

// Located returns where the records are that an id is of: that of a record, or
// that of a delivery, which may have caused several, one behind the other. An id
// of neither has code NotFound.
func Located(ctx context.Context, q querier, id ulid.ULID) (first, last int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT position, position FROM log WHERE id = $1
		UNION ALL SELECT position, position + records - 1 FROM delivery WHERE id = $1`, id.String()).Scan(&first, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, domain.Errorf(domain.NotFound, "", "there is no record and no delivery %s", id).WithHint("See: daybook delivery list")
	}
	return first, last, unreachable(err)
}
