package checkpoint_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// log is the name of the book of all examples.
const log = "daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829"

// seed is a source of randomness that returns the byte for ever.
type seed byte

func (s seed) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// keys returns the key pair of a log and of a witness.
func keys(t testing.TB) (logSigner note.Signer, logKey note.Verifier, witness note.Signer, witnessKey note.Verifier) {
	t.Helper()
	pair := func(skey, vkey string, err error) (note.Signer, note.Verifier) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := checkpoint.NewSigner(skey, noon)
		if err != nil {
			t.Fatal(err)
		}
		v, err := checkpoint.NewVerifier(vkey)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := checkpoint.VerifierKey(skey); err != nil || again != vkey {
			t.Fatalf("VerifierKey = %q, %v, want %q", again, err, vkey)
		}
		return s, v
	}
	logSigner, logKey = pair(checkpoint.GenerateLogKey(seed(1), log))
	witness, witnessKey = pair(checkpoint.GenerateWitnessKey(seed(2), "witness.example/w1"))
	return logSigner, logKey, witness, witnessKey
}

// records are the log of the examples.
var records = [][]byte{[]byte("a record\n"), []byte("hello\n")}

func root(records ...[]byte) tree.Hash {
	f := new(tree.Frontier)
	for _, r := range records {
		f.Append(tree.Leaf(r))
	}
	return f.Root()
}

// Example is the checkpoint and the proof that the package comment shows.
func Example() {
	skey, vkey, _ := checkpoint.GenerateLogKey(seed(1), log)
	signer, _ := checkpoint.NewSigner(skey, nil)
	verifier, _ := checkpoint.NewVerifier(vkey)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}
	msg, _ := c.Sign(signer)
	proof := checkpoint.Proof{Extra: records[1], Index: 1, Hashes: []tree.Hash{tree.Leaf(records[0])}, Checkpoint: msg}
	fmt.Printf("%s\n", proof.Bytes())
	s, err := proof.Check(records[1], verifier)
	fmt.Println(s.Size, s.By[0].Key(), err)
	// Output:
	// c2sp.org/tlog-proof@v1
	// extra aGVsbG8K
	// index 1
	// pb9huL2dImwbnphIyI+qUu1aHwWTwBjO4yiAJ/GApYs=
	//
	// daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829/1
	// 2
	// A9G47IzdpTsroMZlnqFqXBztxZVeGS8UBUD3fVDfZ2U=
	//
	// — daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829 MCQVT4wtLdttVO/JAj2rlHDhBr9OSmJTY/5mOeYY7pkQzmIXDNljv2EDSNwMmdZWd47XCkmRonHpJNSflNYJmadj/gA=
	//
	// 2 daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829+3024154f <nil>
}

func TestSigned(t *testing.T) {
	signer, key, witness, witnessKey := keys(t)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 3), Size: 2, Root: root(records...), Extensions: []string{"what others add"}}
	msg, err := c.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err = checkpoint.Cosign(msg, witness); err != nil {
		t.Fatal(err)
	}
	both, err := checkpoint.Open(msg, key, witnessKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if both.Text() != c.Text() || !bytes.Equal(both.Note, msg) || !both.SignedBy(key) || !both.SignedBy(witnessKey) || len(both.Unknown) != 0 {
		t.Errorf("opened %+v", both)
	}
	if by := both.By[1]; !by.Time.Equal(noon()) || !both.By[0].Time.IsZero() {
		t.Errorf("times %v and %v", both.By[0].Time, by.Time)
	}
	for _, v := range []note.Verifier{key, witnessKey} {
		one, err := checkpoint.Open(msg, v)
		if err != nil || len(one.By) != 1 || len(one.Unknown) != 1 || !one.SignedBy(v) {
			t.Errorf("opened by %s alone: %+v, %v", v.Name(), one, err)
		}
	}
	_, namesake, err := checkpoint.GenerateLogKey(seed(3), log)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := checkpoint.NewVerifier(namesake); err != nil || both.SignedBy(other) {
		t.Errorf("another key of the same name has signed, %v", err)
	}
	none, err := checkpoint.Unverified(msg)
	if err != nil || len(none.Unknown) != 2 || none.Size != 2 || !strings.Contains(string(msg), none.Unknown[1].Line+"\n") {
		t.Errorf("unverified: %+v, %v", none, err)
	}
	if _, err := checkpoint.Open(msg); domain.CodeOf(err) != domain.Unauthenticated || !strings.Contains(err.Error(), none.Unknown[0].Key()) {
		t.Errorf("opened without a key: %v", err)
	}
}

