package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/cmd/internal/auditor"
	"github.com/daybook-ledger/daybook/domain"
)

// auditCommand is "daybook audit". It is the program daybook-audit as well.
func auditCommand(a *app) *cobra.Command {
	c := auditor.Command{Stdout: a.stdout, Stderr: a.stderr}
	cmd := &cobra.Command{
		Use:   "audit FILE…",
		Short: "Check a bundle, a balance certificate or a row offline",
		Long: `Audits files that were carried away, without a database, a network, a configuration
or any key but those you give. Of a bundle it reads every record from its bytes,
builds the tree, compares it with every checkpoint, folds all projections and
compares them with the certificates. It prints OK; FAIL with what is wrong and
where; or INCOMPLETE with what is missing, such as a key, or the records before the
bundle. Exit status 3 unless all are OK. FILE may be "-".

A view is shown as it comes out of the bundle, with names [sealed]: it needs no key.
The question has the form that the API has behind /v1/.`,
		Example: `  daybook audit book.tar --key log.vkey
  daybook audit book.tar --key log.vkey --checkpoint january.checkpoint --view 'credits/balances?as_of=2026-03-31'
  daybook audit book.tar --key log.vkey --view 'credits/balances?limit=0' -o csv > balances.csv
  daybook audit credits.certificate balance.txt --key log.vkey --json`,
		// The configuration may be wrong, or somebody else's: it says nothing here.
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			if a.json {
				a.output = "json"
			}
			if !slices.Contains(outputs, a.output) {
				return domain.Errorf(domain.Usage, "", "the output %q is not known", a.output).
					WithHint("Use one of: " + strings.Join(outputs, ", ") + ".")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Files, c.Format, c.Width, c.Now, c.Stdin = args, a.output, a.width(), time.Now(), cmd.InOrStdin()
			c.Progress = func(file string) (func(done, total int64), func()) {
				p := a.progress("audit " + file)
				return p.update, p.end
			}
			return c.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&c.Keys, "key", nil, "public key of the log or of a witness, or a file of such keys; may be repeated")
	flags.StringArrayVar(&c.Checkpoints, "checkpoint", nil, "file of a signed checkpoint that you hold; may be repeated")
	flags.StringArrayVar(&c.Views, "view", nil, "question to the balances that come out, such as credits/balances; may be repeated")
	return cmd
}
