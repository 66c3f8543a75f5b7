package postgres

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An Answer is what a view says, and about which state of the log it says it:
// with as_of and known pinned to these values the same question gives the same
// rows for ever.
type Answer struct {
	AsOf  time.Time
	Known int64  // the last position that counts; 0: the log is empty
	Root  string // base64 root of the log's tree at Known; "" if it is empty
	projections.Page
}

// Ask answers a question to a view of p.
//
// As long as it is about all that p has folded, the rows come from the live
// tables, and those of a journal up to any position as well. Any other question is
// answered by folding the log again in memory, up to the position known and
// without what had not happened by then: the only way that is right for every
// fold, since a late fact may change everything after it.
//
// With as_of and known pinned the answer is a function of the log's first records
// and of the version of p, and so the same for ever; but for personal texts, which
// are erased everywhere at once. Live tables of another version do not answer it.
func (e *Projector) Ask(ctx context.Context, p *projections.Projection, v projections.View, q projections.Query) (Answer, error) {
	known, err := resolveKnown(ctx, e.db, q)
	if err != nil {
		return Answer{}, err
	}
	ask := question{Query: q, view: v, pinned: known > 0 && !q.AsOf.IsZero()}
	if known > 0 {
		if ask.known, err = stateAt(ctx, e.db, known); err != nil {
			return Answer{}, err
		}
	}
	page, answered, err := e.askLive(ctx, p, &ask)
	if err == nil && !answered {
		page, err = e.askPast(ctx, p, ask)
	}
	if err != nil {
		return Answer{}, err
	}
	return ask.answer(page), nil
}

// A question is a query to a view, and what the log was like at the position that
// it is about.
type question struct {
	projections.Query
	view   projections.View
	known  state // the zero one: what the live tables are at
	pinned bool  // it says what is known, and as of when
}

// answer says what a page is about.
func (q question) answer(page projections.Page) Answer {
	return Answer{AsOf: q.AsOf, Known: q.known.position, Root: q.known.root, Page: page}
}

// everything reports whether all that is known had happened by then.
func (q question) everything() bool { return !q.AsOf.Before(q.known.recordedAt) }

// askLive completes the question, and answers it if the live tables can.
func (e *Projector) askLive(ctx context.Context, p *projections.Projection, q *question) (page projections.Page, answered bool, err error) {
	journal, upTo := q.view.Table.IsJournal(), int64(0)
	if journal {
		upTo = q.known.position
	}
	s := q.view.Selection(q.Query, upTo)
	if q.view.Personal() && (s.Limit == 0 || s.Limit > projections.OpenAtOnce) {
		// The keys are read while the rows are: over a second connection.
		release, err := e.takeLong(ctx)
		if err != nil {
			return page, false, err
		}
		defer release()
	}
	rows, err := openLive(ctx, e.db, p.Name, Follower(p), q.view.Table, s)
	if err != nil {
		return page, false, err
	}
	defer func() { err = errors.Join(err, unreachable(rows.Close())) }()
	live := rows.state
	if q.known.position == 0 {
		q.known = live
	}
	q.AsOf = orLatest(q.AsOf, e.now(), q.known.recordedAt)
	there := q.known.position == live.position || journal && q.known.position < live.position
	if rows.rows == nil || !there || !q.everything() || q.pinned && rows.version != p.Version {
		return page, false, nil
	}
	page, err = q.view.Ask(ctx, rows, e.Opener, q.Query, upTo)
	return page, true, unreachable(err)
}

// orLatest returns the moment a question is about: the one it names, or now. No
// record counts as later than the moment it was recorded, so now leaves out
// nothing, even if the clock of who recorded was ahead.
func orLatest(asked, now, recordedAt time.Time) time.Time {
	switch {
	case !asked.IsZero():
		return asked
	case now.Before(recordedAt):
		return recordedAt
	}
	return micros(now)
}

// A state is the log as it was when it ended at a position.
type state struct {
	position   int64
	recordedAt time.Time // of its last record; zero if there is none
	root       string
}

