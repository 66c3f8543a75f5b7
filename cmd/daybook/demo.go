package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// demoToken is the last path element of the demo's Credly URL, and the token of
// the API that stands for Credly's.
const demoToken = "demo-token"

// demoSources returns one source per provider, named demo-PROVIDER, that
// accepts the sample deliveries, and what fetches from the API that stands
// for Credly's.
func demoSources(credlyBase string) (sources []intake.Source, enrich []enrichment, err error) {
	for _, s := range []struct {
		config  sourceConfig
		secrets []string
	}{
		{sourceConfig{Provider: "tahdah"}, []string{samples.TahdahSecret}},
		{sourceConfig{Provider: "thinkific", DefaultCurrency: "USD"}, []string{samples.ThinkificKey}},
		{sourceConfig{Provider: "braincert"}, []string{samples.BraincertLogin}},
		{sourceConfig{Provider: "credly", Organizations: []string{samples.CredlyOrganization}, APIURL: credlyBase}, []string{demoToken}},
	} {
		provider, err := providers[s.config.Provider](s.config, s.secrets)
		if err != nil {
			return nil, nil, err
		}
		source := intake.Source{Name: demoSource(s.config.Provider), Provider: provider, Secrets: len(s.secrets)}
		sources = append(sources, source)
		if s.config.APIURL == "" {
			continue
		}
		client, err := demoClient(s.config)
		if err != nil {
			return nil, nil, err
		}
		if e, ok := newEnrichment(s.config, source, client); ok {
			enrich = append(enrich, e)
		}
	}
	return sources, enrich, nil
}

// demoClient returns a client of an API that is in this process and need not be
// spared.
func demoClient(s sourceConfig) (*fetch.Client, error) {
	config, err := apis[s.Provider](s, demoToken)
	if err != nil {
		return nil, err
	}
	config.PerMinute = 60_000
	return fetch.New(config)
}

// demoPrefix begins the name of every source of the demo.
const demoPrefix = "demo-"

func demoSource(provider string) string { return demoPrefix + provider }

// demoViews are what the demo shows at the end, and how many columns of each:
// the rest is for who asks.
var demoViews = []struct {
	path    string
	columns int
}{
	{"credits/balances", 8},
	{"sales/orders", 9},
	{"sales/balances", 5},
	{"trustgroups/members", 8},
	{"certifications/status", 9},
}

