package main

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// evidenceLog is the name of the log of the tests.
const evidenceLog = "daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829"

// signedLog is a log of some records, with keys to sign what it holds.
type signedLog struct {
	url     string
	db      *sql.DB
	log     *postgres.Appender
	dir     string // of the files
	signer  note.Signer
	witness note.Signer
	receipt domain.Receipt // of a delivery that caused three records
}

// newSignedLog returns a log of that many records. Its directory holds log.vkey,
// witness.vkey and other.vkey.
func newSignedLog(t *testing.T, size int64) *signedLog {
	t.Helper()
	l := &signedLog{url: postgrestest.URL(t), dir: t.TempDir()}
	l.db = postgrestest.Open(t, l.url, postgres.RoleOwner)
	l.signer = l.key(t, "log", evidenceLog, checkpoint.GenerateLogKey)
	l.witness = l.key(t, "witness", "witness.example", checkpoint.GenerateWitnessKey)
	l.key(t, "other", evidenceLog, checkpoint.GenerateLogKey)
	l.log = postgrestest.Appender(t, l.url)
	fact := domain.Fact{Event: domain.IntakeUnrecognized{Topic: "t", Reason: "test"}}
	l.receipt = l.add(t, "three", fact, fact, fact)
	for n := range size - 3 {
		l.add(t, fmt.Sprint(n), fact)
	}
	return l
}

