package secret_test

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/secret"
)

func set(t *testing.T, secrets ...string) secret.Set {
	t.Helper()
	s, err := secret.New("acme: configure", "Give one.", secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		secrets []string
		want    string
	}{
		{nil, "acme: configure: 0 secrets, not one or two"},
		{[]string{"hunter1", "hunter2", "hunter3"}, "acme: configure: 3 secrets, not one or two"},
		{[]string{""}, "acme: configure: secret 1 is empty"},
		{[]string{"hunter1", ""}, "acme: configure: secret 2 is empty"},
		{[]string{"hunter1", " \t\n"}, "acme: configure: secret 2 is empty"},
	} {
		s, err := secret.New("acme: configure", "Give one.", tt.secrets...)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %q", tt.secrets, err, tt.want)
		}
		if domain.CodeOf(err) != domain.Usage || domain.HintOf(err) != "Give one." {
			t.Errorf("%q: code %q, hint %q", tt.secrets, domain.CodeOf(err), domain.HintOf(err))
		}
		for _, presented := range append(tt.secrets, "") {
			if name, ok := s.Holds([]byte(presented)); ok {
				t.Errorf("%q: a refused set holds %q as %s", tt.secrets, presented, name)
			}
		}
	}
}

func TestHolds(t *testing.T) {
	for _, tt := range []struct {
		secrets         []string
		presented, want string
	}{
		{[]string{"old"}, "old", "secret 1"},
		{[]string{"old", "new"}, "old", "secret 1"},
		{[]string{"old", "new"}, "new", "secret 2"},
		{[]string{"same", "same"}, "same", "secret 1"},
		{[]string{" spaced "}, " spaced ", "secret 1"},
		{[]string{"old", "new"}, "", ""},
		{[]string{"old", "new"}, "ol", ""},
		{[]string{"old", "new"}, "oldd", ""},
		{[]string{"old", "new"}, "old\x00", ""},
		{[]string{"old", "new"}, "OLD", ""},
		{[]string{"old", "new"}, "oldnew", ""},
		{[]string{" spaced "}, "spaced", ""},
	} {
		if name, ok := set(t, tt.secrets...).Holds([]byte(tt.presented)); name != tt.want || ok != (tt.want != "") {
			t.Errorf("%q, %q: %q, %v; want %q", tt.secrets, tt.presented, name, ok, tt.want)
		}
	}
}

// Test case 2 of RFC 4231.
const (
	rfcKey  = "Jefe"
	rfcText = "what do ya want for nothing?"
	rfcMAC  = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
)

func TestSigned(t *testing.T) {
	for _, tt := range []struct {
		secrets            []string
		message, mac, want string
	}{
		{[]string{rfcKey}, rfcText, rfcMAC, "secret 1"},
		{[]string{rfcKey}, rfcText, strings.ToUpper(rfcMAC), "secret 1"},
		{[]string{rfcKey, "new"}, rfcText, rfcMAC, "secret 1"},
		{[]string{"old", rfcKey}, rfcText, rfcMAC, "secret 2"},
		{[]string{rfcKey, rfcKey}, rfcText, rfcMAC, "secret 1"},
		{[]string{"old", "new"}, rfcText, rfcMAC, ""},
		{[]string{"jefe"}, rfcText, rfcMAC, ""},
		{[]string{rfcKey}, rfcText + "\n", rfcMAC, ""},
		{[]string{rfcKey}, "", rfcMAC, ""},
		{[]string{rfcKey}, rfcText, strings.Repeat("00", 32), ""},
	} {
		mac, ok := secret.ParseMAC(tt.mac)
		if !ok {
			t.Fatalf("%q is no MAC", tt.mac)
		}
		if name, ok := set(t, tt.secrets...).Signed([]byte(tt.message), mac); name != tt.want || ok != (tt.want != "") {
			t.Errorf("%q, %q: %q, %v; want %q", tt.secrets, tt.message, name, ok, tt.want)
		}
	}
}

// TestSignedWhole: a part of the right MAC is none, and neither is nothing.
func TestSignedWhole(t *testing.T) {
	mac, _ := secret.ParseMAC(rfcMAC)
	s := set(t, rfcKey)
	for n := range len(mac) {
		if _, ok := s.Signed([]byte(rfcText), mac[:n]); ok {
			t.Errorf("the first %d bytes are enough", n)
		}
	}
	if _, ok := s.Signed([]byte(rfcText), append(mac, 0)); ok {
		t.Error("a byte more is accepted")
	}
}

func TestParseMACRefuses(t *testing.T) {
	for _, text := range []string{
		"", rfcMAC[:62], rfcMAC[:63], rfcMAC + "00", " " + rfcMAC, rfcMAC + "\n", "0x" + rfcMAC[2:], "sha256=" + rfcMAC,
		strings.Repeat("g", 64), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=",
	} {
		if mac, ok := secret.ParseMAC(text); ok || mac != nil {
			t.Errorf("%q was read as %x", text, mac)
		}
	}
}

func TestZeroSetAcceptsNothing(t *testing.T) {
	var s secret.Set
	mac, _ := secret.ParseMAC(rfcMAC)
	if name, ok := s.Holds(nil); ok {
		t.Errorf("it holds %s", name)
	}
	if name, ok := s.Signed([]byte(rfcText), mac); ok {
		t.Errorf("%s signed", name)
	}
}

// FuzzParseMAC wants exactly the hexadecimal texts of 32 bytes to be read, and
// what is read to be refused as a signature of anything.
func FuzzParseMAC(f *testing.F) {
	for _, s := range []string{"", strings.Repeat("0", 64), strings.Repeat("aF", 32), strings.Repeat("0", 63), "0x" + strings.Repeat("0", 64), strings.Repeat("g", 64)} {
		f.Add(s)
	}
	s, err := secret.New("acme: configure", "Give one.", "hunter1")
	if err != nil {
		f.Fatal(err)
	}
	hexadecimal := regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	f.Fuzz(func(t *testing.T, text string) {
		mac, ok := secret.ParseMAC(text)
		if ok != hexadecimal.MatchString(text) {
			t.Errorf("%q is a MAC: %v", text, ok)
		}
		if ok && hex.EncodeToString(mac) != strings.ToLower(text) {
			t.Errorf("%q was read as %x", text, mac)
		}
		if name, ok := s.Signed([]byte(text), mac); ok {
			t.Errorf("%q signs itself, as %s", text, name)
		}
	})
}

func TestSlot(t *testing.T) {
	for how, want := range map[string]int{
		"hmac-sha256, secret 1": 1, "basic, secret 2": 2, "url token, secret 1": 1,
		"": 0, "imported, not verified": 0, "hmac-sha256, secret 3": 0, "secret 1, hmac-sha256": 0,
	} {
		if got := secret.Slot(how); got != want {
			t.Errorf("%q: %d, want %d", how, got, want)
		}
	}
}

func TestSignHex(t *testing.T) {
	mac, ok := secret.ParseMAC(secret.SignHex("new", []byte("{}")))
	if name, signed := set(t, "old", "new").Signed([]byte("{}"), mac); !ok || !signed || name != "secret 2" {
		t.Errorf("%v, %v, %q", ok, signed, name)
	}
}
