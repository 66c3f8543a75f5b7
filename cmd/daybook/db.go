package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lib/pq"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/domain"
)

// dbCommand is "daybook db": the private PostgreSQL, for who has to look at it
// or to keep it running. Where DATABASE_URL names another database, there is
// nothing to start or stop.
func dbCommand(a *app) *cobra.Command {
	db := &cobra.Command{
		Use:   "db",
		Short: "Start, stop and look at the private PostgreSQL",
		Long: `Start, stop and look at the private PostgreSQL that daybook uses when no
DATABASE_URL is set.

It starts by itself with the first command that needs it and stops with the last
one. Its data survives; nothing here ever deletes it.`,
		Example: "  daybook db status\n  daybook db psql\n  daybook db start",
		Args:    cobra.NoArgs, // and not a misspelt subcommand
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	db.AddCommand(dbStart(a), dbStop(a), dbStatus(a), dbURL(a), dbPsql(a), dbLog(a))
	return db
}

func dbStart(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the private PostgreSQL and leave it running",
		Long: `Start the private PostgreSQL, create its data if there is none, and leave it
running until "daybook db stop", whether it is used or not.`,
		Example: `  daybook db start
  psql "$(daybook db url)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.needEmbedded("db start"); err != nil {
				return err
			}
			ctx := cmd.Context()
			s, err := embeddedpg.Start(ctx, a.embedded())
			if err != nil {
				return err
			}
			attached := s.Attached()
			err = s.Keep()
			if err := errors.Join(err, s.Close(context.WithoutCancel(ctx))); err != nil {
				return err
			}
			if attached {
				fmt.Fprintf(a.stderr, "PostgreSQL %s runs already; it stays until \"daybook db stop\"\n", s.Version())
			} else {
				fmt.Fprintf(a.stderr, "PostgreSQL %s started; it stays until \"daybook db stop\"\n", s.Version())
			}
			fmt.Fprintln(a.stderr, "data", s.DataDir())
			return nil
		},
	}
}

func dbStop(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the private PostgreSQL",
		Long: `Stop the private PostgreSQL. While other daybook processes use it, this is
refused; the last of them stops it. With --force it stops at once: what they are
doing fails, what was acknowledged is kept.`,
		Example: `  daybook db stop
  daybook db stop --force`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.needEmbedded("db stop"); err != nil {
				return err
			}
			stopped, err := embeddedpg.Stop(cmd.Context(), a.embedded(), force)
			switch {
			case err != nil:
				return err
			case stopped:
				fmt.Fprintln(a.stderr, "PostgreSQL stopped")
			default:
				fmt.Fprintln(a.stderr, "PostgreSQL was not running")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "stop although other daybook processes use it")
	return cmd
}

// A databaseStatus is what "daybook db status" answers.
type databaseStatus struct {
	Database string `json:"database"` // embedded or external
	embeddedpg.Status
	Error string `json:"error,omitempty"` // why an external database does not answer
}

func dbStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say which database is used and whether it runs",
		Long: `Say which database is used, where its data is and whether it runs. Nothing is
started. The answer is also given, with exit status 0, when it does not run.`,
		Example: `  daybook db status
  daybook db status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st := databaseStatus{Database: "embedded"}
			if a.databaseURL != "" {
				st = externalStatus(cmd.Context(), a.databaseURL)
			} else {
				var err error
				if st.Status, err = embeddedpg.Look(cmd.Context(), a.embedded()); err != nil {
					return err
				}
			}
			return st.write(a.stdout, a.output)
		},
	}
}

// externalStatus asks the database at dsn. The password is left out of what it
// returns.
func externalStatus(ctx context.Context, dsn string) databaseStatus {
	st := databaseStatus{Database: "external"}
	st.URL = redacted(dsn)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := func() error {
		c, err := pq.NewConnector(dsn)
		if err != nil {
			return err
		}
		db := sql.OpenDB(c)
		defer db.Close()
		return db.QueryRowContext(ctx, `SELECT current_setting('server_version')`).Scan(&st.Version)
	}()
	if err != nil {
		st.Error = err.Error()
		return st
	}
	st.Running = true
	st.Version, _, _ = strings.Cut(st.Version, " ")
	return st
}

// redacted returns dsn without its password.
func redacted(dsn string) string {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		return u.Redacted()
	}
	return "(as DATABASE_URL says)"
}

