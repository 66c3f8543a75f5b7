package main

import (
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/domain"
)

// config is daybook.toml. The file that "daybook init" writes explains every
// part of it.
type config struct {
	file     string
	Listen   string         `toml:"listen"`
	Database databaseConfig `toml:"database"`
	Keys     keysConfig     `toml:"keys"`

	Checkpoint checkpointConfig `toml:"checkpoint"`

	Sources []sourceConfig `toml:"source"`
}

type keysConfig struct {
	Dir string `toml:"dir"` // "": below the state directory
}

type databaseConfig struct {
	URL string `toml:"url"` // "env:NAME" or "file:PATH"; "": the embedded default
}

type sourceConfig struct {
	Name            string    `toml:"name"`
	Provider        string    `toml:"provider"`
	Secrets         []string  `toml:"secrets"`
	DefaultCurrency string    `toml:"default_currency"`
	BookTests       bool      `toml:"book_tests"`
	Organizations   []string  `toml:"organizations"`
	APIToken        string    `toml:"api_token"`        // "env:NAME" or "file:PATH"; "": nothing is fetched
	APIURL          string    `toml:"api_url"`          // "": the provider's own
	APIAuth         string    `toml:"api_auth"`         // Credly: authBasic …; "": authBasic
	APITokenIssued  time.Time `toml:"api_token_issued"` // Credly: its tokens last tokenLife
	APISubdomain    string    `toml:"api_subdomain"`    // Thinkific: the first part of the site's address
	intakeConfig
	braincertConfig
	mappingsConfig

	// OperationsMember is what Tahdah calls the list in a request to add credits.
	OperationsMember string `toml:"operations_member"`
}

// intakeConfig says how the deliveries of a source are taken in.
type intakeConfig struct {
	Rate          string `toml:"rate"`           // such as "50/s"; "": no limit
	AtOnce        int    `toml:"at_once"`        // requests in hand; 0: as many as usual
	SuccessStatus int    `toml:"success_status"` // of a receipt; 0: 200
}

// braincertConfig says how a source's customer has edited the bodies of its
// webhooks; see [braincert.Config].
type braincertConfig struct {
	Topic     string              `toml:"topic"`
	Domain    string              `toml:"domain"`
	Thousands string              `toml:"thousands"`
	Fields    map[string][]string `toml:"fields"`
}

// isZero reports whether nothing of it is configured.
func (c braincertConfig) isZero() bool {
	return c.Topic == "" && c.Domain == "" && c.Thousands == "" && len(c.Fields) == 0
}

// defaultConfigFile is read if no other is named and it is there.
const defaultConfigFile = "daybook.toml"

// readConfig reads a configuration file. What it does not know in it is an
// error: a misspelt option must not be passed over.
func readConfig(file string) (config, error) {
	named := file != ""
	if !named {
		file = defaultConfigFile
	}
	c := config{file: file}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return config{}, nil
	}
	if err != nil {
		return config{}, domain.Errorf(domain.Usage, "read configuration", "%w", err).WithHint("Run: daybook init")
	}
	meta, err := toml.Decode(string(text), &c)
	if err != nil {
		return config{}, domain.Errorf(domain.Usage, "read "+file, "%w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return config{}, domain.Errorf(domain.Usage, "read "+file, "%s is not an option", unknown[0]).
			WithHint("Compare with what this prints: daybook init --print")
	}
	return c, c.check()
}

// sourceNames are those that can stand in a URL and be a topic.
var sourceNames = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

