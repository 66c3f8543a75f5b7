package thinkific

import (
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// user reads user.signup, user.signin and user.updated.
func user(d *delivery) domain.Event {
	v := d.payload
	e := domain.DirectoryPersonSeen{
		PersonType: domain.PersonUser,
		Person:     d.ID(v.Get("id")),
		Name:       d.name(v),
		Email:      d.email(v.Get("email")),
		Activity:   d.action,
	}
	e.Roles = d.roles(v.Get("roles"))
	for _, name := range []string{"company", "headline", "external_source"} {
		e.Attributes = d.attribute(e.Attributes, name, v.Get(name))
	}
	fields := v.Get("custom_profile_fields")
	if fields.Exists() && !fields.IsList() {
		d.Odd(fields)
	}
	for _, field := range fields.List() {
		e.Attributes = d.attribute(e.Attributes, d.TryLabel(field.Get("label")), field.Get("value"))
	}
	return e
}

// roles returns what a list says the roles are: none if it is empty, and nil if there
// is no list or not all of it can be read, since a list that is not whole would take
// the rest away.
func (d *delivery) roles(list payload.Value) []string {
	if !list.IsList() {
		if list.Exists() {
			d.Odd(list)
		}
		return nil
	}
	roles, whole := []string{}, true
	for _, v := range list.List() {
		if name := d.TryLabel(v); name != "" {
			roles = append(roles, name)
		} else {
			whole = false
		}
	}
	if !whole {
		return nil
	}
	return roles
}

// attribute appends an attribute, unless it has no name or no value.
func (d *delivery) attribute(list []domain.Attribute, name string, v payload.Value) []domain.Attribute {
	value := d.TryText(v)
	if name == "" || value == "" {
		return list
	}
	return append(list, domain.Attribute{Name: name, Value: domain.Personal(value)})
}

func userRemoved(d *delivery) domain.Event {
	return domain.DirectoryPersonRemoved{PersonType: domain.PersonUser, Person: d.ID(d.payload.Get("id"))}
}

// lead reads lead.created: somebody who left an address and has no account.
func lead(d *delivery) domain.Event {
	v := d.payload
	return domain.DirectoryPersonSeen{
		PersonType: domain.PersonLead,
		Person:     d.ID(v.Get("id")),
		Name:       d.name(v),
		Email:      d.email(v.Get("email")),
		Attributes: d.attribute(nil, "subscribed", v.Get("subscribed")),
		Activity:   d.action,
	}
}

// course and product read what was created or updated. Only the id is sure to
// be there.
func course(d *delivery) domain.Event  { return d.item(domain.ItemCourse) }
func product(d *delivery) domain.Event { return d.item(domain.ItemProduct) }

func (d *delivery) item(itemType string) domain.Event {
	v := d.payload
	return domain.DirectoryItemSeen{
		ItemType: itemType,
		Item:     d.ID(v.Get("id")),
		Name:     d.TryText(v.Get("name")),
		Slug:     d.TryText(v.Get("slug")),
		Status:   d.TryLabel(v.Get("status")),
		Price:    d.TryLabel(v.Get("price")),
		Activity: d.action,
	}
}

func courseRemoved(d *delivery) domain.Event  { return d.itemRemoved(domain.ItemCourse) }
func productRemoved(d *delivery) domain.Event { return d.itemRemoved(domain.ItemProduct) }

func (d *delivery) itemRemoved(itemType string) domain.Event {
	return domain.DirectoryItemRemoved{ItemType: itemType, Item: d.ID(d.payload.Get("id"))}
}
