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
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
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
	secrets  [][]byte
	currency string
}

// New returns a provider, or an error with code [domain.Usage] if the
// configuration cannot work.
func New(c Config) (*Provider, error) {
	const op = "thinkific: configure"
	if len(c.Secrets) < 1 || len(c.Secrets) > 2 {
		return nil, domain.Errorf(domain.Usage, op, "%d secrets", len(c.Secrets)).
			WithHint("Give the API key of the site; give two only while one replaces the other.")
	}
	p := &Provider{currency: domain.NormalCurrency(c.DefaultCurrency)}
	if _, known := domain.Exponent(p.currency); p.currency != "" && !known {
		return nil, domain.Errorf(domain.Usage, op, "the default currency %q is not an ISO 4217 code", c.DefaultCurrency).
			WithHint(`Give a code such as "USD", or none.`)
	}
	for i, secret := range c.Secrets {
		if strings.TrimSpace(secret) == "" {
			return nil, domain.Errorf(domain.Usage, op, "secret %d is empty", i+1).
				WithHint("Give the API key of the site, or the client secret of the app.")
		}
		p.secrets = append(p.secrets, []byte(secret))
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
	sum, err := hex.DecodeString(signature)
	if err != nil || len(sum) != sha256.Size {
		return "", unauthenticated("the header %s is not a hexadecimal HMAC-SHA-256", headerSignature)
	}
	for i, secret := range p.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(r.Body)
		if hmac.Equal(sum, mac.Sum(nil)) {
			return fmt.Sprintf("hmac-sha256, secret %d", i+1), nil
		}
	}
	return "", unauthenticated("the signature does not match")
}

func unauthenticated(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.Unauthenticated, "thinkific: verify", format, args...).
		WithHint("Compare the secret of this source with the site's API key; a new API key changes all signatures.")
}
