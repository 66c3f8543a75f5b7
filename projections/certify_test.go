package projections_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/credits"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// TestCertified: tables whose journals are not kept are summed up as those that are,
// and the states are those of the rows, one by one.
func TestCertified(t *testing.T) {
	p := credits.Projection()
	e, err := projectiontest.ReadExample("credits/testdata/sawtooth.txtar")
	if err != nil {
		t.Fatal(err)
	}
	salts := [][32]byte{{1}, {2}}
	m, c := projections.NewMemory(p), projections.NewCertified(p, salts...)
	watched := p.Tables[2] // a journal
	var leaves []tree.Hash
	c.Watch(watched, func(_ []projections.Cell, leaf tree.Hash) { leaves = append(leaves, leaf) })
	for _, r := range e.Log {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
		if err := c.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	for i, salt := range salts {
		got := c.Certificate(i)
		if got.Digest != m.Digest() || c.Position() != m.Position() {
			t.Errorf("digest %s, want %s", got.Digest, m.Digest())
		}
		for j, table := range p.Tables {
			var f tree.Frontier
			for row := range m.Rows(table) {
				r := projections.CertifiedRow(p, table, table.Cells(row), salt)
				f.Append(tree.Leaf(r.AppendBytes(nil)))
				cells, err := projections.ParseRow(table, r.JSON)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(table.Cells(row), cells); diff != "" {
					t.Errorf("%s (-want +got):\n%s", r.JSON, diff)
				}
			}
			want := certificate.Table{Name: table.Name(), Rows: int64(m.Len(table)), State: f.Root()}
			if diff := cmp.Diff(want, got.Tables[j]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	}
	if len(leaves) != m.Len(watched) || len(leaves) == 0 {
		t.Errorf("%d rows of %s were watched, of %d", len(leaves), watched.Name(), m.Len(watched))
	}
	totals := c.Certificate(-1).Totals
	if len(totals) != 2 || totals[0].Column != "remaining" || totals[0].Unit != "318" || totals[0].Sum.String() != "14" {
		t.Errorf("totals %v", totals)
	}
}

func TestParseRowRefuses(t *testing.T) {
	table := credits.Projection().Tables[1]
	good := `{"source":"a","order":"b","template":"c","line":"d"}`
	if _, err := projections.ParseRow(table, good); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"", "{}", `{"source":"a","order":"b","template":"c"}`, good + " ", `{"order":"b","source":"a","template":"c","line":"d"}`,
		`{"source":"a","order":"b","template":"c","line":4}`, `{"source":"a","order":"b","template":"c","line":"d","more":"e"}`,
	} {
		if _, err := projections.ParseRow(table, row); err == nil {
			t.Errorf("%s is read", row)
		}
	}
}
