package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/adapters/thinkific"
	"github.com/daybook-ledger/daybook/domain"
)

// figures returns what /metrics says, by series as it is written there.
func (p *process) figures(t *testing.T) map[string]string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s, %v\n%s", response.Status, err, text)
	}
	figures := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && line[0] != '#' {
			figures[series+"}"] = value
		} else if series, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && line[0] != '#' {
			figures[series] = value
		}
	}
	return figures
}

// TestMetrics plays deliveries of every fate and reads the figures.
func TestMetrics(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	for _, file := range []string{
		"tahdah/eventCredits.Updated.json", "tahdah/eventCredits.Updated.json", "edge/tahdah_unknown_verb.json", "edge/tahdah_credits_negative_and_fraction.json",
	} {
		p.mustPost(t, sampleNamed(t, file))
	}
	forged := enrolment("forged")
	forged.Header.Set("X-Thinkific-Hmac-Sha256", strings.Repeat("0", 64))
	elsewhere := enrolment("elsewhere")
	elsewhere.Provider = "nobody"
	for _, s := range []samples.Sample{forged, elsewhere} {
		if _, _, err := p.post(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	p.awaitProjection(t, "credits", "running", 3)
	got := p.figures(t)
	for series, want := range map[string]string{
		`daybook_deliveries_total{source="tahdah",status="accepted"}`:                      "1",
		`daybook_deliveries_total{source="tahdah",status="duplicate"}`:                     "1",
		`daybook_deliveries_total{source="tahdah",status="unrecognized"}`:                  "1",
		`daybook_deliveries_total{source="tahdah",status="quarantined"}`:                   "1",
		`daybook_deliveries_total{source="tahdah",status="conflict"}`:                      "0",
		`daybook_deliveries_total{source="credly",status="accepted"}`:                      "0",
		`daybook_refused_total{code="401",source="thinkific"}`:                             "1",
		`daybook_refused_total{code="404",source="(none)"}`:                                "1",
		`daybook_intake_duration_seconds_count{source="tahdah"}`:                           "4",
		`daybook_intake_duration_seconds_count{source="thinkific"}`:                        "0",
		`daybook_intake_in_hand{source="tahdah"}`:                                          "0",
		`daybook_append_queue_length`:                                                      "0",
		`daybook_append_queue_capacity`:                                                    "1024",
		`daybook_append_records_total`:                                                     "3",
		`daybook_database_up`:                                                              "1",
		`daybook_log_head`:                                                                 "3",
		`daybook_projection_position{projection="credits"}`:                                "3",
		`daybook_projection_lag_records{projection="credits"}`:                             "0",
		`daybook_projection_stopped{projection="credits"}`:                                 "0",
		`daybook_quarantine_open`:                                                          "1",
		`daybook_source_secret_last_used_timestamp_seconds{secret="1",source="braincert"}`: "0",
	} {
		if got[series] != want {
			t.Errorf("%s %s, want %s", series, got[series], want)
		}
	}
	for _, series := range []string{"go_goroutines", "process_open_fds"} {
		if got[series] == "" {
			t.Errorf("there is no %s", series)
		}
	}
	build := regexp.MustCompile(`^daybook_build_info\{go="go[^"]+",revision="[^"]*",version="[^"]+"\}$`)
	found := false
	for series := range got {
		found = found || build.MatchString(series)
		if strings.Contains(series, "nobody") {
			t.Errorf("a name from outside is a label: %s", series)
		}
	}
	if !found {
		t.Error("there is no daybook_build_info")
	}
}

// TestMetricsOfSecrets uses each of two secrets, in several goroutines and out of
// order: the last use counts.
func TestMetricsOfSecrets(t *testing.T) {
	m := newMetrics([]intake.Source{{Name: "acme", Secrets: 2}})
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			m.Answered(intake.Answer{Source: "acme", Code: 200, Status: domain.Accepted, Secret: 1, At: start.Add(time.Duration(i) * time.Second)})
			m.Answered(intake.Answer{Source: "acme", Code: 200, Status: domain.Duplicate, Secret: 2, At: start})
		})
	}
	wg.Wait()
	if got, want := m.used[secretSlot{"acme", 1}].Load(), start.Add(99*time.Second).UnixMilli(); got != want {
		t.Errorf("secret 1 was last used at %d, want %d", got, want)
	}
	if got := m.used[secretSlot{"acme", 2}].Load(); got != 0 {
		t.Errorf("secret 2, used for repetitions only, was last used at %d", got)
	}
}

