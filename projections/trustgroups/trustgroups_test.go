package trustgroups_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
	"github.com/daybook-ledger/daybook/projections/trustgroups"
)

func TestProjection(t *testing.T) {
	projectiontest.Run(t, trustgroups.Projection(), projectiontest.Events(events))
}

// moments are few, so that clocks are equal at times.
var moments = rapid.Custom(func(t *rapid.T) time.Time {
	if day := rapid.IntRange(0, 6).Draw(t, "day"); day > 0 {
		return time.Date(2026, 2, day, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
})

// events are what the projection folds, about few groups, members and names.
var events = rapid.Custom(func(t *rapid.T) domain.Event {
	text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	id := text("id", "1", "2")
	called := text("name", "", "Peak", "Crag")
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	case 0:
		return domain.DirectoryOrganizationSeen{Organization: id, Name: text("org", "Peak", "Tor")}
	case 8:
		return domain.DirectoryOrganizationListed{Organization: id, Name: text("org", "Fell", "Peak", "Tor")}
	case 1:
		return domain.DirectoryPersonSeen{
			PersonType: text("person_type", domain.PersonCandidate, domain.PersonUser), Person: id, Name: domain.Personal(called),
		}
	case 2:
		return domain.SalesEntryPosted{
			Entry: "1", Currency: "GBP",
			Payer:       domain.Party{ID: id, Name: domain.Personal(called)},
			Beneficiary: domain.Party{ID: text("beneficiary", "", "1", "2"), Name: "Ben"},
		}
	}
	changed := domain.TrustgroupsMemberChanged{
		Group:      text("group", "a", "b"),
		GroupName:  text("group_name", "", "A", "B"),
		MemberType: text("member_type", domain.MemberLegalEntity, domain.MemberCandidate),
		Member:     id,
		Status:     text("status", "Active", "Gold", "pending", "Removed", "EXPIRED"),
		From:       moments.Draw(t, "from"),
		Until:      moments.Draw(t, "until"),
		ChangedAt:  moments.Draw(t, "changed_at"),
		Assumed:    rapid.Bool().Draw(t, "assumed"),
	}
	if rapid.IntRange(0, 3).Draw(t, "listed") == 0 {
		return domain.TrustgroupsMemberListed(changed)
	}
	return changed
})

// TestOrder checks the law that matters most: the tables do not depend on the
// order in which facts arrive.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []*domain.Record
		for i, e := range rapid.SliceOfN(events, 0, 12).Draw(t, "events") {
			r := record(t, int64(i+1), "one", e)
			r.OccurredAt = r.OccurredAt.AddDate(0, 0, rapid.IntRange(0, 4).Draw(t, "day"))
			log = append(log, r)
		}
		want := tables(t, log)
		got := tables(t, rapid.Permutation(log).Draw(t, "order"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
	})
}

