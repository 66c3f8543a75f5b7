package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
)

// verified runs "projection verify --json NAME…" and returns what it says of each
// projection.
func verified(t *testing.T, url string, names ...string) (map[string]verifiedProjection, int) {
	t.Helper()
	stdout, stderr, status := daybook(t, url, append([]string{"projection", "verify", "--json"}, names...)...)
	said := make(map[string]verifiedProjection)
	for line := range strings.Lines(stdout) {
		var v verifiedProjection
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
		}
		said[v.Projection] = v
	}
	return said, status
}

// TestVerifyIncomplete has one projection wait for a rebuild and another stopped:
// they are INCOMPLETE, and what is said of the others is said all the same.
func TestVerifyIncomplete(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	p.mustPost(t, sampleNamed(t, "tahdah/eventCredits.Updated.json"))
	p.stop(t)
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	for _, s := range []string{
		`UPDATE projection SET version = version - 1 WHERE name = 'credits'`,
		`UPDATE projection SET stopped_at = 3, reason = 'planted' WHERE name = 'sales'`,
	} {
		if _, err := owner.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	said, status := verified(t, url)
	if status != exitDiffers {
		t.Errorf("status %d, want %d", status, exitDiffers)
	}
	for name, want := range map[string]domain.Verdict{
		"credits": domain.Incomplete, "sales": domain.Incomplete, "trustgroups": domain.OK, "certifications": domain.OK, "directory": domain.OK,
	} {
		if said[name].Result != want {
			t.Errorf("%s is %q, want %q: %s", name, said[name].Result, want, said[name].Reason)
		}
	}
	if hint := said["credits"].Hint; !strings.Contains(hint, "projection rebuild credits") {
		t.Errorf("the hint for credits is %q", hint)
	}
}

// TestRebuildPreviewJSON asks for a dry run as JSON: it says of what time it is, and
// what differs as an array, be it empty.
func TestRebuildPreviewJSON(t *testing.T) {
	url := playSamples(t)
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--as-of", "2026-03-03", "--diff"}, []string{`"as_of":"2026-03-03T23:59:59.999999Z"`, `"differences":[{`}},
		{nil, []string{`{"changes":0,"projection":"sales"`, `"differences":[]`}},
	} {
		out, _ := mustRun(t, url, exitDone, append([]string{"projection", "rebuild", "sales", "--dry-run", "--json"}, tt.args...)...)
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %s in %s", tt.args, want, out)
			}
		}
	}
}
