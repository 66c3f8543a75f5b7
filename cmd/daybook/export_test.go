package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/audit"
	"github.com/daybook-ledger/daybook/projections/render"
)

// mustDaybook runs one command that must be done, and returns its stdout.
func mustDaybook(t *testing.T, url string, args ...string) string {
	t.Helper()
	stdout, stderr, status := daybook(t, url, args...)
	if status != exitDone {
		t.Fatalf("%v: status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout
}

// carried is evidence of a log that was carried away.
type carried struct {
	url, dir, key, bundle string
	records               int64
}

// carryAway plays the samples, certifies every projection, and exports all of it.
func carryAway(t *testing.T) carried {
	t.Helper()
	c := carried{url: postgrestest.URL(t), dir: t.TempDir()}
	c.key, c.bundle = filepath.Join(c.dir, "keys.txt"), filepath.Join(c.dir, "book.tar")
	p := serve(t, c.url)
	for _, s := range webhooks(t) {
		p.mustPost(t, s)
	}
	p.stop(t)
	args := []string{"export", "bundle", "--bodies", "--out", c.bundle}
	for _, projection := range allProjections() {
		file := filepath.Join(c.dir, projection.Name+".certificate")
		mustDaybook(t, c.url, "export", "certificate", projection.Name, "--out", file)
		args = append(args, "--certificate", file)
	}
	mustDaybook(t, c.url, "checkpoint", "sign")
	if err := os.WriteFile(c.key, []byte(mustDaybook(t, c.url, "checkpoint", "show", "--key")), 0o600); err != nil {
		t.Fatal(err)
	}
	mustDaybook(t, c.url, args...)
	var err error
	if c.records, err = postgres.Head(t.Context(), postgrestest.Open(t, c.url, postgres.RoleProjector)); err != nil {
		t.Fatal(err)
	}
	return c
}

// audited runs daybook audit without any database.
func audited(t *testing.T, args ...string) (report struct {
	audit.Report
	Views []json.RawMessage
}, status int,
) {
	t.Helper()
	t.Setenv("DAYBOOK_CONFIG", "/nowhere/daybook.toml") // nobody reads it
	defer t.Setenv("DAYBOOK_CONFIG", "")
	stdout, stderr, status := daybook(t, "postgres://nobody@127.0.0.1:1/nothing", append([]string{"audit", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: status %d: %v\n%s%s", args, status, err, stdout, stderr)
	}
	return report, status
}

// TestExportBundle: what is exported is OK offline, everything certified is what the
// log gives, and every view shows the rows that the server shows, but for names.
func TestExportBundle(t *testing.T) {
	c := carryAway(t)
	args := []string{c.bundle, "--key", c.key}
	var views []projections.View
	for _, p := range allProjections() {
		for _, v := range p.Views {
			args = append(args, "--view", p.Name+"/"+v.Name+"?limit=0&as_of=2027-01-01")
			v.Name = p.Name + "/" + v.Name
			views = append(views, v)
		}
	}
	report, status := audited(t, args...)
	if status != exitDone || report.Result != "ok" || report.Signed != c.records || report.Bodies != report.Deliveries || len(report.Views) != len(views) {
		t.Fatalf("status %d: %s, %v, missing %q, %d views", status, report.Result, report.Findings, report.Missing, len(report.Views))
	}
	for _, p := range report.Projections {
		if len(p.Certificates) != 1 || !p.Certificates[0].Fits || len(p.Certificates[0].By) != 1 || p.Position != c.records {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	for i, v := range views {
		stdout, _, _ := daybook(t, "", append([]string{"audit", "-o", "csv"}, args[0], "--key", c.key, "--view", v.Name+"?limit=0&as_of=2027-01-01")...)
		got, want := sealedRows(t, v, stdout), sealedRows(t, v, view(t, c.url, v.Name, "--as-of", "2027-01-01"))
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%s, %d rows (-live +audited):\n%s", v.Name, len(want), diff)
		}
		if len(report.Views[i]) == 0 {
			t.Errorf("%s is not in the report", v.Name)
		}
	}
	again := filepath.Join(c.dir, "again.tar")
	mustDaybook(t, c.url, "export", "bundle", "--bodies", "--out", again)
	if report, status := audited(t, again, "--key", c.key); status != exitDone || len(report.Projections) != 5 {
		t.Errorf("without certificates: %d, %+v", status, report)
	}
	// Whoever is erased is erased by his key: nothing that is exported changes.
	db := postgrestest.Open(t, c.url, postgres.RoleOwner)
	if _, err := db.Exec(`DELETE FROM data_key`); err != nil {
		t.Fatal(err)
	}
	erased := filepath.Join(c.dir, "erased.tar")
	mustDaybook(t, c.url, "export", "bundle", "--bodies", "--out", erased)
	before, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(erased)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("erasing has changed the bundle, %v", err)
	}
}

// sealedRows returns rows without what only those who have the keys are shown.
func sealedRows(t *testing.T, v projections.View, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for i, c := range render.Columns(v) {
			if c.Sealed {
				row[i] = ""
			}
		}
	}
	return rows
}

// TestAuditRefuses: what was changed after it was exported, or is not covered, is not
// OK, and the exit status says so.
func TestAuditRefuses(t *testing.T) {
	c := carryAway(t)
	file, err := os.ReadFile(c.bundle)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(c.dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	i := bytes.Index(file, []byte("\nposition 60\n"))
	i += bytes.Index(file[i:], []byte("data {")) + 7
	changed := bytes.Clone(file)
	changed[i] ^= 1
	report, status := audited(t, write("changed.tar", changed), "--key", c.key)
	if status != exitDiffers || report.Result != "fail" || report.Findings[0].Position != 60 || len(report.Findings[0].Found) != 64 || len(report.Findings[0].Claimed) != 64 {
		t.Errorf("changed: status %d, %+v", status, report.Findings)
	}
	report, status = audited(t, write("cut.tar", file[:len(file)/2]), "--key", c.key)
	if status != exitDiffers || report.Result != "fail" {
		t.Errorf("cut: status %d, %+v", status, report)
	}
	report, status = audited(t, c.bundle)
	if status != exitDiffers || report.Result != "incomplete" || !slices.ContainsFunc(report.Missing, func(m string) bool { return strings.Contains(m, "no key was given") }) {
		t.Errorf("without a key: status %d, %+v", status, report)
	}
	part := filepath.Join(c.dir, "part.tar")
	mustDaybook(t, c.url, "export", "bundle", "--from", "50", "--to", "70", "--out", part)
	report, status = audited(t, part, "--key", c.key)
	if status != exitDiffers || report.Result != "incomplete" || report.Checked != 70 {
		t.Errorf("a part: status %d, %+v", status, report)
	}
	stdout, stderr, status := daybook(t, "", "audit", c.bundle, "--key", c.key)
	if status != exitDone || !strings.Contains(stdout, "book.tar: OK") || !strings.Contains(stdout, "the certificate at record") {
		t.Errorf("as a table: status %d\n%s%s", status, stdout, stderr)
	}
	for _, args := range [][]string{
		{"audit"},
		{"audit", "nowhere.tar"},
		{"audit", c.bundle, "--key", "nokey"},
		{"audit", c.bundle, "--checkpoint", c.key},
		{"audit", c.bundle, "-o", "csv"},
		{"audit", c.bundle, "--view", "credits/balances?stauts=x"},
	} {
		if _, stderr, status := daybook(t, "", args...); status != exitUsage || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%v: status %d\n%s", args, status, stderr)
		}
	}
}

// TestExportRefuses: nothing is exported or certified that the log does not say.
func TestExportRefuses(t *testing.T) {
	c := carryAway(t)
	db := postgrestest.Open(t, c.url, postgres.RoleOwner)
	exec := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(c.dir, "new")
	exec(`UPDATE credits.balances SET remaining = remaining + 1`)
	_, stderr, status := daybook(t, c.url, "export", "certificate", "credits", "--out", out)
	if status != exitDiffers || !strings.Contains(stderr, "projection verify credits") {
		t.Errorf("a balance changed: status %d\n%s", status, stderr)
	}
	if _, stderr, status := daybook(t, c.url, "export", "balance", "credits/balances", "tahdah", "70412", "--out", out); status != exitDiffers {
		t.Errorf("a balance changed: status %d\n%s", status, stderr)
	}
	exec(`ALTER TABLE log DISABLE TRIGGER ALL; UPDATE log SET occurred_at = occurred_at + interval '1 second' WHERE position = 17; ALTER TABLE log ENABLE ALWAYS TRIGGER append_only`)
	_, stderr, status = daybook(t, c.url, "export", "bundle", "--out", out)
	if status != exitDiffers || !strings.Contains(stderr, "record 17") {
		t.Errorf("a record changed: status %d\n%s", status, stderr)
	}
	if files, err := filepath.Glob(filepath.Join(c.dir, "*new*")); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if _, stderr, status := daybook(t, c.url, "export", "bundle", "--from", "9", "--to", "3"); status != exitUsage {
		t.Errorf("no range: status %d\n%s", status, stderr)
	}
}

// TestExportBalance: one row is proved, of a keyed table and of a journal, and the
// file has no other.
func TestExportBalance(t *testing.T) {
	c := carryAway(t)
	out := filepath.Join(c.dir, "balance.txt")
	mustDaybook(t, c.url, "export", "balance", "credits/balances", "tahdah", "70412", "--out", out)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\nrow {"); n != 1 || !strings.Contains(string(text), `"line":"70412"`) {
		t.Errorf("%d rows:\n%s", n, text)
	}
	stdout, stderr, status := daybook(t, "", "audit", out, filepath.Join(c.dir, "credits.certificate"), "--key", c.key)
	if status != exitDone || !strings.Contains(stdout, `a row of balances: {"source":"tahdah","line":"70412"`) || strings.Count(stdout, ": OK\n") != 2 {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	if _, stderr, status := daybook(t, "", "audit", out); status != exitDiffers || !strings.Contains(stderr, "INCOMPLETE") {
		t.Errorf("without a key: status %d\n%s", status, stderr)
	}
	entry := mustDaybook(t, c.url, "export", "balance", "credits/entries", "1", "1")
	if !strings.HasPrefix(entry, "daybook row v1\n") {
		t.Errorf("%s", entry)
	}
	for want, args := range map[int][]string{
		exitUsage:    {"credits/balances", "tahdah"},
		exitNotFound: {"credits/balances", "tahdah", "no such line"},
	} {
		if _, stderr, status := daybook(t, c.url, append([]string{"export", "balance"}, args...)...); status != want || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%v: status %d\n%s", args, status, stderr)
		}
	}
	if _, stderr, status := daybook(t, c.url, "export", "balance", "credits/nothing", "a"); status != exitNotFound {
		t.Errorf("status %d\n%s", status, stderr)
	}
}
