package tahdah_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
)

// mapping returns a configuration with one mapping.
func mapping(name string, m tahdah.Mapping) tahdah.Config {
	return tahdah.Config{Mappings: map[string]tahdah.Mapping{name: m}}
}

// only returns the event of a delivery that has one fact.
func only(t *testing.T, p *tahdah.Provider, verb, body string) domain.Event {
	t.Helper()
	tr, err := p.Translate(request(verb, body))
	if err != nil || len(tr.Facts) != 1 {
		t.Fatalf("%s: %d facts, reason %q, %v", verb, len(tr.Facts), tr.Reason, err)
	}
	return tr.Facts[0].Event
}

// TestVerbs says which kind of fact is read under which spelling of a verb.
func TestVerbs(t *testing.T) {
	bodies := map[domain.Kind]string{
		"trustgroups.member-changed.v1": `{"trustGroupId":8,"legalEntityId":1,"status":"Removed"}`,
		"directory.person-seen.v1":      `{"personId":15402,"roles":[]}`,
		"learning.enrolled.v1":          `{"pathwayId":402,"candidateId":918233}`,
		"directory.item-seen.v1":        `{"entryId":9044}`,
		"credits.reported.v1":           `[{"id":7,"eventTemplateId":1,"quantityRemaining":2}]`,
	}
	for kind, verbs := range map[domain.Kind]string{
		"trustgroups.member-changed.v1": "trustGroups.memberUpdated, trustGroup.member.updated, TrustGroups / Member Updated, Member Added, trust-group-members_REMOVED",
		"directory.person-seen.v1":      "legalEntities.personAdded, PEOPLE/STAFF / PERSON ADDED, person.added, staff.person-added, legalentity.rolesupdated, People/Staff / Roles Updated, person.rolesUpdated",
		"learning.enrolled.v1":          "registrations.created, Pathways / Registration Created, pathway_registration_created",
		"directory.item-seen.v1":        "catalogue.entryPublished, Catalogue Entry Published, Catalogue Entry Created, catalogueEntries.created, CATALOG.ENTRY.PUBLISHED",
		"credits.reported.v1":           "eventCredits.Updated, EVENTCREDITS.UPDATED, event-credits_updated, Event Credits Updated",
	} {
		for _, verb := range strings.Split(verbs, ", ") {
			if got := only(t, provider(t, tahdah.Config{}), verb, bodies[kind]).Kind(); got != kind {
				t.Errorf("%s: read as %s, want %s", verb, got, kind)
			}
		}
	}
}

