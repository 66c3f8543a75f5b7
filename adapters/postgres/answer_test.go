package postgres_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/certifications"
	creditbooks "github.com/daybook-ledger/daybook/projections/credits"
	"github.com/daybook-ledger/daybook/projections/directory"
	"github.com/daybook-ledger/daybook/projections/sales"
	"github.com/daybook-ledger/daybook/projections/trustgroups"
)

// realProjections are those that the program has.
func realProjections() []*projections.Projection {
	return []*projections.Projection{
		creditbooks.Projection(), sales.Projection(), trustgroups.Projection(), certifications.Projection(), directory.Projection(),
	}
}

// A shelfLine is a row with a cell of every type, null or not.
type shelfLine struct {
	source, line string
	remaining    decimal.Decimal
	before       *decimal.Decimal // nil at first
	changes      int64
	even         bool
	emptySince   time.Time // zero if there is something left
	reportedAt   time.Time
}

type shelfPerson struct{ kind, person, name string }

type shelfMove struct {
	line     string
	quantity decimal.Decimal
	before   *decimal.Decimal
}

var shelfLines = projections.NewKeyed("lines", 2,
	projections.Text("source", func(r *shelfLine) *string { return &r.source }),
	projections.Text("line", func(r *shelfLine) *string { return &r.line }),
	projections.Decimal("remaining", func(r *shelfLine) *decimal.Decimal { return &r.remaining }),
	projections.OptionalDecimal("before", func(r *shelfLine) **decimal.Decimal { return &r.before }),
	projections.Integer("changes", func(r *shelfLine) *int64 { return &r.changes }),
	projections.Bool("even", func(r *shelfLine) *bool { return &r.even }),
	projections.Time("empty_since", func(r *shelfLine) *time.Time { return &r.emptySince }),
	projections.Time("reported_at", func(r *shelfLine) *time.Time { return &r.reportedAt }),
)

var shelfPeople = projections.NewKeyed("people", 2,
	projections.Text("kind", func(r *shelfPerson) *string { return &r.kind }),
	projections.Text("person", func(r *shelfPerson) *string { return &r.person }),
	projections.Personal("name", func(r *shelfPerson) *string { return &r.name }),
)

var shelfMoves = projections.NewJournal("moves",
	projections.Text("line", func(r *shelfMove) *string { return &r.line }),
	projections.Decimal("quantity", func(r *shelfMove) *decimal.Decimal { return &r.quantity }),
	projections.OptionalDecimal("before", func(r *shelfMove) **decimal.Decimal { return &r.before }),
).Indexed("line")

// shelf is a small projection. A report of the line "gone" removes the row of
// the line "7"; it cannot take one of the line "bad".
func shelf() *projections.Projection {
	return &projections.Projection{
		Name: "shelf", Version: 1,
		Tables: []projections.Table{shelfLines, shelfPeople, shelfMoves},
		Fold:   foldShelf,
		Views: []projections.View{
			projections.NewView("lines", "Lines", shelfLines, "line", "source", "remaining", "before", "changes",
				projections.Computed("age", projections.TypeText, func(r shelfLine, at time.Time) projections.Cell {
					if r.reportedAt.Before(at.AddDate(0, 0, -10)) {
						return projections.Cell{Text: "old"}
					}
					return projections.Cell{Text: "new"}
				}), "even", "empty_since", "reported_at"),
			projections.NewView("people", "People", shelfPeople, "kind", "person", "name"),
			projections.NewView("moves", "Moves", shelfMoves, "position", "n", "event", "source", "line", "quantity", "before", "occurred_at"),
		},
	}
}

var errShelf = errors.New("the shelf has no room for it")

