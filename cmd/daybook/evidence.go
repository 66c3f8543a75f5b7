package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// maxEvidence is how long a file may be: a proof holds one record.
const maxEvidence = 64 << 20

// readEvidence reads a file, or standard input if the name is "-".
func readEvidence(name string) ([]byte, error) {
	var in io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, domain.Errorf(domain.NotFound, "", "%w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxEvidence+1))
	if err == nil && len(b) > maxEvidence {
		return nil, domain.Errorf(domain.TooLarge, "", "%s is longer than %d bytes", name, maxEvidence)
	}
	return b, err
}

// readVerifiers returns the public keys that were given with --key: a text each,
// or a file with one on every line, without empty lines and those that begin with
// "#".
func readVerifiers(given []string) (keys []note.Verifier, err error) {
	for _, key := range given {
		text := key
		if !strings.Contains(key, "+") || fileExists(key) {
			b, err := readEvidence(key)
			if err != nil {
				return nil, domain.Errorf(domain.Usage, "", "--key %s is neither a key nor a file: %w", key, err).
					WithHint("A key is of the form name+id+base64; see: daybook checkpoint show")
			}
			text = string(b)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			k, err := checkpoint.NewVerifier(line)
			if err != nil {
				return nil, domain.Errorf(domain.Usage, "--key", "%w", err)
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// An evidenceFile is a file by its form.
type evidenceFile struct {
	what        string // checkpoint, proof or consistency
	note        []byte // its checkpoint
	proof       checkpoint.Proof
	consistency checkpoint.Consistency
	err         error
}

func readAs(b []byte) (e evidenceFile) {
	switch {
	case checkpoint.IsProof(b):
		e.what = "proof"
		e.proof, e.err = checkpoint.ParseProof(b)
		e.note = e.proof.Checkpoint
	case checkpoint.IsConsistency(b):
		e.what = "consistency"
		e.consistency, e.err = checkpoint.ParseConsistency(b)
		e.note = e.consistency.Checkpoint
	default:
		e.what, e.note = "checkpoint", b
		_, e.err = checkpoint.Unverified(b)
	}
	return e
}
