package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/directory"
)

// steps returns what each step says, or the error that ended them.
func (w *world) steps(p *projections.Projection, from, to int64) (list []string, err error) {
	w.t.Helper()
	for step, err := range w.projector.Steps(w.t.Context(), p, from, to, nil) {
		if err != nil {
			return list, err
		}
		text := fmt.Sprint(step.Record.Position)
		for _, c := range step.Changes {
			text += " " + c.Table.Name()
			for _, i := range c.Changed() {
				if name := c.Table.Columns()[i].Name; name == "remaining" || name == "quantity" || name == "name" {
					text += fmt.Sprintf(" %s=%s", name, c.After[i].Text)
				}
			}
		}
		if step.Err != nil {
			text += " " + step.Err.Error()
		}
		list = append(list, text)
	}
	return list, nil
}

// TestProjectorSteps walks through a log that a projection cannot take to its end.
func TestProjectorSteps(t *testing.T) {
	p := shelf()
	w := newWorld(t, p)
	w.append(report(1, "7", 5))
	d := report(2, "", 0)
	d.Facts = []domain.Fact{{Event: domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "1", Name: "Ann"}}}
	w.append(d)
	w.append(report(3, "7", 3))
	w.append(report(4, "bad", 1))
	w.append(report(5, "7", 2))
	for _, test := range []struct {
		from, to int64
		want     []string
	}{
		{1, 3, []string{"1 lines remaining=5 moves quantity=5", "2 people name=Ann", "3 lines remaining=3 moves quantity=-2"}},
		{3, 3, []string{"3 lines remaining=3 moves quantity=-2"}},
		{3, 5, []string{"3 lines remaining=3 moves quantity=-2", "4 " + errShelf.Error()}},
		{4, 4, []string{"4 " + errShelf.Error()}},
	} {
		if got, err := w.steps(p, test.from, test.to); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("from %d to %d: %q, %v, want %q", test.from, test.to, got, err, test.want)
		}
	}
	_, err := w.steps(p, 5, 5)
	if domain.CodeOf(err) != domain.Differs || !strings.Contains(domain.HintOf(err), "--from 4") {
		t.Errorf("behind what cannot be taken: %v, hint %q", err, domain.HintOf(err))
	}
}

// TestManyExports has more people looked up at once than there are connections,
// each needing one for the rows and one for the keys.
func TestManyExports(t *testing.T) {
	p := directory.Projection()
	w := newWorld(t, p)
	d := domain.Delivery{ID: ulid.Make(), Source: "one", ReceivedAt: report(1, "", 1).ReceivedAt, Verified: "test", Translation: domain.Translation{Key: "many"}}
	for i := range 2*projections.OpenAtOnce + 1 {
		name := "Somebody"
		if i%projections.OpenAtOnce == 0 {
			name = "Ann Able"
		}
		d.Facts = append(d.Facts, domain.Fact{Event: domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: fmt.Sprintf("%06d", i), Name: domain.Personal(name)}})
	}
	w.append(d)
	w.catchUp(p)

	few, err := postgres.Open(t.Context(), w.url, postgres.RoleProjector, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { few.Close() })
	files, err := postgrestest.Files(t.Context(), few)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := postgres.NewKeyring(t.Context(), few, files)
	if err != nil {
		t.Fatal(err)
	}
	w.projector = postgres.NewProjector(few, w.all)
	w.projector.Opener = keys
	people := p.Views[0]
	var asking sync.WaitGroup
	for range 12 {
		asking.Go(func() {
			a, err := w.projector.Ask(t.Context(), p, people, parse(t, people, "name=Ann Able"))
			if err != nil || len(a.Rows) != 3 {
				t.Errorf("%d rows, %v", len(a.Rows), err)
			}
		})
	}
	asking.Wait()
}
