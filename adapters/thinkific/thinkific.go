// Package thinkific reads the webhooks of Thinkific.
//
// The body is signed and names its own topic, so the body alone decides what a
// delivery is; the headers are hints. Amounts are converted only where their
// unit is certain, and kept as sent and flagged where it is not: an order states
// no currency, and a transaction does not say whether it counts dollars or
// cents. Only enrollment.completed completes a course, whatever percentage
// another delivery reports.
package thinkific

import (
	"net/http"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// Headers of a delivery.
const (
	headerSignature = "X-Thinkific-Hmac-Sha256"
	headerTopic     = "X-Thinkific-Topic"
)

// A Config says whom to believe and in which currency the shop sells.
type Config struct {
	// Secrets are one or two keys that deliveries are signed with: the site's API
	// key, or the client secret of an app. Either is accepted, since a new key
	// changes every signature at once.
	Secrets []string

	// DefaultCurrency is the currency of orders, which state none. Empty: orders
	// are booked in no currency, apart from all others.
	DefaultCurrency string
}

// A Provider verifies and translates the deliveries of one site.
type Provider struct {
	secrets  secret.Set
	currency string
}

// New returns a provider, or an error with code [domain.Usage] if the
// configuration cannot work.
func New(c Config) (*Provider, error) {
	const op = "thinkific: configure"
	secrets, err := secret.New(op, "Give the API key of the site, or the client secret of the app; give two only while one replaces the other.", c.Secrets...)
	if err != nil {
		return nil, err
	}
	p := &Provider{secrets: secrets, currency: domain.NormalCurrency(c.DefaultCurrency)}
	if _, known := domain.Exponent(p.currency); p.currency != "" && !known {
		return nil, domain.Errorf(domain.Usage, op, "the default currency %q is not an ISO 4217 code", c.DefaultCurrency).
			WithHint(`Give a code such as "USD", or none.`)
	}
	return p, nil
}

// Verify returns how r was authenticated: by the hexadecimal HMAC-SHA-256 of
// its exact body.
func (p *Provider) Verify(r domain.Request) (how string, err error) {
	signature := http.Header(r.Header).Get(headerSignature)
	if signature == "" {
		return "", unauthenticated("the header %s is missing", headerSignature).
			WithHint("Create the webhook through Thinkific's API: those made by hand may be unsigned.")
	}
	mac, ok := secret.ParseMAC(signature)
	if !ok {
		return "", unauthenticated("the header %s is not a hexadecimal HMAC-SHA-256", headerSignature)
	}
	name, ok := p.secrets.Signed(r.Body, mac)
	if !ok {
		return "", unauthenticated("the signature does not match")
	}
	return "hmac-sha256, " + name, nil
}

func unauthenticated(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.Unauthenticated, "thinkific: verify", format, args...).
		WithHint("Compare the secret of this source with the site's API key; a new API key changes all signatures.")
}
