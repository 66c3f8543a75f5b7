package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
)

// asJSON returns v as JSON, members sorted.
func asJSON(t testing.TB, v Value) string {
	t.Helper()
	text, err := json.Marshal(v.node)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDecodeXML(t *testing.T) {
	const xsi = `xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
	for _, tt := range []struct {
		name, body, want string
		flags            []string
	}{
		{"object", `<any><a>1</a><b>x y</b></any>`, `{"a":"1","b":"x y"}`, nil},
		{"declaration", "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<any><a>1</a></any>\n", `{"a":"1"}`, nil},
		{"ASCII is UTF-8", `<?xml version="1.0" encoding="US-ASCII"?><any>a</any>`, `"a"`, nil},
		{"byte order mark", "\uFEFF<any><a>1</a></any>", `{"a":"1"}`, []string{FlagByteOrderMark}},
		{"text keeps its spaces", "<r><a> 1\r\n</a></r>", `{"a":" 1\n"}`, nil},
		{"nothing is null", "<r><a/><b></b><c> \n </c><d><!-- - --></d><e><![CDATA[]]></e></r>", `{"a":null,"b":null,"c":null,"d":null,"e":null}`, nil},
		{"entities", `<r>&lt;&amp;&#x20AC;&#8364;&quot;&apos;&gt;</r>`, `"\u003c\u0026€€\"'\u003e"`, nil},
		{"CDATA", `<r><a>x<![CDATA[<b>&amp;</b>]]></a></r>`, `{"a":"x\u003cb\u003e\u0026amp;\u003c/b\u003e"}`, nil},
		{"comments and instructions are passed over", `<?a b?><!-- c --><r><?php echo "x"?><a>1<!-- d -->2</a></r><!-- e --><?f?>`, `{"a":"12"}`, nil},
		{"Latin-1 that says nothing", "<r><a>Tom\xe1s</a></r>", "{\"a\":\"Tom\uFFFDs\"}", []string{FlagInvalidUTF8}},

		{"items", `<r><groups><item>1</item><item>2</item></groups></r>`, `{"groups":["1","2"]}`, nil},
		{"one item", `<r><groups><item><id>1</id></item></groups></r>`, `{"groups":[{"id":"1"}]}`, nil},
		{"one item that is nothing", `<r><groups><item/></groups></r>`, `{"groups":[null]}`, nil},
		{"no items", `<r><groups/></r>`, `{"groups":null}`, nil},
		{"one of the parent's singular", `<r><courses><course>1</course></courses><classes><class>2</class></classes><Categories><Category>3</Category></Categories></r>`, `{"Categories":["3"],"classes":["2"],"courses":["1"]}`, nil},
		{"one of another name", `<r><courses><lesson>1</lesson></courses></r>`, `{"courses":{"lesson":"1"}}`, nil},
		{"several of another name", `<r><courses><lesson>1</lesson><lesson>2</lesson></courses></r>`, `{"courses":["1","2"]}`, nil},
		{"items and others", `<r><groups><item>1</item><count>1</count></groups></r>`, `{"groups":{"count":"1","item":"1"}}`, nil},
		{"the root is a list", `<courses><course>1</course></courses>`, `["1"]`, nil},
		{"list of lists", `<r><a><item><item>1</item></item><item><item>2</item></item></a></r>`, `{"a":[["1"],["2"]]}`, nil},
		{"a member twice", `<r><a>1</a><b>2</b><a>3</a></r>`, `{"a":"3","b":"2"}`, []string{FlagDuplicateMember}},
		{"a member twice, null last", `<r><a>1</a><b>2</b><a/></r>`, `{"a":null,"b":"2"}`, []string{FlagDuplicateMember}},

		{"nil", `<r ` + xsi + `><a xsi:nil="true"/><b xsi:nil="1"></b><c xsi:nil="false">x</c></r>`, `{"a":null,"b":null,"c":"x"}`, nil},
		{"nil by another prefix", `<r xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><a i:nil="true"/></r>`, `{"a":null}`, nil},
		{"nil by a prefix nobody declared", `<r><a xsi:nil="true"/><b>1</b></r>`, `{"a":null,"b":"1"}`, nil},
		{"nil with something in it", `<r ` + xsi + `><a xsi:nil="true">x</a><b xsi:nil="true"><c/></b></r>`, `{"a":null,"b":null}`, []string{FlagNilContent}},
		{"prefixes", `<b:r xmlns:b="urn:b" xmlns="urn:d"><b:a>1</b:a><c:d>2</c:d></b:r>`, `{"a":"1","d":"2"}`, nil},
		{"attributes", `<r a="1"><b c="2" xml:lang="en">3</b></r>`, `{"b":"3"}`, []string{FlagAttributes}},
		{"only attributes", `<r id="1"/>`, `null`, []string{FlagAttributes}},
		{"text beside elements", `<r>one <b>two</b> three</r>`, `{"b":"two"}`, []string{FlagMixedContent}},
		{"everything at once", "\uFEFF<r a=\"\xff\">x<b/><c/><b/></r>", `{"b":null,"c":null}`, []string{FlagAttributes, FlagByteOrderMark, FlagDuplicateMember, FlagInvalidUTF8, FlagMixedContent}},
		{"as deep as allowed", strings.Repeat("<a>", MaxDepth+1) + "1" + strings.Repeat("</a>", MaxDepth+1), strings.Repeat(`{"a":`, MaxDepth) + `"1"` + strings.Repeat("}", MaxDepth), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, flags, err := DecodeXML([]byte(tt.body))
			if err != nil || !slices.Equal(flags, tt.flags) {
				t.Fatalf("flags %q, error %v; want flags %q", flags, err, tt.flags)
			}
			if got := asJSON(t, v); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

const billionLaughs = `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><lolz>&lol2;</lolz>`

func TestDecodeXMLRefuses(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"empty", "", "is empty"},
		{"white space", "\uFEFF \n", "is empty"},
		{"only a declaration", `<?xml version="1.0"?>`, "is empty"},
		{"JSON", `{"a":1}`, "is not XML: text outside the document"},
		{"document type", `<!DOCTYPE r><r/>`, "has a document type, which is never read"},
		{"document type of its own entities", billionLaughs, "has a document type, which is never read"},
		{"document type in the document", `<r><!DOCTYPE r></r>`, "has a document type, which is never read"},
		{"document type behind it", `<r/><!DOCTYPE r>`, "has a document type, which is never read"},
		{"document type that does not end", `<!DOCTYPE r [`, "is not XML: it ends early on line 1"},
		{"entity that nobody declared", `<r>&nbsp;</r>`, "is not XML: an entity that XML does not define on line 1"},
		{"ampersand", `<r>Q & A</r>`, "is not XML: an entity that XML does not define"},
		{"encoding", `<?xml version="1.0" encoding="ISO-8859-1"?><r/>`, "is in another encoding; only UTF-8 is read"},
		{"XML 1.1", `<?xml version="1.1"?><r/>`, "is not XML"},
		{"UTF-16", "\xff\xfe<\x00r\x00/\x00>\x00", "is not XML: "},
		{"ends early", `<r><a>1</a>`, "is not XML: it ends early on line 1"},
		{"ends in a tag", `<r><a`, "is not XML: it ends early on line 1"},
		{"closed by another", `<r><a></b></r>`, "is not XML: an element ends under another name on line 1"},
		{"attribute without quotes", `<r a=1/>`, "is not XML: an attribute without a value"},
		{"control character", "<r>\x01</r>", "is not XML: a character that XML does not have"},
		{"control character by number", `<r>&#0;</r>`, "is not XML: a character that XML does not have"},
		{"second document", `<r/><r/>`, "goes on after the document"},
		{"text behind it", `<r/>x`, "is not XML: text outside the document"},
		{"deep", strings.Repeat("<a>", MaxDepth+2), "is nested deeper than 64"},
		{"very deep", strings.Repeat("<a>", 300_000), "is nested deeper than 64"},
		{"many elements", "<r>" + strings.Repeat("<a/>", maxElements) + "</r>", "has more than 50000 elements"},
		{"many attributes", "<r" + strings.Repeat(" a=''", maxElements) + "/>", "has more than 50000 elements"},
		{"long name", "<" + strings.Repeat("a", 1000) + "></b>", "is not XML: an element ends under another name on line 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, _, err := DecodeXML([]byte(tt.body))
			field, _ := errors.AsType[*domain.FieldError](err)
			if field == nil || field.Field != "body" || !strings.HasPrefix(field.Reason, tt.want) || !IsLabel(field.Reason) {
				t.Errorf("%v, want: body %s", err, tt.want)
			}
			if v.Exists() {
				t.Errorf("%s beside the error", asJSON(t, v))
			}
		})
	}
}

