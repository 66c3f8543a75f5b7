package credly

import (
	"fmt"
	"net/http"

	"github.com/daybook-ledger/daybook/domain"
)

// SignsBody says that [Provider.Verify] does not look at the body.
func (*Provider) SignsBody() bool { return false }

// Sign makes r authentic, as Credly does that was given an address with the token.
func Sign(r *domain.Request, token string) { r.Token = token }

// Probe returns a request, not signed yet, that says nothing: its event type is
// not one of Credly's. It is the same each time, so that sending it often is
// recorded once. The organization must be one that is accepted.
func Probe(organization string) domain.Request {
	return domain.Request{
		Header: http.Header{"Content-Type": {"application/json"}},
		Body: fmt.Appendf(nil, `{"id":"daybook-test","organization_id":%q,"event_type":"daybook.test","occurred_at":"2026-01-01T00:00:00Z"}`,
			organization),
	}
}
