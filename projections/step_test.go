package projections_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// TestSteps checks that steps leave nothing out: what each says a row was is what
// the one before made it, and all of them together are what folding gives.
func TestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log [][2]string
		for range rapid.IntRange(0, 20).Draw(t, "records") {
			log = append(log, [2]string{
				rapid.SampledFrom([]string{"put", "move", "move", "other"}).Draw(t, "verb"),
				rapid.SampledFrom([]string{"a", "b", "a+"}).Draw(t, "name"),
			})
		}
		records := script(t, log...)
		from := rapid.IntRange(0, len(records)).Draw(t, "from")
		whole, stepped := projections.NewMemory(shelf), projections.NewMemory(shelf)
		take := func(m *projections.Memory) map[string][]projections.Cell {
			all := make(map[string][]projections.Cell)
			for _, table := range shelf.Tables {
				for row := range m.Rows(table) {
					c := projections.RowChange{Table: table, After: table.Cells(row)}
					all[name(c)] = c.After
				}
			}
			return all
		}
		for _, r := range records[:from] {
			for _, m := range []*projections.Memory{whole, stepped} {
				if err := m.Fold(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		rows := take(whole) // table and key → cells
		s := projections.NewStepper(stepped)
		for _, r := range records[from:] {
			if err := whole.Fold(r); err != nil {
				t.Fatal(err)
			}
			step := s.Step(r)
			if step.Err != nil || step.Record != r {
				t.Fatalf("step %+v", step)
			}
			for _, c := range step.Changes {
				if !slices.Equal(rows[name(c)], c.Before) {
					t.Fatalf("record %d: %s was %v, before it %v", r.Position, name(c), c.Before, rows[name(c)])
				}
				if len(c.Changed()) == 0 {
					t.Fatalf("record %d: %s did not change", r.Position, name(c))
				}
				if rows[name(c)] = c.After; c.After == nil {
					delete(rows, name(c))
				}
			}
			if want := take(whole); !maps.EqualFunc(rows, want, slices.Equal) {
				t.Fatalf("after record %d:\n%v, want\n%v", r.Position, rows, want)
			}
		}
	})
}

func name(c projections.RowChange) string {
	parts := []string{c.Table.Name()}
	for _, cell := range c.Key() {
		parts = append(parts, cell.Text)
	}
	return strings.Join(parts, "/")
}

// TestStepRefused checks that a record that cannot be taken changes nothing.
func TestStepRefused(t *testing.T) {
	half := *shelf
	half.Fold = func(tx *projections.Tx, r *domain.Record) error {
		things.Put(tx, thing{name: "half"})
		return shelf.Fold(tx, r)
	}
	m := projections.NewMemory(&half)
	step := projections.NewStepper(m).Step(script(t, [2]string{"fail", ""})[0])
	if step.Err == nil || strings.Contains(step.Err.Error(), "record 1") || len(step.Changes) != 0 || m.Len(things) != 0 {
		t.Errorf("step %+v, and %d rows", step, m.Len(things))
	}
}

// TestRowFilter checks which rows somebody sees who follows one.
func TestRowFilter(t *testing.T) {
	records := script(t, [2]string{"put", "a"}, [2]string{"put", "b/c"}, [2]string{"move", "a"})
	for _, test := range []struct {
		terms string
		want  string // of all steps
	}{
		{"", "1: +things/left/a | 2: +things/left/b/c | 3: -things/left/a +things/left/a+ +moves/3/1 +moves/3/3 +notes/3/2"},
		{"left/a", "1: +things/left/a | 3: -things/left/a +moves/3/1 +notes/3/2"},
		{"left/b/c", "2: +things/left/b/c"},
		{"name=a", "1: +things/left/a | 3: -things/left/a +moves/3/1 +notes/3/2"},
		{"name=a count=1", "1: +things/left/a | 3: -things/left/a"},
		{"name=a count=01", "1: +things/left/a | 3: -things/left/a"},
		{"name=a shelf=other", ""},
		{"left/a count=2", ""},
	} {
		f, err := projections.ParseRowFilter(shelf, strings.Fields(test.terms))
		if err != nil {
			t.Fatal(err)
		}
		s := projections.NewStepper(projections.NewMemory(shelf))
		var got []string
		for _, r := range records {
			line := strconv.FormatInt(r.Position, 10) + ":"
			changes := f.Of(s.Step(r).Changes)
			for _, c := range changes {
				sign := "~"
				switch {
				case c.Before == nil:
					sign = "+"
				case c.After == nil:
					sign = "-"
				}
				line += " " + sign + name(c)
			}
			if len(changes) > 0 {
				got = append(got, line)
			}
		}
		if text := strings.Join(got, " | "); text != test.want {
			t.Errorf("%q: %s, want %s", test.terms, text, test.want)
		}
		if f.All() != (test.terms == "") {
			t.Errorf("%q takes all: %v", test.terms, f.All())
		}
	}
	for _, terms := range []string{"colour=red", "count=many", "acme/a acme/b", "seen_at=today"} {
		if _, err := projections.ParseRowFilter(shelf, strings.Fields(terms)); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", terms, err)
		}
	}
}