// add appends a delivery.
func (l *signedLog) add(t *testing.T, key string, facts ...domain.Fact) domain.Receipt {
	t.Helper()
	r, err := l.log.Append(t.Context(), domain.Delivery{
		ID: ulid.Make(), Source: "acme", ReceivedAt: time.Now(), Verified: "test", Body: []byte(key),
		Translation: domain.Translation{Topic: "t", Key: key, Facts: facts},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (l *signedLog) key(t *testing.T, file, name string, generate func(r io.Reader, name string) (string, string, error)) note.Signer {
	t.Helper()
	skey, vkey, err := generate(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, file+".vkey", []byte("# of "+name+"\n"+vkey+"\n"))
	s, err := checkpoint.NewSigner(skey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (l *signedLog) path(name string) string { return filepath.Join(l.dir, name) }

func (l *signedLog) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(l.path(name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sign writes the checkpoint of the first size records into a file.
func (l *signedLog) sign(t *testing.T, name string, size int64, signers ...note.Signer) {
	t.Helper()
	root, err := tree.RootAt(size, postgres.LeafHashes(t.Context(), l.db))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(evidenceLog, 1), Size: size, Root: root}.Sign(signers...)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, name, msg)
}

// run runs "daybook checkpoint" in the directory's files: "@name" stands for the
// path of one. It wants the status.
func (l *signedLog) run(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	full := []string{"checkpoint"}
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "@"); ok {
			arg = l.path(name)
		}
		full = append(full, arg)
	}
	url := l.url
	if args[0] == "verify" {
		url = "postgres://nobody@127.0.0.1:1/none" // it must not be asked
	}
	stdout, stderr, status := daybook(t, url, full...)
	if status != want {
		t.Errorf("%s: status %d, want %d\n%s%s", strings.Join(args, " "), status, want, stdout, stderr)
	}
	return stdout, stderr
}

// TestEvidence proves every record of a log, by position and by id, and has the
// proofs checked without a database.
func TestEvidence(t *testing.T) {
	l := newSignedLog(t, 7)
	l.sign(t, "7.checkpoint", 7, l.signer, l.witness)
	for position := 1; position <= 7; position++ {
		file := fmt.Sprintf("@%d.tlog-proof", position)
		l.run(t, exitDone, "prove", fmt.Sprint(position), "--under", "@7.checkpoint", "--out", file)
		stdout, _ := l.run(t, exitDone, "verify", file, "--key", "@log.vkey", "--key", "@witness.vkey")
		if !strings.Contains(stdout, fmt.Sprintf("OK · record %d · 7 records of %s/1 · signed by %s+", position, evidenceLog, evidenceLog)) ||
			!strings.Contains(stdout, fmt.Sprintf("  position %d\n", position)) {
			t.Errorf("verify %s printed\n%s", file, stdout)
		}
	}
	byRecord, _ := l.run(t, exitDone, "prove", l.receipt.Records[1].ID.String(), "--under", "@7.checkpoint")
	if byPosition, err := os.ReadFile(l.path("2.tlog-proof")); err != nil || string(byPosition) != byRecord {
		t.Errorf("by the record's id:\n%s\nby position (%v):\n%s", byRecord, err, byPosition)
	}
	l.run(t, exitDone, "prove", l.receipt.Delivery.String(), "--under", "@7.checkpoint", "--out", l.path("of")+"/")
	l.run(t, exitDone, "verify", "@of/1.tlog-proof", "@of/2.tlog-proof", "@of/3.tlog-proof", "--key", "@log.vkey")
	rows, _ := l.run(t, exitDone, "prove", l.receipt.Delivery.String(), "--under", "@2.tlog-proof", "--json")
	if lines := strings.Split(strings.TrimSpace(rows), "\n"); len(lines) != 3 {
		t.Errorf("%d lines for a delivery of three records:\n%s", len(lines), rows)
	}
	for _, tt := range []struct {
		status int
		args   []string
	}{
		{exitUsage, []string{"prove", l.receipt.Delivery.String(), "--under", "@7.checkpoint"}},
		{exitUsage, []string{"prove", "seven", "--under", "@7.checkpoint"}},
		{exitUsage, []string{"prove"}},
		{exitUsage, []string{"prove", "1", "--from", "1"}},
		{exitNotFound, []string{"prove", "8", "--under", "@7.checkpoint"}},
		{exitNotFound, []string{"prove", ulid.Make().String(), "--under", "@7.checkpoint"}},
		{exitNotFound, []string{"prove", "1", "--under", "@none"}},
		{exitNotFound, []string{"prove", "--from", "1", "--to", "6", "--under", "@7.checkpoint"}},
		{exitUsage, []string{"prove", "--from", "8", "--under", "@7.checkpoint"}},
		{exitUsage, []string{"prove", "1", "--under", "@log.vkey"}},
	} {
		l.run(t, tt.status, tt.args...)
	}
	superuser(t, l.db, `UPDATE log SET kind = 'x' WHERE position = 4`)
	l.run(t, exitDiffers, "prove", "4", "--under", "@7.checkpoint")
	l.run(t, exitDone, "prove", "5", "--under", "@7.checkpoint")
}

// TestEvidenceKept signs a log while it grows, and proves under what is kept: the
// whole way of an auditor who has the public key and an old checkpoint.
func TestEvidenceKept(t *testing.T) {
	l := newSignedLog(t, 4)
	l.run(t, exitNotFound, "prove", "1")
	l.run(t, exitDone, "sign")
	keys, _ := l.run(t, exitDone, "show", "--key")
	l.write(t, "keys", []byte(keys))
	old, _ := l.run(t, exitDone, "show", "--note")
	l.write(t, "4.checkpoint", []byte(old))
	for _, grows := range []string{"a", "b"} {
		l.add(t, grows, domain.Fact{Event: domain.IntakeUnrecognized{Topic: "t", Reason: "test"}})
		l.run(t, exitDone, "sign")
	}
	l.run(t, exitDone, "prove", "6", "--out", "@6.tlog-proof")
	l.run(t, exitDone, "prove", "2", "--to", "5", "--out", "@2.tlog-proof")
	l.run(t, exitDone, "prove", "--from", "4", "--out", "@4-6")
	l.run(t, exitDone, "prove", "--from", "4", "--to", "5", "--out", "@4-5")
	l.run(t, exitDone, "verify", "@6.tlog-proof", "@4-6", "@2.tlog-proof", "@4-5", "--old", "@4.checkpoint", "--key", "@keys")
	l.run(t, exitNotFound, "prove", "6", "--to", "5")
	l.run(t, exitNotFound, "prove", "1", "--to", "3")
}

// TestEvidenceFlipped changes every bit of a proof's file.
func TestEvidenceFlipped(t *testing.T) {
	l := newSignedLog(t, 5)
	l.sign(t, "5.checkpoint", 5, l.signer)
	l.run(t, exitDone, "prove", "4", "--under", "@5.checkpoint", "--out", "@4.tlog-proof")
	good, err := os.ReadFile(l.path("4.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	var v evidenceVerifier
	if err := v.readKeys([]string{l.path("log.vkey")}); err != nil {
		t.Fatal(err)
	}
	if done := v.judge(readAs(good)); done.Result != domain.OK {
		t.Fatalf("%+v", done)
	}
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if done := v.judge(readAs(bad)); done.Result != domain.Fail || done.Reason == "" {
			t.Errorf("bit %d of byte %d (%q) changed: %s: %s", bit%8, bit/8, good[bit/8], done.Result, done.Reason)
		}
	}
}

// TestEvidenceMoved proves a record that is at another position than it says: the
// tree is as it was signed, and the log is wrong all the same.
func TestEvidenceMoved(t *testing.T) {
	l := newSignedLog(t, 3)
	record := []byte("daybook record v1\nposition 7\n")
	msg, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(evidenceLog, 1), Size: 1, Root: tree.Leaf(record)}.Sign(l.signer)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "moved.tlog-proof", checkpoint.Proof{Extra: record, Checkpoint: msg}.Bytes())
	stdout, _ := l.run(t, exitDiffers, "verify", "@moved.tlog-proof", "--key", "@log.vkey")
	if !strings.Contains(stdout, "FAIL · the record says that it is at position 7, and is at 1") {
		t.Errorf("verify printed\n%s", stdout)
	}
}

// TestEvidenceVerdicts checks files of every kind against keys and older
// checkpoints of every kind.
func TestEvidenceVerdicts(t *testing.T) {
	l := newSignedLog(t, 9)
	for _, size := range []int64{3, 5, 9} {
		l.sign(t, fmt.Sprintf("%d.checkpoint", size), size, l.signer)
	}
	l.sign(t, "cosigned", 9, l.signer, l.witness)
	l.sign(t, "witnessed", 9, l.witness)
	l.run(t, exitDone, "prove", "--from", "3", "--under", "@9.checkpoint", "--out", "@3-9")
	l.run(t, exitDone, "prove", "--from", "5", "--to", "9", "--under", "@9.checkpoint", "--out", "@5-9")
	l.run(t, exitDone, "prove", "2", "--under", "@9.checkpoint", "--out", "@2.tlog-proof")

	proof, err := os.ReadFile(l.path("2.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := checkpoint.ParseProof(proof)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "record", p.Extra)
	l.write(t, "another", append(bytes.Clone(p.Extra), 'x'))
	p.Extra = nil
	l.write(t, "bare.tlog-proof", p.Bytes())

	// The log is rewritten, and signed again with the same key.
	superuser(t, l.db, `UPDATE log SET leaf = sha256('another') WHERE position = 2`)
	l.sign(t, "rewritten", 9, l.signer)
	rewritten, err := tree.ProveConsistency(5, 9, postgres.LeafHashes(t.Context(), l.db))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := os.ReadFile(l.path("rewritten"))
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "5-rewritten", checkpoint.Consistency{Older: 5, Hashes: rewritten, Checkpoint: msg}.Bytes())
	fork := checkpoint.Checkpoint{Origin: checkpoint.Origin(evidenceLog, 2), Size: 9}
	if msg, err = fork.Sign(l.signer); err != nil {
		t.Fatal(err)
	}
	l.write(t, "epoch2", msg)
	fork.Origin = "another/1"
	if msg, err = fork.Sign(l.signer); err != nil {
		t.Fatal(err)
	}
	l.write(t, "misnamed", msg)

	key := []string{"--key", "@log.vkey"}
	for _, tt := range []struct {
		args string // files and flags
		want []domain.Verdict
		says string
	}{
		{"@9.checkpoint", []domain.Verdict{domain.OK}, ""},
		{"@9.checkpoint @2.tlog-proof @cosigned", []domain.Verdict{domain.OK, domain.OK, domain.OK}, ""},
		{"@bare.tlog-proof", []domain.Verdict{domain.Incomplete}, "does not hold the record"},
		{"@bare.tlog-proof --record @record", []domain.Verdict{domain.OK}, ""},
		{"@bare.tlog-proof --record @another", []domain.Verdict{domain.Fail}, "does not lead from leaf"},
		{"@9.checkpoint --key @witness.vkey", []domain.Verdict{domain.Incomplete}, "the witness witness.example"},
		{"@cosigned --key @witness.vkey", []domain.Verdict{domain.OK}, ""},
		{"@witnessed --key @witness.vkey", []domain.Verdict{domain.Fail}, "none of the log's keys"},
		{"@9.checkpoint --old @9.checkpoint", []domain.Verdict{domain.OK}, ""},
		{"@3-9 --old @3.checkpoint", []domain.Verdict{domain.OK}, ""},
		{"@3-9", []domain.Verdict{domain.Incomplete}, "a checkpoint of 3 records, which is not given"},
		{"@3-9 --old @5.checkpoint", []domain.Verdict{domain.Incomplete}, "--old is of 5"},
		{"@9.checkpoint --old @3.checkpoint", []domain.Verdict{domain.Incomplete}, "nothing proves that it continues"},
		{"@9.checkpoint @2.tlog-proof @3-9 --old @3.checkpoint", []domain.Verdict{domain.OK, domain.OK, domain.OK}, ""},
		{"@3.checkpoint --old @9.checkpoint", []domain.Verdict{domain.Incomplete}, "fewer than the 9"},
		{"@rewritten --old @9.checkpoint", []domain.Verdict{domain.Fail}, "does not continue"},
		{"@5-rewritten --old @5.checkpoint", []domain.Verdict{domain.Fail}, "does not continue"},
		{"@epoch2 --old @9.checkpoint", []domain.Verdict{domain.Incomplete}, "forked"},
		{"@misnamed", []domain.Verdict{domain.Fail}, "the key is of " + evidenceLog},
		{"@log.vkey", []domain.Verdict{domain.Fail}, "malformed note"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			status := exitDone
			for _, v := range tt.want {
				if v != domain.OK {
					status = exitDiffers
				}
			}
			stdout, stderr := l.run(t, status, append(append([]string{"verify", "--json"}, key...), strings.Fields(tt.args)...)...)
			var got []domain.Verdict
			for dec := json.NewDecoder(strings.NewReader(stdout)); dec.More(); {
				var row verifiedEvidence
				if err := dec.Decode(&row); err != nil {
					t.Fatal(err)
				}
				got = append(got, row.Result)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || !strings.Contains(stdout+stderr, tt.says) {
				t.Errorf("%v, want %v and %q\n%s%s", got, tt.want, tt.says, stdout, stderr)
			}
		})
	}
	l.run(t, exitDiffers, "verify", "@9.checkpoint", "--key", "@other.vkey")
	stdout, _ := l.run(t, exitDiffers, "verify", "@9.checkpoint")
	if !strings.Contains(stdout, "INCOMPLETE · no key of the log is given") {
		t.Errorf("without a key:\n%s", stdout)
	}
	l.run(t, exitDiffers, "verify", "@9.checkpoint", "--key", "@log.vkey", "--old", "@record")
	l.run(t, exitUsage, "verify", "@9.checkpoint", "--key", "nothing")
	l.run(t, exitUsage, "verify", "@9.checkpoint", "--key", "a+b+c")
	l.run(t, exitNotFound, "verify", "@none", "--key", "@log.vkey")
}

// superuser runs a statement that the log's triggers refuse.
func superuser(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	for _, s := range []string{`ALTER TABLE log DISABLE TRIGGER USER`, statement, `ALTER TABLE log ENABLE ALWAYS TRIGGER append_only`} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}
