package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/samples"
)

// canaryWord begins every marker. Nothing else has it.
const canaryWord = "qzcanary"

// A canary is a sample with markers in it that must not be found anywhere.
type canary struct {
	samples.Sample
	what string // is marked
}

// canaries makes canaries out of samples: with markers in every personal value; in
// the name and value of a member that nobody knows, in every object; in the place of
// every value of another type; in headers; and bodies that nobody can read.
type canaries struct {
	n    int
	list []canary
}

// marker returns a marker that is used once.
func (c *canaries) marker() string {
	c.n++
	return fmt.Sprintf("%s%06d", canaryWord, c.n)
}

// newCanaries returns the canaries of all samples that are JSON, and of some that
// are not.
func newCanaries(t *testing.T) []canary {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	c := &canaries{}
	seen := make(map[string]bool)
	for _, s := range all {
		if strings.HasPrefix(s.File, "credly/events_api/_") {
			continue
		}
		if strings.HasSuffix(s.File, ".xml") {
			c.xml(s)
			continue
		}
		document, ok := parseSample(s.Body)
		if !ok {
			continue
		}
		c.add(s, "personal values", c.personal(document, "", ""))
		c.add(s, "further members", c.further(document))
		if topic := s.Provider + s.Topic + s.Kind; !seen[topic] && s.Status != samples.Edge {
			seen[topic] = true
			c.wrongTypes(s, document)
		}
	}
	c.unreadable(all)
	return c.list
}

func parseSample(body []byte) (document any, ok bool) {
	in := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\uFEFF"))))
	in.UseNumber()
	err := in.Decode(&document)
	return document, err == nil
}

// add adds a canary with ids of its own, so that it is no conflict.
func (c *canaries) add(s samples.Sample, what string, document any) {
	c.n++
	id := fmt.Sprintf("2026030109175602%08d", c.n)
	if o, ok := document.(map[string]any); ok {
		o = maps.Clone(o)
		document = o
		switch {
		case s.Kind == samples.EventsAPIResponse:
			if data, ok := o["data"].(map[string]any); ok {
				data = maps.Clone(data)
				o["data"] = data
				if _, isText := data["id"].(string); isText {
					data["id"] = fmt.Sprintf("62fadf95-0000-4000-8000-%012d", c.n)
				}
			}
		case s.Provider == "credly":
			if _, isText := o["id"].(string); isText {
				o["id"] = fmt.Sprintf("62fadf95-0000-4000-9000-%012d", c.n)
			}
		case s.Provider != "tahdah":
			if _, isNumber := o["id"].(json.Number); isNumber {
				o["id"] = json.Number(id)
			} else if _, isText := o["id"].(string); isText {
				o["id"] = id
			}
		}
		if invoice, ok := o["invoiceDetail"].(map[string]any); ok && s.Provider == "tahdah" {
			invoice = maps.Clone(invoice)
			o["invoiceDetail"] = invoice
			if _, isText := invoice["number"].(string); isText {
				invoice["number"] = fmt.Sprint("INV-", c.n)
			}
		}
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // it was JSON
	}
	c.addBytes(s, what, body)
}

func (c *canaries) addBytes(s samples.Sample, what string, body []byte) {
	s.Body, s.Header = body, maps.Clone(s.Header)
	if s.Header == nil {
		s.Header = make(http.Header)
	}
	s.Header.Set("X-Canary", c.marker()+" in a header")
	s.Header.Set("User-Agent", c.marker()+"@canary.example")
	c.list = append(c.list, canary{s, what})
}

// personalMembers are the members whose value is about a person, or free text.
var personalMembers = []string{
	"first_name", "last_name", "full_name", "firstName", "lastName", "fullName", "email", "contactEmail", "recipient_email",
	"user_email", "user_name", "billing_name", "bio", "headline", "company", "phone", "address1", "address2", "address3", "county",
	"description", "field_value", "value", "issued_to", "issued_to_first_name", "issued_to_middle_name", "issued_to_last_name",
	"revocation_reason", "certificate_url", "avatar_url", "external_source", "personName", "candidateName",
}

// people are the objects whose name is a person's.
var people = []string{"user", "buyer", "beneficiary", "payer", "postedBy", "person", "candidate", "earner", "employment"}

func isPersonal(parent, name string) bool {
	return slices.Contains(personalMembers, name) || name == "name" && slices.Contains(people, parent)
}

// personal returns the document with a marker in every personal value.
func (c *canaries) personal(v any, parent, name string) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(map[string]any, len(v))
		for _, member := range slices.Sorted(maps.Keys(v)) {
			o[member] = c.personal(v[member], name, member)
		}
		return o
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = c.personal(e, parent, name)
		}
		return l
	case string:
		if !isPersonal(parent, name) || strings.HasPrefix(v, "[TEST]") {
			return v
		}
		if strings.Contains(strings.ToLower(name), "email") {
			return c.marker() + "@canary.example"
		}
		return c.marker() + " Somebody"
	}
	return v
}

// further returns the document with a member in every object that nobody knows, its
// name and value markers.
func (c *canaries) further(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := map[string]any{c.marker() + "@canary.example": c.marker(), c.marker() + " Somebody": map[string]any{c.marker() + "ü": []any{c.marker()}}}
		for name, member := range v {
			o[name] = c.further(member)
		}
		return o
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = c.further(e)
		}
		return l
	}
	return v
}

