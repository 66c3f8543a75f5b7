package braincert_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/braincert"
	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// configured returns a provider with more configuration than its secret.
func configured(t testing.TB, c braincert.Config) *braincert.Provider {
	t.Helper()
	c.Secrets = []string{samples.BraincertLogin}
	p, err := braincert.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMovedFields takes each sample, moves each value that is read elsewhere, and
// wants the same of it once it is said where.
func TestMovedFields(t *testing.T) {
	plain := provider(t)
	all, err := samples.Webhooks("braincert")
	if err != nil {
		t.Fatal(err)
	}
	moved := make(map[string]bool)
	for _, s := range all {
		want, err := plain.Translate(domain.Request{Header: s.Header, Body: s.Body})
		if err != nil || len(want.Facts) == 0 || strings.HasSuffix(s.File, ".xml") {
			continue
		}
		for _, place := range braincert.Places {
			var doc map[string]any
			if err := json.Unmarshal(s.Body, &doc); err != nil {
				t.Fatal(err)
			}
			if !move(doc, place) {
				continue
			}
			moved[place] = true
			body, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			p := configured(t, braincert.Config{Fields: payload.Overlay{place: {"/nothing/there", "/else where/it~1is"}}})
			r := domain.Request{Header: s.Header, Body: body}
			got, err := p.Translate(r)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s without %s: %v\n got %s\nwant %s", s.File, place, err, intaketest.Describe(got, nil), intaketest.Describe(want, nil))
			}
			intaketest.Check(t, p, r)
		}
	}
	for _, place := range braincert.Places {
		last := place[strings.LastIndex(place, "/")+1:]
		alternative := last == "user_id" || last == "title" || last == "name" || place == "payload/live_class/id"
		if !moved[place] && !alternative {
			t.Errorf("no sample has %s", place)
		}
	}
}

// move takes what is at a path to where nobody documents it, in every element of a
// list, and reports whether there was something.
func move(from map[string]any, path string) bool {
	if list, each, ok := strings.Cut(path, "/*/"); ok {
		elements, _ := at(from, strings.Split(list, "/")).([]any)
		some := false
		for _, e := range elements {
			some = move(e.(map[string]any), each) || some
		}
		return some
	}
	names := strings.Split(path, "/")
	last := len(names) - 1
	parent, _ := at(from, names[:last]).(map[string]any)
	v := parent[names[last]]
	delete(parent, names[last])
	from["else where"] = map[string]any{"it/is": v}
	return v != nil
}

func at(node any, path []string) any {
	for _, name := range path {
		o, _ := node.(map[string]any)
		node = o[name]
	}
	return node
}

