package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// TestInquiry finds a person wherever they are: by their id, by that of a badge that
// was issued before it was known to whom, by their e-mail address and their name in
// bodies and in headers, and by their name where nobody said who it is.
func TestInquiry(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	at := time.Now().UTC().Truncate(time.Microsecond)
	badge := domain.BadgesReported{Badge: "b1", Template: "t", State: domain.BadgeAccepted, StateUpdatedAt: at, Email: "work@example.com"}
	claimed := badge
	claimed.User, claimed.Email = "u1", ""
	course := domain.Subject{SubjectType: domain.SubjectCourse, Subject: "1"}
	nobody := domain.DirectoryItemSeen{ItemType: domain.SubjectCourse, Item: "1", Name: "Rigging"}
	type mail struct {
		header, body string
		event        domain.Event
	}
	var ids []ulid.ULID
	for i, m := range []mail{
		{"", "1", domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "u1", Name: "Amina Yusuf", Email: "amina@example.com"}},
		{"", "2", badge},
		{"", "3", claimed},
		{"", "4", domain.LearningEnrolled{Learner: domain.Learner{Person: "u1"}, Subject: course}},
		{"Amina Yusuf", "5", nobody},
		{"for AMINA@example.com", "6", nobody},
		{"", "7 amina yusuf", nobody},
		{"", "8 amina@example.com", nobody},
		{"", "9", domain.SalesEntryPosted{Entry: "e", Payer: domain.Party{Name: "Amina Yusuf"}, Currency: "GBP", CreatedAt: at}},
		{"somebody else", "10", domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "u2", Name: "Amina Yusufzai", Email: "zai@example.com"}},
	} {
		d := seen(strings.Repeat("k", i+1))
		d.Source, d.Header, d.Body = "acme", map[string][]string{"X-About": {m.header}}, []byte(m.body)
		d.Facts = []domain.Fact{{Event: m.event}}
		mustAppend(t, log, d)
		ids = append(ids, d.ID)
	}
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	who := domain.Identity{Source: "acme", Type: domain.PersonUser, ID: "u1"}
	d, err := postgres.Inquiry{Identity: who}.Run(t.Context(), db, postgrestest.Keys(t, url), func(string, int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if want := []domain.Identity{{Source: "acme", Type: domain.SubjectBadge, ID: "b1"}, who}; !slices.Equal(d.Identities, want) || len(d.Others) > 0 {
		t.Errorf("identities %v, others %v", d.Identities, d.Others)
	}
	by := make(map[ulid.ULID]string)
	for _, m := range d.Deliveries {
		by[m.ID] = m.By
	}
	for i, want := range []string{"facts", "facts", "facts", "facts", "name", "e-mail", "name", "e-mail", "", ""} {
		if by[ids[i]] != want {
			t.Errorf("delivery %d was found by %q, want %q", i+1, by[ids[i]], want)
		}
	}
	var keys []string
	for _, k := range d.Keys {
		if k.Subject != "" {
			kind, _, _ := strings.Cut(strings.TrimPrefix(k.Subject, "acme/"), "/")
			keys = append(keys, kind)
		}
	}
	if slices.Sort(keys); !slices.Equal(keys, []string{"badge", "name", "user"}) || len(d.Keys) != 3+8 {
		t.Errorf("keys of %q and of %d deliveries", keys, len(d.Keys)-len(keys))
	}
}
