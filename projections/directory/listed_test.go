package directory_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/directory"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// isListed reports whether a fact is what a provider's API listed.
func isListed(e domain.Event) bool {
	switch e := e.(type) {
	case domain.DirectoryPersonSeen:
		return e.Activity == domain.ActivityListed
	case domain.DirectoryItemSeen:
		return e.Activity == domain.ActivityListed
	case domain.DirectoryEmploymentChanged:
		return e.Activity == domain.ActivityListed
	case domain.DirectoryOrganizationListed, domain.DirectoryGroupListed, domain.LearningListed, domain.SalesListed:
		return true
	}
	return false
}

// TestWebhooksOutrankLists checks that what webhooks say of anything is shown as
// if nothing had been listed, whatever is listed, and that nothing comes back for
// being listed.
func TestWebhooksOutrankLists(t *testing.T) {
	words := []string{"name", "email", "organization", "roles", "groups", "external", "state", "trading_name", "town", "postcode", "price", "slug", "description"}
	rapid.Check(t, func(t *rapid.T) {
		var all, told []*domain.Record
		for i, e := range rapid.SliceOfN(events, 0, 15).Draw(t, "events") {
			r := record(t, i+1, rapid.IntRange(1, 3).Draw(t, "day"), e)
			all = append(all, r)
			if !isListed(e) {
				told = append(told, r)
			}
		}
		p := directory.Projection()
		alone, mixed := folded(t, p, told), folded(t, p, all)
		for _, table := range p.Tables {
			if table.IsJournal() {
				continue
			}
			rows := projectiontest.Rows(mixed, table)
			for _, want := range projectiontest.Rows(alone, table) {
				i := slices.IndexFunc(rows, func(r projectiontest.Row) bool { return sameKey(r, want) })
				if i < 0 {
					t.Fatalf("%s: %v is not there", table.Name(), want)
				}
				for _, column := range words {
					if cell, ok := want[column]; ok && cell.Text != "" && rows[i].Text(column) != cell.Text {
						t.Errorf("%s: %s is %q with lists, %q without: %v", table.Name(), column, rows[i].Text(column), cell.Text, want)
					}
				}
				if want.Text("status") == "removed" && rows[i].Text("status") != "removed" {
					t.Errorf("%s: %v came back for being listed", table.Name(), want)
				}
			}
		}
	})
}

func folded(t rapid.TB, p *projections.Projection, log []*domain.Record) *projections.Memory {
	t.Helper()
	m := projections.NewMemory(p)
	for _, r := range log {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func sameKey(a, b projectiontest.Row) bool {
	for _, column := range []string{"source", "person_type", "person", "key", "item_type", "item", "group"} {
		if a[column] != b[column] {
			return false
		}
	}
	return true
}