// TestFlatBody: a body without an envelope, of a webhook that has one topic.
func TestFlatBody(t *testing.T) {
	p := configured(t, braincert.Config{Topic: "New Sale", Thousands: ".", Fields: payload.Overlay{
		"payload":                    {""},
		"payload/order_id":           {"/bestellung/nummer"},
		"payload/total":              {"/bestellung/summe"},
		"payload/items":              {"/posten"},
		"payload/items/*/item_total": {"/betrag"},
		"payload/user/email":         {"/kunde"},
	}})
	r := domain.Request{Body: []byte(`{"bestellung":{"nummer":77,"summe":"1.180,50"},"currency":"eur","kunde":"a@example.com","payment_status":"paid",
		"posten":[{"name":"Gleisbau","betrag":"1.100,00"},{"name":"Prüfung","betrag":80.5}]}`)}
	got := intaketest.Describe(p.Translate(r))
	want := `topic New Sale
fact - sales.sold.v1 {"order":"77","lines":[{"name":"Gleisbau","amount":"1100"},{"name":"Prüfung","amount":"80.5"}],"total":"1180.5","currency":"EUR","payment_status":"paid"} {"buyer/email":"a@example.com"}
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	intaketest.Check(t, p, r)
}

// TestFieldInError: an error names the place at which a value was sent.
func TestFieldInError(t *testing.T) {
	p := configured(t, braincert.Config{Fields: payload.Overlay{"payload/total": {"/order/sum"}}})
	r := domain.Request{Body: []byte(`{"resource":"purchase","action":"completed","order":{"sum":"180 USD"},"payload":{"order_id":"1","currency":"USD"}}`)}
	intaketest.Quarantined(t, p, r, `order/sum is not a plain number`)
}

func TestTopic(t *testing.T) {
	p := configured(t, braincert.Config{Topic: "User Deleted"})
	for _, tt := range []struct{ name, body, want string }{
		{"neither", `{"payload":{"id":1}}`, "topic User Deleted\n"},
		{"nothing in either", `{"resource":"null","action":"","payload":{"id":1}}`, "topic User Deleted\n"},
		{"one of them", `{"action":"deleted","payload":{"id":1}}`, "topic User Deleted\n"},
		{"what is said counts", `{"resource":"course","action":"created","payload":{"id":1}}`, "topic Course Created\n"},
		{"what is said and unknown", `{"resource":"invoice","payload":{"id":1}}`, "topic invoice deleted\nreason unknown topic\n"},
	} {
		r := domain.Request{Body: []byte(tt.body)}
		if got := intaketest.Describe(p.Translate(r)); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got\n%swant\n%s", tt.name, got, tt.want)
		}
		intaketest.Check(t, p, r)
	}
}

func TestDomain(t *testing.T) {
	p := configured(t, braincert.Config{Domain: "48213"})
	for body, differs := range map[string]bool{
		`"domain_id":"48213",`:                     false,
		`"tenant_id":48213,`:                       false,
		`"domain_id":"John Doe",`:                  true,
		`"domain_id":"John Doe","tenant_id":"3",`:  true,
		`"domain_id":"x","tenant_id":" 48213 ",`:   false,
		`"domain_id":"null","tenant_id":{"id":1},`: false,
		`"domain_id":"null","tenant_id":null,`:     false,
		``:                                         false,
	} {
		r := domain.Request{Body: []byte(`{` + body + `"resource":"user","action":"deleted","payload":{"id":1}}`)}
		got := intaketest.Describe(p.Translate(r))
		if strings.Contains(got, "flag domain-differs\n") != differs || !strings.Contains(got, "fact") {
			t.Errorf("%s: want it flagged: %v, and booked:\n%s", body, differs, got)
		}
	}
}

func TestThousands(t *testing.T) {
	for _, tt := range []struct{ thousands, sent, want string }{
		{"", `"1,180.00"`, ""},
		{"", `"1180.50"`, "1180.5"},
		{",", `"1,180.00"`, "1180"},
		{",", `" -1,234,567.89 "`, "-1234567.89"},
		{",", `"1180.50"`, "1180.5"},
		{",", `1180.50`, "1180.5"},
		{",", `"1,18.00"`, ""},
		{",", `"1,1800"`, ""},
		{",", `"1180,00"`, ""},
		{",", `",180"`, ""},
		{",", `"0,180"`, ""},
		{",", `"1.180,00"`, ""},
		{",", `"$1,180.00"`, ""},
		{",", `"1,180."`, ""},
		{".", `"1.180,00"`, "1180"},
		{".", `"1.180"`, "1180"},
		{".", `"1180,5"`, "1180.5"},
		{".", `"1180.50"`, ""},
		{".", `1180.50`, "1180.5"},
		{".", `"1,180.00"`, ""},
	} {
		p := configured(t, braincert.Config{Thousands: tt.thousands})
		r := domain.Request{Body: []byte(`{"resource":"purchase","action":"completed","payload":{"order_id":"1","currency":"USD","total":` + tt.sent + `}}`)}
		got := intaketest.Describe(p.Translate(r))
		want := `"total":"` + tt.want + `"`
		if tt.want == "" {
			want = "error braincert: translate New Sale: payload/total is "
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s with %q: want %s in\n%s", tt.sent, tt.thousands, want, got)
		}
	}
}

func TestNewRefusesConfiguration(t *testing.T) {
	for name, c := range map[string]braincert.Config{
		"place that nobody reads":  {Fields: payload.Overlay{"payload/orderid": {"/order/id"}}},
		"place with a slash":       {Fields: payload.Overlay{"/payload/order_id": {"/order/id"}}},
		"pointer without a slash":  {Fields: payload.Overlay{"payload/order_id": {"order/id"}}},
		"topic that is none":       {Topic: "Sale"},
		"separator that is none":   {Thousands: " "},
		"separator that is a word": {Thousands: ",."},
	} {
		c.Secrets = []string{samples.BraincertLogin}
		if _, err := braincert.New(c); domain.CodeOf(err) != domain.Usage || domain.HintOf(err) == "" {
			t.Errorf("%s: %v, want code %q and a hint", name, err, domain.Usage)
		}
	}
}
