package main

import (
	"encoding/csv"
	"strconv"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// TestConflict posts a ledger entry, and then twice the same entry in other bytes:
// each says which delivery it contradicts, wherever it is looked at, and none is
// booked.
func TestConflict(t *testing.T) {
	url := postgrestest.URL(t)
	p := serve(t, url)
	entry := func(notes string) samples.Sample {
		return fromTahdah("finance.entry.created", `{"header":{"createdDate":"2026-03-01T09:00:00Z","notes":"`+notes+`"},"itemType":1,
			"currency":{"isoCode":"GBP"},"invoiceDetail":{"number":"I-1"},"debit":450,"credit":0}`)
	}
	first := p.mustPost(t, entry("one"))
	if !first.Contradicts.IsZero() {
		t.Errorf("the first receipt: %+v", first)
	}
	for _, notes := range []string{"two", "three"} {
		receipt := p.mustPost(t, entry(notes))
		if receipt.Status != domain.Conflicting || receipt.Contradicts != first.Delivery {
			t.Errorf("receipt %+v, want a conflict with %s", receipt, first.Delivery)
		}
		if again := p.mustPost(t, entry(notes)); again.Status != domain.Duplicate || again.Delivery != receipt.Delivery || again.Contradicts != first.Delivery {
			t.Errorf("posted again: %+v, want a repetition of %s", again, receipt.Delivery)
		}
		for _, path := range []string{"log/deliveries", "log/quarantine"} {
			row := onlyRow(t, view(t, url, path, "position="+strconv.FormatInt(receipt.Records[0].Position, 10)))
			if row["contradicts"] != first.Delivery.String() {
				t.Errorf("%s: %v, want it to contradict %s", path, row, first.Delivery)
			}
		}
		if stdout, _, _ := daybook(t, url, "delivery", "show", receipt.Delivery.String()); !strings.Contains(stdout, first.Delivery.String()) {
			t.Errorf("delivery show does not name %s:\n%s", first.Delivery, stdout)
		}
	}
	if row := onlyRow(t, view(t, url, "sales/orders")); row["total"] != "450" {
		t.Errorf("booked %v", row)
	}
}

// onlyRow returns the only row of a view by column.
func onlyRow(t *testing.T, text string) map[string]string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 2 {
		t.Fatalf("%v in %q, want one row", err, text)
	}
	row := make(map[string]string)
	for i, name := range records[0] {
		row[name] = records[1][i]
	}
	return row
}
