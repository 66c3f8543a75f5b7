package postgres

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// checkpointGrace is how old a record may be that no checkpoint covers yet. One is
// signed every second while records come in.
const checkpointGrace = 10 * time.Minute

// A chain follows the records in their order and keeps what the next one is
// checked against.
type chain struct {
	LogVerification
	check    LogCheck
	head     storedHead
	headless bool // it is missing

	frontier  *tree.Frontier // of the records so far
	lost      bool           // one is missing: no root after it can be computed
	next      int64          // position that comes next
	last      checkedRecord
	delivered checkedDelivery       // the last one
	ids       map[string]bool       // of the records of the last millisecond
	unknown   map[domain.Kind]int64 // the first record of each kind that is not known
	tiles     tileCheck

	forks    []domain.LogForked
	asked    map[int64]*askedRoot // by size
	receipts map[int64][]KeptReceipt
}

func newChain(check LogCheck) *chain {
	c := &chain{
		check: check, frontier: new(tree.Frontier), next: 1, ids: make(map[string]bool), unknown: make(map[domain.Kind]int64),
		asked: make(map[int64]*askedRoot), receipts: make(map[int64][]KeptReceipt),
	}
	c.Findings, c.Missing, c.Notes = []LogFinding{}, []string{}, []string{}
	for _, k := range check.Checkpoints {
		c.asked[k.Size] = new(askedRoot)
	}
	for _, r := range check.Receipts {
		c.receipts[r.Position] = append(c.receipts[r.Position], r)
	}
	return c
}

// An askedRoot is what the log holds where something outside says what it held.
type askedRoot struct {
	root  tree.Hash
	known bool
}

// storedHead is the row of head.
type storedHead struct {
	position   int64
	recordedAt time.Time
	frontier   []byte
}

// begin reads the head, the tiles and the forks, and the leaves before the range.
func (c *chain) begin(ctx context.Context, s *logSnapshot) error {
	if err := c.readHead(ctx, s.small); err != nil {
		return err
	}
	c.From, c.To = max(c.check.From, 1), c.check.To
	if c.To == 0 {
		c.To = c.Head
	}
	if c.To > c.Head || c.From > max(c.To, 1) {
		return domain.Errorf(domain.Usage, "verify log", "there are no records %d to %d: the log ends at %d", c.From, c.To, c.Head)
	}
	if err := c.tiles.load(ctx, s.small); err != nil {
		return err
	}
	if err := c.readForks(ctx, s.small); err != nil {
		return err
	}
	c.ask(0)
	if c.From == 1 {
		return nil
	}
	return c.leaves(ctx, s, c.From-1)
}

// upTo returns the last position to look at: none, to find what is beyond the
// head as well, unless somebody asked for one.
func (c *chain) upTo() int64 {
	if c.check.To == 0 {
		return math.MaxInt64
	}
	return c.To
}

// readHead reads where the log ends.
func (c *chain) readHead(ctx context.Context, tx *sql.Tx) error {
	var at sql.NullTime
	var last sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT position, CASE WHEN isfinite(recorded_at) THEN recorded_at END, frontier FROM head WHERE id = 1`).
		Scan(&c.head.position, &at, &c.head.frontier)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		c.find(LogFinding{What: "the row that says where the log ends is missing"})
		if err := tx.QueryRowContext(ctx, `SELECT max(position) FROM log`).Scan(&last); err != nil {
			return err
		}
		c.Head, c.headless = last.Int64, true
		return nil
	case err != nil:
		return err
	}
	c.head.recordedAt, c.Head = at.Time, c.head.position
	return nil
}

// readForks reads where the log was opened again after a loss.
func (c *chain) readForks(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT position, data FROM log WHERE kind = $1 ORDER BY position`, domain.LogForked{}.Kind())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var position int64
		var data []byte
		if err := rows.Scan(&position, &data); err != nil {
			return err
		}
		event, err := domain.Decode(domain.LogForked{}.Kind(), data, nil)
		if err != nil {
			continue // its record is found wanting when it is read
		}
		fork := event.(domain.LogForked)
		c.forks = append(c.forks, fork)
		c.note("record %d opened epoch %d of the log after %d records: %s (%s)", position, fork.Epoch, fork.Size, fork.Reason, fork.By)
	}
	return rows.Err()
}

// leaves appends records whose bytes are not looked at: all before the range, or
// behind it.
func (c *chain) leaves(ctx context.Context, s *logSnapshot, upTo int64) error {
	for r, err := range readRows(ctx, s.records, leafRows, c.next, upTo) {
		if err != nil {
			return err
		}
		if r.position != c.next || len(r.columns) != tree.HashSize {
			break
		}
		c.add(tree.Hash(r.columns))
	}
	if c.next <= upTo {
		c.gap(c.next + 1)
		c.next = upTo + 1
	}
	return nil
}

// add appends a leaf to the tree.
func (c *chain) add(leaf tree.Hash) {
	c.frontier.AppendTiled(leaf, c.tiles.full)
	c.next++
	c.ask(c.next - 1)
}