func demoCommand(a *app) *cobra.Command {
	var o serveOptions
	var pace time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play sample deliveries into a private database and keep serving",
		Long: `Starts a server over a private database of its own, plays sample deliveries of
all four providers in over HTTP, signed as the providers sign them, answers for
Credly what its notices are of, shows what became of them, and keeps serving.
Playing them again changes nothing. It never touches the database of "daybook
serve" unless --state or DATABASE_URL names it, and refuses one that holds anything
but its own deliveries.`,
		Example: "  daybook demo\n  daybook demo --listen 127.0.0.1:0 --pace 0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			// What the configuration says is for serve.
			a.databaseURL, a.config.Checkpoint = os.Getenv("DATABASE_URL"), checkpointConfig{}
			if a.stateDir == "" && a.databaseURL == "" {
				dir, err := embeddedpg.DefaultStateDir()
				if err != nil {
					return err
				}
				a.stateDir = dir + "-demo"
			}
			base, api, err := serveSampleAPI(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, api.Close()) }()
			sources, enrich, err := demoSources(base)
			if err != nil {
				return err
			}
			o.enrich = enrich
			o.check = (*server).onlyDemo
			return a.serve(cmd.Context(), o, sources, func(ctx context.Context, s *server) error {
				return a.demo(ctx, s, pace)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().DurationVar(&pace, "pace", 40*time.Millisecond, "time between two deliveries")
	return cmd
}

// demo plays the samples into s, shows what became of them, and waits.
func (a *app) demo(ctx context.Context, s *server, pace time.Duration) error {
	s.database.banner(a.stderr)
	fmt.Fprintf(a.stderr, "listening on %s\n\n", s.url)
	statuses, err := a.play(ctx, s, pace)
	if err != nil {
		return ignoreCancel(ctx, err)
	}
	if err := s.awaitEnriched(ctx); err != nil {
		return ignoreCancel(ctx, err)
	}
	if err := a.summarize(ctx, s, statuses); err != nil {
		return ignoreCancel(ctx, err)
	}
	a.invite(s)
	<-ctx.Done()
	return nil
}

// onlyDemo refuses a log that holds records of other sources: what is appended
// stays for ever. Names that begin alike stand together, so the first and the
// last one tell.
func (s *server) onlyDemo(ctx context.Context) error {
	sources, err := s.firstAndLastSource(ctx)
	for _, source := range sources {
		if !strings.HasPrefix(source, demoPrefix) {
			return domain.Errorf(domain.Refused, "demo", "the log holds deliveries of %s", source).
				WithHint("Name another directory with --state, or unset DATABASE_URL.")
		}
	}
	return err
}

// noDemo refuses the log of the demo: real deliveries would be mixed with made-up
// ones for ever.
func (s *server) noDemo(ctx context.Context) error { return noDemo(ctx, s.pools.reader, "serve") }

func noDemo(ctx context.Context, db *sql.DB, op string) error {
	var demo bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM delivery WHERE source >= $1 AND source < $2)`, demoPrefix, demoPrefix+"\x7f").Scan(&demo)
	if err == nil && demo {
		err = domain.Errorf(domain.Refused, op, "the log is the demo's: it holds made-up deliveries").
			WithHint("Unset DAYBOOK_STATE_DIR, or name another directory with --state.")
	}
	return err
}

// firstAndLastSource returns the least and the greatest name of a source in the
// log, beside that of the log itself, none if there is none.
func (s *server) firstAndLastSource(ctx context.Context) ([]string, error) {
	var first, last sql.NullString
	err := s.pools.reader.QueryRowContext(ctx, `SELECT min(source), max(source) FROM delivery WHERE source <> $1`, domain.SourceLog).Scan(&first, &last)
	if err != nil || !first.Valid {
		return nil, err
	}
	return []string{first.String, last.String}, nil
}

// play posts every sample delivery and returns how many had each status.
func (a *app) play(ctx context.Context, s *server, pace time.Duration) (map[domain.Status]int, error) {
	all, err := samples.All()
	if err != nil {
		return nil, err
	}
	statuses := make(map[domain.Status]int)
	for _, sample := range all {
		if sample.Kind != samples.Webhook || sample.Status == samples.Edge {
			continue
		}
		receipt, err := s.post(ctx, sample)
		if err != nil {
			return nil, err
		}
		statuses[receipt.Status]++
		became := string(receipt.Status)
		for _, r := range receipt.Records {
			became += fmt.Sprintf("  %d %s", r.Position, r.Kind)
		}
		fmt.Fprintf(a.stderr, "%-10s %-40s %s\n", sample.Provider, sample.Topic, became)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pace):
		}
	}
	return statuses, nil
}

// awaitEnriched returns once every notice has been answered by the sample API.
func (s *server) awaitEnriched(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, e := range s.enrichers {
		for {
			pending, _, err := e.Backlog(ctx)
			if err != nil {
				return err
			}
			if pending == 0 {
				break
			}
			select {
			case <-ctx.Done():
				return domain.Errorf(domain.Internal, "demo", "%d notices of %s are not answered", pending, e.Source)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// post sends one sample as its provider would.
func (s *server) post(ctx context.Context, sample samples.Sample) (domain.Receipt, error) {
	url := s.url + "/webhooks/" + demoSource(sample.Provider)
	if sample.Provider == "credly" {
		url += "/" + demoToken
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(sample.Body))
	if err != nil {
		return domain.Receipt{}, err
	}
	r.Header = sample.Header.Clone()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return domain.Receipt{}, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return domain.Receipt{}, err
	}
	if response.StatusCode != http.StatusOK {
		return domain.Receipt{}, domain.Errorf(domain.Internal, "demo", "%s was answered with %s: %s", sample.File, response.Status, body)
	}
	var receipt domain.Receipt
	return receipt, json.Unmarshal(body, &receipt)
}

// summarize shows what became of the deliveries, and the balances.
func (a *app) summarize(ctx context.Context, s *server, statuses map[domain.Status]int) error {
	var parts []string
	total := 0
	for _, status := range []domain.Status{domain.Accepted, domain.Duplicate, domain.Conflicting, domain.Unrecognized, domain.Quarantined} {
		if n := statuses[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, status))
			total += n
		}
	}
	fmt.Fprintf(a.stderr, "\n%d deliveries: %s\n", total, strings.Join(parts, ", "))
	for _, show := range demoViews {
		p, v, err := viewNamed(show.path)
		if err != nil {
			return err
		}
		// The followers are at it already; this waits for them, or does it.
		if _, err := s.projector.CatchUp(ctx, p, nil); err != nil {
			return err
		}
		answer, err := ask(ctx, s.projector, p, v, projections.Query{})
		if err != nil {
			return err
		}
		answer.Columns = answer.Columns[:show.columns]
		for i, row := range answer.Rows {
			answer.Rows[i] = row[:show.columns]
		}
		fmt.Fprintf(a.stderr, "\n%s — %s\n", v.Title, show.path)
		if err := a.print(answer); err != nil {
			return err
		}
	}
	return nil
}

// invite says what to try next.
func (a *app) invite(s *server) {
	command := "daybook"
	if exe, err := os.Executable(); err == nil {
		if dir, err := os.Getwd(); err == nil {
			if rel, err := filepath.Rel(dir, exe); err == nil && !strings.HasPrefix(rel, "..") {
				command = rel
			}
		}
	}
	state := ""
	if s.database.embedded != nil {
		state = " --state " + s.database.embedded.StateDir()
	}
	fmt.Fprintf(a.stderr, `
Ask over HTTP
  curl %[1]s/v1/
  curl '%[1]s/v1/credits/balances'
  curl '%[1]s/v1/sales/entries.csv?as_of=2026-03-10'

Ask in another terminal
  %[2]s view certifications/history%[3]s
  %[2]s view log/records --limit 5%[3]s
  %[2]s projection verify%[3]s
  %[2]s db psql%[3]s

Serving on %[1]s until Ctrl-C.
`, s.url, command, state)
}