func stateAt(ctx context.Context, q querier, position int64) (state, error) {
	s := state{position: position}
	if position == 0 {
		return s, nil
	}
	var root []byte
	err := q.QueryRowContext(ctx, `SELECT recorded_at, root FROM log WHERE position = $1`, position).Scan(&s.recordedAt, &root)
	if err != nil {
		return state{}, unreachable(err)
	}
	s.recordedAt, s.root = s.recordedAt.UTC(), base64.StdEncoding.EncodeToString(root)
	return s, nil
}

// resolveKnown returns the position by which a question wants things known, or
// 0 if it does not say.
func resolveKnown(ctx context.Context, q querier, query projections.Query) (int64, error) {
	if query.Known == 0 && query.KnownAt.IsZero() {
		return 0, nil
	}
	head, err := Head(ctx, q)
	if err != nil {
		return 0, err
	}
	if query.KnownAt.IsZero() {
		if query.Known > head {
			return 0, domain.Errorf(domain.Invalid, "parameter known", "is %d, and the log ends at %d", query.Known, head).
				WithHint("Leave known out to ask about everything recorded so far.")
		}
		return query.Known, nil
	}
	position, err := positionBy(ctx, q, query.KnownAt, head)
	if err == nil && position == 0 {
		err = domain.Errorf(domain.Invalid, "parameter known", "nothing was recorded by %s", query.KnownAt.Format(time.RFC3339))
	}
	return position, err
}

// positionBy returns the last position recorded by t. Times never run backwards
// in the log, so it looks at a few records only.
func positionBy(ctx context.Context, q querier, t time.Time, head int64) (int64, error) {
	low, high := int64(0), head // recorded by t: low; not all of (low, high] are
	for low < high {
		middle := high - (high-low)/2
		s, err := stateAt(ctx, q, middle)
		if err != nil {
			return 0, err
		}
		if s.recordedAt.After(t) {
			high = middle - 1
		} else {
			low = middle
		}
	}
	return low, nil
}

// liveRows are the rows of a live table that a selection takes, together with
// the position they are at: one statement reads both, since the tables may be
// swapped for others between two.
type liveRows struct {
	state   state
	version int // of the projection that made them
	columns []projections.Column
	rows    *sql.Rows          // nil: the tables have not the columns of this version
	first   []projections.Cell // nil: there are no rows
}

func openLive(ctx context.Context, q querier, schema, follower string, t projections.Table, s projections.Selection) (*liveRows, error) {
	args := []any{follower, schema}
	inner, order := selectRows(relation(schema, t), t, s, &args)
	query := `SELECT c.position, p.version, l.recorded_at, l.root, t.present, ` + prefixed("t.", columnNames(t.Columns())) + `
		FROM cursor c
		JOIN projection p ON p.name = $2
		LEFT JOIN log l ON l.position = c.position
		LEFT JOIN LATERAL (SELECT true AS present, ` + inner + `) t ON true
		WHERE c.follower = $1 ORDER BY ` + order
	rows, err := q.QueryContext(ctx, query, args...)
	if pq.As(err, pqerror.UndefinedTable, pqerror.UndefinedColumn) != nil {
		// There are none, or they are of a version that had no such column.
		return cursorOnly(ctx, q, schema, follower)
	}
	if err != nil {
		return nil, unreachable(err)
	}
	r := &liveRows{columns: t.Columns(), rows: rows}
	if !rows.Next() {
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, unreachable(err)
		}
		return nil, noTables(schema)
	}
	if r.first, err = r.scan(); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return r, nil
}

// cursorOnly returns where the live tables are, without rows.
func cursorOnly(ctx context.Context, q querier, schema, follower string) (*liveRows, error) {
	var position int64
	err := q.QueryRowContext(ctx, `SELECT position FROM cursor WHERE follower = $1`, follower).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noTables(schema)
	}
	if err != nil {
		return nil, unreachable(err)
	}
	s, err := stateAt(ctx, q, position)
	return &liveRows{state: s}, err
}

func noTables(schema string) error {
	return domain.Errorf(domain.NotFound, "view", "projection %s has no tables yet", schema).WithHint("Run: daybook serve")
}

// scan reads the current row, and the state with it. It returns nil if the
// table has no rows that are selected.
func (r *liveRows) scan() ([]projections.Cell, error) {
	var recordedAt sql.NullTime
	var root []byte
	var present sql.NullBool
	cells, err := scanCells(r.rows, r.columns, &r.state.position, &r.version, &recordedAt, &root, &present)
	if err != nil {
		return nil, err
	}
	if recordedAt.Valid && r.state.root == "" { // the same in every row
		r.state.recordedAt, r.state.root = recordedAt.Time.UTC(), base64.StdEncoding.EncodeToString(root)
	}
	if !present.Valid {
		return nil, nil
	}
	return cells, nil
}

