package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// A statedNumber is one place at which a provider states a number.
type statedNumber struct {
	name    string // provider and field
	header  string // Tahdah's verb
	body    string // $V is the value, $N a number of the delivery's own
	at      string // path of the number in the data of the fact
	whole   bool   // it is a count, or in minor units
	natural bool   // and not negative
	shift   int32  // digits of the minor unit it is in
}

// The bodies hold nothing but what their facts need.
const (
	statedLevel = `[{"id":$N,"eventTemplateId":318,"quantityRemaining":$V,"remoteOrderNumber":"SO-$N"}]`
	statedEntry = `{"header":{"createdDate":"2026-03-01T09:00:00Z"},"itemType":1,"currency":{"isoCode":"GBP"},"invoiceDetail":{"number":"I-$N",
		"items":[{"id":1,"amount":%s,"unitCost":%s,"quantity":%s,"tax":%s}],"payments":[{"id":2,"credit":%s}]},"debit":%s,"credit":%s}`
	statedSale = `{"id":"$N","resource":"purchase","action":"completed","tenant_id":"48213","created_at":"2026-03-12T16:51:00Z","payload":{"order_id":"B-$N",
		"currency":"USD","service_charge":%s,"total":%s,"items":[{"type":"course","name":"A","price":%s,"quantity":%s,"discount":%s,"item_total":%s}],"user":{"email":"a@example.com"}}}`
	statedTest = `{"id":"$N","resource":"assessment","action":"completed","domain_id":"48213","created_at":"2026-03-09T21:02:50Z",
		"payload":{"id":1,"name":"T","final_score":%s,"passing_score":%s,"user":{"id":$N}}}`
	statedOrder = `{"id":"$N","resource":"order","action":"created","tenant_id":"1","created_at":"2026-03-01T14:16:42Z",
		"payload":{"id":$N,%s,"items":[{"product_id":88,"product_name":"A",%s}],"user":{"id":1}}}`
	statedCharge = `{"id":"$N","resource":"order_transaction","action":"%s","tenant_id":"1","created_at":"2026-03-01T14:16:43Z",
		"payload":{"id":$N,"amount":%s,"currency":"usd","refunded_amount":%s,"order":{"id":$N}}}`
	statedGrade = `{"id":"$N","resource":"quiz","action":"attempted","tenant_id":"1","created_at":"2026-03-03T16:02:50Z",
		"payload":{"grade":$V,"user":{"id":$N},"quiz":{"id":1}}}`
)

// filled returns a body with the value in the given place and ones elsewhere.
func filled(body string, place int) string {
	values := make([]any, strings.Count(body, "%s"))
	for i := range values {
		values[i] = "1"
	}
	values[place] = "$V"
	return fmt.Sprintf(body, values...)
}

