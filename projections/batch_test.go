package projections_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/daybook-ledger/daybook/projections"
)

func key(name string) string { return projections.JoinKey([]string{"left", name}) }

// TestBatchAsksForWhatItMisses checks the conversation with a store: keys are
// named once, sorted; a row that is absent is not asked for again; a key that
// depends on a row's content is asked for when the row is there.
func TestBatchAsksForWhatItMisses(t *testing.T) {
	log := script(t, [2]string{"put", "b"}, [2]string{"move", "c"}, [2]string{"put", "a"}, [2]string{"put", "b"})
	b := projections.NewBatch(shelf)
	want := func(names ...string) {
		t.Helper()
		missing, err := b.Fold(log)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, n := range names {
			keys = append(keys, key(n))
		}
		if got := missing["things"]; !reflect.DeepEqual(got, keys) {
			t.Fatalf("missing %q, want %q", got, keys)
		}
		if len(missing) > min(len(names), 1) {
			t.Fatalf("missing %v", missing)
		}
	}
	want("a", "b", "c")
	b.Load(things, key("a"), nil)
	b.Load(things, key("b"), nil)
	b.Load(things, key("c"), &thing{shelf: "left", name: "c", next: "z", count: 7})
	want("z")
	b.Load(things, key("z"), nil)
	want()

	changes := b.Changes()
	if len(changes) != 3 {
		t.Fatalf("changes to %d tables, want 3", len(changes))
	}
	var put []string
	for _, cells := range changes[0].Put {
		put = append(put, cells[1].Text+" "+cells[3].Text)
	}
	if want := []string{"a 1", "b 2", "z 7"}; !reflect.DeepEqual(put, want) {
		t.Errorf("put %q, want %q", put, want)
	}
	if want := []string{key("c")}; !reflect.DeepEqual(changes[0].Removed, want) {
		t.Errorf("removed %q, want %q", changes[0].Removed, want)
	}
	if n := len(changes[1].Append); n != 2 || changes[1].Table != projections.Table(moves) {
		t.Errorf("%d rows appended to %s, want 2 to moves", n, changes[1].Table.Name())
	}
}

// TestBatchSeesItsOwnChanges checks that a row put or removed by an earlier
// record of the batch is what a later one gets, without asking.
func TestBatchSeesItsOwnChanges(t *testing.T) {
	log := script(t, [2]string{"put", "a"}, [2]string{"move", "a"}, [2]string{"move", "a"}, [2]string{"put", "a"})
	b := projections.NewBatch(shelf)
	b.Load(things, key("a"), &thing{shelf: "left", name: "a", next: "x", count: 5})
	b.Load(things, key("a+"), nil)
	if missing, err := b.Fold(log); len(missing) > 0 || err != nil {
		t.Fatal(missing, err)
	}
	c := b.Changes()[0]
	if len(c.Put) != 2 || c.Put[0][3].Text != "1" || c.Put[1][3].Text != "6" || len(c.Removed) > 0 {
		t.Errorf("put %v, removed %q; want a with 1 and a+ with 6", c.Put, c.Removed)
	}
	// A try leaves nothing behind for the next one.
	if _, err := b.Fold(log[:1]); err != nil {
		t.Fatal(err)
	}
	if again := b.Changes(); len(again) != 1 || len(again[0].Put) != 1 || again[0].Put[0][3].Text != "6" {
		t.Errorf("changes %v, want a with 6 alone", again)
	}
}

// TestFoldError checks that a record that cannot be taken is named, and that it
// counts only when nothing is missing.
func TestFoldError(t *testing.T) {
	log := script(t, [2]string{"put", "a"}, [2]string{"fail", ""}, [2]string{"put", "b"})
	b := projections.NewBatch(shelf)
	if missing, err := b.Fold(log); err != nil || len(missing["things"]) != 2 {
		t.Fatalf("missing %v, error %v; want two keys and no error yet", missing, err)
	}
	b.Load(things, key("a"), nil)
	b.Load(things, key("b"), nil)
	_, batchErr := b.Fold(log)

	m := projections.NewMemory(shelf)
	if err := m.Fold(log[0]); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{batchErr, m.Fold(log[1])} {
		e, ok := errors.AsType[*projections.FoldError](err)
		if !ok || e.Projection != "shelf" || e.Position != 2 || err.Error() != "shelf: record 2: no" {
			t.Errorf("error %v, want shelf: record 2: no", err)
		}
	}
	if m.Position() != 1 {
		t.Errorf("position %d after a record that failed, want 1", m.Position())
	}
}

// TestTestRecordsAreLeftOut checks that what a provider marks as a test is in no
// table, and is passed.
func TestTestRecordsAreLeftOut(t *testing.T) {
	log := script(t, [2]string{"put", "a"}, [2]string{"fail", ""})
	m := projections.NewMemory(shelf)
	for _, r := range log {
		r.Test = true
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	if m.Len(things) != 0 || m.Position() != 2 {
		t.Errorf("%d rows at position %d, want 0 at 2", m.Len(things), m.Position())
	}
}

// TestJournalRows checks where a journal's rows say they come from: they are
// numbered within their record over all journals.
func TestJournalRows(t *testing.T) {
	log := script(t, [2]string{"put", "a"}, [2]string{"move", "a"}, [2]string{"move", "a+"})
	m := projections.NewMemory(shelf)
	for _, r := range log {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, table := range []projections.Table{moves, notes} {
		for row := range m.Rows(table) {
			c := table.Cells(row)
			got = append(got, table.Name()+" "+c[0].Text+" "+c[1].Text+" "+c[2].Text+" "+c[3].Text+" "+c[5].Text)
		}
	}
	want := []string{
		"moves 2 1 00000000000000000000000002 left a",
		"moves 2 3 00000000000000000000000002 left a+",
		"moves 3 1 00000000000000000000000003 left a+",
		"moves 3 3 00000000000000000000000003 left a++",
		"notes 2 2 00000000000000000000000002 left a",
		"notes 3 2 00000000000000000000000003 left a+",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}
