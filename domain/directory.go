package domain

import "time"

// Person types: whose number space a person's id is from.
const (
	PersonUser      = "user"      // an account at a shop or learning platform
	PersonCandidate = "candidate" // Tahdah's candidates and staff
	PersonEmployee  = "employee"  // Credly workforce
	PersonLead      = "lead"      // a marketing contact without an account
)

// ActivityListed is the activity of what a provider's API listed when it was
// asked. It fills in what no webhook has said, and outranks nothing.
const ActivityListed = "listed"

// DirectoryPersonSeen gives the attributes of a person as they are now.
//
// Roles and Groups replace what was said before. A nil list says nothing of them
// and is left out of the wire form; one that is empty and not nil says that there
// are none, and is [].
type DirectoryPersonSeen struct {
	PersonType   string      `json:"person_type"` // one of the Person constants
	Person       string      `json:"person"`
	Name         Personal    `json:"-"`
	Email        Personal    `json:"-"`
	Organization string      `json:"organization,omitempty"` // the provider's id
	Roles        []string    `json:"roles,omitzero"`
	Groups       []string    `json:"groups,omitzero"` // ids
	Attributes   []Attribute `json:"attributes,omitempty"`
	Activity     string      `json:"activity,omitempty"` // why we heard, such as "signup", "signin", or ActivityListed
}

// An Attribute is one further thing a provider says of a person.
type Attribute struct {
	Name  string   `json:"name"`
	Value Personal `json:"-"`
}

// Kind implements [Event].
func (DirectoryPersonSeen) Kind() Kind { return "directory.person-seen.v1" }

// Validate implements [Event].
func (e DirectoryPersonSeen) Validate() error {
	var c check
	c.oneOf("person_type", e.PersonType, PersonUser, PersonCandidate, PersonEmployee, PersonLead)
	c.id("person", e.Person)
	c.label("organization", e.Organization)
	for i, r := range e.Roles {
		c.in("roles", i)
		c.id("", r)
	}
	for i, g := range e.Groups {
		c.in("groups", i)
		c.id("", g)
	}
	for i, a := range e.Attributes {
		c.in("attributes", i)
		c.id("name", a.Name)
	}
	c.in("", 0)
	c.label("activity", e.Activity)
	c.personals(&e)
	return c.err
}

func (e *DirectoryPersonSeen) personal(visit personalVisitor) {
	who := someone(e.PersonType, e.Person)
	visit("name", who, &e.Name)
	visit("email", who, &e.Email)
	for i := range e.Attributes {
		visit(element("attributes", i, "value"), who, &e.Attributes[i].Value)
	}
}

// DirectoryPersonRemoved says that a provider deleted a person. What the person
// completed or bought stays.
type DirectoryPersonRemoved struct {
	PersonType string `json:"person_type"`
	Person     string `json:"person"`
}

// Kind implements [Event].
func (DirectoryPersonRemoved) Kind() Kind { return "directory.person-removed.v1" }

// Validate implements [Event].
func (e DirectoryPersonRemoved) Validate() error {
	var c check
	c.oneOf("person_type", e.PersonType, PersonUser, PersonCandidate, PersonEmployee, PersonLead)
	c.id("person", e.Person)
	return c.err
}

// DirectoryOrganizationSeen gives the attributes of a legal entity.
type DirectoryOrganizationSeen struct {
	Organization  string    `json:"organization,omitempty"` // the provider's id; Tahdah's legalEntities.created has none
	Name          string    `json:"name"`
	TradingName   string    `json:"trading_name,omitempty"`
	Town          string    `json:"town,omitempty"`
	Postcode      string    `json:"postcode,omitempty"`
	VATNumber     string    `json:"vat_number,omitempty"`
	CharityNumber string    `json:"charity_number,omitempty"`
	CurrencyCode  string    `json:"currency_code,omitempty"` // the provider's own code, not ISO 4217
	Timezone      string    `json:"timezone,omitempty"`      // as sent; "UK/London" is no IANA name
	Website       string    `json:"website,omitempty"`
	AddedAt       time.Time `json:"added_at,omitzero"`
	Description   Personal  `json:"-"`
	Email         Personal  `json:"-"`
	Address       Personal  `json:"-"` // lines, separated by newlines
}

// Kind implements [Event].
func (DirectoryOrganizationSeen) Kind() Kind { return "directory.organization-seen.v1" }

// Validate implements [Event].
func (e DirectoryOrganizationSeen) Validate() error {
	var c check
	c.label("organization", e.Organization)
	c.id("name", e.Name)
	c.label("trading_name", e.TradingName)
	c.label("town", e.Town)
	c.label("postcode", e.Postcode)
	c.label("vat_number", e.VATNumber)
	c.label("charity_number", e.CharityNumber)
	c.label("currency_code", e.CurrencyCode)
	c.label("timezone", e.Timezone)
	c.text("website", e.Website)
	c.time("added_at", e.AddedAt)
	c.personals(&e)
	return c.err
}

func (e *DirectoryOrganizationSeen) personal(visit personalVisitor) {
	who := someone(SubjectOrganization, e.Organization)
	visit("description", who, &e.Description)
	visit("email", who, &e.Email)
	visit("address", who, &e.Address)
}

