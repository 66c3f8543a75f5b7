package directory_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/directory"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

func TestProjection(t *testing.T) {
	projectiontest.Run(t, directory.Projection(), projectiontest.Events(events))
}

// events are what the projection folds, about few ids and with few words, so
// that facts meet.
var events = rapid.Custom(func(t *rapid.T) domain.Event {
	text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	id := text("id", "1", "2")
	word := text("word", "", "a", "b")
	label := text("label", "", "a", "b")
	who := domain.Learner{Person: id, Name: domain.Personal(word), Email: domain.Personal(text("email", "", "a@example.com", "b@example.com"))}
	what := domain.Subject{SubjectType: text("subject_type", "course", "test", "quiz", "pathway"), Subject: id, SubjectName: word}
	itemType := text("item_type", domain.ItemCourse, domain.ItemTest, domain.ItemProduct, domain.ItemBadgeTemplate)
	personType := text("person_type", domain.PersonUser, domain.PersonUser, domain.PersonEmployee, domain.PersonLead)

	activity := text("activity", "updated", domain.ActivityListed)

	return rapid.SampledFrom([]domain.Event{
		domain.DirectoryPersonSeen{Activity: activity, PersonType: personType, Person: id, Name: who.Name, Email: who.Email, Organization: label, Roles: rapid.SampledFrom([][]string{nil, {}, {"r"}, {"b", "r"}}).Draw(t, "roles"), Groups: rapid.SampledFrom([][]string{nil, {}, {"g"}}).Draw(t, "groups")},
		domain.DirectoryPersonRemoved{PersonType: personType, Person: id},
		domain.DirectoryEmploymentChanged{Employment: id, External: label, State: label, Activity: text("activity of an employment", "created", "deleted", domain.ActivityListed), Name: who.Name},
		domain.DirectoryOrganizationSeen{Organization: text("organization", "", "1", "2"), Name: text("name", "x", "y"), Town: label, Postcode: label},
		domain.DirectoryOrganizationListed{Organization: text("organization on a list", "", "1", "2"), Name: text("name on a list", "x", "y"), Town: label, Postcode: label},
		domain.DirectoryItemSeen{Activity: activity, ItemType: itemType, Item: id, Name: word, Status: label, Price: label, Slug: word},
		domain.DirectoryItemRemoved{ItemType: itemType, Item: id},
		domain.DirectoryGroupSeen{Group: id, Name: word, Description: domain.Personal(word)},
		domain.DirectoryGroupListed{Group: id, Name: word, Description: domain.Personal(word)},
		domain.LearningEnrolled{Learner: who, Subject: what},
		domain.LearningListed{Learner: who, Subject: what, Enrolment: "e", ListedAt: rapid.SampledFrom([]time.Time{{}, day(1), day(3)}).Draw(t, "listed_at")},
		domain.BadgesReported{Badge: "b", Template: id, TemplateName: word, State: "accepted", StateUpdatedAt: day(1), User: label, Name: who.Name},
		domain.SalesSold{Order: "o", Lines: []domain.SaleLine{{Item: id, Name: word}, {Item: label, Name: "n"}}, Buyer: domain.Buyer{Person: id, Name: who.Name, Email: who.Email}},
		domain.SalesListed{Order: "o", Lines: []domain.SaleLine{{Item: id, Name: word}}, Buyer: domain.Buyer{Person: id, Name: who.Name, Email: who.Email}},
		domain.BadgesListed{Employment: "m", ListedAt: day(1), Badges: []domain.ListedBadge{{Badge: "b", Template: id, TemplateName: word, State: "accepted"}}},
		domain.PrivacyErased{
			Erasure: text("erasure", "01KHV3Q0000000000000000001", "01KHV3Q0000000000000000002"), Identities: []domain.Identity{{Source: "acme", Type: personType, ID: id}},
			Epoch: 1, Basis: text("basis", "x", "xy"), By: text("by", "yz", "z"),
		},
		domain.PrivacyKept{
			Identities: []domain.Identity{{Source: "acme", Type: personType, ID: "1"}, {Source: "acme", Type: personType, ID: id}}, Basis: text("basis of keeping", "x", "xy"), By: "z",
		},
		domain.SalesEntryPosted{Entry: "e", Currency: "GBP", Payer: domain.Party{ID: id, Name: who.Name, EntityType: label}, Beneficiary: domain.Party{ID: label, Name: "n"}},
	}).Draw(t, "event")
})

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

// TestOrder checks the law that matters most: the tables do not depend on the
// order in which facts arrive.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []*domain.Record
		for i, e := range rapid.SliceOfN(events, 0, 15).Draw(t, "events") {
			log = append(log, record(t, i+1, rapid.IntRange(1, 3).Draw(t, "day"), e))
		}
		want := tables(t, log)
		got := tables(t, rapid.Permutation(log).Draw(t, "order"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
	})
}

