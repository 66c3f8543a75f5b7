package projections_test

import (
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/projections"
)

// TestRowText: a row in one piece of memory has the cells that the row has.
func TestRowText(t *testing.T) {
	type row struct {
		key string
		n   decimal.Decimal
		at  *decimal.Decimal
	}
	table := projections.NewKeyed("rows", 1,
		projections.Text("key", func(r *row) *string { return &r.key }),
		projections.Decimal("n", func(r *row) *decimal.Decimal { return &r.n }),
		projections.OptionalDecimal("at", func(r *row) **decimal.Decimal { return &r.at }),
	)
	var text projections.RowText
	rapid.Check(t, func(t *rapid.T) {
		r := &row{key: rapid.String().Draw(t, "key"), n: decimal.New(rapid.Int64().Draw(t, "digits"), rapid.Int32Range(-25, 25).Draw(t, "exponent"))}
		if rapid.Bool().Draw(t, "small") {
			r.n = decimal.New(rapid.Int64Range(-2000, 2000).Draw(t, "small digits"), rapid.Int32Range(-5, 1).Draw(t, "small exponent"))
		}
		if rapid.Bool().Draw(t, "there") {
			r.at = &r.n
		}
		text.Set(table, r)
		if want := table.Cells(r); !slices.Equal(text.Cells(), want) {
			t.Fatalf("%+v, want %+v", text.Cells(), want)
		}
		text.SetCells([]projections.Cell{{Text: "a"}, {Null: true}, {}, {Text: "b"}})
		if want := []projections.Cell{{Text: "a"}, {Null: true}, {}, {Text: "b"}}; !slices.Equal(text.Cells(), want) {
			t.Fatalf("%+v, want %+v", text.Cells(), want)
		}
	})
}