var statedNumbers = []statedNumber{
	{name: "tahdah level", header: "eventCredits.Updated", body: statedLevel, at: "remaining", whole: true, natural: true},
	{name: "tahdah item amount", header: "finance.entry.created", body: filled(statedEntry, 0), at: "items/0/amount"},
	{name: "tahdah unit cost", header: "finance.entry.created", body: filled(statedEntry, 1), at: "items/0/unit_cost"},
	{name: "tahdah quantity", header: "finance.entry.created", body: filled(statedEntry, 2), at: "items/0/quantity"},
	{name: "tahdah tax", header: "finance.entry.created", body: filled(statedEntry, 3), at: "items/0/tax"},
	{name: "tahdah payment", header: "finance.entry.created", body: filled(statedEntry, 4), at: "payments/0/amount"},
	{name: "tahdah debit", header: "finance.entry.created", body: filled(statedEntry, 5), at: "debit"},
	{name: "tahdah credit", header: "finance.entry.created", body: filled(statedEntry, 6), at: "credit"},
	{name: "braincert charge", body: filled(statedSale, 0), at: "charges"},
	{name: "braincert total", body: filled(statedSale, 1), at: "total"},
	{name: "braincert price", body: filled(statedSale, 2), at: "lines/0/price"},
	{name: "braincert quantity", body: filled(statedSale, 3), at: "lines/0/quantity"},
	{name: "braincert discount", body: filled(statedSale, 4), at: "lines/0/discount"},
	{name: "braincert item", body: filled(statedSale, 5), at: "lines/0/amount"},
	{name: "braincert score", body: filled(statedTest, 0), at: "score"},
	{name: "braincert pass mark", body: filled(statedTest, 1), at: "passing_score"},
	{name: "thinkific cents", body: fmt.Sprintf(statedOrder, `"amount_cents":$V`, `"amount_cents":1`), at: "total", whole: true, shift: 2},
	{name: "thinkific dollars", body: fmt.Sprintf(statedOrder, `"amount_dollars":$V`, `"amount_cents":1`), at: "total"},
	{name: "thinkific item cents", body: fmt.Sprintf(statedOrder, `"amount_cents":1`, `"amount_cents":$V`), at: "lines/0/amount", whole: true, shift: 2},
	{name: "thinkific item dollars", body: fmt.Sprintf(statedOrder, `"amount_cents":1`, `"amount_dollars":$V`), at: "lines/0/amount"},
	{name: "thinkific charge", body: fmt.Sprintf(statedCharge, "succeeded", "$V", "null"), at: "amount", natural: true},
	{name: "thinkific failed charge", body: fmt.Sprintf(statedCharge, "failed", "$V", "null"), at: "amount", natural: true},
	{name: "thinkific refund", body: fmt.Sprintf(statedCharge, "refunded", "1", "$V"), at: "amount", natural: true},
	{name: "thinkific grade", body: statedGrade, at: "score"},
}

// A written is a value as it may be written, and the number that it is; "": none
// that can be kept.
type written struct{ text, number string }

var (
	nines = strings.Repeat("9", 38)

	// asNumber are JSON numbers, which may be sent as text too.
	asNumber = []written{
		{"0", "0"},
		{"-0", "0"},
		{"-0.00", "0"},
		{"1.50", "1.5"},
		{"-7.25", "-7.25"},
		{"1E+2", "100"},
		{"0.30000000000000004", "0.30000000000000004"},
		{nines, nines},
		{"-" + nines, "-" + nines},
		{nines + "9", ""},
		{"1e37", "1" + strings.Repeat("0", 37)},
		{"1e38", ""},
		{"0.000000000000000001", "0.000000000000000001"},
		{"1e-18", "0.000000000000000001"},
		{"0.0000000000000000001", ""},
		{"1e-19", ""},
		{"0.1000000000000000000", "0.1"}, // nineteen digits, one of which says something
		{"12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"},
		{"123456789012345678901.123456789012345678", ""}, // 39 digits
		{"1e999999999", ""},
		{"1e-999999999", ""},
		{"1e99999999999999999999", ""},
		{"1" + strings.Repeat("0", 200), ""},
	}

	// asText are no JSON numbers, so they are sent as text.
	asText = []written{
		{" 5 ", "5"},
		{"5\u00a0", "5"},
		{"1,000", ""},
		{"1_000", ""},
		{"$5", ""},
		{"£5", ""},
		{"+5", ""},
		{".5", ""},
		{"5.", ""},
		{"05", ""},
		{"0x10", ""},
		{"NaN", ""},
		{"Infinity", ""},
		{"1e", ""},
		{"5 USD", ""},
		{"٥", ""},
		{"５", ""},
		{"--5", ""},
		{"true", ""},
	}

	// others are no numbers in any form.
	others = []string{"true", "{}", "[]", "[5]"}
)

// holds reports whether the place takes the number.
func (s statedNumber) holds(number string) bool {
	if number == "" {
		return false
	}
	d := decimal.RequireFromString(number)
	return (!s.whole || d.IsInteger()) && (!s.natural || !d.IsNegative())
}

