package checkpoint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
)

// Types of keys, the first byte of their text form's last part.
const (
	typeLog     = 0x01 // Ed25519 over the text
	typeWitness = 0x04 // Ed25519 over time and text
)

// timeSize is the length of the time that precedes a cosignature.
const timeSize = 8

// GenerateLogKey returns a new key pair of a log: skey is secret, vkey is for
// everybody. Both are one line of text in note's form; the name must be without
// space and plus. The randomness must be that of a cryptographic source; 32
// bytes are read.
func GenerateLogKey(randomness io.Reader, name string) (skey, vkey string, err error) {
	return generate(randomness, typeLog, name)
}

// GenerateWitnessKey returns a new key pair of a witness; see [GenerateLogKey].
// A key is of one type only, so that a witness's signature cannot be taken for
// a log's.
func GenerateWitnessKey(randomness io.Reader, name string) (skey, vkey string, err error) {
	return generate(randomness, typeWitness, name)
}

func generate(randomness io.Reader, kind byte, name string) (skey, vkey string, err error) {
	if !validName(name) {
		return "", "", domain.Errorf(domain.Invalid, "generate key", "%q is no name for a key: it must be text without space and plus", name)
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(randomness, seed); err != nil {
		return "", "", domain.Errorf(domain.Internal, "generate key", "%w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := append([]byte{kind}, private[ed25519.SeedSize:]...)
	id := keyID(name, public)
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(append([]byte{kind}, seed...))),
		fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(public)), nil
}

// NewSigner reads a secret key in its text form. That of a witness signs with
// the time that now returns; that of a log does not need it, and now may be
// nil. An error, whose code is [domain.Invalid], does not quote the key.
func NewSigner(skey string, now func() time.Time) (note.Signer, error) {
	skey = strings.TrimSpace(skey)
	rest, ok := strings.CutPrefix(skey, "PRIVATE+KEY+")
	name, id, kind, seed, err := cutKey(rest)
	if !ok || err != nil {
		return nil, domain.Errorf(domain.Invalid, "read signer's key", "it is not of the form PRIVATE+KEY+name+id+base64")
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := append([]byte{kind}, private[ed25519.SeedSize:]...)
	if id != keyID(name, public) {
		return nil, domain.Errorf(domain.Invalid, "read signer's key", "its name, id and key do not belong together")
	}
	if kind == typeLog {
		s, err := note.NewSigner(skey)
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "read signer's key", "it is malformed")
		}
		return s, nil
	}
	if now == nil {
		return nil, domain.Errorf(domain.Internal, "read signer's key", "a witness needs a clock")
	}
	return &cosigner{name: name, id: id, public: public[1:], private: private, now: now}, nil
}

// NewVerifier reads a public key in its text form, name+id+base64, of a log or
// of a witness. What is none has code [domain.Invalid].
func NewVerifier(vkey string) (note.Verifier, error) {
	vkey = strings.TrimSpace(vkey)
	name, id, kind, public, err := cutKey(vkey)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "read verifier's key", "%.100q: %w", vkey, err)
	}
	if id != keyID(name, append([]byte{kind}, public...)) {
		return nil, domain.Errorf(domain.Invalid, "read verifier's key", "%.100q: its name, id and key do not belong together", vkey)
	}
	if kind == typeWitness {
		return &cosigner{name: name, id: id, public: public}, nil
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "read verifier's key", "%.100q: %w", vkey, err)
	}
	return v, nil
}

// VerifierKey returns the public key that belongs to a secret key, both in
// their text form.
func VerifierKey(skey string) (vkey string, err error) {
	if _, err := NewSigner(skey, time.Time{}.UTC); err != nil {
		return "", err
	}
	name, id, kind, seed, err := cutKey(strings.TrimPrefix(strings.TrimSpace(skey), "PRIVATE+KEY+"))
	if err != nil {
		return "", err
	}
	public := append([]byte{kind}, ed25519.NewKeyFromSeed(seed)[ed25519.SeedSize:]...)
	return fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(public)), nil
}

// cutKey takes name+id+base64 apart. The key is 32 bytes, whatever it is of.
func cutKey(text string) (name string, id uint32, kind byte, key []byte, err error) {
	name, rest, _ := strings.Cut(text, "+")
	hex, b64, _ := strings.Cut(rest, "+")
	id64, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 8 || !validName(name) {
		return "", 0, 0, nil, fmt.Errorf("it is not of the form name+id+base64")
	}
	key, err = base64.StdEncoding.DecodeString(b64)
	switch {
	case err != nil || len(key) == 0 || strings.ContainsAny(b64, "\r\n"):
		return "", 0, 0, nil, fmt.Errorf("it is not of the form name+id+base64")
	case key[0] != typeLog && key[0] != typeWitness:
		return "", 0, 0, nil, fmt.Errorf("it is of type %#02x; only Ed25519 keys of a log (0x01) and of a witness (0x04) are read", key[0])
	case len(key) != 1+ed25519.SeedSize:
		return "", 0, 0, nil, fmt.Errorf("it is %d bytes long instead of %d", len(key), 1+ed25519.SeedSize)
	}
	return name, uint32(id64), key[0], key[1:], nil
}

// validName reports whether a key may have the name. Names that note takes and
// that hold control characters are left out: a note could not hold them.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '+' || r < ' ' || unicode.IsSpace(r) })
}

// keyID returns the id of the public key, whose first byte is its type.
func keyID(name string, public []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), public...))
	return binary.BigEndian.Uint32(sum[:])
}

// A cosigner is the key of a witness. Without the private part it only
// verifies.
type cosigner struct {
	name    string
	id      uint32
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	now     func() time.Time
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }

// Sign signs the text of a checkpoint, and nothing else, with the time.
func (c *cosigner) Sign(text []byte) ([]byte, error) {
	if _, err := Parse(string(text)); err != nil {
		return nil, err
	}
	seconds := c.now().Unix()
	if seconds < 0 {
		return nil, domain.Errorf(domain.Internal, "cosign checkpoint", "the clock is before 1970")
	}
	sig := binary.BigEndian.AppendUint64(nil, uint64(seconds))
	return append(sig, ed25519.Sign(c.private, cosigned(uint64(seconds), text))...), nil
}

// Verify reports whether sig is a cosignature of the text.
func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != timeSize+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	return seconds <= math.MaxInt64 && ed25519.Verify(c.public, cosigned(seconds, text), sig[timeSize:])
}

// cosigned returns what a cosignature signs.
func cosigned(seconds uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text)
}

// timeOf returns the time of a cosignature that was verified.
func timeOf(s note.Signature) time.Time {
	sig, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(sig) < 4+timeSize {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(sig[4:])), 0).UTC() //nolint:gosec // Verify takes none that is greater
}

// IsWitness reports whether the key, which [NewVerifier] returned, is that of a
// witness and not of a log.
func IsWitness(key note.Verifier) bool {
	_, ok := key.(*cosigner)
	return ok
}
