package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// enrolment is a signed Thinkific delivery with an id of its own.
func enrolment(id string) samples.Sample {
	body := fmt.Appendf(nil, `{"id":%q,"resource":"enrollment","action":"created","created_at":"2026-03-01T14:17:01.924Z",`+
		`"payload":{"id":1,"course_id":4410,"course":{"id":4410,"name":"Confined Spaces Entry"},"user":{"id":%q}}}`, id, id)
	return signedThinkific(id, body)
}

// signedThinkific is a delivery of those bytes, signed as Thinkific signs.
func signedThinkific(id string, body []byte) samples.Sample {
	mac := hmac.New(sha256.New, []byte(samples.ThinkificKey))
	mac.Write(body)
	return samples.Sample{
		File: id, Provider: "thinkific", Body: body,
		Header: http.Header{
			"Content-Type":            {"application/json"},
			"X-Thinkific-Hmac-Sha256": {hex.EncodeToString(mac.Sum(nil))},
		},
	}
}

// load posts n deliveries of its own from each of several senders to servers,
// in turn, until each is acknowledged or alive says that it never will be. It
// returns the receipts by delivery id.
func load(ctx context.Context, senders, n int, servers []*process, receipts *sync.Map) *sync.WaitGroup {
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range n {
				sample := enrolment(fmt.Sprintf("%d-%d", s, i))
				status, receipt, err := servers[(s+i)%len(servers)].post(ctx, sample)
				if err != nil || status != http.StatusOK {
					return
				}
				receipts.Store(sample.File, receipt)
			}
		})
	}
	return &wg
}

// checkReceipts checks that the log holds what was acknowledged, once, where the
// receipt says, and that positions are dense.
func checkReceipts(t *testing.T, url string, receipts *sync.Map) (acknowledged, records int) {
	t.Helper()
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	checkVerified(t, db)
	head, err := postgres.Head(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string]int64)
	for page, err := range postgres.Records(t.Context(), db, 0, head) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if err := r.Decode(); err != nil {
				t.Fatal(err)
			}
			id := r.Event.(domain.LearningEnrolled).Person
			if first, twice := at[id]; twice {
				t.Errorf("%s is at %d and at %d", id, first, r.Position)
			}
			at[id] = r.Position
			if !strings.HasPrefix(id, probe) {
				records++
			}
		}
	}
	receipts.Range(func(id, receipt any) bool {
		acknowledged++
		if want := receipt.(domain.Receipt).Records[0].Position; at[id.(string)] != want {
			t.Errorf("%s was acknowledged at %d and is at %d", id, want, at[id.(string)])
		}
		return true
	})
	return acknowledged, records
}

// TestKilled kills serve with SIGKILL in the middle of a load, three times over,
// and lets the senders send everything again: no acknowledged delivery is lost,
// none is counted twice.
func TestKilled(t *testing.T) {
	const senders, each = 8, 400
	url := postgrestest.URL(t)
	var receipts sync.Map
	for range 3 {
		p := serve(t, url)
		wg := load(t.Context(), senders, each, []*process{p}, &receipts)
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			awaitRecords(t, p, 200)
			p.kill()
		}()
		wg.Wait()
		<-killed
		checkReceipts(t, url, &receipts)
	}
	p := serve(t, url)
	load(t.Context(), senders, each, []*process{p}, &receipts).Wait()
	acknowledged, records := checkReceipts(t, url, &receipts)
	if acknowledged != senders*each || records != senders*each {
		t.Errorf("%d acknowledged, %d records, want %d", acknowledged, records, senders*each)
	}
	if stdout, stderr, status := daybook(t, url, "projection", "verify"); status != exitDone {
		t.Errorf("verify: status %d\n%s%s", status, stdout, stderr)
	}
}

// probe begins the ids of deliveries that only ask how far the log is.
const probe = "probe-"

// awaitRecords returns once the server has appended n more records.
func awaitRecords(t *testing.T, p *process, n int64) {
	first := int64(0)
	for t.Context().Err() == nil {
		// Each probe is answered with the position of a record: no clock is needed.
		_, receipt, err := p.post(t.Context(), enrolment(fmt.Sprintf(probe+"%p-%d", p, n)))
		if err != nil {
			return
		}
		at := receipt.Records[0].Position
		if first == 0 {
			first = at
		}
		if at >= first+n {
			return
		}
		first = min(first, at)
		n--
	}
}

// TestTwoServers lets two processes append to one database at once.
func TestTwoServers(t *testing.T) {
	const senders, each = 8, 150
	url := postgrestest.URL(t)
	servers := []*process{serve(t, url), serve(t, url)}
	var receipts sync.Map
	load(t.Context(), senders, each, servers, &receipts).Wait()
	if acknowledged, records := checkReceipts(t, url, &receipts); acknowledged != senders*each || records != senders*each {
		t.Errorf("%d acknowledged, %d records, want %d", acknowledged, records, senders*each)
	}
	if stdout, stderr, status := daybook(t, url, "projection", "verify"); status != exitDone {
		t.Errorf("verify: status %d\n%s%s", status, stdout, stderr)
	}
}

