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

// A Consistency says that a checkpoint continues what the log held at an
// earlier size: nothing before that was changed, left out or put in between.
//
// # Consistency file
//
// Its file form is what c2sp.org/tlog-witness has a log send to a witness (the
// body of add-checkpoint), since no form of its own is specified: lines, each
// ended by a newline (U+000A),
//
//	old 1
//	VKbcG/yZDO0/V1cmTzV61wip7lTOPRFymWQbI09tWAA=
//
//	daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829/1
//	2
//	A9G47IzdpTsroMZlnqFqXBztxZVeGS8UBUD3fVDfZ2U=
//
//	— daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829 MCQVT4wtLdttVO/J[…]nYJmadj/gA=
//
// which are the earlier size, the hashes of the consistency proof of RFC 6962,
// section 2.1.2 (at most 63; none from size 0, or if the sizes are equal), an
// empty line, and the signed checkpoint, verbatim.
type Consistency struct {
	Older      int64 // size
	Hashes     []tree.Hash
	Checkpoint []byte // a note
}

// maxConsistency is how many hashes a witness takes.
const maxConsistency = 63

// Bytes returns the file form. [ParseConsistency] is its inverse.
func (c Consistency) Bytes() []byte {
	b := fmt.Appendf(nil, "old %d\n", c.Older)
	for _, h := range c.Hashes {
		b = append(b, base64.StdEncoding.EncodeToString(h[:])+"\n"...)
	}
	b = append(b, '\n')
	return append(b, c.Checkpoint...)
}

// IsConsistency reports whether the bytes begin as a consistency file does.
func IsConsistency(b []byte) bool { return bytes.HasPrefix(b, []byte("old ")) }

// ParseConsistency reads the file form. It checks nothing but the form; what is
// not in it has code [domain.Invalid].
func ParseConsistency(b []byte) (Consistency, error) {
	head, rest, found := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, old := strings.CutPrefix(lines[0], "old ")
	switch {
	case !old:
		return Consistency{}, malformedConsistency("the first line does not say the old size")
	case !found:
		return Consistency{}, malformedConsistency("no empty line and checkpoint follow the hashes")
	case len(lines)-1 > maxConsistency:
		return Consistency{}, malformedConsistency("%d hashes; there may be %d", len(lines)-1, maxConsistency)
	}
	c := Consistency{Checkpoint: rest}
	var err error
	if c.Older, err = parseSize(size); err != nil {
		return Consistency{}, malformedConsistency("old size: %w", err)
	}
	if c.Hashes, err = parseHashes(lines[1:]); err != nil {
		return Consistency{}, malformedConsistency("%w", err)
	}
	if _, err := Unverified(c.Checkpoint); err != nil {
		return Consistency{}, err
	}
	return c, nil
}

// Check verifies that c's checkpoint is signed by at least one of the keys and
// continues the older one, whose signatures are the caller's to check: the
// same origin, and all its records. What does not hold has code
// [domain.Differs]; an older checkpoint of another size than c is from,
// [domain.Invalid]; for c's checkpoint see [Open].
func (c Consistency) Check(older Checkpoint, keys ...note.Verifier) (Signed, error) {
	s, err := Open(c.Checkpoint, keys...)
	if err != nil {
		return Signed{}, err
	}
	if older.Size != c.Older {
		return Signed{}, domain.Errorf(domain.Invalid, "check consistency", "the proof is from %d records, and the older checkpoint has %d", c.Older, older.Size)
	}
	return s, s.Continues(older, c.Hashes)
}

// Continues verifies by the proof that c holds all records of the older
// checkpoint of the same log and epoch. If not, the error has code
// [domain.Differs].
func (c Checkpoint) Continues(older Checkpoint, proof []tree.Hash) error {
	if c.Origin != older.Origin {
		return domain.Errorf(domain.Differs, "check consistency", "the checkpoints are of two logs: %q and %q", older.Origin, c.Origin)
	}
	if c.Size < older.Size {
		return domain.Errorf(domain.Differs, "check consistency", "the log shrank from %d records to %d", older.Size, c.Size)
	}
	return tree.CheckConsistency(proof, older.Size, older.Root, c.Size, c.Root)
}

func malformedConsistency(format string, args ...any) error {
	return domain.Errorf(domain.Invalid, "read consistency proof", format, args...)
}
