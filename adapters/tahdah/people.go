package tahdah

import (
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// aboutPerson returns the id of a person. A report of a person that lists the
// roles states their level too: when the roles have changed since, it is no
// repetition.
func aboutPerson(e element) (ids, scopes []string) {
	if e.field("roles").Exists() {
		about, _ := aboutRoles(e)
		scopes = []string{payload.Key(about...)}
	}
	return []string{"person", e.ID(e.id("person"))}, scopes
}

func aboutRoles(e element) (ids, scopes []string) {
	return []string{"roles", e.ID(e.id("person"))}, nil
}

// personAdded reads a person who was added to a legal entity. What cannot be read
// but for the id is left out.
func personAdded(e element) domain.Event {
	seen := e.person()
	seen.Name, seen.Email = e.name(), e.Email(e.TryText(e.field("email")))
	list := e.field("roles")
	try := e
	try.reader = new(reader)
	if seen.Roles = try.roles(list); try.Err() != nil {
		e.Odd(list)
		seen.Roles = nil
	}
	return seen
}

// rolesUpdated reads the roles of a person, which replace all former ones.
func rolesUpdated(e element) domain.Event {
	seen := e.person()
	list := e.field("roles")
	if !list.Exists() {
		e.Fail(list, "is missing")
	}
	seen.Roles = e.roles(list)
	return seen
}

func (e element) person() domain.DirectoryPersonSeen {
	return domain.DirectoryPersonSeen{
		PersonType:   domain.PersonCandidate,
		Person:       e.ID(e.id("person")),
		Organization: e.TryLabel(e.id("organization")),
		Activity:     e.implied,
	}
}

// name returns the whole name, else its parts.
func (e element) name() domain.Personal {
	whole := strings.TrimSpace(e.TryText(e.field("name")))
	if whole == "" {
		whole = strings.TrimSpace(e.TryText(e.field("first_name")) + " " + e.TryText(e.field("last_name")))
	}
	return domain.Personal(whole)
}

// roles returns what a list says the roles are: nil if there is no list, and none
// if it is empty. It fails if one of them cannot be read, since a list that is not
// whole would take that role away.
func (e element) roles(list payload.Value) []string {
	if !list.Exists() {
		return nil
	}
	roles := []string{}
	for _, v := range e.Elements(list) {
		if v.IsObject() {
			v = newElement(e.reader, e.by, v, "").id("role")
		}
		role := e.ID(v)
		if !payload.IsLabel(role) {
			e.Fail(v, "cannot be a key")
		}
		roles = append(roles, role)
	}
	return roles
}
