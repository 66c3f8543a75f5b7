package postgres

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Bundle says what is written as one.
type Bundle struct {
	Name         string // of the log
	From, To     int64  // positions; a To of 0 is the end of the log
	Bodies       bool   // with sealed headers and bodies
	Checkpoints  []checkpoint.Checkpoint
	Notes        [][]byte // of the checkpoints, in their order
	Certificates []bundle.Certificate
}

// WriteBundle writes a bundle from one snapshot of the log, which the pool of the
// role [RoleAuditor], of [AuditConns] connections, reads. Checkpoints that are not
// about the range are left out. A record that is not what its leaf says, and a
// checkpoint that the log does not have, are errors with code Differs: then what
// was written is no bundle. It returns the position of the last record.
func WriteBundle(ctx context.Context, db *sql.DB, w io.Writer, b Bundle, progress Progress) (last int64, err error) {
	snapshot, err := openLog(ctx, db)
	if err != nil {
		return 0, unreachable(err)
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	snapshot.keep = true
	x := &bundleWriter{Bundle: b, progress: progress}
	if err := x.begin(ctx, snapshot.small, w); err != nil {
		return 0, unreachable(err)
	}
	for batch, err := range snapshot.batches(ctx, x.From, x.To) {
		if err == nil {
			err = x.batch(batch)
		}
		if err != nil {
			return 0, unreachable(err)
		}
	}
	if x.frontier.Size() != x.To {
		return 0, changedAt(x.frontier.Size()+1, "it is missing")
	}
	return x.To, x.to.Close(x.frontier.Root())
}

// A bundleWriter is a bundle that is being written.
type bundleWriter struct {
	Bundle
	progress Progress
	to       *bundle.Writer
	frontier *tree.Frontier
	written  string // id of the delivery before the records written last
}

// begin writes what comes before the log.
func (x *bundleWriter) begin(ctx context.Context, tx *sql.Tx, w io.Writer) error {
	head, err := Head(ctx, tx)
	if err != nil {
		return err
	}
	if x.To == 0 {
		x.To = head
	}
	if x.From < 1 || x.To > head || x.From > x.To+1 {
		return domain.Errorf(domain.Invalid, "export bundle", "the log has records 1 to %d, and none from %d to %d", head, x.From, x.To)
	}
	forks, err := forksOf(ctx, tx)
	if err != nil {
		return err
	}
	if x.frontier, err = frontierAt(ctx, tx, x.From-1); err != nil {
		return err
	}
	x.to, err = bundle.NewWriter(w, bundle.Meta{
		Origin: x.Name, From: x.From, To: x.To, Epoch: epochAt(forks, x.From-1), Bodies: x.Bodies, Frontier: bundle.FrontierText(x.frontier),
	})
	if err != nil {
		return err
	}
	if err := x.checkpoints(forks); err != nil {
		return err
	}
	for _, c := range x.Certificates {
		if err := x.to.Certificate(c.Note, c.Salt); err != nil {
			return err
		}
	}
	return x.compare()
}

// checkpoints writes those that are about the range and the epochs it has.
func (x *bundleWriter) checkpoints(forks []fork) error {
	var about []checkpoint.Checkpoint
	for i, c := range x.Checkpoints {
		if c.Size < x.From-1 || c.Size > x.To || c.Origin != checkpoint.Origin(x.Name, epochAt(forks, c.Size)) {
			continue
		}
		about = append(about, c)
		if err := x.to.Checkpoint(x.Notes[i]); err != nil {
			return err
		}
	}
	x.Checkpoints = about
	return nil
}

// compare compares the log with the checkpoints of its present size.
func (x *bundleWriter) compare() error {
	for len(x.Checkpoints) > 0 && x.Checkpoints[0].Size == x.frontier.Size() {
		c, root := x.Checkpoints[0], x.frontier.Root()
		if c.Root != root {
			return domain.Errorf(domain.Differs, "export bundle", "the log gives the root %x for %d records, and a checkpoint says %x", root[:], c.Size, c.Root[:]).
				WithHint(checkLogHint)
		}
		x.Checkpoints = x.Checkpoints[1:]
	}
	return nil
}

// batch writes the records of a batch, each behind its delivery.
func (x *bundleWriter) batch(b *logBatch) error {
	came := b.came
	for _, c := range b.checked {
		for len(came) > 1 && came[1].position <= c.position {
			came = came[1:]
		}
		switch {
		case c.position != x.frontier.Size()+1:
			return changedAt(x.frontier.Size()+1, "it is missing")
		case c.wrong != "":
			return changedAt(c.position, c.wrong)
		case c.leaf != c.stored:
			return changedAt(c.position, "its bytes, and those of its delivery, give the leaf "+hex.EncodeToString(c.leaf[:])+", and the log has "+hex.EncodeToString(c.stored[:]))
		case came[0].wrong != "":
			return changedAt(c.position, "its delivery: "+came[0].wrong)
		}
		if came[0].id != x.written {
			x.written = came[0].id
			if err := x.to.Delivery(came[0].envelope, came[0].header, came[0].body); err != nil {
				return err
			}
		}
		if err := x.to.Record(c.record, c.leaf); err != nil {
			return err
		}
		x.frontier.Append(c.leaf)
		if err := x.compare(); err != nil {
			return err
		}
	}
	if n := len(b.checked); n > 0 {
		if last := b.checked[n-1]; last.root != x.frontier.Root() {
			return changedAt(last.position, "its root is not the one that the leaves before it make")
		}
	}
	if x.progress != nil {
		x.progress(x.frontier.Size()-x.From+1, x.To-x.From+1)
	}
	return nil
}

func changedAt(position int64, what string) error {
	return domain.Errorf(domain.Differs, "export", "record %d: %s", position, what).WithHint(checkLogHint)
}

// frontierAt returns the tree of the first records, from the tiles or, if these
// are wrong, from the leaves. It must be the tree that the log says it had.
func frontierAt(ctx context.Context, tx *sql.Tx, size int64) (*tree.Frontier, error) {
	if size == 0 {
		return new(tree.Frontier), nil
	}
	var root []byte
	if err := tx.QueryRowContext(ctx, `SELECT root FROM log WHERE position = $1`, size).Scan(&root); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, changedAt(size, "it is missing")
		}
		return nil, err
	}
	for _, hashes := range []tree.HashReader{Hashes(ctx, tx), LeafHashes(ctx, tx)} {
		f, err := tree.FrontierAt(size, hashes)
		if err != nil {
			return nil, err
		}
		if got := f.Root(); string(got[:]) == string(root) {
			return f, nil
		}
	}
	return nil, changedAt(size, "its root is not the one that the leaves before it make")
}

// A fork is where an epoch of the log begins.
type fork struct{ position, epoch int64 }

// forksOf returns where the epochs of the log begin, but the first.
func forksOf(ctx context.Context, tx *sql.Tx) (list []fork, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT position, data FROM log WHERE kind = $1 ORDER BY position`, domain.LogForked{}.Kind())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f fork
		var data []byte
		if err := rows.Scan(&f.position, &data); err != nil {
			return nil, err
		}
		forked, err := decodeFork(data)
		if err != nil {
			return nil, err
		}
		f.epoch = forked.Epoch
		list = append(list, f)
	}
	return list, rows.Err()
}

// epochAt returns the epoch of the log after its first records.
func epochAt(forks []fork, size int64) int64 {
	epoch := int64(1)
	for _, f := range forks {
		if f.position <= size {
			epoch = f.epoch
		}
	}
	return epoch
}
