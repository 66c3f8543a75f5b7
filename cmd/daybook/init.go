package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/domain"
)

// sampleConfig is the commented configuration that init writes.
//
//go:embed daybook.toml
var sampleConfig []byte

func initCommand(a *app) *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Write a commented daybook.toml",
		Example: "  daybook init\n  daybook init --config /etc/daybook.toml\n  daybook init --print",
		Args:    cobra.NoArgs,
		// Not configure: the file that it would read is not there yet.
		PersistentPreRunE: func(*cobra.Command, []string) error { a.started = true; return nil },
		RunE: func(*cobra.Command, []string) error {
			if print {
				_, err := a.stdout.Write(sampleConfig)
				return err
			}
			file := orEnv(a.configFile, "DAYBOOK_CONFIG")
			if file == "" {
				file = defaultConfigFile
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return domain.Errorf(domain.Refused, "init", "%s is there already", file).
					WithHint("Edit it, or name another with --config.")
			}
			if err != nil {
				return domain.Errorf(domain.Usage, "init", "%w", err)
			}
			if _, err = f.Write(sampleConfig); err == nil {
				err = f.Sync()
			}
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "wrote %s; add your sources to it, then run: daybook doctor\n", file)
			return nil
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print it instead")
	return cmd
}
