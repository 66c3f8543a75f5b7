package postgres

import (
	"context"
	"database/sql"
	"iter"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/projections"
)

// packedTable returns the query for the rows of a table, in key order, each as one
// value: see [unpackRow]. Numbers are sent as text, everything else in its binary
// form.
func packedTable(schema string, t projections.Table) string {
	columns := t.Columns()
	names := columnNames(columns)
	list := make([]string, len(names))
	for i, c := range columns {
		list[i] = names[i]
		if c.Type == projections.TypeDecimal {
			list[i] += "::text"
		}
	}
	return `SELECT record_send(r) FROM (SELECT ` + strings.Join(list, ", ") + ` FROM ` + relation(schema, t) +
		` ORDER BY ` + strings.Join(names[:t.KeyColumns()], ", ") + `) r`
}

// unpackCells returns the cells of a row of [packedTable].
func unpackCells(b []byte, columns []projections.Column) ([]projections.Cell, error) {
	var space [48][]byte
	values := space[:0]
	if len(columns) > len(space) {
		values = make([][]byte, 0, len(columns))
	}
	values = values[:len(columns)]
	if _, err := unpackRow(b, values); err != nil {
		return nil, err
	}
	cells := make([]projections.Cell, len(columns))
	for i, v := range values {
		if v == nil {
			cells[i].Null = true
			continue
		}
		switch columns[i].Type {
		case projections.TypeInteger:
			n, err := unpackInteger(v)
			if err != nil {
				return nil, err
			}
			cells[i].Text = strconv.FormatInt(n, 10)
		case projections.TypeTime:
			at, err := unpackTime(v)
			if err != nil {
				return nil, err
			}
			cells[i] = projections.TimeCell(at)
		case projections.TypeBool:
			cells[i].Text = strconv.FormatBool(len(v) == 1 && v[0] != 0)
		default:
			cells[i].Text = string(v)
		}
	}
	return cells, nil
}

// scanTable yields all rows of a table in key order.
func scanTable(ctx context.Context, tx *sql.Tx, schema string, t projections.Table) iter.Seq2[[]projections.Cell, error] {
	return func(yield func([]projections.Cell, error) bool) {
		for cells, err := range queryPacked(ctx, tx, packedTable(schema, t), t) {
			if !yield(cells, err) || err != nil {
				return
			}
		}
	}
}

// queryPacked yields the rows that a statement gives. It is prepared, because the
// driver has what is not sent as text.
func queryPacked(ctx context.Context, tx *sql.Tx, statement string, t projections.Table) iter.Seq2[[]projections.Cell, error] {
	return func(yield func([]projections.Cell, error) bool) {
		columns := t.Columns()
		stmt, err := tx.PrepareContext(ctx, statement)
		if err != nil {
			yield(nil, err)
			return
		}
		defer stmt.Close()
		rows, err := stmt.QueryContext(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		var packed sql.RawBytes
		for rows.Next() {
			var cells []projections.Cell
			if err = rows.Scan(&packed); err == nil {
				cells, err = unpackCells(packed, columns)
			}
			if !yield(cells, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// fetchSize is how many rows a cursor reads at a time.
const fetchSize = 1000

// pullTable returns a function that gives the next row of a table in key order, nil
// after the last. Several tables may be read in turns in one transaction.
func pullTable(ctx context.Context, tx *sql.Tx, schema string, t projections.Table) (next func() ([]projections.Cell, error), err error) {
	cursor := pq.QuoteIdentifier(schema + "/" + t.Name())
	if _, err := tx.ExecContext(ctx, `DECLARE `+cursor+` NO SCROLL CURSOR FOR `+packedTable(schema, t)); err != nil {
		return nil, err
	}
	var page [][]projections.Cell
	ended := false
	return func() ([]projections.Cell, error) {
		if len(page) == 0 && !ended {
			if page, err = fetch(ctx, tx, cursor, t, page[:0]); err != nil {
				return nil, err
			}
			ended = len(page) < fetchSize
		}
		if len(page) == 0 {
			return nil, nil
		}
		row := page[0]
		page = page[1:]
		return row, nil
	}, nil
}

func fetch(ctx context.Context, tx *sql.Tx, cursor string, t projections.Table, page [][]projections.Cell) ([][]projections.Cell, error) {
	for cells, err := range queryPacked(ctx, tx, `FETCH `+strconv.Itoa(fetchSize)+` FROM `+cursor, t) {
		if err != nil {
			return nil, err
		}
		page = append(page, cells)
	}
	return page, nil
}
