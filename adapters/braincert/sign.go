package braincert

import (
	"encoding/base64"
	"net/http"

	"github.com/daybook-ledger/daybook/domain"
)

// SignsBody says that [Provider.Verify] does not look at the body.
func (*Provider) SignsBody() bool { return false }

// Sign makes r authentic, as BrainCert does that knows "user:password".
func Sign(r *domain.Request, login string) {
	http.Header(r.Header).Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login)))
}

// Probe returns a request, not signed yet, that says nothing: its resource is not
// one of BrainCert's. It is the same each time, so that sending it often is
// recorded once.
func Probe() domain.Request {
	return domain.Request{
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   []byte(`{"id":"daybook-test","resource":"daybook","action":"test","payload":{"about":"a test of the connection; nothing happened"}}`),
	}
}
