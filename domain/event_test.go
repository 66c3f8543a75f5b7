package domain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
)

// An example is one file of testdata/events: both parts of an event's wire form.
type example struct {
	Data     json.RawMessage `json:"data"`
	Personal json.RawMessage `json:"personal"` // null if there is none
}

// load returns the example of a kind, nil parts where the file holds null.
func load(t testing.TB, k domain.Kind) (data, personal []byte) {
	t.Helper()
	file, err := os.ReadFile(exampleFile(k))
	if err != nil {
		t.Fatalf("no example of %s: UPDATE_GOLDEN=1 adds one for an event listed in examples: %v", k, err)
	}
	var ex example
	if err := json.Unmarshal(file, &ex); err != nil {
		t.Fatal(err)
	}
	if string(ex.Personal) == "null" {
		ex.Personal = nil
	}
	return ex.Data, ex.Personal
}

func exampleFile(k domain.Kind) string {
	return filepath.Join("testdata", "events", string(k)+".json")
}

// TestWireForm holds every kind to its example on disk. A failure means that an
// old log can no longer be read, or would be read differently: add a new kind
// instead of editing the file.
func TestWireForm(t *testing.T) {
	addMissingExamples(t)
	for _, k := range domain.Kinds() {
		t.Run(string(k), func(t *testing.T) {
			data, personal := load(t, k)
			e, err := domain.Decode(k, data, personal)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if path := unset(reflect.ValueOf(e), ""); path != "" {
				t.Errorf("the example leaves %s empty, so its wire form is not frozen", path)
			}
			gotData, gotPersonal, err := domain.Encode(e)
			if err != nil {
				t.Fatalf("Encode: %v", err)
			}
			if !bytes.Equal(gotData, data) {
				t.Errorf("data:\n got %s\nwant %s", gotData, data)
			}
			if !bytes.Equal(gotPersonal, personal) {
				t.Errorf("personal:\n got %s\nwant %s", gotPersonal, personal)
			}
		})
	}
}

// addMissingExamples writes the files that are not there, if UPDATE_GOLDEN is
// set. It never changes one that is: that would change the log's past.
func addMissingExamples(t *testing.T) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") == "" {
		return
	}
	for _, e := range examples() {
		if _, err := os.Stat(exampleFile(e.Kind())); err == nil {
			continue
		}
		data, personal, err := domain.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		file, err := domain.Marshal(example{data, personal})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(exampleFile(e.Kind()), append(file, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoStrayExamples finds the example of a kind that this build has forgotten:
// a log that holds one could not be read any more.
func TestNoStrayExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/events/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		k, isJSON := strings.CutSuffix(filepath.Base(file), ".json")
		if !isJSON || !slices.Contains(domain.Kinds(), domain.Kind(k)) {
			t.Errorf("%s is the example of no kind", file)
		}
	}
}

// unset returns the path of a field of v that holds its zero value, or "".
func unset(v reflect.Value, path string) string {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return unset(v.Elem(), path)
	case v.Type() == reflect.TypeFor[time.Time](), v.Type() == reflect.TypeFor[decimal.Decimal]():
	case v.Kind() == reflect.Slice && v.Len() > 0:
		return unset(v.Index(0), path+"/0")
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if p := unset(v.Field(i), path+"/"+v.Type().Field(i).Name); p != "" {
				return p
			}
		}
		return ""
	}
	if v.IsZero() {
		return path
	}
	return ""
}

// TestPersonalIsApart checks that no personal value of any example is in the
// part that is never erased.
func TestPersonalIsApart(t *testing.T) {
	for _, k := range domain.Kinds() {
		data, personal := load(t, k)
		if personal == nil {
			continue
		}
		var values map[string]string
		if err := json.Unmarshal(personal, &values); err != nil {
			t.Fatal(err)
		}
		for path, value := range values {
			if bytes.Contains(data, []byte(value)) {
				t.Errorf("%s: the data holds the personal field %s", k, path)
			}
		}
		e, err := domain.Decode(k, data, nil)
		if err != nil {
			t.Fatalf("%s: Decode without the erased part: %v", k, err)
		}
		again, none, err := domain.Encode(e)
		if err != nil || !bytes.Equal(again, data) || none != nil {
			t.Errorf("%s: erasing the personal part changes the data: %s, %s, %v", k, again, none, err)
		}
	}
}

