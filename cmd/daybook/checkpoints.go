package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"time"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// checkpointConfig is [checkpoint] in daybook.toml.
type checkpointConfig struct {
	Origin    string          `toml:"origin"`   // without the epoch; "": daybook/ and the name of the book
	Dir       string          `toml:"dir"`      // where is kept what was signed; "": below the state directory
	Interval  time.Duration   `toml:"interval"` // between two checkpoints, at least; 0: defaultInterval
	Sinks     []sinkConfig    `toml:"sink"`
	Witnesses []witnessConfig `toml:"witness"`
}

// sinkConfig is where checkpoints go beside the directory that is always there:
// one of Directory, URL and NATS.
type sinkConfig struct {
	Name        string `toml:"name"`
	Directory   string `toml:"directory"`
	URL         string `toml:"url"`
	NATS        string `toml:"nats"`
	Subject     string `toml:"subject"`
	Token       string `toml:"token"`       // "env:NAME" or "file:PATH"
	Credentials string `toml:"credentials"` // the same, of NATS
}

type witnessConfig struct {
	URL  string `toml:"url"`
	VKey string `toml:"vkey"`
}

const (
	defaultInterval = time.Second
	leastInterval   = 100 * time.Millisecond
	localSink       = "local" // the name of the sink that is always there
)

// origins are those that can stand in the name of a key and of a file.
var origins = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

func (c checkpointConfig) check() error {
	if c.Origin != "" && (!origins.MatchString(c.Origin) || len(c.Origin) > 150) {
		return domain.Errorf(domain.Usage, "", "the origin %q cannot be used", c.Origin).
			WithHint("Write a name that nobody else uses, such as example.com/ledger.")
	}
	if c.Interval != 0 && c.Interval < leastInterval {
		return domain.Errorf(domain.Usage, "", "the interval %s is below %s", c.Interval, leastInterval)
	}
	seen := map[string]bool{localSink: true}
	for _, s := range c.Sinks {
		if !sourceNames.MatchString(s.Name) || seen[s.Name] {
			return domain.Errorf(domain.Usage, "", "a sink cannot be named %q", s.Name).
				WithHint("Give each sink a name of its own, of lower-case letters, digits, \"-\", \"_\" and \".\"; " + localSink + " is taken.")
		}
		seen[s.Name] = true
		if err := s.check(); err != nil {
			return err
		}
	}
	for _, w := range c.Witnesses {
		if _, err := checkpointer.NewWitness(w.URL, w.VKey); err != nil {
			return err
		}
	}
	return nil
}

func (s sinkConfig) check() error {
	kinds := 0
	for _, set := range []bool{s.Directory != "", s.URL != "", s.NATS != ""} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return domain.Errorf(domain.Usage, "", "the sink %s is not one of directory, url and nats", s.Name)
	case (s.NATS != "") != (s.Subject != ""):
		return domain.Errorf(domain.Usage, "", "the sink %s: nats and subject go together", s.Name)
	case s.Credentials != "" && s.NATS == "", s.Token != "" && s.Directory != "":
		return domain.Errorf(domain.Usage, "", "the sink %s has a secret that it has no use for", s.Name)
	}
	return nil
}

// open returns the sink. Nothing is connected before it is used.
func (s sinkConfig) open() (checkpointer.Sink, error) {
	var secrets [2]string
	for i, ref := range []string{s.Token, s.Credentials} {
		if ref == "" {
			continue
		}
		var err error
		if secrets[i], err = resolveSecret("sink "+s.Name, ref); err != nil {
			return nil, err
		}
	}
	switch {
	case s.URL != "":
		return checkpointer.NewHTTP(s.URL, secrets[0])
	case s.NATS != "":
		return checkpointer.NewNATS(checkpointer.NATSConfig{URL: s.NATS, Subject: s.Subject, Token: secrets[0], Credentials: secrets[1]})
	}
	return checkpointer.NewDirectory(s.Directory), nil
}

// auditorConns are those that reading the log takes, and one for who holds the
// turn.
const auditorConns = postgres.AuditConns + 2

// signing is everything that signs the log of a database, or compares it with what
// was signed.
type signing struct {
	*checkpointer.Checkpointer
	auditor *postgres.Auditor
	db      *sql.DB // of the role RoleAuditor
	vkeys   []string
	closers []io.Closer
}

// openSigning returns what signs the log of d. The signing key is made if there is
// none. Alarm is told what is found; see [checkpointer.Config].
func (a *app) openSigning(ctx context.Context, d *database, alarm func(error)) (s *signing, err error) {
	dir, err := a.stateSubdir(orEnv(a.config.Checkpoint.Dir, "DAYBOOK_CHECKPOINTS_DIR"), "checkpoints")
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, d.book)
	s = new(signing)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	c := checkpointer.Config{
		Name:     cmp.Or(a.config.Checkpoint.Origin, "daybook/"+d.book),
		Dir:      dir,
		Interval: cmp.Or(a.config.Checkpoint.Interval, defaultInterval),
		Logger:   a.logger(),
		Alarm:    alarm,
		Sinks:    []checkpointer.NamedSink{{Name: localSink, Sink: checkpointer.NewDirectory(filepath.Join(dir, "published"))}},
	}
	if err := s.keys(d, &c); err != nil {
		return s, err
	}
	for _, sink := range a.config.Checkpoint.Sinks {
		opened, err := sink.open()
		if err != nil {
			return s, err
		}
		if closer, ok := opened.(io.Closer); ok {
			s.closers = append(s.closers, closer)
		}
		c.Sinks = append(c.Sinks, checkpointer.NamedSink{Name: sink.Name, Sink: opened})
	}
	for _, w := range a.config.Checkpoint.Witnesses {
		witness, err := checkpointer.NewWitness(w.URL, w.VKey)
		if err != nil {
			return s, err
		}
		c.Witnesses = append(c.Witnesses, witness)
	}
	if s.db, err = d.open(ctx, postgres.RoleAuditor, auditorConns); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.db)
	s.auditor = postgres.NewAuditor(s.db)
	c.Log, c.Prover = s.auditor, s.auditor
	s.Checkpointer, err = checkpointer.New(c)
	return s, err
}

