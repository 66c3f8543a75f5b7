package tahdah

import "github.com/daybook-ledger/daybook/domain"

func aboutRegistration(e element) (ids, scopes []string) {
	return []string{"registration", e.ID(e.id("pathway")), e.ID(e.id("candidate"))}, nil
}

// registered reads a candidate's registration for a pathway. It is at most an
// enrolment, whatever else the body says.
func registered(e element) domain.Event {
	return domain.LearningEnrolled{
		Learner: domain.Learner{
			Person: e.ID(e.id("candidate")),
			Name:   e.name(),
			Email:  e.Email(e.TryText(e.field("email"))),
		},
		Subject: domain.Subject{
			SubjectType: domain.SubjectPathway,
			Subject:     e.ID(e.id("pathway")),
			SubjectName: e.TryText(e.field("pathway_name")),
		},
		Enrolment:  e.TryLabel(e.id("registration")),
		EnrolledAt: e.changedAt(),
	}
}

func aboutEntry(e element) (ids, scopes []string) {
	return []string{"catalogue-entry", e.ID(e.id("entry"))}, nil
}

// entryPublished reads an entry of a catalogue. Its price is kept as sent: whether
// it has tax in it is not known, and its currency is a number of Tahdah's own.
func entryPublished(e element) domain.Event {
	return domain.DirectoryItemSeen{
		ItemType: domain.ItemCatalogue,
		Item:     e.ID(e.id("entry")),
		Name:     e.TryText(e.field("name")),
		Slug:     e.TryText(e.field("slug")),
		Status:   e.TryLabel(e.field("status")),
		Price:    e.TryLabel(e.field("price")),
		Activity: e.implied,
	}
}
