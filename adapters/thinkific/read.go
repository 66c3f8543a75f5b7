package thinkific

import (
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// name returns the first and last name of a person.
func (d *delivery) name(v payload.Value) domain.Personal {
	return domain.Personal(strings.TrimSpace(
		strings.TrimSpace(d.TryText(v.Get("first_name"))) + " " + strings.TrimSpace(d.TryText(v.Get("last_name")))))
}

// email returns an e-mail address; what is none is left out and flagged.
func (d *delivery) email(v payload.Value) domain.Personal { return d.Email(d.TryText(v)) }

// learner returns the person that a payload is about; the id is needed.
func (d *delivery) learner(user payload.Value) domain.Learner {
	return domain.Learner{
		Person: d.ID(user.Get("id")),
		Name:   d.name(user),
		Email:  d.email(user.Get("email")),
	}
}