// keys reads what signs.
func (s *signing) keys(d *database, c *checkpointer.Config) error {
	skeys, err := d.files.MakeSigners(c.Name)
	if err != nil {
		return err
	}
	for _, skey := range skeys {
		vkey, err := checkpoint.VerifierKey(skey)
		if err != nil {
			return err
		}
		var key checkpointer.Key
		if key.Signer, err = checkpoint.NewSigner(skey, nil); err != nil {
			return err
		}
		if key.Verifier, err = checkpoint.NewVerifier(vkey); err != nil {
			return err
		}
		c.Keys, s.vkeys = append(c.Keys, key), append(s.vkeys, vkey)
	}
	retired, err := d.files.Retired()
	if err != nil {
		return err
	}
	for _, vkey := range retired {
		v, err := checkpoint.NewVerifier(vkey)
		if err != nil {
			return err
		}
		c.Retired = append(c.Retired, v)
	}
	return nil
}

// Close gives up the connections.
func (s *signing) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// withSigning runs f with what signs the log of the configured database.
func (a *app) withSigning(ctx context.Context, f func(*database, *signing) error) (err error) {
	d, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	s, err := a.openSigning(ctx, d, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(d, s)
}

// checkSigned refuses a log that is not the one that was signed. What a place that
// keeps checkpoints did not tell is said, and no reason to refuse.
func (a *app) checkSigned(ctx context.Context, d *database) (err error) {
	s, err := a.openSigning(ctx, d, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	known, err := s.Check(ctx)
	if domain.CodeOf(err) == domain.Differs {
		return domain.Errorf(domain.Refused, "", "the log is read-only: %w", err).WithHint(domain.HintOf(err))
	}
	a.tellUnknown(known)
	return err
}

// tellUnknown says which places that keep checkpoints did not tell what they know.
func (a *app) tellUnknown(known []checkpointer.Known) {
	for _, k := range known {
		if k.Err != nil {
			a.warn("WARNING     the log is not compared with what is kept %s: %v", keptWhere(k.Where), k.Err)
		}
	}
}

// keptWhere says where something is kept.
func keptWhere(where string) string {
	if where == "" {
		return "here"
	}
	return "by the sink " + where
}

// alarm has nothing recorded while the log is not the one that was signed, and says
// so.
func (s *server) alarm(err error) {
	s.appender.Halt(err)
	if err == nil {
		s.logger.WarnContext(context.Background(), "the log takes deliveries in again")
		return
	}
	s.logger.ErrorContext(context.Background(), "READ-ONLY: nothing is recorded", slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
}

// checkSigned compares the log with what was signed, before anything is served.
func (s *server) checkSigned(ctx context.Context, a *app) error {
	known, err := s.signing.Check(ctx)
	if domain.CodeOf(err) == domain.Differs {
		fmt.Fprintf(a.stderr, "READ-ONLY   %v\n            %s\n", err, domain.HintOf(err))
		return nil // questions are answered all the same
	}
	a.tellUnknown(known)
	return err
}

// sign signs the log until ctx is done, on one server at a time: here whenever no
// other does. What stops it is tried again.
func (s *server) sign(ctx context.Context, wake *bus.Wake) error {
	appended, forget := wake.Channel()
	defer forget()
	for pause := time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
		begun := time.Now()
		err := postgres.Alone(ctx, s.signing.db, "checkpoint", func(ctx context.Context) error { return s.signing.Run(ctx, appended) })
		if ctx.Err() != nil {
			return nil
		}
		s.logger.LogAttrs(ctx, slog.LevelError, "nothing is signed for now", slog.Any("error", err), slog.String("hint", domain.HintOf(err)))
		if time.Since(begun) > time.Minute {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// signRest signs what was recorded since the last checkpoint, so that nothing waits
// unsigned until the next start. A log that is read-only, or a database that is gone,
// is told already.
func (s *server) signRest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if s.signing.Alarmed() != nil {
		return
	}
	if _, _, err := s.signing.Sign(ctx); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "what was recorded last is not signed", slog.Any("error", err))
		return
	}
	s.signing.Publish(ctx)
}

// watchSigned compares the log with what was signed for as long as it is served.
func (s *server) watchSigned(ctx context.Context, wake *bus.Wake) error {
	appended, forget := wake.Channel()
	defer forget()
	return s.signing.Watch(ctx, appended)
}
