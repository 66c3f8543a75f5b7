// Command daybook-audit checks evidence that was carried away from a daybook: a
// bundle of the log, balance certificates, single balances with their proofs.
//
// What this program keeps true: it is small enough to be read by who has to trust
// it. It opens no connection and reads nothing but the files it is given; beside
// the standard library it is made of the packages domain and projections, which the
// server runs as well, exact decimals, ids and the checksum database's log
// (golang.org/x/mod).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/cmd/internal/auditor"
	"github.com/daybook-ledger/daybook/domain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

const usage = `usage: daybook-audit [-key VKEY]… [-checkpoint FILE]… [-view QUESTION]… [-o FORM] FILE…

Audits bundles, balance certificates and single balances offline, and prints OK,
FAIL with what is wrong and where, or INCOMPLETE with what is missing. Exit status:
0 all are OK, 3 one is not, 2 usage, 1 it could not be read. FILE may be "-".

  daybook-audit -key log.vkey book.tar
  zstd -dc book.tar.zst | daybook-audit -key log.vkey -
  daybook-audit -key log.vkey -view 'credits/balances?as_of=2026-03-31' book.tar
  daybook-audit -key log.vkey credits.certificate balance.txt

`

// run runs one command line and returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := auditor.Command{Now: time.Now(), Stdin: stdin, Stdout: stdout, Stderr: stderr}
	flags := flag.NewFlagSet("daybook-audit", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, s); return nil }
	}
	flags.Func("key", "public `key` of the log or of a witness, or a file of such keys; may be repeated", list(&c.Keys))
	flags.Func("checkpoint", "`file` of a signed checkpoint that you hold; may be repeated", list(&c.Checkpoints))
	flags.Func("view", "`question` to the balances that come out, such as credits/balances; may be repeated", list(&c.Views))
	flags.StringVar(&c.Format, "o", "table", "`form`: table, json, or csv or ndjson of one view")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case !slices.Contains([]string{"table", "json", "csv", "ndjson"}, c.Format):
		fmt.Fprintf(stderr, "daybook-audit: the form %q is not known\n", c.Format)
		return 2
	}
	c.Files = flags.Args()
	for _, file := range c.Files {
		if len(file) > 1 && file[0] == '-' {
			fmt.Fprintf(stderr, "daybook-audit: %s stands behind a file\nhint: Options come first, then files; a file of that name is ./%s\n", file, file)
			return 2
		}
	}
	err := c.Run(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "daybook-audit: %s\n", strings.Join(strings.Fields(err.Error()), " "))
	if hint := domain.HintOf(err); hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	switch domain.CodeOf(err) {
	case domain.Differs:
		return 3
	case domain.Usage, domain.Invalid, domain.NotFound:
		return 2
	}
	return 1
}
