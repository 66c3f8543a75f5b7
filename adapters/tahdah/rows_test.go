package tahdah_test

import (
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
)

func row(body string) domain.Request {
	return domain.Request{Fetched: "members/4021", Body: []byte(body)}
}

// TestRows reads rows of a list of members, whose shape is not documented.
func TestRows(t *testing.T) {
	p := provider(t, tahdah.Config{})
	for _, tt := range []struct{ name, body, want string }{
		{
			"a membership and a name", `{"legalEntityId":4388,"name":"Solent Ltd","town":"Gosport","trustGroup":{"id":812,"name":"Centres"},"status":"Active"}`,
			`fact - trustgroups.member-listed.v1 {"group":"812","group_name":"Centres","member_type":"legal_entity","member":"4388","status":"Active","assumed":true} -
fact - directory.organization-listed.v1 {"organization":"4388","name":"Solent Ltd","town":"Gosport"} -
`,
		},
		{
			"a membership that says when", `{"legalEntityId":4388,"trustGroupId":812,"status":"Active","updatedAt":"2026-03-01T10:05:00Z"}`,
			`fact 2026-03-01T10:05:00Z trustgroups.member-listed.v1 {"group":"812","member_type":"legal_entity","member":"4388","status":"Active","changed_at":"2026-03-01T10:05:00Z","assumed":true} -
`,
		},
		{
			"a name and an id", `{"legalEntity":{"id":4388,"name":"Solent Ltd"},"trustGroupId":812}`,
			`fact - directory.organization-listed.v1 {"organization":"4388","name":"Solent Ltd"} -
`,
		},
		{
			"a name, and an id of who knows what", `{"id":4388,"name":"Solent Ltd"}`,
			`fact - directory.organization-listed.v1 {"name":"Solent Ltd"} -
`,
		},
		{"a town as addresses have it", `{"name":"Solent Ltd","town":"","t":"Gosport"}`, `{"name":"Solent Ltd","town":"Gosport"} -`},
		{"a member and no name", `{"legalEntityId":4388,"trustGroupId":812}`, "error tahdah: translate members: legalEntityName is missing\n"},
		{"a code for a status", `{"legalEntityId":4388,"trustGroupId":812,"status":1}`, "is no word"},
		{"two members", `{"legalEntityId":4388,"candidateId":1,"trustGroupId":812,"status":"Active"}`, "the member is one of them"},
		{"a list", `[{"name":"x"}]`, "error tahdah: translate members: body is not an object\n"},
		{"nothing", ``, "error tahdah: translate members: body is empty\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := row(tt.body)
			intaketest.Check(t, p, r)
			got := intaketest.Describe(p.Translate(r))
			if !strings.HasPrefix(got, "topic members\nkey members/4021/") || !strings.Contains(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestRowKeys says which rows are one: those of the same bytes, of one list.
func TestRowKeys(t *testing.T) {
	p := provider(t, tahdah.Config{})
	key := func(fetched, body string) string {
		tr, _ := p.Translate(domain.Request{Fetched: fetched, Body: []byte(body)})
		return tr.Key
	}
	one := key("members/4021", `{"name":"x"}`)
	if one != key("members/4021", `{"name":"x"}`) || one == key("members/4021", `{"name":"y"}`) || one == key("members/4022", `{"name":"x"}`) {
		t.Error("rows are told apart by something else than their list and bytes")
	}
	tr, err := p.Translate(domain.Request{Fetched: "people/1", Body: []byte(`{}`)})
	if err != nil || tr.Reason == "" || len(tr.Facts) > 0 {
		t.Errorf("another list: %+v, %v", tr, err)
	}
}

// TestRowsAreNotBelieved has somebody send a row as a webhook.
func TestRowsAreNotBelieved(t *testing.T) {
	tr, err := provider(t, tahdah.Config{}).Translate(request("members/4021", `{"legalEntityId":1,"trustGroupId":8,"status":"Active"}`))
	if err != nil || len(tr.Facts) > 0 {
		t.Errorf("%+v, %v", tr, err)
	}
}
