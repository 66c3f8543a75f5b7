package payload_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/domain/payload"
)

func TestOverlay(t *testing.T) {
	doc, _, err := payload.DecodeJSON([]byte(`{"a":{"x":1,"none":"null","list":[{"p":1},{"q":2},3]},"b":[{"y":2}],"text":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	over := payload.Overlay{
		"a/x":        {"/b/0/y"},                // is there
		"a/none":     {"/nowhere", "/b/0/y"},    // says null
		"c/d":        {"/a/x", "/b/0/y"},        // below what is not there
		"e":          {"/c/d"},                  // filled before
		"text/below": {"/a/x"},                  // a text is in the way
		"a/list/*/p": {"/q"},                    // seen from each element
		"b/*":        {"/y"},                    // an element is there
		"f/*/g":      {"/a/x"},                  // no list
		"h":          {"/nowhere", "/a/list/7"}, // nowhere
		"i":          {"/a/list/1"},             // an element of a list
	}
	got := over.Over(doc)
	for _, tt := range []struct{ pointer, text, path string }{
		{"/a/x", "1", "a/x"},
		{"/a/none", "2", "b/0/y"},
		{"/c/d", "1", "a/x"},
		{"/e", "1", "a/x"},
		{"/text", "t", "text"},
		{"/a/list/0/p", "1", "a/list/0/p"},
		{"/a/list/1/p", "2", "a/list/1/q"},
		{"/a/list/2", "3", "a/list/2"},
		{"/b/0/y", "2", "b/0/y"},
		{"/f", "", "f"},
		{"/h", "", "h"},
		{"/i/q", "2", "a/list/1/q"},
	} {
		var r payload.Reader
		v := got.At(tt.pointer)
		if text := r.Text(v); text != tt.text || v.Path() != tt.path || r.Err() != nil {
			t.Errorf("%s: %q at %s, %v; want %q at %s", tt.pointer, text, v.Path(), r.Err(), tt.text, tt.path)
		}
	}
	var r payload.Reader
	if below := got.At("/text/below"); !below.Exists() || below.Path() != "text/below" {
		t.Errorf("below a text there is %v", below)
	}
	if doc.Get("e").Exists() || doc.Get("c").Exists() || r.Text(doc.Get("a", "none")) != "null" {
		t.Error("the document was changed")
	}
	if empty := over.Over(payload.Value{}); empty.Exists() {
		t.Errorf("something of nothing: %v", empty.Names())
	}
}