// TestErasureLeavesData checks the same where nothing but a personal field is
// set: a struct that is left out when it is empty must not be there for the sake
// of a name, or erasing the name would change the data.
func TestErasureLeavesData(t *testing.T) {
	for _, e := range []domain.Event{
		domain.SalesSold{Order: "1", Buyer: domain.Buyer{Name: "Amina", Email: "amina@example.com"}},
		domain.SalesEntryPosted{
			Entry: "1", Currency: "GBP", Beneficiary: domain.Party{Name: "a"}, Payer: domain.Party{Name: "b"},
			PostedBy: domain.Party{Name: "c"}, Items: []domain.EntryItem{{Description: "d"}},
		},
	} {
		data, personal, err := domain.Encode(e)
		if err != nil || personal == nil {
			t.Fatal(err)
		}
		if _, err := domain.Decode(e.Kind(), data, nil); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
	for _, e := range examples() {
		checkOmitZero(t, reflect.TypeOf(e))
	}
}

// checkOmitZero finds members left out when empty whose emptiness depends on
// what is personal.
func checkOmitZero(t *testing.T, typ reflect.Type) {
	t.Helper()
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() || typ == reflect.TypeFor[decimal.Decimal]() {
		return
	}
	for field := range typ.Fields() {
		checkOmitZero(t, field.Type)
		if field.Type.Kind() != reflect.Struct || !strings.Contains(field.Tag.Get("json"), "omitzero") {
			continue
		}
		v := reflect.New(field.Type).Elem()
		for i := range v.NumField() {
			if v.Field(i).Type() == reflect.TypeFor[domain.Personal]() {
				v.Field(i).SetString("x")
			}
		}
		if z, ok := v.Interface().(interface{ IsZero() bool }); !v.IsZero() && (!ok || !z.IsZero()) {
			t.Errorf("%s.%s is there for the sake of a personal field", typ, field.Name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const reported = "credits.reported.v1"
	good := `{"line":"70412","template":"318","remaining":"14","consumed":[{}]}`
	if _, err := domain.Decode(reported, []byte(good), []byte(`{"consumed/0/description":"exam"}`)); err != nil {
		t.Fatalf("the event that the cases are variations of: %v", err)
	}
	for _, tt := range []struct {
		name           string
		kind           domain.Kind
		data, personal string
	}{
		{"unknown kind", "credits.reported.v9", good, ""},
		{"no kind", "", good, ""},
		{"nothing", reported, "", ""},
		{"null", reported, "null", ""},
		{"a list", reported, "[]", ""},
		{"unknown field", reported, `{"line":"70412","template":"318","remaining":"14","extra":1}`, ""},
		{"missing id", reported, `{"template":"318","remaining":"14"}`, ""},
		{"missing number", reported, `{"line":"70412","template":"318"}`, ""},
		{"null number", reported, `{"line":"70412","template":"318","remaining":null}`, ""},
		{"number that is no text", reported, `{"line":"70412","template":"318","remaining":14}`, ""},
		{"number in another form", reported, `{"line":"70412","template":"318","remaining":"14.0"}`, ""},
		{"negative", reported, `{"line":"70412","template":"318","remaining":"-1"}`, ""},
		{"fraction", reported, `{"line":"70412","template":"318","remaining":"1.5"}`, ""},
		{"member twice", reported, `{"line":"1","line":"70412","template":"318","remaining":"14"}`, ""},
		{"name in capitals", reported, `{"Line":"70412","template":"318","remaining":"14"}`, ""},
		{"other order", reported, `{"template":"318","line":"70412","remaining":"14"}`, ""},
		{"white space", reported, `{"line": "70412","template":"318","remaining":"14"}`, ""},
		{"trailing space", reported, good + " ", ""},
		{"trailing newline", reported, good + "\n", ""},
		{"trailing event", reported, good + good, ""},
		{"cut short", reported, good[:len(good)-1], ""},
		{"not UTF-8", reported, `{"line":"7` + "\xff" + `","template":"318","remaining":"14"}`, ""},
		{"time with an offset", "badges.deleted.v1", `{"badge":"b","deleted_at":"2026-03-01T10:00:00+01:00"}`, ""},
		{"time with nanoseconds", "badges.deleted.v1", `{"badge":"b","deleted_at":"2026-03-01T10:00:00.000000001Z"}`, ""},
		{"missing time", "badges.deleted.v1", `{"badge":"b"}`, ""},
		{"unknown personal field", reported, good, `{"name":"Amina"}`},
		{"personal field of an element that is not there", reported, good, `{"consumed/1/description":"exam"}`},
		{"personal part of an event that has none", "badges.deleted.v1", `{"badge":"b","deleted_at":"2026-03-01T10:00:00Z"}`, `{"name":"Amina"}`},
		{"empty personal part", reported, good, `{}`},
		{"empty personal field", reported, good, `{"consumed/0/description":""}`},
		{"personal null", reported, good, `null`},
		{"personal trailing bytes", reported, good, `{"consumed/0/description":"exam"} `},
		{"personal member twice", reported, good, `{"consumed/0/description":"a","consumed/0/description":"b"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := domain.Decode(tt.kind, []byte(tt.data), []byte(tt.personal))
			if got := domain.CodeOf(err); got != domain.Differs {
				t.Errorf("Decode = %+v, code %q (%v), want %q", e, got, err, domain.Differs)
			}
		})
	}
}

func TestUnknownKindHasAHint(t *testing.T) {
	_, err := domain.Decode("credits.reported.v9", []byte(`{}`), nil)
	if domain.HintOf(err) == "" {
		t.Errorf("no hint in %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	_, _, err := domain.Encode(domain.BadgesDeleted{Badge: ""})
	if got := domain.CodeOf(err); got != domain.Invalid {
		t.Errorf("Encode of an invalid event: code %q, want %q", got, domain.Invalid)
	}
	field, ok := errors.AsType[*domain.FieldError](err)
	if !ok || field.Field != "badge" {
		t.Errorf("Encode of an invalid event: %v, want a FieldError for badge", err)
	}
}

// TestRoundTrip is the law behind every proof: what is encoded decodes to the
// same bytes again, whatever is in it.
func TestRoundTrip(t *testing.T) {
	text := rapid.String()
	rapid.Check(t, func(t *rapid.T) {
		e := domain.SalesSold{
			Order:    text.Draw(t, "order"),
			Total:    decimal.New(rapid.Int64().Draw(t, "total"), rapid.Int32Range(-18, 18).Draw(t, "exponent")),
			Currency: domain.NormalCurrency(text.Draw(t, "currency")),
			Lines:    []domain.SaleLine{{Name: text.Draw(t, "name"), Price: decimal.New(rapid.Int64().Draw(t, "price"), -4)}},
			Buyer:    domain.Buyer{Name: domain.Personal(text.Draw(t, "buyer")), Email: domain.Personal(text.Draw(t, "email"))},
		}
		data, personal, err := domain.Encode(e)
		if domain.CodeOf(err) == domain.Invalid {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := domain.Decode(e.Kind(), data, personal)
		if err != nil {
			t.Fatalf("Decode of %s, %s: %v", data, personal, err)
		}
		data2, personal2, err := domain.Encode(decoded)
		if err != nil || !bytes.Equal(data, data2) || !bytes.Equal(personal, personal2) {
			t.Fatalf("Encode(Decode):\n got %s %s (%v)\nwant %s %s", data2, personal2, err, data, personal)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data, personal := load(b, "sales.sold.v1")
	for b.Loop() {
		if _, err := domain.Decode("sales.sold.v1", data, personal); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNoneIsSaid checks that a list of nothing is told apart from nothing said.
func TestNoneIsSaid(t *testing.T) {
	const start = `{"person_type":"candidate","person":"1"`
	for data, want := range map[string][]string{
		start + `}`:                              nil,
		start + `,"roles":[],"groups":[]}`:       {},
		start + `,"roles":["7"],"groups":["7"]}`: {"7"},
	} {
		e, err := domain.Decode("directory.person-seen.v1", []byte(data), nil)
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		p := e.(domain.DirectoryPersonSeen)
		if !reflect.DeepEqual(p.Roles, want) || !reflect.DeepEqual(p.Groups, want) {
			t.Errorf("%s: roles %#v, groups %#v; want %#v", data, p.Roles, p.Groups, want)
		}
		again, _, err := domain.Encode(domain.DirectoryPersonSeen{PersonType: domain.PersonCandidate, Person: "1", Roles: want, Groups: want})
		if err != nil || string(again) != data {
			t.Errorf("%#v: %s, %v; want %s", want, again, err, data)
		}
	}
}
