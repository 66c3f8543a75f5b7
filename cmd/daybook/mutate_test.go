package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// A subject is a sample that is mutated, and who reads it.
type subject struct {
	samples.Sample
	source   intake.Source
	fetched  string
	document any
	original outcome
}

// An outcome is what a translation comes to, without what identifies it.
type outcome struct {
	facts  string // one line each, as they are kept; empty: nothing is booked
	events []domain.Event
	flags  string
	failed bool
}

func (s subject) translate(body []byte) outcome {
	tr, err := intake.Translate(s.source, s.request(body))
	o := outcome{flags: strings.Join(tr.Flags, " "), failed: err != nil}
	for _, f := range tr.Facts {
		e := f.Event
		if posted, ok := e.(domain.SalesEntryPosted); ok {
			posted.Entry = "derived from what is written in it"
			e = posted
		}
		data, personal, err := domain.Encode(e)
		o.facts += fmt.Sprintf("%s %s %s %v\n", f.OccurredAt, data, personal, err)
		o.events = append(o.events, f.Event)
	}
	return o
}

func (s subject) request(body []byte) domain.Request {
	return domain.Request{Header: s.Header, Body: body, Fetched: s.fetched, ReceivedAt: began}
}

// subjects returns every sample that is JSON and is booked.
func subjects(t *testing.T) (all []subject) {
	t.Helper()
	list, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"tahdah": samples.TahdahSecret, "thinkific": samples.ThinkificKey, "braincert": samples.BraincertLogin, "credly": "test-token",
	}
	for _, sample := range list {
		document, ok := parse(sample.Body)
		if !ok {
			continue
		}
		config := sourceConfig{Name: sample.Provider, Organizations: []string{samples.CredlyOrganization}}
		if sample.Provider == "thinkific" {
			config.DefaultCurrency = thinkificCurrency
		}
		provider, err := providers[sample.Provider](config, []string{secrets[sample.Provider]})
		if err != nil {
			t.Fatal(err)
		}
		s := subject{Sample: sample, source: intake.Source{Name: sample.Provider, Provider: provider}, document: document}
		if sample.Kind == samples.EventsAPIResponse {
			id, _ := get(document, place{"data"}).(object)
			s.fetched = fmt.Sprint("events/", id["id"])
		}
		s.original = s.translate(jsonOf(document))
		all = append(all, s)
	}
	return all
}

// TestMutations changes every sample at every place, one thing at a time, and
// checks laws that hold whatever is sent:
//
//   - What comes out can be recorded, or is refused with the name of a field.
//   - An amount that is booked is in the body, digit for digit, or is flagged.
//   - What is read, and cannot be, is never passed over in silence: the delivery is
//     refused or flagged.
//   - What nobody knows changes nothing. A number is the same as a text.
func TestMutations(t *testing.T) {
	t.Parallel()
	n, tried := 0, make(map[string]bool)
	for _, s := range subjects(t) {
		for _, at := range places(s.document, nil) {
			// One sample of a topic is enough.
			if key := fmt.Sprint(s.Provider, s.Topic, s.Kind, at); !tried[key] {
				tried[key] = true
				n += s.mutate(t, at)
			}
		}
		n += s.wrap(t)
	}
	t.Logf("%d mutations", n)
}