// DirectoryOrganizationListed gives the attributes of a legal entity as a
// provider's API lists it; see [ActivityListed].
type DirectoryOrganizationListed DirectoryOrganizationSeen

// Kind implements [Event].
func (DirectoryOrganizationListed) Kind() Kind { return "directory.organization-listed.v1" }

// Validate implements [Event].
func (e DirectoryOrganizationListed) Validate() error { return DirectoryOrganizationSeen(e).Validate() }

func (e *DirectoryOrganizationListed) personal(visit personalVisitor) {
	(*DirectoryOrganizationSeen)(e).personal(visit)
}

// Item types.
const (
	ItemCourse        = "course"
	ItemBundle        = "bundle"
	ItemTest          = "test"
	ItemClass         = "class"
	ItemProduct       = "product"
	ItemBadgeTemplate = "badge-template"
	ItemCatalogue     = "catalogue-entry"
)

// DirectoryItemSeen gives the name and attributes of something that can be
// bought, learnt or earned.
type DirectoryItemSeen struct {
	ItemType string `json:"item_type"` // one of the Item constants
	Item     string `json:"item"`      // the provider's id, unique within its type
	Name     string `json:"name,omitempty"`
	Slug     string `json:"slug,omitempty"`
	Status   string `json:"status,omitempty"`
	Price    string `json:"price,omitempty"`    // as sent, without a currency: for reading, not for counting
	Activity string `json:"activity,omitempty"` // why we heard: "created", "updated", or ActivityListed
}

// Kind implements [Event].
func (DirectoryItemSeen) Kind() Kind { return "directory.item-seen.v1" }

// Validate implements [Event].
func (e DirectoryItemSeen) Validate() error {
	var c check
	c.itemType(e.ItemType)
	c.id("item", e.Item)
	c.text("name", e.Name)
	c.text("slug", e.Slug)
	c.label("status", e.Status)
	c.label("price", e.Price)
	c.label("activity", e.Activity)
	return c.err
}

// DirectoryItemRemoved says that a provider deleted an item.
type DirectoryItemRemoved struct {
	ItemType string `json:"item_type"`
	Item     string `json:"item"`
}

// Kind implements [Event].
func (DirectoryItemRemoved) Kind() Kind { return "directory.item-removed.v1" }

// Validate implements [Event].
func (e DirectoryItemRemoved) Validate() error {
	var c check
	c.itemType(e.ItemType)
	c.id("item", e.Item)
	return c.err
}

func (c *check) itemType(s string) {
	c.oneOf("item_type", s, ItemCourse, ItemBundle, ItemTest, ItemClass, ItemProduct, ItemBadgeTemplate, ItemCatalogue)
}

// DirectoryGroupSeen names a group of learners. It is not a trust group.
type DirectoryGroupSeen struct {
	Group       string   `json:"group"`
	Name        string   `json:"name,omitempty"`
	Description Personal `json:"-"`
}

// Kind implements [Event].
func (DirectoryGroupSeen) Kind() Kind { return "directory.group-seen.v1" }

// Validate implements [Event].
func (e DirectoryGroupSeen) Validate() error {
	var c check
	c.id("group", e.Group)
	c.text("name", e.Name)
	c.personals(&e)
	return c.err
}

// DirectoryGroupListed names a group of learners as a provider's API lists it;
// see [ActivityListed].
type DirectoryGroupListed struct {
	Group       string   `json:"group"`
	Name        string   `json:"name,omitempty"`
	Description Personal `json:"-"`
}

// Kind implements [Event].
func (DirectoryGroupListed) Kind() Kind { return "directory.group-listed.v1" }

// Validate implements [Event].
func (e DirectoryGroupListed) Validate() error { return DirectoryGroupSeen(e).Validate() }

func (e *DirectoryGroupSeen) personal(visit personalVisitor) {
	visit("description", someone(SubjectGroup, e.Group), &e.Description)
}

func (e *DirectoryGroupListed) personal(visit personalVisitor) {
	(*DirectoryGroupSeen)(e).personal(visit)
}

// DirectoryEmploymentChanged gives an employee record of Credly's workforce.
type DirectoryEmploymentChanged struct {
	Employment string   `json:"employment"`         // Credly's id of the record
	External   string   `json:"external,omitempty"` // the employer's id of the person
	State      string   `json:"state,omitempty"`    // free text: Credly's list is not known
	Activity   string   `json:"activity"`           // such as "created", "connection.accepted", or ActivityListed
	Name       Personal `json:"-"`
	Email      Personal `json:"-"`
}

// Kind implements [Event].
func (DirectoryEmploymentChanged) Kind() Kind { return "directory.employment-changed.v1" }

// Validate implements [Event].
func (e DirectoryEmploymentChanged) Validate() error {
	var c check
	c.id("employment", e.Employment)
	c.label("external", e.External)
	c.label("state", e.State)
	c.id("activity", e.Activity)
	c.personals(&e)
	return c.err
}

func (e *DirectoryEmploymentChanged) personal(visit personalVisitor) {
	who := someone(PersonEmployee, e.Employment)
	visit("name", who, &e.Name)
	visit("email", who, &e.Email)
}
