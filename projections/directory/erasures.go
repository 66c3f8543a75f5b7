package directory

import (
	"cmp"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// Statuses of an erasure.
const (
	erasureFlagged = "flagged" // their provider deleted them: somebody has to decide
	erasureErased  = "erased"
	erasureKept    = "kept"
)

// An erasure is what became of the wish that a person be forgotten.
type erasure struct {
	source, personType, person string

	status    string
	flaggedAt time.Time // when their provider deleted them, last; zero: never
	decidedAt time.Time // zero: nobody has
	decision  string    // erasureErased or erasureKept
	basis     string
	by        string
	erasure   string // its id
}

var erasures = projections.NewKeyed("erasures", 3,
	projections.Text("source", func(e *erasure) *string { return &e.source }),
	projections.Text("person_type", func(e *erasure) *string { return &e.personType }),
	projections.Text("person", func(e *erasure) *string { return &e.person }),
	projections.Text("status", func(e *erasure) *string { return &e.status }),
	projections.Time("flagged_at", func(e *erasure) *time.Time { return &e.flaggedAt }),
	projections.Time("decided_at", func(e *erasure) *time.Time { return &e.decidedAt }),
	projections.Text("decision", func(e *erasure) *string { return &e.decision }),
	projections.Text("basis", func(e *erasure) *string { return &e.basis }),
	projections.Text("by", func(e *erasure) *string { return &e.by }),
	projections.Text("erasure", func(e *erasure) *string { return &e.erasure }),
)

// withErasure has f change the row of a person. A decision stands until their
// provider deletes them again.
func withErasure(tx *projections.Tx, i domain.Identity, f func(*erasure)) {
	e, _ := erasures.Get(tx, i.Source, i.Type, i.ID)
	e.source, e.personType, e.person = i.Source, i.Type, i.ID
	f(&e)
	e.status = erasureFlagged
	if !e.decidedAt.IsZero() && !e.flaggedAt.After(e.decidedAt) {
		e.status = e.decision
	}
	erasures.Put(tx, e)
}

// flagPerson takes up that a provider has deleted a person.
func flagPerson(tx *projections.Tx, r *domain.Record, e domain.DirectoryPersonRemoved) {
	withErasure(tx, domain.Identity{Source: r.Source, Type: e.PersonType, ID: e.Person}, func(x *erasure) {
		if r.OccurredAt.After(x.flaggedAt) {
			x.flaggedAt = r.OccurredAt
		}
	})
}

// decide takes up a decision, the later one of two. Of two at the same time the
// greater text counts, as everywhere here.
func decide(tx *projections.Tx, r *domain.Record, identities []domain.Identity, decision, basis, by, id string) {
	for _, i := range identities {
		withErasure(tx, i, func(x *erasure) {
			said, before := []string{decision, basis, by, id}, []string{x.decision, x.basis, x.by, x.erasure}
			if cmp.Or(r.OccurredAt.Compare(x.decidedAt), slices.Compare(said, before)) <= 0 {
				return
			}
			x.decidedAt, x.decision, x.basis, x.by, x.erasure = r.OccurredAt, decision, basis, by, id
		})
	}
}