// TestOpenRefuses changes every bit of a note: none is taken for what the key
// signed, unless the bytes mean the same.
func TestOpenRefuses(t *testing.T) {
	signer, key, witness, witnessKey := keys(t)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}
	msg, err := c.Sign(signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(msg) * 8 {
		bad := bytes.Clone(msg)
		bad[i/8] ^= 1 << (i % 8)
		s, err := checkpoint.Open(bad, key, witnessKey)
		if err == nil && len(s.By) == 2 {
			t.Errorf("bit %d of byte %d (%q) changed, and both signatures hold", i%8, i/8, msg[i/8])
		}
		if err == nil && s.Text() != c.Text() {
			t.Errorf("byte %d changed, and another text is taken", i/8)
		}
	}
	for i := range len(msg) {
		if s, err := checkpoint.Open(msg[:i], key, witnessKey); err == nil && len(s.By) == 2 {
			t.Errorf("the first %d bytes are taken for the whole", i)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := checkpoint.Checkpoint{Origin: "o", Size: 1, Root: root(records[0])}.Text()
	if _, err := checkpoint.Parse(good); err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(good, "\n")[2]
	for name, text := range map[string]string{
		"empty":               "",
		"two lines":           "o\n1\n",
		"no last newline":     strings.TrimSuffix(good, "\n"),
		"no origin":           "\n1\n" + hash + "\n",
		"leading zero":        "o\n01\n" + hash + "\n",
		"plus":                "o\n+1\n" + hash + "\n",
		"negative":            "o\n-1\n" + hash + "\n",
		"hexadecimal":         "o\n0x1\n" + hash + "\n",
		"too many records":    "o\n9223372036854775807\n" + hash + "\n",
		"beyond any number":   "o\n9223372036854775808\n" + hash + "\n",
		"short hash":          "o\n1\n" + hash[4:] + "\n",
		"other base64":        "o\n1\n" + strings.TrimRight(hash, "=") + "\n",
		"stray bits":          "o\n1\n" + hash[:42] + string(hash[42]+1) + "=\n",
		"empty extension":     good + "\n",
		"control character":   "o\x1b\n1\n" + hash + "\n",
		"carriage return":     strings.ReplaceAll(good, "\n", "\r\n"),
		"not UTF-8":           "o\xff\n1\n" + hash + "\n",
		"control in the rest": good + "more\x00\n",
	} {
		if c, err := checkpoint.Parse(text); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	signer, _, _, _ := keys(t)
	for _, c := range []checkpoint.Checkpoint{
		{}, {Origin: "a\nb"}, {Origin: "a", Size: -1}, {Origin: "a", Extensions: []string{""}}, {Origin: "a", Extensions: []string{"b\nc"}},
	} {
		if _, err := c.Sign(signer); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("Sign(%+v): %v", c, err)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		origin, name string
		epoch        int64
	}{{"a/1", "a", 1}, {"a/b/12", "a/b", 12}, {"a", "", 0}, {"/1", "", 0}, {"a/", "", 0}, {"a/0", "", 0}, {"a/01", "", 0}, {"a/-1", "", 0}, {"a/x", "", 0}} {
		name, epoch, ok := checkpoint.SplitOrigin(tt.origin)
		if ok != (tt.epoch > 0) || ok && (name != tt.name || epoch != tt.epoch || checkpoint.Origin(name, epoch) != tt.origin) {
			t.Errorf("SplitOrigin(%q) = %q, %d, %v", tt.origin, name, epoch, ok)
		}
	}
}

func TestKeysRefused(t *testing.T) {
	skey, vkey, err := checkpoint.GenerateLogKey(seed(1), log)
	if err != nil {
		t.Fatal(err)
	}
	_, witness, err := checkpoint.GenerateWitnessKey(seed(1), log)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(vkey) {
		bad := []byte(vkey)
		if bad[i] ^= 1; strings.EqualFold(string(bad), vkey) {
			continue
		}
		if _, err := checkpoint.NewVerifier(string(bad)); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("NewVerifier(%q): %v", bad, err)
		}
	}
	parts := strings.SplitN(vkey, "+", 3)
	for _, text := range []string{
		"", "+", "a+b", "a+b+c", parts[0], skey, parts[0] + "+" + parts[1] + "+", vkey + "A",
		parts[0] + "+" + parts[1] + "+BmFhYWE=", // of a type that is not read
		parts[0] + "+" + strings.SplitN(witness, "+", 3)[1] + "+" + parts[2],
	} {
		if _, err := checkpoint.NewVerifier(text); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("NewVerifier(%q): %v", text, err)
		}
	}
	cosigner, _, err := checkpoint.GenerateWitnessKey(seed(1), log)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", vkey, "PRIVATE+KEY+" + vkey, skey[:len(skey)-4],
		strings.Replace(skey, "daybook", "another", 1), strings.Replace(cosigner, "daybook", "another", 1),
	} {
		_, err := checkpoint.NewSigner(text, noon)
		if domain.CodeOf(err) != domain.Invalid {
			t.Errorf("NewSigner(%q): %v", text, err)
		} else if secret := skey[len(skey)-20:]; strings.Contains(err.Error(), secret) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x7f\u2003", "\xff"} {
		if _, _, err := checkpoint.GenerateLogKey(seed(1), name); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("a key was made with the name %q: %v", name, err)
		}
	}
	if _, _, err := checkpoint.GenerateLogKey(strings.NewReader("too little"), "a"); err == nil {
		t.Error("a key was made of too little randomness")
	}
}