func tables(t rapid.TB, log []*domain.Record) map[string][]projectiontest.Row {
	t.Helper()
	p := directory.Projection()
	m := projections.NewMemory(p)
	for _, r := range log {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	all := make(map[string][]projectiontest.Row)
	for _, table := range p.Tables {
		all[table.Name()] = projectiontest.Rows(m, table)
	}
	return all
}

func record(t rapid.TB, position, occurred int, e domain.Event) *domain.Record {
	t.Helper()
	r, err := projectiontest.NewRecord(int64(position), "acme", e)
	if err != nil {
		t.Fatal(err)
	}
	r.OccurredAt = day(occurred)
	return r
}

// TestRules folds two facts, in both orders, and looks at some columns of the
// only row of a table.
func TestRules(t *testing.T) {
	seen := func(name, email string) domain.Event {
		return domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "1", Name: domain.Personal(name), Email: domain.Personal(email)}
	}
	removed := domain.DirectoryPersonRemoved{PersonType: domain.PersonUser, Person: "1"}
	bought := domain.SalesSold{Order: "o", Buyer: domain.Buyer{Person: "1", Name: "Billed"}}
	course := func(name, status string) domain.Event {
		return domain.DirectoryItemSeen{ItemType: domain.ItemCourse, Item: "7", Name: name, Status: status}
	}
	onList := func(name, email string) domain.Event {
		return domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "1", Name: domain.Personal(name), Email: domain.Personal(email), Activity: domain.ActivityListed}
	}
	courseOnList := domain.DirectoryItemSeen{ItemType: domain.ItemCourse, Item: "7", Name: "L", Status: "archived", Slug: "l", Activity: domain.ActivityListed}
	group := domain.DirectoryGroupSeen{Group: "3", Name: "G"}
	groupOnList := domain.DirectoryGroupListed{Group: "3", Name: "L", Description: "D"}
	roles := func(activity string, roles ...string) domain.Event {
		return domain.DirectoryPersonSeen{PersonType: domain.PersonCandidate, Person: "1", Roles: roles, Activity: activity}
	}
	noRoles := roles("updated", []string{}...)
	registered := domain.LearningEnrolled{Learner: domain.Learner{Person: "1", Name: "P"}, Subject: domain.Subject{SubjectType: domain.SubjectPathway, Subject: "402"}}
	entity := func(name, town string) domain.DirectoryOrganizationSeen {
		return domain.DirectoryOrganizationSeen{Organization: "4", Name: name, Town: town}
	}
	entityOnList := domain.DirectoryOrganizationListed(entity("L", "Ely"))
	taken := func(course string) domain.Event {
		return domain.LearningListed{Learner: domain.Learner{Person: "1"}, Subject: domain.Subject{SubjectType: domain.SubjectCourse, Subject: "7", SubjectName: course}, Enrolment: "e"}
	}
	boughtOnList := domain.SalesListed{Order: "o", Buyer: domain.Buyer{Person: "1", Name: "L", Email: "l@example.com"}}
	gone := domain.DirectoryItemRemoved{ItemType: domain.ItemCourse, Item: "7"}
	employed := func(activity, state string) domain.Event {
		return domain.DirectoryEmploymentChanged{Employment: "1", Activity: activity, State: state}
	}

	for _, tt := range []struct {
		name          string
		first, second domain.Event
		days          [2]int
		table         string
		want          map[string]string
	}{
		{"the later name", seen("A", ""), seen("B", ""), [2]int{2, 1}, "people", map[string]string{"name": "A"}},
		{"of two names at once the greater token", seen("A", ""), seen("B", ""), [2]int{1, 1}, "people", map[string]string{"name": "B"}},
		{"each attribute has its clock", seen("A", ""), seen("", "b@example.com"), [2]int{1, 2}, "people", map[string]string{"name": "A", "email": "b@example.com"}},
		{"removed", seen("A", ""), removed, [2]int{1, 2}, "people", map[string]string{"status": "removed", "name": "A"}},
		{"removed at once", seen("A", ""), removed, [2]int{1, 1}, "people", map[string]string{"status": "removed"}},
		{"seen after it was removed", seen("A", ""), removed, [2]int{2, 1}, "people", map[string]string{"status": "active"}},
		{"a purchase does not bring back", bought, removed, [2]int{2, 1}, "people", map[string]string{"status": "removed", "name": "Billed"}},
		{"a name of one's own", bought, seen("A", ""), [2]int{2, 1}, "people", map[string]string{"status": "active", "name": "A"}},
		{"a name in passing, none of one's own", bought, seen("", ""), [2]int{1, 2}, "people", map[string]string{"status": "active", "name": "Billed"}},
		{"the employment ends", employed("created", "pending"), employed("deleted", ""), [2]int{1, 2}, "people", map[string]string{"status": "removed", "state": "pending"}},
		{"a rejected connection is no removal", employed("created", "pending"), employed("connection.rejected", "rejected"), [2]int{1, 2}, "people", map[string]string{"status": "active", "state": "rejected"}},
		{"the provider's word for an item", course("C", "draft"), course("", "archived"), [2]int{1, 2}, "items", map[string]string{"status": "archived", "name": "C"}},
		{"a removed item keeps its name", course("C", "draft"), gone, [2]int{1, 2}, "items", map[string]string{"status": "removed", "name": "C"}},
		{"an item made again", course("C", "draft"), gone, [2]int{2, 1}, "items", map[string]string{"status": "draft"}},
		{"an item nobody stated a status of", course("C", ""), course("C", ""), [2]int{1, 2}, "items", map[string]string{"status": "active"}},
		{"what is listed comes after what is stated, however late", seen("A", ""), onList("B", "b@example.com"), [2]int{1, 2}, "people", map[string]string{"name": "A", "email": "b@example.com", "status": "active", "seen_at": "2026-01-01T00:00:00Z"}},
		{"what is listed comes after what is said in passing", bought, onList("B", ""), [2]int{1, 2}, "people", map[string]string{"name": "Billed", "status": "active"}},
		{"the later list", onList("A", ""), onList("B", ""), [2]int{1, 2}, "people", map[string]string{"name": "B", "status": "active", "seen_at": "2026-01-02T00:00:00Z"}},
		{"a list does not bring back", removed, onList("B", ""), [2]int{1, 2}, "people", map[string]string{"status": "removed", "name": "B"}},
		{"removed after it was listed", removed, onList("B", ""), [2]int{2, 1}, "people", map[string]string{"status": "removed"}},
		{"an item on a list", course("C", "draft"), courseOnList, [2]int{1, 2}, "items", map[string]string{"name": "C", "status": "draft", "slug": "l", "seen_at": "2026-01-01T00:00:00Z"}},
		{"an item on a list only", courseOnList, courseOnList, [2]int{1, 2}, "items", map[string]string{"name": "L", "status": "archived"}},
		{"a group on a list", group, groupOnList, [2]int{1, 2}, "groups", map[string]string{"name": "G", "description": "D", "seen_at": "2026-01-01T00:00:00Z"}},
		{"the later roles", roles("added", "b", "a"), roles("updated", "c"), [2]int{1, 2}, "people", map[string]string{"roles": "c"}},
		{"no roles any more", roles("added", "a"), noRoles, [2]int{1, 2}, "people", map[string]string{"roles": "", "roles_at": "2026-01-02T00:00:00Z"}},
		{"roles after none", roles("updated", "a"), noRoles, [2]int{2, 1}, "people", map[string]string{"roles": "a"}},
		{"nothing said of roles", roles("added", "a"), roles("updated"), [2]int{1, 2}, "people", map[string]string{"roles": "a"}},
		{"roles on a list", noRoles, roles(domain.ActivityListed, "a"), [2]int{1, 2}, "people", map[string]string{"roles": "", "roles_at": "2026-01-01T00:00:00Z"}},
		{"who registers is a candidate", roles("added", "a"), registered, [2]int{1, 2}, "people", map[string]string{"name": "P", "roles": "a"}},
		{"a legal entity on a list", entity("E", ""), entityOnList, [2]int{1, 2}, "organizations", map[string]string{"name": "E", "town": "Ely", "status": "active", "seen_at": "2026-01-01T00:00:00Z"}},
		{"a legal entity named in an entry and on a list", domain.SalesEntryPosted{Entry: "e", Currency: "GBP", Payer: domain.Party{ID: "4", Name: "Billed"}}, entityOnList, [2]int{1, 2}, "organizations", map[string]string{"name": "Billed", "town": "Ely", "status": "active"}},
		{"a course named on a list, at no stated time", taken("A"), taken("B"), [2]int{2, 1}, "items", map[string]string{"name": "A"}},
		{"a name on a list of sales comes after one in passing", bought, boughtOnList, [2]int{1, 2}, "people", map[string]string{"name": "Billed", "email": "l@example.com", "status": "mentioned"}},
		{"an employee on a list", employed("created", "pending"), employed(domain.ActivityListed, "accepted"), [2]int{1, 2}, "people", map[string]string{"state": "pending", "status": "active"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := []*domain.Record{record(t, 1, tt.days[0], tt.first), record(t, 2, tt.days[1], tt.second)}
			for range 2 {
				rows := tables(t, log)[tt.table]
				if len(rows) != 1 {
					t.Fatalf("%d rows, want 1", len(rows))
				}
				for column, want := range tt.want {
					if got := rows[0].Text(column); got != want {
						t.Errorf("%s is %q, want %q", column, got, want)
					}
				}
				slices.Reverse(log)
			}
		})
	}
}