func foldShelf(tx *projections.Tx, r *domain.Record) error {
	switch e := r.Event.(type) {
	case domain.CreditsReported:
		if e.Line == "bad" {
			return errShelf
		}
		if e.Line == "gone" {
			shelfLines.Delete(tx, r.Source, "7")
		}
		row, ok := shelfLines.Get(tx, r.Source, e.Line)
		moved := e.Remaining.Sub(row.remaining)
		next := shelfLine{
			source: r.Source, line: e.Line, remaining: e.Remaining, changes: row.changes + 1,
			even: e.Remaining.Mod(decimal.NewFromInt(2)).IsZero(), reportedAt: r.OccurredAt,
		}
		if ok {
			next.before = &row.remaining
		}
		if e.Remaining.IsZero() {
			next.emptySince = r.OccurredAt
		}
		shelfLines.Put(tx, next)
		shelfMoves.Append(tx, shelfMove{e.Line, moved, next.before})
	case domain.DirectoryPersonSeen:
		shelfPeople.Put(tx, shelfPerson{e.PersonType, e.Person, string(e.Name)})
	}
	return nil
}

// A world is a database with a log, and what the test knows of it.
type world struct {
	t          *testing.T
	url        string
	db         *sql.DB
	appender   *postgres.Appender
	projector  *postgres.Projector
	all        []*projections.Projection
	deliveries []appended
	log        []*domain.Record // decoded; see read
	root       map[int64]string
}

type appended struct {
	domain.Delivery
	domain.Receipt
}

func newWorld(t *testing.T, all ...*projections.Projection) *world {
	t.Helper()
	url := postgrestest.URL(t)
	w := &world{t: t, url: url, db: postgrestest.Open(t, url, postgres.RoleProjector), appender: postgrestest.Appender(t, url), all: all}
	w.projector = w.newProjector(w.db)
	if err := w.projector.Setup(t.Context()); err != nil {
		t.Fatalf("set up: %v", err)
	}
	return w
}

// newProjector returns a projector that opens personal texts.
func (w *world) newProjector(db *sql.DB) *postgres.Projector {
	w.t.Helper()
	e := postgres.NewProjector(db, w.all)
	e.Opener = postgrestest.Keys(w.t, w.url)
	return e
}

// append appends a delivery and notes it.
func (w *world) append(d domain.Delivery) {
	w.t.Helper()
	w.deliveries = append(w.deliveries, appended{d, mustAppend(w.t, w.appender, d)})
}

// report is a delivery of one credit level.
func report(key int, line string, remaining int64) domain.Delivery {
	d := domain.Delivery{
		ID: ulid.Make(), Source: "one", ReceivedAt: time.Now(), Verified: "test", Body: fmt.Appendf(nil, "%s=%d", line, remaining),
		Translation: domain.Translation{Topic: "credits", Key: strconv.Itoa(key)},
	}
	d.Facts = []domain.Fact{{Event: domain.CreditsReported{Line: line, Template: "318", Remaining: decimal.NewFromInt(remaining)}}}
	return d
}

// reports appends n reports of changing levels of few lines.
func (w *world) reports(n int) {
	w.t.Helper()
	for range n {
		i := len(w.deliveries)
		w.append(report(i, strconv.Itoa(i%7), int64(i*i%11)))
	}
}

// drawDelivery draws a delivery of a few facts, most of them about the same few
// lines and people, some late, some from the future, some a test.
var drawDelivery = rapid.Custom(func(t *rapid.T) domain.Delivery {
	texts := rapid.SampledFrom([]string{"7", "8", "É", "e", "E", "a b", "ab", "_", "~", "田", "gone"})
	d := domain.Delivery{
		Source: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "source"), Verified: "test",
		Translation: domain.Translation{
			Topic: rapid.SampledFrom([]string{"credits", "Ärger", "azure", "Zebra"}).Draw(t, "topic"),
			Test:  rapid.IntRange(0, 9).Draw(t, "test") == 0,
			Flags: rapid.SampledFrom([][]string{nil, {"late"}, {"late", "odd"}}).Draw(t, "flags"),
		},
	}
	for range rapid.IntRange(0, 3).Draw(t, "facts") {
		f := domain.Fact{OccurredAt: time.Now().Add(time.Duration(rapid.IntRange(-30*24, 3*24).Draw(t, "hours")) * time.Hour)}
		switch rapid.IntRange(0, 3).Draw(t, "event") {
		case 0:
			f.Event = domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: texts.Draw(t, "person"), Name: domain.Personal(texts.Draw(t, "name"))}
		case 1:
			f.Event = rapid.SampledFrom(exampleEvents()).Draw(t, "example")
		default:
			f.Event = domain.CreditsReported{Line: texts.Draw(t, "line"), Template: "318", Remaining: decimal.NewFromInt(rapid.Int64Range(0, 12).Draw(t, "remaining"))}
		}
		d.Facts = append(d.Facts, f)
	}
	return d
})

