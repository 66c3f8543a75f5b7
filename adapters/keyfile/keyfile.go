// Package keyfile keeps the keys of a book in a directory, outside its database.
//
// What it keeps true: a key is on the disk before anything is sealed with it; a
// file is readable by its owner alone, or refused; and no key is made where there
// was one, so that a directory that was left behind is an error and not a new
// beginning.
//
// The directory of a book is named after it:
//
//	index.key        what deduplication recognises keys, scopes and bodies by
//	kek-000001.key   key-encryption key of epoch 1, and so on
//	checkpoint.key   what signs checkpoints, and the public keys of what did; see
//	                 [Dir.Signers] and [Dir.Retired]
//	erasures.log     which keys are destroyed, and must stay so; see [Erasure]
//
// The first two hold 32 random bytes in hexadecimal and a newline. A key-encryption
// key is destroyed when its epoch is over, and never made again.
package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// A Dir is the directory of one book's keys.
type Dir struct{ path string }

// Open returns the directory of a book's keys below parent. Nothing is made
// before the first key is.
func Open(parent, book string) Dir { return Dir{filepath.Join(parent, book)} }

// Path returns where the keys are.
func (d Dir) Path() string { return d.path }

const indexName = "index.key"

func kekName(epoch int) string { return fmt.Sprintf("kek-%06d.key", epoch) }

// Index returns the key by which keys, scopes and bodies are recognised again.
func (d Dir) Index() (*seal.Key, error) { return d.read(indexName) }

// KEK returns the key-encryption key of an epoch. One that is not there is an
// error with code NotFound.
func (d Dir) KEK(epoch int) (*seal.Key, error) { return d.read(kekName(epoch)) }

// MakeIndex makes the index key, or returns the one that is there.
func (d Dir) MakeIndex() (*seal.Key, error) { return d.make(indexName) }

// MakeKEK makes the key-encryption key of an epoch, or returns the one that is
// there.
func (d Dir) MakeKEK(epoch int) (*seal.Key, error) { return d.make(kekName(epoch)) }

func (d Dir) read(name string) (*seal.Key, error) {
	text, err := d.text(name)
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(strings.TrimSuffix(string(text), "\n"))
	if err != nil || len(b) != seal.KeySize {
		return nil, domain.Errorf(domain.Differs, "keys", "%s is no key", filepath.Join(d.path, name)).
			WithHint("Copy the directory of keys from its backup.")
	}
	k := seal.Key(b)
	return &k, nil
}

// text returns what a file holds, which nobody else may read.
func (d Dir) text(name string) ([]byte, error) {
	path := filepath.Join(d.path, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, domain.Errorf(domain.NotFound, "keys", "there is no %s", path).
			WithHint("Copy the directory of keys from where this book was kept, or from its backup.")
	}
	if err != nil {
		return nil, failed(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, domain.Errorf(domain.Refused, "keys", "others may read %s", path).WithHint("Run: chmod 600 " + path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, failed(err)
	}
	return text, nil
}

// make makes a key and has it on the disk before it returns it. Of several
// processes that make the same one, all get the same.
func (d Dir) make(name string) (*seal.Key, error) {
	if k, err := d.read(name); domain.CodeOf(err) != domain.NotFound {
		return k, err
	}
	if err := makeDir(d.path); err != nil {
		return nil, failed(err)
	}
	var k seal.Key
	rand.Read(k[:]) // never fails
	if err := d.write(name, hex.AppendEncode(nil, k[:])); err != nil {
		return nil, err
	}
	return d.read(name)
}

// write makes a file, whole or not at all, unless it is there.
func (d Dir) write(name string, text []byte) (err error) {
	f, err := os.CreateTemp(d.path, "."+name+"-*") // with mode 0600
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failed(err)
	}
	if err := os.Link(f.Name(), filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return failed(err)
	}
	return d.sync()
}

// makeDir makes a directory and those above it, and has their names on the disk: a
// key is as durable as the way to it.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sync has the directory's entries on the disk.
func (d Dir) sync() error {
	if err := syncDir(d.path); err != nil {
		return failed(err)
	}
	return nil
}

func failed(err error) error {
	return domain.Errorf(domain.Usage, "keys", "%w", err).WithHint("The directory of keys has to be on this machine, and yours alone.")
}
