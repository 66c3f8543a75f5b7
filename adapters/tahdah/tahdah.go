// Package tahdah reads the webhooks of Tahdah.
//
// Tahdah names what happened in the header Webhook-Verb, which its signature
// does not cover, and sends neither an id of the event nor, for most, its time.
// So a body is booked only if it fits its verb, and what tells a repetition from
// a new fact is derived: credit levels are told apart by the line they are of
// (see [domain.Translation]), ledger entries by what is written in them.
//
// A number of money or credits is exact or the delivery is quarantined. Of most
// topics neither the verb nor the body is documented: they are read by mappings
// that are assumed until somebody has compared them; see [Mapping].
//
// A request that our own fetcher made of one row of a list is read too, and what
// it says is marked as listed: it outranks no webhook; see [Provider.Translate].
package tahdah

import (
	"cmp"
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

	// Mappings replace parts of the assumed mappings, by name; see [Mappings]. A
	// part that is nil stays. One with verbs that are not nil and empty is off.
	Mappings map[string]Mapping

	// Verbs are further verbs of the topics that are documented, each with its
	// meaning: "credits", "ledger-entry" or "legal-entity".
	Verbs map[string]string
}

// A Provider verifies and translates the deliveries of one connection.
type Provider struct {
	secrets secret.Set
	topics  map[string]topic // by the letters of a verb
	members mapped           // reads rows of lists too
}

// New returns a provider, or an error with code [domain.Usage] if the
// configuration cannot work.
func New(c Config) (*Provider, error) {
	const op = "tahdah: configure"
	secrets, err := secret.New(op, "Give the signing secret that Tahdah shows for the webhook; give two only while one replaces the other.", c.Secrets...)
	if err != nil {
		return nil, err
	}
	mappings, err := c.mappings()
	if err != nil {
		return nil, domain.Errorf(domain.Usage, op, "%w", err)
	}
	topics, err := c.topics(mappings)
	if err != nil {
		return nil, domain.Errorf(domain.Usage, op, "%w", err)
	}
	return &Provider{secrets, topics, mappings[0]}, nil
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

// Translate returns the facts in an authentic request. A verb of which nothing
// is kept has none, whatever its body.
//
// What was fetched is one row of a list that Tahdah's API gave. The only list
// there is has the legal entities that are members of the trust groups of one,
// "members/" and its id. What a row looks like is not documented: it is read as a
// membership by the mapping of memberships if it names the group, the member and
// the status, and as a legal entity if it has a name.
func (p *Provider) Translate(r domain.Request) (domain.Translation, error) {
	d := &delivery{body: r.Body}
	var err error
	if r.Fetched != "" {
		err = p.row(d, r.Fetched)
	} else {
		err = p.webhook(d, http.Header(r.Header).Get(headerVerb))
	}
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

// webhook reads a delivery under a verb.
//
// What cannot be told apart has the verb as its scope: the same bytes may be the
// same level again, and what nobody understands today may be replayed when
// somebody does.
func (p *Provider) webhook(d *delivery, verb string) error {
	d.Topic = payload.Topic(domain.Label(verb))
	known, ok := p.topics[letters(verb)]
	var err error
	switch {
	case ok:
		d.Topic = cmp.Or(known.name, d.Topic)
		err = known.read(d)
	case strings.TrimSpace(verb) == "":
		err = &domain.FieldError{Field: headerVerb, Reason: "is missing: does a proxy drop the header?"}
	default:
		d.Reason = "unknown topic"
	}
	if d.Key == "" && len(d.Scopes) == 0 {
		d.scope(payload.Key("verb", strings.ToLower(domain.Label(strings.TrimSpace(verb)))))
	}
	return err
}

// A reader reads facts: what is wrong with one is wrong with the delivery.
type reader struct{ payload.Reader }

// A delivery is a request being translated.
type delivery struct {
	domain.Translation
	reader
	body   []byte
	scoped map[string]bool // the scopes
}

// scope adds a scope, and reports false if it is there already.
func (d *delivery) scope(s string) (added bool) {
	if d.scoped[s] {
		return false
	}
	if d.scoped == nil {
		d.scoped = make(map[string]bool)
	}
	d.scoped[s] = true
	d.Scopes = append(d.Scopes, s)
	return true
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
