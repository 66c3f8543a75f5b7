package tahdah_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
)

func newProvider(secrets ...string) (intaketest.Provider, error) {
	return tahdah.New(tahdah.Config{Secrets: secrets})
}

var sign = tahdah.Sign

func request(verb, body string) domain.Request {
	return domain.Request{Header: http.Header{"Webhook-Verb": {verb}}, Body: []byte(body)}
}

// provider returns a provider for the samples' secret.
func provider(t testing.TB, membership *tahdah.Membership) *tahdah.Provider {
	t.Helper()
	p, err := tahdah.New(tahdah.Config{Secrets: []string{samples.TahdahSecret}, Membership: membership})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProvider(t *testing.T) {
	intaketest.Run(t, intaketest.Suite{
		New:     newProvider,
		Secrets: [2]string{samples.TahdahSecret, "wh_another"},
		Sign:    sign,
		Header:  "Webhook-Signature",
		Signs:   true,
		Same:    strings.EqualFold, // hexadecimal
		Request: request("eventCredits.Updated", `[{"id": 7, "eventTemplateId": 318, "quantityRemaining": 2}]`),
		More:    intaketest.Requests(t, "tahdah"),
	})
}

func TestSamples(t *testing.T) {
	p := provider(t, nil)
	intaketest.Samples(t, "tahdah", func(_ samples.Sample, r domain.Request) string {
		return intaketest.Verified(t, p, r)
	})
}

func TestVerifyByteOrderMark(t *testing.T) {
	p := provider(t, nil)
	const mark = "\uFEFF"
	for _, tt := range []struct{ name, signed, sent, how string }{
		{"signed with it", mark + "[]", mark + "[]", "hmac-sha256, secret 1"},
		{"signed without it", "[]", mark + "[]", "hmac-sha256 without byte order mark, secret 1"},
		{"signed with it, lost on the way", mark + "[]", "[]", ""},
		{"signed without two", "[]", mark + mark + "[]", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request("eventCredits.Updated", tt.signed)
			sign(&r, samples.TahdahSecret)
			r.Body = []byte(tt.sent)
			if how, _ := p.Verify(r); how != tt.how {
				t.Errorf("verified as %q, want %q", how, tt.how)
			}
		})
	}
}

