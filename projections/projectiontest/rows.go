package projectiontest

import (
	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/projections"
)

// A Row is one row of a table, by column.
type Row map[string]projections.Cell

// Rows returns the rows of t in key order, with personal texts opened.
func Rows(m *projections.Memory, t projections.Table) []Row {
	columns := t.Columns()
	var rows []Row
	for row := range m.Rows(t) {
		r := make(Row, len(columns))
		for i, c := range t.Cells(row) {
			if text, err := seal.OpenText(key(), c.Text); err == nil && columns[i].Sealed {
				c.Text = text
			}
			r[columns[i].Name] = c
		}
		rows = append(rows, r)
	}
	return rows
}

// Text returns the text of a cell, "" for null.
func (r Row) Text(column string) string { return r[column].Text }

// Decimal returns the value of a cell, zero for null. It must hold a number.
func (r Row) Decimal(column string) decimal.Decimal {
	if r[column].Null {
		return decimal.Zero
	}
	return decimal.RequireFromString(r[column].Text)
}

// A Sum adds up numbers by key.
type Sum map[string]decimal.Decimal

// Add adds d under the key.
func (s Sum) Add(key string, d decimal.Decimal) { s[key] = s[key].Add(d) }
