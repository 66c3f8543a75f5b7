package checkpoint_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

func ExampleConsistency() {
	skey, vkey, _ := checkpoint.GenerateLogKey(seed(1), log)
	signer, _ := checkpoint.NewSigner(skey, nil)
	verifier, _ := checkpoint.NewVerifier(vkey)
	older := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 1, Root: root(records[0])}
	msg, _ := checkpoint.Checkpoint{Origin: older.Origin, Size: 2, Root: root(records...)}.Sign(signer)
	c := checkpoint.Consistency{Older: 1, Hashes: []tree.Hash{tree.Leaf(records[1])}, Checkpoint: msg}
	fmt.Printf("%s\n", c.Bytes())
	s, err := c.Check(older, verifier)
	fmt.Println(s.Size, err)
	// Output:
	// old 1
	// VKbcG/yZDO0/V1cmTzV61wip7lTOPRFymWQbI09tWAA=
	//
	// daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829/1
	// 2
	// A9G47IzdpTsroMZlnqFqXBztxZVeGS8UBUD3fVDfZ2U=
	//
	// — daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829 MCQVT4wtLdttVO/JAj2rlHDhBr9OSmJTY/5mOeYY7pkQzmIXDNljv2EDSNwMmdZWd47XCkmRonHpJNSflNYJmadj/gA=
	//
	// 2 <nil>
}

func TestProofRefuses(t *testing.T) {
	signer, key, _, _ := keys(t)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}
	msg, err := c.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	good := checkpoint.Proof{Extra: records[1], Index: 1, Hashes: []tree.Hash{tree.Leaf(records[0])}, Checkpoint: msg}.Bytes()
	check := func(b []byte) error {
		p, err := checkpoint.ParseProof(b)
		if err != nil {
			return err
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Errorf("%q is written again as %q", b, p.Bytes())
		}
		_, err = p.Check(p.Extra, key)
		return err
	}
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if err := check(bad); err == nil {
			t.Errorf("bit %d of byte %d (%q) changed, and the proof holds", i%8, i/8, good[i/8])
		}
	}
	for i := range len(good) {
		if check(good[:i]) == nil {
			t.Errorf("the first %d bytes are taken for the whole", i)
		}
	}
	text := string(good)
	for name, bad := range map[string]string{
		"leading zero":    strings.Replace(text, "index 1", "index 01", 1),
		"negative":        strings.Replace(text, "index 1", "index -1", 1),
		"no index":        strings.Replace(text, "index 1\n", "", 1),
		"extra behind":    strings.Replace(text, "extra aGVsbG8K\nindex 1\n", "index 1\nextra aGVsbG8K\n", 1),
		"extra twice":     strings.Replace(text, "extra aGVsbG8K\n", "extra aGVsbG8K\nextra aGVsbG8K\n", 1),
		"carriage return": strings.ReplaceAll(text, "\n", "\r\n"),
		"too many hashes": strings.Replace(text, "index 1\n", "index 1\n"+strings.Repeat("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 129), 1),
		"no checkpoint":   text[:strings.Index(text, "\n\n")+2],
	} {
		if _, err := checkpoint.ParseProof([]byte(bad)); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConsistencyLaw takes any two sizes of any log: the newer continues the
// older, and no changed bit of the file or of the older checkpoint is passed
// over.
func TestConsistencyLaw(t *testing.T) {
	signer, key, _, _ := keys(t)
	rapid.Check(t, func(t *rapid.T) {
		newer := rapid.Int64Range(0, 700).Draw(t, "newer")
		size := rapid.Int64Range(0, newer).Draw(t, "older")
		hashes := stored(newer)
		at := func(size int64) checkpoint.Checkpoint {
			root, err := tree.RootAt(size, hashes)
			if err != nil {
				t.Fatal(err)
			}
			return checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: size, Root: root}
		}
		older := at(size)
		msg, err := at(newer).Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		c := checkpoint.Consistency{Older: size, Checkpoint: msg}
		if c.Hashes, err = tree.ProveConsistency(size, newer, hashes); err != nil {
			t.Fatal(err)
		}
		check := func(b []byte, older checkpoint.Checkpoint) error {
			c, err := checkpoint.ParseConsistency(b)
			if err != nil {
				return err
			}
			if !bytes.Equal(c.Bytes(), b) {
				t.Fatalf("%q is written again as %q", b, c.Bytes())
			}
			_, err = c.Check(older, key)
			return err
		}
		if err := check(c.Bytes(), older); err != nil {
			t.Fatal(err)
		}
		bad := c.Bytes()
		bit := rapid.IntRange(0, len(bad)*8-1).Draw(t, "bit")
		bad[bit/8] ^= 1 << (bit % 8)
		if check(bad, older) == nil {
			t.Fatalf("bit %d of byte %d changed, and the proof holds", bit%8, bit/8)
		}
		other := older
		other.Root[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit of root")
		if err := check(c.Bytes(), other); domain.CodeOf(err) != domain.Differs {
			t.Fatalf("another older root: %v", err)
		}
		other = older
		other.Origin = checkpoint.Origin(log, 2)
		if err := check(c.Bytes(), other); domain.CodeOf(err) != domain.Differs {
			t.Fatalf("another origin: %v", err)
		}
	})
}

// TestProofLaw proves any record of any log, and nothing else by that proof.
func TestProofLaw(t *testing.T) {
	signer, key, _, _ := keys(t)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 700).Draw(t, "size")
		index := rapid.Int64Range(0, size-1).Draw(t, "index")
		hashes := stored(size)
		root, err := tree.RootAt(size, hashes)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: size, Root: root}.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		p := checkpoint.Proof{Index: index, Extra: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "extra"), Checkpoint: msg}
		if p.Hashes, err = tree.ProveInclusion(size, index, hashes); err != nil {
			t.Fatal(err)
		}
		again, err := checkpoint.ParseProof(p.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if s, err := again.Check(record(index), key); err != nil || s.Size != size {
			t.Fatalf("%+v, %v", s, err)
		}
		for _, other := range []int64{index + 1, index - 1} {
			if _, err := again.Check(record(other), key); domain.CodeOf(err) != domain.Differs {
				t.Fatalf("record %d is proven at index %d: %v", other, index, err)
			}
			again.Index = other
			if _, err := again.Check(record(index), key); err == nil {
				t.Fatalf("record %d is proven at index %d", index, other)
			}
			again.Index = index
		}
	})
}

