package braincert_test

import (
	"reflect"
	"strings"
	"testing"

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
