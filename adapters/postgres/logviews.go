package postgres

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/projections"
)

// A logTable is a relation over the log's own tables that a view shows. Its
// rows are never folded, so they are never parsed.
type logTable struct {
	name    string
	columns []projections.Column
	from    string // $1 is the last position that counts, $2 the moment as of which
}

func (t logTable) Name() string                                { return t.name }
func (t logTable) IsJournal() bool                             { return false }
func (t logTable) Columns() []projections.Column               { return t.columns }
func (t logTable) KeyColumns() int                             { return 1 }
func (t logTable) Indexes() [][]string                         { return nil }
func (t logTable) Cells(row any) []projections.Cell            { return row.([]projections.Cell) }
func (t logTable) Parse(cells []projections.Cell) (any, error) { return cells, nil }

// relation returns t as it can be selected from. Text orders byte by byte, as in
// the tables of projections, so that pages are the same on every server.
func (t logTable) relation() string {
	names := columnNames(t.columns)
	for i, c := range t.columns {
		if c.Type == projections.TypeText {
			names[i] += ` COLLATE "C" AS ` + names[i]
		}
	}
	return `(SELECT ` + strings.Join(names, ", ") + ` FROM (` + t.from + `) l) t`
}

func column(name string, typ projections.Type) projections.Column {
	return projections.Column{Name: name, Type: typ}
}

func optional(name string, typ projections.Type) projections.Column {
	return projections.Column{Name: name, Type: typ, Optional: true}
}

// contradicts is the delivery that a conflict d contradicts: the first one with
// its key.
const contradicts = `CASE WHEN d.status = 'conflict' THEN (
		SELECT f.id FROM delivery f WHERE f.source = d.source AND f.key = d.key AND f.position < d.position ORDER BY f.position LIMIT 1
	) END AS contradicts`

// projectionsView is the one view of the log that is not of the log alone.
const projectionsView = "projections"

// LogViews returns the views of the log: its records, the deliveries they came
// from, those in quarantine, and how the projections are doing.
func LogViews() []projections.View {
	tables := []struct {
		title string
		table logTable
	}{
		{"Records of the log", logTable{"records", []projections.Column{
			column("position", projections.TypeInteger),
			column("id", projections.TypeText),
			column("kind", projections.TypeText),
			column("source", projections.TypeText),
			column("occurred_at", projections.TypeTime),
			column("recorded_at", projections.TypeTime),
			column("delivery", projections.TypeText),
			optional("cause", projections.TypeText),
			column("test", projections.TypeBool),
			column("data", projections.TypeText),
			column("leaf", projections.TypeText),
		}, `SELECT position, id, kind, source, occurred_at, recorded_at, delivery, cause, test, data::text AS data, encode(leaf, 'base64') AS leaf
			FROM log WHERE position <= $1 AND least(occurred_at, recorded_at) <= $2`}},
		{"Deliveries", logTable{"deliveries", []projections.Column{
			column("position", projections.TypeInteger),
			column("id", projections.TypeText),
			column("source", projections.TypeText),
			column("topic", projections.TypeText),
			column("status", projections.TypeText),
			column("received_at", projections.TypeTime),
			column("records", projections.TypeInteger),
			column("test", projections.TypeBool),
			column("flags", projections.TypeText),
			column("verified", projections.TypeText),
			column("bytes", projections.TypeInteger),
			optional("cause", projections.TypeText),
			column("replay", projections.TypeBool),
			column("fetched", projections.TypeText),
			optional("contradicts", projections.TypeText),
		}, `SELECT position, d.id, d.source, topic, status, received_at, records::bigint, d.test, flags, verified, length(body)::bigint - ` + strconv.Itoa(seal.Overhead) + ` AS bytes,
				d.cause, replay, fetched, ` + contradicts + `
			FROM delivery d JOIN log USING (position) WHERE position <= $1 AND least(received_at, recorded_at) <= $2`}},
		{"Deliveries in quarantine", logTable{"quarantine", []projections.Column{
			column("position", projections.TypeInteger),
			column("delivery", projections.TypeText),
			column("source", projections.TypeText),
			column("topic", projections.TypeText),
			column("reason", projections.TypeText),
			column("field", projections.TypeText),
			column("recorded_at", projections.TypeTime),
			column("status", projections.TypeText), // open, or booked: by a replay, or by what was fetched for it
			optional("booked", projections.TypeInteger),
			optional("contradicts", projections.TypeText),
		}, `SELECT l.position, l.delivery, l.source, coalesce(data->>'topic', '') AS topic, data->>'reason' AS reason, coalesce(data->>'field', '') AS field, recorded_at,
				CASE WHEN r.position IS NULL THEN 'open' ELSE 'booked' END AS status, r.position AS booked, ` + contradicts + `
			FROM log l JOIN delivery d ON d.id = l.delivery 
				LEFT JOIN LATERAL (SELECT min(r.position) AS position FROM delivery r JOIN log b USING (position)
					WHERE r.cause = l.delivery AND r.status = 'accepted' AND r.position <= $1 AND least(r.received_at, b.recorded_at) <= $2) r ON true
			WHERE kind = 'intake.quarantined.v1' AND l.position <= $1 AND least(occurred_at, recorded_at) <= $2`}},
		{"Projections", logTable{projectionsView, []projections.Column{
			column("name", projections.TypeText),
			column("version", projections.TypeInteger),
			column("status", projections.TypeText),
			column("position", projections.TypeInteger),
			column("head", projections.TypeInteger),
			column("lag", projections.TypeInteger),
			optional("stopped_at", projections.TypeInteger),
			optional("reason", projections.TypeText),
			optional("updated_at", projections.TypeTime), // asked about the past: when what it had seen last was recorded
		}, `SELECT p.name, p.version::bigint, CASE WHEN p.stopped_at IS NULL THEN 'running' ELSE 'stopped' END AS status,
				least(c.position, $1) AS position, $1 AS head, $1 - least(c.position, $1) AS lag, p.stopped_at, p.reason, c.updated_at
			FROM projection p JOIN cursor c ON c.follower = 'projection/' || p.name WHERE $2::timestamptz IS NOT NULL`}},
	}
	views := make([]projections.View, len(tables))
	for i, t := range tables {
		columns := make([]any, len(t.table.columns))
		for j, c := range t.table.columns {
			columns[j] = c.Name
		}
		views[i] = projections.NewView(t.table.name, t.title, t.table, columns...)
	}
	return views
}

