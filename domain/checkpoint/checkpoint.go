// Package checkpoint keeps the statements about the log that leave it, in the
// forms that other transparency logs use, so that they can be checked without
// us: signed checkpoints, cosignatures and proofs that a record is in the log.
//
// What it keeps true: nothing that [Open] or [Proof.Check] returns was taken
// from a text that no key of the caller's signed; what is read is written again
// as the same bytes; and malformed input is an error, never a panic.
//
// # Checkpoint
//
// A checkpoint is a note (c2sp.org/signed-note, [note]) whose text is that of
// c2sp.org/tlog-checkpoint: lines, each ended by a newline (U+000A),
//
//	daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829/1
//	2
//	A9G47IzdpTsroMZlnqFqXBztxZVeGS8UBUD3fVDfZ2U=
//
// which are the origin, the number of records, and the standard base64 of the
// tree's root ([tree]), followed by extension lines if there are any; daybook
// writes none. The origin is that of the book with the log's epoch behind it,
// which is 1 and one more for every fork: two histories never share an origin.
// After an empty line come the signatures. The log's is of type 0x01 (Ed25519)
// and its key is named as the origin without the epoch, since the key outlives
// a fork.
//
// # Cosignature
//
// A witness signs with type 0x04 of c2sp.org/tlog-cosignature: the time in
// seconds since 1970 as 8 bytes, big-endian, and the Ed25519 signature of
//
//	cosignature/v1
//	time 1679315147
//
// followed by the text of the note. Signatures of other types are ignored like
// those of any key that is not known.
package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Checkpoint says what the log held at a size.
type Checkpoint struct {
	Origin     string    // which log, and which epoch of it; see [Origin]
	Size       int64     // records in the tree; the position of the last
	Root       tree.Hash // of the tree of that size
	Extensions []string  // lines that other logs add, without their newlines; signed, but not understood
}

// Origin returns the origin line of a log's epoch: its name, a slash and the
// epoch.
func Origin(name string, epoch int64) string {
	return name + "/" + strconv.FormatInt(epoch, 10)
}

// SplitOrigin is the inverse of [Origin]. It reports whether there is an epoch.
func SplitOrigin(origin string) (name string, epoch int64, ok bool) {
	i := strings.LastIndexByte(origin, '/')
	if i < 1 {
		return "", 0, false
	}
	epoch, err := parseSize(origin[i+1:])
	return origin[:i], epoch, err == nil && epoch > 0
}

