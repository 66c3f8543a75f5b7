package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/daybook-ledger/daybook/adapters/api"
	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// defaultListen is loopback only: nothing is open to the network unasked.
const defaultListen = "127.0.0.1:8080"

// serveOptions are the flags that serve and demo share.
type serveOptions struct {
	listen           string
	unsafeDurability bool

	// check is asked before anything is served; nil: nothing is checked.
	check func(*server, context.Context) error

	// enrich are the sources whose notices are fetched.
	enrich []enrichment
}

func (o *serveOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.listen, "listen", "", "address to serve on (DAYBOOK_LISTEN; default "+defaultListen+"; port 0 picks one)")
	cmd.Flags().BoolVar(&o.unsafeDurability, "unsafe-durability", false, "serve although the database may lose what it has committed")
}

func serveCommand(a *app) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Take webhooks in, keep the projections, answer questions",
		Long: `Takes the deliveries of the configured sources in at /webhooks/SOURCE, keeps the
projections up to date and answers questions at /v1/. Several may run on one
database. It stops on SIGINT or SIGTERM once what it has in hand is done.`,
		Example: `  daybook serve
  daybook serve --listen 127.0.0.1:0
  DATABASE_URL=postgres://ledger@db/ledger daybook serve --config /etc/daybook.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources := make([]intake.Source, len(a.config.Sources))
			for i, s := range a.config.Sources {
				var err error
				if sources[i], err = newSource(s); err != nil {
					return err
				}
			}
			var err error
			if o.enrich, err = enrichments(a.config.Sources, sources); err != nil {
				return err
			}
			o.check = (*server).noDemo
			return a.serve(cmd.Context(), o, sources, func(ctx context.Context, s *server) error {
				s.database.banner(a.stderr)
				if !s.loopback {
					fmt.Fprintln(a.stderr, "WARNING     /v1/ answers whoever can reach this address, names and balances included; let a proxy forward /webhooks/ only")
				}
				if len(sources) == 0 {
					fmt.Fprintln(a.stderr, `sources     none configured; run "daybook init", edit daybook.toml and start again`)
				}
				for _, source := range a.config.Sources {
					fmt.Fprintf(a.stderr, "source      %s (%s) at %s\n", source.Name, source.Provider, s.webhookURL(source))
				}
				fmt.Fprintf(a.stderr, "listening on %s\n", s.url)
				<-ctx.Done()
				return nil
			})
		},
	}
	o.flags(cmd)
	return cmd
}

// A server is what runs in one process.
type server struct {
	database  *database
	pools     *pools
	keys      *postgres.Keyring
	url       string // http://HOST:PORT
	loopback  bool   // nobody else can reach it
	projector *postgres.Projector
	appender  *postgres.Appender
	signing   *signing
	metrics   *metrics
	enrich    []enrichment
	enrichers []*fetch.Enricher // one for each, once it runs
	logger    *slog.Logger
	busLogger *slog.Logger
}

// webhookURL returns where the deliveries of a source go.
func (s *server) webhookURL(source sourceConfig) string { return s.url + source.webhookPath("SECRET") }

// serve runs everything until ctx is done or something fails, and calls ready
// once requests are answered. It stops when ready returns.
func (a *app) serve(ctx context.Context, o serveOptions, sources []intake.Source, ready func(context.Context, *server) error) (err error) {
	// The heap is small and short-lived: collecting it at every doubling takes a
	// third of the processor from intake.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	s := &server{enrich: o.enrich, logger: a.logger(), busLogger: a.loggerFrom(slog.LevelWarn)}
	if s.database, err = a.openDatabase(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.database.Close()) }()
	if s.pools, err = openPools(ctx, s.database, len(s.enrich)); err != nil {
		return err
	}
	defer func() {
		// A connection that is broken already says so when it is closed.
		if late := s.pools.Close(); late != nil {
			s.logger.LogAttrs(ctx, slog.LevelInfo, "connections closed", slog.Any("error", late))
		}
	}()
	if _, err := postgres.CheckDurability(ctx, s.pools.writer); err != nil {
		if !o.unsafeDurability {
			return err
		}
		fmt.Fprintf(a.stderr, "WARNING     %v\n", err)
	}
	if s.keys, err = postgres.NewKeyring(ctx, s.pools.reader, s.database.files); err != nil {
		return err
	}
	if err := s.keys.Ready(ctx); err != nil {
		return err
	}
	s.projector = postgres.NewProjector(s.pools.reader, allProjections())
	s.projector.Opener = s.keys
	if err := s.projector.Setup(ctx); err != nil {
		return err
	}
	if o.check != nil {
		if err := o.check(s, ctx); err != nil {
			return err
		}
	}
	s.appender = postgres.NewAppender(s.pools.writer, s.keys)
	if s.signing, err = a.openSigning(ctx, s.database, s.alarm); err != nil {
		return err
	}
	defer func() {
		if late := s.signing.Close(); late != nil {
			s.logger.LogAttrs(ctx, slog.LevelInfo, "connections closed", slog.Any("error", late))
		}
	}()
	if err := s.checkSigned(ctx, a); err != nil {
		return err
	}
	listener, err := a.listen(ctx, o)
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	if addr, ok := listener.Addr().(*net.TCPAddr); ok {
		s.loopback = addr.IP.IsLoopback()
	}
	return s.run(ctx, listener, sources, ready)
}

// run starts what serves and stops it in the opposite order: first no more
// requests, then no more folding and appending.
func (s *server) run(ctx context.Context, listener net.Listener, sources []intake.Source, ready func(context.Context, *server) error) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, running := errgroup.WithContext(background)
	wake, err := bus.Listen(running, s.database.url)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	group.Go(func() error { return s.appender.Run(running) })
	group.Go(func() error {
		l := &openLog{database: s.database, appender: s.appender, db: s.pools.reader, keys: s.keys}
		if err := l.recordErased(running, s.logger); ignoreCancel(running, err) != nil {
			// Their keys are destroyed all the same.
			s.logger.LogAttrs(ctx, slog.LevelWarn, "erasures are not recorded again yet", slog.Any("error", err))
		}
		return nil
	})
	group.Go(func() error { return s.sign(running, wake) })
	group.Go(func() error { return s.watchSigned(running, wake) })
	for _, p := range allProjections() {
		f := follower{p, s.projector, s.pools.follower, wake, s.logger, s.busLogger}
		group.Go(func() error { return f.run(running) })
	}
	for _, e := range s.enrich {
		enricher := e.enricher(s.appender, s.pools.enricher, s.keys, s.logger)
		s.enrichers = append(s.enrichers, enricher)
		group.Go(func() error { return s.fetching(running, enricher, wake) })
		group.Go(func() error { return s.remind(running, e.config) })
	}
	if s.database.embedded != nil {
		group.Go(func() error { return ignoreCancel(running, s.database.embedded.Supervise(running)) })
	}
	s.metrics = newMetrics(sources)
	s.metrics.fetching = s.fetchStatuses
	group.Go(func() error {
		// The log may be long, and nobody waits for this.
		if err := s.metrics.recall(running, s.pools.reader); ignoreCancel(running, err) != nil {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "the last use of secrets is not known", slog.Any("error", err))
		}
		return nil
	})
	httpServer := s.newHTTPServer(sources)
	group.Go(func() error {
		if err := httpServer.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})

	readyCtx, stopReady := context.WithCancel(ctx)
	defer stopReady()
	context.AfterFunc(running, stopReady)
	err = ready(readyCtx, s)
	// What is in hand has ten seconds, whatever ended the rest.
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if late := httpServer.Shutdown(shutdown); late != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "requests cut off", slog.Any("error", late))
		err = errors.Join(err, httpServer.Close())
	}
	stop()
	err = errors.Join(err, group.Wait())
	s.signRest(context.WithoutCancel(ctx))
	return err
}

func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// address returns where to listen: the flag, the environment, the configuration or
// the default.
func (a *app) address(flag string) string {
	return cmp.Or(orEnv(flag, "DAYBOOK_LISTEN"), a.config.Listen, defaultListen)
}

// listen takes the configured address.
func (a *app) listen(ctx context.Context, o serveOptions) (net.Listener, error) {
	address := a.address(o.listen)
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, domain.Errorf(domain.Usage, "listen", "%w", err).
			WithHint("Pass another --listen, such as 127.0.0.1:0 for any free port.")
	}
	return listener, nil
}

func (s *server) newHTTPServer(sources []intake.Source) *http.Server {
	mux := http.NewServeMux()
	handler := intake.NewHandler(s.appender, sources, s.logger)
	handler.Register(mux)
	handler.Watch(s.metrics)
	s.metrics.watch(s, handler, s.appender, sources)
	mux.Handle("GET /metrics", s.metrics.handler(s.logger))
	mux.Handle("/", api.NewHandler(s.apiConfig()))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      5 * time.Minute, // a long answer to a slow reader
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
}

// pools are the connections of a server. Appending, following, enriching and
// reading each have their own, so that none waits for a connection another one
// holds.
type pools struct {
	writer   *sql.DB
	follower *sql.DB
	enricher *sql.DB // nil if nothing is enriched
	reader   *sql.DB
}

func openPools(ctx context.Context, d *database, enrichers int) (p *pools, err error) {
	p = &pools{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	for _, pool := range []struct {
		db    **sql.DB
		role  postgres.Role
		conns int
	}{
		{&p.writer, postgres.RoleWriter, 2},
		{&p.follower, postgres.RoleProjector, 2 * len(allProjections())},
		{&p.enricher, postgres.RoleProjector, 3 * enrichers}, // a lock, the work, and a sweep
		{&p.reader, postgres.RoleProjector, 12},
	} {
		if pool.conns == 0 {
			continue
		}
		if *pool.db, err = d.open(ctx, pool.role, pool.conns); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close closes the pools.
func (p *pools) Close() error {
	var errs []error
	for _, db := range []*sql.DB{p.writer, p.follower, p.enricher, p.reader} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