func TestAdvice(t *testing.T) {
	now := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	lately, before, never := now.Add(-time.Hour), now.Add(-20*24*time.Hour), time.Time{}
	for _, tt := range []struct {
		uses    lastUses
		verdict string
		says    string
	}{
		{lastUses{lately, lately}, checkOK, "secret 1 was last used 2026-03-30 23:00Z"},
		{lastUses{before, lately}, checkWarn, "drop the first one"},
		{lastUses{never, lately}, checkWarn, "secret 1 was last used not in 30 days"},
		{lastUses{lately, never}, checkWarn, "tell the provider the second one"},
		{lastUses{never, never}, checkOK, "not in 30 days"},
		{lastUses{before, before}, checkOK, "2026-03-11"},
	} {
		if verdict, detail := tt.uses.advice(now); verdict != tt.verdict || !strings.Contains(detail, tt.says) {
			t.Errorf("%v: %s, %s", tt.uses, verdict, detail)
		}
	}
}

// TestRotation replaces a secret while deliveries come in without a pause: first
// the source takes the old one, then both while the provider changes over, then
// the new one. None is refused that was signed with a secret that is current.
func TestRotation(t *testing.T) {
	url := postgrestest.URL(t)
	file := t.TempDir() + "/daybook.toml"
	env := []string{"OLD=old-key", "NEW=new-key"}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	restart := func(secrets string) *process {
		text := "[[source]]\nname = \"thinkific\"\nprovider = \"thinkific\"\nsecrets = " + secrets + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return start(t, url, env, "serve", "--config", file)
	}
	var sent atomic.Int64
	send := func(ctx context.Context, p *process, key string) int {
		s := enrolment(fmt.Sprint(sent.Add(1)))
		r := domain.Request{Header: s.Header, Body: s.Body}
		thinkific.Sign(&r, key)
		status, _, err := p.post(ctx, s)
		if err != nil {
			t.Error(err)
		}
		return status
	}
	used := func(p *process, slot int) float64 {
		text := p.figures(t)[fmt.Sprintf(`daybook_source_secret_last_used_timestamp_seconds{secret="%d",source="thinkific"}`, slot)]
		at, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Errorf("secret %d: %v", slot, err)
		}
		return at
	}

	p := restart(`["env:OLD"]`)
	if send(t.Context(), p, "old-key") != 200 || send(t.Context(), p, "new-key") != 401 {
		t.Error("before: the old secret alone must be accepted")
	}
	oldUsed := used(p, 1)
	p.stop(t)

	// The overlap: senders change over one after the other, in the middle of a load.
	p = restart(`["env:OLD", "env:NEW"]`)
	var wg sync.WaitGroup
	for sender := range 8 {
		wg.Go(func() {
			for i := range 25 {
				key := "old-key"
				if i > sender*3 {
					key = "new-key"
				}
				if status := send(t.Context(), p, key); status != 200 {
					t.Errorf("sender %d, delivery %d, signed with %s: status %d", sender, i, key, status)
				}
			}
		})
	}
	wg.Wait()
	if first, second := used(p, 1), used(p, 2); first < oldUsed || second < first {
		t.Errorf("secret 1 was last used at %f, secret 2 at %f", first, second)
	}
	stdout, stderr, status := daybook(t, url, "source", "list", "--last-use", "-o", "csv", "--config", file)
	if row := strings.Split(strings.TrimSpace(stdout), "\n")[1]; status != exitDone || !regexp.MustCompile(`,20\d\d-[^,]+Z,20\d\d-[^,]+Z`).MatchString(row) {
		t.Errorf("source list: %d\n%s%s", status, stdout, stderr)
	}
	p.stop(t)

	// Restarted, the metric is learnt from the log.
	p = restart(`["env:OLD", "env:NEW"]`)
	p.awaitFigure(t, `daybook_source_secret_last_used_timestamp_seconds{secret="2",source="thinkific"}`)
	if at := used(p, 1); at < oldUsed {
		t.Errorf("after a restart, secret 1 was last used at %f, want %f at least", at, oldUsed)
	}
	p.stop(t)

	p = restart(`["env:NEW"]`)
	if send(t.Context(), p, "new-key") != 200 || send(t.Context(), p, "old-key") != 401 {
		t.Error("after: the new secret alone must be accepted")
	}
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	var records, sources int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*), count(DISTINCT verified) FROM delivery`).Scan(&records, &sources); err != nil {
		t.Fatal(err)
	}
	if want := 1 + 8*25 + 1; records != want || sources != 2 {
		t.Errorf("%d deliveries recorded, verified in %d ways, want %d and 2", records, sources, want)
	}
}

// awaitFigure asks until a figure is not zero.
func (p *process) awaitFigure(t *testing.T, series string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for got := p.figures(t)[series]; got == "" || got == "0"; got = p.figures(t)[series] {
		if ctx.Err() != nil {
			t.Fatalf("%s stays %q", series, got)
		}
	}
}
