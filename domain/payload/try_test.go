package payload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// TestTry says what each Try method reads and what it leaves out.
func TestTry(t *testing.T) {
	text := func(r *payload.Reader, v payload.Value) any { return r.TryText(v) }
	label := func(r *payload.Reader, v payload.Value) any { return r.TryLabel(v) }
	moment := func(r *payload.Reader, v payload.Value) any { return r.TryTime(v).Format(time.RFC3339Nano) }
	number := func(r *payload.Reader, v payload.Value) any { return r.TryDecimal(v).String() }
	yes := func(r *payload.Reader, v payload.Value) any { return r.TryYes(v) }
	until := func(r *payload.Reader, v payload.Value) any {
		return r.TryUntil(v).Format(time.RFC3339Nano)
	}
	const never = "0001-01-01T00:00:00Z"
	long := strings.Repeat("x", domain.MaxTextBytes)
	for name, tt := range map[string]struct {
		read func(*payload.Reader, payload.Value) any
		sent string
		want any
		odd  bool
	}{
		"text":                        {text, `" a\nb "`, " a\nb ", false},
		"text, a number":              {text, `1.50`, "1.50", false},
		"text, none":                  {text, `null`, "", false},
		"text, an object":             {text, `{}`, "", true},
		"text, as long as allowed":    {text, `"` + long + `"`, long, false},
		"text, too long":              {text, `"` + long + `x"`, "", true},
		"label":                       {label, `" a b "`, "a b", false},
		"label, none":                 {label, `null`, "", false},
		"label, a list":               {label, `["a"]`, "", true},
		"label, control character":    {label, `"a\nb"`, "", true},
		"label, as long as allowed":   {label, `"` + long[:domain.MaxIDBytes] + `"`, long[:domain.MaxIDBytes], false},
		"label, too long":             {label, `"` + long[:domain.MaxIDBytes+1] + `"`, "", true},
		"time":                        {moment, `"2026-03-10T12:00:00.5+01:00"`, "2026-03-10T11:00:00.5Z", false},
		"time, none":                  {moment, `""`, never, false},
		"time, a word":                {moment, `"soon"`, never, true},
		"number":                      {number, `"-1.50"`, "-1.5", false},
		"number, none":                {number, `null`, "0", false},
		"number with a separator":     {number, `"1,180.00"`, "0", true},
		"yes":                         {yes, `"Yes"`, true, false},
		"no":                          {yes, `false`, false, false},
		"yes, none":                   {yes, `null`, false, false},
		"yes, maybe":                  {yes, `"maybe"`, false, true},
		"until a date":                {until, `"2028-02-29"`, "2028-02-29T23:59:59.999999Z", false},
		"until a moment":              {until, `"2028-02-29T10:00:00Z"`, "2028-02-29T10:00:00Z", false},
		"until, none":                 {until, `null`, never, false},
		"until, none, as .NET has it": {until, `"0001-01-01"`, never, false},
		"until, no date":              {until, `"2027-02-29"`, never, true},
	} {
		t.Run(name, func(t *testing.T) {
			var r payload.Reader
			got := tt.read(&r, decode(t, `{"a":`+tt.sent+`}`).Get("a"))
			var flags []string
			if tt.odd {
				flags = []string{"odd-field:a"}
			}
			if got != tt.want || !slices.Equal(r.Flagged(), flags) || r.Err() != nil {
				t.Errorf("%.40v, flags %q, error %v; want %.40v, flags %q", got, r.Flagged(), r.Err(), tt.want, flags)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	for _, tt := range []struct {
		sent string
		want string
	}{
		{"2028-03-10", "2028-03-10T23:59:59.999999Z"},
		{" 2028-12-31 ", "2028-12-31T23:59:59.999999Z"},
		{"9999-12-31", "9999-12-31T23:59:59.999999Z"},
		{"2028-03-10T00:00:00Z", "2028-03-10T00:00:00Z"},
	} {
		var r payload.Reader
		got := r.Until(decode(t, `"`+tt.sent+`"`)).Format(time.RFC3339Nano)
		if got != tt.want || r.Err() != nil {
			t.Errorf("%s: %s, %v; want %s", tt.sent, got, r.Err(), tt.want)
		}
	}
	var r payload.Reader
	r.Until(decode(t, `{"a":"10/03/2028"}`).Get("a"))
	refuses(t, "no date", r.Err(), `a is not a date`)
}

func TestFlags(t *testing.T) {
	var r payload.Reader
	if r.Flagged() != nil {
		t.Errorf("flags of nothing: %q", r.Flagged())
	}
	r.Flag("b", "a")
	r.Flag("b")
	if got := r.Flagged(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("flags %q", got)
	}
}

// TestOddIsBounded: a delivery of which everything is odd does not name it all.
func TestOddIsBounded(t *testing.T) {
	var r payload.Reader
	r.Flag("a", "b")
	for i := range 100 {
		v := payload.Value{}.Get(fmt.Sprintf("x%02d", i))
		r.Odd(v)
		r.Odd(v)
	}
	got := r.Flagged()
	if len(got) != 2+8 || got[2] != "odd-field:x00" || got[9] != "odd-field:x07" {
		t.Errorf("flags %q", got)
	}
}

func TestElementsAndObject(t *testing.T) {
	for _, tt := range []struct{ body, list, object string }{
		{`{"a":[1,2]}`, "", "a is not an object"},
		{`{"a":[]}`, "", "a is not an object"},
		{`{"a":null}`, "", ""},
		{`{}`, "", ""},
		{`{"a":{"b":1}}`, "a is not a list", ""},
		{`{"a":""}`, "a is not a list", "a is not an object"},
		{`{"a":0}`, "a is not a list", "a is not an object"},
	} {
		v := decode(t, tt.body).Get("a")
		var list, object payload.Reader
		if got := list.Elements(v); len(got) != len(v.List()) {
			t.Errorf("%s: %d elements", tt.body, len(got))
		}
		if got := object.Object(v); got.Path() != "a" || got.Exists() != v.Exists() {
			t.Errorf("%s: another value %s", tt.body, got.Path())
		}
		if err := list.Err(); err != nil || tt.list != "" {
			refuses(t, tt.body, err, tt.list)
		}
		if err := object.Err(); err != nil || tt.object != "" {
			refuses(t, tt.body, err, tt.object)
		}
	}
}

func TestEmail(t *testing.T) {
	for sent, want := range map[string]domain.Personal{
		"grace@example.com":            "grace@example.com",
		" Grace@Example.com\n":         "Grace@Example.com",
		"":                             "",
		" ":                            "",
		"Grace <grace@example.com>":    "",
		"<grace@example.com>":          "",
		"grace":                        "",
		"grace@":                       "",
		"@example.com":                 "",
		"a@example.com, b@example.com": "",
		"[TEST] john@example.com":      "",
		"[email\u00a0protected]":       "",
		"g***e@example.com":            "",
		"grace@***.com":                "",
		"grace@localhost":              "",
		"grace@[127.0.0.1]":            "",
	} {
		var r payload.Reader
		got := r.Email(sent)
		flagged := slices.Equal(r.Flagged(), []string{payload.FlagBadEmail})
		if got != want || flagged != (want == "" && strings.TrimSpace(sent) != "") || r.Err() != nil {
			t.Errorf("%q: %q, flags %q, %v", sent, got, r.Flagged(), r.Err())
		}
	}
}

func TestParseUnix(t *testing.T) {
	for text, want := range map[string]string{
		"1773565200": "2026-03-15T09:00:00Z",
		"1":          "1970-01-01T00:00:01Z",
		"7258118399": "2199-12-31T23:59:59Z",
	} {
		if got, ok := payload.ParseUnix(text); !ok || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "7258118400", "1773565200000", "1773565200.5", "1e9", " 1773565200", "true", "now", "99999999999999999999"} {
		if got, ok := payload.ParseUnix(text); ok || !got.IsZero() {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// TestLabel is the law that topics and attributes rest on: what Label
// returns can be recorded, and what could be recorded before is not changed.
func TestLabel(t *testing.T) {
	odd := rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune("é\x00\n\u0085a")), 0, 400, -1),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	recordable := func(s string) bool {
		return domain.IntakeUnrecognized{Topic: s, Reason: "-"}.Validate() == nil
	}
	rapid.Check(t, func(t *rapid.T) {
		s := odd.Draw(t, "s")
		fit := domain.Label(s)
		if !recordable(fit) {
			t.Fatalf("%q cannot be recorded", fit)
		}
		if payload.IsLabel(s) != recordable(s) || payload.IsLabel(s) != (s == fit) {
			t.Fatalf("%q is a label: %v; recorded: %v; fitted: %q", s, payload.IsLabel(s), recordable(s), fit)
		}
	})
	if got := domain.Label("a\n\xffb" + strings.Repeat("é", 200)); got != "a\uFFFDb"+strings.Repeat("é", 125) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}