// wrongTypes adds, for every value in the document, one in which it has another
// type, with a marker in it.
func (c *canaries) wrongTypes(s samples.Sample, document any) {
	for _, at := range placesIn(document, nil) {
		was := valueAt(document, at)
		where := "another type at " + strings.Join(at, "/")
		c.add(s, where, replaced(document, at, map[string]any{c.marker() + "@canary.example": c.marker()}))
		if _, isList := was.([]any); !isList {
			c.add(s, where, replaced(document, at, []any{c.marker() + " Somebody"}))
		}
		if !takesText(at, was) {
			c.add(s, where, replaced(document, at, c.marker()+" Somebody"))
		}
	}
}

var dateLike = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)

// takesText reports whether a member holds any text, as what it is or as a word of
// the provider's: an id, a name of a thing, a status. Such a text is a fact.
func takesText(at []string, was any) bool {
	name := at[len(at)-1]
	if slices.Contains(at, "roles") || slices.Contains(at, "groups") || name == "price" && !slices.Contains(at, "items") {
		return true // what roles and groups are called, and what a catalogue says of a price
	}
	switch was := was.(type) {
	case string:
		return !dateLike.MatchString(was)
	case json.Number:
		for _, amount := range []string{
			"amount", "total", "price", "quantity", "debit", "credit", "tax", "unitCost", "discount", "charge", "remaining", "timestamp", "score", "cents", "dollars", "percentage",
		} {
			if strings.Contains(strings.ToLower(name), strings.ToLower(amount)) {
				return false
			}
		}
		return true // ids, and codes
	case bool:
		return false
	}
	return true
}

// placesIn returns the paths of all values but the document itself.
func placesIn(v any, at []string) (all [][]string) {
	below := func(name string, member any) {
		path := append(slices.Clone(at), name)
		all = append(append(all, path), placesIn(member, path)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			below(name, v[name])
		}
	case []any:
		for i, e := range v {
			if i < 2 {
				below(fmt.Sprint(i), e)
			}
		}
	}
	return all
}

func valueAt(v any, at []string) any {
	for _, name := range at {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			_, _ = fmt.Sscan(name, &i)
			v = x[i]
		}
	}
	return v
}

// replaced returns the document with another value at a place.
func replaced(v any, at []string, by any) any {
	if len(at) == 0 {
		return by
	}
	switch v := v.(type) {
	case map[string]any:
		o := maps.Clone(v)
		o[at[0]] = replaced(v[at[0]], at[1:], by)
		return o
	case []any:
		var i int
		_, _ = fmt.Sscan(at[0], &i)
		l := slices.Clone(v)
		l[i] = replaced(l[i], at[1:], by)
		return l
	}
	return v
}

var xmlText = regexp.MustCompile(`<(first_name|last_name|name|email|field_value)>[^<]*<`)

// xml adds canaries of a document in XML.
func (c *canaries) xml(s samples.Sample) {
	c.addBytes(s, "personal values", xmlText.ReplaceAllFunc(s.Body, func(b []byte) []byte {
		name, _, _ := bytes.Cut(b, []byte(">"))
		return append(append(name, '>'), c.marker()+"@canary.example<"...)
	}))
	for _, change := range []struct{ old, new string }{
		{"</payload>", "<" + c.marker() + ">" + c.marker() + "</" + c.marker() + "></payload>"},
		{"</payload>", "<" + c.marker() + ">" + c.marker()},
		{"</payload>", "&" + c.marker() + ";</payload>"},
		{"<payload>", `<payload ` + c.marker() + `="` + c.marker() + `">`},
		{"<payload>", `<payload ` + c.marker() + `>`},
		{"UTF-8", c.marker()},
	} {
		c.addBytes(s, "bad XML", bytes.Replace(s.Body, []byte(change.old), []byte(change.new), 1))
	}
}

// unreadable adds bodies that nobody can read, and topics that nobody knows.
func (c *canaries) unreadable(all []samples.Sample) {
	for _, provider := range []string{"tahdah", "thinkific", "braincert", "credly"} {
		i := slices.IndexFunc(all, func(s samples.Sample) bool {
			return s.Provider == provider && s.Kind == samples.Webhook && s.Status == samples.Documented && strings.HasSuffix(s.File, ".json")
		})
		s := all[i]
		who := func() string { return c.marker() + "@canary.example" }
		for _, body := range []string{
			who(), `"` + who() + `"`, `["` + who() + `"]`, `{"` + who() + `":"` + who(), `{"a":"\x` + c.marker() + `"}`, "<" + c.marker() + ">" + who() + "</b>",
			`{"resource":"` + who() + `","action":"` + who() + `","id":"` + c.marker() + `","payload":{"name":"` + who() + `"}}`,
			`{"id":"` + c.marker() + `","event_type":"` + who() + `","organization_id":"` + samples.CredlyOrganization + `","occurred_at":"2026-03-01T00:00:00Z"}`,
			`{"resource":"user","action":"` + who() + `","created_at":"` + who() + `","timestamp":"` + who() + `","payload":"` + who() + `"}`,
			"\xff\xfe" + who(),
		} {
			c.addBytes(s, "a body that nobody can read", []byte(body))
		}
		if provider == "tahdah" {
			c.addBytes(s, "a verb that nobody knows", s.Body)
			c.list[len(c.list)-1].Header.Set("Webhook-Verb", who())
		}
	}
}
