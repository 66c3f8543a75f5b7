package projections_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// TestCells checks the text of every type of cell, and that it is read back.
func TestCells(t *testing.T) {
	price := decimal.RequireFromString("-0.10")
	row := &thing{
		shelf: "left", name: "é, \"x\"", count: -7, weight: decimal.New(12, 3), price: &price, fragile: true,
		seenAt: time.Date(2026, 3, 1, 10, 0, 0, 120000000, time.FixedZone("", 3600)),
	}
	want := []projections.Cell{
		{Text: "left"},
		{Text: "é, \"x\""},
		{Text: ""},
		{Text: "-7"},
		{Text: "12000"},
		{Text: "-0.1"},
		{Text: "2026-03-01T09:00:00.12Z"},
		{Text: "true"},
	}
	cells := things.Cells(row)
	if !reflect.DeepEqual(cells, want) {
		t.Errorf("cells\n%v, want\n%v", cells, want)
	}
	back, err := things.Parse(cells)
	if err != nil || !reflect.DeepEqual(things.Cells(back), want) {
		t.Errorf("read back as\n%v (%v), want\n%v", things.Cells(back), err, want)
	}
	none := things.Cells(new(thing))
	if !none[5].Null || !none[6].Null || none[4].Text != "0" {
		t.Errorf("cells of no price, no time, no weight: %v", none[4:7])
	}
	if back, err := things.Parse(none); err != nil || !reflect.DeepEqual(things.Cells(back), none) {
		t.Errorf("nulls are read back as %v (%v)", things.Cells(back), err)
	}
}

// TestParseRefuses checks that stored text that is not of its type is an error.
func TestParseRefuses(t *testing.T) {
	for column, text := range map[int]string{3: "1.5", 4: "heavy", 5: "", 6: "2026-03-01", 7: "perhaps"} {
		cells := things.Cells(&thing{shelf: "left", name: "a"})
		cells[column] = projections.Cell{Text: text}
		if _, err := things.Parse(cells); err == nil {
			t.Errorf("column %s: %q is read", things.Columns()[column].Name, text)
		}
	}
}

// TestTextWithoutNUL checks that U+0000, which separates keys and which databases
// refuse, is kept out of tables and found under what it became.
func TestTextWithoutNUL(t *testing.T) {
	keep := &projections.Projection{
		Name: "keep", Version: 1, Tables: []projections.Table{things},
		Fold: func(tx *projections.Tx, _ *domain.Record) error {
			row, _ := things.Get(tx, "a\x00", "b")
			row.shelf, row.name, row.next = "a\x00", "b", "\x00"
			row.count++
			row.seenAt = time.Date(2026, 3, 1, 10, 0, 0, 1999, time.FixedZone("", 3600))
			things.Put(tx, row)
			return nil
		},
	}
	m := projections.NewMemory(keep)
	for _, r := range script(t, [2]string{"put", "x"}, [2]string{"put", "x"}) {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	rows := projectiontest.Rows(m, things)
	if len(rows) != 1 || rows[0].Text("shelf") != "a\uFFFD" || rows[0].Text("next") != "\uFFFD" || rows[0].Text("count") != "2" {
		t.Errorf("rows %v, want one, counted twice, without U+0000", rows)
	}
	if got := rows[0].Text("seen_at"); got != "2026-03-01T09:00:00.000001Z" {
		t.Errorf("seen at %s, want whole microseconds in UTC", got)
	}
}

// TestKeys checks that keys come apart as they were joined, and order as their
// parts do.
func TestKeys(t *testing.T) {
	part := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "a\x01", "ab", "b", "é"}), 2, 2)
	rapid.Check(t, func(t *rapid.T) {
		a, b := part.Draw(t, "a"), part.Draw(t, "b")
		if back := projections.SplitKey(projections.JoinKey(a)); !reflect.DeepEqual(back, a) {
			t.Errorf("%q comes apart as %q", a, back)
		}
		less := a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
		if (projections.JoinKey(a) < projections.JoinKey(b)) != less {
			t.Errorf("%q and %q order otherwise than their parts", a, b)
		}
	})
}

// TestDeclarationsPanic checks that a table or a view that is wrong at compile
// time does not start.
func TestDeclarationsPanic(t *testing.T) {
	for name, declare := range map[string]func(){
		"a key that is a number": func() {
			projections.NewKeyed("x", 1, projections.Integer("count", func(r *thing) *int64 { return &r.count }))
		},
		"a view of no column": func() { projections.NewView("x", "X", things, "colour") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("does not panic")
				}
			}()
			declare()
		})
	}
}
