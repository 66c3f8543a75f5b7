package main

import (
	"cmp"
	"database/sql"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// recordCommand is "daybook record": what a person tells the log.
func recordCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Record what no provider reports, such as credits that were granted",
		Long: `Records a fact that a person states. It goes into the log like a delivery, with who
said so, and is recorded once however often the command is repeated: its reference
tells it from others.`,
		Example: "  daybook record grant --source acme-tahdah --order SO-4417 --template 318 --quantity 20 --reference INV-77",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(recordGrant(a))
	return cmd
}

// grantFlags are the flags of "daybook record grant" as they were given.
type grantFlags struct {
	source, order, template, quantity, holder string
	unitPrice, currency, expires              string
	reference, reason, by                     string
	send, yes                                 bool
}

func recordGrant(a *app) *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use:   "grant",
		Short: "Record that credits were granted, or have Tahdah grant them",
		Long: `Records that credits of one template were granted on an order. With --send it asks
Tahdah to add them and records them as granted once Tahdah says so.

The reference is what makes a grant one: the same command with the same reference
changes nothing and prints the first receipt, and something else under it is
refused. Without --reference one is made and printed.

With --send, what will be sent is shown first; it is sent after a yes on the
terminal, or at once with --yes. That it is about to be sent is recorded before,
what came of it afterwards, and every try of one reference sends the same key and
bytes, which Tahdah takes once. If the answer is lost the outcome is unknown (exit
status 75): nothing is booked, "daybook view credits/grants" shows it, and running
the command again with the same reference asks again. Never grant it under another
reference, or by hand, before you know.`,
		Example: `  daybook record grant --source acme-tahdah --order SO-4417 --template 318 --quantity 20
  daybook record grant --source acme-tahdah --order SO-4417 --template 318 --quantity 20 --holder 4411 --reference INV-77 --send
  daybook record grant --source acme-tahdah --order SO-4417 --template 318 --quantity 20 --unit-price 12.50 --currency GBP --expires 2027-03-31 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g := &granter{app: a, yes: f.yes}
			var err error
			if g.grant, err = f.grant(); err != nil {
				return err
			}
			if g.source, err = a.tahdahSource(f.source); err != nil {
				return err
			}
			if f.send {
				if err := g.configure(); err != nil {
					return err
				}
			}
			if f.reference == "" {
				a.warn("reference %s", g.grant.Reference)
			}
			return a.withAppender(cmd.Context(), func(log *postgres.Appender, db *sql.DB, keys *postgres.Keyring) error {
				if err := noDemo(cmd.Context(), db, "grant"); err != nil {
					return err
				}
				g.log, g.db, g.keys = log, db, keys
				made, err := g.run(cmd.Context())
				if made.outcome == "" {
					return err
				}
				if printed := a.printWhole(made.answer(g)); err == nil {
					err = printed
				}
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "source whose credits they are: one of Tahdah's in daybook.toml")
	flags.StringVar(&f.order, "order", "", "order number in your own system")
	flags.StringVar(&f.template, "template", "", "event template that the credits are good for")
	flags.StringVar(&f.quantity, "quantity", "", "how many credits: a whole number")
	flags.StringVar(&f.holder, "holder", "", "Tahdah's id of the legal entity that gets them; needed to send")
	flags.StringVar(&f.unitPrice, "unit-price", "", "price of one credit, with --currency")
	flags.StringVar(&f.currency, "currency", "", "currency of the price, such as GBP")
	flags.StringVar(&f.expires, "expires", "", "when they expire: a date (at its end, UTC) or an RFC 3339 time")
	flags.StringVar(&f.reference, "reference", "", "what tells this grant from others for ever, such as an invoice number")
	flags.StringVar(&f.reason, "reason", "", "why; do not name people")
	flags.StringVar(&f.by, "by", "", "who grants them (default: who is logged in)")
	flags.BoolVar(&f.send, "send", false, "have Tahdah grant them")
	flags.BoolVar(&f.yes, "yes", false, "send without asking")
	return cmd
}

// grant returns the grant that the flags describe.
func (f grantFlags) grant() (g domain.CreditsGranted, err error) {
	for _, flag := range []struct{ name, value string }{
		{"source", f.source}, {"order", f.order}, {"template", f.template}, {"quantity", f.quantity},
	} {
		if flag.value == "" {
			return g, usage("--%s is missing", flag.name)
		}
	}
	g = domain.CreditsGranted{
		Order: f.order, Template: f.template, Holder: f.holder, Currency: domain.NormalCurrency(f.currency),
		Reference: cmp.Or(f.reference, ulid.Make().String()), Reason: domain.Personal(f.reason), By: cmp.Or(f.by, operator()),
	}
	if g.Quantity, err = decimal.NewFromString(f.quantity); err != nil || !g.Quantity.IsPositive() || !g.Quantity.IsInteger() {
		return g, usage("--quantity is %q, not a whole number above zero", f.quantity)
	}
	if f.unitPrice != "" {
		if g.UnitPrice, err = decimal.NewFromString(f.unitPrice); err != nil || g.UnitPrice.IsNegative() {
			return g, usage("--unit-price is %q, not an amount", f.unitPrice)
		}
	}
	_, known := domain.Exponent(g.Currency)
	switch {
	case (f.unitPrice == "") != (f.currency == ""):
		return g, usage("--unit-price and --currency go together")
	case f.currency != "" && !known:
		return g, usage("--currency is %q, not a code of ISO 4217", f.currency)
	case g.By == "":
		return g, usage("--by is missing, and the system does not say who you are")
	}
	if g.ExpiresAt, err = expiry(f.expires); err != nil {
		return g, err
	}
	if err := g.Validate(); err != nil {
		return g, domain.Errorf(domain.Usage, "grant", "%w", err).WithHint("Run: daybook record grant --help")
	}
	return g, nil
}

// expiry reads a date, whose last microsecond in UTC is meant, or a time.
func expiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Microsecond), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usage("--expires is %q, neither a date nor a time", text).WithHint("Write 2027-03-31 or 2027-03-31T12:00:00Z.")
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

func usage(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.Usage, "grant", format, args...).WithHint("Run: daybook record grant --help")
}

// operator returns the name of the person at the keyboard, as far as the system
// knows it.
func operator() string {
	if u, err := user.Current(); err == nil {
		return domain.Label(u.Username)
	}
	return domain.Label(os.Getenv("USER"))
}

// tahdahSource returns the configured source of that name, which must be Tahdah's:
// nobody else has credits.
func (a *app) tahdahSource(name string) (sourceConfig, error) {
	var known []string
	for _, s := range a.config.Sources {
		switch {
		case s.Provider == "tahdah" && s.Name == name:
			return s, nil
		case s.Provider == "tahdah":
			known = append(known, s.Name)
		}
	}
	hint := "Those of Tahdah are: " + strings.Join(known, ", ") + "."
	if len(known) == 0 {
		hint = "Add a [[source]] with provider = \"tahdah\" to daybook.toml; see: daybook init --print"
	}
	return sourceConfig{}, domain.Errorf(domain.NotFound, "grant", "there is no source %q of Tahdah", name).WithHint(hint)
}
