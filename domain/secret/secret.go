// Package secret tells by one secret or two who sent a request.
//
// What it keeps true: only what was made with an accepted secret, or is one, gets
// in; every secret is tried each time and compared in constant time, so that how
// long it takes says nothing; and no error holds a secret.
package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// A Set is what a source accepts: one secret, or two while one replaces the
// other, so that it can be replaced without losing a delivery. The zero Set
// accepts nothing.
type Set struct{ secrets []accepted }

type accepted struct {
	key  []byte
	hash [sha256.Size]byte // of key: hashes have one length
}

// New returns the set of one or two secrets. None, more than two, and one that
// is blank are an error with code [domain.Usage]; hint says what to give instead.
// Op is what is being configured, such as "tahdah: configure".
func New(op, hint string, secrets ...string) (Set, error) {
	if n := len(secrets); n < 1 || n > 2 {
		return Set{}, domain.Errorf(domain.Usage, op, "%d secrets, not one or two", n).WithHint(hint)
	}
	var s Set
	for i, secret := range secrets {
		if strings.TrimSpace(secret) == "" {
			return Set{}, domain.Errorf(domain.Usage, op, "secret %d is empty", i+1).WithHint(hint)
		}
		s.secrets = append(s.secrets, accepted{key: []byte(secret), hash: sha256.Sum256([]byte(secret))})
	}
	return s, nil
}

// ParseMAC returns the HMAC-SHA-256 that text is in hexadecimal, in either case,
// and whether it is one.
func ParseMAC(text string) (mac []byte, ok bool) {
	mac, err := hex.DecodeString(text)
	if err != nil || len(mac) != sha256.Size {
		return nil, false
	}
	return mac, true
}

// SignHex returns the HMAC-SHA-256 of message in hexadecimal, as [ParseMAC] reads
// it.
func SignHex(key string, message []byte) string {
	return hex.EncodeToString(macOf([]byte(key), message))
}

func macOf(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// Signed reports whether mac is the HMAC-SHA-256 of message under one of the
// secrets, and names that one: "secret 1" or "secret 2".
func (s Set) Signed(message, mac []byte) (name string, ok bool) {
	return s.find(func(a accepted) bool { return hmac.Equal(mac, macOf(a.key, message)) })
}

// Holds reports whether what was presented is one of the secrets, and names that
// one: "secret 1" or "secret 2".
func (s Set) Holds(presented []byte) (name string, ok bool) {
	hash := sha256.Sum256(presented)
	return s.find(func(a accepted) bool { return subtle.ConstantTimeCompare(hash[:], a.hash[:]) == 1 })
}

// find names the first secret that fits; all are tried, whichever it is.
func (s Set) find(fits func(accepted) bool) (found string, ok bool) {
	for i, a := range s.secrets {
		if fits(a) && !ok {
			found, ok = name(i), true
		}
	}
	return found, ok
}

// Slot returns which secret a description such as "hmac-sha256, secret 2" ends
// with, counted from 1, and 0 if it names none. It is the inverse of what
// [Set.Signed] and [Set.Holds] name.
func Slot(how string) int {
	for slot := range 2 {
		if strings.HasSuffix(how, name(slot)) {
			return slot + 1
		}
	}
	return 0
}

// name returns what the secret with the given index is called.
func name(i int) string { return "secret " + strconv.Itoa(i+1) }