// exampleEvents returns one event of every kind but the one that is about the log
// as it is, and is refused by any other.
func exampleEvents() []domain.Event {
	files, err := filepath.Glob("../../domain/testdata/events/*.json")
	if err != nil || len(files) == 0 {
		panic("no examples")
	}
	var events []domain.Event
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		var parts struct{ Data, Personal json.RawMessage }
		if err := json.Unmarshal(data, &parts); err != nil {
			panic(err)
		}
		if string(parts.Personal) == "null" {
			parts.Personal = nil
		}
		e, err := domain.Decode(domain.Kind(strings.TrimSuffix(filepath.Base(file), ".json")), parts.Data, parts.Personal)
		if err != nil {
			panic(err)
		}
		if _, forks := e.(domain.LogForked); !forks {
			events = append(events, e)
		}
	}
	return events
}

// random appends n drawn deliveries. Some have the key of an earlier one and
// are in conflict with it.
func (w *world) random(n int) {
	w.t.Helper()
	for range n {
		i := len(w.deliveries)
		d := drawDelivery.Example(i)
		d.ID, d.ReceivedAt = ulid.Make(), time.Now()
		d.Key, d.Body = strconv.Itoa(i), fmt.Appendf(nil, "body %d", i)
		if i%7 == 6 {
			d.ReceivedAt = d.ReceivedAt.Add(time.Hour) // by a clock that is ahead
		}
		if i%13 == 12 {
			d.Source, d.Key = w.deliveries[i-3].Source, w.deliveries[i-3].Key
		}
		if i%5 == 4 {
			d.Fetched = "rows/" + strconv.Itoa(i)
		}
		w.append(d)
		if first := w.deliveries[i]; first.Status == domain.Quarantined {
			d.ID, d.Cause, d.Replay = ulid.Make(), first.ID, true
			d.Facts = []domain.Fact{{Event: report(1, "replayed", 1).Facts[0].Event}}
			w.append(d)
		}
	}
}

// read reads the log.
func (w *world) read() {
	w.t.Helper()
	w.log = checkLog(w.t, w.db)
	w.root = make(map[int64]string)
	for _, r := range w.log {
		if err := r.Decode(); err != nil {
			w.t.Fatal(err)
		}
		var root []byte
		if err := w.db.QueryRowContext(w.t.Context(), `SELECT root FROM log WHERE position = $1`, r.Position).Scan(&root); err != nil {
			w.t.Fatal(err)
		}
		w.root[r.Position] = base64.StdEncoding.EncodeToString(root)
	}
}