// TestWitnessSignsCheckpointsOnly keeps a witness from being made to sign
// something else.
func TestWitnessSignsCheckpointsOnly(t *testing.T) {
	_, _, witness, _ := keys(t)
	if _, err := witness.Sign([]byte("anything\n")); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("signed: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	signer, key, witness, witnessKey := keys(f)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}
	msg, err := c.Sign(signer, witness)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Add([]byte("o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a AAAAAAAA\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if s, err := checkpoint.Open(msg, key, witnessKey); err == nil && s.Text() != c.Text() {
			t.Errorf("opened %q", msg)
		}
		s, err := checkpoint.Unverified(msg)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Errorf("code %q", domain.CodeOf(err))
			}
			return
		}
		if again, err := checkpoint.Parse(s.Text()); err != nil || again.Text() != s.Text() || !bytes.HasPrefix(msg, []byte(s.Text())) {
			t.Errorf("%q is read as %+v: %v", msg, s, err)
		}
	})
}

func FuzzKeys(f *testing.F) {
	skey, vkey, err := checkpoint.GenerateWitnessKey(seed(1), "w")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(skey)
	f.Add(vkey)
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := checkpoint.NewVerifier(text); err == nil {
			v.Verify([]byte("a\n"), make([]byte, 72))
		}
		s, err := checkpoint.NewSigner(text, noon)
		if err != nil {
			return
		}
		vkey, err := checkpoint.VerifierKey(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := checkpoint.NewVerifier(vkey)
		if err != nil {
			t.Fatal(err)
		}
		c := checkpoint.Checkpoint{Origin: "o", Size: 2, Root: root(records...)}
		msg, err := c.Sign(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := checkpoint.Open(msg, v); err != nil {
			t.Error(err)
		}
	})
}
