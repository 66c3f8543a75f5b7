package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
)

// end checks the head, the tiles and the references, and then what is kept
// outside.
func (c *chain) end(ctx context.Context, s *logSnapshot) error {
	if c.next <= c.To {
		c.gap(c.To + 1)
	}
	if !c.lost && c.To > 0 {
		c.Root = hash64(c.frontier.Root())
	}
	if err := c.leaves(ctx, s, c.Head); err != nil {
		return err
	}
	if !c.headless {
		c.checkHead()
	}
	c.tiles.end(c)
	if err := c.references(ctx, s.small); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(c.unknown)) {
		c.missing("record %d is of the kind %q, which this daybook does not know: a newer one wrote it; upgrade this one", c.unknown[kind], kind)
	}
	return c.outside(ctx, s.small)
}

// checkHead compares the head with the last record.
func (c *chain) checkHead() {
	f := LogFinding{Position: c.Head}
	switch {
	case c.delivered.position+c.delivered.records > c.Head+1:
		f.Position, f.What = c.delivered.position, "delivery "+c.delivered.id+" has more records than there are"
	case c.lost:
	case !bytes.Equal(c.head.frontier, c.frontier.Bytes()):
		f.What = "the head does not have the hashes of the tree of these records"
	case c.To == c.Head && c.Head > 0 && !c.head.recordedAt.Equal(c.last.recordedAt):
		f.What = "the head does not have the time of its record"
	}
	if f.What != "" {
		c.find(f)
	}
}

// references looks for what points to nothing, and for rows that no position
// leads to.
func (c *chain) references(ctx context.Context, tx *sql.Tx) error {
	for _, table := range []string{"log", "delivery", "delivery_scope"} {
		var n int64
		err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM `+table+` WHERE position < 1) + (SELECT count(*) FROM `+table+` WHERE position IS NULL)`).Scan(&n)
		if err != nil {
			return err
		}
		if n > 0 {
			c.find(LogFinding{What: strconv.FormatInt(n, 10) + " rows of " + table + " have no position"})
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT d.position, d.replay, d.cause FROM delivery d
		WHERE d.cause IS NOT NULL AND d.position BETWEEN $1 AND $2
		AND NOT EXISTS (SELECT FROM delivery c WHERE c.id = d.cause AND c.position < d.position)
		AND NOT EXISTS (SELECT FROM log c WHERE c.id = d.cause AND c.position < d.position)
		ORDER BY d.position`, c.From, c.To)
	if err != nil {
		return err
	}
	defer rows.Close()
	strange := 0
	for rows.Next() {
		var position int64
		var replay bool
		var cause string
		if err := rows.Scan(&position, &replay, &cause); err != nil {
			return err
		}
		if replay {
			c.find(LogFinding{Position: position, What: "it replays the delivery " + cause + ", which is missing"})
		} else {
			strange++
		}
	}
	if strange > 0 {
		c.note("%d deliveries follow from something that is not in this log, as their sender or their capture says", strange)
	}
	return rows.Err()
}
