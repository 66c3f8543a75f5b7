package main

import (
	"cmp"

	"github.com/daybook-ledger/daybook/adapters/braincert"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/adapters/thinkific"
	"github.com/daybook-ledger/daybook/domain"
)

// tahdahAPI says how Tahdah's API is asked.
func tahdahAPI(s sourceConfig, token string) (fetch.Config, error) {
	return apiAt(tahdah.Lists{}, cmp.Or(s.APIURL, tahdah.APIURL), fetch.Bearer(token)), nil
}

// thinkificAPI says how Thinkific's API is asked.
func thinkificAPI(s sourceConfig, token string) (fetch.Config, error) {
	if s.APISubdomain == "" {
		return fetch.Config{}, domain.Errorf(domain.Usage, "api_subdomain", "it is not set").
			WithHint(`Set it to the first part of the site's address: "acme" for acme.thinkific.com.`)
	}
	auth := fetch.Header("X-Auth-API-Key", token, "X-Auth-Subdomain", s.APISubdomain)
	return apiAt(thinkific.Lists{}, cmp.Or(s.APIURL, thinkific.APIURL), auth), nil
}

// braincertAPI says how BrainCert's API is asked: with the bare key, without the
// name of a scheme before it.
func braincertAPI(s sourceConfig, token string) (fetch.Config, error) {
	if s.Domain == "" {
		return fetch.Config{}, domain.Errorf(domain.Usage, "domain", "it is not set").
			WithHint("Set it to the domain id that stands beside the API key in BrainCert's settings.")
	}
	auth := fetch.Header("Authorization", token, "x-domain-id", s.Domain)
	return apiAt(braincert.Lists{}, cmp.Or(s.APIURL, braincert.APIURL), auth), nil
}

// apiAt returns how an API is asked at the pace it bears.
func apiAt(l fetch.Lister, url string, auth fetch.Auth) fetch.Config {
	perMinute, atOnce := l.Pace()
	return fetch.Config{BaseURL: url, Auth: auth, PerMinute: perMinute, AtOnce: atOnce}
}
