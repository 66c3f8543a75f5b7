package projectiontest

import (
	"context"
	"slices"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// key seals all personal texts of tests, whomever they are about.
func key() *seal.Key { return &seal.Key{'t', 'e', 's', 't'} }

// tokenPrefix is what every token that [NewRecord] makes starts with.
func tokenPrefix() string { return seal.Text(key(), "a")[:len("sealed.1.")+32] }

// sealed is a [domain.Sealer].
func sealed(_ domain.DataSubject, text domain.Personal) (domain.Personal, error) {
	return domain.Personal(seal.Text(key(), string(text))), nil
}

// An Opener is a [projections.Opener] of what [NewRecord] sealed.
type Opener struct{}

// Open implements [projections.Opener].
func (Opener) Open(_ context.Context, tokens []string) ([]string, error) {
	texts := slices.Clone(tokens)
	for i, t := range tokens {
		var err error
		if texts[i], err = seal.OpenText(key(), t); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
