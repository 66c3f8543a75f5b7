package directory

import (
	"slices"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A person is one id of a person.
type person struct {
	source, personType, person string

	name         said
	email        said
	organization said // the provider's id of it
	roles        said // a list: none if something was said and the text is empty
	groups       said // ids, a list
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
	personal("name", func(p *person) *said { return &p.name }),
	personal("email", func(p *person) *said { return &p.email }),
	ranked("organization", func(p *person) *said { return &p.organization }),
	ranked("roles", func(p *person) *said { return &p.roles }),
	ranked("groups", func(p *person) *said { return &p.groups }),
	ranked("external", func(p *person) *said { return &p.external }),
	ranked("state", func(p *person) *said { return &p.state }),
	[]projections.Field[person]{
		projections.Text("status", func(p *person) *string { return &p.status }),
	},
	lifetime(func(p *person) *life { return &p.life }),
)...)

// withPerson has f change the row of a person.
func withPerson(tx *projections.Tx, r *domain.Record, personType, id string, f func(*person)) {
	p, _ := people.Copy(tx, r.Source, personType, id)
	p.source, p.personType, p.person = r.Source, personType, id
	f(p)
	p.status = p.life.status(statusActive)
	people.Give(tx, p)
}

func personSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryPersonSeen) {
	if e.PersonType == domain.PersonLead {
		return
	}
	how := standingOf(e.Activity)
	withPerson(tx, r, e.PersonType, e.Person, func(p *person) {
		p.seen(r.OccurredAt, how)
		p.name.hear(said{string(e.Name), r.OccurredAt, how})
		p.email.hear(said{string(e.Email), r.OccurredAt, how})
		p.organization.hear(said{e.Organization, r.OccurredAt, how})
		p.roles.hearList(e.Roles, r.OccurredAt, how)
		p.groups.hearList(e.Groups, r.OccurredAt, how)
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
	how := standingOf(e.Activity)
	withPerson(tx, r, domain.PersonEmployee, e.Employment, func(p *person) {
		if e.Activity == "deleted" {
			p.removed(r.OccurredAt)
		} else {
			p.seen(r.OccurredAt, how)
		}
		p.name.hear(said{string(e.Name), r.OccurredAt, how})
		p.email.hear(said{string(e.Email), r.OccurredAt, how})
		p.external.hear(said{e.External, r.OccurredAt, how})
		p.state.hear(said{e.State, r.OccurredAt, how})
	})
}

// mentionPerson takes up what somebody is called in passing.
func mentionPerson(tx *projections.Tx, r *domain.Record, personType, id string, name, email domain.Personal, how word) {
	if id == "" {
		return
	}
	withPerson(tx, r, personType, id, func(p *person) {
		p.name.hear(said{string(name), how.at, how.standing})
		p.email.hear(said{string(email), how.at, how.standing})
	})
}
