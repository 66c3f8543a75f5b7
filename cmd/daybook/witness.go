package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/witness"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// defaultWitnessListen is loopback only.
const defaultWitnessListen = "127.0.0.1:8090"

func witnessCommand(a *app) *cobra.Command {
	var listen, name string
	var follow []string
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Cosign somebody's log, and refuse to once it was rewritten",
		Long: `Serves POST /add-checkpoint (c2sp.org/tlog-witness) for an auditor who runs it on a
machine of his own. A log asks it to cosign each checkpoint; it does if that goes on
from the one it cosigned last, by the proof that comes with it, and so nobody can be
shown two histories that both bear its signature. It needs neither database nor log.

--state is where it keeps its key, made at the first start, and what it cosigned last:
without that it would believe anything. --log names a log as ORIGIN=VKEY: VKEY is the
public key that "daybook checkpoint show --key" prints, ORIGIN the name before its
first "+", which follows the log in every epoch; with an epoch at its end, "/1", as
checkpoints have it, that one alone. While a log replaces its key, give it twice.

Put a TLS proxy in front. The log is configured with the URL and the public key that
is printed at the start:

  [[checkpoint.witness]]
  url = "https://witness.example"
  vkey = "…"`,
		Example: `  daybook witness --state /var/lib/witness --log 'daybook/7f3a…=daybook/7f3a…+3024154f+AYqI4910…'
  daybook witness --state /var/lib/witness --name witness.example --listen 127.0.0.1:8090 --log "$LOG"`,
		Args:              cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error { a.started = true; return nil },
		RunE: func(cmd *cobra.Command, _ []string) error {
			logs, err := parseLogs(follow)
			if err != nil {
				return err
			}
			if a.stateDir == "" {
				return domain.Errorf(domain.Usage, "witness", "--state is missing").
					WithHint("Name a directory that is the witness's alone.")
			}
			return a.witness(cmd.Context(), listen, name, logs)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultWitnessListen, "address to serve on; port 0 picks one")
	cmd.Flags().StringVar(&name, "name", "", "name of the key that is made at the first start (default: the host's)")
	cmd.Flags().StringArrayVar(&follow, "log", nil, "log to follow, ORIGIN=VKEY; may be repeated")
	return cmd
}

// parseLogs reads the logs that are to be followed.
func parseLogs(follow []string) (logs []witness.Log, err error) {
	for _, text := range follow {
		name, vkey, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, domain.Errorf(domain.Usage, "witness", "--log %.100q is not ORIGIN=VKEY", text).
				WithHint("VKEY is what this prints: daybook checkpoint show --key. ORIGIN is what stands before its first \"+\".")
		}
		key, err := checkpoint.NewVerifier(vkey)
		if err != nil {
			return nil, domain.Errorf(domain.Usage, "witness", "--log: %w", err)
		}
		i := slices.IndexFunc(logs, func(l witness.Log) bool { return l.Name == name })
		if i < 0 {
			i = len(logs)
			logs = append(logs, witness.Log{Name: name})
		}
		logs[i].Keys = append(logs[i].Keys, key)
	}
	if len(logs) == 0 {
		return nil, domain.Errorf(domain.Usage, "witness", "--log is missing").WithHint("Name at least one log, ORIGIN=VKEY; see: daybook witness --help")
	}
	return logs, nil
}

// witness serves until ctx is done.
func (a *app) witness(ctx context.Context, listen, name string, logs []witness.Log) (err error) {
	host, _ := os.Hostname() // without one, the other name
	store, err := witness.Open(a.stateDir, cmp.Or(name, host, "daybook-witness"), time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return domain.Errorf(domain.Usage, "listen", "%w", err).WithHint("Pass another --listen, such as 127.0.0.1:0 for any free port.")
	}
	server := &http.Server{
		Handler: witness.New(store, logs, a.logger()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	for _, l := range logs {
		fmt.Fprintf(a.stderr, "log         %s\n", l.Name)
	}
	fmt.Fprintf(a.stderr, "vkey        %s\n", store.VerifierKey())
	fmt.Fprintf(a.stderr, "listening on http://%s\n", listener.Addr())
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(shutdown)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}
