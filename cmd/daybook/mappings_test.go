package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestInitOptions takes the comment signs off every option in the file that "daybook
// init" writes: what it shows must be what it reads.
func TestInitOptions(t *testing.T) {
	text, err := os.ReadFile("daybook.toml")
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile(`(?m)^# (\[|[a-z_]+ = |"[a-zA-Z.]+" = )`).ReplaceAll(text, []byte("$1"))
	file := filepath.Join(t.TempDir(), "daybook.toml")
	if err := os.WriteFile(file, options, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != len(providers) {
		t.Errorf("%d sources, want one of each of %d providers", len(c.Sources), len(providers))
	}
	for _, s := range c.Sources {
		if s.Provider == "tahdah" && (len(s.tahdah(nil).Mappings) != 5 || len(s.Verbs) != 1) {
			t.Errorf("mappings %v, verbs %v", s.tahdah(nil).Mappings, s.Verbs)
		}
	}
}
