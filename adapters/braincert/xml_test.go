package braincert_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/adapters/intake/intaketest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// TestXMLTwins: a sample in XML says what its twin in JSON says, event by event,
// under the same key.
func TestXMLTwins(t *testing.T) {
	p := provider(t)
	all, err := samples.Webhooks("braincert")
	if err != nil {
		t.Fatal(err)
	}
	twins := 0
	for _, s := range all {
		name, ok := strings.CutSuffix(s.File, ".ASSUMED.xml")
		if !ok {
			continue
		}
		twins++
		fromXML, err := p.Translate(domain.Request{Header: s.Header, Body: s.Body})
		if err != nil || len(fromXML.Facts) != 1 {
			t.Fatalf("%s: %d facts, %v", s.File, len(fromXML.Facts), err)
		}
		twin := sample(t, name+".json")
		fromJSON, err := p.Translate(domain.Request{Header: twin.Header, Body: twin.Body})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(fromXML, fromJSON) {
			t.Errorf("%s: %+v\n%s: %+v", s.File, fromXML, twin.File, fromJSON)
		}
	}
	if twins != 3 {
		t.Errorf("%d twins, want 3", twins)
	}
}

// TestEverySampleAsXML writes each sample in JSON as XML, in several ways that
// serializers have, and wants the same of it.
func TestEverySampleAsXML(t *testing.T) {
	p := provider(t)
	all, err := samples.Webhooks("braincert")
	if err != nil {
		t.Fatal(err)
	}
	for _, style := range []struct {
		name string
		xmlStyle
	}{
		{"as assumed", xmlStyle{root: "webhook"}},
		{"lists of singulars", xmlStyle{root: "data", singular: true}},
		{"nil is said", xmlStyle{root: "webhook", null: ` xsi:nil="true"`}},
		{"prefixed", xmlStyle{root: "soap:Body", prefix: "b:", null: ` xsi:nil="1"`, singular: true}},
		{"in lines", xmlStyle{root: "webhook", space: "\n\t"}},
	} {
		t.Run(style.name, func(t *testing.T) {
			for _, s := range all {
				var doc any
				dec := json.NewDecoder(bytes.NewReader(s.Body))
				dec.UseNumber()
				if !strings.HasSuffix(s.File, ".json") || dec.Decode(&doc) != nil {
					continue
				}
				var b strings.Builder
				b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
				style.write(&b, style.root, doc)
				r := domain.Request{Header: http.Header{"Content-Type": {"application/xml"}}, Body: []byte(b.String())}
				got := intaketest.Describe(p.Translate(r))
				want := intaketest.Describe(p.Translate(domain.Request{Header: s.Header, Body: s.Body}))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-JSON +XML):\n%s\n%s", s.File, diff, r.Body)
				}
			}
		})
	}
}

// An xmlStyle is a way to write a document.
type xmlStyle struct {
	root, prefix, null, space string
	singular                  bool // elements of a list have the singular of its name, not "item"
}

func (s xmlStyle) write(b *strings.Builder, name string, node any) {
	start := s.prefix + name
	if name == s.root {
		start = name
	}
	if node == nil {
		b.WriteString("<" + start + s.null + "/>")
		return
	}
	b.WriteString("<" + start + ">")
	switch n := node.(type) {
	case []any:
		element := "item"
		if s.singular {
			element = strings.TrimSuffix(name, "s")
		}
		for _, e := range n {
			b.WriteString(s.space)
			s.write(b, element, e)
		}
		b.WriteString(s.space)
	case map[string]any:
		for _, m := range slices.Sorted(maps.Keys(n)) {
			b.WriteString(s.space)
			s.write(b, m, n[m])
		}
		b.WriteString(s.space)
	default:
		if err := xml.EscapeText(b, []byte(fmt.Sprint(n))); err != nil {
			panic(err) // a builder takes everything
		}
	}
	b.WriteString("</" + start + ">")
}
