package projections_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/daybook-ledger/daybook/projections"
)

// The digest of a table "balances" with the rows ("acme", "14") and ("bodo",
// null) and an empty table "entries", computed by hand beside it: a cell is its
// length plus one and its text, null is 0.
func ExampleDigest() {
	d := projections.NewDigest()
	d.Table("balances")
	d.Row([]projections.Cell{{Text: "acme"}, {Text: "14"}})
	d.Row([]projections.Cell{{Text: "bodo"}, {Null: true}})
	d.Table("entries")
	fmt.Println(d.Sum())

	lines := fmt.Sprintf("%x  balances\n", sha256.Sum256([]byte("\x05acme\x0314\x05bodo\x00"))) +
		fmt.Sprintf("%x  entries\n", sha256.Sum256(nil))
	sum := sha256.Sum256([]byte(lines))
	fmt.Println("h1:" + base64.StdEncoding.EncodeToString(sum[:]))
	// Output:
	// h1:7Zxjc8wz6FHLGS53Ggw369EOqL5hmDgweAvVMp6SRrQ=
	// h1:7Zxjc8wz6FHLGS53Ggw369EOqL5hmDgweAvVMp6SRrQ=
}

// TestDigestTellsApart checks that tables which hold different rows never look
// alike.
func TestDigestTellsApart(t *testing.T) {
	text := func(s ...string) (cells []projections.Cell) {
		for _, s := range s {
			cells = append(cells, projections.Cell{Text: s})
		}
		return cells
	}
	type table struct {
		name string
		rows [][]projections.Cell
	}
	long := make([]byte, 300)
	seen := make(map[string]int)
	for i, tables := range [][]table{
		{},
		{{"a", nil}},
		{{"b", nil}},
		{{"a", nil}, {"b", nil}},
		{{"b", nil}, {"a", nil}},
		{{"a", [][]projections.Cell{text("")}}},
		{{"a", [][]projections.Cell{{{Null: true}}}}},
		{{"a", [][]projections.Cell{text("xy", "z")}}},
		{{"a", [][]projections.Cell{text("x", "yz")}}},
		{{"a", [][]projections.Cell{text("z", "xy")}}},
		{{"a", [][]projections.Cell{text("x"), text("y")}}},
		{{"a", [][]projections.Cell{text("y"), text("x")}}},
		{{"a", [][]projections.Cell{text("x")}}, {"b", [][]projections.Cell{text("y")}}},
		{{"a", [][]projections.Cell{text(string(long))}}},
		{{"a", [][]projections.Cell{text(string(long[1:]))}}},
	} {
		d := projections.NewDigest()
		for _, table := range tables {
			d.Table(table.name)
			for _, row := range table.rows {
				d.Row(row)
			}
		}
		sum := d.Sum()
		if j, ok := seen[sum]; ok {
			t.Errorf("%d and %d have the same digest", i, j)
		}
		seen[sum] = i
	}
}
