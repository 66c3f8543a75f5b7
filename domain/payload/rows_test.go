package payload

import (
	"strings"
	"testing"
)

func TestRows(t *testing.T) {
	for _, tt := range []struct{ body, name, ids, want string }{
		{`{"items":[{"id": 1 },{"id":"a/b"}]}`, "items", "1 a/b", `{"id": 1 }|{"id":"a/b"}`},
		{"\ufeff" + `{"items":[]}`, "items", "", ""},
		{`{"items":[{"id":20260301091756020665195,"x":0.10}]}`, "items", "20260301091756020665195", `{"id":20260301091756020665195,"x":0.10}`},
		{`{"data":[{"id":1}],"items":[{"id":2}]}`, "items", "2", `{"id":2}`},
		{`[{"id":1}]`, "", "1", `{"id":1}`},
		{`{"status":"ok","users":[{"id":1}],"roles":["a"]}`, "", "1", `{"id":1}`},
		{`{"data":{"users":[{"id":1}],"total":1}}`, "", "1", `{"id":1}`},
		{`{"users":[{"id":1,"user_id":7},{"id":2,"user_id":null}]}`, "", "7 2", `{"id":1,"user_id":7}|{"id":2,"user_id":null}`},
		{`{"users":[]}`, "", "", ""},
		{"{\"items\":[{\"id\":1,\"n\":\"Zo\xeb\"}]}", "items", "1", "{\"id\":1,\"n\":\"Zo\xeb\"}"},
		{`{"items":[7,{"name":"x"},{"id":1.5},{"id":true}]}`, "items", "sha256-", ""},
	} {
		rows, err := Rows([]byte(tt.body), tt.name, "user_id", "id")
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		var ids, bodies []string
		for _, r := range rows {
			ids, bodies = append(ids, r.ID), append(bodies, string(r.Body))
		}
		if strings.HasPrefix(tt.ids, "sha256-") {
			if len(ids) != 4 || !strings.HasPrefix(ids[3], "sha256-") || ids[0] == ids[1] {
				t.Errorf("%s: %v", tt.body, ids)
			}
			continue
		}
		if got := strings.Join(ids, " "); got != tt.ids || strings.Join(bodies, "|") != tt.want {
			t.Errorf("%s: %s: %s", tt.body, got, bodies)
		}
	}
	for body, name := range map[string]string{
		``: "items", `[]`: "items", `{"items":{}}`: "items", `{"items":null}`: "items", `{}`: "items", `{"items":[1,]}`: "items",
		`{"a":[{}],"b":[{}]}`: "", `7`: "", `{"a":1}`: "", `{"a":{"b":{"c":[{}]}}}`: "", `{"a":["x"]}`: "",
	} {
		if rows, err := Rows([]byte(body), name, "id"); err == nil {
			t.Errorf("%s: %v", body, rows)
		}
	}
}

// FuzzRows checks that rows are parts of the document, word for word.
func FuzzRows(f *testing.F) {
	for _, body := range []string{`{"items":[{"id":1},{"id":"a"}]}`, `[{"id":1}]`, `{"data":{"users":[{"id":1}]}}`, `{"items":{"items":[]}}`, "\ufeff[]"} {
		f.Add([]byte(body), "items")
		f.Add([]byte(body), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		rows, err := Rows(body, name, "id")
		if err != nil {
			return
		}
		rest := string(body)
		for _, r := range rows {
			at := strings.Index(rest, string(r.Body))
			if at < 0 || r.ID == "" || !IsLabel(r.ID) {
				t.Fatalf("%q has no row %q named %q", body, r.Body, r.ID)
			}
			rest = rest[at+len(r.Body):]
		}
	})
}
