package postgres_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// fsck checks whole logs of c2sp.org/tlog-tiles; it comes with Tessera, which is
// another implementation. It is run and not imported: go.mod would have to list
// what Tessera needs to store logs in clouds.
const fsck = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"

// ones is a source of randomness that is none.
type ones struct{}

func (ones) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 1
	}
	return len(b), nil
}

// TestTessera writes the tiles of a log into files, with its records and a signed
// checkpoint, as a log serves them, and has Tessera check it; then it changes a
// tile.
func TestTessera(t *testing.T) {
	const size, name = 70_000, "daybook.test/log"
	db := postgrestest.Open(t, postgrestest.URL(t), postgres.RoleOwner)
	fillLog(t, db, size)
	if err := postgres.WriteTiles(t.Context(), db, size); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(path string, data []byte) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hashes := postgres.Hashes(t.Context(), db)
	for _, tile := range tree.Tiles(size) {
		data, err := tile.Read(hashes)
		if err != nil {
			t.Fatal(err)
		}
		write(tile.Path(), data)
		if tile.Level > 0 {
			continue
		}
		var bundle []byte
		for n := range int64(tile.Width) {
			record := fmt.Appendf(nil, "record %d", tile.N*tree.TileWidth+n+1)
			bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(record))), record...)
		}
		write(strings.Replace(tile.Path(), "tile/0/", "tile/entries/", 1), bundle)
	}
	skey, vkey, err := checkpoint.GenerateLogKey(ones{}, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skey, nil)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tree.RootAt(size, hashes)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(name, 1), Size: size, Root: root}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	write("checkpoint", msg)
	write("vkey", []byte(vkey))

	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", fsck)
	install.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Its exit status is always 0. And it would wait for ever for workers that ended
	// because they found something, were there not enough of them.
	check := func() (output string, ok bool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "fsck"), "--ui=false", "-N=1000",
			"--storage_url=file://"+dir+"/", "--public_key="+filepath.Join(dir, "vkey"), "--origin="+checkpoint.Origin(name, 1))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return string(out), strings.Contains(string(out), "Successfully fsck'd log with size 70000")
	}
	if out, ok := check(); !ok {
		t.Errorf("Tessera does not read the log:\n%s", out)
	}
	changed := tree.Tile{Level: 1, N: 0, Width: tree.TileWidth}
	data, err := changed.Read(hashes)
	if err != nil {
		t.Fatal(err)
	}
	data[1000] ^= 1
	write(changed.Path(), data)
	if out, ok := check(); ok || !strings.Contains(out, changed.Path()) {
		t.Errorf("a changed tile is passed over:\n%s", out)
	}
}
