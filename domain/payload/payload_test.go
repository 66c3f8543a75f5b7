package payload_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

func TestDecodeJSON(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		flags      []string
	}{
		{"object", `{"a":1}`, nil},
		{"list", `[1,2]`, nil},
		{"text", `"a"`, nil},
		{"null", `null`, nil},
		{"white space around it", "\r\n\t {} \n", nil},
		{"byte order mark", "\uFEFF{}", []string{payload.FlagByteOrderMark}},
		{"member twice", `{"a":1,"a":2}`, []string{payload.FlagDuplicateMember}},
		{"member twice, null first", `{"a":null,"a":2}`, []string{payload.FlagDuplicateMember}},
		{"member twice, spelt differently", `{"a":1,"\u0061":2}`, []string{payload.FlagDuplicateMember}},
		{"same member of two objects", `[{"a":1},{"a":2}]`, nil},
		{"Latin-1", "{\"a\":\"Tom\xe1s\"}", []string{payload.FlagInvalidUTF8}},
		{"everything at once", "\uFEFF{\"a\":\"\xff\",\"a\":1}", []string{payload.FlagByteOrderMark, payload.FlagDuplicateMember, payload.FlagInvalidUTF8}},
		{"as deep as allowed", strings.Repeat("[", payload.MaxDepth) + "1" + strings.Repeat("]", payload.MaxDepth), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, flags, err := payload.DecodeJSON([]byte(tt.body))
			if err != nil || !slices.Equal(flags, tt.flags) {
				t.Errorf("flags %q, error %v; want flags %q", flags, err, tt.flags)
			}
		})
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	deep := payload.MaxDepth + 1
	for _, tt := range []struct{ name, body, want string }{
		{"empty", "", "body is empty"},
		{"white space", " \n", "body is empty"},
		{"only a byte order mark", "\uFEFF", "body is empty"},
		{"second byte order mark", "\uFEFF\uFEFF{}", "body is not JSON"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "body is not JSON"},
		{"XML", "<webhook/>", "body is not JSON"},
		{"form", "a=1&b=2", "body is not JSON"},
		{"ends in an object", `{"a":1`, "body ends early"},
		{"ends after a name", `{"a"`, "body ends early"},
		{"ends after a colon", `{"a":`, "body ends early"},
		{"ends in a list", `[1,`, "body ends early"},
		{"ends in a text", `{"a":"b`, "body ends early"},
		{"second document", `{}{}`, "body goes on after the document"},
		{"trailing bracket", `{}]`, "body goes on after the document"},
		{"trailing word", `{} x`, "body goes on after the document"},
		{"trailing NUL", "{}\x00", "body goes on after the document"},
		{"trailing comma", `{"a":1,}`, "body is not JSON"},
		{"trailing comma in a list", `[1,]`, "body is not JSON"},
		{"comma alone", `[,]`, "body is not JSON"},
		{"missing comma", `[1 2]`, "body is not JSON"},
		{"missing colon", `{"a" 1}`, "body is not JSON"},
		{"number as a name", `{1:2}`, "body is not JSON"},
		{"wrong bracket", `[1}`, "body is not JSON"},
		{"single quotes", `{'a':1}`, "body is not JSON"},
		{"comment", `{} // note`, "body goes on after the document"},
		{"NaN", `NaN`, "body is not JSON"},
		{"leading zero", `{"a":007}`, "body is not JSON"},
		{"newline in a text", "\"a\nb\"", "body is not JSON"},
		{"too deep", strings.Repeat("[", deep) + "1" + strings.Repeat("]", deep), "body is nested deeper than 64"},
		{"too deep, never closed", strings.Repeat(`{"a":`, 100_000), "body is nested deeper than 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, _, err := payload.DecodeJSON([]byte(tt.body))
			if _, ok := errors.AsType[*domain.FieldError](err); !ok || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want a FieldError %q", err, tt.want)
			}
			if v.Exists() {
				t.Error("a value beside the error")
			}
		})
	}
}

func TestDuplicateMemberLastCounts(t *testing.T) {
	if got := text(t, `{"a":"first","a":"last"}`, "a"); got != "last" {
		t.Errorf("got %q", got)
	}
}

