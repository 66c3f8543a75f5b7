package certifications

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An employment is what an employer's lists of one employee's badges have in
// common.
type employment struct {
	source, employment string

	person   string // the employer's id of the person
	personAt time.Time
	badges   string    // ids of all that were ever listed, as JSON, sorted
	wholeAt  time.Time // when a list without anything left out was last told
}

var employments = projections.NewKeyed("employments", 2,
	projections.Text("source", func(e *employment) *string { return &e.source }),
	projections.Text("employment", func(e *employment) *string { return &e.employment }),
	projections.Text("person", func(e *employment) *string { return &e.person }),
	projections.Time("person_at", func(e *employment) *time.Time { return &e.personAt }),
	projections.Text("badges", func(e *employment) *string { return &e.badges }),
	projections.Time("whole_at", func(e *employment) *time.Time { return &e.wholeAt }),
)

// A visibility says whether an employer sees a badge of an employee.
type visibility struct {
	source, employment, badge string

	person  string
	visible bool
	clock   time.Time // when that was so, at the latest that we know

	toldAt time.Time // when the badge was last told of by name
	told   bool      // as visible
}

var visibilities = projections.NewKeyed("visibility", 3,
	projections.Text("source", func(v *visibility) *string { return &v.source }),
	projections.Text("employment", func(v *visibility) *string { return &v.employment }),
	projections.Text("badge", func(v *visibility) *string { return &v.badge }),
	projections.Text("person", func(v *visibility) *string { return &v.person }),
	projections.Bool("visible", func(v *visibility) *bool { return &v.visible }),
	projections.Time("clock", func(v *visibility) *time.Time { return &v.clock }),
	projections.Time("told_at", func(v *visibility) *time.Time { return &v.toldAt }),
	projections.Bool("told", func(v *visibility) *bool { return &v.told }),
)

// list compares a list of an employee's badges with what is known of them. Only
// what it changes gets a line in the history: that is the answer to which badge
// an event was about that does not say.
func list(tx *projections.Tx, r *domain.Record, e domain.BadgesListed) error {
	emp, _ := employments.Get(tx, r.Source, e.Employment)
	emp.source, emp.employment = r.Source, e.Employment
	if e.External != "" && cmp.Or(e.ListedAt.Compare(emp.personAt), cmp.Compare(e.External, emp.person)) > 0 {
		emp.person, emp.personAt = e.External, e.ListedAt
	}
	if e.Whole {
		emp.wholeAt = latest(emp.wholeAt, e.ListedAt)
	}
	var known []string
	if emp.badges != "" {
		if err := json.Unmarshal([]byte(emp.badges), &known); err != nil {
			return err
		}
	}
	for _, b := range e.Badges {
		if err := listBadge(tx, r, e, b); err != nil {
			return err
		}
		known = add(known, b.Badge, cmp.Compare[string])
	}
	text, err := domain.Marshal(known)
	if err != nil {
		return err
	}
	if len(known) > 0 {
		emp.badges = string(text)
	}
	employments.Put(tx, emp)
	seen := make(map[string]bool, len(e.Badges))
	for _, b := range e.Badges {
		seen[b.Badge] = seen[b.Badge] || b.Visible
	}
	for _, badge := range known {
		visible, named := seen[badge]
		see(tx, emp, badge, told{e.ListedAt, named, visible})
	}
	return nil
}

// told is what a list says of whether a badge is visible, if it names it.
type told struct {
	at             time.Time
	named, visible bool
}

// listBadge takes up what a list says of the state of one badge.
func listBadge(tx *projections.Tx, r *domain.Record, e domain.BadgesListed, b domain.ListedBadge) error {
	row, old := statuses.Copy(tx, r.Source, subjectBadge, b.Badge, "")
	before := *old
	row.source, row.subjectType, row.subject = r.Source, subjectBadge, b.Badge
	f := listed{b, e.ListedAt, e.External, e.Employment}
	if err := enter(tx, row, f, describeBadge); err != nil {
		return err
	}
	// That it still is as it was is no change.
	before.clock = row.clock
	if !looksSame(&before, row) {
		what, clock := f.what()
		row.note(tx, what, effectApplied, clock)
	}
	return nil
}

// see works out whether the employer sees a badge: by what was last told of it by
// name, unless a whole list without it was told later. Of two told for the same
// moment, the one that shows the badge counts.
func see(tx *projections.Tx, emp employment, badge string, s told) {
	v, _ := visibilities.Get(tx, emp.source, emp.employment, badge)
	before := v
	v.source, v.employment, v.badge, v.person = emp.source, emp.employment, badge, emp.person
	if later := s.at.Compare(v.toldAt); s.named && (later > 0 || later == 0 && s.visible) {
		v.toldAt, v.told = s.at, s.visible
	}
	v.visible, v.clock = v.told, v.toldAt
	if emp.wholeAt.After(v.toldAt) {
		v.visible, v.clock = false, emp.wholeAt
	}
	visibilities.Put(tx, v)
	if before.visible && !v.visible {
		row, _ := statuses.Get(tx, emp.source, subjectBadge, badge, "")
		row.note(tx, "not listed", effectNone, v.clock)
	}
}
