package witness

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Store is the directory of a witness:
//
//	witness.key               the secret key, in note's text form; mode 0600
//	cosigned/ORIGIN           the last checkpoint that was cosigned of a log, its
//	                          name escaped as in a URL; a signed note
//	lock                      held by the process that uses it
type Store struct {
	dir      string
	lock     *os.File
	signer   note.Signer
	verifier note.Verifier
	vkey     string
}

const (
	keyName      = "witness.key"
	lockName     = "lock"
	cosignedName = "cosigned"
)

// Open opens the directory, and makes it and a key of the given name if there is
// none. Only one process may have it open. The clock is what cosignatures say.
func Open(dir, name string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, cosignedName), 0o700); err != nil {
		return nil, failed(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed(err)
	}
	s := &Store{dir: dir, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = domain.Errorf(domain.Refused, "witness", "another witness uses %s", dir).WithHint("Stop it, or name another directory with --state.")
		return nil, errors.Join(err, s.Close())
	}
	if err := s.readKey(name, now); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// readKey sets what signs.
func (s *Store) readKey(name string, now func() time.Time) error {
	skey, err := s.key(name)
	if err != nil {
		return err
	}
	if s.signer, err = checkpoint.NewSigner(skey, now); err != nil {
		return err
	}
	if s.vkey, err = checkpoint.VerifierKey(skey); err != nil {
		return err
	}
	s.verifier, err = checkpoint.NewVerifier(s.vkey)
	return err
}

// Close lets another process have the directory.
func (s *Store) Close() error { return s.lock.Close() }

// VerifierKey returns the public key, for those who trust this witness.
func (s *Store) VerifierKey() string { return s.vkey }

// key returns the secret key, which is made if there is none.
func (s *Store) key(name string) (string, error) {
	path := filepath.Join(s.dir, keyName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if there, err := os.ReadDir(filepath.Join(s.dir, cosignedName)); err != nil || len(there) > 0 {
			return "", domain.Errorf(domain.Refused, "witness", "%s is missing, and something was cosigned with it", path).
				WithHint("Copy it from its backup, or begin anew in another directory.")
		}
		skey, _, err := checkpoint.GenerateWitnessKey(rand.Reader, name)
		if err != nil {
			return "", err
		}
		return skey, writeFile(path, []byte(skey+"\n"))
	}
	if err != nil {
		return "", failed(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", domain.Errorf(domain.Refused, "witness", "others may read %s", path).WithHint("Run: chmod 600 " + path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", failed(err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (s *Store) path(origin string) string {
	return filepath.Join(s.dir, cosignedName, url.PathEscape(origin))
}

// Last returns the checkpoint of a log that was cosigned last, that of the empty
// tree if there is none.
func (s *Store) Last(origin string) (checkpoint.Checkpoint, error) {
	text, err := os.ReadFile(s.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint.Checkpoint{Origin: origin, Root: new(tree.Frontier).Root()}, nil
	}
	if err != nil {
		return checkpoint.Checkpoint{}, failed(err)
	}
	last, err := checkpoint.Open(text, s.verifier)
	if err == nil && last.Origin != origin {
		err = errors.New("it is of another log")
	}
	if err != nil {
		return checkpoint.Checkpoint{}, domain.Errorf(domain.Differs, "witness", "%s was changed: %w", s.path(origin), err).
			WithHint("Copy it from a backup: without it nobody knows what was cosigned.")
	}
	return last.Checkpoint, nil
}

// cosign signs a checkpoint, has it on the disk, and returns the line of the
// signature.
func (s *Store) cosign(signed checkpoint.Signed) ([]byte, error) {
	text, err := checkpoint.Cosign(signed.Note, s.signer)
	if err != nil {
		return nil, err
	}
	with, err := checkpoint.Open(text, s.verifier)
	if err != nil {
		return nil, err
	}
	if err := writeFile(s.path(signed.Origin), text); err != nil {
		return nil, err
	}
	// If the note came with an earlier signature of ours, the new one has replaced it.
	return []byte(with.By[0].Line + "\n"), nil
}

// writeFile replaces a file, whole or not at all, and returns when it is on the
// disk.
func writeFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // with mode 0600
	if err != nil {
		return failed(err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return failed(errors.Join(err, os.Remove(f.Name())))
	}
	d, err := os.Open(dir)
	if err != nil {
		return failed(err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return failed(err)
	}
	return nil
}

func failed(err error) error {
	return domain.Errorf(domain.Internal, "witness", "%w", err).WithHint("The directory of the witness has to be on this machine, and yours alone.")
}
