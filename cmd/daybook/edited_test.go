package main

import (
	"os"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// TestReplayEdited posts bodies that a customer edited, is told how to read them,
// and replays them: each is booked once.
func TestReplayEdited(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	commas := sampleNamed(t, "edge/braincert_sale_strings_mixed_case.json")
	flat := samples.Sample{
		File: "flat", Provider: "braincert", Header: commas.Header.Clone(),
		Body: []byte(`<sale><number>A-17</number><sum>1,250.00</sum><currency>gbp</currency><status>paid</status></sale>`),
	}
	for _, s := range []samples.Sample{commas, flat} {
		if r := p.mustPost(t, s); r.Status != domain.Quarantined {
			t.Fatalf("%s: %+v, want it in quarantine", s.File, r)
		}
	}
	config := withBraincert(t, `
topic = "New Sale"
thousands = ","
[source.fields]
"payload" = [""]
"payload/order_id" = ["/number"]
"payload/total" = ["/sum"]
"payload/payment_status" = ["/status"]
`)
	for range 2 {
		rows := replayed(t, url, "--all", "--config", config, "--yes")
		for _, row := range rows {
			if row.Becomes != "accepted" {
				t.Errorf("%+v", row)
			}
		}
	}
	orders := view(t, url, "sales/orders")
	for _, want := range []string{",ORD_qk7TZx2MbV,USD,1180,1180,", ",A-17,GBP,1250,1250,"} {
		if strings.Count(orders, want) != 1 {
			t.Errorf("no order %s in\n%s", want, orders)
		}
	}
}

// withBraincert writes the sample configuration with more about its source of
// BrainCert, and returns its name.
func withBraincert(t *testing.T, options string) string {
	t.Helper()
	const secrets = "secrets = [\"env:BRAINCERT\"]\n"
	if !strings.Contains(sampleTOML, secrets) {
		t.Fatal("the sample configuration has another form")
	}
	file := t.TempDir() + "/edited.toml"
	if err := os.WriteFile(file, []byte(strings.Replace(sampleTOML, secrets, secrets+options, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
