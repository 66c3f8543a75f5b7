package braincert_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

func TestRows(t *testing.T) {
	p := provider(t)
	for _, tt := range []struct {
		name, fetched, body string
		want                []string
	}{
		{
			"user", "users/789310", `{"user_id":789310,"name":"Amina Yusuf","email":"amina.yusuf@example.com","groups":[{"group_id":311}]}`,
			[]string{"topic User Listed\nkey users/789310/", `fact - directory.person-seen.v1 {"person_type":"user","person":"789310","groups":["311"],"activity":"listed"} {"name":"Amina Yusuf","email":"amina.yusuf@example.com"}`},
		},
		{"user by other names", "users/789310", `{"id":"789310","first_name":"Amina","last_name":"Yusuf"}`, []string{`"person":"789310"`, `{"name":"Amina Yusuf"}`}},
		{"user with a number of his own", "users/789310", `{"id":1,"user_id":"789310"}`, []string{`"person":"789310"`}},
		{"user with a number of his own, as which he was listed", "users/1", `{"id":1,"user_id":"789310"}`, []string{`"person":"789310"`}},
		{"user whom the list does not name", "users/" + payload.RowID([]byte(`{"user_id":789310}`)), `{"user_id":789310}`, []string{`"person":"789310"`}},
		{"user with a masked address", "users/1", `{"id":1,"email":"[email protected]"}`, []string{"flag bad-email", "!protected"}},
		{
			"course", "courses/909120", `{"id":909120,"title":"Track Safety Foundation","price":"10"}`,
			[]string{"topic Course Listed\n", `directory.item-seen.v1 {"item_type":"course","item":"909120","name":"Track Safety Foundation","price":"10","activity":"listed"}`},
		},
		{
			"group", "groups/304120", `{"group_id":304120,"group_name":"Rail Safety 2026"}`,
			[]string{"topic Group Listed\n", `directory.group-listed.v1 {"group":"304120","name":"Rail Safety 2026"}`},
		},
		{"member twice", "users/1", `{"id":1,"name":"a","name":"b"}`, []string{"flag duplicate-member\nfact"}},
		{"no id", "users/1", `{"name":"a"}`, []string{"key users/1/", "error braincert: translate User Listed: user_id is missing"}},
		{"another's id", "users/1", `{"id":2,"name":"a"}`, []string{`error braincert: translate User Listed: id is not the one that was asked for`}},
		{"a list", "courses/1", `[{"id":1}]`, []string{"odd-field:course_id"}},
		{"no JSON", "courses/1", `<html>`, []string{"key courses/1/", "error braincert: translate Course Listed: body is not JSON"}},
		{"a webhook's body", "users/1", `{"id":"20","resource":"user","action":"deleted","payload":{"id":1}}`, []string{"error", "!person-removed"}},
		{"what nobody asks for", "orders/1", `{"id":1}`, []string{"topic orders/1\nreason unknown resource\n", "!fact"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := domain.Request{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(tt.body), Fetched: tt.fetched}
			got := intaketest.Describe(p.Translate(r))
			for _, want := range tt.want {
				text, not := strings.CutPrefix(want, "!")
				if strings.Contains(got, text) == not {
					t.Errorf("want %s in\n%s", want, got)
				}
			}
			intaketest.Check(t, p, r)
			r.Fetched = "" // a webhook that looks like an answer is none
			if got := intaketest.Describe(p.Translate(r)); strings.Contains(got, `"listed"`) {
				t.Errorf("believed without having been fetched:\n%s", got)
			}
		})
	}
}

// TestRowKey: the same row again is a repetition, a changed one a fact.
func TestRowKey(t *testing.T) {
	p := provider(t)
	key := func(fetched, body string) string {
		tr, err := p.Translate(domain.Request{Fetched: fetched, Body: []byte(body)})
		if err != nil || tr.Key == "" {
			t.Fatalf("%q, %v", tr.Key, err)
		}
		return tr.Key
	}
	first := key("users/1", `{"id":1,"name":"a"}`)
	if again := key("users/1", `{"id":1,"name":"a"}`); again != first {
		t.Errorf("the same row has the keys %q and %q", first, again)
	}
	if changed := key("users/1", `{"id":1,"name":"b"}`); changed == first {
		t.Errorf("a changed row has the key %q too", first)
	}
	if other := key("courses/1", `{"id":1,"name":"a"}`); other == first {
		t.Errorf("a course has the key of a user, %q", first)
	}
}