func (c config) check() error {
	if err := c.Checkpoint.check(); err != nil {
		return domain.Errorf(domain.Usage, "read "+c.file, "checkpoint: %w", err).WithHint(domain.HintOf(err))
	}
	const elsewhere = "Leave it out of this source, or put it below the one that it is meant for."
	seen := make(map[string]bool)
	for _, s := range c.Sources {
		op := "read " + c.file
		switch {
		case !sourceNames.MatchString(s.Name) || s.Name == domain.SourceLog:
			return domain.Errorf(domain.Usage, op, "a source cannot be named %q", s.Name).
				WithHint(`Use lower-case letters, digits, "-", "_" and "."; "log" is taken.`)
		case seen[s.Name]:
			return domain.Errorf(domain.Usage, op, "two sources are named %q", s.Name).WithHint("Give each a name of its own: it is in their URLs.")
		case strings.HasPrefix(s.Name, demoPrefix):
			return domain.Errorf(domain.Usage, op, "a source cannot be named %q", s.Name).
				WithHint("Names that begin with " + demoPrefix + " are the demo's.")
		case providers[s.Provider] == nil:
			return noProvider(op, s.Provider)
		case !s.braincertConfig.isZero() && //nolint:staticcheck // isZero alone would be of the whole source
			s.Provider != "braincert":
			return domain.Errorf(domain.Usage, op, "source %s: topic, domain, thousands and fields are for braincert", s.Name).WithHint(elsewhere)
		case (s.APIAuth != "" || !s.APITokenIssued.IsZero()) && s.Provider != "credly":
			return domain.Errorf(domain.Usage, op, "source %s: api_auth and api_token_issued are for credly", s.Name).WithHint(elsewhere)
		case s.APISubdomain != "" && s.Provider != "thinkific":
			return domain.Errorf(domain.Usage, op, "source %s: api_subdomain is for thinkific", s.Name).WithHint(elsewhere)
		case s.DefaultCurrency != "" && s.Provider != "thinkific":
			return domain.Errorf(domain.Usage, op, "source %s: default_currency is for thinkific", s.Name).WithHint(elsewhere)
		case len(s.Organizations) > 0 && s.Provider != "credly" && s.Provider != "tahdah":
			return domain.Errorf(domain.Usage, op, "source %s: organizations are for credly and tahdah", s.Name).WithHint(elsewhere)
		case s.OperationsMember != "" && s.Provider != "tahdah":
			return domain.Errorf(domain.Usage, op, "source %s: operations_member is for tahdah", s.Name).WithHint(elsewhere)
		}
		if err := s.checkIntake(); err != nil {
			return domain.Errorf(domain.Usage, op, "source %s: %w", s.Name, err).WithHint(domain.HintOf(err))
		}
		if err := s.checkMappings(); err != nil {
			return domain.Errorf(domain.Usage, op, "source %s: %w", s.Name, err)
		}
		seen[s.Name] = true
	}
	return nil
}

// successStatuses are the HTTP statuses with which a delivery may be accepted.
var successStatuses = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// checkIntake checks how the deliveries of the source are taken in.
func (s sourceConfig) checkIntake() error {
	if _, err := intake.ParseRate(s.Rate); err != nil {
		return err
	}
	switch {
	case s.AtOnce < 0 || s.AtOnce > maxAtOnce:
		return domain.Errorf(domain.Usage, "at_once", "%d is not from 1 to %d", s.AtOnce, maxAtOnce)
	case s.SuccessStatus != 0 && !slices.Contains(successStatuses, s.SuccessStatus):
		return domain.Errorf(domain.Usage, "success_status", "%d is not one of %v", s.SuccessStatus, successStatuses)
	case s.SuccessStatus != 0 && s.SuccessStatus != http.StatusOK && s.Provider == "credly":
		return domain.Errorf(domain.Usage, "success_status", "Credly takes anything but 200 for a failure").WithHint("Leave it out.")
	}
	return nil
}

// maxAtOnce is the greatest at_once: as many as may wait for the log.
const maxAtOnce = 1024

// resolve returns the database URL, "" for the embedded default.
func (d databaseConfig) resolve() (string, error) {
	if d.URL == "" {
		return "", nil
	}
	return resolveSecret("database url", d.URL)
}

func resolveSecrets(op string, refs []string) ([]string, error) {
	secrets := make([]string, len(refs))
	for i, ref := range refs {
		var err error
		if secrets[i], err = resolveSecret(op, ref); err != nil {
			return nil, err
		}
	}
	return secrets, nil
}

// resolveSecret returns the secret that "env:NAME" or "file:PATH" stands for. A
// secret itself is refused: it would end up in version control.
func resolveSecret(op, ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		if value := os.Getenv(name); value != "" {
			return value, nil
		}
		return "", domain.Errorf(domain.Usage, op, "the environment variable %s is not set", name).
			WithHint("Set it to the secret, or leave the source out of the configuration.")
	case "file":
		text, err := os.ReadFile(name)
		if err != nil {
			return "", domain.Errorf(domain.Usage, op, "%w", err).WithHint("Put the secret into that file, and nothing else.")
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
	return "", domain.Errorf(domain.Usage, op, "a secret is neither env:NAME nor file:PATH").
		WithHint("Put the secret itself into an environment variable or a file.")
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