// TestQuarantine lists bodies that do not fit their verb and the field that is
// named for each.
func TestQuarantine(t *testing.T) {
	const (
		credits = "eventCredits.Updated"
		entry   = "finance.entry.created"
		member  = "trustGroups.memberUpdated"
		removed = "trustGroups.memberRemoved"
	)
	for _, tt := range []struct{ verb, body, want string }{
		{credits, ``, "body is empty"},
		{credits, `{"id":7}`, "body is not a list"},
		{credits, `null`, "body is not a list"},
		{credits, `[7]`, "0 is not an object"},
		{credits, `[{"eventTemplateId":1,"quantityRemaining":2}]`, "0/id is missing"},
		{credits, `[{"id":7,"quantityRemaining":2}]`, "0/eventTemplateId is missing"},
		{credits, `[{"id":7,"eventTemplateId":1}]`, "0/quantityRemaining is missing"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":-1}]`, "0/quantityRemaining is negative"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2},{"id":8,"eventTemplateId":1,"quantityRemaining":2.5}]`, "1/quantityRemaining is not a whole number"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":1e40}]`, "0/quantityRemaining has more than 38 digits"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":{}}]`, "0/creditsConsumed is not a list"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":["x"]}]`, "0/creditsConsumed/0 is not an object"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2},{"id":8,"eventTemplateId":1,"quantityRemaining":2,"remoteOrderNumber":"a\u0000b"}]`, "1/order has a control character"},
		{entry, `[]`, "body is not an object"},
		{entry, `{"currency":{"isoCode":"GBP"},"debit":1}`, "header is missing"},
		{entry, `{"header":{},"debit":1}`, "currency/isoCode is missing"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"}}`, "debit is missing, and so is credit"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":"1,200.00"}`, `debit is "1,200.00", not a plain number`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1e999999999}`, `debit is "1e999999999", not a number that can be held`},
		{entry, `{"header":{"createdDate":"2 March"},"currency":{"isoCode":"GBP"},"debit":1}`, `header/createdDate is "2 March", not a date or a time`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":{"items":[{"amount":"ten"}]}}`, `invoiceDetail/items/0/amount is "ten", not a plain number`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":{"payments":[{"id":1}]}}`, "invoiceDetail/payments/0/credit is missing"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":{"items":{}}}`, "invoiceDetail/items is not a list"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":"none"}`, "invoiceDetail is not an object"},
		{"legalEntities.created", `{"tradingName":"x"}`, "name is missing"},
		{member, `7`, "body is not an object or a list"},
		{member, `{"legalEntityId":1,"status":"Active"}`, "trustGroupId is missing"},
		{member, `{"trustGroupId":0,"legalEntityId":1,"status":"Active"}`, "trustGroupId is missing"},
		{member, `{"trustGroupId":8,"status":"Active"}`, "legalEntityId is missing, and there is no candidate either"},
		{member, `{"trustGroupId":8,"legalEntityId":0,"candidateId":0,"status":"Active"}`, "legalEntityId is missing, and there is no candidate either"},
		{member, `{"trustGroupId":8,"legalEntityId":1,"candidateId":2,"status":"Active"}`, "legalEntityId is there and so is candidateId: the member is one of them"},
		{member, `{"trustGroupId":8,"legalEntityId":1}`, "status/name is missing"},
		{removed, `{"trustGroupId":8,"legalEntityId":1,"status":"Active"}`, `status is "Active" under a verb that says "removed"`},
		{member, `{"trustGroupId":8,"legalEntityId":1,"status":"Active","updatedAt":"now"}`, `updatedAt is "now", not a date or a time`},
	} {
		t.Run(tt.verb+" "+tt.body, func(t *testing.T) {
			tr := intaketest.Quarantined(t, provider(t, nil), request(tt.verb, tt.body), tt.want)
			if tr.Topic != tt.verb {
				t.Errorf("topic %q", tr.Topic)
			}
		})
	}
}

// TestTolerated lists what is odd and no reason to keep a delivery back.
func TestTolerated(t *testing.T) {
	for _, tt := range []struct{ name, verb, body, flags string }{
		{"verb in other case", "EVENTCREDITS.updated", `[{"id":7,"eventTemplateId":1,"quantityRemaining":2}]`, ""},
		{"ids as text", "eventCredits.Updated", `[{"id":"7","eventTemplateId":"1","quantityRemaining":"2"}]`, ""},
		{"a line twice", "eventCredits.Updated", `[{"id":7,"eventTemplateId":1,"quantityRemaining":2},{"id":7,"eventTemplateId":1,"quantityRemaining":1}]`, "line-repeated"},
		{"member twice", "eventCredits.Updated", `[{"id":7,"id":7,"eventTemplateId":1,"quantityRemaining":2}]`, "duplicate-member"},
		{"odd description", "eventCredits.Updated", `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":[{"description":{}}]}]`, "odd-field:0/creditsConsumed/0/description"},
		{"odd date", "finance.entry.created", `{"header":{"dueDate":"soon"},"currency":{"isoCode":"gbp "},"debit":1,"credit":0}`, "odd-field:header/dueDate"},
		{"no credit", "finance.entry.created", `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"paymentDetail":null}`, "credit-missing"},
		{"no debit", "finance.entry.created", `{"header":{},"currency":{"isoCode":"GBP"},"credit":1}`, "debit-missing"},
		{"odd attributes", "legalEntities.created", `{"name":"x","timezone":[],"addedAt":"?","town":"a\nb"}`, "odd-field:addedAt odd-field:timezone odd-field:town"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr, err := provider(t, nil).Translate(request(tt.verb, tt.body))
			if err != nil || len(tr.Facts) == 0 {
				t.Fatalf("%d facts, %v", len(tr.Facts), err)
			}
			if got := strings.Join(tr.Flags, " "); got != tt.flags {
				t.Errorf("flags %q, want %q", got, tt.flags)
			}
		})
	}
}