// AskLog answers a question to one of the [LogViews], as [Projector.Ask] does.
//
// How far a projection had come at some moment is nowhere recorded. Asked about
// the past, log/projections therefore says how far it comes by the log alone.
func (e *Projector) AskLog(ctx context.Context, _ *projections.Projection, v projections.View, q projections.Query) (Answer, error) {
	t, ok := v.Table.(logTable)
	if !ok {
		return Answer{}, domain.Errorf(domain.Internal, "ask", "%s is no view of the log", v.Name)
	}
	known, err := resolveKnown(ctx, e.db, q)
	if err != nil {
		return Answer{}, err
	}
	now := known == 0 && q.AsOf.IsZero()
	if known == 0 {
		if known, err = Head(ctx, e.db); err != nil {
			return Answer{}, err
		}
	}
	ask := question{Query: q, view: v}
	if ask.known, err = stateAt(ctx, e.db, known); err != nil {
		return Answer{}, err
	}
	ask.AsOf = orLatest(q.AsOf, e.now(), ask.known.recordedAt)
	var page projections.Page
	if t.name == projectionsView && !now {
		page, err = e.askProjections(ctx, t, ask)
	} else {
		page, err = e.askTable(ctx, t, ask)
	}
	if err != nil {
		return Answer{}, err
	}
	return ask.answer(page), nil
}

// askTable answers a question from the log's own tables.
func (e *Projector) askTable(ctx context.Context, t logTable, q question) (projections.Page, error) {
	args := []any{q.known.position, q.AsOf}
	inner, _ := selectRows(t.relation(), t, q.view.Selection(q.Query, 0), &args)
	rows, err := e.db.QueryContext(ctx, `SELECT `+inner, args...)
	if err != nil {
		return projections.Page{}, unreachable(err)
	}
	page, err := q.view.Ask(ctx, logRows{rows}, e.Opener, q.Query, 0)
	return page, unreachable(errors.Join(err, rows.Close()))
}

// askProjections answers a question about how far the projections came with what
// was recorded by some moment in the past.
func (e *Projector) askProjections(ctx context.Context, t logTable, q question) (projections.Page, error) {
	position, err := positionBy(ctx, e.db, q.AsOf, q.known.position)
	if err != nil {
		return projections.Page{}, err
	}
	head, err := stateAt(ctx, e.db, position)
	if err != nil {
		return projections.Page{}, err
	}
	list, err := e.List(ctx)
	if err != nil {
		return projections.Page{}, err
	}
	m := projections.NewMemory(&projections.Projection{Tables: []projections.Table{t}})
	for i, p := range e.all {
		row, err := e.howFar(ctx, p, list[i], head)
		if err != nil {
			return projections.Page{}, err
		}
		m.Put(t, p.Name, row)
	}
	return q.view.Ask(ctx, m, e.Opener, q.Query, 0)
}

// howFar returns the row of a projection in log/projections: how far it comes in
// a log that ends at head.
func (e *Projector) howFar(ctx context.Context, p *projections.Projection, now ProjectionStatus, head state) ([]projections.Cell, error) {
	n := func(n int64) projections.Cell { return projections.Cell{Text: strconv.FormatInt(n, 10)} }
	null := projections.Cell{Null: true}
	at, status, stoppedAt, reason := head, "running", null, null
	if now.Version != p.Version || now.Position < head.position { // else it got beyond
		_, err := e.fold(ctx, past{projection: p, known: head}, nil)
		if stop, ok := errors.AsType[*projections.FoldError](err); ok {
			at, err = stateAt(ctx, e.db, stop.Position-1)
			status, stoppedAt, reason = "stopped", n(stop.Position), projections.Cell{Text: stop.Err.Error()}
		}
		if err != nil {
			return nil, err
		}
	}
	return []projections.Cell{
		{Text: p.Name},
		n(int64(p.Version)),
		{Text: status},
		n(at.position), n(head.position), n(head.position - at.position),
		stoppedAt, reason, projections.TimeCell(at.recordedAt),
	}, nil
}

// logRows are the rows of one statement as a [projections.Source].
type logRows struct{ rows *sql.Rows }

// Scan implements [projections.Source] for the selection of the statement.
func (r logRows) Scan(_ context.Context, t projections.Table, _ projections.Selection) iter.Seq2[[]projections.Cell, error] {
	return func(yield func([]projections.Cell, error) bool) {
		for r.rows.Next() {
			cells, err := scanCells(r.rows, t.Columns())
			if !yield(cells, err) || err != nil {
				return
			}
		}
		if err := r.rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}
