package audit_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/audit"
	"github.com/daybook-ledger/daybook/projections/credits"
)

// rowFile returns a row of a table with its proof, and the row as it is shown.
func rowFile(t *testing.T, l *log, k key, p *projections.Projection, table projections.Table, index int64) []byte {
	t.Helper()
	c := l.certificate(t, k, p, l.n, nil)
	var hashes stored
	var row certificate.Row
	n := int64(0)
	for r := range memory(t, p, l.records()).Rows(table) {
		certified := projections.CertifiedRow(p, table, table.Cells(r), c.salt)
		if n == index {
			row = certified
		}
		more, err := tlog.StoredHashesForRecordHash(n, tree.Leaf(certified.AppendBytes(nil)), hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		n++
	}
	proof, err := tree.ProveInclusion(n, index, hashes)
	if err != nil {
		t.Fatal(err)
	}
	file := certificate.Proof{Row: row, Index: index, Hashes: proof, Certificate: c.note}
	return file.AppendBytes(nil)
}

// stored is a tree in memory.
type stored []tree.Hash

func (s stored) ReadHashes(indexes []int64) ([]tree.Hash, error) {
	hashes := make([]tree.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = s[x]
	}
	return hashes, nil
}

func TestStatement(t *testing.T) {
	l, k, p := sampleLog(t), newKey(t, "log"), credits.Projection()
	o := audit.Options{Keys: []note.Verifier{k.verifier}}
	other := audit.Options{Keys: []note.Verifier{newKey(t, "other").verifier}}
	for name, file := range map[string][]byte{
		"certificate": l.certificate(t, k, p, l.n, nil).note,
		"row":         rowFile(t, l, k, p, p.Tables[2], 1),
	} {
		r := audit.Statement(file, o)
		if r.Result != domain.OK || r.Type != name || len(r.By) != 1 || r.Position != l.n || (name == "row") != (r.Row != nil) {
			t.Errorf("%s: %+v", name, r)
		}
		for says, o := range map[string]audit.Options{"no key was given": {}, "none of the keys given signed it": other} {
			if r := audit.Statement(file, o); r.Result != domain.Incomplete || !strings.Contains(r.Missing[0], says) || r.Position != l.n || len(r.By) > 0 {
				t.Errorf("%s: %+v; want %q", name, r, says)
			}
		}
		for i := range file {
			changed := bytes.Clone(file)
			changed[i] ^= 1
			if r := audit.Statement(changed, o); r.Result == domain.OK {
				t.Errorf("%s: byte %d changed, and it is OK", name, i)
			}
		}
		held := audit.Options{Keys: o.Keys, Checkpoints: map[string][]byte{"mine": l.checkpoint(t, k, l.n, 1)}}
		if r := audit.Statement(file, held); r.Result != domain.OK {
			t.Errorf("%s: with its checkpoint: %+v", name, r)
		}
		l2 := sampleLog(t)
		l2.list[0].records[0].Data = append(l2.list[0].records[0].Data, ' ')
		held.Checkpoints["mine"] = l2.checkpoint(t, k, l.n, 1)
		if r := audit.Statement(file, held); r.Result != domain.Fail || r.Findings[0].Where != "mine" {
			t.Errorf("%s: with the checkpoint of another log: %+v", name, r)
		}
		held.Checkpoints["mine"] = l.checkpoint(t, k, l.n, 2)
		if r := audit.Statement(file, held); r.Result != domain.Fail || r.Findings[0].Where != "mine" {
			t.Errorf("%s: with the checkpoint of another epoch: %+v", name, r)
		}
		held.Checkpoints["mine"] = l.checkpoint(t, k, l.n-1, 1)
		if r := audit.Statement(file, held); r.Result != domain.Incomplete || len(r.Missing) != 1 {
			t.Errorf("%s: with a checkpoint that nothing is compared with: %+v", name, r)
		}
	}
}

// TestNeighbours: what a row and its proof hold of other rows are hashes, and whoever
// has guessed another row cannot tell that he is right.
func TestNeighbours(t *testing.T) {
	l, k, p := smallLog(t), newKey(t, "log"), credits.Projection()
	table := p.Tables[2] // entries: some rows
	file := string(rowFile(t, l, k, p, table, 0))
	guess := memory(t, p, l.records())
	n := 0
	for r := range guess.Rows(table) {
		if n++; n == 1 {
			continue
		}
		cells := table.Cells(r)
		row := projections.CertifiedRow(p, table, cells, [32]byte{})
		for _, salt := range [][32]byte{{}, row.Salt} {
			row.Salt = salt
			leaf := tree.Leaf(row.AppendBytes(nil))
			if strings.Contains(file, base64of(leaf[:])) {
				t.Errorf("row %d is recognised", n)
			}
		}
		if strings.Contains(file, row.JSON) {
			t.Errorf("row %d is shown", n)
		}
	}
	if n < 3 {
		t.Fatalf("%d rows", n)
	}
}
