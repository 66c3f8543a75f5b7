package seal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
)

func key(b byte) *Key { return &Key{b} }

// TestForm holds the sealed form: what is stored for ever must open for ever.
func TestForm(t *testing.T) {
	const token = "sealed.1.mpLFDkpWRzJH5e8w0f0gZeA6fwuXCitXfSaXnEYk9RUwU7ThVByd9fSsHIX4RMlOjYNp5-xFBw41u7Dc42bC"
	if got := Text(key(1), "Ada"); got != token {
		t.Errorf("got %s", got)
	}
	if got, err := OpenText(key(1), token); got != "Ada" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if Text(key(1), "") != "" {
		t.Error("the empty text is sealed")
	}
}

func TestOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, plain, context := key(rapid.Byte().Draw(t, "key")), rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.String().Draw(t, "context")
		sealed := Bytes(k, context, plain)
		if !bytes.Equal(sealed, Bytes(k, context, plain)) {
			t.Error("not the same twice")
		}
		if len(sealed) != Overhead+len(plain) {
			t.Errorf("%d bytes of %d", len(sealed), len(plain))
		}
		if got, err := OpenBytes(k, context, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q, %v", got, err)
		}
		other := *k
		other[31] ^= 1
		refused(t, &other, context, sealed)
		refused(t, k, context+"x", sealed)
		changed := bytes.Clone(sealed)
		changed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		refused(t, k, context, changed)
		refused(t, k, context, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")])
	})
}

func refused(t *rapid.T, k *Key, context string, sealed []byte) {
	t.Helper()
	if plain, err := OpenBytes(k, context, sealed); domain.CodeOf(err) != domain.Differs {
		t.Errorf("opened: %q, %v", plain, err)
	}
}

func TestOpenText(t *testing.T) {
	good := Text(key(1), "Ada Lovelace")
	for _, bad := range []string{
		"Ada", "sealed.1.", "sealed.2." + good[9:], good + "=", good + "A", good[:len(good)-1], strings.ToUpper(good), " " + good,
	} {
		if text, err := OpenText(key(1), bad); domain.CodeOf(err) != domain.Differs {
			t.Errorf("%s: %q, %v", bad, text, err)
		}
	}
	// The bits behind the last byte mean nothing: only one form of them opens.
	four := []byte(Text(key(1), "Adam"))
	four[len(four)-1]++
	if text, err := OpenText(key(1), string(four)); domain.CodeOf(err) != domain.Differs {
		t.Errorf("%s: %q, %v", four, text, err)
	}
	if id, err := IDOf(good); err != nil || id != key(1).ID() {
		t.Errorf("%x, %v", id, err)
	}
}

func TestWrap(t *testing.T) {
	wrapped := Wrap(key(1), key(2))
	if k, err := Unwrap(key(1), wrapped); err != nil || *k != *key(2) {
		t.Errorf("%v", err)
	}
	if _, err := Unwrap(key(2), wrapped); domain.CodeOf(err) != domain.Differs {
		t.Errorf("unwrapped with another: %v", err)
	}
	if _, err := Unwrap(key(1), Bytes(key(1), "key", []byte("short"))); domain.CodeOf(err) != domain.Differs {
		t.Errorf("unwrapped what is no key: %v", err)
	}
}

// TestWrappedIsNoText keeps a wrapped key from being shown as a text.
func TestWrappedIsNoText(t *testing.T) {
	token := prefix + base64.RawURLEncoding.EncodeToString(Wrap(key(1), key(2)))
	if text, err := OpenText(key(1), token); domain.CodeOf(err) != domain.Differs {
		t.Errorf("opened: %x, %v", text, err)
	}
}

// TestMAC holds what is stored for ever, and tells contexts from messages.
func TestMAC(t *testing.T) {
	const want = "6f9de78bf84d314e5505aa1915c8772e044e11b6578144f12e19ec6cedc00b76"
	if got := fmt.Sprintf("%x", MAC(key(1), "key", []byte("order-1"))); got != want {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprintf("%x", key(1).ID()); got != "9a92c50e4a56473247e5ef30d1fd2065e03a7f0b970a2b577d26979c4624f515" {
		t.Errorf("the id is %s", got)
	}
	seen := make(map[[32]byte]string)
	for _, of := range [][2]string{{"key", "a"}, {"scope", "a"}, {"ke", "ya"}, {"", "keya"}, {"key", ""}, {"", ""}} {
		mac := MAC(key(1), of[0], []byte(of[1]))
		if other, same := seen[mac]; same {
			t.Errorf("%q has the MAC of %q", of, other)
		}
		seen[mac] = fmt.Sprint(of)
	}
}

// TestKeyIsNotPrinted keeps keys out of what is logged.
func TestKeyIsNotPrinted(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, *key(77)); strings.Contains(got, "77") || strings.Contains(got, "4d") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func BenchmarkText(b *testing.B) {
	k := key(1)
	for b.Loop() {
		Text(k, "ada.lovelace@example.com")
	}
}
