package projections

import (
	"math"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// A RowText is the cells of one row in one piece of memory, so that a row can be
// hashed or written out without an allocation for each of its cells. It can be
// used again and again. The zero RowText is a row without cells.
type RowText struct {
	text []byte
	ends []int // of each cell in text; ^end says that it is null
}

// Set makes r the row of a table.
func (r *RowText) Set(t Table, row any) {
	r.text, r.ends = r.text[:0], r.ends[:0]
	if w, ok := t.(interface{ write(any, *RowText) }); ok {
		w.write(row, r)
		return
	}
	r.SetCells(t.Cells(row))
}

// SetCells makes r a row of the given cells.
func (r *RowText) SetCells(cells []Cell) {
	r.text, r.ends = r.text[:0], r.ends[:0]
	for _, c := range cells {
		r.text = append(r.text, c.Text...)
		r.end(c.Null)
	}
}

// Len returns how many cells there are.
func (r *RowText) Len() int { return len(r.ends) }

// Cell returns the text of a cell, and whether it is null. The text is overwritten
// by the next row.
func (r *RowText) Cell(i int) (text []byte, null bool) {
	start := 0
	if i > 0 {
		start = max(r.ends[i-1], ^r.ends[i-1])
	}
	end := r.ends[i]
	if end < 0 {
		return nil, true
	}
	return r.text[start:end], false
}

// Cells returns a copy of the cells.
func (r *RowText) Cells() []Cell {
	cells := make([]Cell, r.Len())
	for i := range cells {
		text, null := r.Cell(i)
		cells[i] = Cell{Text: string(text), Null: null}
	}
	return cells
}

// end ends a cell.
func (r *RowText) end(null bool) {
	end := len(r.text)
	if null {
		end = ^end
	}
	r.ends = append(r.ends, end)
}

// writeFields writes the cells of a row.
func writeFields[R any](into *RowText, fields []Field[R], row *R) {
	for i := range fields {
		f := &fields[i]
		if f.append == nil {
			c := f.get(row)
			into.text = append(into.text, c.Text...)
			into.end(c.Null)
			continue
		}
		var null bool
		into.text, null = f.append(into.text, row)
		into.end(null)
	}
}

// appendDecimal appends what d's String returns.
func appendDecimal(b []byte, d decimal.Decimal) []byte {
	n, exponent := d.CoefficientInt64(), int(d.Exponent())
	if exponent > 0 || exponent < -18 || n == math.MinInt64 || d.NumDigits() > 18 {
		return append(b, d.String()...)
	}
	for exponent < 0 && n%10 == 0 {
		n, exponent = n/10, exponent+1
	}
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	if exponent == 0 {
		return strconv.AppendInt(b, n, 10)
	}
	unit := int64(1)
	for range -exponent {
		unit *= 10
	}
	b = append(strconv.AppendInt(b, n/unit, 10), '.')
	for n, unit = n%unit, unit/10; unit > 0; unit /= 10 {
		b = append(b, byte('0'+n/unit%10))
	}
	return b
}

// appendTime appends the text of [TimeCell].
func appendTime(b []byte, t time.Time) (_ []byte, null bool) {
	if t.IsZero() {
		return b, true
	}
	return t.UTC().AppendFormat(b, time.RFC3339Nano), false
}
