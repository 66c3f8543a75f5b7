package keyfile

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

func TestMake(t *testing.T) {
	parent := t.TempDir()
	d := Open(filepath.Join(parent, "etc", "keys"), "book")
	if _, err := d.Index(); domain.CodeOf(err) != domain.NotFound || domain.HintOf(err) == "" {
		t.Errorf("before it is made: %v", err)
	}
	if _, err := os.Stat(d.Path()); !os.IsNotExist(err) {
		t.Errorf("asking made something: %v", err)
	}
	made, err := d.MakeIndex()
	if err != nil {
		t.Fatal(err)
	}
	kek, err := d.MakeKEK(1)
	if err != nil || *kek == *made {
		t.Fatalf("two keys are the same, %v", err)
	}
	for name, get := range map[string]func() (*seal.Key, error){
		"again": d.MakeIndex, "read": d.Index, "elsewhere": Open(filepath.Join(parent, "etc", "keys"), "book").Index,
	} {
		if k, err := get(); err != nil || *k != *made {
			t.Errorf("%s: another key, %v", name, err)
		}
	}
	if _, err := Open(parent, "other").KEK(1); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("of another book: %v", err)
	}
	for name, mode := range map[string]os.FileMode{"..": 0o700, ".": 0o700, "index.key": 0o600, "kek-000001.key": 0o600} {
		info, err := os.Stat(filepath.Join(d.Path(), name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(d.Path()); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestMakeAtOnce has several make the same key: there is one.
func TestMakeAtOnce(t *testing.T) {
	parent := t.TempDir()
	keys := make([]*seal.Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = Open(parent, "book").MakeIndex(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k == nil || *k != *keys[0] {
			t.Error("not everybody has the same key")
		}
	}
}

func TestRefuses(t *testing.T) {
	d := Open(t.TempDir(), "book")
	if _, err := d.MakeIndex(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.Path(), indexName)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Index(); domain.CodeOf(err) != domain.Refused {
		t.Errorf("others may read it: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "00\n", "zz", "not a key"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Index(); domain.CodeOf(err) != domain.Differs {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := d.MakeIndex(); domain.CodeOf(err) != domain.Differs {
			t.Errorf("%q is replaced: %v", text, err)
		}
	}
}
