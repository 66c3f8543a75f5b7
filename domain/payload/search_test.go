package payload_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/domain/payload"
)

func TestSearch(t *testing.T) {
	s := payload.NewSearch([]string{"Amina.Yusuf@example.com"}, []string{"Amina  Yusuf", "Bo", "Özlem"})
	for _, tt := range []struct {
		body            string
		byEmail, byName bool
	}{
		{`{"a":1}`, false, false},
		{`{"a":["x AMINA.yusuf@EXAMPLE.com."]}`, true, false},
		{`{"a":"amina.yusuf\u0040example.com"}`, true, false},
		{`{"amina.yusuf@example.com":1}`, true, false},
		{`{"a":{"b":"Exam of amina yusuf, again"}}`, false, true},
		{`{"user":{"last_name":"Yusuf","id":7,"first_name":" Amina "}}`, false, true},
		{`{"a":{"first_name":"Amina"},"b":{"last_name":"Yusuf"}}`, false, false}, // two people
		{`{"name":"Bo"}`, false, false},                                          // too short to be anybody
		{`{"name":"\u00d6zlem"}`, false, true},
		{`<r><u><first>Amina</first><last>Yusuf</last></u><m>amina.yusuf@example.com</m></r>`, true, true},
		{"From: Amina Yusuf <amina.yusuf@example.com>\xff", true, true},
		{`{"a":"samina.yusuf@example.com"}`, false, false}, // somebody else's
		{`{"a":"x-amina.yusuf@example.com"}`, false, false},
		{`{"a":"amina.yusuf@example.com.au, amina.yusuf@example.community"}`, false, false},
		{`{"a":"samina.yusuf@example.com or amina.yusuf@example.com..."}`, true, false},
		{`{"a":"'amina.yusuf@example.com'/mailto:amina.yusuf@example.com?x"}`, true, false},
		{`{"a":"-amina.yusuf@example.com-"}`, true, false},
		{`q=1%20amina.yusuf@example.com`, true, false},
		{`a cut {"a":"\namina.yusuf@example.com\n`, true, false},
		{"", false, false},
	} {
		if byEmail, byName := s.Find([]byte(tt.body)); byEmail != tt.byEmail || byName != tt.byName {
			t.Errorf("%s: e-mail %v, name %v", tt.body, byEmail, byName)
		}
	}
	if !payload.NewSearch([]string{" "}, []string{"", "Al"}).Empty() {
		t.Error("nothing is looked for, and it is not empty")
	}
}
