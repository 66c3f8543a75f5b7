package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// emptyBook returns a bundle of a log that has no records yet, the checkpoint in it,
// and the key of who signed that.
func emptyBook(t *testing.T) (file, signed []byte, vkey string) {
	t.Helper()
	skey, vkey, err := checkpoint.GenerateLogKey(bytes.NewReader(make([]byte, 32)), "daybook/test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skey, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := new(tree.Frontier).Root()
	msg, err := checkpoint.Checkpoint{Origin: "daybook/test/1", Root: root}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, bundle.Meta{Origin: "daybook/test", From: 1, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Checkpoint(msg); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), msg, vkey
}

func TestRun(t *testing.T) {
	file, signed, vkey := emptyBook(t)
	name := filepath.Join(t.TempDir(), "book.tar")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   string
		stdin  []byte
		status int
		says   string
	}{
		{"-key " + vkey + " " + name, nil, 0, "book.tar: OK"},
		{"-key " + vkey + " -", file, 0, "-: OK"},
		{"-key " + vkey + " -o json -", file, 0, `"result":"ok"`},
		{"-key " + vkey + " -view credits/balances " + name, nil, 0, "SOURCE"},
		{"-key " + vkey + " -view credits/balances -o csv " + name, nil, 0, "\nsource,line"},
		{name, nil, 3, "no key was given"},
		{"-key " + vkey + " -", file[:700], 3, "-: FAIL"},
		{"-key " + vkey + " -", []byte("\x1b[2J no bundle"), 3, "FAIL"},
		{"-key " + vkey + " -", []byte("c2sp.org/tlog-proof@v1\nindex 6\n"), 2, "daybook checkpoint verify"},
		{"-key " + vkey + " -", signed, 2, "daybook checkpoint verify"},
		{name + " -key " + vkey, nil, 2, "hint: Options come first"},
		{"-key nothing " + name, nil, 2, "neither a public key nor a file"},
		{"-view credits/nothing " + name, nil, 2, "there is no view"},
		{"-o xml " + name, nil, 2, "is not known"},
		{"-what " + name, nil, 2, "usage: "},
		{"", nil, 2, "there is no file to audit"},
		{"nowhere.tar", nil, 2, "no such file"},
		{"-h", nil, 0, "usage: "},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), strings.Fields(tt.args), bytes.NewReader(tt.stdin), &stdout, &stderr)
		all := stderr.String() + "\n" + stdout.String()
		if status != tt.status || !strings.Contains(all, tt.says) || strings.Contains(all, "\x1b") {
			t.Errorf("%s: status %d, want %d and %q\n%s", tt.args, status, tt.status, tt.says, all)
		}
	}
}