// Text returns the text that is signed, with its last newline. [Parse] is its
// inverse.
func (c Checkpoint) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
	for _, line := range c.Extensions {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Parse reads the text of a checkpoint. It does not say that anybody signed it.
// What is no checkpoint has code [domain.Invalid].
func Parse(text string) (Checkpoint, error) {
	body, ended := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	switch {
	case !ended:
		return Checkpoint{}, malformed("the last line has no end")
	case len(lines) < 3:
		return Checkpoint{}, malformed("%d lines instead of origin, size and root", len(lines))
	}
	for i, line := range lines {
		if line == "" {
			return Checkpoint{}, malformed("line %d is empty", i+1)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) || !utf8.ValidString(line) {
			return Checkpoint{}, malformed("line %d is not plain text", i+1)
		}
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return Checkpoint{}, malformed("size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, malformed("root: %w", err)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	return c, nil
}

// Sign returns the note: the text and a signature by each of the signers. The
// caller must have made sure that c is consistent with everything they signed
// before.
func (c Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	if again, err := Parse(c.Text()); err != nil {
		return nil, err
	} else if again.Origin != c.Origin || len(again.Extensions) != len(c.Extensions) {
		return nil, malformed("a line holds a newline")
	}
	if len(signers) == 0 {
		return nil, domain.Errorf(domain.Invalid, "sign checkpoint", "there is no key to sign with")
	}
	msg, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "sign checkpoint", "%w", err)
	}
	return msg, nil
}

// Cosign returns the note with a signature by each of the signers behind those
// that it has, which are kept as they are. The caller must have checked the
// note.
func Cosign(msg []byte, signers ...note.Signer) ([]byte, error) {
	n, err := read(msg, nil)
	if err != nil {
		return nil, err
	}
	if msg, err = note.Sign(n, signers...); err != nil {
		return nil, domain.Errorf(domain.Internal, "sign checkpoint", "%w", err)
	}
	return msg, nil
}

// A Signature says whose a signature is: that of the key with this name and id.
type Signature struct {
	Name string
	ID   uint32
	// Time is when a witness signed, as it says itself; zero for a signature
	// without a time, and for one that was not verified.
	Time time.Time
	// Line is the signature's line in the note, without its newline: what is
	// handed on with another copy of the same checkpoint.
	Line string
}

// Key returns the name and id as they begin a verifier's key: name+0123abcd.
func (s Signature) Key() string { return fmt.Sprintf("%s+%08x", s.Name, s.ID) }

// A Signed is a checkpoint and who signed it.
type Signed struct {
	Checkpoint
	Note    []byte      // as it was read
	By      []Signature // verified
	Unknown []Signature // by keys that are not known: they say nothing
}

// SignedBy reports whether the key of the verifier signed.
func (s Signed) SignedBy(v note.Verifier) bool {
	return slices.ContainsFunc(s.By, func(by Signature) bool { return by.Name == v.Name() && by.ID == v.KeyHash() })
}

// Open reads a note and verifies the signatures by the given keys. It returns
// the checkpoint if at least one of them signed it; how many, and who, is left
// to the caller, and so is whether the origin is the one he expects. A note
// that is none has code [domain.Invalid]; one that none of the keys signed, or
// whose signature by one of them is wrong, [domain.Unauthenticated].
func Open(msg []byte, keys ...note.Verifier) (Signed, error) {
	n, err := read(msg, keys)
	if err != nil {
		return Signed{}, err
	}
	if len(n.Sigs) == 0 {
		var names []string
		for _, s := range n.UnverifiedSigs {
			names = append(names, fmt.Sprintf("%q", fmt.Sprintf("%s+%08x", s.Name, s.Hash)))
		}
		return Signed{}, domain.Errorf(domain.Unauthenticated, "open checkpoint",
			"none of the keys given signed it; it is signed by %s", strings.Join(names, ", "))
	}
	return signed(n, msg, keys)
}

// Unverified reads a note without asking who signed it: all signatures are
// unknown. It is for showing, and for finding the keys to ask for.
func Unverified(msg []byte) (Signed, error) {
	n, err := read(msg, nil)
	if err != nil {
		return Signed{}, err
	}
	return signed(n, msg, nil)
}

// read parses the note and verifies what is by the keys. A note that none of
// them signed is no error here.
func read(msg []byte, keys []note.Verifier) (*note.Note, error) {
	known := make([]note.Verifier, 0, len(keys))
	for _, k := range keys {
		if !contains(known, k) { // given twice, note would call it ambiguous
			known = append(known, k)
		}
	}
	n, err := note.Open(msg, note.VerifierList(known...))
	if e, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		n, err = e.Note, nil
	}
	if e, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return nil, domain.Errorf(domain.Unauthenticated, "open checkpoint",
			"the signature by %s+%08x is wrong: the text or the signature was changed", e.Name, e.Hash)
	}
	if err != nil {
		return nil, malformed("%w", err)
	}
	for _, s := range slices.Concat(n.Sigs, n.UnverifiedSigs) {
		// Strict decoding refuses bits that mean nothing: no bit of a note can
		// be changed unseen.
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return nil, malformed("the signature by %q is not base64 as it is written: %w", s.Name, err)
		}
	}
	return n, nil
}

func contains(list []note.Verifier, v note.Verifier) bool {
	return slices.ContainsFunc(list, func(have note.Verifier) bool {
		return have.Name() == v.Name() && have.KeyHash() == v.KeyHash()
	})
}

func signed(n *note.Note, msg []byte, keys []note.Verifier) (Signed, error) {
	c, err := Parse(n.Text)
	if err != nil {
		return Signed{}, err
	}
	s := Signed{Checkpoint: c, Note: append([]byte(nil), msg...)}
	for _, sig := range n.Sigs {
		by := signature(sig)
		for _, k := range keys {
			if w, ok := k.(*cosigner); ok && w.name == sig.Name && w.id == sig.Hash {
				by.Time = timeOf(sig)
			}
		}
		s.By = append(s.By, by)
	}
	for _, sig := range n.UnverifiedSigs {
		s.Unknown = append(s.Unknown, signature(sig))
	}
	return s, nil
}

func signature(s note.Signature) Signature {
	return Signature{Name: s.Name, ID: s.Hash, Line: "— " + s.Name + " " + s.Base64}
}

// parseSize reads a number of records: decimal, without sign or leading zero,
// and no larger than [tree.MaxSize].
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != s || n < 0 || n > tree.MaxSize {
		return 0, fmt.Errorf("%.40q is no number of records", s)
	}
	return n, nil
}

// parseHash reads the one base64 form of a hash.
func parseHash(s string) (tree.Hash, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != tree.HashSize || base64.StdEncoding.EncodeToString(b) != s {
		return tree.Hash{}, fmt.Errorf("%.60q is not the base64 of %d bytes", s, tree.HashSize)
	}
	return tree.Hash(b), nil
}

// parseHashes reads the lines of a proof.
func parseHashes(lines []string) ([]tree.Hash, error) {
	var hashes []tree.Hash
	for i, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i+1, err)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

func malformed(format string, args ...any) error {
	return domain.Errorf(domain.Invalid, "read checkpoint", format, args...)
}
