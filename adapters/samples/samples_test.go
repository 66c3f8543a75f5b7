package samples

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"testing"
)

func TestEveryByteIsAsInTheManifest(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 161 {
		t.Errorf("%d samples, want 161", len(all))
	}
	for _, s := range all {
		sum := sha256.Sum256(s.Body)
		if got := hex.EncodeToString(sum[:]); got != s.SHA256 {
			t.Errorf("%s: sha256 %s, manifest says %s", s.File, got, s.SHA256)
		}
		if s.Kind != Webhook && s.Kind != EventsAPIResponse {
			t.Errorf("%s: kind %q", s.File, s.Kind)
		}
	}
}

func TestEveryFileIsInTheManifest(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, s := range all {
		listed[path.Join("data", s.File)] = true
	}
	err = fs.WalkDir(data, "data", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, "README.md") || file == "data/manifest.json" {
			return err
		}
		if !listed[file] {
			t.Errorf("%s is not in the manifest", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsAreTheManifests(t *testing.T) {
	m, err := readManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, got, want string }{
		{"TahdahSecret", TahdahSecret, m.TahdahSecret},
		{"ThinkificKey", ThinkificKey, m.ThinkificKey},
		{"BraincertLogin", BraincertLogin, m.BraincertLogin.User + ":" + m.BraincertLogin.Password},
		{"CredlyOrganization", CredlyOrganization, m.CredlyOrganization},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, manifest says %q", c.name, c.got, c.want)
		}
	}
}

func TestWebhooks(t *testing.T) {
	for provider, want := range map[string]int{"tahdah": 28, "braincert": 36, "thinkific": 39, "credly": 28, "other": 0} {
		got, err := Webhooks(provider)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != want {
			t.Errorf("%s: %d webhooks, want %d", provider, len(got), want)
		}
	}
}
