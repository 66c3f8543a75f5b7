package checkpoint

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// header is the first line of a proof.
const header = "c2sp.org/tlog-proof@v1"

// A Proof says that a record is in the log, and needs nothing else to be
// checked but the keys of who signed: it is what is kept as evidence of one
// record.
//
// # Proof file
//
// Its file form is that of c2sp.org/tlog-proof, lines of UTF-8 text, each ended
// by a newline (U+000A):
//
//	c2sp.org/tlog-proof@v1
//	extra aGVsbG8K
//	index 1
//	pb9huL2dImwbnphIyI+qUu1aHwWTwBjO4yiAJ/GApYs=
//
//	daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829/1
//	2
//	A9G47IzdpTsroMZlnqFqXBztxZVeGS8UBUD3fVDfZ2U=
//
//	— daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829 MCQVT4wtLdttVO/J[…]nYJmadj/gA=
//
// Extra is base64 and may be left out; daybook puts the record's bytes there,
// as [domain.Record] specifies them, so that the file holds the record as well.
// Index counts from zero: it is the record's position less one. Then come the
// hashes of its inclusion proof, from the leaf's sibling to the root's child,
// an empty line, and the signed checkpoint, verbatim. The customary extension
// of the file's name is .tlog-proof.
type Proof struct {
	Extra      []byte // nobody vouches for it until it was found to be the record; nil: left out
	Index      int64
	Hashes     []tree.Hash
	Checkpoint []byte // a note
}

// Bytes returns the file form. [ParseProof] is its inverse.
func (p Proof) Bytes() []byte {
	b := []byte(header + "\n")
	if p.Extra != nil {
		b = fmt.Appendf(b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Extra))
	}
	b = fmt.Appendf(b, "index %d\n", p.Index)
	for _, h := range p.Hashes {
		b = append(b, base64.StdEncoding.EncodeToString(h[:])+"\n"...)
	}
	b = append(b, '\n')
	return append(b, p.Checkpoint...)
}

// IsProof reports whether the bytes begin as a proof file does.
func IsProof(b []byte) bool { return bytes.HasPrefix(b, []byte(header+"\n")) }

// ParseProof reads the file form. It checks nothing but the form; what is not
// in it has code [domain.Invalid].
func ParseProof(b []byte) (Proof, error) {
	head, checkpoint, found := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if lines[0] != header {
		return Proof{}, malformedProof("the first line is not %q", header)
	}
	if !found {
		return Proof{}, malformedProof("no empty line and checkpoint follow the hashes")
	}
	p := Proof{Checkpoint: checkpoint}
	lines = lines[1:]
	var err error
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		text := strings.TrimPrefix(lines[0], "extra ")
		p.Extra, err = base64.StdEncoding.DecodeString(text)
		if err != nil || base64.StdEncoding.EncodeToString(p.Extra) != text {
			return Proof{}, malformedProof("extra is not base64")
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proof{}, malformedProof("there is no index")
	}
	if p.Index, err = parseSize(strings.TrimPrefix(lines[0], "index ")); err != nil {
		return Proof{}, malformedProof("index: %w", err)
	}
	if len(lines[1:]) > tree.MaxProof {
		return Proof{}, malformedProof("%d hashes; no proof has more than %d", len(lines[1:]), tree.MaxProof)
	}
	if p.Hashes, err = parseHashes(lines[1:]); err != nil {
		return Proof{}, malformedProof("%w", err)
	}
	if _, err := Unverified(p.Checkpoint); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// Check verifies that the record bytes are in the log at p.Index, under p's
// checkpoint, and that at least one of the keys signed it. It returns the
// checkpoint; who must have signed and what the origin must be is left to the
// caller. A proof that does not hold has code [domain.Differs]; for the
// checkpoint see [Open].
func (p Proof) Check(record []byte, keys ...note.Verifier) (Signed, error) {
	s, err := Open(p.Checkpoint, keys...)
	if err != nil {
		return Signed{}, err
	}
	return s, tree.CheckInclusion(p.Hashes, s.Size, s.Root, p.Index, tree.Leaf(record))
}

func malformedProof(format string, args ...any) error {
	return domain.Errorf(domain.Invalid, "read proof", format, args...)
}