// ask notes the root of the tree so far if something outside speaks of it.
func (c *chain) ask(size int64) {
	if a := c.asked[size]; a != nil && !c.lost {
		a.root, a.known = c.frontier.Root(), true
	}
}

// gap says that the records up to a position are missing.
func (c *chain) gap(position int64) {
	f := LogFinding{Position: c.next, What: "the record is missing"}
	if position > c.next+1 {
		f.What, f.Until = "the records are missing", position-1
	}
	c.find(f)
	c.lost, c.next = true, position
}

// follow checks what a batch was found to be against what came before it.
func (c *chain) follow(b *logBatch) {
	for i, d := range b.came {
		if i > 0 || !b.begun {
			c.delivery(d)
		}
	}
	for _, position := range b.stray {
		c.find(LogFinding{Position: position, What: "a scope is there, and no delivery that it could be of"})
	}
	for i := range b.checked {
		c.record(&b.checked[i])
	}
}

// delivery checks one delivery after the one before it.
func (c *chain) delivery(d checkedDelivery) {
	c.Deliveries++
	f := LogFinding{Position: d.position}
	switch before := c.delivered; {
	case d.wrong != "":
		f.What = "delivery " + d.id + ": " + d.wrong
	case d.position > c.Head:
		f.What = "delivery " + d.id + " is beyond the head of the log, " + strconv.FormatInt(c.Head, 10)
		c.find(f)
		return
	case d.position < before.position+before.records:
		f.Position, f.Until = before.position, d.position
		f.What = "delivery " + before.id + " says that it has the records up to " + strconv.FormatInt(before.position+before.records-1, 10) + ", and " + d.id + " begins among them"
	case d.records < 1:
		f.What = "delivery " + d.id + " has no records"
	}
	if f.What != "" {
		c.find(f)
	}
	c.delivered = d
}

// record checks one record, and adds it to the tree.
func (c *chain) record(r *checkedRecord) {
	switch {
	case r.position > c.Head:
		c.find(LogFinding{Position: r.position, What: "record " + r.id + " is beyond the head of the log, " + strconv.FormatInt(c.Head, 10)})
		return
	case r.position < c.next:
		c.find(LogFinding{Position: r.position, What: "record " + r.id + " is there a second time"})
		return
	case r.position > c.next:
		c.gap(r.position)
	}
	f, leaf := c.leaf(r)
	if f.What == "" {
		f.What = c.order(r)
	}
	c.add(leaf)
	if f.What == "" && !c.lost {
		if root := c.frontier.Root(); root != r.root {
			f = LogFinding{What: "its root is not that of the records up to it", Stored: hash64(r.root), Computed: hash64(root)}
		}
	}
	if f.What != "" {
		f.Position = r.position
		c.find(f)
	}
	for _, k := range c.receipts[r.position] {
		c.receipt(k, r)
	}
	if r.kind != "" && !domain.IsKind(r.kind) && r.wrong == "" {
		if c.unknown[r.kind] == 0 {
			c.unknown[r.kind] = r.position
		}
	}
	c.last = *r
}

// leaf says what is wrong with the record by itself, and returns the leaf that the
// tree has in its place: if the record was changed the stored one, and if the leaf
// was changed the computed one. The root tells.
func (c *chain) leaf(r *checkedRecord) (LogFinding, tree.Hash) {
	f := LogFinding{What: r.wrong}
	if r.leaf == r.stored {
		return f, r.leaf
	}
	f.Stored, f.Computed = hash64(r.stored), hash64(r.leaf)
	with := func(leaf tree.Hash) bool {
		t := c.frontier.Clone()
		t.Append(leaf)
		return !c.lost && t.Root() == r.root
	}
	switch {
	case f.What != "":
	case with(r.stored):
		f.What = "the record, its delivery or a scope of that is not what its leaf commits to"
	case with(r.leaf):
		f.What = "its leaf is not that of the record, which is what the root commits to"
		return f, r.leaf
	default:
		f.What = "the record, its delivery or a scope of that is not what its leaf commits to, nor does the root fit"
	}
	return f, r.stored
}

// order says what is wrong with the record after the one before it.
func (c *chain) order(r *checkedRecord) string {
	if r.recordedAt.UnixMilli() != c.last.recordedAt.UnixMilli() {
		clear(c.ids)
	}
	if c.ids[r.id] {
		return "its id " + r.id + " is that of an earlier record"
	}
	c.ids[r.id] = true
	if r.recordedAt.Before(c.last.recordedAt) {
		return "it was recorded before the record before it"
	}
	return ""
}

// receipt compares what a sender kept with what is there.
func (c *chain) receipt(k KeptReceipt, r *checkedRecord) {
	if k.Leaf == r.leaf && (k.ID.IsZero() || k.ID.String() == r.id) {
		c.Receipts++
		return
	}
	c.find(LogFinding{
		Position: r.position, What: k.Where + " is a receipt for another record",
		Stored: hash64(r.leaf), Computed: hash64(k.Leaf),
	})
}