// TestSpellings reads one change in bodies that spell it in different ways.
func TestSpellings(t *testing.T) {
	p := provider(t, tahdah.Config{})
	for _, tt := range []struct {
		verb   string
		bodies []string
		want   string
	}{
		{"trustGroups.memberUpdated", []string{
			`{"trustGroupId":8,"legalEntityId":1,"status":"Active","joinedAt":"2026-02-01"}`,
			`{"trustGroup":{"id":"8","name":null},"legalEntity":{"id":1},"candidate":null,"status":{"id":1,"name":"Active"},"from":"2026-02-01T00:00:00Z"}`,
			`[{"TRUST_GROUP_ID":8,"LegalEntityID":1,"candidateId":0,"Status":"Active","ValidFrom":"2026-02-01T01:00:00+01:00"}]`,
			`{"trustGroupId":null,"group":{"id":8},"member":{"legalEntityId":"1"},"memberStatus":"Active","startDate":"2026-02-01"}`,
		}, `{"group":"8","member_type":"legal_entity","member":"1","status":"Active","from":"2026-02-01T00:00:00Z","assumed":true} -`},
		{"legalEntities.personAdded", []string{
			`{"legalEntityId":4388,"personId":15402,"firstName":"Marta","lastName":"Kowalska","email":"m@example.com","roles":[{"id":7,"name":"Chief"}]}`,
			`{"legalEntity":{"id":"4388"},"person":{"id":15402,"name":" Marta Kowalska","email":"m@example.com","roles":["Chief"]}}`,
			`{"organisationId":4388,"staff_id":"15402","fullName":"Marta Kowalska","emailAddress":" m@example.com ","roleRefs":[{"role":{"id":7,"name":"Chief"}}]}`,
		}, `{"person_type":"candidate","person":"15402","organization":"4388","roles":["Chief"],"activity":"added"} {"name":"Marta Kowalska","email":"m@example.com"}`},
		{"legalEntities.rolesUpdated", []string{
			`{"personId":15402,"roles":[]}`,
			`[{"Person":{"Id":15402},"Roles":[],"legalEntityId":0}]`,
		}, `{"person_type":"candidate","person":"15402","roles":[],"activity":"roles-updated"} -`},
		{"legalEntities.rolesUpdated", []string{
			`{"personId":15402,"roles":[7,"9"]}`,
			`{"personId":15402,"roles":[{"id":7,"name":""},{"roleId":9}]}`,
			`{"personId":15402,"roles":null,"roleIds":[7,9]}`,
		}, `{"person_type":"candidate","person":"15402","roles":["7","9"],"activity":"roles-updated"} -`},
		{"registrations.created", []string{
			`{"registrationId":66120,"pathwayId":402,"pathwayTypeId":12,"candidate":{"id":918233,"firstName":"Priya","lastName":"Raman"},"registeredAt":"2026-03-04T12:00:00Z"}`,
			`{"registration":{"id":"66120"},"pathway":{"id":402},"candidateId":918233,"candidate":{"name":"Priya Raman"},"createdAt":"2026-03-04T12:00:00.000Z","name":"Pathway 402"}`,
		}, `{"person":"918233","subject_type":"pathway","subject":"402","enrolment":"66120","enrolled_at":"2026-03-04T12:00:00Z"} {"name":"Priya Raman"}`},
		{"catalogue.entryPublished", []string{
			`{"catalogueId":31,"entryId":9044,"title":"Level 2","price":249.00,"currencyId":1}`,
			`{"CatalogueEntry":{"Id":9044,"Name":"Level 2"},"price":{"amount":"249.00","currency":"GBP"}}`,
		}, `{"item_type":"catalogue-entry","item":"9044","name":"Level 2","price":"249.00","activity":"published"} -`},
	} {
		for _, body := range tt.bodies {
			data, personal, err := domain.Encode(only(t, p, tt.verb, body))
			if personal == nil {
				personal = []byte("-")
			}
			if got := string(data) + " " + string(personal); err != nil || got != tt.want {
				t.Errorf("%s\n got %s, %v\nwant %s", body, got, err, tt.want)
			}
		}
	}
}

// TestAmbiguousSpelling has two members that may be meant: neither is.
func TestAmbiguousSpelling(t *testing.T) {
	intaketest.Quarantined(t, provider(t, tahdah.Config{}),
		request("trustGroups.memberUpdated", `{"TrustGroupId":8,"trust_group_id":9,"legalEntityId":1,"status":"Active"}`), "trustGroupId is missing")
}

// TestRepetition says what tells a repetition from a new change.
func TestRepetition(t *testing.T) {
	p := provider(t, tahdah.Config{})
	const at = "2026-03-01T10:05:00Z"
	for _, tt := range []struct{ verb, body, key, scopes string }{
		{"legalEntities.personAdded", `{"personId":1,"addedAt":"` + at + `"}`, "person/added/1/" + at, "person/1"},
		{"legalEntities.personAdded", `{"personId":1}`, "", "person/1"},
		{"legalEntities.personAdded", `{"personId":1,"roles":[]}`, "", "person/1 roles/1"},
		{"legalEntities.rolesUpdated", `{"personId":1,"roles":[],"updatedAt":"` + at + `"}`, "roles/roles-updated/1/" + at, "roles/1"},
		{"legalEntities.rolesUpdated", `[{"personId":1,"roles":[]},{"personId":2,"roles":[]},{"personId":1,"roles":["a"]}]`, "", "roles/1 roles/2"},
		{"registrations.created", `{"candidateId":1,"pathwayId":2}`, "", "registration/2/1"},
		{"registrations.created", `{"candidateId":1,"pathwayId":2,"registeredAt":"` + at + `"}`, "registration//2/1/" + at, "registration/2/1"},
		{"catalogue.entryPublished", `{"entryId":1}`, "", "catalogue-entry/1"},
		{"catalogue.entryPublished", `{"entryId":1,"publishedAt":"` + at + `"}`, "catalogue/published/1/" + at, "catalogue-entry/1"},
		{"trustGroups.memberUpdated", `[{"trustGroupId":8,"legalEntityId":1,"status":"Active","updatedAt":"` + at + `"},{"trustGroupId":8,"legalEntityId":2,"status":"Active"}]`, "", "member/8/legal_entity/1 member/8/legal_entity/2"},
		{"trustGroups.memberUpdated", `[]`, "", "verb/trustgroups.memberupdated"},
		{"eventCredits.Updated", `[]`, "", "verb/eventcredits.updated"},
		{"eventCredits.Updated", `{`, "", "verb/eventcredits.updated"},
	} {
		tr, _ := p.Translate(request(tt.verb, tt.body))
		key := tr.Key
		if i := strings.LastIndex(key, "/"); i > 0 {
			key = key[:i] // what follows is the hash
		}
		if key != tt.key || strings.Join(tr.Scopes, " ") != tt.scopes {
			t.Errorf("%s %s: key %q, scopes %q; want %q, %q", tt.verb, tt.body, key, tr.Scopes, tt.key, tt.scopes)
		}
	}
}