func FuzzParseProof(f *testing.F) {
	signer, key, _, _ := keys(f)
	msg, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}.Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	p := checkpoint.Proof{Extra: records[1], Index: 1, Hashes: []tree.Hash{tree.Leaf(records[0])}, Checkpoint: msg}
	f.Add(p.Bytes())
	p.Extra = nil
	f.Add(p.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := checkpoint.ParseProof(b)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Errorf("code %q", domain.CodeOf(err))
			}
			return
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Errorf("%q is written again as %q", b, p.Bytes())
		}
		if _, err := p.Check(p.Extra, key); err == nil && !bytes.Equal(p.Extra, records[p.Index]) {
			t.Errorf("%q is proven", p.Extra)
		}
	})
}

func FuzzParseConsistency(f *testing.F) {
	signer, key, _, _ := keys(f)
	older := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 1, Root: root(records[0])}
	c := checkpoint.Checkpoint{Origin: older.Origin, Size: 2, Root: root(records...)}
	msg, err := c.Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(checkpoint.Consistency{Older: 1, Hashes: []tree.Hash{tree.Leaf(records[1])}, Checkpoint: msg}.Bytes())
	f.Add(checkpoint.Consistency{Checkpoint: msg}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := checkpoint.ParseConsistency(b)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Errorf("code %q", domain.CodeOf(err))
			}
			return
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Errorf("%q is written again as %q", b, p.Bytes())
		}
		if s, err := p.Check(older, key); err == nil && s.Text() != c.Text() {
			t.Errorf("%q is taken for a continuation", b)
		}
	})
}

func record(n int64) []byte { return fmt.Appendf(nil, "record %d\n", n) }

// stored returns the hashes of the log of that many records.
func stored(size int64) tree.HashReader {
	var all []tree.Hash
	r := tlog.HashReaderFunc(func(indexes []int64) ([]tree.Hash, error) {
		var hashes []tree.Hash
		for _, i := range indexes {
			hashes = append(hashes, all[i])
		}
		return hashes, nil
	})
	for n := range size {
		more, err := tlog.StoredHashes(n, record(n), r)
		if err != nil {
			panic(err)
		}
		all = append(all, more...)
	}
	return r
}

// TestConsistencyFrom refuses a proof from another size than that of the checkpoint
// at hand, and more hashes than a witness takes.
func TestConsistencyFrom(t *testing.T) {
	signer, key, _, _ := keys(t)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}
	msg, err := c.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	from := checkpoint.Consistency{Older: 1, Checkpoint: msg}
	if _, err := from.Check(c, key); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("it is from 1 record, and is taken for one from 2: %v", err)
	}
	for n, code := range map[int]domain.Code{63: "", 64: domain.Invalid} {
		from.Hashes = make([]tree.Hash, n)
		if _, err := checkpoint.ParseConsistency(from.Bytes()); err != nil && domain.CodeOf(err) != code || err == nil && code != "" {
			t.Errorf("%d hashes: %v", n, err)
		}
	}
}
