package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// signedEnrolments records some enrolments and signs the log after each few.
func signedEnrolments(t *testing.T, url string, from, to int) {
	t.Helper()
	p := serve(t, url)
	for i := range to - from {
		p.mustPost(t, enrolment(fmt.Sprint("kept", from+i)))
	}
	p.stop(t)
	mustRun(t, url, exitDone, "checkpoint", "sign")
}

// TestVerifyKept verifies a log against what was signed and kept by itself: nothing
// has to be handed to the command.
func TestVerifyKept(t *testing.T) {
	url := postgrestest.URL(t)
	signedEnrolments(t, url, 0, 3)
	restore := pgtest.Backup(t, url)
	signedEnrolments(t, url, 3, 6)
	if v, status := logVerified(t, url); status != exitDone || v.Result != domain.OK || v.Vouched != 6 {
		t.Errorf("status %d, %+v", status, v)
	}
	restore()
	v, status := logVerified(t, url)
	if status != exitDiffers || v.Result != domain.Fail || v.Findings[0].Position != 4 || v.Findings[0].Until != 6 {
		t.Errorf("an old backup: status %d, %+v", status, v)
	}
	mustRun(t, url, exitDone, "log", "fork", "--reason", "disk lost", "--by", "marta")
	mustRun(t, url, exitDone, "checkpoint", "sign")
	v, status = logVerified(t, url)
	if status != exitDone || v.Result != domain.OK || v.Vouched != 4 || !strings.Contains(strings.Join(v.Notes, "\n"), "disk lost") {
		t.Errorf("after the fork: status %d, %+v", status, v)
	}
}

// TestVerifySignedAgain has somebody who rules the database and has the key rewrite
// the log and sign it again: a checkpoint that was kept before shows where.
func TestVerifySignedAgain(t *testing.T) {
	url := postgrestest.URL(t)
	signedEnrolments(t, url, 0, 3)
	signedEnrolments(t, url, 3, 6)
	rewrite(t, url, 2)
	db := postgrestest.Open(t, url, postgres.RoleOwner)
	book := bookOf(t, url)
	skeys, err := keyfile.Open(os.Getenv("DAYBOOK_KEYS_DIR"), book).Signers()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.NewSigner(skeys[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{t, db, 6}
	tree := f.frontier(6)
	forged, err := checkpoint.Checkpoint{Origin: checkpoint.Origin("daybook/"+book, 1), Size: 6, Root: tree.Root()}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	// Everything that was kept of the last checkpoint is replaced.
	dir := filepath.Join(os.Getenv("DAYBOOK_CHECKPOINTS_DIR"), book)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(string(text), "daybook/"+book+"/1\n6\n"):
			return os.WriteFile(path, forged, 0o600)
		case !strings.HasPrefix(string(text), "daybook/"):
			return os.Remove(path) // what was signed last, with more than the note
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v, status := logVerified(t, url)
	if status != exitDiffers || v.Result != domain.Fail || v.Findings[0].Position != 1 || v.Findings[0].Until != 3 {
		said, _ := json.Marshal(v)
		t.Errorf("status %d, %s", status, said)
	}
}

// TestVerifyKeptLost has what a sink keeps overwritten: nobody knows what it said.
func TestVerifyKeptLost(t *testing.T) {
	url := postgrestest.URL(t)
	signedEnrolments(t, url, 0, 3)
	sink := filepath.Join(os.Getenv("DAYBOOK_CHECKPOINTS_DIR"), bookOf(t, url), "published")
	if err := os.WriteFile(filepath.Join(sink, "latest"), []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, status := logVerified(t, url)
	if status != exitDiffers || v.Result != domain.Incomplete || !strings.Contains(strings.Join(v.Missing, "\n"), "was not compared with 1 checkpoints kept by the sink local") {
		t.Errorf("status %d, %+v", status, v)
	}
}