// TestTampered changes one balance by hand: verify says which.
func TestTampered(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	p.mustPost(t, sampleNamed(t, "tahdah/eventCredits.Updated.json"))
	if !strings.Contains(view(t, url, "credits/balances"), "70412") {
		t.Fatal("the credit line is not there")
	}
	db := postgrestest.Open(t, url, postgres.RoleOwner)
	if _, err := db.ExecContext(t.Context(), `UPDATE credits.balances SET remaining = remaining + 1`); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := daybook(t, url, "projection", "verify", "credits")
	if status != exitDiffers {
		t.Errorf("status %d, want %d\n%s%s", status, exitDiffers, stdout, stderr)
	}
	for _, want := range []string{"FAIL", "balances", "70412", `remaining is "15", the log gives "14"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("verify does not say %q:\n%s", want, stdout)
		}
	}
	if stdout, stderr, status := daybook(t, url, "projection", "rebuild", "credits"); status != exitDone {
		t.Errorf("rebuild: status %d\n%s%s", status, stdout, stderr)
	}
	if stdout, stderr, status := daybook(t, url, "projection", "verify", "credits"); status != exitDone {
		t.Errorf("verify after rebuild: status %d\n%s%s", status, stdout, stderr)
	}
}

// TestRefusals sends what must not get in.
func TestRefusals(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	good := enrolment("good")
	forged := enrolment("forged")
	forged.Header.Set("X-Thinkific-Hmac-Sha256", good.Header.Get("X-Thinkific-Hmac-Sha256"))
	unsigned := enrolment("unsigned")
	unsigned.Header.Del("X-Thinkific-Hmac-Sha256")
	large := enrolment("large")
	large.Body = bytes.Repeat([]byte("x"), 1<<20+1)
	encoded := enrolment("encoded")
	encoded.Header.Set("Content-Encoding", "gzip")
	elsewhere := enrolment("elsewhere")
	elsewhere.Provider = "nobody"
	for _, tt := range []struct {
		sample samples.Sample
		want   int
	}{
		{good, 200}, {forged, 401}, {unsigned, 401}, {large, 413}, {encoded, 415}, {elsewhere, 404},
	} {
		if status, _, err := p.post(t.Context(), tt.sample); err != nil || status != tt.want {
			t.Errorf("%s: status %d, %v, want %d", tt.sample.File, status, err, tt.want)
		}
	}
	if got := strings.Count(view(t, url, "log/deliveries"), "\n") - 1; got != 1 {
		t.Errorf("%d deliveries were recorded, want 1", got)
	}
}

// TestStoppedAndRebuilt spoils a table so that a fold stops, rebuilds it beside
// the running server, and wants the server to go on with it.
func TestStoppedAndRebuilt(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	p.mustPost(t, sampleNamed(t, "tahdah/trustGroup.memberUpdated.ASSUMED.json"))
	p.awaitProjection(t, "trustgroups", "running", 1)
	owner := postgrestest.Open(t, url, postgres.RoleOwner)
	if _, err := owner.ExecContext(t.Context(), `UPDATE trustgroups.members SET facts = 'spoilt'`); err != nil {
		t.Fatal(err)
	}
	p.mustPost(t, member("suspended"))
	p.awaitProjection(t, "trustgroups", "stopped", 1)
	p.awaitProjection(t, "credits", "running", 2) // the others go on
	if stdout, stderr, status := daybook(t, url, "projection", "rebuild", "trustgroups"); status != exitDone {
		t.Fatalf("rebuild: status %d\n%s%s", status, stdout, stderr)
	}
	p.mustPost(t, member("active"))
	p.awaitProjection(t, "trustgroups", "running", 3)
	if stdout, stderr, status := daybook(t, url, "projection", "verify"); status != exitDone {
		t.Errorf("verify: status %d\n%s%s", status, stdout, stderr)
	}
}

// member is a signed change of the sample's trust-group member.
func member(status string) samples.Sample {
	body := fmt.Appendf(nil, `{"trustGroupId":812,"legalEntityId":4388,"status":%q}`, status)
	mac := hmac.New(sha256.New, []byte(samples.TahdahSecret))
	mac.Write(body)
	return samples.Sample{
		File: "member " + status, Provider: "tahdah", Body: body,
		Header: http.Header{
			"Webhook-Verb":      {"trustGroups.memberUpdated"},
			"Webhook-Signature": {hex.EncodeToString(mac.Sum(nil))},
		},
	}
}

// awaitProjection asks the server until the projection is in a status and at a
// position.
func (p *process) awaitProjection(t *testing.T, name, status string, position int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	want := fmt.Sprintf("%s,%s,%d", name, status, position)
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v1/log/projections.csv?name="+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s is never %s at %d: %v\n%s", name, status, position, err, p.log())
		}
		rows, err := csv.NewReader(response.Body).ReadAll()
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 2 && strings.Join([]string{rows[1][0], rows[1][2], rows[1][3]}, ",") == want {
			return
		}
	}
}
