// Package directory keeps the latest name and attributes of every id that the
// providers use: people, legal entities, items and groups of learners.
//
// What it holds does not depend on the order in which facts arrive. Every
// attribute has a clock of its own, the time at which the fact that states it
// occurred: the latest counts, of two at the same time the greater text, of two
// personal texts the greater token. A fact that leaves an attribute out says
// nothing of it, and erases nothing; one that states a list of nothing empties it.
//
// A person or item that is only named in passing, by a sale or a completion, has
// a row too. What a provider says of it in its own right comes first, however
// old. What a provider's API listed when it was asked comes last: it fills in
// what no webhook has said, and brings nothing back that was removed. Leads are
// left out.
package directory

import (
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// Statuses. An item's may be its provider's word instead of active.
const (
	statusActive    = "active"
	statusRemoved   = "removed"
	statusMentioned = "mentioned" // named in passing; nobody said that it is there
)

// Projection returns the projection.
func Projection() *projections.Projection {
	return &projections.Projection{
		Name:    "directory",
		Version: 6,
		Tables:  []projections.Table{people, organizations, items, groups, erasures},
		Kinds: domain.KindsOf(
			domain.DirectoryPersonSeen{},
			domain.DirectoryPersonRemoved{},
			domain.DirectoryEmploymentChanged{},
			domain.DirectoryOrganizationSeen{},
			domain.DirectoryOrganizationListed{},
			domain.DirectoryItemSeen{},
			domain.DirectoryItemRemoved{},
			domain.DirectoryGroupSeen{},
			domain.DirectoryGroupListed{},
			domain.LearningEnrolled{},
			domain.LearningProgressed{},
			domain.LearningCompleted{},
			domain.LearningTested{},
			domain.LearningListed{},
			domain.BadgesReported{},
			domain.BadgesListed{},
			domain.SalesSold{},
			domain.SalesListed{},
			domain.SalesEntryPosted{},
			domain.PrivacyErased{},
			domain.PrivacyKept{},
		),
		Fold: fold,
		Views: []projections.View{
			projections.NewView("people", "People", people,
				"source", "person_type", "person", "name", "email", "organization", "roles", "groups", "status",
				"seen_at", "removed_at", "external", "state"),
			projections.NewView("organizations", "Legal entities", organizations,
				"source", "organization", "name", "trading_name", "town", "postcode", "vat_number", "timezone",
				"status", "seen_at", "charity_number", "website", "entity_type"),
			projections.NewView("items", "Items", items,
				"source", "item_type", "item", "name", "status", "price", "slug", "seen_at", "removed_at"),
			projections.NewView("groups", "Groups of learners", groups,
				"source", "group", "name", "description", "seen_at"),
			projections.NewView("erasures", "Who is to be forgotten", erasures,
				"source", "person_type", "person", "status", "flagged_at", "decided_at", "basis", "by", "erasure"),
		},
	}
}

func fold(tx *projections.Tx, r *domain.Record) error {
	switch e := r.Event.(type) {
	case domain.DirectoryPersonSeen:
		personSeen(tx, r, e)
	case domain.DirectoryPersonRemoved:
		personRemoved(tx, r, e)
		flagPerson(tx, r, e)
	case domain.PrivacyErased:
		decide(tx, r, e.Identities, erasureErased, e.Basis, e.By, e.Erasure)
	case domain.PrivacyKept:
		decide(tx, r, e.Identities, erasureKept, e.Basis, e.By, "")
	case domain.DirectoryEmploymentChanged:
		employmentChanged(tx, r, e)
	case domain.DirectoryOrganizationSeen:
		organizationSeen(tx, r, e, stated)
	case domain.DirectoryOrganizationListed:
		organizationSeen(tx, r, domain.DirectoryOrganizationSeen(e), listed)
	case domain.DirectoryItemSeen:
		itemSeen(tx, r, e)
	case domain.DirectoryItemRemoved:
		itemRemoved(tx, r, e)
	case domain.DirectoryGroupSeen:
		groupSeen(tx, r, e, stated)
	case domain.DirectoryGroupListed:
		groupSeen(tx, r, domain.DirectoryGroupSeen(e), listed)
	case domain.LearningEnrolled:
		learning(tx, r, e.Learner, e.Subject, inPassing(r))
	case domain.LearningProgressed:
		learning(tx, r, e.Learner, e.Subject, inPassing(r))
	case domain.LearningCompleted:
		learning(tx, r, e.Learner, e.Subject, inPassing(r))
	case domain.LearningTested:
		learning(tx, r, e.Learner, e.Subject, inPassing(r))
	case domain.LearningListed:
		at := e.ListedAt
		if at.IsZero() {
			at = r.OccurredAt
		}
		learning(tx, r, e.Learner, e.Subject, word{at, listed})
	case domain.BadgesReported:
		mentionPerson(tx, r, domain.PersonUser, e.User, e.Name, e.Email, inPassing(r))
		mentionItem(tx, r, domain.ItemBadgeTemplate, e.Template, e.TemplateName, inPassing(r))
	case domain.BadgesListed:
		for _, b := range e.Badges {
			mentionItem(tx, r, domain.ItemBadgeTemplate, b.Template, b.TemplateName, inPassing(r))
		}
	case domain.SalesSold:
		sold(tx, r, e, inPassing(r))
	case domain.SalesListed:
		sold(tx, r, domain.SalesSold(e), word{r.RecordedAt, listed})
	case domain.SalesEntryPosted:
		// Who posted an entry may be a person; the other two are legal entities.
		party(tx, r, e.Beneficiary)
		party(tx, r, e.Payer)
	}
	return nil
}

// learning takes up who learns and what.
func learning(tx *projections.Tx, r *domain.Record, l domain.Learner, s domain.Subject, how word) {
	personType := domain.PersonUser
	if s.SubjectType == domain.SubjectPathway {
		personType = domain.PersonCandidate // whose number space is another one
	}
	mentionPerson(tx, r, personType, l.Person, l.Name, l.Email, how)
	switch s.SubjectType {
	case domain.SubjectCourse:
		mentionItem(tx, r, domain.ItemCourse, s.Subject, s.SubjectName, how)
	case domain.SubjectTest:
		mentionItem(tx, r, domain.ItemTest, s.Subject, s.SubjectName, how)
	case domain.SubjectClass:
		mentionItem(tx, r, domain.ItemClass, s.Subject, s.SubjectName, how)
	}
}

// sold takes up who bought and what. A line's id is that of a product, whatever
// the product gives access to.
func sold(tx *projections.Tx, r *domain.Record, e domain.SalesSold, how word) {
	mentionPerson(tx, r, domain.PersonUser, e.Buyer.Person, e.Buyer.Name, e.Buyer.Email, how)
	for _, l := range e.Lines {
		mentionItem(tx, r, domain.ItemProduct, l.Item, l.Name, how)
	}
}

// A standing says how a fact came to say something. The lower one counts.
type standing = int64

const (
	stated    standing = iota // by a webhook, about the thing itself
	mentioned                 // by a webhook, in passing
	listed                    // by a provider's API, when it was asked
)

// A word is when something was said, and how.
type word struct {
	at       time.Time
	standing standing
}

// inPassing returns how a webhook says what it is not about.
func inPassing(r *domain.Record) word { return word{r.OccurredAt, mentioned} }

// standingOf returns the standing of a fact that was heard for the given reason.
func standingOf(activity string) standing {
	if activity == domain.ActivityListed {
		return listed
	}
	return stated
}

// A said is the latest that was said of one attribute.
type said struct {
	text     string
	at       time.Time
	standing standing
}

// hear takes up what a fact says. It counts if it has the better standing, else
// if it is later, else if it is the greater text. Nothing said is nothing known.
func (s *said) hear(o said) {
	if o.text != "" {
		s.take(o)
	}
}

// hearList takes up a list, which replaces the one before and is kept sorted with
// commas between. Nil is nothing said; a list of nothing says that there is none.
func (s *said) hearList(list []string, at time.Time, how standing) {
	if list != nil {
		s.take(said{projections.AddFlags("", list...), at, how})
	}
}

func (s *said) take(o said) {
	later := o.at.Compare(s.at)
	switch {
	case s.at.IsZero(), o.standing < s.standing: // the first that is said, or better known
		*s = o
	case s.standing == o.standing && (later > 0 || later == 0 && o.text > s.text):
		*s = o
	}
}

// attribute declares the columns of an attribute that only webhooks state: what
// was said, and when.
func attribute[R any](name string, at func(*R) *said) []projections.Field[R] {
	return []projections.Field[R]{
		projections.Text(name, func(r *R) *string { return &at(r).text }),
		projections.Time(name+"_at", func(r *R) *time.Time { return &at(r).at }),
	}
}

// ranked declares the columns of an attribute that may also be said in passing
// or be listed.
func ranked[R any](name string, at func(*R) *said) []projections.Field[R] {
	return append(attribute(name, at),
		projections.Integer(name+"_standing", func(r *R) *standing { return &at(r).standing }))
}

// personal declares the columns of a ranked attribute that is about a person.
func personal[R any](name string, at func(*R) *said) []projections.Field[R] {
	fields := ranked(name, at)
	fields[0] = projections.Personal(name, func(r *R) *string { return &at(r).text })
	return fields
}

// A life says when something was last seen, and when it was last removed.
type life struct {
	seenAt    time.Time
	listed    bool // seenAt is when it was listed: no webhook has seen it
	removedAt time.Time
}

// seen takes up that it is there. That it was listed counts if nothing else was
// said.
func (l *life) seen(at time.Time, s standing) {
	listed := s == listed
	switch {
	case l.seenAt.IsZero(), l.listed && !listed, l.listed == listed && at.After(l.seenAt):
		l.seenAt, l.listed = at, listed
	}
}

func (l *life) removed(at time.Time) {
	if at.After(l.removedAt) {
		l.removedAt = at
	}
}

// status returns what became of it, where active is the word for what is there.
// What a webhook has seen after it was removed is there again.
func (l *life) status(active string) string {
	switch {
	case !l.removedAt.IsZero() && (l.listed || !l.seenAt.After(l.removedAt)):
		return statusRemoved
	case l.seenAt.IsZero():
		return statusMentioned
	}
	return active
}

// lifetime declares the columns of a life.
func lifetime[R any](at func(*R) *life) []projections.Field[R] {
	return []projections.Field[R]{
		projections.Time("seen_at", func(r *R) *time.Time { return &at(r).seenAt }),
		projections.Bool("listed", func(r *R) *bool { return &at(r).listed }),
		projections.Time("removed_at", func(r *R) *time.Time { return &at(r).removedAt }),
	}
}
