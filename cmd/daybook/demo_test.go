package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
)

// TestDemo plays the demo twice over one database: the second time changes
// nothing.
func TestDemo(t *testing.T) {
	url := postgrestest.URL(t)
	n := len(webhooks(t))
	var before map[string]string
	for _, want := range []string{
		"87 deliveries: 82 accepted, 3 conflict, 2 unrecognized",
		fmt.Sprintf("%d deliveries: %[1]d duplicate", n),
	} {
		p := start(t, url, nil, "demo", "--pace", "0")
		p.await(t, "Serving on ")
		if !strings.Contains(p.log(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, p.log())
		}
		for _, v := range demoViews {
			if !strings.Contains(p.log(), v.path) {
				t.Errorf("the demo does not show %s", v.path)
			}
		}
		p.stop(t)
		after := state(t, url)
		if before != nil {
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("playing it again changed (-before +after):\n%s", diff)
			}
		}
		before = after
	}
	// What is real is not mixed with it for ever.
	config := apiConfig(t, play(t, 2, nil))
	for _, args := range [][]string{
		{"source", "backfill", "thinkific"},
		{"record", "grant", "--source", "tahdah", "--order", "SO-1", "--template", "318", "--quantity", "1"},
	} {
		if _, stderr, status := daybook(t, url, append(args, "--config", config)...); status != exitRefused || !strings.Contains(stderr, "the log is the demo's") {
			t.Errorf("%v: status %d\n%s", args, status, stderr)
		}
	}
}

// TestDemoKeepsApart wants the demo to refuse a log with real deliveries.
func TestDemoKeepsApart(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	p.mustPost(t, sampleNamed(t, "tahdah/eventCredits.Updated.json"))
	_, stderr, status := daybook(t, url, "demo", "--listen", "127.0.0.1:0", "--unsafe-durability")
	if status != exitRefused || !strings.Contains(stderr, "the log holds deliveries of tahdah") {
		t.Errorf("status %d\n%s", status, stderr)
	}
}
