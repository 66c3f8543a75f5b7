package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// wireExamples are the two parts of the example of every kind.
func wireExamples(t testing.TB) map[Kind][2][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) != len(kinds) {
		t.Fatalf("%d examples for %d kinds, %v", len(files), len(kinds), err)
	}
	all := make(map[Kind][2][]byte)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var parts struct{ Data, Personal json.RawMessage }
		if err := json.Unmarshal(text, &parts); err != nil {
			t.Fatal(err)
		}
		if string(parts.Personal) == "null" {
			parts.Personal = nil
		}
		all[Kind(strings.TrimSuffix(filepath.Base(file), ".json"))] = [2][]byte{parts.Data, parts.Personal}
	}
	return all
}

// agree checks that what is read in the short way is what the long way decodes,
// and reports whether it was read.
func agree(t rapid.TB, k Kind, data, personal []byte) bool {
	t.Helper()
	c := kinds[k]
	short, ok := c.read(data, personal)
	if !ok {
		return false
	}
	long, err := c.decodeStrictly(k, data, personal)
	if err != nil {
		if short.Validate() == nil {
			t.Fatalf("%s: read %s %s, which %v", k, data, personal, err)
		}
		return true
	}
	if !reflect.DeepEqual(short, long) {
		t.Fatalf("%s: %s %s\nread    %#v\ndecoded %#v", k, data, personal, short, long)
	}
	return true
}

// TestWireReadsExamples: the short way is taken for every kind, with and without
// its personal part, unless a text has an escape.
func TestWireReadsExamples(t *testing.T) {
	for k, parts := range wireExamples(t) {
		for _, personal := range [][]byte{parts[1], nil} {
			escaped := bytes.Contains(parts[0], []byte(`\`)) || bytes.Contains(personal, []byte(`\`))
			if agree(t, k, parts[0], personal) == escaped {
				t.Errorf("%s: %s %s: want it read in the short way: %t", k, parts[0], personal, !escaped)
			}
		}
	}
}

// TestWireReadsEvents draws events of every kind, with every field set or left
// out: whatever Encode writes is read as the long way decodes it.
func TestWireReadsEvents(t *testing.T) {
	examples, read := wireExamples(t), 0
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(Kinds()).Draw(t, "kind")
		example, err := kinds[k].decode(examples[k][0], nil)
		if err != nil {
			t.Fatal(err)
		}
		v := reflect.New(reflect.TypeOf(example)).Elem()
		drawValue(t, v)
		e := v.Interface().(Event)
		data, personal, err := kinds[k].encode(e, nil)
		if err != nil {
			t.Skip(err)
		}
		if agree(t, k, data, personal) {
			read++
		}
		// As it would be if somebody had written the file by hand.
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		piece := rapid.SampledFrom([]string{" ", ",", "0", `"`, "null", "{}", "[]", `\u0041`, "-", ".", "e1", "Z", "é", "\u2028", "\xff", "\x01"}).Draw(t, "piece")
		agree(t, k, []byte(string(data[:at])+piece+string(data[at:])), personal)
		agree(t, k, append(data[:at:at], data[at+1:]...), personal)
	})
	if read == 0 {
		t.Error("nothing was read in the short way")
	}
}

// TestWireMangled changes the examples at every place, in many ways.
func TestWireMangled(t *testing.T) {
	pieces := []string{"", " ", ",", "0", "9", `"`, "null", "true", "false", `""`, "{}", "[]", `\n`, "-", ".", "é", "\u2028", "\xff", "\x00", `"person":"1",`}
	for k, parts := range wireExamples(t) {
		for part := range parts {
			text := parts[part]
			for at := range text {
				for _, piece := range pieces {
					for _, skip := range []int{0, 1, 2} {
						mangled := parts
						mangled[part] = []byte(string(text[:at]) + piece + string(text[min(at+skip, len(text)):]))
						agree(t, k, mangled[0], mangled[1])
					}
				}
			}
		}
	}
}

func TestWireNumbersAndTimes(t *testing.T) {
	for _, text := range []string{"0", "-0", "00", "01", "1", "-1", "1.", ".1", "1.0", "1.10", "0.1", "-0.0", "-0.5", "1e3", "+1", "", "-", "123456789012345678", "1234567890123456789", "0.000000000000000001", "1_0"} {
		data := fmt.Appendf(nil, `{"line":"1","template":"2","remaining":%q}`, text)
		agree(t, "credits.reported.v1", data, nil)
		data = fmt.Appendf(nil, `{"line":"1","template":"2","quantity":%q,"reason":"r","by":"b"}`, text)
		agree(t, "credits.adjusted.v1", data, nil)
	}
	for _, text := range []string{
		"2026-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2026-06-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.0Z", "2026-01-01T00:00:00.10Z", "2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+00:00", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999Z", "2026-01-01t00:00:00z", "2026-01-01 00:00:00Z", "2026-1-01T00:00:00Z",
	} {
		agree(t, "learning.completed.v1", fmt.Appendf(nil, `{"person":"1","subject_type":"course","subject":"2","completed_at":%q,"certificate":{"state":"none"}}`, text), nil)
		agree(t, "learning.enrolled.v1", fmt.Appendf(nil, `{"person":"1","subject_type":"course","subject":"2","enrolled_at":%q}`, text), nil)
	}
}

// drawValue sets v, and all it holds, to something or to nothing.
func drawValue(t *rapid.T, v reflect.Value) {
	if v.Kind() != reflect.Struct && rapid.IntRange(0, 3).Draw(t, "left out") == 0 {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *decimal.Decimal:
		*p = decimal.New(rapid.Int64().Draw(t, "digits"), rapid.Int32Range(-20, 3).Draw(t, "exponent"))
		return
	case *time.Time:
		*p = time.Unix(rapid.Int64Range(-70_000_000_000, 260_000_000_000).Draw(t, "seconds"), rapid.SampledFrom([]int64{0, 5e8, 1000, 1}).Draw(t, "nanos")).UTC()
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"a", "course", "<b>&", "é", "\u2028", "a\"b", "x\\y", "\n", "\x7f", "sealed.1.AbC-_", "日本"}).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(rapid.Int64Range(-1000, 1000).Draw(t, "int"))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		drawValue(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 3).Draw(t, "length"), 3))
		for i := range v.Len() {
			drawValue(t, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				drawValue(t, v.Field(i))
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, k := range []Kind{"learning.progressed.v1", "learning.completed.v1", "credits.reported.v1", "sales.sold.v1", "badges.reported.v1", "directory.person-seen.v1"} {
		parts := wireExamples(b)[k]
		b.Run(string(k), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(k, parts[0], parts[1]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(k)+"/strictly", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kinds[k].decodeStrictly(k, parts[0], parts[1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
