package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/projections"
)

// copyStatement returns the statement that takes the lines of [appendCopy].
func copyStatement(schema string, t projections.Table) string {
	return `COPY ` + relation(schema, t) + ` (` + strings.Join(columnNames(t.Columns()), ", ") + `) FROM STDIN`
}

// appendCopy appends a row as a line of COPY's text format.
func appendCopy(b []byte, row *projections.RowText) []byte {
	for i := range row.Len() {
		if i > 0 {
			b = append(b, '\t')
		}
		text, null := row.Cell(i)
		if null {
			b = append(b, `\N`...)
			continue
		}
		for _, c := range text {
			switch c {
			case '\\':
				b = append(b, `\\`...)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, c)
			}
		}
	}
	return append(b, '\n')
}

// copyText runs a COPY over whole lines, in the transaction that is under way on
// the connection. The driver's own way takes rows value by value, which costs more
// than all else that is done for a row.
func copyText(ctx context.Context, conn *sql.Conn, statement string, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	err := conn.Raw(func(c any) error {
		preparer, ok := c.(driver.ConnPrepareContext)
		if !ok {
			return fmt.Errorf("%T prepares no statements", c)
		}
		stmt, err := preparer.PrepareContext(ctx, statement)
		if err != nil {
			return err
		}
		in, ok := stmt.(interface {
			CopyData(ctx context.Context, line string) (driver.Result, error)
			Exec(args []driver.Value) (driver.Result, error)
		})
		if !ok {
			return errors.Join(fmt.Errorf("%T takes no lines", stmt), stmt.Close())
		}
		// It adds the last newline itself.
		if _, err := in.CopyData(ctx, string(lines[:len(lines)-1])); err != nil {
			return errors.Join(err, stmt.Close())
		}
		_, err = in.Exec(nil)
		return errors.Join(err, stmt.Close())
	})
	return unreachable(err)
}
