package thinkific

import (
	"net/http"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/secret"
)

// Sign makes r authentic, as Thinkific does that knows the key.
func Sign(r *domain.Request, key string) {
	http.Header(r.Header).Set(headerSignature, secret.SignHex(key, r.Body))
}

// Probe returns a request, not signed yet, that says nothing: its topic is not
// one of Thinkific's. It is the same each time, so that sending it often is
// recorded once.
func Probe() domain.Request {
	return domain.Request{
		Header: http.Header{"Content-Type": {"application/json"}, headerTopic: {"daybook.test"}},
		Body:   []byte(`{"id":"daybook-test","resource":"daybook","action":"test","created_at":"2026-01-01T00:00:00Z","payload":{"about":"a test of the connection; nothing happened"}}`),
	}
}
