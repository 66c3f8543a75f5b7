package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// The person of the samples that BrainCert has deleted, and why they are erased.
const (
	amina   = "braincert/user/789310"
	because = "GDPR Art. 17(1)(b), request R-17"
)

// playSamples has the samples that are not difficult recorded, and all of them
// folded.
func playSamples(t *testing.T) (url string) {
	t.Helper()
	url = postgrestest.URL(t)
	p := serve(t, url)
	for _, s := range webhooks(t) {
		p.mustPost(t, s)
	}
	p.stop(t)
	state(t, url)
	return url
}

// rowOf returns the row of a view that begins with the given cells.
func rowOf(t *testing.T, url, question, begins string) string {
	t.Helper()
	for line := range strings.Lines(view(t, url, question)) {
		if strings.HasPrefix(line, begins+",") {
			return line
		}
	}
	return ""
}

// balances are the views that nobody's erasure may change.
func balances(t *testing.T, url string) string {
	t.Helper()
	var b strings.Builder
	for _, v := range []string{"credits/balances", "credits/entries", "sales/balances", "sales/entries", "trustgroups/members", "certifications/history"} {
		b.WriteString(view(t, url, v))
	}
	return b.String()
}

// checkErased fails if anything of the person can be opened.
func checkErased(t *testing.T, url string) {
	t.Helper()
	if row := rowOf(t, url, "directory/people", "braincert,user,789310"); !strings.Contains(row, projections.Erased+","+projections.Erased) {
		t.Errorf("the person is %q", row)
	}
	if row := rowOf(t, url, "directory/people", "tahdah,candidate,918233"); !strings.Contains(row, "Priya Raman,priya.raman@example.com") {
		t.Errorf("somebody else is %q", row)
	}
	out, said, status := daybook(t, url, "privacy", "show", amina, "--json")
	if status != exitDone || strings.Contains(strings.ToLower(out), "yusuf") {
		t.Errorf("status %d, still held: %s%s", status, out, said)
	}
	if _, _, status := daybook(t, url, "privacy", "show", "amina.yusuf@example.com"); status != exitNotFound {
		t.Errorf("somebody has the e-mail address: status %d", status)
	}
}

func TestErase(t *testing.T) {
	url := playSamples(t)
	if row := rowOf(t, url, "directory/erasures", "braincert,user,789310"); !strings.Contains(row, ",flagged,2026-03-01T18:00:00Z,,") {
		t.Errorf("not flagged: %q", row)
	}
	before := balances(t, url)
	for _, args := range [][]string{
		{"privacy", "erase", amina, "--by", "dpo"},
		{"privacy", "erase", amina, "--basis", "Amina  YUSUF asked for it", "--by", "dpo"},
		{"privacy", "erase", amina, "--basis", "mail of a@example.com", "--by", "dpo"},
		{"privacy", "erase", amina, "--basis", strings.Repeat("long ", 60), "--by", "dpo"},
		{"privacy", "erase", "Amina Yusuf", "--basis", because, "--by", "dpo"},
	} {
		if _, said, status := daybook(t, url, args...); status != exitUsage || strings.Contains(said, "Amina Yusuf") {
			t.Errorf("%q: status %d\n%s", args, status, said)
		}
	}
	mustRun(t, url, exitNotFound, "privacy", "erase", "braincert/user/1", "--basis", because, "--by", "dpo")
	out, _ := mustRun(t, url, exitDone, "privacy", "export", amina)
	var exported shownDossier
	if err := json.Unmarshal([]byte(out), &exported); err != nil || len(exported.Texts) != 20 || len(exported.Deliveries) != 13 ||
		!strings.Contains(exported.Deliveries[0].Body, "Amina") || !strings.Contains(out, `"Ardent Rail Ltd"`) {
		t.Errorf("exported %s, %v", out, err)
	}
	mustRun(t, url, exitDone, "privacy", "erase", amina, "--basis", because, "--by", "dpo", "--dry-run")
	if row := rowOf(t, url, "directory/people", "braincert,user,789310"); !strings.Contains(row, "Amina Yusuf") {
		t.Errorf("a dry run erased: %q", row)
	}
	out, _ = mustRun(t, url, exitDone, "privacy", "erase", amina, "--basis", because, "--by", "dpo", "--json")
	var erased erasedResult
	if err := json.Unmarshal([]byte(out), &erased); err != nil || erased.Keys != 14 || erased.Deliveries != 13 || erased.Receipt == nil {
		t.Errorf("erased %s, %v", out, err)
	}
	checkErased(t, url)
	if diff := cmp.Diff(before, balances(t, url)); diff != "" {
		t.Errorf("an erasure changed balances (-before +after):\n%s", diff)
	}
	mustRun(t, url, exitDone, "projection", "verify")
	mustRun(t, url, exitDone, "projection", "rebuild")
	checkErased(t, url)
	if out, _, _ := daybook(t, url, "log", "verify"); strings.Contains(out, "FAIL") {
		t.Errorf("log verify: %s", out)
	}
	if row := rowOf(t, url, "directory/erasures", "braincert,user,789310"); !strings.Contains(row, ",erased,") || !strings.Contains(row, erased.Erasure) {
		t.Errorf("not erased: %q", row)
	}
	// What was erased cannot be replayed or shown, and says so.
	if out, _ := mustRun(t, url, exitDone, "delivery", "show", exported.Deliveries[0].Delivery.String()); !strings.Contains(out, "were erased") {
		t.Errorf("delivery show: %s", out)
	}
	mustRun(t, url, exitDone, "privacy", "erase", amina, "--basis", because, "--by", "dpo") // nothing is left
	if out, _ := mustRun(t, url, exitDone, "privacy", "keep", "thinkific/user/123987", "--basis", "GDPR Art. 17(3)(b)", "--by", "dpo"); !strings.HasPrefix(out, "record ") {
		t.Errorf("privacy keep printed %s", out)
	}
	if row := rowOf(t, url, "directory/erasures", "thinkific,user,123987"); !strings.Contains(row, ",kept,") {
		t.Errorf("not kept: %q", row)
	}
}

