package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// A letter is one delivery as a provider sends it, with what a reader of the
// notes on that provider takes it for.
type letter struct {
	provider string
	topic    string // what it is about, for messages
	request  domain.Request

	identity string   // what a repetition of it is known by; empty: its topic and bytes
	scopes   []string // of a level that has none: what it is a level of

	status  domain.Status // if it is not a repetition
	records int
	test    bool
	at      time.Time // when it happened; zero: nobody said
	things  []any     // what it says; see [book]
}

// A pen draws what letters are made of. Everything comes from small pools, so
// that letters have to do with each other.
type pen struct {
	*rapid.T
	topics map[string][]string // those that are drawn in this case
}

type object = map[string]any

func (p pen) pick(label string, pool ...string) string {
	return rapid.SampledFrom(pool).Draw(p.T, label)
}

// topic draws one of some topics. A case keeps to a few of each list, so that what
// can meet does.
func (p pen) topic(label string, all ...string) string {
	if p.topics[label] == nil {
		p.topics[label] = rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 5, rapid.ID[string]).Draw(p.T, "some "+label)
	}
	return p.pick(label, p.topics[label]...)
}

// seldom is one time in n.
func (p pen) seldom(label string, n int) bool { return rapid.IntRange(1, n).Draw(p.T, label) == n }

func (p pen) number(label string, from, to int) int { return rapid.IntRange(from, to).Draw(p.T, label) }

// id writes an id as a number or as text; both are the same id.
func (p pen) id(id string) any {
	if _, err := decimal.NewFromString(id); err == nil && p.seldom("id is a number", 2) {
		return json.Number(id)
	}
	return id
}

// amount writes an exact number in one of the ways in which providers do.
func (p pen) amount(d decimal.Decimal) any {
	text := d.String()
	switch p.number("amount is", 1, 4) {
	case 1:
		return text
	case 2:
		return json.Number(d.StringFixed(max(2, -d.Exponent())))
	}
	return json.Number(text)
}

func cents(n int) decimal.Decimal { return decimal.New(int64(n), -2) }

// began is the first moment of which deliveries speak.
var began = time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)

// moment draws one of a few moments, so that some come twice.
func (p pen) moment(label string) time.Time {
	return began.Add(time.Duration(p.number(label, 0, 6)) * 25 * time.Hour)
}

// write writes a moment in one of the ways in which providers do.
func (p pen) write(t time.Time) any {
	layout := p.pick("layout", time.RFC3339, "2006-01-02T15:04:05.000Z07:00", "2006-01-02 15:04:05 -0700")
	if p.seldom("zone", 3) {
		t = t.In(time.FixedZone("", 2*60*60))
	}
	return t.Format(layout)
}

// broken sometimes takes away or spoils one of the members that a delivery cannot
// be booked without, given as an object and a name each.
func (p pen) broken(n int, members ...any) bool {
	if !p.seldom("broken", n) {
		return false
	}
	i := 2 * p.number("which", 0, len(members)/2-1)
	in, name := members[i].(object), members[i+1].(string)
	switch p.number("how", 1, 4) {
	case 1:
		delete(in, name)
	case 2:
		in[name] = nil
	case 3:
		in[name] = object{"is": "an object"}
	case 4:
		in[name] = ""
	}
	return true
}

// odd sometimes spoils a member that a delivery can be booked without, or adds
// one that nobody knows.
func (p pen) odd(in object, names ...string) {
	if p.seldom("odd", 12) {
		in[p.pick("odd member", names...)] = object{"is": "an object"}
	}
	if p.seldom("unknown member", 8) {
		in["unknown_"+p.pick("unknown", "a", "b")] = p.number("unknown value", 0, 9)
	}
}

// body writes a document, compact or not: the same, with other bytes.
func (p pen) body(v any) []byte {
	text, err := json.Marshal(v)
	if p.seldom("indented", 4) {
		text, err = json.MarshalIndent(v, "", "  ")
	}
	if err != nil {
		p.Fatal(err)
	}
	return text
}

// somebody is a person as a payload has one.
type somebody struct{ id, first, last, email string }

func (p pen) somebody() somebody {
	return somebody{
		id:    p.pick("person", "11", "12", "13"),
		first: p.pick("first name", "Ann", "Åsa", "Bo"), last: p.pick("last name", "Lee", "Oz"),
		email: p.pick("email", "a@example.com", "b@example.com", "", "a***@example.com"),
	}
}

// address is what of an e-mail is one: a masked one stands for many people.
func (s somebody) address() string {
	if s.email == "a***@example.com" {
		return ""
	}
	return s.email
}

func (s somebody) name() string { return s.first + " " + s.last }

// mention is what a payload says of a person in passing.
func (s somebody) mention() name {
	return name{table: "people", kind: "user", id: s.id, name: s.name(), email: s.address(), inPassing: true}
}

func mentionItem(kind, id, called string) name {
	return name{table: "items", kind: kind, id: id, name: called, inPassing: true}
}

// quarantined takes from a letter what it would have said.
func (l letter) quarantined() letter {
	l.status, l.records, l.things = domain.Quarantined, 1, nil
	if l.test {
		l.status = domain.Unrecognized // a test is worth no person's time
	}
	return l
}

// unrecognized says that nothing in a letter is kept.
func (l letter) unrecognized() letter {
	l.status, l.records, l.things = domain.Unrecognized, 1, nil
	return l
}

// signed returns a request that is authentic.
func signed(provider string, header http.Header, body []byte) domain.Request {
	if header == nil {
		header = make(http.Header)
	}
	r := domain.Request{Header: header, Body: body}
	switch provider {
	case "tahdah":
		header.Set("Webhook-Signature", hexMAC(samples.TahdahSecret, body))
	case "thinkific":
		header.Set("X-Thinkific-Hmac-Sha256", hexMAC(samples.ThinkificKey, body))
	case "braincert":
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(samples.BraincertLogin)))
	case "credly":
		r.Token = "test-token"
	}
	return r
}

func hexMAC(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
