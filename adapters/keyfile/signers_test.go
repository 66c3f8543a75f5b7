package keyfile_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// TestSigners makes a key, replaces it, and refuses one that others may read.
func TestSigners(t *testing.T) {
	d := keyfile.Open(t.TempDir(), "b00c")
	if _, err := d.Signers(); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("no key: %v", err)
	}
	first, err := d.MakeSigners("example.com/log")
	if err != nil || len(first) != 1 {
		t.Fatalf("made %d keys, %v", len(first), err)
	}
	if again, err := d.MakeSigners("example.com/log"); err != nil || !slices.Equal(again, first) {
		t.Errorf("another key was made: %v", err)
	}
	if err := d.DropSigner(); domain.CodeOf(err) != domain.Refused {
		t.Errorf("dropping the only one: %v", err)
	}
	if err := d.RotateSigners("example.com/log"); err != nil {
		t.Fatal(err)
	}
	both, err := d.Signers()
	if err != nil || len(both) != 2 || both[1] != first[0] {
		t.Fatalf("while one replaces the other there are %d, %v", len(both), err)
	}
	if err := d.RotateSigners("example.com/log"); domain.CodeOf(err) != domain.Refused {
		t.Errorf("a third key: %v", err)
	}
	if err := d.DropSigner(); err != nil {
		t.Fatal(err)
	}
	retired, err := d.Retired()
	if err != nil || len(retired) != 1 {
		t.Fatalf("retired keys: %v, %v", retired, err)
	}
	if vkey, err := checkpoint.VerifierKey(first[0]); err != nil || retired[0] != vkey {
		t.Errorf("the retired key is %s, not %s", retired[0], vkey)
	}
	if one, err := d.Signers(); err != nil || !slices.Equal(one, both[:1]) {
		t.Errorf("the new one alone: %d keys, %v", len(one), err)
	}
	file := filepath.Join(d.Path(), "checkpoint.key")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Signers(); domain.CodeOf(err) != domain.Refused {
		t.Errorf("others may read it: %v", err)
	}
	for _, text := range []string{"", "\n", "PRIVATE+KEY+x\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.MakeSigners("example.com/log"); domain.CodeOf(err) != domain.Differs {
			t.Errorf("%q: %v", text, err)
		}
	}
}