func (st databaseStatus) write(w io.Writer, format string) error {
	switch format {
	case "json", "ndjson":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		if format == "json" {
			e.SetIndent("", "  ")
		}
		return e.Encode(st)
	case "table", "":
	default:
		return domain.Errorf(domain.Usage, "db status", "there is no %s of a status", format).
			WithHint("Use -o table or -o json.")
	}
	state := "stopped"
	switch {
	case st.Running && st.Kept:
		state = `running until "daybook db stop"`
	case st.Running && st.InUse:
		state = "running, in use"
	case st.Running:
		state = "running"
	case st.Error != "":
		state = "unreachable: " + st.Error
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	line("database", map[string]string{"embedded": "private PostgreSQL (no DATABASE_URL is set)", "external": "external PostgreSQL"}[st.Database])
	line("state", state)
	line("version", st.Version)
	line("data", st.DataDir)
	line("log", st.Log)
	line("programs", st.BinDir)
	line("url", st.URL)
	return t.Flush()
}

func dbURL(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "url",
		Short: "Print the URL of the database",
		Long: `Print the URL of the database, as psql and DATABASE_URL take it. That of the
private PostgreSQL leads to a socket that answers while it runs.`,
		Example: `  psql "$(daybook db url)"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.databaseURL != "" {
				fmt.Fprintln(a.stdout, a.databaseURL)
				return nil
			}
			st, err := embeddedpg.Look(cmd.Context(), a.embedded())
			if err != nil {
				return err
			}
			if !st.Running {
				fmt.Fprintln(a.stderr, `it does not run; "daybook db start" starts it`)
			}
			fmt.Fprintln(a.stdout, st.URL)
			return nil
		},
	}
}

func dbPsql(a *app) *cobra.Command {
	var database string
	cmd := &cobra.Command{
		Use:   "psql [flags] [-- PSQL-ARGUMENT…]",
		Short: "Open psql on the database",
		Long: `Open psql on the database. The private PostgreSQL is started if it does not run
and stops afterwards if nothing else uses it.`,
		Example: `  daybook db psql
  daybook db psql -- -c 'SELECT version()'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if a.databaseURL != "" {
				return a.psql(ctx, "", a.databaseURL, args)
			}
			s, err := embeddedpg.Start(ctx, a.embedded())
			if err != nil {
				return err
			}
			st, err := embeddedpg.Look(ctx, a.embedded())
			if err == nil {
				err = a.psql(ctx, st.BinDir, s.DatabaseURL(database), args)
			}
			return errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		},
	}
	cmd.Flags().StringVar(&database, "database", embeddedpg.Database, "database of the private PostgreSQL")
	return cmd
}

// psql runs psql, preferably that of binDir, and returns when it has ended. It
// is left to psql what a Ctrl-C means.
func (a *app) psql(ctx context.Context, binDir, at string, args []string) error {
	program := filepath.Join(binDir, "psql")
	if _, err := os.Stat(program); binDir == "" || err != nil {
		if program, err = exec.LookPath("psql"); err != nil {
			return domain.Errorf(domain.NotFound, "db psql", "psql is not installed").
				WithHint("Install PostgreSQL's client programs (on Debian postgresql-client), or use another client with the URL that \"daybook db url\" prints.")
		}
	}
	psql := exec.CommandContext(context.WithoutCancel(ctx), program, append([]string{at}, args...)...)
	psql.Stdin, psql.Stdout, psql.Stderr = os.Stdin, a.stdout, a.stderr
	if err := psql.Run(); err != nil {
		return domain.Errorf(domain.Internal, "db psql", "%w", err)
	}
	return nil
}

func dbLog(a *app) *cobra.Command {
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Print what the private PostgreSQL has logged",
		Example: `  daybook db log
  daybook db log --lines 200
  daybook db log --follow`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.needEmbedded("db log"); err != nil {
				return err
			}
			st, err := embeddedpg.Look(cmd.Context(), a.embedded())
			if err != nil {
				return err
			}
			f, err := os.Open(st.Log)
			if err != nil {
				return domain.Errorf(domain.NotFound, "db log", "%w", err).
					WithHint("The log begins with the first start.")
			}
			defer f.Close()
			if err := tail(a.stdout, f, lines); err != nil || !follow {
				return err
			}
			return followFile(cmd.Context(), a.stdout, f)
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 50, "how many lines to begin with")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing what is added")
	return cmd
}

// tail copies the last n lines of f, which is left at its end.
func tail(w io.Writer, f *os.File, n int) error {
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	start := len(b)
	for range n {
		start = bytes.LastIndexByte(b[:max(start-1, 0)], '\n') + 1
		if start == 0 {
			break
		}
	}
	_, err = w.Write(b[start:])
	return err
}

// followFile copies what is added to f until ctx ends.
func followFile(ctx context.Context, w io.Writer, f *os.File) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
	}
}

// embedded returns the options of the private PostgreSQL.
func (a *app) embedded() embeddedpg.Options {
	return embeddedpg.Options{StateDir: a.stateDir, Logger: a.logger()}
}

// needEmbedded refuses what is for the private PostgreSQL alone.
func (a *app) needEmbedded(op string) error {
	if a.databaseURL == "" {
		return nil
	}
	return domain.Errorf(domain.Refused, op, "DATABASE_URL names a PostgreSQL that daybook neither starts nor stops").
		WithHint("Unset DATABASE_URL and [database] url to use the private PostgreSQL.")
}
