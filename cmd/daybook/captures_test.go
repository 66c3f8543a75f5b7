package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
)

// TestCapturedFiles wants nothing in a directory to be read that has no end, or
// that somebody would have to write to first.
func TestCapturedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := exec.Command("mkfifo", dir+"/pipe").Run(); err != nil {
		t.Skip("no pipes here: ", err)
	}
	for name, target := range map[string]string{"device": "/dev/zero", "gone": "/nonexistent", "linked": "file", "to-pipe": "pipe"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/file", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var read, refused []string
	for name, err := range files([]string{dir}) {
		if err != nil {
			refused = append(refused, filepath.Base(name))
			if domain.CodeOf(err) != domain.Invalid {
				t.Error(err)
			}
			continue
		}
		read = append(read, filepath.Base(name))
	}
	if !slices.Equal(read, []string{"file", "gone", "linked"}) || !slices.Equal(refused, []string{"device", "pipe", "to-pipe"}) {
		t.Errorf("read %q, refused %q", read, refused)
	}
	for name, err := range files([]string{dir + "/pipe"}) { // a shell's <(…) is one
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
