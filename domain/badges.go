package domain

import "time"

// BadgesNoticed is Credly's thin notice: something happened, fetch it. It is a
// hint, since nothing proves its sender.
type BadgesNoticed struct {
	Notice       string    `json:"notice"`       // Credly's event id
	Organization string    `json:"organization"` // Credly's id
	EventType    string    `json:"event_type"`   // such as "badge.state.changed"
	NoticedAt    time.Time `json:"noticed_at"`   // Credly's occurred_at
}

// Kind implements [Event].
func (BadgesNoticed) Kind() Kind { return "badges.noticed.v1" }

// Validate implements [Event].
func (e BadgesNoticed) Validate() error {
	var c check
	c.id("notice", e.Notice)
	c.id("organization", e.Organization)
	c.id("event_type", e.EventType)
	c.time("noticed_at", e.NoticedAt)
	return c.err
}

// States of a badge, as Credly names them. There is no expired state: expiry
// is a date that passes.
const (
	BadgePending  = "pending"
	BadgeAccepted = "accepted"
	BadgeRejected = "rejected"
	BadgeRevoked  = "revoked"
	BadgeReplaced = "replaced"
)

// BadgesReported is the state of one badge as fetched from Credly.
type BadgesReported struct {
	Badge          string    `json:"badge"`
	Organization   string    `json:"organization,omitempty"`
	Template       string    `json:"template"`
	TemplateName   string    `json:"template_name,omitempty"`
	State          string    `json:"state"`            // one of the Badge constants, or a word Credly adds later
	StateUpdatedAt time.Time `json:"state_updated_at"` // the badge's clock: an older one never overwrites
	IssuedAt       time.Time `json:"issued_at,omitzero"`
	ExpiresAt      time.Time `json:"expires_at,omitzero"` // zero: never
	Public         bool      `json:"public,omitempty"`
	Replaces       string    `json:"replaces,omitempty"`
	ReplacedBy     string    `json:"replaced_by,omitempty"`
	Earner         string    `json:"earner,omitempty"` // the issuer's own id of the person
	User           string    `json:"user,omitempty"`   // Credly's id of the person, once known
	Reason         Personal  `json:"-"`                // of a revocation, as somebody wrote it
	Name           Personal  `json:"-"`
	Email          Personal  `json:"-"`
}

// Kind implements [Event].
func (BadgesReported) Kind() Kind { return "badges.reported.v1" }

// Validate implements [Event].
func (e BadgesReported) Validate() error {
	var c check
	c.id("badge", e.Badge)
	c.label("organization", e.Organization)
	c.id("template", e.Template)
	c.text("template_name", e.TemplateName)
	c.id("state", e.State)
	if e.StateUpdatedAt.IsZero() {
		c.fail("state_updated_at", "is missing")
	}
	c.time("state_updated_at", e.StateUpdatedAt)
	c.time("issued_at", e.IssuedAt)
	c.time("expires_at", e.ExpiresAt)
	c.label("replaces", e.Replaces)
	c.label("replaced_by", e.ReplacedBy)
	c.label("earner", e.Earner)
	c.label("user", e.User)
	c.personals(&e)
	return c.err
}

func (e *BadgesReported) personal(visit personalVisitor) {
	who := someone(PersonUser, e.User)
	if e.User == "" {
		who = someone(SubjectBadge, e.Badge)
	}
	visit("reason", who, &e.Reason)
	visit("name", who, &e.Name)
	visit("email", who, &e.Email)
}

// BadgesListed says which badges of an employee an employer sees, and in which
// state. It comes with everything that Credly tells of an employee, and says
// less of a badge than [BadgesReported]: not since when it is in its state, nor
// why. That a badge cannot be seen says nothing about whether it is valid.
type BadgesListed struct {
	Employment   string        `json:"employment"` // Credly's id of the employee record
	Organization string        `json:"organization,omitempty"`
	External     string        `json:"external,omitempty"` // the employer's id of the person
	ListedAt     time.Time     `json:"listed_at"`          // when this was so, at the earliest
	Whole        bool          `json:"whole,omitempty"`    // no other badge is visible; false: nothing is said of others
	Badges       []ListedBadge `json:"badges,omitempty"`
}

// A ListedBadge is one badge of an employee.
type ListedBadge struct {
	Badge        string    `json:"badge"`
	Visible      bool      `json:"visible"` // to the employer
	Template     string    `json:"template"`
	TemplateName string    `json:"template_name,omitempty"`
	State        string    `json:"state"`
	IssuedAt     time.Time `json:"issued_at,omitzero"`
	ExpiresAt    time.Time `json:"expires_at,omitzero"` // zero: never
	Public       bool      `json:"public,omitempty"`
}

// Kind implements [Event].
func (BadgesListed) Kind() Kind { return "badges.listed.v1" }

// Validate implements [Event].
func (e BadgesListed) Validate() error {
	var c check
	c.id("employment", e.Employment)
	c.label("organization", e.Organization)
	c.label("external", e.External)
	if e.ListedAt.IsZero() {
		c.fail("listed_at", "is missing")
	}
	c.time("listed_at", e.ListedAt)
	for i, b := range e.Badges {
		c.in("badges", i)
		c.id("badge", b.Badge)
		c.id("template", b.Template)
		c.text("template_name", b.TemplateName)
		c.id("state", b.State)
		c.time("issued_at", b.IssuedAt)
		c.time("expires_at", b.ExpiresAt)
	}
	return c.err
}

// BadgesDeleted says that a badge was deleted at Credly.
type BadgesDeleted struct {
	Badge     string    `json:"badge"`
	DeletedAt time.Time `json:"deleted_at"`
}

// Kind implements [Event].
func (BadgesDeleted) Kind() Kind { return "badges.deleted.v1" }

// Validate implements [Event].
func (e BadgesDeleted) Validate() error {
	var c check
	c.id("badge", e.Badge)
	c.time("deleted_at", e.DeletedAt)
	return c.err
}

// BadgesUnverified says that a notice could not be confirmed at Credly.
type BadgesUnverified struct {
	Notice string `json:"notice"`
	Reason string `json:"reason"`
}

// Kind implements [Event].
func (BadgesUnverified) Kind() Kind { return "badges.unverified.v1" }

// Validate implements [Event].
func (e BadgesUnverified) Validate() error {
	var c check
	c.id("notice", e.Notice)
	c.id("reason", e.Reason)
	return c.err
}
