package tahdah

import (
	"net/http"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// Sign makes r authentic, as Tahdah does that knows the secret.
func Sign(r *domain.Request, key string) {
	http.Header(r.Header).Set(headerSignature, secret.SignHex(key, r.Body))
}

// Probe returns a request, not signed yet, that says nothing: its verb is not
// one of Tahdah's. It is the same each time, so that sending it often is recorded
// once.
func Probe() domain.Request {
	return domain.Request{
		Header: http.Header{"Content-Type": {"application/json"}, headerVerb: {"daybook.test"}},
		Body:   []byte(`{"about":"a test of the connection; nothing happened"}`),
	}
}