// Close gives the connection back.
func (r *liveRows) Close() error {
	if r.rows == nil {
		return nil
	}
	return r.rows.Close()
}

// Scan implements [projections.Source] for the selection it was opened with.
func (r *liveRows) Scan(context.Context, projections.Table, projections.Selection) iter.Seq2[[]projections.Cell, error] {
	return func(yield func([]projections.Cell, error) bool) {
		if r.first == nil || !yield(r.first, nil) {
			return
		}
		for r.rows.Next() {
			cells, err := r.scan()
			if !yield(cells, err) || err != nil {
				return
			}
		}
		if err := r.rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func prefixed(prefix string, names []string) string {
	return prefix + strings.Join(names, ", "+prefix)
}

// selectRows returns the rest of a SELECT of t's columns from a relation that
// gives what s selects, in its order, and the ORDER BY of the whole statement,
// in which the relation is called t. It adds its parameters to args.
func selectRows(from string, t projections.Table, s projections.Selection, args *[]any, extra ...string) (inner, order string) {
	columns, names := t.Columns(), columnNames(t.Columns())
	param := func(c projections.Column, cell projections.Cell) string {
		if cell.Null {
			return "NULL"
		}
		*args = append(*args, cell.Text)
		return fmt.Sprintf("$%d::text::%s", len(*args), strings.TrimSuffix(arrayType(c.Type), "[]"))
	}
	where := extra
	for _, m := range s.Filter {
		if m.Cell.Null {
			where = append(where, names[m.Column]+" IS NULL")
			continue
		}
		where = append(where, fmt.Sprintf("%s = %s", names[m.Column], param(columns[m.Column], m.Cell)))
	}
	if s.UpTo > 0 {
		*args = append(*args, s.UpTo)
		where = append(where, fmt.Sprintf("position <= $%d", len(*args)))
	}
	by := make([]int, 0, 1+t.KeyColumns())
	if s.Sort >= 0 {
		by = append(by, s.Sort)
	}
	for i := range t.KeyColumns() {
		by = append(by, i)
	}
	direction, compare := "", ">"
	if s.Descending {
		direction, compare = " DESC", "<"
	}
	terms, outer := make([]string, len(by)), make([]string, len(by))
	for i, column := range by {
		terms[i] = names[column] + direction
		outer[i] = "t." + names[column] + direction
	}
	if s.After != nil {
		where = append(where, after(columns, names, by, s, compare, param))
	}
	inner = strings.Join(names, ", ") + ` FROM ` + from
	if len(where) > 0 {
		inner += ` WHERE ` + strings.Join(where, " AND ")
	}
	inner += ` ORDER BY ` + strings.Join(terms, ", ")
	if s.Limit > 0 {
		inner += fmt.Sprintf(" LIMIT %d", s.Limit)
	}
	return inner, strings.Join(outer, ", ")
}

// after returns the condition that a row comes behind s.After. Null is greater
// than everything else, in PostgreSQL's order as in ours.
func after(columns []projections.Column, names []string, by []int, s projections.Selection, compare string, param func(projections.Column, projections.Cell) string) string {
	key := func(from int) string {
		var left, right []string
		for i := from; i < len(by); i++ {
			left = append(left, names[by[i]])
			right = append(right, param(columns[by[i]], s.After[i]))
		}
		return fmt.Sprintf("(%s) %s (%s)", strings.Join(left, ", "), compare, strings.Join(right, ", "))
	}
	if s.Sort < 0 || !columns[s.Sort].Optional {
		return key(0)
	}
	sort := names[s.Sort]
	switch {
	case s.After[0].Null && s.Descending:
		return fmt.Sprintf("(%s IS NOT NULL OR %s)", sort, key(1))
	case s.After[0].Null:
		return fmt.Sprintf("(%s IS NULL AND %s)", sort, key(1))
	case s.Descending:
		return key(0)
	}
	return fmt.Sprintf("(%s IS NULL OR %s)", sort, key(0))
}
