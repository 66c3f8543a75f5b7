package keyfile

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// signersName is the file of what signs checkpoints: a secret key in note's text
// form on each line, the one to stay first. There are two while one replaces the
// other.
const signersName = "checkpoint.key"

// retiredName is the file of the public keys of those that were replaced, a line
// each: what they signed is ours.
const retiredName = "checkpoint.retired"

// Signers returns the secret keys that sign checkpoints, the one to stay first.
func (d Dir) Signers() ([]string, error) {
	text, err := d.text(signersName)
	if err != nil {
		return nil, err
	}
	keys := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return line == "" })
	for _, key := range keys {
		if _, err = checkpoint.VerifierKey(key); err != nil {
			break
		}
	}
	if err != nil || len(keys) == 0 {
		return nil, domain.Errorf(domain.Differs, "keys", "%s holds what is no key", filepath.Join(d.path, signersName)).
			WithHint("Copy the directory of keys from its backup.")
	}
	return keys, nil
}

// MakeSigners makes a key of the given name if there is none, and returns those
// that there are.
func (d Dir) MakeSigners(name string) ([]string, error) {
	if keys, err := d.Signers(); domain.CodeOf(err) != domain.NotFound {
		return keys, err
	}
	if err := makeDir(d.path); err != nil {
		return nil, failed(err)
	}
	key, _, err := checkpoint.GenerateLogKey(rand.Reader, name)
	if err != nil {
		return nil, err
	}
	if err := d.write(signersName, []byte(key)); err != nil {
		return nil, err
	}
	return d.Signers()
}

// RotateSigners makes a new key of the given name, which signs beside the one
// there was until [Dir.DropSigner]. It refuses to while there are two already.
func (d Dir) RotateSigners(name string) error {
	keys, err := d.Signers()
	if err != nil {
		return err
	}
	if len(keys) > 1 {
		return domain.Errorf(domain.Refused, "keys", "a key is being replaced already").
			WithHint("End that first: daybook checkpoint rotate --finish")
	}
	key, _, err := checkpoint.GenerateLogKey(rand.Reader, name)
	if err != nil {
		return err
	}
	return d.replace(signersName, key+"\n"+keys[0]+"\n")
}

// Retired returns the public keys of those that were replaced.
func (d Dir) Retired() ([]string, error) {
	text, err := d.text(retiredName)
	if domain.CodeOf(err) == domain.NotFound {
		return nil, nil
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return line == "" }), err
}

// DropSigner drops the key that is being replaced, and keeps its public key.
func (d Dir) DropSigner() error {
	keys, err := d.Signers()
	if err != nil {
		return err
	}
	if len(keys) == 1 {
		return domain.Errorf(domain.Refused, "keys", "no key is being replaced").WithHint("Begin with: daybook checkpoint rotate")
	}
	retired, err := d.Retired()
	if err != nil {
		return err
	}
	for _, key := range keys[1:] {
		vkey, err := checkpoint.VerifierKey(key)
		if err != nil {
			return err
		}
		retired = append(retired, vkey)
	}
	if err := d.replace(retiredName, strings.Join(retired, "\n")+"\n"); err != nil {
		return err
	}
	return d.replace(signersName, keys[0]+"\n")
}

// replace replaces a file, whole or not at all.
func (d Dir) replace(name, text string) error {
	f, err := os.CreateTemp(d.path, "."+name+"-*") // with mode 0600
	if err != nil {
		return failed(err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		return failed(errors.Join(err, os.Remove(f.Name())))
	}
	return d.sync()
}