// mutate tries every change at one place.
func (s subject) mutate(t *testing.T, at place) (n int) {
	was := get(s.document, at)
	try := func(what string, value any) outcome {
		n++
		body := jsonOf(with(s.document, at, value))
		if crc32.ChecksumIEEE(body)%16 == 0 { // the laws that hold one by one are tried on some
			intaketest.Check(t, s.source.Provider, s.request(body))
		}
		o := s.translate(body)
		s.exact(t, fmt.Sprintf("%s %s", at, what), body, o)
		return o
	}
	dropped := try("is dropped", gone{})
	null := try("is null", nil)
	matters := dropped.facts != s.original.facts && null.facts != s.original.facts
	others := map[string]any{
		"is an object":         object{"is": "an object"},
		"is a list":            []any{"a", "list"},
		"is a list of objects": []any{object{"is": "an object"}},
		"is a word":            "a word",
	}
	if places(was, nil) == nil {
		maps.Copy(others, map[string]any{
			"is true":      true,
			"is no amount": "1,180.00",
			"is huge":      json.Number("1e999999999"),
			"is fine":      json.Number("0.0000000000000000001"),
			"is long":      strings.Repeat("9", 400),
		})
	}
	for what, value := range others {
		o := try(what, value)
		_, wasText := was.(string)
		_, wasObject := was.(object)
		_, wasList := was.([]any)
		booked := o.facts != "" && o.flags == s.original.flags && o.facts == dropped.facts
		if matters && booked && (!wasText || what != "is a word") &&
			(!wasObject || what != "is an object") && (!wasList || what != "is a list of objects") {
			t.Errorf("%s: %s %s, and is passed over in silence", s.File, at, what)
		}
	}
	if name, ok := at[len(at)-1].(string); ok {
		s.rename(t, at, name, try, dropped)
	}
	if text, ok := was.(string); ok && isNumber(text) {
		s.same(t, at, "as a number", try("as a number", json.Number(text)))
	}
	if number, ok := was.(json.Number); ok {
		s.same(t, at, "as text", try("as text", number.String()))
	}
	if o, ok := was.(object); ok {
		more := maps.Clone(o)
		more["zz_unknown"] = object{"nobody": []any{"knows", 1}}
		s.same(t, at, "with an unknown member", try("with an unknown member", more))
	}
	return n
}

// rename tries a member under its name in other letters, and twice.
func (s subject) rename(t *testing.T, at place, name string, try func(string, any) outcome, dropped outcome) {
	was := get(s.document, at)
	if o := try("is renamed", named{"zz_" + name, was}); o.facts != dropped.facts && at.String() != "data/badge" {
		t.Errorf("%s: %s under another name is read:\n%sinstead of\n%s", s.File, at, o.facts, dropped.facts)
	}
	if o := try("in capitals", named{strings.ToUpper(name), was}); o.facts != dropped.facts && o.facts != s.original.facts {
		t.Errorf("%s: %s in capitals is neither read nor left out:\n%s", s.File, at, o.facts)
	}
	o := try("is there twice", twice{"another", was})
	if s.original.facts != "" && !strings.Contains(o.flags, "duplicate-member") {
		t.Errorf("%s: %s is there twice, flags %q", s.File, at, o.flags)
	}
	s.same(t, at, "is there twice", o)
}

// same wants a change to make no difference to the facts.
func (s subject) same(t *testing.T, at place, what string, o outcome) {
	t.Helper()
	if o.facts != s.original.facts {
		t.Errorf("%s: %s %s makes a difference (failed: %v):\n%sinstead of\n%s", s.File, at, what, o.failed, o.facts, s.original.facts)
	}
}

// wrap tries the whole document within another. Of the topics of Tahdah's whose
// shape is assumed a list of changes is read too.
func (s subject) wrap(t *testing.T) int {
	documents := []any{
		object{"data": s.document},
		object{"payload": s.document},
		[]any{s.document},
		[]any{s.document, s.document},
		object{"event": object{"data": s.document}},
		string(jsonOf(s.document)),
	}
	for _, document := range documents {
		body := jsonOf(document)
		intaketest.Check(t, s.source.Provider, s.request(body))
		if o := s.translate(body); o.facts != "" && !strings.Contains(s.File, "ASSUMED") {
			t.Errorf("%s: in another document it is read: %.80s", s.File, body)
		}
	}
	return len(documents)
}

func isNumber(text string) bool {
	return json.Valid([]byte(text)) && strings.Trim(text, "0123456789.-") == ""
}

// exact wants every amount that is booked to be in the body as it is, or in minor
// units, unless the delivery or the fact says that something is odd with it.
func (s subject) exact(t *testing.T, what string, body []byte, o outcome) {
	if o.flags != "" {
		return
	}
	var sent map[string]bool
	for _, e := range o.events {
		for field, amount := range amounts(e) {
			if sent == nil {
				document, _ := parse(body)
				sent = make(map[string]bool)
				numbers(document, sent)
			}
			if !sent[amount.String()] && !sent[amount.Shift(2).String()] && (!amount.IsZero() || !optional[field]) {
				t.Errorf("%s: %s: %s of %s is %s, which is not in the body", s.File, what, field, e.Kind(), amount)
			}
		}
	}
}

// optional are amounts that are zero if nobody says anything.
var optional = map[string]bool{"charges": true}

