package tahdah_test

import (
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
)

// TestLists checks that every owner's members are listed, one after the other.
func TestLists(t *testing.T) {
	l := tahdah.Lists{Owners: []string{"4388", "a/b"}}
	for page, want := range map[int64]string{1: "api/trustgroups/legalentities/4388/legalentities", 2: "api/trustgroups/legalentities/a%2Fb/legalentities"} {
		q, err := l.List("members", page, time.Time{})
		if err != nil || q.Path != want || len(q.Values) > 0 {
			t.Errorf("%d: %+v, %v", page, q, err)
		}
		p, err := l.Split("members", page, []byte(`[{"id":1,"legalEntityId":7}]`))
		if err != nil || p.Next != map[int64]int64{1: 2, 2: 0}[page] || p.Rows[0].ID != "7" {
			t.Errorf("%d: %+v, %v", page, p, err)
		}
	}
	for _, l := range []tahdah.Lists{{}, l} {
		if _, err := l.List("members", 3, time.Time{}); domain.CodeOf(err) != domain.Usage {
			t.Error(err)
		}
	}
	if _, err := l.Split("members", 1, []byte(`{"a":[{}],"b":[{}]}`)); domain.CodeOf(err) != domain.Invalid {
		t.Error(err)
	}
}
