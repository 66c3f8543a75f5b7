package postgres

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
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

// found is a delivery that is in the log already, or earlier in the same batch.
type found struct {
	position int64 // of its first record
	records  int
	id       string
	status   domain.Status
	body     [32]byte
	planned  []domain.ReceiptRecord // its records, if it is of the same batch
}

// existing is what the log, and the batch so far, hold of the deliveries of a
// batch.
type existing struct {
	byKey   map[[2]string][]found // source and key
	byScope map[[2]string]found   // source and scope: the last one
	byID    map[string]found
}

func newExisting() *existing {
	return &existing{make(map[[2]string][]found), make(map[[2]string]found), make(map[string]found)}
}

// repeated returns the delivery that p repeats, if it repeats one, and the
// first delivery that it contradicts, if it does that instead.
func (e *existing) repeated(p *prepared) (same, contradicted *found) {
	if f, ok := e.byID[p.ID.String()]; ok {
		return &f, nil
	}
	if len(p.scopes) > 0 {
		var last found
		for _, scope := range p.scopes {
			f, ok := e.byScope[[2]string{p.Source, scope}]
			if !ok || f.body != p.body {
				return nil, nil
			}
			last = f
		}
		return &last, nil
	}
	list := e.byKey[[2]string{p.Source, p.key}]
	for i := range list {
		if list[i].body == p.body {
			return &list[i], nil
		}
	}
	if len(list) > 0 {
		return nil, &list[0]
	}
	return nil, nil
}

// add says that p is in the log now.
func (e *existing) add(p *prepared, f found) {
	if len(p.scopes) == 0 {
		key := [2]string{p.Source, p.key}
		e.byKey[key] = append(e.byKey[key], f)
	}
	for _, scope := range p.scopes {
		e.byScope[[2]string{p.Source, scope}] = f
	}
}

// A plan is what a batch will do to the log: the rows to write, and the answer
// to each delivery once they are written.
type plan struct {
	before, after head
	answers       []answer
	repeated      []repetition // answers whose records have to be read yet
	deliveries    columns
	scopes        columns
	records       columns
	guardKeys     columns
	guardScopes   columns
}

// A repetition is a delivery of the batch that repeats one in the log.
type repetition struct {
	answer int // its index
	first  found
}

// columns are parallel text arrays, one per column of a statement.
type columns []textArray

func (c columns) add(cells ...projections.Cell) {
	for i, cell := range cells {
		c[i] = append(c[i], cell)
	}
}

func (c columns) args() []any {
	args := make([]any, len(c))
	for i, column := range c {
		args[i] = column
	}
	return args
}

func cell(s string) projections.Cell       { return projections.Cell{Text: s} }
func cellOrNull(s string) projections.Cell { return projections.Cell{Text: s, Null: s == ""} }
func cellOf(v any) projections.Cell        { return projections.Cell{Text: fmt.Sprint(v)} }
func bytesCell(b []byte) projections.Cell {
	return projections.Cell{Text: `\x` + hex.EncodeToString(b), Null: b == nil}
}
func momentCell(t time.Time) projections.Cell { return cell(micros(t).Format(time.RFC3339Nano)) }
func ulidCell(id ulid.ULID) projections.Cell {
	if id.IsZero() {
		return projections.Cell{Null: true}
	}
	return cell(id.String())
}

