package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/directory"
)

// TestAskPersonal looks people up by name: as long as their key is there they are
// found, now and in the past; then they are shown as erased, and nothing else
// changes. Nobody finds them without keys, and the tables have no name.
func TestAskPersonal(t *testing.T) {
	p := directory.Projection()
	w := newWorld(t, p)
	for i, name := range []string{"Ann Able", "Bob Baker", "Ann Able", "sealed.1.Cid"} {
		d := report(i, "7", int64(i))
		d.Facts = []domain.Fact{{Event: domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: string(rune('1' + i)), Name: domain.Personal(name), Email: "a@example.com"}}}
		w.append(d)
	}
	d := domain.Delivery{ID: ulid.Make(), Source: "one", ReceivedAt: w.deliveries[0].ReceivedAt, Verified: "test", Translation: domain.Translation{Key: "o"}}
	d.Facts = []domain.Fact{{Event: domain.DirectoryOrganizationSeen{Organization: "9", Name: "sealed.1.Ltd"}}}
	w.append(d)
	w.catchUp(p)
	people, organizations := p.Views[0], p.Views[1]

	say := func(v projections.View, question string) string {
		t.Helper()
		a, err := w.projector.Ask(t.Context(), p, v, parse(t, v, question))
		if err != nil {
			t.Fatalf("%s?%s: %v", v.Name, question, err)
		}
		column := func(name string) int {
			return slices.IndexFunc(v.Columns, func(c projections.ViewColumn) bool { return c.Name == name })
		}
		id := max(column("person"), column("organization"))
		if v.Name == "people" {
			id = column("person")
		}
		var rows []string
		for _, row := range a.Rows {
			rows = append(rows, row[id].Text+" "+row[column("name")].Text)
		}
		return strings.Join(rows, ", ")
	}
	check := func(question, want string) {
		t.Helper()
		if got := say(people, question); got != want {
			t.Errorf("people?%s: %q, want %q", question, got, want)
		}
	}
	check("", "1 Ann Able, 2 Bob Baker, 3 Ann Able, 4 sealed.1.Cid")
	check("name=Ann Able", "1 Ann Able, 3 Ann Able")
	check("name=Ann Able&known=2", "1 Ann Able")
	check("name=Ann Able&limit=1&sort=-person", "3 Ann Able")
	check("name=Nobody", "")
	if got := say(organizations, ""); got != "9 sealed.1.Ltd" {
		t.Errorf("a name that looks sealed is shown as %q", got)
	}

	var live string
	err := w.db.QueryRowContext(t.Context(), `SELECT string_agg(name || email, ' ') FROM directory.people`).Scan(&live)
	if err != nil || strings.Contains(live, "Ann") || strings.Contains(live, "example") {
		t.Errorf("the table holds %q, %v", live, err)
	}

	owner := postgrestest.Open(t, w.url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `DELETE FROM data_key WHERE subject = 'one/user/1'`); err != nil {
		t.Fatal(err)
	}
	check("", "1 [erased], 2 Bob Baker, 3 Ann Able, 4 sealed.1.Cid")
	check("known=4", "1 [erased], 2 Bob Baker, 3 Ann Able, 4 sealed.1.Cid")
	check("name=Ann Able", "3 Ann Able")
	check("name=[erased]", "1 [erased]")
	if v, err := w.projector.Verify(t.Context(), p, nil); err != nil || v.Digest != v.Live {
		t.Errorf("verify after erasing: %+v, %v", v, err)
	}

	w.projector.Opener = nil
	check("", "1 [sealed], 2 [sealed], 3 [sealed], 4 [sealed]")
	check("name=Ann Able", "")
}
