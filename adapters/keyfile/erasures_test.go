package keyfile

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/domain"
)

func erasure(id string) Erasure {
	return Erasure{
		At: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), ID: id, Identities: []domain.Identity{{Source: "acme", Type: "user", ID: "7"}},
		Keys: []string{"qgWG/2P1ATzIEbO8ofr/G/lmNkxh0GCxM7mM9xydPRI="}, Deliveries: 1, Epoch: 1, Basis: "R-17", By: "dpo",
	}
}

func made(t *testing.T) Dir {
	t.Helper()
	d := Open(t.TempDir(), "book")
	if _, err := d.MakeIndex(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestErasures(t *testing.T) {
	d := made(t)
	if list, err := d.Erasures(); err != nil || len(list) > 0 {
		t.Errorf("before any: %v, %v", list, err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := d.Note(erasure("a")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := d.Erasures()
	if err != nil || len(list) != 8 {
		t.Fatalf("%d of 8, %v", len(list), err)
	}
	if diff := cmp.Diff(erasure("a"), list[7]); diff != "" {
		t.Error(diff)
	}
	path := filepath.Join(d.Path(), erasuresName)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := len(whole) / 8
	for cut := len(whole) - line; cut < len(whole); cut += 7 { // a crash while the last line is written
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := d.Erasures(); err != nil || len(list) != 7 {
			t.Errorf("cut at %d: %d, %v", cut, len(list), err)
		}
		if err := d.Note(erasure("b")); err != nil {
			t.Fatal(err)
		}
		if list, err := d.Erasures(); err != nil || len(list) != 8 || list[7].ID != "b" {
			t.Errorf("cut at %d, and another one: %d, %v", cut, len(list), err)
		}
	}
	for i := 0; i < line; i += 5 {
		changed := bytes.Clone(whole)
		changed[i] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Erasures(); domain.CodeOf(err) != domain.Differs {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func TestDestroyKEK(t *testing.T) {
	d := made(t)
	before, err := d.MakeKEK(1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.Path(), kekName(1))
	kept, err := os.Open(path) // as whoever had it open
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	for range 2 {
		if err := d.DestroyKEK(1); err != nil {
			t.Error(err)
		}
		if _, err := d.KEK(1); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("it is there: %v", err)
		}
	}
	left := make([]byte, 100)
	n, _ := kept.Read(left)
	if n == 0 || bytes.Contains(left, hex.AppendEncode(nil, before[:])) {
		t.Errorf("%d bytes are left of it: %q", n, left)
	}
}