// tables folds the log and returns the keyed tables, but for which record
// decided: of facts that are equal word for word, the first to arrive.
func tables(t rapid.TB, log []*domain.Record) map[string][]projectiontest.Row {
	t.Helper()
	p := trustgroups.Projection()
	m := projections.NewMemory(p)
	for _, r := range log {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	all := make(map[string][]projectiontest.Row)
	for _, table := range p.Tables {
		if table.Name() == "history" {
			continue
		}
		for _, row := range projectiontest.Rows(m, table) {
			delete(row, "position")
			delete(row, "event")
			all[table.Name()] = append(all[table.Name()], row)
		}
	}
	return all
}

func record(t rapid.TB, position int64, source string, e domain.Event) *domain.Record {
	t.Helper()
	r, err := projectiontest.NewRecord(position, source, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// said is one statement in a test: a status and the days it names, 0 for none.
type said struct {
	status                     string
	changed, from, until, told int
	assumed, listed            bool
}

func day(n int) (at time.Time) {
	if n > 0 {
		at = time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC)
	}
	return at
}

func (s said) record(t *testing.T, position int64) *domain.Record {
	changed := domain.TrustgroupsMemberChanged{
		Group: "g", MemberType: domain.MemberCandidate, Member: "m", Status: s.status,
		From: day(s.from), Until: day(s.until), ChangedAt: day(s.changed), Assumed: s.assumed,
	}
	var e domain.Event = changed
	if s.listed {
		e = domain.TrustgroupsMemberListed(changed)
	}
	r := record(t, position, "acme", e)
	r.OccurredAt = day(max(s.told, s.changed))
	return r
}

func TestMembership(t *testing.T) {
	for _, tt := range []struct {
		name         string
		said         []said
		status       string
		since, until int
	}{
		{"since the first active one", []said{{status: "Active", changed: 2}, {status: "Gold", changed: 5}}, "Gold", 2, 0},
		{"a stated start outlives changes", []said{{status: "Active", changed: 2, from: 1}, {status: "Gold", changed: 5}}, "Gold", 1, 0},
		{"the latest stated start counts", []said{{status: "Active", changed: 2, from: 1}, {status: "Gold", changed: 5, from: 3}}, "Gold", 3, 0},
		{"an invitation is no membership", []said{{status: "Pending", changed: 2}}, "Pending", 0, 0},
		{"not a member while invited", []said{{status: "Invited", changed: 2}, {status: "Active", changed: 4}}, "Active", 4, 0},
		{"ended when first said", []said{{status: "Active", changed: 2}, {status: "suspended", changed: 4}, {status: " Removed", changed: 6}}, " Removed", 2, 4},
		{"ended earlier, if stated", []said{{status: "Active", changed: 2}, {status: "Removed", changed: 6, until: 5}}, "Removed", 2, 5},
		{"removed before the contract's end", []said{{status: "Active", changed: 2, until: 30}, {status: "Removed", changed: 6, until: 30}}, "Removed", 2, 6},
		{"the return begins anew", []said{{status: "Active", changed: 2, from: 1}, {status: "Left", changed: 4}, {status: "Active", changed: 8}}, "Active", 8, 0},
		{"an end can be lifted", []said{{status: "Active", changed: 2, until: 20}, {status: "Active", changed: 4}}, "Active", 2, 0},
		{"told dates stand in for the provider's", []said{{status: "Active", told: 3}, {status: "Removed", told: 7}}, "Removed", 3, 7},
		{"the provider's clock before ours", []said{{status: "Removed", told: 3}, {status: "Active", changed: 3}}, "Active", 3, 0},
		{"confirmed before assumed", []said{{status: "Active", changed: 3}, {status: "Removed", changed: 3, assumed: true}}, "Active", 3, 0},
		{"the later end, said at once", []said{{status: "Active", changed: 3, until: 20}, {status: "Active", changed: 3, until: 10}}, "Active", 3, 20},
		{"a list, and nothing else", []said{{status: "Active", told: 3, listed: true}}, "Active", 3, 0},
		{"the later list", []said{{status: "Active", told: 3, listed: true}, {status: "Frozen", told: 5, listed: true}}, "Frozen", 3, 0},
		{"a list outranks nothing", []said{{status: "Removed", told: 3}, {status: "Active", told: 5, from: 1, listed: true}}, "Removed", 0, 3},
		{"a list moves no date", []said{{status: "Active", told: 5}, {status: "Active", told: 2, from: 1, until: 9, listed: true}}, "Active", 5, 0},
		{"a webhook after the list", []said{{status: "Active", told: 3, listed: true}, {status: "Frozen", changed: 2}}, "Frozen", 2, 0},
		{"a list that says when outranks nothing", []said{{status: "Removed", changed: 2}, {status: "Active", changed: 4, told: 8, listed: true}}, "Removed", 0, 2},
		{"the later of lists that say when", []said{{status: "Active", changed: 2, told: 9, listed: true}, {status: "Removed", changed: 4, told: 8, listed: true}}, "Removed", 2, 4},
		{"less before more", []said{{status: "Active", changed: 3}, {status: "Removed", changed: 3}, {status: "Pending", changed: 3}}, "Removed", 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log []*domain.Record
			for i, s := range tt.said {
				log = append(log, s.record(t, int64(i+1)))
			}
			for range 2 {
				row := tables(t, log)["members"][0]
				got := []string{row.Text("status"), row.Text("since"), row.Text("until")}
				want := []string{tt.status, projections.TimeCell(day(tt.since)).Text, projections.TimeCell(day(tt.until)).Text}
				if !slices.Equal(got, want) {
					t.Errorf("status, since, until are %q, want %q", got, want)
				}
				slices.Reverse(log)
			}
		})
	}
}

// TestDecider checks that a row names the record that made it what it is.
func TestDecider(t *testing.T) {
	m := projections.NewMemory(trustgroups.Projection())
	for i, s := range []said{{status: "Active", changed: 2}, {status: "Gold", changed: 5}, {status: "Active", changed: 3}, {status: "Gold", changed: 5}} {
		if err := m.Fold(s.record(t, int64(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	row := projectiontest.Rows(m, trustgroups.Projection().Tables[0])[0]
	if row.Text("position") != "2" || row.Text("event") != "00000000000000000000000002" {
		t.Errorf("decided by record %s, event %s, want 2", row.Text("position"), row.Text("event"))
	}
}

// TestListedName checks that a name from a list gives way to any other, and is
// shown while there is none.
func TestListedName(t *testing.T) {
	member := domain.TrustgroupsMemberChanged{Group: "g", MemberType: domain.MemberLegalEntity, Member: "1", Status: "Active"}
	onList := domain.DirectoryOrganizationListed{Organization: "1", Name: "Listed"}
	paid := domain.SalesEntryPosted{Entry: "1", Currency: "GBP", Payer: domain.Party{ID: "1", Name: "Billed"}}
	for _, tt := range []struct {
		events []domain.Event
		want   string
	}{
		{[]domain.Event{member, onList}, "Listed"},
		{[]domain.Event{onList, paid, member}, "Billed"},
		{[]domain.Event{paid, onList, member}, "Billed"},
	} {
		var log []*domain.Record
		for i, e := range tt.events {
			log = append(log, record(t, int64(i+1), "acme", e))
		}
		if got := tables(t, log)["members"][0].Text("name"); got != tt.want {
			t.Errorf("%T first: the name is %q, want %q", tt.events[0], got, tt.want)
		}
	}
}