func (w *world) catchUp(all ...*projections.Projection) {
	w.t.Helper()
	for _, p := range all {
		if _, err := w.projector.CatchUp(w.t.Context(), p, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

// position returns how far p's live tables are.
func (w *world) position(p *projections.Projection) (position int64) {
	w.t.Helper()
	if err := w.db.QueryRowContext(w.t.Context(), `SELECT position FROM cursor WHERE follower = $1`, postgres.Follower(p)).Scan(&position); err != nil {
		w.t.Fatal(err)
	}
	return position
}

// A subject is a view together with what it must say: the rows as of a moment
// by what was known at a position.
type subject struct {
	name string
	view projections.View
	ask  func(context.Context, projections.Query) (postgres.Answer, error)
	want func(known int64, asOf time.Time) *projections.Memory
	last func() int64 // what is known unless the question says
}

// projected returns the views of the world's projections.
func (w *world) projected() (list []subject) {
	for _, p := range w.all {
		for _, v := range p.Views {
			list = append(list, subject{
				p.Name + "/" + v.Name, v,
				func(ctx context.Context, q projections.Query) (postgres.Answer, error) {
					return w.projector.Ask(ctx, p, v, q)
				},
				func(known int64, asOf time.Time) *projections.Memory { return w.fold(p, known, asOf) },
				func() int64 { return w.position(p) },
			})
		}
	}
	return list
}

func (w *world) fold(p *projections.Projection, known int64, asOf time.Time) *projections.Memory {
	m := projections.NewMemory(p)
	for _, r := range w.log[:known] {
		if r.EffectiveAt().After(asOf) {
			continue
		}
		if err := m.Fold(r); err != nil {
			w.t.Fatal(err)
		}
	}
	return m
}

// logged returns the views of the log but for log/projections.
func (w *world) logged() (list []subject) {
	rows := map[string]func(known int64, asOf time.Time) [][]projections.Cell{
		"records": w.recordRows, "deliveries": w.deliveryRows, "quarantine": w.quarantineRows,
	}
	for _, v := range postgres.LogViews() {
		if rows[v.Name] == nil {
			continue
		}
		list = append(list, subject{
			"log/" + v.Name, v,
			func(ctx context.Context, q projections.Query) (postgres.Answer, error) {
				return w.projector.AskLog(ctx, nil, v, q)
			},
			func(known int64, asOf time.Time) *projections.Memory {
				m := projections.NewMemory(&projections.Projection{Tables: []projections.Table{v.Table}})
				for i, row := range rows[v.Name](known, asOf) {
					m.Put(v.Table, fmt.Sprintf("%09d", i), row) // in the order of their positions
				}
				return m
			},
			func() int64 { return int64(len(w.log)) },
		})
	}
	return list
}

func textCell(s string) projections.Cell { return projections.Cell{Text: s} }
func ulidCell(id ulid.ULID) projections.Cell {
	if id.IsZero() {
		return projections.Cell{Null: true}
	}
	return textCell(id.String())
}
func intCell(n int64) projections.Cell { return textCell(strconv.FormatInt(n, 10)) }

func (w *world) recordRows(known int64, asOf time.Time) (rows [][]projections.Cell) {
	leaves := make(map[int64]string)
	for _, d := range w.deliveries {
		for _, r := range d.Records {
			leaves[r.Position] = r.Leaf
		}
	}
	for _, r := range w.log[:known] {
		if !r.EffectiveAt().After(asOf) {
			rows = append(rows, []projections.Cell{
				intCell(r.Position), textCell(r.ID.String()), textCell(string(r.Kind)), textCell(r.Source),
				projections.TimeCell(r.OccurredAt), projections.TimeCell(r.RecordedAt), textCell(r.Delivery.String()),
				ulidCell(r.Cause),
				textCell(strconv.FormatBool(r.Test)), textCell(string(r.Data)), textCell(leaves[r.Position]),
			})
		}
	}
	return rows
}

func (w *world) deliveryRows(known int64, asOf time.Time) (rows [][]projections.Cell) {
	for _, d := range w.deliveries {
		received, recorded := d.ReceivedAt.Truncate(time.Microsecond), w.log[d.Records[0].Position-1].RecordedAt
		if d.Records[0].Position > known || received.After(asOf) && recorded.After(asOf) {
			continue
		}
		rows = append(rows, []projections.Cell{
			intCell(d.Records[0].Position), textCell(d.ID.String()), textCell(d.Source), textCell(d.Topic), textCell(string(d.Status)),
			projections.TimeCell(received), intCell(int64(len(d.Records))), textCell(strconv.FormatBool(d.Test)), textCell(strings.Join(d.Flags, ",")),
			textCell(d.Verified), intCell(int64(len(d.Body))),
			ulidCell(d.Cause), textCell(strconv.FormatBool(d.Replay)), textCell(d.Fetched), ulidCell(w.contradicted(d.ID)),
		})
	}
	return rows
}

func (w *world) quarantineRows(known int64, asOf time.Time) (rows [][]projections.Cell) {
	for _, r := range w.log[:known] {
		if e, ok := r.Event.(domain.IntakeQuarantined); ok && !r.EffectiveAt().After(asOf) {
			rows = append(rows, []projections.Cell{
				intCell(r.Position), textCell(r.Delivery.String()), textCell(r.Source), textCell(e.Topic), textCell(e.Reason), textCell(e.Field),
				projections.TimeCell(r.RecordedAt), textCell("open"),
				{Null: true},
				ulidCell(w.contradicted(r.Delivery)),
			})
			if at := w.replayed(r.Delivery, asOf); at > 0 && at <= known {
				row := rows[len(rows)-1]
				row[7], row[8] = textCell("booked"), intCell(at)
			}
		}
	}
	return rows
}

// contradicted returns the first delivery with the key of a conflict, the zero id
// for any other delivery.
func (w *world) contradicted(id ulid.ULID) ulid.ULID {
	of := slices.IndexFunc(w.deliveries, func(d appended) bool { return d.ID == id })
	if w.deliveries[of].Status != domain.Conflicting {
		return ulid.ULID{}
	}
	first := slices.IndexFunc(w.deliveries, func(d appended) bool { return d.Source == w.deliveries[of].Source && d.Key == w.deliveries[of].Key })
	return w.deliveries[first].ID
}

// replayed returns where the replay of a delivery is, 0 if there is none by then.
func (w *world) replayed(id ulid.ULID, asOf time.Time) int64 {
	for _, d := range w.deliveries {
		at := d.Records[0].Position
		if d.Replay && d.Cause == id && (!d.ReceivedAt.Truncate(time.Microsecond).After(asOf) || !w.log[at-1].RecordedAt.After(asOf)) {
			return at
		}
	}
	return 0
}

// question draws the parameters of a question to s.
func (w *world) question(t *rapid.T, s subject) url.Values {
	params := url.Values{"limit": {rapid.SampledFrom([]string{"0", "1", "2", "3", "10"}).Draw(t, "limit")}}
	some := func(label string) *domain.Record { return w.log[rapid.IntRange(0, len(w.log)-1).Draw(t, label)] }
	switch rapid.IntRange(0, 5).Draw(t, "as_of") {
	case 0:
		params.Set("as_of", some("as of").EffectiveAt().Format(time.RFC3339Nano))
	case 1:
		params.Set("as_of", some("as of").EffectiveAt().Add(-time.Microsecond).Format(time.RFC3339Nano))
	case 2:
		params.Set("as_of", some("as of").EffectiveAt().Format(time.DateOnly))
	}
	switch rapid.IntRange(0, 5).Draw(t, "known") {
	case 0, 1:
		params.Set("known", strconv.FormatInt(some("known").Position, 10))
	case 2:
		params.Set("known", some("known").RecordedAt.Format(time.RFC3339Nano))
	}
	if rapid.IntRange(0, 3).Draw(t, "sorted") > 0 {
		var stored []string
		for _, c := range s.view.Columns {
			if c.Stored() {
				stored = append(stored, c.Name)
			}
		}
		params.Set("sort", rapid.SampledFrom([]string{"", "-"}).Draw(t, "direction")+rapid.SampledFrom(stored).Draw(t, "sort"))
	}
	if rapid.IntRange(0, 2).Draw(t, "filtered") == 0 {
		page, err := s.view.Ask(w.t.Context(), s.want(int64(len(w.log)), time.Now()), w.projector.Opener, projections.Query{AsOf: time.Now()}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) > 0 {
			row := rapid.SampledFrom(page.Rows).Draw(t, "row")
			i := rapid.IntRange(0, len(row)-1).Draw(t, "column")
			if !row[i].Null {
				params.Set(s.view.Columns[i].Name, row[i].Text)
			}
		}
	}
	return params
}

// check asks a drawn question to a drawn view, page by page, and compares every
// page with what folding the log by hand gives.
func (w *world) check(t *rapid.T, subjects []subject) {
	s := rapid.SampledFrom(subjects).Draw(t, "view")
	t.Logf("view %s", s.name)
	params := w.question(t, s)
	for range 6 {
		q, err := projections.ParseQuery(s.view, params)
		if err != nil {
			t.Fatal(err)
		}
		before := time.Now().Truncate(time.Microsecond)
		got, err := s.ask(w.t.Context(), q)
		if err != nil {
			t.Fatalf("%s?%s: %v", s.name, params.Encode(), err)
		}
		known := w.known(s, q)
		if got.Known != known || got.Root != w.root[known] {
			t.Fatalf("%s?%s: known %d, root %s, want %d, %s", s.name, params.Encode(), got.Known, got.Root, known, w.root[known])
		}
		if q.AsOf.IsZero() && got.AsOf.Before(before) || !q.AsOf.IsZero() && !got.AsOf.Equal(q.AsOf) {
			t.Fatalf("%s?%s: as of %v", s.name, params.Encode(), got.AsOf)
		}
		q.AsOf = got.AsOf
		want, err := s.view.Ask(w.t.Context(), s.want(known, q.AsOf), w.projector.Opener, q, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got.Rows, want.Rows, slices.Equal) || got.Next != want.Next {
			t.Fatalf("%s?%s:\n got %v, next %q\nwant %v, next %q", s.name, params.Encode(), got.Rows, got.Next, want.Rows, want.Next)
		}
		if got.Next == "" {
			return
		}
		params.Set("after", got.Next)
		params.Set("as_of", got.AsOf.Format(time.RFC3339Nano))
		params.Set("known", strconv.FormatInt(known, 10))
	}
}

// known returns the position a question is about.
func (w *world) known(s subject, q projections.Query) int64 {
	switch {
	case q.Known > 0:
		return q.Known
	case !q.KnownAt.IsZero():
		n, _ := slices.BinarySearchFunc(w.log, q.KnownAt, func(r *domain.Record, t time.Time) int {
			if r.RecordedAt.After(t) {
				return 1
			}
			return -1
		})
		return int64(n)
	}
	return s.last()
}

// TestAsk asks random questions to the views of all projections while they are
// level with the log, while they are behind it, and again.
func TestAsk(t *testing.T) {
	w := newWorld(t, append(realProjections(), shelf())...)
	subjects := w.projected()
	w.random(40)
	w.read()
	w.catchUp(w.all...)
	rapid.Check(t, func(t *rapid.T) { w.check(t, subjects) })
	w.random(40)
	w.read()
	w.catchUp(w.all[:2]...)
	rapid.Check(t, func(t *rapid.T) { w.check(t, subjects) })
	w.catchUp(w.all...)
	rapid.Check(t, func(t *rapid.T) { w.check(t, subjects) })
}

// TestAskLog asks random questions to the views of the log.
func TestAskLog(t *testing.T) {
	w := newWorld(t)
	w.random(60)
	w.read()
	subjects := w.logged()
	rapid.Check(t, func(t *rapid.T) { w.check(t, subjects) })
}

// parse reads a question, written as in a URL.
func parse(t *testing.T, v projections.View, question string) projections.Query {
	t.Helper()
	params, err := url.ParseQuery(question)
	if err != nil {
		t.Fatal(err)
	}
	q, err := projections.ParseQuery(v, params)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestAskRefuses lists questions that cannot be answered.
func TestAskRefuses(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.reports(3)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	lines := p.Views[0]
	never := &projections.Projection{Name: "never", Version: 1, Tables: p.Tables, Fold: p.Fold, Views: p.Views}
	for _, test := range []struct {
		p        *projections.Projection
		question string
		code     domain.Code
	}{
		{p, "known=4", domain.Invalid},
		{p, "known=2020-01-01", domain.Invalid},
		{p, "known=" + later, ""},
		{p, "as_of=" + later, ""},
		{never, "", domain.NotFound},
		{never, "known=2", domain.NotFound},
	} {
		_, err := w.projector.Ask(t.Context(), test.p, lines, parse(t, lines, test.question))
		if domain.CodeOf(err) != test.code {
			t.Errorf("%s/lines?%s: %v, want code %q", test.p.Name, test.question, err, test.code)
		}
	}
	for _, v := range postgres.LogViews() {
		if _, err := w.projector.AskLog(t.Context(), nil, v, parse(t, v, "known=4")); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("log/%s?known=4: %v", v.Name, err)
		}
	}
	// Nothing that can be written in a question reaches the database as a mistake.
	for _, question := range []string{
		"line=%00", "line=%ff", "changes=99999999999999999999", "remaining=1e400000",
		"after=" + cursor(`[{"Text":"one"}]`), "after=" + cursor(`[{"Null":true},{"Text":"7"}]`),
		"sort=remaining&after=" + cursor(`[{"Text":"x"},{"Text":"one"},{"Text":"7"}]`),
		"sort=remaining&after=" + cursor(`[{"Null":true},{"Text":"one"},{"Text":"7"}]`),
		"sort=reported_at&after=" + cursor(`[{"Text":"2026-99-99"},{"Text":"one"},{"Text":"7"}]`),
		"sort=changes&after=" + cursor(`[{"Text":"1.5"},{"Text":"one"},{"Text":"7"}]`),
		"after=" + cursor(`[{"Text":"one\u0000"},{"Text":"7"}]`),
	} {
		params, err := url.ParseQuery(question)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := projections.ParseQuery(lines, params); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v, want it refused", question, err)
		}
	}
}

func cursor(cells string) string { return base64.RawURLEncoding.EncodeToString([]byte(cells)) }

// TestAskEmpty asks while nothing was ever recorded.
func TestAskEmpty(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	for _, v := range p.Views {
		a, err := w.projector.Ask(t.Context(), p, v, projections.Query{})
		if err != nil || len(a.Rows) != 0 || a.Known != 0 || a.Root != "" || a.AsOf.IsZero() {
			t.Errorf("shelf/%s: %+v, %v", v.Name, a, err)
		}
	}
	for _, v := range postgres.LogViews() {
		a, err := w.projector.AskLog(t.Context(), nil, v, projections.Query{})
		if err != nil || a.Known != 0 || a.Root != "" || (len(a.Rows) != 0) != (v.Name == "projections") {
			t.Errorf("log/%s: %+v, %v", v.Name, a, err)
		}
	}
}

// TestLogProjections asks how the projections are doing.
func TestLogProjections(t *testing.T) {
	p, other := shelf(), creditbooks.Projection()
	other.Version = 7
	w := newWorld(t, p, other)
	w.reports(3)
	w.catchUp(p)
	w.append(report(100, "bad", 1))
	w.reports(1)
	w.catchUp(other)
	if _, err := w.projector.CatchUp(t.Context(), p, nil); domain.CodeOf(err) != domain.Differs {
		t.Fatal(err)
	}
	w.read()
	v := postgres.LogViews()[slices.IndexFunc(postgres.LogViews(), func(v projections.View) bool { return v.Name == "projections" })]
	for _, test := range []struct{ question, want string }{
		{"", "credits 7 running 5 5 0 - | shelf 1 stopped 3 5 2 4"},
		{"sort=-position", "credits 7 running 5 5 0 - | shelf 1 stopped 3 5 2 4"},
		{"sort=-stopped_at", "credits 7 running 5 5 0 - | shelf 1 stopped 3 5 2 4"},
		{"sort=stopped_at", "shelf 1 stopped 3 5 2 4 | credits 7 running 5 5 0 -"},
		{"known=2", "credits 7 running 2 2 0 - | shelf 1 running 2 2 0 -"},
		{"known=5", "credits 7 running 5 5 0 - | shelf 1 stopped 3 5 2 4"},
		{"known=5&status=stopped&sort=-lag&limit=1", "shelf 1 stopped 3 5 2 4"},
		{"as_of=2020-01-01", "credits 7 running 0 0 0 - | shelf 1 running 0 0 0 -"},
		{"as_of=" + w.log[0].RecordedAt.Format(time.RFC3339Nano), "credits 7 running 1 1 0 - | shelf 1 running 1 1 0 -"},
		{"status=stopped", "shelf 1 stopped 3 5 2 4"},
	} {
		a, err := w.projector.AskLog(t.Context(), nil, v, parse(t, v, test.question))
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, row := range a.Rows {
			var texts []string
			for _, c := range row[:7] {
				if c.Null {
					c.Text = "-"
				}
				texts = append(texts, cmp.Or(c.Text, `""`))
			}
			rows = append(rows, strings.Join(texts, " "))
			if stopped := row[2].Text == "stopped"; stopped != (row[7].Text == errShelf.Error()) {
				t.Errorf("%s: reason %v", test.question, row[7])
			}
		}
		if got := strings.Join(rows, " | "); got != test.want {
			t.Errorf("log/projections?%s: %s, want %s", test.question, got, test.want)
		}
	}
}