// numbers collects every number in a document, sent as one or as text.
func numbers(v any, into map[string]bool) {
	switch v := v.(type) {
	case object:
		for _, member := range v {
			numbers(member, into)
		}
	case []any:
		for _, element := range v {
			numbers(element, into)
		}
	case json.Number:
		numbers(v.String(), into)
	case string:
		if d, err := decimal.NewFromString(strings.TrimSpace(v)); err == nil && d.Exponent() < 100 && d.Exponent() > -100 {
			into[d.String()] = true
		}
	}
}

// amounts returns the amounts that a fact books.
func amounts(e domain.Event) map[string]decimal.Decimal {
	all := make(map[string]decimal.Decimal)
	switch e := e.(type) {
	case domain.CreditsReported:
		all["remaining"] = e.Remaining
	case domain.SalesSold:
		all["total"], all["charges"] = e.Total, e.Charges
		for i, l := range e.Lines {
			all["lines/"+strconv.Itoa(i)] = l.Amount
		}
	case domain.SalesPaid:
		all["amount"] = e.Amount
	case domain.SalesRefunded:
		all["amount"] = e.Amount
	case domain.SalesEntryPosted:
		all["debit"], all["credit"] = e.Debit, e.Credit
		for i, item := range e.Items {
			all["items/"+strconv.Itoa(i)] = item.Amount
		}
		for i, p := range e.Payments {
			all["payments/"+strconv.Itoa(i)] = p.Amount
		}
	}
	return all
}

// TestMutationsKept sends some changed samples over HTTP, signed: each is answered
// with 200, kept byte for byte, and known when it comes again. The same bytes
// under the signature of the sample are refused.
func TestMutationsKept(t *testing.T) {
	url := postgrestest.URL(t)
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	keys := postgrestest.Keys(t, url)
	mux := http.NewServeMux()
	list := subjects(t)
	sources := make(map[string]intake.Source)
	for _, s := range list {
		sources[s.Provider] = s.source
	}
	intake.NewHandler(postgrestest.Appender(t, url), slices.Collect(maps.Values(sources)), slog.New(slog.DiscardHandler)).Register(mux)
	post := func(provider string, r domain.Request) (int, domain.Receipt) {
		w := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodPost, strings.TrimSuffix("/webhooks/"+provider+"/"+r.Token, "/"), bytes.NewReader(r.Body))
		request.Header = r.Header
		mux.ServeHTTP(w, request)
		var receipt domain.Receipt
		_ = json.Unmarshal(w.Body.Bytes(), &receipt) // none if it was refused
		return w.Code, receipt
	}
	statuses := make(map[domain.Status]int)
	random := rand.New(rand.NewPCG(1, 2))
	values := []any{gone{}, nil, object{"is": "an object"}, []any{}, "a word", true, "1,180.00", json.Number("1e999999999"), strings.Repeat("9", 400), twice{1, 2}, "a\x00b"}
	for range 200 {
		s := list[random.IntN(len(list))]
		all := places(s.document, nil)
		if s.fetched != "" || len(all) == 0 {
			continue
		}
		body := jsonOf(with(s.document, all[random.IntN(len(all))], values[random.IntN(len(values))]))
		r := signed(s.Provider, s.Header.Clone(), body)
		code, receipt := post(s.Provider, r)
		if code != http.StatusOK || len(receipt.Records) == 0 {
			t.Errorf("%s: status %d, %+v: %s", s.File, code, receipt, body)
			continue
		}
		statuses[receipt.Status]++
		if d, err := postgres.ReadDelivery(t.Context(), db, keys, receipt.Delivery); err != nil || !bytes.Equal(d.Body, body) {
			t.Errorf("%s: kept %q, %v, want %q", s.File, d.Body, err, body)
		}
		if code, again := post(s.Provider, r); code != http.StatusOK || again.Status != domain.Duplicate || again.Delivery != receipt.Delivery {
			t.Errorf("%s again: status %d, %s %s, first %s", s.File, code, again.Status, again.Delivery, receipt.Delivery)
		}
		if forged := (domain.Request{Header: s.Header.Clone(), Body: body}); s.Provider == "tahdah" || s.Provider == "thinkific" {
			if code, _ := post(s.Provider, forged); code != http.StatusUnauthorized {
				t.Errorf("%s under the signature of another body: status %d", s.File, code)
			}
		}
	}
	for _, status := range []domain.Status{domain.Accepted, domain.Quarantined, domain.Unrecognized} {
		if statuses[status] == 0 {
			t.Errorf("none is %s: %v", status, statuses)
		}
	}
	checkVerified(t, db)
}
