package projections

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Total is a column of numbers that adds up to something over the rows of one
// unit, such as the credits of one template that remain.
type Total struct {
	Table  Table  // a keyed one
	Column string // decimal; null counts as nothing
	By     string // text: the unit
}

// A Certified is a projection's tables in memory of which certificates are made.
// Journals are summed up as they grow and not kept: it needs memory for its keyed
// rows, not for the log.
type Certified struct {
	*Memory
	salts   [][32]byte
	states  map[string][]*tableState // of journals, by name
	watched Table                    // may be nil
	watch   func(cells []Cell, leaf tree.Hash)
}

// NewCertified returns empty tables for p, of which certificates with the given
// salts can be made.
func NewCertified(p *Projection, salts ...[32]byte) *Certified {
	c := &Certified{Memory: NewMemory(p), salts: salts, states: make(map[string][]*tableState)}
	for _, t := range p.Tables {
		for _, salt := range salts {
			if t.IsJournal() {
				c.states[t.Name()] = append(c.states[t.Name()], &tableState{projection: p, table: t, salt: salt})
			}
		}
	}
	c.Stream(func(t Table, row *RowText) {
		if len(salts) > 0 {
			c.appended(t, row.Cells())
		}
	})
	return c
}

// appended adds a row of a journal to its states.
func (c *Certified) appended(t Table, cells []Cell) {
	for i, s := range c.states[t.Name()] {
		if leaf := s.add(cells); i == 0 && c.watched == t {
			c.watch(cells, leaf)
		}
	}
}

// Watch has each told the rows of a table in their order, with the leaves that a
// certificate with the first salt commits to: those of a journal while they are
// folded, those of a keyed table by [Certified.Certificate].
func (c *Certified) Watch(t Table, each func(cells []Cell, leaf tree.Hash)) {
	c.watched, c.watch = t, each
}

// Certificate returns what a certificate with the salt of that index says of the
// tables as they are now. Origin, position and root are left to the caller. With
// an index of -1 the states are left out.
func (c *Certified) Certificate(salt int) certificate.Certificate {
	p := c.Projection()
	cert := certificate.Certificate{Projection: p.Name, Version: p.Version, Digest: c.Digest(), Totals: c.totals()}
	for _, t := range p.Tables {
		line := certificate.Table{Name: t.Name(), Rows: int64(c.Len(t))}
		if salt >= 0 {
			line.State = c.state(t, salt)
		}
		cert.Tables = append(cert.Tables, line)
	}
	return cert
}

// state returns the root of the tree over the rows of t.
func (c *Certified) state(t Table, salt int) tree.Hash {
	if t.IsJournal() {
		return c.states[t.Name()][salt].frontier.Root()
	}
	s := &tableState{projection: c.Projection(), table: t, salt: c.salts[salt]}
	for row := range c.Rows(t) {
		cells := t.Cells(row)
		if leaf := s.add(cells); c.watched == t {
			c.watch(cells, leaf)
		}
	}
	return s.frontier.Root()
}

// totals returns the sums that the projection declares, by unit.
func (c *Certified) totals() []certificate.Total {
	var list []certificate.Total
	for _, total := range c.Projection().Totals {
		column, by := columnOf(total.Table, total.Column), columnOf(total.Table, total.By)
		sums := make(map[string]decimal.Decimal)
		for row := range c.Rows(total.Table) {
			cells := total.Table.Cells(row)
			n := decimal.Zero
			if !cells[column].Null {
				n = decimal.RequireFromString(cells[column].Text)
			}
			sums[cells[by].Text] = sums[cells[by].Text].Add(n)
		}
		for _, unit := range slices.Sorted(maps.Keys(sums)) {
			list = append(list, certificate.Total{Table: total.Table.Name(), Column: total.Column, Sum: sums[unit], Unit: unit})
		}
	}
	return list
}

func columnOf(t Table, name string) int {
	i := slices.IndexFunc(t.Columns(), func(c Column) bool { return c.Name == name })
	if i < 0 {
		panic("table " + t.Name() + " has no column " + name)
	}
	return i
}

// A tableState is the tree that a certificate commits to of one table.
type tableState struct {
	projection *Projection
	table      Table
	salt       [32]byte
	frontier   tree.Frontier
	buf        []byte
}

// add adds the next row and returns its leaf.
func (s *tableState) add(cells []Cell) tree.Hash {
	row := CertifiedRow(s.projection, s.table, cells, s.salt)
	s.buf = row.AppendBytes(s.buf[:0])
	leaf := tree.Leaf(s.buf)
	s.frontier.Append(leaf)
	return leaf
}

// CertifiedRow returns a row of a table of p as a certificate with the salt
// commits to it.
func CertifiedRow(p *Projection, t Table, cells []Cell, salt [32]byte) certificate.Row {
	return certificate.Row{
		Projection: p.Name, Version: p.Version, Table: t.Name(),
		Salt: certificate.RowSalt(salt, t.Name(), rowKey(t, cells)), JSON: rowJSON(t, cells),
	}
}

// rowKey returns the key of a row as one text.
func rowKey(t Table, cells []Cell) string {
	key := make([]string, t.KeyColumns())
	for i := range key {
		key[i] = cells[i].Text
	}
	return JoinKey(key)
}

// rowJSON returns a row as it is certified: every cell as text, or null.
func rowJSON(t Table, cells []Cell) string {
	b := []byte{'{'}
	for i, column := range t.Columns() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, column.Name), ':')
		if cells[i].Null {
			b = append(b, "null"...)
			continue
		}
		b = appendText(b, cells[i].Text)
	}
	return string(append(b, '}'))
}

// appendText appends a text as JSON.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := domain.Marshal(text)
			if err != nil {
				panic(err) // every string has a form
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// ParseRow is the inverse of what a certificate commits to: it returns the cells of
// a row of t.
func ParseRow(t Table, row string) ([]Cell, error) {
	var texts map[string]*string
	if err := json.Unmarshal([]byte(row), &texts); err != nil {
		return nil, domain.Errorf(domain.Invalid, "read row", "%w", err)
	}
	cells := make([]Cell, len(t.Columns()))
	for i, c := range t.Columns() {
		text, ok := texts[c.Name]
		switch {
		case ok && text == nil:
			cells[i].Null = true
		case ok:
			cells[i].Text = *text
		}
	}
	if rowJSON(t, cells) != row {
		return nil, domain.Errorf(domain.Invalid, "read row", "it is not a row of %s", t.Name())
	}
	return cells, nil
}
