package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// sqlTypes says how the cells of each type are kept.
var sqlTypes = map[projections.Type]string{
	projections.TypeText:    `text COLLATE "C"`,
	projections.TypeInteger: "bigint",
	projections.TypeDecimal: "numeric",
	projections.TypeTime:    "timestamptz",
	projections.TypeBool:    "boolean",
}

// arrayType returns the type of an array parameter of cells.
func arrayType(t projections.Type) string {
	return strings.TrimSuffix(sqlTypes[t], ` COLLATE "C"`) + "[]"
}

// relation returns the quoted name of a projection's table.
func relation(schema string, t projections.Table) string {
	return pq.QuoteIdentifier(schema) + "." + pq.QuoteIdentifier(t.Name())
}

func columnNames(columns []projections.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = pq.QuoteIdentifier(c.Name)
	}
	return names
}

// createTable creates a table without its key and indexes.
func createTable(ctx context.Context, tx *sql.Tx, schema string, t projections.Table) error {
	var defs []string
	for _, c := range t.Columns() {
		def := pq.QuoteIdentifier(c.Name) + " " + sqlTypes[c.Type]
		if !c.Optional {
			def += " NOT NULL"
		}
		defs = append(defs, def)
	}
	_, err := tx.ExecContext(ctx, `CREATE TABLE `+relation(schema, t)+` (`+strings.Join(defs, ", ")+`)`)
	return err
}

// indexTable adds the key and the indexes of a table.
func indexTable(ctx context.Context, tx *sql.Tx, schema string, t projections.Table) error {
	names := columnNames(t.Columns())
	statements := []string{`ALTER TABLE ` + relation(schema, t) + ` ADD PRIMARY KEY (` + strings.Join(names[:t.KeyColumns()], ", ") + `)`}
	for _, index := range t.Indexes() {
		quoted := make([]string, len(index))
		for i, name := range index {
			quoted[i] = pq.QuoteIdentifier(name)
		}
		statements = append(statements, `CREATE INDEX ON `+relation(schema, t)+` (`+strings.Join(quoted, ", ")+`)`)
	}
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// scanCells reads a row of table cells. extra are scanned before them.
func scanCells(rows *sql.Rows, columns []projections.Column, extra ...any) ([]projections.Cell, error) {
	raw := make([]any, len(columns))
	dest := append([]any(nil), extra...)
	for i := range raw {
		dest = append(dest, &raw[i])
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	cells := make([]projections.Cell, len(columns))
	for i, v := range raw {
		switch v := v.(type) {
		case nil:
			cells[i] = projections.Cell{Null: true}
		case string:
			cells[i].Text = v
		case []byte:
			cells[i].Text = string(v)
		case int64:
			cells[i].Text = strconv.FormatInt(v, 10)
		case bool:
			cells[i].Text = strconv.FormatBool(v)
		case time.Time:
			cells[i] = projections.TimeCell(v)
		default:
			return nil, fmt.Errorf("column %s holds a %T", columns[i].Name, v)
		}
	}
	return cells, nil
}

// load makes the rows with the missing keys known to the batch.
func load(ctx context.Context, tx *sql.Tx, schema string, p *projections.Projection, b *projections.Batch, missing map[string][]string) error {
	for _, t := range p.Tables {
		keys := missing[t.Name()]
		if len(keys) == 0 {
			continue
		}
		for _, key := range keys {
			b.Load(t, key, nil)
		}
		if err := loadTable(ctx, tx, schema, t, b, keys); err != nil {
			return err
		}
	}
	return nil
}

func loadTable(ctx context.Context, tx *sql.Tx, schema string, t projections.Table, b *projections.Batch, keys []string) error {
	columns := t.Columns()
	names := columnNames(columns)
	keyArrays := make([]textArray, t.KeyColumns())
	for _, key := range keys {
		for i, part := range projections.SplitKey(key) {
			keyArrays[i] = append(keyArrays[i], cell(part))
		}
	}
	var params, on []string
	var args []any
	for i, a := range keyArrays {
		params = append(params, fmt.Sprintf("$%d::text[]", i+1))
		on = append(on, fmt.Sprintf("t.%s = k.%s", names[i], names[i]))
		args = append(args, a)
	}
	rows, err := tx.QueryContext(ctx, `SELECT t.`+strings.Join(names, ", t.")+
		` FROM unnest(`+strings.Join(params, ", ")+`) AS k (`+strings.Join(names[:t.KeyColumns()], ", ")+`) JOIN `+
		relation(schema, t)+` t ON `+strings.Join(on, " AND "), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		cells, err := scanCells(rows, columns)
		if err != nil {
			return err
		}
		row, err := t.Parse(cells)
		if err != nil {
			return domain.Errorf(domain.Differs, "read "+schema, "%w", err).
				WithHint("The table was changed by hand; run: daybook projection rebuild " + schema)
		}
		key := make([]string, t.KeyColumns())
		for i := range key {
			key[i] = cells[i].Text
		}
		b.Load(t, projections.JoinKey(key), row)
	}
	return rows.Err()
}

// write writes what a batch changed in one table.
func write(ctx context.Context, tx *sql.Tx, schema string, c projections.Changes) error {
	t := c.Table
	names := columnNames(t.Columns())
	key := strings.Join(names[:t.KeyColumns()], ", ")
	if len(c.Removed) > 0 {
		arrays := make([]textArray, t.KeyColumns())
		params, args := make([]string, len(arrays)), make([]any, len(arrays))
		for _, k := range c.Removed {
			for i, part := range projections.SplitKey(k) {
				arrays[i] = append(arrays[i], cell(part))
			}
		}
		for i := range arrays {
			params[i], args[i] = fmt.Sprintf("$%d::text[]", i+1), arrays[i]
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM `+relation(schema, t)+` WHERE (`+key+`) IN (SELECT * FROM unnest(`+strings.Join(params, ", ")+`))`, args...)
		if err != nil {
			return err
		}
	}
	if len(c.Append) > 0 {
		if err := insert(ctx, tx, schema, t, c.Append, ""); err != nil {
			return err
		}
	}
	if len(c.Put) == 0 {
		return nil
	}
	var set []string
	for _, name := range names[t.KeyColumns():] {
		set = append(set, name+" = excluded."+name)
	}
	conflict := ` ON CONFLICT (` + key + `) DO NOTHING`
	if len(set) > 0 {
		conflict = ` ON CONFLICT (` + key + `) DO UPDATE SET ` + strings.Join(set, ", ")
	}
	return insert(ctx, tx, schema, t, c.Put, conflict)
}

func insert(ctx context.Context, tx *sql.Tx, schema string, t projections.Table, rows [][]projections.Cell, conflict string) error {
	columns := t.Columns()
	arrays := make([]textArray, len(columns))
	for i := range arrays {
		arrays[i] = make(textArray, 0, len(rows))
	}
	for _, row := range rows {
		for i, c := range row {
			arrays[i] = append(arrays[i], c)
		}
	}
	params, args := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		params[i], args[i] = fmt.Sprintf("$%d::%s", i+1, arrayType(c.Type)), arrays[i]
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO `+relation(schema, t)+` (`+strings.Join(columnNames(columns), ", ")+
		`) SELECT * FROM unnest(`+strings.Join(params, ", ")+`)`+conflict, args...)
	return err
}
