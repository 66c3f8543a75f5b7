// Package projectiontest checks a [projections.Projection] against examples on
// disk and against the laws that every projection obeys: the same log gives the
// same tables, byte for byte, whether it is folded at once, in batches of any
// size, or stopped after any record and gone on with.
package projectiontest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An Option adds to what [Run] checks.
type Option func(*suite)

type suite struct {
	projection *projections.Projection
	events     *rapid.Generator[domain.Event]
	laws       []law
}

type law struct {
	name  string
	check func(t rapid.TB, r *domain.Record, m *projections.Memory)
}

// Events has Run check the laws on random logs of such events too. The
// generator should use few ids, so that events meet.
func Events(g *rapid.Generator[domain.Event]) Option {
	return func(s *suite) { s.events = g }
}

// Law adds a law of the projection's own. It is checked after every record,
// with the tables as they are then.
func Law(name string, check func(t rapid.TB, r *domain.Record, m *projections.Memory)) Option {
	return func(s *suite) { s.laws = append(s.laws, law{name, check}) }
}

// Run checks p against every testdata/*.txtar of the calling package and
// against the laws. The form of an example is that of [Example]; its views are
// rewritten if UPDATE_GOLDEN is set.
func Run(t *testing.T, p *projections.Projection, options ...Option) {
	t.Helper()
	s := &suite{projection: p}
	for _, o := range options {
		o(s)
	}
	t.Run("declaration", func(t *testing.T) { s.declaration(t) })
	t.Run("kinds", func(t *testing.T) { s.kinds(t) })

	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no examples in testdata")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { s.example(t, file) })
	}
	if s.events != nil {
		t.Run("random logs", func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { s.obeys(t, drawLog(t, s.events), rapid.IntRange(0, 1<<20).Draw(t, "stop")) })
		})
	}
}

