package braincert

import (
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// personSeen translates User Created and User Updated, which name their fields
// differently.
func personSeen(r *reader, rt route) domain.Event {
	e := domain.DirectoryPersonSeen{
		PersonType: domain.PersonUser,
		Person:     r.id(r.first(rt.subject)),
		Name:       r.name(r.body),
		Email:      r.Email(r.tryText(r.body.Get("email"))),
		Activity:   rt.action,
		Roles:      r.entries(r.body.Get("roles"), "role_name", "role_id"),
		Groups:     r.entries(r.body.Get("groups"), "group_id", "id"),
	}
	for _, field := range r.list(r.body.Get("custom_registration_fields")) {
		if name := r.entry(field, "field_name", "field_id"); name != "" {
			e.Attributes = append(e.Attributes, domain.Attribute{Name: name, Value: r.answer(field.Get("field_value"))})
		}
	}
	return e
}

// entry returns what an element of a list is called: the first of two members
// that is filled or, of an edited body, the element itself.
func (r *reader) entry(v payload.Value, a, b string) string {
	switch {
	case !v.IsObject():
		return r.tryID(v)
	case v.Get(a).Filled():
		return r.tryID(v.Get(a))
	}
	return r.tryID(v.Get(b))
}

// entries returns what the elements of a list are called: none for a list of nothing,
// and nil if there is no list or not all of it can be read, since a list that is not
// whole would take the rest away.
func (r *reader) entries(list payload.Value, a, b string) []string {
	elements := r.list(list)
	if !list.IsList() {
		return nil
	}
	names, whole := []string{}, true
	for _, v := range elements {
		name := r.entry(v, a, b)
		if name == "" {
			whole = false
			if v.IsObject() && !v.Get(a).Filled() && !v.Get(b).Filled() {
				r.Odd(v)
			}
		}
		names = append(names, name)
	}
	if !whole {
		return nil
	}
	return names
}

// answer returns what a person filled into a registration field; several
// choices are separated by commas.
func (r *reader) answer(v payload.Value) domain.Personal {
	var scratch payload.Reader // an answer is not worth a quarantine
	texts := []string{}
	if v.IsList() {
		for _, choice := range v.List() {
			texts = append(texts, scratch.Label(choice))
		}
	} else {
		texts = append(texts, scratch.Label(v))
	}
	if scratch.Err() != nil {
		r.Flag(flagUnread)
	}
	return domain.Personal(strings.Join(texts, ", "))
}

func personRemoved(r *reader, rt route) domain.Event {
	return domain.DirectoryPersonRemoved{PersonType: domain.PersonUser, Person: r.id(r.first(rt.subject))}
}

func groupSeen(r *reader, rt route) domain.Event { return groupOf(r, rt) }

func groupOf(r *reader, rt route) domain.DirectoryGroupSeen {
	return domain.DirectoryGroupSeen{
		Group:       r.id(r.first(rt.subject)),
		Name:        r.either(r.body, "group_name", "name"),
		Description: domain.Personal(r.tryText(r.body.Get("description"))),
	}
}

// itemSeen translates what was created or updated in the catalogue.
func itemSeen(itemType string) func(*reader, route) domain.Event {
	return func(r *reader, rt route) domain.Event {
		return domain.DirectoryItemSeen{
			ItemType: itemType,
			Item:     r.item(rt),
			Name:     r.either(r.body, "name", "title", itemType+"_name"),
			Slug:     r.tryText(r.body.Get("slug")),
			Price:    r.tryLabel(r.body.Get("price")),
			Activity: rt.action,
		}
	}
}

func itemRemoved(itemType string) func(*reader, route) domain.Event {
	return func(r *reader, rt route) domain.Event {
		return domain.DirectoryItemRemoved{ItemType: itemType, Item: r.item(rt)}
	}
}

// item returns the id of a catalogue entry. A product has none: its SKU is the
// key, or its address.
func (r *reader) item(rt route) string {
	v := r.first(rt.subject)
	if isPlaceholder("sku", v) {
		r.Fail(v, "is a placeholder")
	}
	return r.id(v)
}
