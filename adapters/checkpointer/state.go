package checkpointer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A state is what was signed last, and what is needed to go on from there without
// reading again what it covers.
//
// Its file is text, each line ended by a newline (U+000A): the line
//
//	daybook checkpointer state v1
//
// then a line for each hash of the tree's frontier, largest subtree first, in
// base64, an empty line, and the signed checkpoint.
type state struct {
	checkpoint.Signed
	epoch    int64
	frontier *tree.Frontier
	at       time.Time // when it was written
}

const stateHeader = "daybook checkpointer state v1"

// bytes returns the file form. parseState is its inverse.
func (s *state) bytes() []byte {
	b := []byte(stateHeader + "\n")
	for h := s.frontier.Bytes(); len(h) > 0; h = h[tree.HashSize:] {
		b = base64.StdEncoding.AppendEncode(b, h[:tree.HashSize])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, s.Note...)
}

// parseState reads the file form. The checkpoint must be signed by one of the
// keys, and the frontier be that of its tree.
func parseState(b []byte, keys []note.Verifier) (*state, error) {
	head, text, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != stateHeader {
		return nil, errors.New("it is not of its form")
	}
	signed, err := checkpoint.Open(text, keys...)
	if err != nil {
		return nil, err
	}
	var hashes []byte
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(h) != tree.HashSize {
			return nil, errors.New("it is not of its form")
		}
		hashes = append(hashes, h...)
	}
	s := &state{Signed: signed}
	if _, s.epoch, ok = checkpoint.SplitOrigin(signed.Origin); !ok {
		return nil, fmt.Errorf("the origin %q has no epoch", signed.Origin)
	}
	if s.frontier, err = tree.Parse(signed.Size, hashes); err != nil {
		return nil, err
	}
	if s.frontier.Root() != signed.Root {
		return nil, errors.New("the tree is not the one that was signed")
	}
	return s, nil
}

// maxState is how long the file may be.
const maxState = maxNote + 64*48

// Files of the state directory.
const (
	stateName = "signed"
	lockName  = "lock"
)

// readState returns what was signed last, nil if nothing was or it was lost.
func (c *Checkpointer) readState() (*state, error) {
	path := filepath.Join(c.Dir, stateName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stateFailed(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, stateFailed(err)
	}
	if len(b) > maxState {
		b = b[:maxState]
	}
	s, err := parseState(b, c.verifiers)
	switch {
	case domain.CodeOf(err) == domain.Unauthenticated:
		return nil, domain.Errorf(domain.Refused, "checkpoint", "what is kept in %s: %w", path, err).
			WithHint("The key is not the one that signed before: copy checkpoint.key from its backup.")
	case err != nil:
		return nil, domain.Errorf(domain.Internal, "checkpoint", "%s: %w", path, err).
			WithHint("Move the file away: what is in the log is read again from its beginning, and compared with the sinks, before anything is signed.")
	}
	s.at = info.ModTime()
	return s, nil
}

// writeState has s on the disk before anybody else gets to see it. The caller
// holds the lock.
func (c *Checkpointer) writeState(s *state) error {
	if s.frontier.Size() != s.Size || s.frontier.Root() != s.Root {
		return domain.Errorf(domain.Internal, "checkpoint", "the tree of %d records is not the one that was signed", s.Size)
	}
	if err := writeFile(filepath.Join(c.Dir, stateName), s.bytes()); err != nil {
		return stateFailed(err)
	}
	return nil
}
