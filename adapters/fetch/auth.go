package fetch

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/daybook-ledger/daybook/domain"
)

// Basic authenticates by user name and password (RFC 7617). Credly takes its
// authorization token as the user name, with an empty password.
func Basic(user, password string) Auth {
	return Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// Bearer authenticates by a token (RFC 6750).
func Bearer(token string) Auth { return Header("Authorization", "Bearer "+token) }

// Header authenticates by headers, given as name and value in turn: a bare key
// in Authorization, or a header of the provider's own.
func Header(namesAndValues ...string) Auth { return headers(namesAndValues) }

type headers []string

func (h headers) Add(r *http.Request) error {
	for i := 0; i+1 < len(h); i += 2 {
		r.Header.Set(h[i], h[i+1])
	}
	return nil
}

// Refused reports that there are no others.
func (headers) Refused(*http.Request) bool { return false }

// OAuth authenticates by a token that is bought with client credentials
// (RFC 6749, section 4.4) at tokenURL, and kept while it lasts. The credentials
// go there alone. The origin of tokenURL is held to what a base URL is held to.
func OAuth(tokenURL, clientID, clientSecret string, scopes ...string) (Auth, error) {
	if _, err := parseBase(tokenURL); err != nil {
		return nil, err
	}
	b := &buyer{
		config: clientcredentials.Config{ClientID: clientID, ClientSecret: clientSecret, TokenURL: tokenURL, Scopes: scopes},
		http: &http.Client{
			Transport:     newTransport(1),
			Timeout:       DefaultTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return b, nil
}

// A buyer keeps the token it bought.
type buyer struct {
	config clientcredentials.Config
	http   *http.Client

	mu    sync.Mutex
	token *oauth2.Token
}

func (b *buyer) Add(r *http.Request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.token.Valid() {
		token, err := b.config.Token(context.WithValue(r.Context(), oauth2.HTTPClient, b.http))
		if err != nil {
			return bought(err)
		}
		b.token = token
	}
	b.token.SetAuthHeader(r)
	return nil
}

// Refused has another token bought: one may end before its time, and there are
// servers that do not say when that is.
func (b *buyer) Refused(r *http.Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != nil && r.Header.Get("Authorization") == b.token.Type()+" "+b.token.AccessToken {
		b.token = nil
	}
	return true
}

// bought returns what a failure to buy a token means. What the server said stays
// out of it: it may repeat what was sent.
func bought(err error) error {
	const op = "fetch OAuth token"
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil {
		status := refused.Response.StatusCode
		if status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
			return domain.Errorf(domain.Unauthenticated, op, "the server answers %d %s", status, http.StatusText(status)).
				WithHint("Check the client id and the client secret of this source.")
		}
		return domain.Errorf(domain.Unavailable, op, "the server answers %d %s", status, http.StatusText(status))
	}
	return domain.Errorf(domain.Unavailable, op, "no token was given")
}
