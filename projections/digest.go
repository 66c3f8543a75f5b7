package projections

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
)

// A Digest hashes the rows of a projection's tables, so that two copies can be
// compared by one line of text.
//
// It is "h1:" and the base64 SHA-256 of one line per table, in the order of
// declaration: the hexadecimal SHA-256 of the table's rows, two spaces, the
// table's name, a newline. A row is its cells in column order; a cell is its
// length in bytes plus one, as a varint, and its text, or the varint 0 for null.
// Rows are in key order, keys compared byte by byte (of a journal: position,
// then n).
type Digest struct {
	sum   hash.Hash
	table *TableDigest
	name  string
}

// NewDigest returns the digest of no tables.
func NewDigest() *Digest { return &Digest{sum: sha256.New()} }

// Table says that the rows that follow are those of the named table.
func (d *Digest) Table(name string) {
	d.finish()
	d.table, d.name = NewTableDigest(), name
}

// Row adds one row.
func (d *Digest) Row(cells []Cell) { d.table.Row(cells) }

// Add adds a table whose rows were digested by themselves.
func (d *Digest) Add(name string, t *TableDigest) {
	d.finish()
	fmt.Fprintf(d.sum, "%x  %s\n", t.sum.Sum(nil), name)
}

// Sum returns the digest. Nothing may be added after it.
func (d *Digest) Sum() string {
	d.finish()
	return "h1:" + base64.StdEncoding.EncodeToString(d.sum.Sum(nil))
}

func (d *Digest) finish() {
	if t := d.table; t != nil {
		d.table = nil
		d.Add(d.name, t)
	}
}

// A TableDigest hashes the rows of one table, for [Digest.Add].
type TableDigest struct {
	sum  hash.Hash
	rows int64
	text RowText
	buf  []byte
}

// NewTableDigest returns the digest of no rows.
func NewTableDigest() *TableDigest { return &TableDigest{sum: sha256.New()} }

// Row adds one row.
func (d *TableDigest) Row(cells []Cell) {
	d.text.SetCells(cells)
	d.Text(&d.text)
}

// Text adds one row.
func (d *TableDigest) Text(row *RowText) {
	d.rows++
	d.buf = d.buf[:0]
	for i := range row.Len() {
		text, null := row.Cell(i)
		if null {
			d.buf = append(d.buf, 0)
			continue
		}
		d.buf = binary.AppendUvarint(d.buf, uint64(len(text))+1)
		d.buf = append(d.buf, text...)
	}
	d.sum.Write(d.buf)
}

// Rows returns how many rows were added.
func (d *TableDigest) Rows() int64 { return d.rows }

// A DigestState is where a [TableDigest] stands, so that somebody else can add the
// rows that follow.
type DigestState struct {
	Rows int64  `json:"rows"`
	Sum  []byte `json:"sum"` // of the running program's own making: it is not for ever
}

// State returns where d stands.
func (d *TableDigest) State() (s DigestState, err error) {
	s.Rows = d.rows
	s.Sum, err = d.sum.(encoding.BinaryMarshaler).MarshalBinary()
	return s, err
}

// Resume is the inverse of [TableDigest.State].
func (d *TableDigest) Resume(s DigestState) error {
	d.rows = s.Rows
	return d.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.Sum)
}
