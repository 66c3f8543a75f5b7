// Package credly reads the webhooks of Credly and the answers of its API.
//
// Credly signs nothing and sends nothing but a notice: something happened,
// fetch it. Hence what this package keeps true: a request is let in only with
// the secret that is in its address, and what it says becomes no more than a
// hint (badges.noticed.v1) for an organization we hold. What happened is what the
// API answers when it is asked for that very event, and nothing that merely
// looks like such an answer.
package credly

import (
	"errors"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// Config is what a [Provider] has to know.
type Config struct {
	// Secrets are the last path elements that the webhook URL may have, one, or
	// two while they are being replaced.
	Secrets []string

	// Organizations are the ids whose notices are accepted, at least one.
	Organizations []string
}

// A Provider verifies and translates the notices of Credly organizations.
type Provider struct {
	secrets       secret.Set
	organizations []string
}

// New returns a provider that accepts the secrets and organizations of c, or an
// error with code [domain.Usage].
func New(c Config) (*Provider, error) {
	const op = "credly: configure"
	secrets, err := secret.New(op, `Give secrets = ["env:NAME"], where NAME holds the last path element of the webhook URL.`, c.Secrets...)
	if err != nil {
		return nil, err
	}
	if len(c.Organizations) == 0 {
		return nil, domain.Errorf(domain.Usage, op, "no organizations").
			WithHint("Give organizations = [the ids of your organizations at Credly].")
	}
	p := &Provider{secrets: secrets}
	for i, s := range c.Secrets {
		if strings.Contains(s, "/") {
			return nil, domain.Errorf(domain.Usage, op, "secret %d is not a path element", i+1).
				WithHint("Use letters and digits, such as those of a random UUID.")
		}
	}
	for i, o := range c.Organizations {
		o = strings.TrimSpace(o)
		if o == "" {
			return nil, domain.Errorf(domain.Usage, op, "organization %d is empty", i+1).
				WithHint("Give the id that Credly shows under Organization Management, Developers.")
		}
		p.organizations = append(p.organizations, o)
	}
	return p, nil
}

// Verify checks the secret in the request's address: Credly offers nothing else.
func (p *Provider) Verify(r domain.Request) (how string, err error) {
	if r.Token == "" {
		return "", unauthenticated("no token in the address", "Put the secret of this source behind its webhook URL at Credly.")
	}
	name, ok := p.secrets.Holds([]byte(r.Token))
	if !ok {
		return "", unauthenticated("wrong token in the address", "Compare the secret of this source with the webhook URL at Credly.")
	}
	return "url token, " + name, nil
}

func unauthenticated(cause, hint string) error {
	return &domain.Error{Code: domain.Unauthenticated, Op: "credly: verify", Hint: hint, Err: errors.New(cause)}
}

// accepts reports whether id is one of our organizations. Ids are UUIDs, whose
// letters have no case.
func (p *Provider) accepts(id string) bool {
	return slices.ContainsFunc(p.organizations, func(o string) bool { return strings.EqualFold(o, id) })
}
