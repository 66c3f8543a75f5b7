package domain

// IntakeUnrecognized says that a delivery was authentic and there was nothing
// in it that daybook keeps.
type IntakeUnrecognized struct {
	Topic  string `json:"topic,omitempty"` // as the provider names it
	Reason string `json:"reason"`          // such as "unknown topic"
}

// Kind implements [Event].
func (IntakeUnrecognized) Kind() Kind { return "intake.unrecognized.v1" }

// Validate implements [Event].
func (e IntakeUnrecognized) Validate() error {
	var c check
	c.label("topic", e.Topic)
	c.id("reason", e.Reason)
	return c.err
}

// IntakeQuarantined says that a delivery was authentic and could not be booked.
// A person decides what becomes of it.
type IntakeQuarantined struct {
	Topic  string `json:"topic,omitempty"`
	Reason string `json:"reason"`          // such as "is missing"
	Field  string `json:"field,omitempty"` // path in the body, such as "payload/user/id"
}

// Kind implements [Event].
func (IntakeQuarantined) Kind() Kind { return "intake.quarantined.v1" }

// Validate implements [Event].
func (e IntakeQuarantined) Validate() error {
	var c check
	c.label("topic", e.Topic)
	c.id("reason", e.Reason)
	c.label("field", e.Field)
	return c.err
}
