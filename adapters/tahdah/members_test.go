package tahdah_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
)

func TestMemberVerbs(t *testing.T) {
	const body = `{"trustGroupId":8,"legalEntityId":1,"status":"Active"}`
	for verb, want := range map[string]bool{
		"trustGroups.memberUpdated":    true,
		"trustGroup.member.updated":    true,
		"TrustGroups / Member Updated": true,
		"trust-group-members_ADDED":    true,
		"members.updated":              true,
		"trustGroups.updated":          false,
		"candidates.memberUpdated":     false,
	} {
		tr, err := provider(t, tahdah.Config{}).Translate(request(verb, body))
		if err != nil {
			t.Errorf("%s: %v", verb, err)
		}
		if got := len(tr.Facts) == 1; got != want {
			t.Errorf("%s: read as a change of a member: %v, want %v", verb, got, want)
		}
	}
}

// TestMemberRepetition says what tells a repetition from a new change.
func TestMemberRepetition(t *testing.T) {
	p := provider(t, tahdah.Config{})
	translate := func(verb, body string) domain.Translation {
		t.Helper()
		tr, err := p.Translate(request(verb, body))
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}

	undated := translate("trustGroups.memberUpdated", `{"trustGroupId":8,"legalEntityId":1,"status":"Active","joinedAt":"2026-02-01"}`)
	if undated.Key != "" || len(undated.Scopes) != 1 || undated.Scopes[0] != "member/8/legal_entity/1" {
		t.Errorf("without a time of change: key %q, scopes %q", undated.Key, undated.Scopes)
	}

	active := translate("trustGroups.memberUpdated", `{"trustGroupId":8,"candidateId":1,"updatedAt":"2026-03-01T10:05:00Z","status":"Active"}`)
	if active.Key == "" || len(active.Scopes) != 1 { // the scope, so that an undated one after it is none before it
		t.Errorf("with a time of change: key %q, scopes %q", active.Key, active.Scopes)
	}
	other := translate("trustGroups.memberUpdated", `{"trustGroupId":8,"candidateId":1,"updatedAt":"2026-03-01T10:05:00Z","status":"Frozen"}`)
	if other.Key == active.Key {
		t.Error("two changes in one moment have one key")
	}

	// The same bytes that state nothing mean nothing as an update and something
	// as a removal: the first must not make the second a repetition.
	bare := `{"trustGroupId":8,"candidateId":1,"updatedAt":"2026-03-01T10:05:00Z"}`
	quarantined, err := p.Translate(request("trustGroups.memberUpdated", bare))
	if err == nil {
		t.Error("an update without a status was booked")
	}
	if removed := translate("trustGroups.memberRemoved", bare); removed.Key == quarantined.Key {
		t.Error("an update and a removal have one key")
	}
}

func TestMemberList(t *testing.T) {
	tr, err := provider(t, tahdah.Config{}).Translate(request("trustGroups.membersAdded",
		`[{"trustGroupId":8,"legalEntityId":1,"status":"Active","until":"2026-12-31"},{"trustGroupId":8,"candidate":{"id":2},"status":{"name":"Pending"}}]`))
	if err != nil || len(tr.Facts) != 2 || len(tr.Scopes) != 2 {
		t.Fatalf("%d facts, scopes %q, %v", len(tr.Facts), tr.Scopes, err)
	}
	one, two := tr.Facts[0].Event.(domain.TrustgroupsMemberChanged), tr.Facts[1].Event.(domain.TrustgroupsMemberChanged)
	if one.Until.Format("2006-01-02T15:04:05Z") != "2026-12-31T23:59:59Z" {
		t.Errorf("until %v", one.Until)
	}
	if two.MemberType != domain.MemberCandidate || two.Member != "2" || two.Status != "Pending" {
		t.Errorf("%+v", two)
	}
}