// A limitsLog records what providers send, and says what became of it.
type limitsLog struct {
	t       *testing.T
	url     string
	log     *postgres.Appender
	sources map[string]intake.Source
	n       int
}

func newLimitsLog(t *testing.T) *limitsLog {
	l := &limitsLog{t: t, url: postgrestest.URL(t), sources: map[string]intake.Source{}}
	l.log = postgrestest.Appender(t, l.url)
	for _, pair := range sampleEnv {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(sampleTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Sources {
		if l.sources[s.Name], err = newSource(s); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// record records a body, and returns what became of it and the data of its first
// fact.
func (l *limitsLog) record(source, verb, body string) (domain.Status, map[string]any) {
	l.t.Helper()
	l.n++
	r := domain.Request{
		Header: http.Header{"Webhook-Verb": {verb}, "X-Thinkific-Topic": {""}}, ReceivedAt: time.Now().UTC(),
		Body: []byte(strings.ReplaceAll(body, "$N", strconv.Itoa(1_000_000+l.n))),
	}
	receipt, err := intake.Record(l.t.Context(), l.log, l.sources[source], r, "test", ulid.ULID{})
	if err != nil {
		l.t.Fatalf("%s: %v", r.Body, err)
	}
	tr, err := l.sources[source].Provider.Translate(r)
	if err != nil || len(tr.Facts) == 0 {
		return receipt.Status, nil
	}
	data, _, err := domain.Encode(tr.Facts[0].Event)
	if err != nil {
		return receipt.Status, nil
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		l.t.Fatal(err)
	}
	return receipt.Status, m
}

// stated returns the text at a path in the data of a fact; what is left out is "0".
func stated(data map[string]any, path string) string {
	var v any = data
	for name := range strings.SplitSeq(path, "/") {
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(node) {
				return "nothing"
			}
			v = node[i]
		}
	}
	if v == nil {
		return "0"
	}
	return fmt.Sprint(v)
}

// TestLimits sends every number that a provider states in every form, up to the
// limits of 38 digits and 18 behind the point and beyond: each is kept exactly, or
// the delivery is quarantined. None is rounded, cut or taken for another, and no
// projection stops at one.
func TestLimits(t *testing.T) {
	l := newLimitsLog(t)
	for _, s := range statedNumbers {
		source, _, _ := strings.Cut(s.name, " ")
		check := func(value, number string) {
			t.Helper()
			status, data := l.record(source, s.header, strings.ReplaceAll(s.body, "$V", value))
			if !s.holds(number) {
				if status != domain.Quarantined {
					t.Errorf("%s %s: %s as %s, want it quarantined", s.name, value, status, stated(data, s.at))
				}
				return
			}
			want := decimal.RequireFromString(number).Shift(-s.shift).String()
			if got := stated(data, s.at); status != domain.Accepted || got != want {
				t.Errorf("%s %s: %s as %s, want %s", s.name, value, status, got, want)
			}
		}
		for _, w := range asNumber {
			check(w.text, w.number)
		}
		for _, w := range slices.Concat(asNumber, asText) {
			text, err := json.Marshal(w.text)
			if err != nil {
				t.Fatal(err)
			}
			check(string(text), w.number)
		}
		for _, value := range others {
			check(value, "")
		}
	}
	for _, args := range [][]string{{"view", "sales/balances"}, {"view", "credits/balances"}, {"view", "certifications/status"}} {
		if stdout, stderr, status := daybook(t, l.url, args...); status != exitDone {
			t.Fatalf("%v: status %d\n%s%s", args, status, stdout, stderr)
		}
	}
	if stdout, stderr, status := daybook(t, l.url, "projection", "verify"); status != exitDone {
		t.Fatalf("verify: status %d\n%s%s", status, stdout, stderr)
	}
	if list, _, _ := daybook(t, l.url, "projection", "list", "-o", "csv"); strings.Contains(list, "stopped") {
		t.Errorf("a projection stopped:\n%s", list)
	}
}

// TestCurrencies sends every way to write a currency: a code of ISO 4217 is that
// currency whatever its case and the space around it; what is none is quarantined
// or kept in a currency of its own, and never added to another.
func TestCurrencies(t *testing.T) {
	l := newLimitsLog(t)
	const (
		quarantined = "(quarantined)"
		unknown     = "unknown"
	)
	bodies := map[string]struct{ header, body string }{
		"tahdah": {"finance.entry.created", `{"header":{"createdDate":"2026-03-01T09:00:00Z"},"itemType":1,"currency":{"isoCode":$V},
			"invoiceDetail":{"number":"I-$N"},"debit":1,"credit":0}`},
		"braincert": {"", strings.ReplaceAll(strings.ReplaceAll(filled(statedSale, 1), `"USD"`, "$C"), "$V", "1")},
		"thinkific": {"", strings.NewReplacer(`"usd"`, "$V", `"order":{"id":$N`, `"order":{"id":$N,"amount_cents":1`).
			Replace(fmt.Sprintf(statedCharge, "succeeded", "1", "null"))},
	}
	want := map[string]int{} // how many by provider and currency
	for _, w := range []struct{ value, tahdah, braincert, thinkific string }{
		{`"USD"`, "USD", "USD", "USD"},
		{`"usd"`, "USD", "USD", "USD"},
		{`" uSd\t"`, "USD", "USD", "USD"},
		{`"\u00a0eur"`, "EUR", "EUR", "EUR"},
		{`"US$"`, "US$", quarantined, "US$"},
		{`"£"`, "£", quarantined, "£"},
		{`"u\u017fd"`, "U\u017fD", quarantined, "U\u017fD"},    // upper case would make it USD
		{`"\u0131nr"`, "\u0131NR", quarantined, "\u0131NR"},    // and this one INR
		{`"USD\u200b"`, "USD\u200b", quarantined, "USD\u200b"}, // looks like it
		{`"ＵＳＤ"`, "ＵＳＤ", quarantined, "ＵＳＤ"},
		{`"XXX"`, "XXX", "XXX", "XXX"}, // a code that stands for none
		{`"dollars"`, "DOLLARS", quarantined, "DOLLARS"},
		{`""`, quarantined, quarantined, unknown},
		{`null`, quarantined, quarantined, unknown},
		{`840`, "840", quarantined, "840"}, // ISO's number of the dollar: nobody sends it
		{`true`, quarantined, quarantined, quarantined},
		{`{"code":"USD"}`, quarantined, quarantined, quarantined},
		{`"` + strings.Repeat("A", 300) + `"`, quarantined, quarantined, quarantined},
	} {
		for source, currency := range map[string]string{"tahdah": w.tahdah, "braincert": w.braincert, "thinkific": w.thinkific} {
			b := bodies[source]
			status, data := l.record(source, b.header, strings.NewReplacer("$V", w.value, "$C", w.value).Replace(b.body))
			got := quarantined
			if status == domain.Accepted {
				if got, _ = data["currency"].(string); got == "" {
					got = unknown
				}
			}
			if got != currency {
				t.Errorf("%s %s: %s (%s), want %s", source, w.value, got, status, currency)
			}
			booked := currency
			if _, iso := domain.Exponent(currency); source == "thinkific" && !iso {
				booked = "" // whether its amount is in minor units cannot be told: not booked
			}
			if currency != quarantined {
				want[source+" "+booked]++
			}
		}
	}
	booked := map[string]int{}
	for row := range strings.Lines(view(t, l.url, "sales/orders")) {
		cells := strings.Split(strings.TrimSpace(row), ",")
		if cells[0] != "source" {
			booked[cells[0]+" "+cells[2]]++
		}
	}
	if diff := cmp.Diff(want, booked); diff != "" {
		t.Errorf("orders by currency (-want +booked):\n%s", diff)
	}
}
