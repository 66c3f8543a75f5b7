package main

import (
	"strings"

	"github.com/daybook-ledger/daybook/adapters/braincert"
	"github.com/daybook-ledger/daybook/adapters/credly"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/adapters/thinkific"
	"github.com/daybook-ledger/daybook/cmd/internal/auditor"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// allProjections returns every read model this program keeps. An audit folds the
// same: they are listed in the package auditor.
func allProjections() []*projections.Projection { return auditor.Projections() }

// providers says how to make each provider from the configuration of a source.
// To add one, write its folder under adapters and add its line here.
var providers = map[string]func(source sourceConfig, secrets []string) (intake.Provider, error){
	"tahdah": func(s sourceConfig, secrets []string) (intake.Provider, error) {
		return tahdah.New(s.tahdah(secrets))
	},
	"thinkific": func(s sourceConfig, secrets []string) (intake.Provider, error) {
		return thinkific.New(thinkific.Config{Secrets: secrets, DefaultCurrency: s.DefaultCurrency})
	},
	"braincert": func(s sourceConfig, secrets []string) (intake.Provider, error) {
		return braincert.New(braincert.Config{
			Secrets: secrets, Fields: s.Fields, Topic: s.Topic, Thousands: s.Thousands, Domain: s.Domain,
		})
	},
	"credly": func(s sourceConfig, secrets []string) (intake.Provider, error) {
		return credly.New(credly.Config{Secrets: secrets, Organizations: s.Organizations})
	},
}

// apis says how the API of each provider that has one is asked. The token is what
// api_token stands for.
var apis = map[string]func(source sourceConfig, token string) (fetch.Config, error){
	"tahdah":    tahdahAPI,
	"thinkific": thinkificAPI,
	"braincert": braincertAPI,
	"credly":    credlyAPI,
}

// listers says what the API of each provider lists.
var listers = map[string]func(source sourceConfig) fetch.Lister{
	"tahdah":    func(s sourceConfig) fetch.Lister { return tahdah.Lists{Owners: s.Organizations} },
	"thinkific": func(sourceConfig) fetch.Lister { return thinkific.Lists{} },
	"braincert": func(sourceConfig) fetch.Lister { return braincert.Lists{} },
	"credly":    func(s sourceConfig) fetch.Lister { return credly.Lists{Organizations: s.Organizations} },
}

// newClient returns a client of the source's API, nil if none is configured. What
// adjust changes is for one use of it.
func newClient(s sourceConfig, adjust ...func(*fetch.Config)) (*fetch.Client, error) {
	op := "source " + s.Name
	make, ok := apis[s.Provider]
	if !ok || s.APIToken == "" {
		return nil, nil
	}
	token, err := resolveSecret(op, s.APIToken)
	if err != nil {
		return nil, err
	}
	config, err := make(s, token)
	if err != nil {
		return nil, domain.Errorf(domain.CodeOf(err), op, "%w", err)
	}
	for _, f := range adjust {
		f(&config)
	}
	client, err := fetch.New(config)
	if err != nil {
		return nil, domain.Errorf(domain.CodeOf(err), op, "%w", err)
	}
	return client, nil
}

// senders says how each provider's own deliveries are made, to try a source with.
var senders = map[string]sender{
	"tahdah":    {tahdah.Sign, func(sourceConfig) domain.Request { return tahdah.Probe() }},
	"thinkific": {thinkific.Sign, func(sourceConfig) domain.Request { return thinkific.Probe() }},
	"braincert": {braincert.Sign, func(sourceConfig) domain.Request { return braincert.Probe() }},
	"credly":    {credly.Sign, func(s sourceConfig) domain.Request { return credly.Probe(s.Organizations[0]) }},
}

// A sender does what a provider does.
type sender struct {
	// sign makes a request authentic with a secret.
	sign func(r *domain.Request, secret string)

	// probe returns a request, not signed yet, that says nothing and is the same
	// each time: it is recorded once, as unrecognized, and never booked.
	probe func(s sourceConfig) domain.Request
}

// newSource returns the source that is configured as s.
func newSource(s sourceConfig) (intake.Source, error) {
	op := "source " + s.Name
	make, ok := providers[s.Provider]
	if !ok {
		return intake.Source{}, noProvider(op, s.Provider)
	}
	secrets, err := resolveSecrets(op, s.Secrets)
	if err != nil {
		return intake.Source{}, err
	}
	provider, err := make(s, secrets)
	if err != nil {
		return intake.Source{}, domain.Errorf(domain.CodeOf(err), op, "%w", err).WithHint(domain.HintOf(err))
	}
	rate, err := intake.ParseRate(s.Rate)
	if err != nil {
		return intake.Source{}, err
	}
	return intake.Source{
		Name: s.Name, Provider: provider, BookTests: s.BookTests,
		Secrets: len(secrets), Success: s.SuccessStatus, Limits: intake.Limits{Rate: rate, AtOnce: s.AtOnce},
	}, nil
}

// unusedSecret stands for the secrets of a source that only translates. It has the
// form that every provider wants.
const unusedSecret = "-:-"

// translator returns the source that is configured as s for translating what was
// authenticated before: it needs none of its secrets, and lets nobody in. The
// sources of the demo are in no configuration.
func (a *app) translator(name string) (intake.Source, error) {
	s, err := a.sourceNamed(name)
	if err == nil {
		provider, err := providers[s.Provider](s, []string{unusedSecret})
		return intake.Source{Name: s.Name, Provider: provider, BookTests: s.BookTests}, err
	}
	if strings.HasPrefix(name, demoPrefix) {
		demo, _, err := demoSources("")
		for _, s := range demo {
			if s.Name == name || err != nil {
				return s, err
			}
		}
	}
	return intake.Source{}, err
}

// sourceNamed returns the source that is configured by that name, or an error with
// code NotFound.
func (a *app) sourceNamed(name string) (sourceConfig, error) {
	for _, s := range a.config.Sources {
		if s.Name == name {
			return s, nil
		}
	}
	return sourceConfig{}, domain.Errorf(domain.NotFound, "", "there is no source %q", name).
		WithHint("The sources are those of daybook.toml; see: daybook source list")
}

func noProvider(op, name string) error {
	return domain.Errorf(domain.Usage, op, "there is no provider %q", name).
		WithHint("The providers are: " + strings.Join(sortedKeys(providers), ", ") + ".")
}

// projectionNamed returns the projection of the given name.
func projectionNamed(name string) (*projections.Projection, error) {
	var names []string
	for _, p := range allProjections() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, domain.Errorf(domain.NotFound, "", "there is no projection %q", name).
		WithHint("The projections are: " + strings.Join(names, ", ") + ".")
}
