package domain

import "time"

// Member types of a trust group.
const (
	MemberLegalEntity = "legal_entity"
	MemberCandidate   = "candidate"
)

// TrustgroupsMemberChanged says what a trust group's member is now.
//
// The verb and the body of Tahdah's webhook are undocumented: the mapping that
// reads them is assumed and can be overridden in configuration.
type TrustgroupsMemberChanged struct {
	Group      string    `json:"group"`
	GroupName  string    `json:"group_name,omitempty"`
	MemberType string    `json:"member_type"` // MemberLegalEntity or MemberCandidate
	Member     string    `json:"member"`
	Status     string    `json:"status"`              // the provider's word
	From       time.Time `json:"from,omitzero"`       //
	Until      time.Time `json:"until,omitzero"`      // zero: no end was stated
	ChangedAt  time.Time `json:"changed_at,omitzero"` // by the provider's clock
	Assumed    bool      `json:"assumed,omitempty"`   // read by a mapping nobody confirmed
}

// Kind implements [Event].
func (TrustgroupsMemberChanged) Kind() Kind { return "trustgroups.member-changed.v1" }

// Validate implements [Event].
func (e TrustgroupsMemberChanged) Validate() error {
	var c check
	c.id("group", e.Group)
	c.text("group_name", e.GroupName)
	c.oneOf("member_type", e.MemberType, MemberLegalEntity, MemberCandidate)
	c.id("member", e.Member)
	c.id("status", e.Status)
	c.time("from", e.From)
	c.time("until", e.Until)
	c.time("changed_at", e.ChangedAt)
	return c.err
}

// TrustgroupsMemberListed says what a trust group's member was when a provider's
// API was asked for its members. It fills in what no webhook has said, and
// outranks nothing.
type TrustgroupsMemberListed TrustgroupsMemberChanged

// Kind implements [Event].
func (TrustgroupsMemberListed) Kind() Kind { return "trustgroups.member-listed.v1" }

// Validate implements [Event].
func (e TrustgroupsMemberListed) Validate() error { return TrustgroupsMemberChanged(e).Validate() }
