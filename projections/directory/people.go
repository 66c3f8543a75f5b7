package directory

import (
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A person is one id of a person.
type person struct {
	source, personType, person string

	name         said
	email        said
	organization said // the provider's id of it
	roles        said // sorted, commas between them
	groups       said // ids, as roles
	external     said // of an employee: the employer's id of the person
	state        said // of an employee: the provider's word
	status       string
	life
}

var people = projections.NewKeyed("people", 3, slices.Concat(
	[]projections.Field[person]{
		projections.Text("source", func(p *person) *string { return &p.source }),
		projections.Text("person_type", func(p *person) *string { return &p.personType }),
		projections.Text("person", func(p *person) *string { return &p.person }),
	},
	mentionable("name", func(p *person) *said { return &p.name }),
	mentionable("email", func(p *person) *said { return &p.email }),
	attribute("organization", func(p *person) *said { return &p.organization }),
	attribute("roles", func(p *person) *said { return &p.roles }),
	attribute("groups", func(p *person) *said { return &p.groups }),
	attribute("external", func(p *person) *said { return &p.external }),
	attribute("state", func(p *person) *said { return &p.state }),
	[]projections.Field[person]{
		projections.Text("status", func(p *person) *string { return &p.status }),
		projections.Time("seen_at", func(p *person) *time.Time { return &p.seenAt }),
		projections.Time("removed_at", func(p *person) *time.Time { return &p.removedAt }),
	},
)...)

// withPerson has f change the row of a person.
func withPerson(tx *projections.Tx, r *domain.Record, personType, id string, f func(*person)) {
	p, _ := people.Get(tx, r.Source, personType, id)
	p.source, p.personType, p.person = r.Source, personType, id
	f(&p)
	p.status = p.life.status(statusActive)
	people.Put(tx, p)
}

func personSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryPersonSeen) {
	if e.PersonType == domain.PersonLead {
		return
	}
	withPerson(tx, r, e.PersonType, e.Person, func(p *person) {
		p.seen(r.OccurredAt)
		p.name.hear(said{text: string(e.Name), at: r.OccurredAt})
		p.email.hear(said{text: address(e.Email), at: r.OccurredAt})
		p.organization.hear(said{text: e.Organization, at: r.OccurredAt})
		p.roles.hear(said{text: projections.AddFlags("", e.Roles...), at: r.OccurredAt})
		p.groups.hear(said{text: projections.AddFlags("", e.Groups...), at: r.OccurredAt})
	})
}

func personRemoved(tx *projections.Tx, r *domain.Record, e domain.DirectoryPersonRemoved) {
	if e.PersonType == domain.PersonLead {
		return
	}
	withPerson(tx, r, e.PersonType, e.Person, func(p *person) { p.removed(r.OccurredAt) })
}

// employmentChanged takes up an employee's record, which goes when the
// employment does. Without authority to see it, all but its ids is left out.
func employmentChanged(tx *projections.Tx, r *domain.Record, e domain.DirectoryEmploymentChanged) {
	withPerson(tx, r, domain.PersonEmployee, e.Employment, func(p *person) {
		if e.Activity == "deleted" {
			p.removed(r.OccurredAt)
		} else {
			p.seen(r.OccurredAt)
		}
		p.name.hear(said{text: string(e.Name), at: r.OccurredAt})
		p.email.hear(said{text: address(e.Email), at: r.OccurredAt})
		p.external.hear(said{text: e.External, at: r.OccurredAt})
		p.state.hear(said{text: e.State, at: r.OccurredAt})
	})
}

// mentionPerson takes up what somebody with an account is called in passing.
func mentionPerson(tx *projections.Tx, r *domain.Record, id string, name, email domain.Personal) {
	if id == "" {
		return
	}
	withPerson(tx, r, domain.PersonUser, id, func(p *person) {
		p.name.hear(said{text: string(name), at: r.OccurredAt, mentioned: true})
		p.email.hear(said{text: address(email), at: r.OccurredAt, mentioned: true})
	})
}
