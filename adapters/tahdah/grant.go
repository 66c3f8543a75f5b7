package tahdah

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// DefaultAPI is where Tahdah's API is.
const DefaultAPI = "https://api.tahdah.me"

// A Grant is a request to add credits of one template to an order of a legal
// entity: Tahdah's EventTemplateCreditRequest with one operation.
type Grant struct {
	Key      string // see [GrantKey]
	Holder   string // legal entity: a whole number
	Order    string // orderNumber
	Template string // eventTemplateId: a whole number
	Quantity decimal.Decimal
}

// GrantKey returns the idempotency key of a grant: the same for ever for the same
// source and reference, so that nothing but the reference has to be kept to ask
// again safely. It has the form of a UUID (RFC 9562, version 8), since Tahdah does
// not say what it takes: the first 128 bits of the SHA-256 of "daybook grant", the
// source and the reference with U+0000 between them, less the six bits that the
// form wants.
func GrantKey(source, reference string) string {
	sum := sha256.Sum256([]byte("daybook grant\x00" + source + "\x00" + reference))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// wholeNumber is an id as Tahdah's samples have it.
var wholeNumber = regexp.MustCompile(`^(0|[1-9][0-9]{0,18})$`)

// Body returns the bytes to send:
//
//	{"idempotencyKey":"…","orderNumber":"SO-1","MEMBER":[{"eventTemplateId":318,"numberOfCredits":20}]}
//
// How Tahdah names the list is not documented, so the member must be given. What
// cannot be sent is an error with code Refused.
func (g Grant) Body(member string) ([]byte, error) {
	const op = "tahdah: grant"
	switch {
	case member == "":
		return nil, domain.Errorf(domain.Refused, op, "Tahdah does not document what the list of operations is called in a request to add credits").
			WithHint(`Ask Tahdah, and set operations_member = "NAME" for this source.`)
	case member == "idempotencyKey" || member == "orderNumber":
		return nil, domain.Errorf(domain.Usage, op, "operations_member is %s, which is another member of the request", member)
	case !wholeNumber.MatchString(g.Template):
		return nil, domain.Errorf(domain.Refused, op, "the template %q is not a whole number, as Tahdah's ids are", g.Template)
	case !wholeNumber.MatchString(g.Holder):
		return nil, domain.Errorf(domain.Refused, op, "the holder %q is not a whole number, as Tahdah's ids of legal entities are", g.Holder)
	case !g.Quantity.IsPositive() || !g.Quantity.IsInteger():
		return nil, domain.Errorf(domain.Refused, op, "%s is not a whole, positive number of credits", g.Quantity)
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range []struct{ name, text string }{{"idempotencyKey", g.Key}, {"orderNumber", g.Order}} {
		text, err := domain.Marshal(m.text)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s,", m.name, text)
	}
	name, err := domain.Marshal(member)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, `%s:[{"eventTemplateId":%s,"numberOfCredits":%s}]}`, name, g.Template, g.Quantity.StringFixed(0))
	return b.Bytes(), nil
}

// GrantQuery returns the call that adds credits to a legal entity's account.
func GrantQuery(holder string, body []byte) domain.Query {
	return domain.Query{Method: http.MethodPut, Path: "api/eventcredits/legalentities/" + url.PathEscape(holder), Body: body}
}

// Granted is what [GrantOutcome] says of a grant that was made.
const Granted = "granted"

// GrantOutcome says what an answer to [GrantQuery] means: [Granted],
// [domain.GrantRefused] or [domain.GrantUnknown], and why it is not granted.
//
// Tahdah documents neither its answers nor its errors, only that a key that was
// used before is an error. So what is not plainly a yes or a no is unknown: the
// server's own failures, a redirect, a request that timed out there, and whatever
// speaks of the idempotency key.
func GrantOutcome(status int, header map[string][]string, body []byte) (outcome, reason string) {
	reason = strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	switch {
	case status == http.StatusAccepted:
		return domain.GrantUnknown, reason + ": it is not done yet"
	case status >= 200 && status < 300:
		if strings.Contains(http.Header(header).Get("Content-Type"), "html") {
			return domain.GrantUnknown, reason + " with a web page: is api_url right?"
		}
		return Granted, ""
	case slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests}, status):
		return domain.GrantRefused, reason // whatever key they speak of
	case status >= 400 && status < 500 && (status == http.StatusConflict || usedKey.Match(body)):
		return domain.GrantUnknown, reason + ": the key was used before"
	case status == http.StatusRequestTimeout, status < 400, status >= 500:
		return domain.GrantUnknown, reason
	}
	return domain.GrantRefused, reason
}

// usedKey is how an answer may say that a key was used before.
// It says nothing of a key, perhaps: only that this was there before.
var usedKey = regexp.MustCompile(`(?i)idempoten|already|duplicate|key[^.]{0,40}(used|exists)`)
