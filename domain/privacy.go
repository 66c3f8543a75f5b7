package domain

import (
	"slices"

	"github.com/oklog/ulid/v2"
)

// An Identity is a [DataSubject] with the source that knows them by this id. A person
// may have several.
type Identity struct {
	Source string `json:"source"`
	Type   string `json:"type"` // one of the Person or Subject constants
	ID     string `json:"id"`
}

// String returns "source/type/id".
func (s Identity) String() string { return s.Source + "/" + s.Type + "/" + s.ID }

// PrivacyErased says that what was held of a person was erased: the keys that it
// was sealed with are destroyed. What is no text about a person stays, the ids and
// all that finance is about. An erasure of very many keys has several records.
type PrivacyErased struct {
	Erasure    string     `json:"erasure"`    // ULID, the same in all records of one erasure
	Identities []Identity `json:"identities"` // whose; all that were known of the person, none if only an e-mail address was
	Keys       []string   `json:"keys"`       // base64 ids of the destroyed keys
	Deliveries int64      `json:"deliveries"` // how many of them were of deliveries, whose bodies went with them
	Epoch      int64      `json:"epoch"`      // it is final once the key-encryption keys up to this epoch are destroyed
	Basis      string     `json:"basis"`      // the legal basis, without a name
	By         string     `json:"by"`         // who decided it
}

// MaxErasedKeys is how many keys one [PrivacyErased] may name.
const MaxErasedKeys = 1000

// Kind implements [Event].
func (PrivacyErased) Kind() Kind { return "privacy.erased.v1" }

// Validate implements [Event].
func (e PrivacyErased) Validate() error {
	var c check
	if _, err := ulid.ParseStrict(e.Erasure); err != nil {
		c.fail("erasure", "is not a ULID")
	}
	c.identities(e.Identities, true)
	if len(e.Keys) > MaxErasedKeys {
		c.fail("keys", "are %d, more than %d", len(e.Keys), MaxErasedKeys)
	}
	for i, k := range e.Keys {
		c.in("keys", i)
		c.hash("", k)
	}
	c.in("", 0)
	if e.Deliveries < 0 || e.Deliveries > int64(len(e.Keys)) {
		c.fail("deliveries", "is not how many of the keys are of deliveries")
	}
	if e.Epoch < 1 {
		c.fail("epoch", "is below 1")
	}
	c.id("basis", e.Basis)
	c.id("by", e.By)
	return c.err
}

// PrivacyKept says that what is held of a person is kept although their provider
// deleted them, and why that may be.
type PrivacyKept struct {
	Identities []Identity `json:"identities"`
	Basis      string     `json:"basis"` // the legal basis, without a name
	By         string     `json:"by"`    // who decided it
}

// Kind implements [Event].
func (PrivacyKept) Kind() Kind { return "privacy.kept.v1" }

// Validate implements [Event].
func (e PrivacyKept) Validate() error {
	var c check
	c.identities(e.Identities, false)
	c.id("basis", e.Basis)
	c.id("by", e.By)
	return c.err
}

func (c *check) identities(list []Identity, orNone bool) {
	if len(list) == 0 && !orNone {
		c.fail("identities", "are missing")
	}
	for i, s := range list {
		c.in("identities", i)
		c.id("source", s.Source)
		c.id("type", s.Type)
		c.id("id", s.ID)
	}
	c.in("", 0)
}

// Mentions returns whom an event is about or names by an id, each once: whoever's
// texts it has, and whom it names without any.
func Mentions(e Event) []DataSubject {
	var list []DataSubject
	add := func(typ, id string) {
		if s := someone(typ, id); s != (DataSubject{}) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	switch e := e.(type) {
	case DirectoryPersonSeen:
		add(e.PersonType, e.Person)
	case DirectoryPersonRemoved:
		add(e.PersonType, e.Person)
	case DirectoryOrganizationSeen:
		add(SubjectOrganization, e.Organization)
	case DirectoryOrganizationListed:
		add(SubjectOrganization, e.Organization)
	case DirectoryEmploymentChanged:
		add(PersonEmployee, e.Employment)
	case LearningEnrolled:
		add(e.of(e.Subject))
	case LearningProgressed:
		add(e.of(e.Subject))
	case LearningCompleted:
		add(e.of(e.Subject))
	case LearningTested:
		add(e.of(e.Subject))
	case LearningListed:
		add(e.of(e.Subject))
	case BadgesReported:
		add(PersonUser, e.User)
		add(SubjectBadge, e.Badge)
	case BadgesListed:
		add(PersonEmployee, e.Employment)
		for _, b := range e.Badges {
			add(SubjectBadge, b.Badge)
		}
	case SalesSold:
		add(PersonUser, e.Buyer.Person)
	case SalesListed:
		add(PersonUser, e.Buyer.Person)
	case SalesSubscriptionChanged:
		add(PersonUser, e.Person)
	case SalesEntryPosted:
		add(SubjectOrganization, e.Beneficiary.ID)
		add(SubjectOrganization, e.Payer.ID)
		add(PersonCandidate, e.PostedBy.ID)
	case TrustgroupsMemberChanged:
		add(e.member())
	case TrustgroupsMemberListed:
		add(TrustgroupsMemberChanged(e).member())
	}
	return list
}

func (e TrustgroupsMemberChanged) member() (typ, id string) {
	if e.MemberType == MemberCandidate {
		return PersonCandidate, e.Member
	}
	return SubjectOrganization, e.Member
}

// A PersonalText is one text of the personal part of an event.
type PersonalText struct {
	Path  string // of its field
	About DataSubject
	Text  string // sealed, in a record of the log
}

// PersonalTexts returns the texts of the personal part of e, in the order of their
// fields.
func PersonalTexts(e Event) []PersonalText {
	c, ok := kinds[e.Kind()]
	if !ok {
		return nil
	}
	return c.texts(e)
}
