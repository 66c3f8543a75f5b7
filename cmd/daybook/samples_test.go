package main

import (
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// golden compares got with a file in testdata; UPDATE_GOLDEN=1 rewrites it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := "testdata/" + file
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// keptViews are the views whose rows must not depend on the order in which
// deliveries arrive.
var keptViews = []string{"certifications/status", "trustgroups/members"}

// TestSamples plays every sample delivery over HTTP and compares what became of
// it, and every view in the end, with what was checked by hand against the
// manifest. Then it plays them again, which must change nothing.
func TestSamples(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	list := webhooks(t)
	var outcomes strings.Builder
	for _, s := range list {
		receipt := p.mustPost(t, s)
		fmt.Fprintf(&outcomes, "%s\n  expect  %s\n  %s", s.File, s.Expect, receipt.Status)
		known := s.Status != samples.Assumed || s.Provider == "tahdah"
		for _, r := range receipt.Records {
			fmt.Fprintf(&outcomes, "  %d %s", r.Position, r.Kind)
			if known && strings.HasPrefix(string(r.Kind), "intake.") {
				t.Errorf("%s, whose shape is %s, became %s", s.File, s.Status, r.Kind)
			}
		}
		if known && receipt.Status != domain.Accepted {
			t.Errorf("%s, whose shape is %s, is %s", s.File, s.Status, receipt.Status)
		}
		outcomes.WriteString("\n")
	}
	golden(t, "samples.outcomes", outcomes.String())

	var rows strings.Builder
	for _, p := range allProjections() {
		for _, v := range p.Views {
			path := p.Name + "/" + v.Name
			// What happened is the same in every run; when we heard of it is not.
			fmt.Fprintf(&rows, "== %s\n%s", path, undated(t, v, view(t, url, path)))
		}
	}
	golden(t, "samples.views", rows.String())

	before := state(t, url)
	for _, s := range list {
		if receipt := p.mustPost(t, s); receipt.Status != domain.Duplicate {
			t.Errorf("%s posted again is %s", s.File, receipt.Status)
		}
	}
	if diff := cmp.Diff(before, state(t, url)); diff != "" {
		t.Errorf("posting everything again changed (-before +after):\n%s", diff)
	}
	for _, args := range [][]string{{"projection", "verify"}, {"projection", "rebuild"}, {"projection", "verify"}} {
		if stdout, stderr, status := daybook(t, url, args...); status != exitDone {
			t.Errorf("%v: status %d\n%s%s", args, status, stdout, stderr)
		}
	}
	if diff := cmp.Diff(before, state(t, url)); diff != "" {
		t.Errorf("rebuilding changed (-before +after):\n%s", diff)
	}
}

// state returns the digest of every projection, by name, and the head.
func state(t *testing.T, url string) map[string]string {
	t.Helper()
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	head, err := postgres.Head(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{"head": fmt.Sprint(head)}
	projector := postgres.NewProjector(db, allProjections())
	for _, p := range allProjections() {
		if _, err := projector.CatchUp(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
		v, err := projector.Verify(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		digests[p.Name] = v.Live
	}
	return digests
}

// TestSamplesInReverse plays the samples in both orders: certifications and
// membership come out the same.
func TestSamplesInReverse(t *testing.T) {
	rows := make(map[bool]map[string]string)
	for _, reverse := range []bool{false, true} {
		url := postgrestest.URL(t)
		p := serve(t, url)
		list := webhooks(t)
		if reverse {
			slices.Reverse(list)
		}
		for _, s := range list {
			p.mustPost(t, s)
		}
		rows[reverse] = make(map[string]string)
		for _, v := range keptViews {
			rows[reverse][v] = view(t, url, v)
		}
	}
	for _, v := range slices.Sorted(maps.Keys(rows[false])) {
		if strings.Count(rows[false][v], "\n") < 2 {
			t.Errorf("%s has no rows", v)
		}
		if diff := cmp.Diff(rows[false][v], rows[true][v]); diff != "" {
			t.Errorf("%s (-in order +in reverse):\n%s", v, diff)
		}
	}
}

// TestSawtooth plays a balance that goes 14, 15, 14, and a repeated delivery.
func TestSawtooth(t *testing.T) {
	for _, tt := range []struct {
		name      string
		files     []string
		remaining string
		records   int
	}{
		{"sawtooth", []string{"edge/tahdah_credits_sawtooth_1_14.json", "edge/tahdah_credits_sawtooth_2_15.json", "edge/tahdah_credits_sawtooth_3_14.json"}, "14", 3},
		{"redelivery", []string{"edge/tahdah_credits_redelivery_a.json", "edge/tahdah_credits_redelivery_b.json"}, "14", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := postgrestest.URL(t)
			p := serve(t, url)
			for _, file := range tt.files {
				p.mustPost(t, sampleNamed(t, file))
			}
			if got := strings.Count(view(t, url, "log/records"), "\n") - 1; got != tt.records {
				t.Errorf("%d records, want %d", got, tt.records)
			}
			balances := view(t, url, "credits/balances")
			header, row, _ := strings.Cut(balances, "\r\n")
			i := slices.Index(strings.Split(header, ","), "remaining")
			if got := strings.Split(row, ",")[i]; got != tt.remaining {
				t.Errorf("remaining %s, want %s\n%s", got, tt.remaining, balances)
			}
		})
	}
}

// undated returns rows with what differs from run to run replaced: ids we gave,
// and moments at which we heard of something.
func undated(t *testing.T, v projections.View, rows string) string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(rows)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	for _, record := range records {
		for i, c := range v.Columns {
			at, err := time.Parse(time.RFC3339Nano, record[i])
			switch {
			case c.Type == projections.TypeTime && err == nil && at.After(started) && at.Before(time.Now()):
				record[i] = "(now)"
			case c.Name == "event" && len(record[i]) == ulid.EncodedSize:
				record[i] = "(id)"
			}
		}
		if err := w.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	return b.String()
}

// started is when the tests were started.
var started = time.Now()
