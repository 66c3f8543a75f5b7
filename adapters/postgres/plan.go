package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
)

// head is where the log ends.
type head struct {
	position   int64
	recordedAt time.Time
	frontier   *tree.Frontier
}

// A plan is what a batch will do to the log: the rows to write, and the answer
// to each delivery once they are written.
type plan struct {
	before, after head
	answers       []answer
	repeated      []repetition // answers whose records have to be read yet
	newKeys       []*dataKey   // whose rows are to be written
	*params
}

// A repetition is a delivery of the batch that repeats one in the log.
type repetition struct {
	answer int // its index
	first  found
}

// params are the rows of a batch, as append.sql wants them. They are large, so
// the appender uses them again for the next batch.
type params struct {
	deliveries  columns
	scopes      columns
	records     columns
	keys        columns
	guardKeys   columns
	guardScopes columns
	ids         *ulid.MonotonicEntropy // of records
	record      []byte                 // bytes of the one in hand
}

func newParams() *params {
	return &params{
		deliveries: make(columns, 17), scopes: make(columns, 3), records: make(columns, 12), keys: make(columns, 4),
		guardKeys: make(columns, 2), guardScopes: make(columns, 3),
		ids: ulid.Monotonic(rand.Reader, 0),
	}
}

// reset forgets the rows.
func (p *params) reset() {
	for _, c := range []columns{p.deliveries, p.scopes, p.records, p.keys, p.guardKeys, p.guardScopes} {
		for i := range c {
			c[i] = c[i][:0]
		}
	}
}

// columns are the columns of some rows, each an array literal that is not
// closed yet.
type columns [][]byte

// add adds the cells of a row to the columns from the first one on.
func (c columns) add(first int, cells ...[]byte) {
	for i, cell := range cells {
		separator := byte(',')
		if len(c[first+i]) == 0 {
			separator = '{'
		}
		c[first+i] = append(append(c[first+i], separator), cell...)
	}
}

func (c columns) args() []any {
	args := make([]any, len(c))
	for i, column := range c {
		if len(column) == 0 {
			column = append(column, '{')
		}
		args[i] = append(column, '}')
	}
	return args
}

// cell returns a text that is not null.
func cell(s string) projections.Cell { return projections.Cell{Text: s} }

