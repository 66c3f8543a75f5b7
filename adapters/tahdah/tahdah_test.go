package tahdah_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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
func provider(t testing.TB, c tahdah.Config) *tahdah.Provider {
	t.Helper()
	c.Secrets = []string{samples.TahdahSecret}
	p, err := tahdah.New(c)
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
	p := provider(t, tahdah.Config{})
	intaketest.Samples(t, "tahdah", func(_ samples.Sample, r domain.Request) string {
		return intaketest.Verified(t, p, r)
	})
}

func TestVerifyByteOrderMark(t *testing.T) {
	p := provider(t, tahdah.Config{})
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

		personAdded  = "legalEntities.personAdded"
		rolesUpdated = "legalEntities.rolesUpdated"
		registered   = "registrations.created"
		published    = "catalogue.entryPublished"
	)
	for _, tt := range []struct{ verb, body, want string }{
		{credits, ``, "body is empty"},
		{credits, `{"id":7}`, "body is not a list"},
		{credits, `null`, "body is not a list"},
		{credits, `[7]`, "0 is not an object"},
		{credits, `[{"eventTemplateId":1,"quantityRemaining":2}]`, "0/id is missing"},
		{credits, `[{"id":7,"quantityRemaining":2}]`, "0/eventTemplateId is missing"},
		{credits, `[{"id":7,"eventTemplateId":1}]`, "0/quantityRemaining is missing"},
		{credits, `[{"id":0,"eventTemplateId":1,"quantityRemaining":2}]`, "0/id is 0, which is no id"},
		{credits, `[{"id":7,"eventTemplateId":"0","quantityRemaining":2}]`, "0/eventTemplateId is 0, which is no id"},
		{credits, `[{"id":7.0,"eventTemplateId":1,"quantityRemaining":2}]`, "0/id is not an id"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":null}]`, "0/quantityRemaining is missing"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":"1,400"}]`, `0/quantityRemaining is not a plain number`},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":[14]}]`, "0/quantityRemaining is not a text"},
		{credits, `[[{"id":7,"eventTemplateId":1,"quantityRemaining":2}]]`, "0 is not an object"},
		{credits, `{"value":[{"id":7,"eventTemplateId":1,"quantityRemaining":2}]}`, "body is not a list"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":[[{"description":"x"}]]}]`, "0/creditsConsumed/0 is not an object"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":-1}]`, "0/quantityRemaining is negative"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2},{"id":8,"eventTemplateId":1,"quantityRemaining":2.5}]`, "1/quantityRemaining is not a whole number"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":1e40}]`, "0/quantityRemaining has more than 38 digits"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":{}}]`, "0/creditsConsumed is not a list"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":["x"]}]`, "0/creditsConsumed/0 is not an object"},
		{credits, `[{"id":7,"eventTemplateId":1,"quantityRemaining":2},{"id":8,"eventTemplateId":1,"quantityRemaining":2,"remoteOrderNumber":"a\u0000b"}]`, "1/order has a control character"},
		{entry, `[]`, "body is not an object"},
		{entry, `{"currency":{"isoCode":"GBP"},"debit":1}`, "header is missing"},
		{entry, `{"header":{},"debit":1}`, "currency/isoCode is missing"},
		{entry, `{"header":{},"debit":1,"currency":"GBP"}`, "currency/isoCode is in something that is no object"},
		{entry, `{"header":{},"debit":1,"currency":{"id":1,"isoCode":" "}}`, "currency/isoCode is missing"},
		{entry, `{"header":{},"debit":1,"currency":{"id":1,"isoCode":["GBP"]}}`, "currency/isoCode is not a text"},
		{entry, `[{"header":{},"currency":{"isoCode":"GBP"},"debit":1}]`, "body is not an object"},
		{entry, `{"header":[],"currency":{"isoCode":"GBP"},"debit":1}`, "header is missing"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":true}`, `debit is not a plain number`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":{"amount":1}}`, "debit is not a text"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":{"items":[{"unitCost":1e999999999}]}}`, `invoiceDetail/items/0/unitCost is not a number that can be held`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":0.1234567890123456789}`, "debit has more than 18 digits behind the point"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":{"items":[[{"amount":1}]]}}`, "invoiceDetail/items/0 is not an object"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"}}`, "debit is missing, and so is credit"},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":"1,200.00"}`, `debit is not a plain number`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1e999999999}`, `debit is not a number that can be held`},
		{entry, `{"header":{"createdDate":"2 March"},"currency":{"isoCode":"GBP"},"debit":1}`, `header/createdDate is not a date or a time`},
		{entry, `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"invoiceDetail":{"items":[{"amount":"ten"}]}}`, `invoiceDetail/items/0/amount is not a plain number`},
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
		{member, `{"trustGroupId":8,"legalEntityId":1,"status":2}`, `status is no word: say what it stands for in the words of the mapping`},
		{member, `{"trustGroupId":8,"legalEntityId":1,"status":false}`, `status is no word: say what it stands for in the words of the mapping`},
		{member, `{"trustGroupId":8,"legalEntityId":1,"status":{"id":2}}`, "status is not a text"},
		{member, `{"trustGroupId":8.5,"legalEntityId":1,"status":"Active"}`, "trustGroupId is not an id"},
		{member, `{"trustGroupId":8,"legalEntityId":1,"status":"Active","expiresAt":"soon"}`, `expiresAt is not a date or a time`},
		{member, `[{"trustGroupId":8,"legalEntityId":1,"status":"Active"},{"trustGroupId":8,"status":"Active"}]`, "1/legalEntityId is missing, and there is no candidate either"},
		{member, `[[{"trustGroupId":8,"legalEntityId":1,"status":"Active"}]]`, "0 is not an object"},
		{personAdded, `{"firstName":"Marta","legalEntityId":4388}`, "personId is missing"},
		{personAdded, `{"personId":0}`, "personId is missing"},
		{personAdded, `{"personId":{"id":1}}`, "personId is not a text"},
		{personAdded, `{"personId":1,"addedAt":"yesterday"}`, `addedAt is not a date or a time`},
		{personAdded, `[]x`, "body goes on after the document"},
		{rolesUpdated, `{"personId":1}`, "roles is missing"},
		{rolesUpdated, `{"personId":1,"roles":null}`, "roles is missing"},
		{rolesUpdated, `{"personId":1,"roles":"Instructor"}`, "roles is not a list"},
		{rolesUpdated, `{"personId":1,"roles":[{"name":"Instructor"},{}]}`, "roles/1/name is missing"},
		{rolesUpdated, `{"personId":1,"roles":[["Instructor"]]}`, "roles/0 is not a text"},
		{rolesUpdated, `{"personId":1,"roles":[null]}`, "roles/0 is missing"},
		{rolesUpdated, `{"personId":1,"roles":["a\nb"]}`, "roles/0 cannot be a key"},
		{rolesUpdated, `[{"personId":1,"roles":[]},{"roles":[]}]`, "1/personId is missing"},
		{registered, `{"candidate":{"id":1}}`, "pathwayId is missing"},
		{registered, `{"pathwayId":1,"candidate":{"name":"Priya"}}`, "candidateId is missing"},
		{registered, `{"pathwayId":1,"candidateId":2,"registeredAt":"2026-13-01"}`, `registeredAt is not a date or a time`},
		{published, `{"title":"Level 2"}`, "entryId is missing"},
		{published, `{"entryId":true}`, "entryId is not an id"},
		{published, `"9044"`, "body is not an object or a list"},
		{removed, `{"trustGroupId":8,"legalEntityId":1,"status":"Active"}`, `status is something else than the verb says, which is removed`},
		{member, `{"trustGroupId":8,"legalEntityId":1,"status":"Active","updatedAt":"now"}`, `updatedAt is not a date or a time`},
	} {
		t.Run(tt.verb+" "+tt.body, func(t *testing.T) {
			tr := intaketest.Quarantined(t, provider(t, tahdah.Config{}), request(tt.verb, tt.body), tt.want)
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
		{"nulls and more", "eventCredits.Updated", `[{"id":7,"eventTemplateId":1,"quantityRemaining":"14.0","remoteOrderNumber":null,"creditsConsumed":null,"eventId":{"x":[]}}]`, ""},
		{"an entry of nulls", "finance.entry.created", `{"header":{"payer":null,"createdDate":null},"itemType":null,"invoiceDetail":{"number":null,"items":null,"payments":null},"paymentDetail":{},"currency":{"isoCode":"tokens"},"debit":"-450.00","credit":""}`, "credit-missing"},
		{"odd description", "eventCredits.Updated", `[{"id":7,"eventTemplateId":1,"quantityRemaining":2,"creditsConsumed":[{"description":{}}]}]`, "odd-field:0/creditsConsumed/0/description"},
		{"odd date", "finance.entry.created", `{"header":{"dueDate":"soon"},"currency":{"isoCode":"gbp "},"debit":1,"credit":0}`, "odd-field:header/dueDate"},
		{"no credit", "finance.entry.created", `{"header":{},"currency":{"isoCode":"GBP"},"debit":1,"paymentDetail":null}`, "credit-missing"},
		{"no debit", "finance.entry.created", `{"header":{},"currency":{"isoCode":"GBP"},"credit":1}`, "debit-missing"},
		{"a member as text, and more", "TRUSTGROUPS.MEMBERUPDATED", `{"TrustGroupId":"8","candidate_id":null,"legal_entity_id":"1","Status":" active ","extra":{"deep":[1]}}`, "assumed-mapping"},
		{"a group name that is none", "trustGroups.memberUpdated", `{"trustGroupId":8,"trustGroupName":["x"],"legalEntityId":1,"status":"Active"}`, "assumed-mapping odd-field:trustGroupName"},
		{"odd roles of a new person", "legalEntities.personAdded", `{"personId":1,"roles":[{"name":"a"},{}]}`, "assumed-mapping odd-field:roles"},
		{"roles of a new person that are no list", "legalEntities.personAdded", `{"personId":1,"roles":{"name":"a"}}`, "assumed-mapping odd-field:roles"},
		{"odd person", "legalEntities.personAdded", `{"personId":1,"firstName":7,"lastName":{},"email":"m***@example.com","legalEntityId":[]}`, "assumed-mapping bad-email odd-field:lastName odd-field:legalEntityId"},
		{"odd registration", "registrations.created", `{"pathwayId":"402","pathwayName":[],"candidateId":"918233","registrationId":{},"status":"Completed","completedAt":"2026-03-04"}`, "assumed-mapping odd-field:pathwayName odd-field:registrationId"},
		{"odd entry", "catalogue.entryPublished", `{"entryId":9044,"title":null,"price":[],"status":{}}`, "assumed-mapping odd-field:price odd-field:status"},
		{"odd attributes", "legalEntities.created", `{"name":"x","timezone":[],"addedAt":"?","town":"a\nb"}`, "odd-field:addedAt odd-field:timezone odd-field:town"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr, err := provider(t, tahdah.Config{}).Translate(request(tt.verb, tt.body))
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
	for _, verb := range []string{"eventCredits.Archived", "legalEntities.archived", "trustGroups.created", "123", strings.Repeat("é", 400), "a\xffb"} {
		tr, err := provider(t, tahdah.Config{}).Translate(request(verb, "not even JSON"))
		if err != nil || len(tr.Facts) > 0 || tr.Reason == "" {
			t.Errorf("%.20q: %d facts, reason %q, %v", verb, len(tr.Facts), tr.Reason, err)
		}
		if tr.Key != "" || len(tr.Scopes) != 1 || !strings.HasPrefix(tr.Scopes[0], "verb/") {
			t.Errorf("%.20q: key %q, scopes %q; it may be a level", verb, tr.Key, tr.Scopes)
		}
	}
}

// TestNoVerb has a proxy drop the header that says what a body is.
func TestNoVerb(t *testing.T) {
	tr, err := provider(t, tahdah.Config{}).Translate(request("", `[{"id":7}]`))
	if field, ok := errors.AsType[*domain.FieldError](err); !ok || field.Field != "Webhook-Verb" {
		t.Errorf("translated: %v", err)
	}
	if !slices.Equal(tr.Scopes, []string{"verb/"}) {
		t.Errorf("scopes %q", tr.Scopes)
	}
}

// TestVerbSwapped sends every sample under the verbs of all other topics, which a
// signature does not keep anybody from: a body that does not fit is not booked.
// Only people who are added fit the verb for roles, and the other way about: they
// state the same.
func TestVerbSwapped(t *testing.T) {
	p := provider(t, tahdah.Config{})
	verbs := map[string]string{
		"eventCredits.Updated": "credits", "finance.entry.created": "entry", "legalEntities.created": "entity",
		"trustGroups.memberUpdated": "member", "trustGroups.memberRemoved": "member", "legalEntities.personAdded": "person",
		"legalEntities.rolesUpdated": "person", "registrations.created": "registration", "catalogue.entryPublished": "catalogue",
	}
	for _, r := range intaketest.Requests(t, "tahdah") {
		own := verbs[http.Header(r.Header).Get("Webhook-Verb")]
		for verb, about := range verbs {
			if own == "" || about == own {
				continue
			}
			tr, _ := p.Translate(request(verb, string(r.Body)))
			if len(tr.Facts) > 0 {
				t.Errorf("a body about %s was booked under %s: %s", own, verb, r.Body)
			}
		}
	}
}

// TestEntryKey says which entries are one and which are two.
func TestEntryKey(t *testing.T) {
	key := func(debit, number, items string) string {
		tr, _ := provider(t, tahdah.Config{}).Translate(request("finance.entry.created", fmt.Sprintf(
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
	tr, err := provider(t, tahdah.Config{}).Translate(request("finance.entry.created",
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
		f.Add(http.Header(r.Header).Get("Webhook-Verb"), "", r.Body)
	}
	f.Add("", "members/4021", []byte(`{"legalEntityId":4388,"name":"Solent Ltd","trustGroupId":812,"status":"Active"}`))
	p := provider(f, tahdah.Config{})
	f.Fuzz(func(t *testing.T, verb, fetched string, body []byte) {
		r := request(verb, string(body))
		r.Fetched = fetched
		intaketest.Check(t, p, r)
	})
}
