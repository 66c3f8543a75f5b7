// Package seal encrypts what is about people, so that whoever destroys a key
// has erased what was sealed with it, everywhere, without changing a stored byte.
//
// What it keeps true: the same key and plain text give the same sealed form, so
// that sealed values can be compared like plain ones; a sealed form names its key
// and opens with no other, so that a hash over it commits to the plain text; and
// nothing about a plain text but its length can be told without the key.
//
// # Sealed form
//
//	key id (32 bytes) ‖ nonce (12 bytes) ‖ AES-256-GCM ciphertext and tag (16 bytes longer than the plain text)
//
// The key id is SHA-256("daybook key v1" ‖ key). The nonce is the first 12 bytes
// of HMAC-SHA-256(key, "daybook nonce v1" ‖ length of context (8 bytes, big
// endian) ‖ context ‖ plain text): two different messages under one key have the
// same with a probability of 2^-96. The additional data of GCM is the context,
// which says what the message is and where it belongs.
//
// A text is sealed with the context "text" and written as "sealed.1." and the
// unpadded base64url (RFC 4648, section 5) of the form.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// KeySize is the size of a key and of its id in bytes.
const KeySize = 32

// A Key seals and opens. It must be random.
type Key [KeySize]byte

// An ID tells which key opens a sealed form, and nothing else about the key. No
// two keys are known to have the same.
type ID [sha256.Size]byte

// ID returns the id of k.
func (k *Key) ID() ID {
	return sha256.Sum256(append([]byte("daybook key v1"), k[:]...))
}

// String says that there is a key, and nothing of it.
func (Key) String() string { return "key" }

// GoString implements [fmt.GoStringer], for the same reason as String.
func (Key) GoString() string { return "seal.Key{…}" }

const nonceSize = 12

// Overhead is how much longer a sealed form is than the plain text.
const Overhead = len(ID{}) + nonceSize + 16

// Bytes returns the sealed form of a message in a context.
func Bytes(k *Key, context string, plain []byte) []byte {
	id := k.ID()
	out := make([]byte, len(id)+nonceSize, Overhead+len(plain))
	copy(out, id[:])
	nonce := out[len(id):]
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte("daybook nonce v1"))
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(context))))
	m.Write([]byte(context))
	m.Write(plain)
	copy(nonce, m.Sum(nil))
	return aead(k).Seal(out, nonce, plain, []byte(context))
}

// OpenBytes is the inverse of [Bytes]. A form that another key or context made,
// or that was changed, is an error with code Differs.
func OpenBytes(k *Key, context string, sealed []byte) ([]byte, error) {
	id, err := IDOfBytes(sealed)
	switch {
	case err != nil:
		return nil, err
	case id != k.ID():
		return nil, differs("another key sealed it")
	}
	nonce, text := sealed[len(id):len(id)+nonceSize], sealed[len(id)+nonceSize:]
	plain, err := aead(k).Open(nil, nonce, text, []byte(context))
	if err != nil {
		return nil, differs("it was changed, or belongs elsewhere")
	}
	return plain, nil
}

// IDOfBytes returns the id of the key that opens a sealed form.
func IDOfBytes(sealed []byte) (ID, error) {
	if len(sealed) < Overhead {
		return ID{}, differs("it is too short")
	}
	return ID(sealed[:len(ID{})]), nil
}

const (
	prefix      = "sealed.1."
	textContext = "text"
)

// Text returns the sealed form of a text, and "" of the empty one.
func Text(k *Key, text string) string {
	if text == "" {
		return ""
	}
	return prefix + base64.RawURLEncoding.EncodeToString(Bytes(k, textContext, []byte(text)))
}

// OpenText is the inverse of [Text].
func OpenText(k *Key, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	sealed, err := decode(token)
	if err != nil {
		return "", err
	}
	plain, err := OpenBytes(k, textContext, sealed)
	return string(plain), err
}

// IsText reports whether s has the form that [Text] gives.
func IsText(s string) bool { return strings.HasPrefix(s, prefix) }

// IDOf returns the id of the key that opens a text.
func IDOf(token string) (ID, error) {
	sealed, err := decode(token)
	if err != nil {
		return ID{}, err
	}
	return IDOfBytes(sealed)
}

func decode(token string) ([]byte, error) {
	text, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return nil, differs("it has another form")
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, differs("it is no base64url")
	}
	return sealed, nil
}

// Wrap returns a key sealed with a key-encryption key.
func Wrap(kek, k *Key) []byte { return Bytes(kek, "key", k[:]) }

// Unwrap is the inverse of [Wrap].
func Unwrap(kek *Key, wrapped []byte) (*Key, error) {
	plain, err := OpenBytes(kek, "key", wrapped)
	if err != nil {
		return nil, err
	}
	if len(plain) != KeySize {
		return nil, differs("it holds no key")
	}
	k := Key(plain)
	return &k, nil
}

// MAC returns the HMAC-SHA-256 of a message. It stands for what must
// be recognised again and not be guessed.
func MAC(k *Key, context string, message []byte) [sha256.Size]byte {
	m := hmac.New(sha256.New, k[:])
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(context))))
	m.Write([]byte(context))
	m.Write(message)
	return [sha256.Size]byte(m.Sum(nil))
}

func aead(k *Key) cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return gcm
}

func differs(why string) error {
	return domain.Errorf(domain.Differs, "open what is sealed", "%s", why)
}
