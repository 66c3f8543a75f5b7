package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/projections/render"
)

// get returns what the server answers to a GET, and with which status.
func (p *process) get(t *testing.T, path string, params url.Values) (string, int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path+"?"+params.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), response.StatusCode
}

// TestPinnedEverywhere asks every view, in every form for programs, by the command
// and over HTTP, as of a day and as known at a position, and gets the same bytes:
// from both, and again after more deliveries, a rebuild and a restart.
func TestPinnedEverywhere(t *testing.T) {
	database := postgrestest.URL(t)
	p := serve(t, database)
	first := []string{"tahdah/eventCredits.Updated.json", "thinkific/order.created.json", "braincert/test_completed.json"}
	for _, file := range first {
		p.mustPost(t, sampleNamed(t, file))
	}
	known := strings.Count(view(t, database, "log/records"), "\n") - 1
	answers := make(map[string]string)
	ask := func(when string) {
		t.Helper()
		for _, one := range allViewed() {
			for _, v := range one.Views {
				path := one.Name + "/" + v.Name
				params := url.Values{"as_of": {"2099-12-31"}, "known": {number(int64(known)).Text}}
				for _, f := range render.Formats() {
					served, code := p.get(t, "/v1/"+path+"."+f.Name, params)
					if code != http.StatusOK {
						t.Fatalf("%s: %s as %s: status %d: %s", when, path, f.Name, code, served)
					}
					key := path + "." + f.Name
					if before, ok := answers[key]; ok && before != served {
						t.Errorf("%s: %s was %s\nand is %s", when, key, before, served)
					}
					answers[key] = served
				}
				stdout, stderr, status := daybook(t, database, "view", path, "--as-of", "2099-12-31", "--known", params.Get("known"), "-o", "json")
				if status != exitDone || stdout != answers[path+".json"] {
					t.Errorf("%s: view %s: status %d, %s%s\nover HTTP it is %s", when, path, status, stderr, stdout, answers[path+".json"])
				}
			}
		}
	}
	ask("at first")
	for _, file := range []string{"braincert/course_completed.json", "thinkific/order_transaction.succeeded.json", "braincert/new_sale.json"} {
		p.mustPost(t, sampleNamed(t, file))
	}
	ask("after more deliveries")
	if _, stderr, status := daybook(t, database, "projection", "rebuild"); status != exitDone {
		t.Fatalf("rebuild: %s", stderr)
	}
	ask("after a rebuild")
	p.stop(t)
	p = serve(t, database)
	ask("after a restart")
}

// TestLookUp finds people by what is sealed, by the command and over HTTP.
func TestLookUp(t *testing.T) {
	database := postgrestest.URL(t)
	p := serve(t, database)
	p.mustPost(t, sampleNamed(t, "thinkific/order.created.json"))
	all := view(t, database, "directory/people")
	lines := strings.Split(strings.TrimSpace(all), "\n")
	if len(lines) != 2 {
		t.Fatalf("people: %s", all)
	}
	cells := strings.Split(strings.TrimSpace(lines[1]), ",")
	name := cells[3]
	if name == "" || strings.HasPrefix(name, "sealed") || strings.HasPrefix(name, "[") {
		t.Fatalf("the name is %q", name)
	}
	if found := view(t, database, "directory/people", "name="+name); found != all {
		t.Errorf("by name: %s", found)
	}
	found, status := p.get(t, "/v1/directory/people.csv", url.Values{"name": {name}, "source": {cells[0]}})
	if status != http.StatusOK || found != all {
		t.Errorf("by name over HTTP: status %d: %s", status, found)
	}
	if found, _ := p.get(t, "/v1/directory/people.csv", url.Values{"name": {name + "."}}); strings.Count(found, "\n") != 1 {
		t.Errorf("by another name: %s", found)
	}
	said, status := p.get(t, "/v1/directory/people", url.Values{"sort": {"name"}})
	if status != http.StatusBadRequest || !strings.Contains(said, "sealed") || !strings.Contains(said, "name=…") {
		t.Errorf("sorted by name: status %d: %s", status, said)
	}
	if strings.Contains(p.log(), name) {
		t.Errorf("the server's log has the name:\n%s", p.log())
	}
}
