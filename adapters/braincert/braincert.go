// Package braincert reads the webhooks of BrainCert's LMS.
//
// A webhook definition at BrainCert has one topic, a user and a password, and a
// body that its customer can edit. Hence what this package keeps true: only the
// fields without which a fact would be no fact are required, and a value that is
// there and cannot be read exactly is never guessed; the delivery is quarantined
// with the name of the field. Nothing but the pair of resource and action says
// what a delivery is about, and its id alone never identifies it: the published
// samples share one id between created, updated and deleted.
package braincert

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// Config is what a [Provider] has to know.
type Config struct {
	// Secrets are "user:password" as typed into the webhook definition, one, or
	// two while they are being replaced. The first colon separates the two, so
	// only the password can hold another.
	Secrets []string

	// Fields says where else in a body that its customer edited the values are, by
	// the place where BrainCert documents them, such as "payload/order_id". It is
	// for webhooks only.
	Fields payload.Overlay

	// Topic is the topic of deliveries that name neither resource nor action, such
	// as "New Sale". Empty: they are quarantined.
	Topic string

	// Thousands is what stands between thousands in amounts that are sent as text:
	// "," or ".". Empty: nothing does, and an amount that has any is quarantined.
	Thousands string

	// Domain is the domain id that deliveries should name. Another one is flagged
	// and counts all the same: the URL says whose a delivery is. Empty: any.
	Domain string
}

// A Provider verifies and translates the deliveries of one BrainCert domain.
type Provider struct {
	secrets   secret.Set // each "user:password"
	fields    payload.Overlay
	route     route // of deliveries that name none
	thousands string
	domain    string
}

// New returns a provider that accepts the secrets of c, or an error with code
// [domain.Usage].
func New(c Config) (*Provider, error) {
	const op = "braincert: configure"
	secrets, err := secret.New(op, `Give secrets = ["env:NAME"], where NAME holds "user:password".`, c.Secrets...)
	if err != nil {
		return nil, err
	}
	for i, s := range c.Secrets {
		user, password, ok := strings.Cut(s, ":")
		if !ok || user == "" || password == "" {
			return nil, domain.Errorf(domain.Usage, op, "secret %d is not user:password", i+1).
				WithHint("Join the user and the password of the webhook definition with a colon.")
		}
	}
	p := &Provider{secrets: secrets, fields: c.Fields, thousands: c.Thousands, domain: c.Domain}
	if p.route, err = routeOf(c.Topic); err != nil {
		return nil, err
	}
	if err := checkFields(c.Fields); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", payload.ThousandsComma, payload.ThousandsPoint}, c.Thousands) {
		return nil, domain.Errorf(domain.Usage, op, "%.20q is no separator of thousands", c.Thousands).
			WithHint(`Set thousands to "," for 1,180.50 or to "." for 1.180,50.`)
	}
	return p, nil
}

// Verify checks the user and the password that the request brings as HTTP Basic
// authentication, which is all that BrainCert offers.
func (p *Provider) Verify(r domain.Request) (how string, err error) {
	login, ok := basic(http.Header(r.Header).Get("Authorization"))
	if !ok {
		return "", unauthenticated("no user and password", "Set user and password in the webhook definition at BrainCert.")
	}
	name, ok := p.secrets.Holds(login)
	if !ok {
		return "", unauthenticated("wrong user or password", "Compare the secret of this source with the webhook definition at BrainCert.")
	}
	return "basic, " + name, nil
}

// basic returns the "user:password" of an Authorization header (RFC 7617). A user
// has no colon, so that comparing the whole is comparing both.
func basic(authorization string) (login []byte, ok bool) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil, false
	}
	login, err := base64.StdEncoding.DecodeString(encoded)
	// Written in one way only: the decoder passes over line breaks and stray bits.
	return login, err == nil && len(login) > 0 && base64.StdEncoding.EncodeToString(login) == encoded
}

func unauthenticated(cause, hint string) error {
	return &domain.Error{Code: domain.Unauthenticated, Op: "braincert: verify", Hint: hint, Err: errors.New(cause)}
}