// TestOverrides replaces parts of each mapping, and leaves the others.
func TestOverrides(t *testing.T) {
	for _, tt := range []struct {
		name             string
		m                tahdah.Mapping
		verb, body, want string
	}{
		{
			"membership",
			tahdah.Mapping{
				Verbs:     map[string]string{"Group.Left!": "left"},
				Fields:    map[string][]string{"group": {"/data/0/g"}, "legal_entity": {"/data/1"}, "changed_at": {"/at"}},
				Confirmed: true,
			},
			"group.left", `{"data":[{"g":"G1"},42],"at":"2026-03-01T10:05:00+01:00"}`,
			`{"group":"G1","member_type":"legal_entity","member":"42","status":"left","changed_at":"2026-03-01T09:05:00Z"}`,
		},
		{
			"membership",
			tahdah.Mapping{Words: map[string]string{"3": "Suspended"}},
			"trustGroups.memberUpdated", `{"trustGroupId":8,"candidateId":1,"status":3}`,
			`{"group":"8","member_type":"candidate","member":"1","status":"Suspended","assumed":true}`,
		},
		{
			"person",
			tahdah.Mapping{Fields: map[string][]string{"person": {"/id"}, "roles": {}}},
			"legalEntities.personAdded", `{"id":9,"personId":15402,"roles":[{"name":"x"}]}`,
			`{"person_type":"candidate","person":"9","activity":"added"}`,
		},
		{
			"roles",
			tahdah.Mapping{Verbs: map[string]string{"people.changed": ""}, Fields: map[string][]string{"role": {"/code"}}},
			"people.changed", `{"personId":9,"roles":[{"code":"CI","name":"x"}]}`,
			`{"person_type":"candidate","person":"9","roles":["CI"]}`,
		},
		{
			"registration",
			tahdah.Mapping{Fields: map[string][]string{"pathway": {"/pathwayTypeId"}}},
			"registrations.created", `{"pathwayId":402,"pathwayTypeId":12,"candidateId":1}`,
			`{"person":"1","subject_type":"pathway","subject":"12"}`,
		},
		{
			"catalogue",
			tahdah.Mapping{Verbs: map[string]string{"shop.listed": "published"}, Fields: map[string][]string{"price": {"/gross"}}},
			"Shop / Listed", `{"entryId":9044,"price":1,"gross":"249.00"}`,
			`{"item_type":"catalogue-entry","item":"9044","price":"249.00","activity":"published"}`,
		},
	} {
		data, _, err := domain.Encode(only(t, provider(t, mapping(tt.name, tt.m)), tt.verb, tt.body))
		if err != nil || string(data) != tt.want {
			t.Errorf("%s: %s, %v\nwant %s", tt.name, data, err, tt.want)
		}
	}
}

