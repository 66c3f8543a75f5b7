package checkpointer_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// TestDirectoryAll wants every checkpoint that was ever put into a directory, and
// no more than that.
func TestDirectoryAll(t *testing.T) {
	d := checkpointer.NewDirectory(filepath.Join(t.TempDir(), "sink"))
	key := newKey(t)
	want := make(map[string]bool)
	for note, err := range d.All(t.Context()) {
		t.Fatalf("an empty directory has %q, %v", note, err)
	}
	for epoch := range int64(2) {
		m := new(memory)
		for range 3 {
			f := frontier(m.grow(7, "a").leaves)
			note, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(logName, epoch+1), Size: f.Size(), Root: f.Root()}.Sign(key.Signer)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := checkpoint.Open(note, key.Verifier)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Put(t.Context(), signed); err != nil {
				t.Fatal(err)
			}
			want[string(note)] = true
		}
	}
	got := make(map[string]bool)
	for note, err := range d.All(t.Context()) {
		if err != nil || !want[string(note)] {
			t.Fatalf("nobody put %q, %v", note, err)
		}
		got[string(note)] = true
	}
	if len(got) != len(want) {
		t.Errorf("%d checkpoints, want %d", len(got), len(want))
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, err := range d.All(ended) {
		if err == nil {
			t.Error("it goes on although nobody waits")
		}
	}
}
