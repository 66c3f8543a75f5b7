package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/daybook-ledger/daybook/projections"
)

// textArray is a text[] parameter whose elements may be null.
type textArray []projections.Cell

// Value implements [driver.Valuer].
func (a textArray) Value() (driver.Value, error) {
	var b strings.Builder
	b.Grow(2 + 16*len(a))
	b.WriteByte('{')
	for i, c := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		if c.Null {
			b.WriteString("NULL")
			continue
		}
		quote(&b, c.Text)
	}
	b.WriteByte('}')
	return b.String(), nil
}

// quote writes s as an element of an array literal.
func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for {
		i := strings.IndexAny(s, `"\`)
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		b.WriteByte('\\')
		b.WriteByte(s[i])
		s = s[i+1:]
	}
	b.WriteString(s)
	b.WriteByte('"')
}

// serverRefuses reports whether err says that the server can write nothing for
// now, whatever it is asked: its disk or its connections are exhausted (53), it is
// recovering or read-only (55, 25006), or it asks to try again (40).
func serverRefuses(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code.Class() == "53" || e.Code.Class() == "55" || e.Code.Class() == "40" || e.Code == "25006")
}

// connectionLost reports whether err says that the connection, and not the
// statement, failed: whether the statement took effect is then unknown.
func connectionLost(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		// Operator intervention (57): the server is going down or the backend was
		// killed, unless the statement was cancelled. Connection exceptions (08). The
		// server lets nobody in: credentials (28), no such database (3D).
		return e.Code.Class() == "57" && e.Code != "57014" || e.Code.Class() == "08" || e.Code.Class() == "28" || e.Code.Class() == "3D"
	}
	return false
}

// keyRaced reports whether err says that a subject has a key already: another one,
// or this very one, if the reply to writing it was lost.
func keyRaced(err error) bool {
	e := pq.As(err, pqerror.UniqueViolation)
	return e != nil && e.Table == "data_key"
}

// epochPassed reports whether a new key was wrapped in an epoch that has passed; see
// the migration that has the trigger.
func epochPassed(err error) bool { return pq.As(err, "DB001") != nil }
