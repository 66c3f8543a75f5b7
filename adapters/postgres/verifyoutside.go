package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// outside compares the log with what is kept outside the database, and says what
// is not known without more of it.
func (c *chain) outside(ctx context.Context, tx *sql.Tx) error {
	checkpoints := slices.Clone(c.check.Checkpoints)
	slices.SortStableFunc(checkpoints, func(a, b KeptCheckpoint) int { return cmp.Compare(a.Size, b.Size) })
	failed := false
	for _, k := range checkpoints {
		f, ok := c.compare(k)
		switch {
		case ok && !failed:
			c.Vouched = max(c.Vouched, k.Size)
		case f.What == "":
		case failed:
			c.More++ // the first says where
		default:
			c.find(f)
			failed = true
		}
	}
	for position, list := range c.receipts {
		switch {
		case position > c.Head || position < 1:
			c.find(LogFinding{Position: position, What: list[0].Where + " is a receipt for a record that is not there"})
		case position < c.From || position > c.To:
			c.note("%s is a receipt for record %d, which was not looked at", list[0].Where, position)
		}
	}
	return c.vouch(ctx, tx)
}

// compare reports whether the log has what a checkpoint says, or what is wrong. If
// neither, nothing can be said.
func (c *chain) compare(k KeptCheckpoint) (f LogFinding, ok bool) {
	_, epoch, _ := checkpoint.SplitOrigin(k.Origin)
	current := int64(1)
	for _, fork := range c.forks {
		current = max(current, fork.Epoch)
	}
	if epoch > current {
		return LogFinding{Position: min(k.Size, c.Head), What: k.Where + " is of a later epoch: the database is older than it"}, false
	}
	for _, fork := range c.forks {
		if fork.Epoch > epoch && k.Size > fork.Size {
			c.note("%s is of %d records of epoch %d, which ended at %d", k.Where, k.Size, epoch, fork.Size)
			return LogFinding{}, false
		}
	}
	if k.Size > c.Head {
		return LogFinding{Position: c.Head + 1, Until: k.Size, What: "records are missing: " + k.Where + " is of more than the log has"}, false
	}
	a := c.asked[k.Size]
	if !a.known {
		return LogFinding{}, false
	}
	if a.root == k.Root {
		return LogFinding{}, true
	}
	return LogFinding{
		Position: c.Vouched + 1, Until: k.Size, What: "the log was rewritten here: it does not have the root that is in " + k.Where,
		Stored: hash64(a.root), Computed: hash64(k.Root),
	}, false
}

// vouch says what no checkpoint vouches for.
func (c *chain) vouch(ctx context.Context, tx *sql.Tx) error {
	for _, what := range c.check.Unread {
		c.missing("the log was not compared with %s", what)
	}
	if len(c.check.Checkpoints) == 0 {
		c.missing("there is no checkpoint from outside the database, so nothing tells whether the log was rewritten as a whole, hashes and all, or is that of an old backup")
		return nil
	}
	if c.Vouched >= c.To {
		return nil
	}
	var since sql.NullTime
	err := tx.QueryRowContext(ctx, `SELECT min(recorded_at) FROM log WHERE position = $1`, c.Vouched+1).Scan(&since)
	if err != nil {
		return err
	}
	if c.Vouched > 0 && since.Valid && c.check.Now.Sub(since.Time) <= checkpointGrace {
		c.note("the records %d to %d agree with themselves and are in no checkpoint yet", c.Vouched+1, c.To)
		return nil
	}
	c.missing("no checkpoint from outside the database vouches for the records %d to %d, so nothing tells whether they were rewritten, hashes and all", c.Vouched+1, c.To)
	return nil
}