// textCell, and those below, return an element of an array literal.
func textCell(s string) []byte {
	b := append(make([]byte, 0, len(s)+len(s)/8+2), '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func textOrNullCell(s string) []byte {
	if s == "" {
		return nullCell
	}
	return textCell(s)
}

func intCell(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
func boolCell(v bool) []byte { return strconv.AppendBool(nil, v) }
func bytesCell(b []byte) []byte {
	c := append(make([]byte, 0, 5+2*len(b)), `"\\x`...)
	return append(hex.AppendEncode(c, b), '"')
}
func momentCell(t time.Time) []byte { return micros(t).AppendFormat(nil, time.RFC3339Nano) }

func ulidOrNullCell(id ulid.ULID) []byte {
	if id.IsZero() {
		return nullCell
	}
	return ulidCell(id)
}
func ulidCell(id ulid.ULID) []byte { return []byte(id.String()) }

var nullCell = []byte("NULL")

// newPlan decides what becomes of each delivery of the batch after h, given what
// is in the log. It uses rows, and so forgets the plan that used them before.
func newPlan(ctx context.Context, batch []*prepared, h head, e *existing, now time.Time, rows *params) (*plan, error) {
	rows.reset()
	pl := &plan{
		before:  h,
		after:   head{h.position, micros(now), h.frontier.Clone()},
		answers: make([]answer, len(batch)),
		params:  rows,
	}
	// Time never runs backwards in the log, whatever the clock does.
	if pl.after.recordedAt.Before(h.recordedAt) {
		pl.after.recordedAt = h.recordedAt
	}
	for i, p := range batch {
		var same, contradicted *found
		if p.Replay {
			var err error
			if p, same, err = e.replay(p); err != nil {
				pl.answers[i].err = err
				continue
			}
		} else {
			same, contradicted = e.repeated(p)
		}
		if same != nil {
			pl.answers[i] = repeatedAnswer(p, *same)
			pl.answers[i].receipt.Records = same.planned
			if same.planned == nil {
				pl.repeated = append(pl.repeated, repetition{i, *same})
			}
			if same.status == domain.Conflicting {
				pl.answers[i].contradict(e.firstOf(p, same.id))
			}
			continue
		}
		if contradicted != nil {
			var err error
			if p, err = p.conflicting(ctx, contradicted.id); err != nil {
				return nil, err
			}
		}
		f, err := pl.add(p)
		if err != nil {
			return nil, err
		}
		e.add(p, f)
		pl.answers[i].receipt = domain.Receipt{Delivery: p.ID, Status: p.status, Records: f.planned}
		pl.answers[i].contradict(contradicted)
	}
	return pl, nil
}

// contradict names in the receipt of a conflict the delivery it contradicts, if
// there is one.
func (a *answer) contradict(first *found) {
	if a.err != nil || first == nil {
		return
	}
	id, err := ulid.ParseStrict(first.id)
	if err != nil {
		a.err = domain.Errorf(domain.Differs, "append", "delivery %q has no ULID: %w", first.id, err)
	}
	a.receipt.Contradicts = id
}

// repeatedAnswer is the receipt of a delivery that is there already. If it is
// this very one, whose append was interrupted, it is no repetition.
func repeatedAnswer(p *prepared, f found) answer {
	id, err := ulid.ParseStrict(f.id)
	if err != nil {
		return answer{err: domain.Errorf(domain.Differs, "append", "delivery %q has no ULID: %w", f.id, err)}
	}
	status := domain.Duplicate
	if id == p.ID {
		status = f.status
	}
	return answer{receipt: domain.Receipt{Delivery: id, Status: status}}
}

// add plans the rows of one delivery.
func (pl *plan) add(p *prepared) (found, error) {
	f := found{
		position: pl.after.position + 1, records: len(p.facts), id: p.ID.String(), status: p.status, body: p.body,
		origin: cmp.Or(p.origin, pl.after.position+1), booked: p.status == domain.Accepted,
	}
	envelope := p.envelope()
	for _, fact := range p.facts {
		if fork, ok := fact.fact.Event.(domain.LogForked); ok {
			if err := pl.mayFork(fork); err != nil {
				return found{}, err
			}
		}
		pl.after.position++
		r := domain.Record{
			Position:   pl.after.position,
			Kind:       fact.fact.Event.Kind(),
			Source:     p.Source,
			OccurredAt: fact.fact.OccurredAt,
			RecordedAt: pl.after.recordedAt,
			Delivery:   p.ID,
			Envelope:   envelope,
			Cause:      p.Cause,
			Test:       p.Test,
			Data:       fact.data,
			Personal:   fact.personal,
		}
		var err error
		if r.ID, err = ulid.New(ulid.Timestamp(r.RecordedAt), pl.ids); err != nil {
			return found{}, err
		}
		pl.record = r.AppendBytes(pl.record[:0])
		leaf := tree.Leaf(pl.record)
		pl.after.frontier.Append(leaf)
		root := pl.after.frontier.Root()
		pl.records.add(0, intCell(r.Position), ulidCell(r.ID), bytesCell(leaf[:]), bytesCell(root[:]))
		pl.records.add(4, fact.cells...)
		f.planned = append(f.planned, domain.ReceiptRecord{
			Position: r.Position, ID: r.ID, Kind: r.Kind, Leaf: base64.StdEncoding.EncodeToString(leaf[:]),
		})
	}
	pl.addKeys(p)
	position := intCell(f.position)
	pl.deliveries.add(0, position, intCell(int64(f.records)))
	pl.deliveries.add(2, p.cells...)
	source := textCell(p.Source)
	if p.key != "" {
		pl.guardKeys.add(0, source, textCell(p.key))
	}
	for _, s := range p.scopes {
		scope := textCell(s)
		pl.scopes.add(0, source, scope, position)
		if p.key == "" {
			pl.guardScopes.add(0, source, scope, bytesCell(p.body[:]))
		}
	}
	return f, nil
}

// addKeys plans the rows of the keys that p is sealed with and that are not in the
// database yet.
func (pl *plan) addKeys(p *prepared) {
	for _, k := range p.keys.used {
		if slices.Contains(pl.newKeys, k) || k.subject != "" && p.keys.keys.isStored(k) {
			continue
		}
		pl.newKeys = append(pl.newKeys, k)
		pl.keys.add(0, bytesCell(k.id[:]), textOrNullCell(k.subject), intCell(int64(k.epoch)), bytesCell(k.wrapped))
	}
}

// mayFork refuses the record that opens an epoch unless it follows the state that
// it names: whoever read that, somebody may have appended since.
func (pl *plan) mayFork(fork domain.LogForked) error {
	if root := pl.after.frontier.Root(); fork.Size != pl.after.position || fork.Root != root.String() {
		return domain.Errorf(domain.Refused, "fork the log", "it has %d records by now, and had %d when it was looked at", pl.after.position, fork.Size).
			WithHint("Stop whatever appends to it, and run the command again.")
	}
	return nil
}

// args returns the parameters of append.sql. If guarded, the statement refuses
// to append what may be a repetition; otherwise that was looked up before.
func (pl *plan) args(guarded bool) []any {
	keys, scopes := pl.guardKeys, pl.guardScopes
	if !guarded {
		keys, scopes = make(columns, len(keys)), make(columns, len(scopes))
	}
	args := []any{pl.before.position, pl.after.position, pl.after.recordedAt, pl.after.frontier.Bytes()}
	for _, c := range []columns{keys, scopes, pl.deliveries, pl.records, pl.scopes, pl.keys} {
		args = append(args, c.args()...)
	}
	return args
}

// newHead returns the head that a row of head describes. The root of the log's
// last record must be the frontier's: nothing is appended to a log whose end was
// changed.
func newHead(position int64, recordedAt time.Time, frontier, root []byte) (head, error) {
	f, err := tree.Parse(position, frontier)
	if err == nil && position > 0 && !bytes.Equal(rootOf(f), root) {
		err = fmt.Errorf("the record at %d does not have the root of the head", position)
	}
	if err != nil {
		return head{}, domain.Errorf(domain.Differs, "read head", "%w", err).
			WithHint("The end of the log was changed by hand; restore it from a backup.")
	}
	return head{position, recordedAt.UTC(), f}, nil
}

func rootOf(f *tree.Frontier) []byte {
	root := f.Root()
	return root[:]
}
