package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// documents are where the comparison with the standard library begins.
var documents = []string{
	`{"id":"20260301091756020665195","payload":{"n":[1,-0.5e+7,true,false,null,{}],"t":"Zo\u00eb \"x\" \\ \/ \ud83d\ude00","u":"Zoë"}}`,
	`{"a":1,"a":{"b":[]},"":"\ud800"}`, "[\"\xff\",{\"\xe1\":1}]", " [ 1 , 2 ] ", `"x"`, `-0`, `1e5`, `null`, `[[[[]]]]`,
	`007`, `1.`, `-`, `1e`, `tru`, `{"a"`, `{"a":`, `{"a":1,`, `[1,]`, `{} {}`, `"\x"`, `"\u12"`, "\"\x00\"", `"\`, "\"\x1f",
}

// sameAsStandard checks that body is taken or refused as the standard library
// does it, and means the same.
func sameAsStandard(t interface{ Errorf(string, ...any) }, body []byte) {
	v, _, err := DecodeJSON(body)
	if err != nil && strings.Contains(err.Error(), "nested deeper") {
		return
	}
	var want any
	dec := json.NewDecoder(bytes.NewReader(TrimByteOrderMark(body)))
	dec.UseNumber()
	wrong := dec.Decode(&want)
	if wrong == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			wrong = errors.New("goes on")
		}
	}
	if (err == nil) != (wrong == nil) {
		t.Errorf("%q: %v, the standard library says: %v", body, err, wrong)
	}
	if err == nil && !reflect.DeepEqual(plain(v.node), want) {
		t.Errorf("%q: %#v, want %#v", body, v.node, want)
	}
}

// plain returns a node as the standard library types it.
func plain(node any) any {
	switch n := node.(type) {
	case object:
		m := make(map[string]any, len(n))
		for name, v := range n {
			m[name] = plain(v)
		}
		return m
	case []any:
		l := make([]any, len(n))
		for i, v := range n {
			l[i] = plain(v)
		}
		return l
	}
	return node
}

// TestDecodeAsStandard mangles documents: cut, changed and joined bytes.
func TestDecodeAsStandard(t *testing.T) {
	for _, d := range documents {
		sameAsStandard(t, []byte(d))
	}
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(rapid.SampledFrom(documents).Draw(t, "document"))
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			at := rapid.IntRange(0, len(body)).Draw(t, "at")
			upTo := min(len(body), at+rapid.IntRange(0, 3).Draw(t, "cut"))
			with := rapid.SampledFrom([]string{"", "0", "-", ".", "e", "+", `"`, `\`, "u", ",", ":", "{", "}", "[", "]", " ", "\n", "\x00", "\xff", "ë", "true"}).Draw(t, "with")
			body = append(append(append([]byte{}, body[:at]...), with...), body[upTo:]...)
		}
		sameAsStandard(t, body)
	})
}

func FuzzDecodeAsStandard(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameAsStandard(t, body) })
}

func BenchmarkDecodeJSON(b *testing.B) {
	body := []byte(documents[0])
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := DecodeJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}
