package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/adapters/credly"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/domain"
)

// Ways to authenticate at Credly's API.
const (
	authBasic     = "basic"      // the token is the user name, the password is empty
	authBasicBare = "basic-bare" // the same, without the colon between them
	authOAuth     = "oauth"      // the token is "CLIENT-ID:CLIENT-SECRET"
)

// What Credly's API bears is not published. Notices come in bursts, and each has
// to be asked for.
const (
	credlyPerMinute = 300
	credlyAtOnce    = 4
)

// credlyAPI says how Credly's API is asked.
func credlyAPI(s sourceConfig, token string) (fetch.Config, error) {
	c := fetch.Config{BaseURL: cmp.Or(s.APIURL, credly.APIURL), PerMinute: credlyPerMinute, AtOnce: credlyAtOnce}
	switch s.APIAuth {
	case "", authBasic:
		c.Auth = fetch.Basic(token, "")
	case authBasicBare:
		c.Auth = fetch.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(token)))
	case authOAuth:
		id, secret, ok := strings.Cut(token, ":")
		base, err := url.Parse(c.BaseURL)
		if !ok || err != nil {
			return c, domain.Errorf(domain.Usage, "api_token", "it is not a client id and a client secret").
				WithHint(`With api_auth = "oauth", api_token stands for CLIENT-ID:CLIENT-SECRET.`)
		}
		// The token endpoint is at the API's origin, not below its base path.
		c.Auth, err = fetch.OAuth(base.Scheme+"://"+base.Host+"/oauth/token", id, secret)
		return c, err
	default:
		return c, domain.Errorf(domain.Usage, "api_auth", "there is no way %q to authenticate", s.APIAuth).
			WithHint("The ways are: " + strings.Join([]string{authBasic, authBasicBare, authOAuth}, ", ") + ".")
	}
	return c, nil
}

// A token of Credly's lasts tokenLife. It is warned of for warnFor before.
const (
	tokenLife = 180 * 24 * time.Hour
	warnFor   = 30 * 24 * time.Hour
)

// tokenEnds returns when the source's API token ends, and how long before that
// its end is warned of; ok is false if it does not end or nobody said when it was
// issued.
func (s sourceConfig) tokenEnds() (end time.Time, ok bool) {
	if s.APIToken == "" || s.APITokenIssued.IsZero() || s.APIAuth == authOAuth {
		return time.Time{}, false
	}
	return s.APITokenIssued.Add(tokenLife), true
}

// tokenAge says what is to be said at a moment of the age of the source's token:
// a verdict of doctor, and a text. Nothing is to be said of one that is young.
func (s sourceConfig) tokenAge(now time.Time) (verdict, text string) {
	end, ok := s.tokenEnds()
	day := end.Format(time.DateOnly)
	switch left := end.Sub(now); {
	case !ok || left > warnFor:
		return "", ""
	case left <= 0:
		return checkFail, "the API token ended on " + day + ", 180 days after it was issued: make a new one at Credly, and change api_token and api_token_issued"
	default:
		return checkWarn, "the API token ends on " + day + ": make a new one at Credly, and change api_token and api_token_issued"
	}
}

// checkAPI looks at how the source's API is configured, and asks Credly's.
func (a *app) checkAPI(ctx context.Context, c *checks, s sourceConfig) {
	what := "source " + s.Name
	if verdict, text := s.tokenAge(time.Now()); verdict != "" {
		c.add(what, verdict, text)
	}
	client, err := newClient(s)
	switch {
	case err != nil:
		c.addErr(what, err, "")
		return
	case s.Provider != "credly":
		return
	case client == nil:
		c.add(what, checkWarn, "there is no api_token: notices are recorded, the badges behind them are not fetched")
		return
	}
	source, err := newSource(s)
	if err != nil {
		return // which is said already
	}
	for _, id := range s.Organizations {
		c.checkOrganization(ctx, client, source, id)
	}
}

// checkTimeout is how long doctor waits for a provider.
const checkTimeout = 10 * time.Second

// checkOrganization asks Credly about one of our organizations: whether our token
// is good, and whether its webhooks come here.
func (c *checks) checkOrganization(ctx context.Context, client *fetch.Client, source intake.Source, id string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	what := "source " + source.Name
	answer, err := client.Try(ctx, credly.AskOrganization(id))
	switch {
	case domain.CodeOf(err) == domain.Unavailable:
		c.add(what, checkWarn, "Credly does not answer; notices wait until it does: "+err.Error())
		return
	case err != nil:
		c.addErr(what, err, "")
		return
	}
	at, err := credly.WebhookURL(answer.Body)
	if err != nil {
		c.add(what, checkWarn, "the API token is good; the organization's webhook_url cannot be read: "+err.Error())
		return
	}
	verdict, text := webhookGoesTo(source, at)
	c.add(what, verdict, "the API token is good; "+text)
}

// webhookGoesTo says whether a provider that calls the given URL calls the source.
// The last element of its path is a secret, and is not shown.
func webhookGoesTo(source intake.Source, at string) (verdict, text string) {
	u, err := url.Parse(at)
	if at == "" || err != nil || u.Host == "" {
		return checkWarn, "no webhook_url is set at Credly: set it to https://YOUR-HOST/webhooks/" + source.Name + "/SECRET"
	}
	path, token, ok := cutLast(u.EscapedPath())
	shown := u.Scheme + "://" + u.Host + path + "/…"
	if !ok || !strings.HasSuffix(path, "/webhooks/"+source.Name) {
		return checkWarn, "webhooks go to " + shown + ", not to …/webhooks/" + source.Name + "/SECRET"
	}
	secret, err := url.PathUnescape(token)
	if err == nil {
		_, err = source.Provider.Verify(domain.Request{Token: secret})
	}
	if err != nil {
		return checkFail, "webhooks go to " + shown + " with a secret that is none of this source's"
	}
	return checkOK, "webhooks go to " + shown
}

// cutLast splits a path before its last element.
func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndex(path, "/")
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
