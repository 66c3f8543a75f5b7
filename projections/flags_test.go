package projections_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/projections"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		flags string
		add   []string
		want  string
	}{
		{"", nil, ""},
		{"", []string{"b"}, "b"},
		{"b", nil, "b"},
		{"b", []string{"c", "a", "b"}, "a,b,c"},
	} {
		if got := projections.AddFlags(c.flags, c.add...); got != c.want {
			t.Errorf("AddFlags(%q, %q) = %q, want %q", c.flags, c.add, got, c.want)
		}
	}
	for _, c := range []struct{ flags, remove, want string }{
		{"", "a", ""},
		{"a", "a", ""},
		{"a,b,c", "b", "a,c"},
		{"aa,b", "a", "aa,b"},
	} {
		if got := projections.RemoveFlag(c.flags, c.remove); got != c.want {
			t.Errorf("RemoveFlag(%q, %q) = %q, want %q", c.flags, c.remove, got, c.want)
		}
	}
}