// newPlan decides what becomes of each delivery of the batch after h, given what
// is in the log.
func newPlan(batch []*prepared, h head, e *existing, now time.Time) (*plan, error) {
	pl := &plan{
		before:      h,
		after:       head{h.position, micros(now), h.frontier.Clone()},
		answers:     make([]answer, len(batch)),
		deliveries:  make(columns, 15),
		scopes:      make(columns, 3),
		records:     make(columns, 12),
		guardKeys:   make(columns, 2),
		guardScopes: make(columns, 3),
	}
	// Time never runs backwards in the log, whatever the clock does.
	if pl.after.recordedAt.Before(h.recordedAt) {
		pl.after.recordedAt = h.recordedAt
	}
	ids := ulid.Monotonic(rand.Reader, 0)
	for i, p := range batch {
		same, contradicted := e.repeated(p)
		if same != nil {
			pl.answers[i] = repeatedAnswer(p, *same)
			pl.answers[i].receipt.Records = same.planned
			if same.planned == nil {
				pl.repeated = append(pl.repeated, repetition{i, *same})
			}
			continue
		}
		if contradicted != nil {
			var err error
			if p, err = p.conflicting(contradicted.id); err != nil {
				return nil, err
			}
		}
		f, err := pl.add(p, ids)
		if err != nil {
			return nil, err
		}
		e.add(p, f)
		pl.answers[i].receipt = domain.Receipt{Delivery: p.ID, Status: p.status, Records: f.planned}
	}
	return pl, nil
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
func (pl *plan) add(p *prepared, ids ulid.MonotonicReader) (found, error) {
	f := found{position: pl.after.position + 1, records: len(p.facts), id: p.ID.String(), status: p.status, body: p.body}
	for _, fact := range p.facts {
		pl.after.position++
		r := domain.Record{
			Position:   pl.after.position,
			Kind:       fact.fact.Event.Kind(),
			Source:     p.Source,
			OccurredAt: fact.fact.OccurredAt,
			RecordedAt: pl.after.recordedAt,
			Delivery:   p.ID,
			BodySHA256: p.body,
			Cause:      p.Cause,
			Test:       p.Test,
			Data:       fact.data,
			Personal:   fact.personal,
		}
		var err error
		if r.ID, err = ulid.New(ulid.Timestamp(r.RecordedAt), ids); err != nil {
			return found{}, err
		}
		leaf := tree.Leaf(r.AppendBytes(nil))
		pl.after.frontier.Append(leaf)
		root := pl.after.frontier.Root()
		pl.records.add(cellOf(r.Position), ulidCell(r.ID), cell(string(r.Kind)), cell(r.Source), momentCell(r.OccurredAt),
			ulidCell(r.Delivery), ulidCell(r.Cause), cellOf(r.Test), cell(string(r.Data)), bytesCell(r.Personal),
			bytesCell(leaf[:]), bytesCell(root[:]))
		f.planned = append(f.planned, domain.ReceiptRecord{
			Position: r.Position, ID: r.ID, Kind: r.Kind, Leaf: base64.StdEncoding.EncodeToString(leaf[:]),
		})
	}
	pl.deliveries.add(cellOf(f.position), cellOf(f.records), ulidCell(p.ID), cell(p.Source), cell(p.Topic), cellOrNull(p.key),
		cell(string(p.status)), cellOf(p.Test), cell(strings.Join(p.Flags, ",")), cell(p.Verified), momentCell(p.ReceivedAt),
		ulidCell(p.Cause), cell(string(p.header)), bytesCell(nonNil(p.Body)), bytesCell(p.body[:]))
	if p.key != "" {
		pl.guardKeys.add(cell(p.Source), cell(p.key))
	}
	for _, scope := range p.scopes {
		pl.scopes.add(cell(p.Source), cell(scope), cellOf(f.position))
		pl.guardScopes.add(cell(p.Source), cell(scope), bytesCell(p.body[:]))
	}
	return f, nil
}

// nonNil returns b, or an empty slice for nil: a body may be empty, not absent.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// args returns the parameters of append.sql. If guarded, the statement refuses
// to append what may be a repetition; otherwise that was looked up before.
func (pl *plan) args(guarded bool) []any {
	keys, scopes := pl.guardKeys, pl.guardScopes
	if !guarded {
		keys, scopes = make(columns, 2), make(columns, 3)
	}
	args := []any{pl.before.position, pl.after.position, pl.after.recordedAt, pl.after.frontier.Bytes()}
	for _, c := range []columns{keys, scopes, pl.deliveries, pl.records, pl.scopes} {
		args = append(args, c.args()...)
	}
	return args
}

// scanHead reads the columns of head.
func scanHead(position int64, recordedAt time.Time, frontier []byte) (head, error) {
	f, err := tree.Parse(position, frontier)
	if err != nil {
		return head{}, domain.Errorf(domain.Differs, "read head", "%w", err).
			WithHint("The head of the log was changed by hand; restore it from a backup.")
	}
	return head{position, recordedAt.UTC(), f}, nil
}

// scanLookup reads the answer to lookup.sql for the batch.
func scanLookup(rows *sql.Rows, keys, scopes [][2]string) (h head, e *existing, err error) {
	e = newExisting()
	seen := false
	for rows.Next() {
		var (
			position         int64
			recordedAt       time.Time
			frontier, body   []byte
			how, id, status  sql.NullString
			ord, at, records sql.NullInt64
		)
		if err := rows.Scan(&position, &recordedAt, &frontier, &how, &ord, &at, &records, &id, &status, &body); err != nil {
			return head{}, nil, err
		}
		if !seen {
			seen = true
			if h, err = scanHead(position, recordedAt, frontier); err != nil {
				return head{}, nil, err
			}
		}
		f := found{position: at.Int64, records: int(records.Int64), id: id.String, status: domain.Status(status.String)}
		copy(f.body[:], body)
		switch how.String {
		case "key":
			e.byKey[keys[ord.Int64-1]] = append(e.byKey[keys[ord.Int64-1]], f)
		case "scope":
			e.byScope[scopes[ord.Int64-1]] = f
		case "id":
			e.byID[f.id] = f
		}
	}
	if err := rows.Err(); err != nil {
		return head{}, nil, err
	}
	if !seen {
		return head{}, nil, domain.Errorf(domain.Differs, "read head", "there is no head row")
	}
	return h, e, nil
}

// lookupArgs returns the parameters of lookup.sql, and the keys and scopes they
// ask for.
func lookupArgs(batch []*prepared, byID bool) (args []any, keys, scopes [][2]string) {
	var keySources, keyTexts, scopeSources, scopeTexts, ids pq.StringArray
	asked := make(map[[2]string]bool)
	for _, p := range batch {
		if key := [2]string{p.Source, p.key}; p.key != "" && !asked[key] {
			asked[key] = true
			keys = append(keys, key)
			keySources, keyTexts = append(keySources, p.Source), append(keyTexts, p.key)
		}
		for _, s := range p.scopes {
			scope := [2]string{p.Source, s}
			scopes = append(scopes, scope)
			scopeSources, scopeTexts = append(scopeSources, p.Source), append(scopeTexts, s)
		}
		if byID {
			ids = append(ids, p.ID.String())
		}
	}
	return []any{keySources, keyTexts, scopeSources, scopeTexts, ids}, keys, scopes
}
