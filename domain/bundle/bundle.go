// Package bundle reads and writes a range of the log as one file that an auditor
// carries away and checks without a database, without a network and without us.
//
// What it keeps true: a bundle is written and read in one pass, in memory that
// does not grow with the log; every bit of it means something or has one value
// that it may have, so that one which is flipped anywhere is found; a file that
// ends early is found; and no file, whoever made it, makes a reader panic or ask
// for more memory than its limits allow.
//
// # Format
//
// A bundle is a tar archive (POSIX.1-1988, "ustar") of regular files that are not
// compressed, so that tar, less and grep look inside. To make it smaller, compress
// it as a whole and give what comes out again to the audit. Its members are, in
// this order:
//
//	bundle.json                what it is about
//	checkpoints/000001.txt     signed checkpoints, by size: see the package checkpoint
//	certificates/000001.txt    balance certificates: see the package certificate
//	certificates/000001.salt   64 hexadecimal digits and a newline: what its rows are salted with
//	log/000000000001.txt       records, and the deliveries that caused them
//	bodies/ID.header           sealed header of a delivery of the segment before
//	bodies/ID.body             its sealed body
//	end.json                   that this is all
//
// Checkpoints and certificates are numbered from 1, in six digits. A segment of
// the log is named for the position of its first record, in twelve digits. The
// bodies are there if bundle.json says so: then every delivery of a segment has
// them behind it, in the order of the segment.
//
// A member's header has the mode 0444, zero for owner, group, time and device,
// and all else that the standard leaves open empty: numbers are in octal with
// leading zeros that fill the field up to a last NUL, the checksum in six digits,
// NUL and space. What fills the last block of a member is zero. The archive ends
// with two blocks of zeros, and the file with the archive.
//
// bundle.json and end.json are one line of compact JSON each, ended by a newline,
// with the members of [Meta] and [End] in their order.
//
// # Segments
//
// A segment is text. A delivery is its delivery bytes ([domain.Envelope]), before
// its first record in the bundle. A record is its record bytes ([domain.Record]);
// then its personal part, if it has one, whose texts are sealed, and a newline;
// then the leaf that the log has for it:
//
//	daybook record v1
//	position 7
//	…
//	data {"line":"70412","template":"318","remaining":"14"}
//	{"consumed/0/description":"sealed.1.…"}
//	leaf 1cd8b2…
//
// A segment ends with the record by which it, with the bodies of its deliveries,
// has 1 MiB or more. So the same range of the same log, with the same checkpoints
// and certificates, always makes the same file.
//
// # What covers what
//
// A checkpoint that somebody signed covers every record up to its size, and
// through the records their deliveries and bodies. The SHA-256 in end.json covers
// every byte before it, against accidents only: who writes a bundle writes that
// too. The leaves are there to say where something was changed.
package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// format is the first thing that a bundle says.
const format = "daybook bundle v1"

// Meta says what a bundle is about.
type Meta struct {
	Format   string   `json:"format"`   // "daybook bundle v1"; a [Writer] sets it
	Origin   string   `json:"origin"`   // name of the log, without the epoch
	From     int64    `json:"from"`     // position of the first record
	To       int64    `json:"to"`       // position of the last record; From-1 if there is none
	Epoch    int64    `json:"epoch"`    // of the log before From
	Frontier []string `json:"frontier"` // of the tree before From: base64 hashes, see [tree.Frontier]
	Bodies   bool     `json:"bodies"`   // whether sealed headers and bodies are included
}

// Before returns the frontier of the tree before the first record.
func (m Meta) Before() (*tree.Frontier, error) {
	var b []byte
	for _, text := range m.Frontier {
		hash, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(hash) != tree.HashSize {
			return nil, fmt.Errorf("%.60q is not a hash in base64", text)
		}
		b = append(b, hash...)
	}
	return tree.Parse(m.From-1, b)
}

// FrontierText returns a frontier as it stands in a [Meta].
func FrontierText(f *tree.Frontier) []string {
	text := []string{}
	for b := f.Bytes(); len(b) > 0; b = b[tree.HashSize:] {
		text = append(text, base64.StdEncoding.EncodeToString(b[:tree.HashSize]))
	}
	return text
}

// check reports what keeps m from being that of a bundle.
func (m Meta) check() error {
	switch {
	case m.Format != format:
		return fmt.Errorf("its format is %.40q, and this program reads %q", m.Format, format)
	case m.Origin == "" || len(m.Origin) > domain.MaxIDBytes:
		return fmt.Errorf("it does not say of which log it is")
	case m.From < 1 || m.To < m.From-1 || m.To > maxPosition:
		return fmt.Errorf("there are no records from %d to %d", m.From, m.To)
	case m.Frontier == nil:
		return fmt.Errorf("it does not say what is before its first record")
	case m.Epoch < 1 || m.From == 1 && m.Epoch != 1:
		return fmt.Errorf("a log does not have epoch %d before record %d", m.Epoch, m.From)
	}
	_, err := m.Before()
	return err
}

// End says what a bundle holds.
type End struct {
	Records      int64  `json:"records"`
	Deliveries   int64  `json:"deliveries"`
	Bodies       int64  `json:"bodies"` // deliveries whose sealed header and body are included
	Checkpoints  int64  `json:"checkpoints"`
	Certificates int64  `json:"certificates"`
	Root         string `json:"root"`   // base64 root of the tree at the last record
	SHA256       string `json:"sha256"` // of every byte before the header of end.json, in hexadecimal
}

// Limits. The first one is how a bundle is written; the others are what a reader
// takes at the most.
const (
	segmentSize     = 1 << 20
	maxPosition     = 999_999_999_999
	maxSegment      = 32 << 20 // one delivery may cause many records
	maxBody         = 16 << 20
	maxNote         = 1 << 20
	maxMeta         = 1 << 16
	maxCheckpoints  = 100_000
	maxCertificates = 100
)

// line returns v as one line of JSON.
func line(v any) ([]byte, error) {
	b, err := domain.Marshal(v)
	return append(b, '\n'), err
}

// readLine is the inverse of line, and of nothing else.
func readLine(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	again, err := line(v)
	if err == nil && !bytes.Equal(b, again) {
		err = fmt.Errorf("it is not in its one form")
	}
	return err
}

// A FormError says where a file is not a bundle, or not the one that was written.
type FormError struct {
	Member string // of the archive; "" if that cannot be read
	Offset int64  // in bytes, of the member's header
	Err    error
}

// Error returns "member at byte offset: cause".
func (e *FormError) Error() string {
	return fmt.Sprintf("%s at byte %d: %v", e.Member, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *FormError) Unwrap() error { return e.Err }