// kinds folds one event of every kind there is, with and without the kinds that
// p leaves out: those must change nothing.
func (s *suite) kinds(t *testing.T) {
	all := *s.projection
	all.Kinds = nil
	some, every := projections.NewMemory(s.projection), projections.NewMemory(&all)
	files, err := filepath.Glob("../../domain/testdata/events/*.json")
	if err != nil || len(files) != len(domain.Kinds()) {
		t.Fatalf("%d examples of events for %d kinds, %v", len(files), len(domain.Kinds()), err)
	}
	// Twice, since what comes first may matter to what comes later.
	for i, file := range append(files, files...) {
		r, err := NewRecord(int64(i+1), "acme", readEvent(t, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*projections.Memory{some, every} {
			if err := m.Fold(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if some.Digest() != every.Digest() {
		t.Error("an event of a kind that is not among Kinds changes the tables")
	}
}

// readEvent reads the example of an event kind.
func readEvent(t *testing.T, file string) domain.Event {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var example struct{ Data, Personal json.RawMessage }
	if err := json.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	if string(example.Personal) == "null" {
		example.Personal = nil
	}
	e, err := domain.Decode(domain.Kind(strings.TrimSuffix(filepath.Base(file), ".json")), example.Data, example.Personal)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// declaration checks what p declares: names that are there once, and views over
// its own tables only.
func (s *suite) declaration(t *testing.T) {
	p := s.projection
	if p.Name == "" || p.Version < 1 || p.Fold == nil {
		t.Errorf("projection %q, version %d: want a name, a version from 1 and a fold", p.Name, p.Version)
	}
	tables := make(map[string]projections.Table)
	for _, table := range p.Tables {
		if tables[table.Name()] != nil {
			t.Errorf("table %s is declared twice", table.Name())
		}
		tables[table.Name()] = table
	}
	views := make(map[string]bool)
	for _, v := range p.Views {
		switch {
		case views[v.Name]:
			t.Errorf("view %s is declared twice", v.Name)
		case tables[v.Table.Name()] != v.Table:
			t.Errorf("view %s is over table %s, which is not the projection's", v.Name, v.Table.Name())
		case v.Title == "":
			t.Errorf("view %s has no title", v.Name)
		}
		views[v.Name] = true
	}
}

// example checks one file: its views, then the laws on its log.
func (s *suite) example(t *testing.T, file string) {
	e, err := ReadExample(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Answer(s.projection)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := e.Update(got); err != nil {
			t.Fatal(err)
		}
	} else if diff := e.Diff(got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
	for stop := range e.Log {
		s.obeys(t, e.Log, stop)
	}
}

// drawLog draws a log of up to 40 records from one of two sources.
func drawLog(t *rapid.T, events *rapid.Generator[domain.Event]) []*domain.Record {
	var log []*domain.Record
	at := epoch
	for range rapid.IntRange(0, 40).Draw(t, "records") {
		at = at.AddDate(0, 0, rapid.IntRange(0, 20).Draw(t, "days"))
		e := events.Draw(t, "event")
		r, err := NewRecord(int64(len(log)+1), rapid.SampledFrom([]string{"one", "two"}).Draw(t, "source"), e)
		if err != nil {
			t.Fatalf("record %d: %v", len(log)+1, err)
		}
		r.OccurredAt = at.AddDate(0, 0, rapid.IntRange(-3, 3).Draw(t, "off"))
		r.RecordedAt = at
		r.Test = rapid.IntRange(0, 19).Draw(t, "test") == 19
		log = append(log, r)
	}
	return log
}

// obeys checks the laws on one log.
func (s *suite) obeys(t rapid.TB, log []*domain.Record, stop int) {
	t.Helper()
	whole := projections.NewMemory(s.projection)
	for _, r := range log {
		if err := whole.Fold(r); err != nil {
			t.Fatalf("fold: %v", err)
		}
		for _, l := range s.laws {
			failed := t.Failed()
			l.check(t, r, whole)
			if t.Failed() && !failed {
				t.Fatalf("law %q does not hold after record %d", l.name, r.Position)
			}
		}
	}
	s.declares(t, whole)
	want := whole.Digest()
	if again := fold(t, projections.NewMemory(s.projection), log).Digest(); again != want {
		t.Errorf("folded again: digest %s, want %s", again, want)
	}
	for _, size := range []int{1, 7, 256} {
		store := newStore(s.projection)
		store.fold(t, log, size)
		if got := store.digest(); got != want {
			t.Errorf("batches of %d: digest %s, want %s", size, got, want)
		}
	}
	s.resumes(t, log, stop, want)
}

// declares checks that personal texts are only in columns that are declared so: no
// view would open others, and people would be shown tokens.
func (s *suite) declares(t rapid.TB, m *projections.Memory) {
	t.Helper()
	for _, table := range s.projection.Tables {
		for row := range m.Rows(table) {
			for i, c := range table.Cells(row) {
				if column := table.Columns()[i]; !column.Sealed && strings.Contains(c.Text, tokenPrefix()) {
					t.Errorf("column %s of table %s holds a personal text and is not declared as Personal: %s", column.Name, table.Name(), c.Text)
				}
			}
		}
	}
}

// resumes checks that the tables can be written out as text after any record,
// read back in another order, and gone on with.
func (s *suite) resumes(t rapid.TB, log []*domain.Record, stop int, want string) {
	t.Helper()
	stop %= len(log) + 1
	before := fold(t, projections.NewMemory(s.projection), log[:stop])
	after := projections.NewMemory(s.projection)
	for _, table := range s.projection.Tables {
		copyRows(t, table, before, after)
	}
	if before.Digest() != after.Digest() {
		t.Errorf("read back after record %d: digest %s, want %s", stop, after.Digest(), before.Digest())
	}
	if got := fold(t, after, log[stop:]).Digest(); got != want {
		t.Errorf("stopped after record %d: digest %s, want %s", stop, got, want)
	}
}

// copyRows copies a table by way of its cells.
func copyRows(t rapid.TB, table projections.Table, from, to *projections.Memory) {
	t.Helper()
	var rows [][]projections.Cell
	for row := range from.Rows(table) {
		cells := table.Cells(row)
		back, err := table.Parse(cells)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		if again := table.Cells(back); !slices.Equal(again, cells) {
			t.Errorf("table %s: row %v comes back as %v", table.Name(), cells, again)
		}
		rows = append(rows, cells)
	}
	if !table.IsJournal() {
		slices.Reverse(rows)
	}
	for _, cells := range rows {
		row, _ := table.Parse(cells)
		if table.IsJournal() {
			to.Append(table, row)
		} else {
			to.Put(table, keyOf(table, cells), row)
		}
	}
}

func fold(t rapid.TB, m *projections.Memory, log []*domain.Record) *projections.Memory {
	t.Helper()
	for _, r := range log {
		if err := m.Fold(r); err != nil {
			t.Fatalf("fold: %v", err)
		}
	}
	return m
}
