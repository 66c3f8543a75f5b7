// Command daybook records what training platforms report by webhook in one
// immutable log and folds the log into balances.
//
// What this package keeps true: it is the only place that knows all adapters;
// data goes from one to the other through the types of domain and projections
// alone. What comes out on stdout is data, what comes out on stderr is talk,
// and the exit status is a function of the error's code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/problem"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup has it ignored
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Exit statuses. Scripts rely on them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDiffers     = 3 // the check says no
	exitNotFound    = 4
	exitRefused     = 5
	exitUnreachable = 6 // the database
	exitNotAllowed  = 7
	exitTryAgain    = 75
)

// exitStatus says with which status a failure of each kind ends the process.
var exitStatus = map[domain.Code]int{
	"":                     exitDone,
	domain.Internal:        exitFailed,
	domain.Usage:           exitUsage,
	domain.Invalid:         exitUsage,
	domain.TooLarge:        exitFailed,
	domain.Unsupported:     exitFailed,
	domain.Unauthenticated: exitNotAllowed,
	domain.NotAllowed:      exitNotAllowed,
	domain.NotFound:        exitNotFound,
	domain.Refused:         exitRefused,
	domain.Differs:         exitDiffers,
	domain.Unreachable:     exitUnreachable,
	domain.Unavailable:     exitTryAgain,
	domain.Limited:         exitTryAgain,
}

// run runs one command line and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := rootCommand(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if _, settled := errors.AsType[*outcomeError](err); ctx.Err() != nil && !settled {
		// What failed then failed because of that.
		err = domain.Errorf(domain.Unavailable, "", "interrupted").WithHint("Nothing is half done; run it again.")
	} else if _, ok := errors.AsType[*domain.Error](err); !ok && !a.started {
		err = domain.Errorf(domain.Usage, "", "%w", err).WithHint("Run: " + cmd.CommandPath() + " --help")
	}
	a.report(err)
	return exitStatus[domain.CodeOf(err)]
}

// report says what went wrong, why, and what to do.
func (a *app) report(err error) {
	if a.output == "json" || a.output == "ndjson" {
		_, _ = a.stderr.Write(problem.Verbose(err))
		return
	}
	fmt.Fprintf(a.stderr, "daybook: %s\n", strings.Join(strings.Fields(err.Error()), " "))
	if hint := domain.HintOf(err); hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", hint)
	}
}

// rootCommand returns the whole command line. Each noun is in the file of its name.
func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "daybook",
		Short: "Webhooks of training platforms in, balances that can be proved out",
		Long: `Daybook records what Tahdah, BrainCert, Thinkific and Credly report by webhook
in one immutable log, and folds the log into balances: event credits, sale
ledger entries, trust-group membership and certification status.`,
		Example: `  daybook demo                        see it work with sample deliveries
  daybook init                        write a commented daybook.toml
  daybook serve                       take webhooks in
  daybook view credits/balances       what is left of every credit line
  daybook projection verify           fold the log again and compare`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			return a.configure()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return domain.Errorf(domain.Usage, "", "%w", err).WithHint("Run: " + cmd.CommandPath() + " --help")
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration file (DAYBOOK_CONFIG; default daybook.toml, if there is one)")
	flags.StringVar(&a.stateDir, "state", "", "directory of the private PostgreSQL, keys and checkpoints (DAYBOOK_STATE_DIR)")
	flags.StringVarP(&a.output, "output", "o", "table", "form of what is printed: table, json, ndjson or csv")
	flags.BoolVar(&a.json, "json", false, "short for --output json")
	root.AddCommand(
		demoCommand(a), serveCommand(a), initCommand(a), doctorCommand(a), versionCommand(a),
		viewCommand(a), logCommand(a), deliveryCommand(a), ingestCommand(a), recordCommand(a), projectionCommand(a), checkpointCommand(a), privacyCommand(a), exportCommand(a), auditCommand(a), sourceCommand(a), dbCommand(a), witnessCommand(a),
	)
	return root
}