// trees are documents that both JSON and XML can hold: no empty lists, objects or
// texts, no blank text, and texts only.
func trees(depth int) *rapid.Generator[any] {
	name := rapid.SampledFrom([]string{"id", "name", "items", "user", "courses", "course_id", "class"})
	return rapid.Custom(func(t *rapid.T) any {
		switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
		case kind == 0 || depth == 0:
			return rapid.SampledFrom([]string{"1", " x ", "a\nb", "<&>\"'", "]]>", "Zoë", "true", "null"}).Draw(t, "text")
		case kind == 1:
			return rapid.SliceOfN(trees(depth-1), 1, 3).Draw(t, "list")
		case kind == 2:
			return nil
		}
		return object(rapid.MapOfN(name, trees(depth-1), 2, 4).Draw(t, "object"))
	})
}

// asXML writes a tree as the fixtures assume that BrainCert does: a list is an
// element whose children are named item, null is an empty element.
func asXML(b *strings.Builder, name string, node any) {
	fmt.Fprintf(b, "<%s>", name)
	switch n := node.(type) {
	case string:
		fmt.Fprint(b, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(n))
	case []any:
		for _, e := range n {
			asXML(b, "item", e)
		}
	case object:
		for _, m := range (Value{node: n}).Names() {
			asXML(b, m, n[m])
		}
	}
	fmt.Fprintf(b, "</%s>", name)
}

