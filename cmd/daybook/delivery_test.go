package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// fromTahdah is a signed Tahdah delivery.
func fromTahdah(verb, body string) samples.Sample {
	mac := hmac.New(sha256.New, []byte(samples.TahdahSecret))
	mac.Write([]byte(body))
	return samples.Sample{
		File: verb, Provider: "tahdah", Body: []byte(body),
		Header: http.Header{
			"Content-Type":      {"application/json"},
			"Webhook-Verb":      {verb},
			"Webhook-Signature": {hex.EncodeToString(mac.Sum(nil))},
		},
	}
}

// withMapping writes the sample configuration with a verb bound to changes of
// members, and returns its name.
func withMapping(t *testing.T, verb string) string {
	t.Helper()
	file := t.TempDir() + "/mapped.toml"
	toml := strings.Replace(sampleTOML, "name = \"tahdah\"\nprovider = \"tahdah\"\nsecrets = [\"env:TAHDAH\"]\n",
		"name = \"tahdah\"\nprovider = \"tahdah\"\nsecrets = [\"env:TAHDAH\"]\n[source.membership]\nverbs = { \""+verb+"\" = \"\" }\n", 1)
	if toml == sampleTOML {
		t.Fatal("the sample configuration has another form")
	}
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// replayRow is one row of what "daybook delivery replay --json" prints.
type replayRow struct {
	Delivery, Topic, Was, Becomes, Facts, Reason string
	Booked                                       *int64
}

func replayed(t *testing.T, url string, args ...string) []replayRow {
	t.Helper()
	stdout, stderr, status := daybook(t, url, append([]string{"delivery", "replay", "--json"}, args...)...)
	if status != exitDone {
		t.Fatalf("replay %v: status %d\n%s", args, status, stderr)
	}
	var answer struct{ Rows []replayRow }
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	return answer.Rows
}

// TestReplay posts deliveries whose verb nobody knows, adds a mapping for it, and
// replays them: dry first, then for good, then again.
func TestReplay(t *testing.T) {
	const verb = "centres.memberAmended"
	url := postgrestest.URL(t)
	p := serve(t, url)
	member := func(status string) samples.Sample {
		return fromTahdah(verb, `{"trustGroupId":812,"legalEntityId":4388,"status":"`+status+`"}`)
	}
	sent := []samples.Sample{member("Active"), member("Suspended"), fromTahdah(verb, `{"trustGroupId":812}`)}
	var receipts []domain.Receipt
	for _, s := range sent {
		receipts = append(receipts, p.mustPost(t, s))
	}
	for _, r := range receipts {
		if r.Status != domain.Unrecognized {
			t.Fatalf("%+v, want it unrecognized", r)
		}
	}
	if rows := replayed(t, url, "--all", "--config", withMapping(t, "another.verb")); rows[0].Becomes != "unrecognized" || rows[0].Reason == "" {
		t.Errorf("without the mapping: %+v", rows)
	}

	config := withMapping(t, verb)
	before := view(t, url, "log/records")
	dry := replayed(t, url, "--all", "--config", config)
	if view(t, url, "log/records") != before {
		t.Error("the dry run changed the log")
	}
	booked := replayed(t, url, "--all", "--config", config, "--yes")
	for i, want := range []string{"accepted", "accepted", "quarantined"} {
		for _, rows := range [][]replayRow{dry, booked} {
			if rows[i].Delivery != receipts[i].Delivery.String() || rows[i].Was != "unrecognized" || rows[i].Becomes != want {
				t.Errorf("delivery %d: %+v, want it %s", i+1, rows[i], want)
			}
		}
	}
	if booked[2].Reason == "" || booked[0].Booked == nil || booked[0].Facts != "trustgroups.member-changed.v1" {
		t.Errorf("booked %+v", booked)
	}
	members := view(t, url, "trustgroups/members")
	if !strings.Contains(members, "812,legal_entity,4388,,Suspended") {
		t.Errorf("members:\n%s", members)
	}
	if records := view(t, url, "log/records"); !strings.Contains(records, receipts[0].Delivery.String()+",false,"+`"{""group"":""812""`) {
		t.Errorf("the record does not name its cause:\n%s", records)
	}

	after := view(t, url, "log/records")
	if rows := replayed(t, url, "--all", "--config", config, "--yes"); len(rows) != 1 || rows[0].Becomes != "quarantined" {
		t.Errorf("replayed again: %+v", rows)
	}
	if rows := replayed(t, url, receipts[0].Delivery.String(), "--config", config, "--yes"); rows[0].Becomes != "duplicate" {
		t.Errorf("replayed again by its id: %+v", rows)
	}
	p.stop(t)
	mapped := start(t, url, sampleEnv, "serve", "--config", config)
	if r := mapped.mustPost(t, sent[1]); r.Status != domain.Duplicate {
		t.Errorf("sent again under the mapping: %+v", r)
	}
	if view(t, url, "log/records") != after {
		t.Error("replaying or sending again changed the log")
	}
	if stdout, stderr, status := daybook(t, url, "projection", "verify"); status != exitDone {
		t.Errorf("verify: %s%s", stdout, stderr)
	}
}

// TestDeliveryShow shows a delivery with bytes that no terminal may get.
func TestDeliveryShow(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	for _, file := range []string{"edge/any_invalid_utf8.json", "edge/tahdah_credits_negative_and_fraction.json", "tahdah/eventCredits.Updated.json"} {
		s := sampleNamed(t, file)
		r := p.mustPost(t, s)
		id := r.Delivery.String()
		stdout, _, _ := daybook(t, url, "delivery", "show", id, "--body")
		if stdout != string(s.Body) {
			t.Errorf("%s: the body is %q", file, stdout)
		}
		stdout, _, _ = daybook(t, url, "delivery", "show", id)
		if !strings.Contains(stdout, "status    "+string(r.Status)) || !strings.Contains(stdout, "Content-Type: application/json") {
			t.Errorf("%s:\n%s", file, stdout)
		}
		if r.Status == domain.Quarantined && !strings.Contains(stdout, "\nreason ") {
			t.Errorf("%s: no reason:\n%s", file, stdout)
		}
		stdout, _, _ = daybook(t, url, "delivery", "show", id, "--json")
		var shown struct {
			ID     ulid.ULID
			Body   []byte `json:"body_base64"`
			Header http.Header
		}
		if err := json.Unmarshal([]byte(stdout), &shown); err != nil || shown.ID != r.Delivery || !bytes.Equal(shown.Body, s.Body) || shown.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %+v, %v", file, shown, err)
		}
	}
	if stdout, _, _ := daybook(t, url, "delivery", "list", "--open", "-o", "ndjson"); strings.Count(stdout, "\n") < 1 {
		t.Errorf("open:\n%s", stdout)
	}
	for _, tt := range []struct {
		args   []string
		status int
	}{
		{[]string{"show", "nonsense"}, exitUsage},
		{[]string{"show", ulid.Make().String()}, exitNotFound},
		{[]string{"replay"}, exitUsage},
		{[]string{"replay", ulid.Make().String()}, exitNotFound},
		{[]string{"list", "stauts=open"}, exitUsage},
	} {
		if _, _, status := daybook(t, url, append([]string{"delivery"}, tt.args...)...); status != tt.status {
			t.Errorf("%v: status %d, want %d", tt.args, status, tt.status)
		}
	}
}
