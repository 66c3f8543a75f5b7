package certificate_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

func example() certificate.Certificate {
	return certificate.Certificate{
		Origin: "daybook/7f3a/1", Position: 122, Root: tree.Leaf([]byte("log")), Projection: "credits", Version: 3,
		Tables: []certificate.Table{{Name: "balances", Rows: 2, State: tree.Leaf([]byte("b"))}, {Name: "entries", State: tree.Leaf(nil)}},
		Digest: "h1:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
		Totals: []certificate.Total{
			{Table: "balances", Column: "remaining", Sum: decimal.RequireFromString("-14.5"), Unit: "318"},
			{Table: "balances", Column: "remaining", Sum: decimal.Zero, Unit: "two\nlines \"quoted\""},
		},
	}
}

func ExampleCertificate_Text() {
	fmt.Print(example().Text())
	// Output:
	// daybook certificate v1
	// origin daybook/7f3a/1
	// position 122
	// root e9i+Q91fn9b2qLH2U1H/BZy0dqYt42bahgxP4LuZqm8=
	// projection credits 3
	// table balances 2 V+s1YV1H807HFMrN9f10YIpejhAnJOgLJLKHwMJ7ajE=
	// table entries 0 bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=
	// digest h1:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=
	// total balances remaining -14.5 "318"
	// total balances remaining 0 "two\nlines \"quoted\""
}

func keys(t *testing.T, name string) (string, note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := checkpoint.GenerateLogKey(bytes.NewReader(bytes.Repeat([]byte(name), 32)[:32]), name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skey, nil)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := checkpoint.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return skey, signer, verifier
}

func TestOpen(t *testing.T) {
	_, signer, verifier := keys(t, "log")
	_, _, other := keys(t, "other")
	msg, err := example().Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	c, by, err := certificate.Open(msg, other, verifier, verifier)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example(), c); diff != "" || len(by) != 1 || by[0] != fmt.Sprintf("log+%08x", verifier.KeyHash()) {
		t.Errorf("by %q (-want +got):\n%s", by, diff)
	}
	if c, _, err := certificate.Open(msg, other); domain.CodeOf(err) != domain.Unauthenticated || c.Position != 122 {
		t.Errorf("with another key: %v, %v", c, err)
	}
	for i := range msg {
		changed := bytes.Clone(msg)
		changed[i] ^= 1
		if _, _, err := certificate.Open(changed, verifier); err == nil {
			t.Errorf("byte %d changed, and it opens:\n%s", i, changed)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	text := example().Text()
	for name, changed := range map[string]string{
		"empty":         "",
		"no end":        strings.TrimSuffix(text, "\n"),
		"line twice":    strings.Replace(text, "position 122\n", "position 122\nposition 122\n", 1),
		"line missing":  strings.Replace(text, "digest ", "digets ", 1),
		"other order":   strings.Replace(text, "position 122\n", "", 1) + "position 122\n",
		"leading zero":  strings.Replace(text, "position 122", "position 0122", 1),
		"trailing zero": strings.Replace(text, "-14.5", "-14.50", 1),
		"exponent":      strings.Replace(text, "-14.5", "1e999999999", 1),
		"many digits":   strings.Replace(text, "-14.5", strings.Repeat("1", 1000), 1),
		"control":       strings.Replace(text, "credits", "cred\tits", 1),
		"a checkpoint":  "daybook/7f3a/1\n122\ne9i+Q91fn9b2qLH2U1H/BZy0dqYt42bahgxP4LuZqm8=\n",
	} {
		if _, err := certificate.Parse(changed); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A certificate is no checkpoint either: no witness takes it for one.
	if _, err := checkpoint.Parse(text); err == nil {
		t.Error("a certificate is read as a checkpoint")
	}
}

// leaves reads the stored hashes of a small tree.
type leaves []tree.Hash

func (l leaves) ReadHashes(indexes []int64) ([]tree.Hash, error) {
	hashes := make([]tree.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = l[x]
	}
	return hashes, nil
}

func TestOpenRow(t *testing.T) {
	skey, signer, verifier := keys(t, "log")
	c := example()
	salt := c.Salt(skey)
	rows := make([]certificate.Row, 2)
	for i := range rows {
		rows[i] = certificate.Row{
			Projection: "credits", Version: 3, Table: "balances",
			Salt: certificate.RowSalt(salt, "balances", fmt.Sprint(i)), JSON: fmt.Sprintf(`{"line":"%d","remaining":"14"}`, i),
		}
	}
	first, second := tree.Leaf(rows[0].AppendBytes(nil)), tree.Leaf(rows[1].AppendBytes(nil))
	root, err := tree.RootAt(2, leaves{first, second, tlog.NodeHash(first, second)})
	if err != nil {
		t.Fatal(err)
	}
	c.Tables[0].State = root
	msg, err := c.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	p := certificate.Proof{Row: rows[1], Index: 1, Hashes: []tree.Hash{first}, Certificate: msg}
	file := p.AppendBytes(nil)
	got, _, by, err := certificate.OpenRow(file, verifier)
	if err != nil || len(by) != 1 {
		t.Fatalf("%v, by %q", err, by)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, _, _, err := certificate.OpenRow(file); domain.CodeOf(err) != domain.Unauthenticated {
		t.Errorf("without a key: %v", err)
	}
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if _, _, _, err := certificate.OpenRow(changed, verifier); err == nil {
			t.Errorf("byte %d changed, and it opens:\n%s", i, changed)
		}
		if _, _, _, err := certificate.OpenRow(file[:i], verifier); err == nil {
			t.Errorf("%d of its bytes open", i)
		}
	}
}

// TestSalts: nothing that two certificates or two rows commit to can be compared.
func TestSalts(t *testing.T) {
	a, b := example(), example()
	b.Position++
	seen := map[[32]byte]bool{a.Salt("k"): true, b.Salt("k"): true, a.Salt("l"): true}
	for _, table := range []string{"balances", "entries"} {
		for _, key := range []string{"a", "b"} {
			seen[certificate.RowSalt(a.Salt("k"), table, key)] = true
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d different salts of 7", len(seen))
	}
}

func FuzzOpenRow(f *testing.F) {
	p := certificate.Proof{Row: certificate.Row{Projection: "credits", Version: 3, Table: "balances", JSON: "{}"}, Hashes: make([]tree.Hash, 2), Certificate: []byte("x")}
	f.Add(p.AppendBytes(nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, _, _, err := certificate.OpenRow(file); err == nil {
			t.Error("opened without a key")
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(example().Text())
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := certificate.Parse(text); err == nil && c.Text() != text {
			t.Errorf("%q is written %q", text, c.Text())
		}
	})
}
