package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// exportCommand is "daybook export": evidence to be carried away.
func exportCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write evidence that others check offline: the log, and what balances are",
		Long: `Writes files that an auditor carries away and checks with "daybook audit", or with
the small program daybook-audit: without the database, without a network, and
without trusting who wrote them. Personal data stay sealed in all of them.`,
		Example: `  daybook export bundle --out book.tar
  daybook export certificate credits --out credits.certificate
  daybook export balance credits/balances acme-tahdah 70412 --out balance.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(exportBundle(a), exportCertificate(a), exportBalance(a))
	return cmd
}

// A signerKey is a key that signs for the log.
type signerKey struct {
	secret   string // in its text form
	signer   note.Signer
	verifier note.Verifier
}

// keysWith returns the keys that sign for the log, the one to stay first.
func (d *database) signers() ([]signerKey, error) {
	secrets, err := d.files.Signers()
	if err != nil {
		return nil, err
	}
	keys := make([]signerKey, len(secrets))
	for i, secret := range secrets {
		keys[i].secret = secret
		if keys[i].signer, err = checkpoint.NewSigner(secret, nil); err != nil {
			return nil, err
		}
		vkey, err := checkpoint.VerifierKey(secret)
		if err != nil {
			return nil, err
		}
		if keys[i].verifier, err = checkpoint.NewVerifier(vkey); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// writeOut has f write to a file, which is there once it is whole, or to stdout if
// there is no name. Nobody else may read the file.
func (a *app) writeOut(name string, f func(io.Writer) error) (err error) {
	if name == "" {
		return f(a.stdout)
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return domain.Errorf(domain.Usage, "", "%w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := errors.Join(f(file), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// refuseTerminal refuses to write to a terminal what is not for eyes.
func (a *app) refuseTerminal(out string) error {
	if f, ok := a.stdout.(*os.File); ok && out == "" && term.IsTerminal(int(f.Fd())) {
		return domain.Errorf(domain.Usage, "", "this is not to be shown on a terminal").WithHint("Give a file: --out book.tar")
	}
	return nil
}