// TestConfiguredVerbs takes the place of assumed ones, and what is off is unknown.
func TestConfiguredVerbs(t *testing.T) {
	c := mapping("person", tahdah.Mapping{Verbs: map[string]string{"memberAdded": "added"}})
	if kind := only(t, provider(t, c), "member.added", `{"personId":1}`).Kind(); kind != "directory.person-seen.v1" {
		t.Errorf("a configured verb was read as %s", kind)
	}
	for _, name := range tahdah.Mappings() {
		p := provider(t, mapping(name, tahdah.Mapping{Verbs: map[string]string{}}))
		unknown := 0
		for _, r := range intaketest.Requests(t, "tahdah") {
			if tr, err := p.Translate(r); err == nil && tr.Reason == "unknown topic" {
				unknown++
			}
		}
		if unknown != 2 { // one is unknown in any case
			t.Errorf("%s is off: %d samples are of an unknown topic, want 2", name, unknown)
		}
	}
}

// TestFurtherVerbs binds the documented meanings to other verbs.
func TestFurtherVerbs(t *testing.T) {
	p := provider(t, tahdah.Config{Verbs: map[string]string{"credits.changed": "credits", "ledger/entry": "ledger-entry", "legalEntity.added": "legal-entity"}})
	for verb, want := range map[string]string{
		"Credits.Changed":  `[{"id":7,"eventTemplateId":1,"quantityRemaining":2}]`,
		"LEDGER.ENTRY":     `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"credit":0}`,
		"legalEntityAdded": `{"name":"x"}`,
	} {
		only(t, p, verb, want)
	}
	tr, _ := p.Translate(request("Credits.Changed", `[{"id":7,"eventTemplateId":1,"quantityRemaining":2}]`))
	if tr.Topic != "eventCredits.Updated" || !slices.Equal(tr.Scopes, []string{"credits/7"}) {
		t.Errorf("topic %s, scopes %q", tr.Topic, tr.Scopes)
	}
}

func TestMappingRefused(t *testing.T) {
	verbs := func(list ...string) map[string]string {
		m := make(map[string]string)
		for i := 0; i < len(list); i += 2 {
			m[list[i]] = list[i+1]
		}
		return m
	}
	for want, c := range map[string]tahdah.Config{
		`there is no mapping "members"`:                                        mapping("members", tahdah.Mapping{}),
		`the verb "123" has no letters`:                                        mapping("membership", tahdah.Mapping{Verbs: verbs("123", "")}),
		`stands for both "gone" and "left"`:                                    mapping("membership", tahdah.Mapping{Verbs: verbs("member.left", "gone", "memberLeft", "left")}),
		`"trustGroupId" is no JSON pointer`:                                    mapping("membership", tahdah.Mapping{Fields: map[string][]string{"group": {"trustGroupId"}}}),
		`membership has no field "grup"`:                                       mapping("membership", tahdah.Mapping{Fields: map[string][]string{"grup": {"/g"}}}),
		`roles has no words`:                                                   mapping("roles", tahdah.Mapping{Words: verbs("1", "x")}),
		`has control characters`:                                               mapping("person", tahdah.Mapping{Verbs: verbs("person.added", "a\nb")}),
		`the verb "financeentrycreated" of roles means something else already`: mapping("roles", tahdah.Mapping{Verbs: verbs("finance.entry.created", "")}),
		`the verb "ab" of roles means something else`: {Mappings: map[string]tahdah.Mapping{
			"person": {Verbs: verbs("a.b", "")}, "roles": {Verbs: verbs("ab", "")},
		}},
		`the verb "ab" cannot mean "person"`:         {Verbs: verbs("a.b", "person")},
		`the verb "financeentrycreated" cannot mean`: {Verbs: verbs("finance.entry.created", "credits")},
		`the verb "7" has no letters`:                {Verbs: verbs("7", "credits")},
	} {
		c.Secrets = []string{samples.TahdahSecret}
		_, err := tahdah.New(c)
		if domain.CodeOf(err) != domain.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := c.Assumptions(); err == nil {
			t.Errorf("no error, want %s", want)
		}
	}
}

func TestAssumptions(t *testing.T) {
	c := tahdah.Config{Mappings: map[string]tahdah.Mapping{"membership": {Confirmed: true}, "roles": {Verbs: map[string]string{}}}}
	list, err := c.Assumptions()
	var names []string
	for _, a := range list {
		names = append(names, a.Mapping)
	}
	if err != nil || !slices.Equal(names, []string{"person", "registration", "catalogue"}) {
		t.Errorf("%q, %v", names, err)
	}
}