func TestUnknownTopics(t *testing.T) {
	for _, verb := range []string{"eventCredits.Archived", "legalEntities.personAdded", "trustGroups.created", strings.Repeat("é", 400), "a\xffb"} {
		tr, err := provider(t, nil).Translate(request(verb, "not even JSON"))
		if err != nil || len(tr.Facts) > 0 || tr.Reason == "" {
			t.Errorf("%.20q: %d facts, reason %q, %v", verb, len(tr.Facts), tr.Reason, err)
		}
	}
}

// TestNoVerb has a proxy drop the header that says what a body is.
func TestNoVerb(t *testing.T) {
	_, err := provider(t, nil).Translate(request("", `[{"id":7}]`))
	if field, ok := errors.AsType[*domain.FieldError](err); !ok || field.Field != "Webhook-Verb" {
		t.Errorf("translated: %v", err)
	}
}

// TestEntryKey says which entries are one and which are two.
func TestEntryKey(t *testing.T) {
	key := func(debit, number, items string) string {
		tr, _ := provider(t, nil).Translate(request("finance.entry.created", fmt.Sprintf(
			`{"header":{},"debit":%s,"currency":{"isoCode":"GBP"},"invoiceDetail":{"number":%s,"items":%s}}`, debit, number, items)))
		return tr.Key
	}
	base := key(`450.0`, `"INV-1"`, `[{"id":1,"amount":450.0}]`)
	for _, same := range []string{
		key(`450.00`, `"INV-1"`, `[{"id":1,"amount":450.0}]`),
		key(`"450"`, `"INV-1"`, `[{"amount":450.0,"id":"1","taxName":null}]`),
	} {
		if same != base {
			t.Errorf("%s and %s are one entry", base, same)
		}
	}
	for _, other := range []string{
		key(`451`, `"INV-1"`, `[{"id":1,"amount":450.0}]`),
		key(`450`, `"INV-2"`, `[{"id":1,"amount":450.0}]`),
		key(`450`, `"INV-1"`, `[{"id":1,"amount":45},{"id":2,"amount":405}]`),
		key(`"1e999999999"`, `"INV-1"`, `[{"id":1,"amount":450.0}]`),
	} {
		if other == base {
			t.Errorf("%s is two entries", base)
		}
	}
	if long := key(`450`, `"`+strings.Repeat("9", 250)+`"`, `[]`); len(long) <= domain.MaxIDBytes {
		t.Errorf("the long key has %d bytes", len(long))
	}
}

func TestEntryOfLongKeyIsBounded(t *testing.T) {
	tr, err := provider(t, nil).Translate(request("finance.entry.created",
		`{"header":{},"debit":1,"credit":0,"currency":{"isoCode":"GBP"},"invoiceDetail":{"number":"`+strings.Repeat("9", 250)+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	e := tr.Facts[0].Event.(domain.SalesEntryPosted)
	if !strings.HasPrefix(e.Entry, "entry/sha256/") || len(e.Entry) > domain.MaxIDBytes {
		t.Errorf("entry %q", e.Entry)
	}
}

func FuzzTranslate(f *testing.F) {
	for _, r := range intaketest.Requests(f, "tahdah") {
		f.Add(http.Header(r.Header).Get("Webhook-Verb"), r.Body)
	}
	p := provider(f, nil)
	f.Fuzz(func(t *testing.T, verb string, body []byte) {
		intaketest.Check(t, p, request(verb, string(body)))
	})
}