func TestPlaces(t *testing.T) {
	doc := decode(t, `{"a":{"b":[{"c":"x"},null]},"d/e":{"~":1},"":2}`)
	for _, tt := range []struct {
		v      payload.Value
		path   string
		exists bool
	}{
		{doc, "body", true},
		{doc.Get("a", "b"), "a/b", true},
		{doc.Get("a", "x", "y"), "a/x/y", false},
		{doc.Get("a", "b").List()[0].Get("c"), "a/b/0/c", true},
		{doc.Get("a", "b").List()[1], "a/b/1", false},
		{doc.At("/a/b/0/c"), "a/b/0/c", true},
		{doc.At("/a/b/2"), "a/b/2", false},
		{doc.At("/a/b/-"), "a/b/-", false},
		{doc.At("/d~1e/~0"), "d/e/~", true},
		{doc.At(""), "body", true},
		{payload.Value{}.Get("a"), "a", false},
	} {
		if tt.v.Path() != tt.path || tt.v.Exists() != tt.exists {
			t.Errorf("%s exists: %v, want %s: %v", tt.v.Path(), tt.v.Exists(), tt.path, tt.exists)
		}
	}
	if got := doc.Names(); !slices.Equal(got, []string{"", "a", "d/e"}) {
		t.Errorf("Names = %q", got)
	}
	list := decode(t, `[[1],{"a":2}]`)
	for _, path := range []string{"0", "1", "1/a"} {
		if v := list.At("/" + path); v.Path() != path || !v.Exists() {
			t.Errorf("At in a list at the top: %q, want %q", v.Path(), path)
		}
	}
	if p := list.List()[0].List()[0].Path(); p != "0/0" {
		t.Errorf("List in a list at the top: %q", p)
	}
}