// filesOf returns the keys of the book at url, and a pool of its owner.
func filesOf(t *testing.T, url string) (keyfile.Dir, *sql.DB) {
	t.Helper()
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	files, err := postgrestest.Files(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return files.(keyfile.Dir), owner
}

// TestErasedAgain restores a backup from before an erasure: whatever is asked
// first, nothing of it can be opened.
func TestErasedAgain(t *testing.T) {
	url := playSamples(t)
	restore := pgtest.Backup(t, url)
	mustRun(t, url, exitDone, "privacy", "erase", amina, "--basis", because, "--by", "dpo")
	mustRun(t, url, exitDone, "checkpoint", "sign")
	restore()
	checkErased(t, url)
	_, said := mustRun(t, url, exitDone, "log", "fork", "--reason", "disk lost", "--by", "marta")
	if !strings.Contains(said, "recorded again") {
		t.Errorf("said %q", said)
	}
	if row := rowOf(t, url, "directory/erasures", "braincert,user,789310"); !strings.Contains(row, ",erased,") {
		t.Errorf("not recorded again: %q", row)
	}
	if out, _ := mustRun(t, url, exitDone, "privacy", "list"); strings.Count(out, because) != 1 {
		t.Errorf("listed %s", out)
	}
}

// TestEraseInterrupted has an erasure end after each of its steps: the next command
// completes it, once.
func TestEraseInterrupted(t *testing.T) {
	url := playSamples(t)
	files, owner := filesOf(t, url)
	keys, err := postgres.NewKeyring(t.Context(), owner, files)
	if err != nil {
		t.Fatal(err)
	}
	d, err := postgres.Inquiry{Email: "Amina.Yusuf@example.com"}.Run(t.Context(), owner, keys, func(string, int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := erasureOf(d, decisionFlags{basis: because, by: "dpo"})
	if err := files.Note(e); err != nil { // and nothing else
		t.Fatal(err)
	}
	checkErased(t, url)
	mustRun(t, url, exitDone, "privacy", "keep", "thinkific/user/123987", "--basis", "GDPR Art. 17(3)(b)", "--by", "dpo")
	for range 2 { // recorded once
		if list, err := postgres.ErasedRecords(t.Context(), owner); err != nil || len(list) != 1 || !slices.Equal(list[0].Keys, e.Keys) || list[0].Deliveries != e.Deliveries {
			t.Errorf("recorded %v, %v", list, err)
		}
		mustRun(t, url, exitDone, "privacy", "keep", "thinkific/user/123987", "--basis", "GDPR Art. 17(3)(b)", "--by", "dpo")
	}
	// A line that was cut off is no erasure, and does not keep the next one from
	// being noted; a line that was changed is an error.
	path := filepath.Join(files.Path(), "erasures.log")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(slices.Clone(whole), whole[:len(whole)/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := files.Erasures(); err != nil || len(list) != 1 {
		t.Errorf("after a line that was cut off: %d, %v", len(list), err)
	}
	e.ID = ulid.Make().String()
	if err := files.Note(e); err != nil {
		t.Fatal(err)
	}
	if list, err := files.Erasures(); err != nil || len(list) != 2 {
		t.Errorf("after the next one: %d, %v", len(list), err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(whole), because, "because", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, status := daybook(t, url, "view", "directory/people"); status != exitDiffers {
		t.Errorf("erasures that were changed: status %d", status)
	}
}

// TestRotate replaces the key-encryption key while a server runs: everything can
// be opened as before, an erasure is final, and a backup from before is useless.
func TestRotate(t *testing.T) {
	url := playSamples(t)
	restore := pgtest.Backup(t, url)
	p := serve(t, url)
	p.mustPost(t, enrolment("before"))
	for range 2 {
		mustRun(t, url, exitDone, "privacy", "rotate")
		p.mustPost(t, enrolment(ulid.Make().String()))
	}
	p.stop(t)
	files, owner := filesOf(t, url)
	for epoch, want := range map[int]domain.Code{1: domain.NotFound, 2: domain.NotFound, 3: ""} {
		if _, err := files.KEK(epoch); domain.CodeOf(err) != want {
			t.Errorf("key-encryption key of epoch %d: %v", epoch, err)
		}
	}
	epochs, err := postgres.KeyEpochs(t.Context(), owner)
	if err != nil || len(epochs) != 3 || epochs[0].Keys+epochs[1].Keys != 0 || epochs[0].Destroyed.IsZero() || !epochs[2].Destroyed.IsZero() {
		t.Errorf("epochs %+v, %v", epochs, err)
	}
	if row := rowOf(t, url, "directory/people", "braincert,user,789310"); !strings.Contains(row, "Amina Yusuf") {
		t.Errorf("after it: %q", row)
	}
	mustRun(t, url, exitDone, "privacy", "erase", amina, "--basis", because, "--by", "dpo")
	if out, _ := mustRun(t, url, exitDone, "privacy", "list"); !strings.Contains(out, "effective") {
		t.Errorf("listed %s", out)
	}
	mustRun(t, url, exitDone, "privacy", "rotate")
	if out, _ := mustRun(t, url, exitDone, "privacy", "list"); !strings.Contains(out, "final") {
		t.Errorf("listed %s", out)
	}
	checkErased(t, url)

	restore() // of epoch 1
	if row := rowOf(t, url, "directory/people", "tahdah,candidate,918233"); !strings.Contains(row, projections.Unopened) {
		t.Errorf("a backup from before: %q", row)
	}
	if _, said, status := daybook(t, url, "privacy", "show", amina); status == exitDone || strings.Contains(said, "Amina") {
		t.Errorf("a backup from before is shown: status %d\n%s", status, said)
	}
	// It can be gone on with, without what is sealed.
	if _, said := mustRun(t, url, exitDone, "privacy", "rotate"); !strings.Contains(said, "cannot be opened any more") {
		t.Errorf("rotated: %s", said)
	}
	mustRun(t, url, exitDone, "log", "fork", "--reason", "disk lost", "--by", "marta")
	p = serve(t, url)
	if receipt := p.mustPost(t, enrolment("after")); receipt.Status != domain.Accepted {
		t.Errorf("after it: %+v", receipt)
	}
}

// TestNamesakes erases somebody whose name is a word of every delivery: those of
// everybody else are left, unless it is said that they shall go as well.
func TestNamesakes(t *testing.T) {
	url := playSamples(t)
	p := serve(t, url)
	p.mustPost(t, signedThinkific("s1", []byte(`{"id":"s1","resource":"user","action":"signup","tenant_id":"48190","created_at":"2026-03-20T10:00:00.000Z",
		"payload":{"id":666,"first_name":"payload","last_name":"","email":"p@example.com"}}`)))
	p.stop(t)
	erase := []string{"privacy", "erase", "thinkific/user/666", "--basis", because, "--by", "dpo", "--json"}
	mustRun(t, url, exitUsage, append(erase, "--namesakes", "all")...)
	if _, said := mustRun(t, url, exitUsage, erase...); !strings.Contains(said, "--namesakes keep") {
		t.Errorf("not asked: %s", said)
	}
	for _, tt := range []struct {
		args []string
		few  bool
	}{{[]string{"--dry-run", "--namesakes", "erase"}, false}, {[]string{"--namesakes", "keep"}, true}} {
		out, _ := mustRun(t, url, exitDone, append(erase, tt.args...)...)
		var erased erasedResult
		if err := json.Unmarshal([]byte(out), &erased); err != nil || (erased.Deliveries == 1) != tt.few || (erased.ByName == 0) != tt.few {
			t.Errorf("%q: %s, %v", tt.args, out, err)
		}
	}
}

// TestRotateBackup refuses to destroy the key of a book for a backup of it that was
// restored, as long as nobody has said that it is the book from now on.
func TestRotateBackup(t *testing.T) {
	url := playSamples(t)
	restore := pgtest.Backup(t, url)
	p := serve(t, url)
	p.mustPost(t, enrolment("after the backup"))
	p.stop(t)
	restore()
	if _, said := mustRun(t, url, exitRefused, "privacy", "rotate"); !strings.Contains(said, "not the one that was signed") {
		t.Errorf("refused: %s", said)
	}
	files, _ := filesOf(t, url)
	if _, err := files.KEK(1); err != nil {
		t.Errorf("the key of the book: %v", err)
	}
	mustRun(t, url, exitDone, "log", "fork", "--reason", "disk lost", "--by", "marta")
	mustRun(t, url, exitDone, "privacy", "rotate")
}

// TestEraseBesideServers erases people while two servers take in deliveries of
// them: nothing fails, nothing of before can be opened, and what comes later can.
func TestEraseBesideServers(t *testing.T) {
	url := postgrestest.URL(t)
	servers := []*process{serve(t, url), serve(t, url)}
	const people, rounds = 6, 5
	named := func(person, round int) samples.Sample {
		s := enrolment(fmt.Sprintf("p%d", person))
		s.Body = bytes.Replace(s.Body, fmt.Appendf(nil, `"user":{"id":"p%d"}`, person),
			fmt.Appendf(nil, `"user":{"id":"p%d","first_name":"Round%d","last_name":"Person%d","email":"p%d@example.com"}`, person, round, person, person), 1)
		s.Body = bytes.Replace(s.Body, fmt.Appendf(nil, `{"id":"p%d",`, person), fmt.Appendf(nil, `{"id":"d%d-%d",`, person, round), 1)
		signed := domain.Request{Header: s.Header.Clone()}
		signed.Body = s.Body
		senders["thinkific"].sign(&signed, samples.ThinkificKey)
		s.Header = signed.Header
		return s
	}
	for round := range rounds {
		var group errgroup.Group
		for person := range people {
			group.Go(func() error {
				_, _, err := servers[person%2].post(t.Context(), named(person, round))
				return err
			})
		}
		if round > 0 {
			mustRun(t, url, exitDone, "privacy", "erase", "thinkific/user/p0", "--basis", because, "--by", "dpo")
			mustRun(t, url, exitDone, "privacy", "rotate")
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, url, exitDone, "privacy", "erase", "thinkific/user/p0", "--basis", because, "--by", "dpo")
	state(t, url)
	for person := 1; person < people; person++ {
		if row := rowOf(t, url, "directory/people", fmt.Sprintf("thinkific,user,p%d", person)); !strings.Contains(row, fmt.Sprintf("Person%d,p%d@example.com", person, person)) {
			t.Errorf("somebody else is %q", row)
		}
	}
	out, _ := mustRun(t, url, exitDone, "privacy", "show", "thinkific/user/p0", "--json")
	if strings.Contains(out, "Person0") || strings.Contains(out, "p0@example.com") {
		t.Errorf("still held: %s", out)
	}
	mustRun(t, url, exitDone, "projection", "verify")
}

// TestErasureLaw destroys any of the keys, in any order: no digest and no root
// changes, and no table.
func TestErasureLaw(t *testing.T) {
	url := playSamples(t)
	_, owner := filesOf(t, url)
	var ids []string
	rows, err := owner.QueryContext(t.Context(), `SELECT id FROM data_key ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, base64.StdEncoding.EncodeToString(id))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	before := state(t, url)
	left := rapid.Permutation(ids).Example(1)
	for len(left) > 0 {
		n := min(1+len(left)/3, len(left))
		if destroyed, err := postgres.DestroyKeys(t.Context(), owner, left[:n]); err != nil || destroyed != int64(n) {
			t.Fatalf("destroyed %d of %d, %v", destroyed, n, err)
		}
		left = left[n:]
		if diff := cmp.Diff(before, state(t, url)); diff != "" {
			t.Fatalf("an erasure changed digests (-before +after):\n%s", diff)
		}
		v, err := postgres.VerifyLog(t.Context(), postgrestest.Open(t, url, postgres.RoleAuditor), postgres.LogCheck{Now: time.Now()}, func(int64, int64) {})
		if err != nil || len(v.Findings) > 0 {
			t.Fatalf("log: %+v, %v", v.Findings, err)
		}
	}
	people := view(t, url, "directory/people")
	if strings.Contains(people, "@example.com") || !strings.Contains(people, projections.Erased) {
		t.Errorf("all keys are destroyed: %s", people)
	}
}
