package certifications_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/certifications"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// TestListedTwice checks that a badge which one list names as visible and as not is
// visible, whichever comes first, as if two lists of that moment did.
func TestListedTwice(t *testing.T) {
	seen := domain.ListedBadge{Badge: "b", Template: "t", State: "accepted", Visible: true}
	unseen := seen
	unseen.Visible = false
	for _, badges := range [][]domain.ListedBadge{{seen, unseen}, {unseen, seen}} {
		p := certifications.Projection()
		m := projections.NewMemory(p)
		if err := m.Fold(record(t, 1, 1, domain.BadgesListed{Employment: "m", ListedAt: day(1), Badges: badges})); err != nil {
			t.Fatal(err)
		}
		var visible []string
		for _, table := range p.Tables {
			if table.Name() == "visibility" {
				for _, r := range projectiontest.Rows(m, table) {
					visible = append(visible, r.Text("visible"))
				}
			}
		}
		if len(visible) != 1 || visible[0] != "true" {
			t.Errorf("visible is %v, want true once", visible)
		}
	}
}