func TestID(t *testing.T) {
	for _, tt := range []struct{ body, want, wrong string }{
		{`{"a":20260310120000556677889}`, "20260310120000556677889", ""},
		{`{"a":"20260310120000556677889"}`, "20260310120000556677889", ""},
		{`{"a":9007199254740993}`, "9007199254740993", ""},
		{`{"a":" x-1 "}`, "x-1", ""},
		{`{"a":-7}`, "-7", ""},
		{`{"a":0}`, "0", ""},
		{`{}`, "", "a is missing"},
		{`{"a":null}`, "", "a is missing"},
		{`{"a":"  "}`, "", "a is missing"},
		{`{"a":7.0}`, "", "a is not an id"},
		{`{"a":1e3}`, "", "a is not an id"},
		{`{"a":true}`, "", "a is not an id"},
		{`{"a":["x"]}`, "", "a is not a text"},
		{`{"a":{"id":1}}`, "", "a is not a text"},
		{"{\"a\":\"7\xff\"}", "", "a is not an id"},
		{`{"a":"7\ud800"}`, "", "a is not an id"},
	} {
		var r payload.Reader
		got := r.ID(decode(t, tt.body).Get("a"))
		if tt.wrong != "" {
			refuses(t, tt.body, r.Err(), tt.wrong)
		} else if got != tt.want || r.Err() != nil {
			t.Errorf("%s: %q, %v; want %q", tt.body, got, r.Err(), tt.want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, tt := range []struct{ body, want, wrong string }{
		{`{"a":0}`, "0", ""},
		{`{"a":-0}`, "0", ""},
		{`{"a":0.1}`, "0.1", ""},
		{`{"a":0.30000000000000004}`, "0.30000000000000004", ""},
		{`{"a":"1180.00"}`, "1180", ""},
		{`{"a":" 12 "}`, "12", ""},
		{`{"a":-1.50}`, "-1.5", ""},
		{`{"a":1e3}`, "1000", ""},
		{`{"a":"1E+3"}`, "1000", ""},
		{`{"a":125e-2}`, "1.25", ""},
		{`{"a":99999999999999999999999999999999999999}`, "99999999999999999999999999999999999999", ""},
		{`{"a":0.000000000000000001}`, "0.000000000000000001", ""},
		{`{}`, "", "a is missing"},
		{`{"a":null}`, "", "a is missing"},
		{`{"a":""}`, "", "a is missing"},
		{`{"a":true}`, "", "a is not a plain number"},
		{`{"a":"1,180.00"}`, "", `a is not a plain number`},
		{`{"a":"1.180,00"}`, "", "a is"},
		{`{"a":"$5"}`, "", "a is"},
		{`{"a":"5 USD"}`, "", "a is"},
		{`{"a":"1 000"}`, "", "a is"},
		{`{"a":"+5"}`, "", "a is"},
		{`{"a":"--5"}`, "", "a is"},
		{`{"a":"007"}`, "", "a is"},
		{`{"a":"-01"}`, "", "a is"},
		{`{"a":".5"}`, "", "a is"},
		{`{"a":"5."}`, "", "a is"},
		{`{"a":"1e"}`, "", "a is"},
		{`{"a":"1e+-3"}`, "", "a is"},
		{`{"a":"1e3.5"}`, "", "a is"},
		{`{"a":"1_000"}`, "", "a is"},
		{`{"a":"0x10"}`, "", "a is"},
		{`{"a":"Inf"}`, "", "a is"},
		{`{"a":"NaN"}`, "", "a is"},
		{`{"a":"٣"}`, "", "a is"},
		{`{"a":"Price"}`, "", `a is not a plain number`},
		{`{"a":1e1000000}`, "", "a is"},
		{`{"a":1e9999}`, "", "a has more than 38 digits"},
		{`{"a":1e-9999}`, "", "a has more than 18 digits behind the point"},
		{`{"a":1e99999999999999999999}`, "", "a is"},
		{`{"a":1e-1000000}`, "", "a is"},
		{`{"a":999999999999999999999999999999999999999}`, "", "a has more than 38 digits"},
		{`{"a":0.1000000000000000001}`, "", "a has more than 18 digits behind the point"},
		{`{"a":` + strings.Repeat("9", 5000) + `}`, "", "a has more than 38 digits"},
		{`{"a":[1]}`, "", "a is not a text"},
	} {
		var r payload.Reader
		got := r.Decimal(decode(t, tt.body).Get("a"))
		if tt.wrong != "" {
			refuses(t, tt.body, r.Err(), tt.wrong)
		} else if got.String() != tt.want || r.Err() != nil {
			t.Errorf("%s: %s, %v; want %s", tt.body, got, r.Err(), tt.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z"},
		{"2026-03-10T12:00:00.924Z", "2026-03-10T12:00:00.924Z"},
		{"2026-03-10T12:00:00.123456789Z", "2026-03-10T12:00:00.123456Z"},
		{"2026-03-10T12:00:00+05:30", "2026-03-10T06:30:00Z"},
		{"2014-04-01 09:41:00 -0500", "2014-04-01T14:41:00Z"},
		{"2014-04-01 09:41:00 UTC", "2014-04-01T09:41:00Z"},
		{"2014-07-01 09:41:00 GMT", "2014-07-01T09:41:00Z"},
		{"2026-03-10T12:00:00.5", "2026-03-10T12:00:00.5Z"},
		{"2026-03-10 12:00:00", "2026-03-10T12:00:00Z"},
		{"2026-03-10", "2026-03-10T00:00:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z"},
		{"0001-01-01T00:00:00", "0001-01-01T00:00:00Z"},
		{"0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z"},
		{"0001-01-01T00:00:00.0000000Z", "0001-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"},
	} {
		got, err := payload.ParseTime(tt.text)
		if err != nil || got.Format(time.RFC3339Nano) != tt.want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %s", tt.text, got, err, tt.want)
		}
		if strings.HasPrefix(tt.text, "0001") && !got.IsZero() {
			t.Errorf("%s is not none", tt.text)
		}
	}
	for _, text := range []string{
		"yesterday", "10/03/2026", "03-10-2026", "2026-3-1", "2026-02-29", "2026-13-01", "2026-03-10T24:00:00Z",
		"2026-03-10T12:00Z", "1773144000", "2014-04-01 09:41:00 EST", "2014-04-01 09:41:00 CET",
		"0000-01-01T00:00:00Z", "0002-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00", "12026-03-10T12:00:00Z", "2026-03-10T12:00:00Zx", "null",
	} {
		if got, err := payload.ParseTime(text); err == nil {
			t.Errorf("%s was read as %v", text, got)
		}
	}
}

// TestParseTimeIsPure: what a delivery means must not depend on where it is read.
func TestParseTimeIsPure(t *testing.T) {
	local := time.Local
	defer func() { time.Local = local }()
	time.Local = time.FixedZone("UTC", 3*60*60) // a machine that calls its own zone UTC
	got, err := payload.ParseTime("2014-04-01 09:41:00 UTC")
	if err != nil || got.Format(time.RFC3339) != "2014-04-01T09:41:00Z" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestYes(t *testing.T) {
	for _, tt := range []struct {
		body      string
		yes, said bool
		wrong     bool
	}{
		{`true`, true, true, false},
		{`"Yes"`, true, true, false},
		{`1`, true, true, false},
		{`false`, false, true, false},
		{`" no "`, false, true, false},
		{`"0"`, false, true, false},
		{`null`, false, false, false},
		{`""`, false, false, false},
		{`"null"`, false, false, false},
		{`"no/yes"`, false, false, true},
		{`2`, false, false, true},
		{`[true]`, false, false, true},
	} {
		var r payload.Reader
		yes, said := r.Yes(decode(t, tt.body))
		if yes != tt.yes || said != tt.said || (r.Err() != nil) != tt.wrong {
			t.Errorf("%s: %v, %v, %v", tt.body, yes, said, r.Err())
		}
	}
}

func TestReaderKeepsTheFirstError(t *testing.T) {
	var r payload.Reader
	doc := decode(t, `{"b":"x"}`)
	r.ID(doc.Get("a"))
	r.Decimal(doc.Get("b"))
	refuses(t, "two errors", r.Err(), "a is missing")
}

func TestDateOnly(t *testing.T) {
	doc := decode(t, `["2026-03-10"," 2026-03-10 ","2026-03-10T00:00:00Z",20260310,null]`)
	for i, want := range []bool{true, true, false, false, false} {
		if got := doc.List()[i].DateOnly(); got != want {
			t.Errorf("%d: %v", i, got)
		}
	}
}

func TestKey(t *testing.T) {
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{[]string{"course", "created", "01EJ79"}, "course/created/01EJ79"},
		{[]string{"a/b", "c"}, "a%2Fb/c"},
		{[]string{"a", "b/c"}, "a/b%2Fc"},
		{[]string{"virtual classroom", "100%"}, "virtual%20classroom/100%25"},
		{[]string{"é\n\x00"}, "%C3%A9%0A%00"},
		{[]string{"", ""}, "/"},
	} {
		if got := payload.Key(tt.parts...); got != tt.want {
			t.Errorf("Key(%q) = %q, want %q", tt.parts, got, tt.want)
		}
	}
}

// TestKeyIsInjective is the law that deduplication rests on: different parts
// never make the same key.
func TestKeyIsInjective(t *testing.T) {
	part := rapid.OneOf(rapid.StringOfN(rapid.SampledFrom([]rune(`a/%2F`)), 0, 4, -1), rapid.String())
	parts := rapid.SliceOfN(part, 1, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		if (payload.Key(a...) == payload.Key(b...)) != slices.Equal(a, b) {
			t.Fatalf("Key(%q) = %q, Key(%q) = %q", a, payload.Key(a...), b, payload.Key(b...))
		}
	})
}

// FuzzDecodeJSON checks that whatever comes in is read or refused by name, and
// that every error a reader gives can be recorded.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{"a":{"b":[1,2.5,"x",true,null]}}`, "\uFEFF[]", `{"a":1,"a":2}`, "\"\xff\"", `"\ud800"`, `[[[[`,
		`{"t":"2014-04-01 09:41:00 -0500","n":"1,180.00","y":"no/yes","i":20260310120000556677889}`, `1e1000000`,
		`"` + strings.Repeat("\U0010ffff", 40) + `"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, flags, err := payload.DecodeJSON(body)
		if !slices.IsSorted(flags) {
			t.Errorf("flags %q are not sorted", flags)
		}
		if err != nil {
			recordable(t, err)
			return
		}
		walk(t, v, 0)
	})
}

func walk(t *testing.T, v payload.Value, depth int) {
	if depth > payload.MaxDepth {
		t.Fatalf("%s is nested deeper than allowed", v.Path())
	}
	for _, read := range []func(*payload.Reader){
		func(r *payload.Reader) { r.ID(v) },
		func(r *payload.Reader) {
			if d := r.OptionalDecimal(v); d != nil && r.Err() == nil && domain.CheckDecimal(*d) != nil {
				t.Errorf("%s: a number beyond the limits: %v", v.Path(), d)
			}
		},
		func(r *payload.Reader) {
			if at := r.Time(v); at.Location() != time.UTC || !at.IsZero() && (at.Year() < 2 || at.Year() > 9999) {
				t.Errorf("%s: %v", v.Path(), at)
			}
		},
		func(r *payload.Reader) { r.Yes(v) },
	} {
		var r payload.Reader
		if read(&r); r.Err() != nil {
			recordable(t, r.Err())
		}
	}
	for _, element := range v.List() {
		walk(t, element, depth+1)
	}
	for _, name := range v.Names() {
		walk(t, v.Get(name), depth+1)
	}
}

// recordable checks that err names a field and that its reason fits a
// quarantine event. A field's path is fit when the names in it are ours.
func recordable(t *testing.T, err error) {
	t.Helper()
	field, ok := errors.AsType[*domain.FieldError](err)
	if !ok || field.Field == "" {
		t.Fatalf("%v names no field", err)
	}
	if err := (domain.IntakeQuarantined{Reason: field.Reason}).Validate(); err != nil {
		t.Errorf("reason %q cannot be recorded: %v", field.Reason, err)
	}
}

func decode(t *testing.T, body string) payload.Value {
	t.Helper()
	v, _, err := payload.DecodeJSON([]byte(body))
	if err != nil {
		t.Fatalf("%.80s: %v", body, err)
	}
	return v
}

func text(t *testing.T, body string, names ...string) string {
	t.Helper()
	var r payload.Reader
	s := r.Text(decode(t, body).Get(names...))
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return s
}

func refuses(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%.80s: %v, want %q", what, fmt.Sprint(err), want)
	}
}