// TestXMLAsJSON: the same tree, whichever way it was sent.
func TestXMLAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := trees(4).Draw(t, "tree")
		var b strings.Builder
		asXML(&b, "webhook", tree)
		v, flags, err := DecodeXML([]byte(b.String()))
		if err != nil || flags != nil || !reflect.DeepEqual(v.node, tree) {
			t.Fatalf("%s\n%#v, %q, %v; want %#v", b.String(), v.node, flags, err, tree)
		}
	})
}

// walk visits every value and returns how deep they are nested.
func walk(t *testing.T, v Value) (depth int) {
	for _, e := range v.List() {
		depth = max(depth, 1+walk(t, e))
	}
	for _, name := range v.Names() {
		depth = max(depth, 1+walk(t, v.Get(name)))
	}
	if v.IsList() && len(v.List()) == 0 || v.IsObject() && len(v.Names()) == 0 {
		t.Errorf("%s is empty and not null", v.Path())
	}
	return depth
}

func FuzzDecodeXML(f *testing.F) {
	files, err := filepath.Glob("../../adapters/samples/data/*/*.xml")
	if err != nil || len(files) < 4 {
		f.Fatalf("%d sample files, %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, seed := range []string{
		billionLaughs, strings.Repeat("<a>", 70), "<a", "<a><![CDATA[", "<a><!--", "<?xml", "<a b='1' c=\"2\"/>", "<a>&#xD800;&#x110000;</a>",
		`<a xmlns:xsi="x" xsi:nil="true"/>`, "\uFEFF<x:a xmlns:x='u'><x:b/></x:a>", "<r><items><item/></items>x</r>", "<a>\xff</a>", "<a:b:c/>", "<a></a></a>",
		`<?xml version="1.0" encoding="UTF-7"?><a/>`, `<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>`, "<a xmlns=''><b xmlns=\"\"/></a>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, flags, err := DecodeXML(body)
		again, flagsAgain, errAgain := DecodeXML(body)
		if !reflect.DeepEqual(v, again) || !slices.Equal(flags, flagsAgain) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("%v, %q, %v and then %v, %q, %v", v, flags, err, again, flagsAgain, errAgain)
		}
		if err != nil {
			if field, ok := errors.AsType[*domain.FieldError](err); !ok || !IsLabel(field.Reason) {
				t.Errorf("%#v cannot be recorded", err)
			}
			return
		}
		if depth := walk(t, v); depth > MaxDepth {
			t.Errorf("nested %d deep", depth)
		}
	})
}
