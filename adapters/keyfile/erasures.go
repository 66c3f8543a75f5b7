package keyfile

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// An Erasure says which keys are to be destroyed, and why. It is noted outside the
// database before anything else is done, so that it can be completed after a crash
// and done again after a backup was restored.
type Erasure struct {
	At         time.Time         `json:"at"` // when it was decided
	ID         string            `json:"erasure"`
	Identities []domain.Identity `json:"identities"`
	Keys       []string          `json:"keys"`       // base64 ids, sorted
	Deliveries int64             `json:"deliveries"` // how many of them are of deliveries; these come last
	Epoch      int64             `json:"epoch"`      // the last that one of them was wrapped in
	Basis      string            `json:"basis"`
	By         string            `json:"by"`
}

// erasuresName is the file of erasures. Each line is the hexadecimal SHA-256 of an
// erasure's JSON, a space and that JSON. Lines are added and never changed.
const erasuresName = "erasures.log"

// Note adds an erasure, and has it on the disk before it returns.
func (d Dir) Note(e Erasure) (err error) {
	text, err := domain.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(d.path, erasuresName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// The lock goes with the file.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return failed(err)
	}
	before, err := os.ReadFile(f.Name())
	if err != nil {
		return failed(err)
	}
	// A line that a crash cut off was never acted on.
	end := int64(bytes.LastIndexByte(before, '\n') + 1)
	sum := sha256.Sum256(text)
	line := append(append(hex.AppendEncode(nil, sum[:]), ' '), append(text, '\n')...)
	if err := f.Truncate(end); err != nil {
		return failed(err)
	}
	if _, err := f.WriteAt(line, end); err != nil {
		return failed(err)
	}
	if err := f.Sync(); err != nil {
		return failed(err)
	}
	return d.sync()
}

// Erasures returns what was noted, oldest first. A file that was changed is an error
// with code Differs: nobody may be brought back by it.
func (d Dir) Erasures() ([]Erasure, error) {
	path := filepath.Join(d.path, erasuresName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(err)
	}
	var list []Erasure
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return list, nil
		}
		text = rest
		sum, data, _ := bytes.Cut(line, []byte(" "))
		var e Erasure
		if computed := sha256.Sum256(data); hex.EncodeToString(computed[:]) != string(sum) || json.Unmarshal(data, &e) != nil {
			return nil, domain.Errorf(domain.Differs, "keys", "line %d of %s was changed", n, path).
				WithHint("Copy the file from its backup.")
		}
		list = append(list, e)
	}
}

// DestroyKEK destroys the key-encryption key of an epoch: it is overwritten on the
// disk, and then removed. One that is not there is destroyed.
func (d Dir) DestroyKEK(epoch int) (err error) {
	path := filepath.Join(d.path, kekName(epoch))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(failed(err), f.Close())
	}
	noise := make([]byte, info.Size())
	rand.Read(noise) // never fails
	_, err = f.WriteAt(noise, 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failed(err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(err)
	}
	return d.sync()
}
