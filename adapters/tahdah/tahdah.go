// Package tahdah reads the webhooks of Tahdah.
//
// Tahdah names what happened in the header Webhook-Verb, which its signature
// does not cover, and sends neither an id of the event nor, for most, its time.
// So a body is booked only if it fits its verb, and what tells a repetition from
// a new fact is derived: credit levels are told apart by the line they are of
// (see [domain.Translation]), ledger entries by what is written in them.
//
// A number of money or credits is exact or the delivery is quarantined. What
// the verb and body of a change in a trust group look like is not documented;
// see [Membership].
package tahdah

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// Headers of a delivery.
const (
	headerSignature = "Webhook-Signature"
	headerVerb      = "Webhook-Verb"
)

// A Config says whom to believe and how to read what is undocumented.
type Config struct {
	// Secrets are one or two signing secrets; either is accepted, so that one
	// can be replaced without losing a delivery.
	Secrets []string

	// Membership reads changes in trust groups. Nil is [DefaultMembership];
	// one without verbs reads none.
	Membership *Membership
}

// A Provider verifies and translates the deliveries of one connection.
type Provider struct {
	secrets    secret.Set
	membership Membership
}

// New returns a provider, or an error with code [domain.Usage] if the
// configuration cannot work.
func New(c Config) (*Provider, error) {
	const op = "tahdah: configure"
	secrets, err := secret.New(op, "Give the signing secret that Tahdah shows for the webhook; give two only while one replaces the other.", c.Secrets...)
	if err != nil {
		return nil, err
	}
	p := &Provider{secrets: secrets, membership: DefaultMembership()}
	if c.Membership != nil {
		m, err := c.Membership.normal()
		if err != nil {
			return nil, domain.Errorf(domain.Usage, op, "%w", err)
		}
		p.membership = m
	}
	return p, nil
}

// Verify returns how r was authenticated: by the hexadecimal HMAC-SHA-256 of
// its body. A byte order mark in front may be left out of what is signed, since
// Tahdah's own sample drops it before it computes the signature.
func (p *Provider) Verify(r domain.Request) (how string, err error) {
	signature := http.Header(r.Header).Get(headerSignature)
	if signature == "" {
		return "", unauthenticated("the header %s is missing", headerSignature)
	}
	mac, ok := secret.ParseMAC(signature)
	if !ok {
		return "", unauthenticated("the header %s is not a hexadecimal HMAC-SHA-256", headerSignature)
	}
	if name, ok := p.secrets.Signed(r.Body, mac); ok {
		return "hmac-sha256, " + name, nil
	}
	if trimmed := payload.TrimByteOrderMark(r.Body); len(trimmed) < len(r.Body) {
		if name, ok := p.secrets.Signed(trimmed, mac); ok {
			return "hmac-sha256 without byte order mark, " + name, nil
		}
	}
	return "", unauthenticated("the signature does not match")
}

func unauthenticated(format string, args ...any) error {
	return domain.Errorf(domain.Unauthenticated, "tahdah: verify", format, args...).
		WithHint("Compare the secret of this source with the signing secret of the webhook at Tahdah.")
}

// Verbs whose body is documented. Tahdah's own spelling of verbs is not
// consistent, so they are compared without regard to case.
const (
	verbCredits     = "eventCredits.Updated"
	verbEntry       = "finance.entry.created"
	verbLegalEntity = "legalEntities.created"
)

// Translate returns the facts in an authentic request. A verb of which nothing
// is kept has none, whatever its body.
func (p *Provider) Translate(r domain.Request) (domain.Translation, error) {
	d := &delivery{body: r.Body}
	d.Topic = topic(http.Header(r.Header).Get(headerVerb))
	err := p.translate(d)
	if err == nil {
		err = d.validate()
	}
	d.Flags = d.Flagged()
	if err != nil {
		d.Facts = nil
		return d.Translation, domain.Errorf(domain.Invalid, "tahdah: translate "+d.Topic, "%w", err)
	}
	return d.Translation, nil
}

func (p *Provider) translate(d *delivery) error {
	switch {
	case strings.EqualFold(d.Topic, verbCredits):
		d.Topic = verbCredits // one spelling: it is part of the key
		return d.credits()
	case strings.EqualFold(d.Topic, verbEntry):
		d.Topic = verbEntry
		return d.entry()
	case strings.EqualFold(d.Topic, verbLegalEntity):
		d.Topic = verbLegalEntity
		return d.legalEntity()
	case d.Topic == "":
		return &domain.FieldError{Field: headerVerb, Reason: "is missing: does a proxy drop the header?"}
	}
	if implied, ok := p.membership.Verbs[letters(d.Topic)]; ok {
		return d.members(p.membership, implied)
	}
	d.Reason = "unknown topic"
	return nil
}

// A reader reads facts: what is wrong with one is wrong with the delivery.
type reader struct{ payload.Reader }

// A delivery is a request being translated.
type delivery struct {
	domain.Translation
	reader
	body []byte
}

// decode reads the body, which must be an object or a list as the verb has it.
func (d *delivery) decode(shape func(payload.Value) bool, name string) (payload.Value, error) {
	v, flags, err := payload.DecodeJSON(d.body)
	d.Flag(flags...)
	if err != nil {
		return v, err
	}
	if !shape(v) {
		return v, &domain.FieldError{Field: v.Path(), Reason: "is not " + name}
	}
	return v, nil
}

// validate reports the first fact that could not be recorded.
func (d *delivery) validate() error {
	for i, f := range d.Facts {
		err := f.Event.Validate()
		if field, ok := errors.AsType[*domain.FieldError](err); ok && len(d.Facts) > 1 {
			return &domain.FieldError{Field: fmt.Sprintf("%d/%s", i, field.Field), Reason: field.Reason}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// topic returns a verb as it can be recorded.
func topic(verb string) string { return domain.Label(strings.TrimSpace(verb)) }
