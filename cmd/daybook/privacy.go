package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// privacyCommand is "daybook privacy": what is held of a person, and that it can be
// given out and erased.
func privacyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "privacy",
		Short: "Show, give out and erase what is held of a person",
		Long: `What is about people is sealed: texts in records with a key per person, the bytes of
a delivery with a key of its own. Whoever is asked for it can show it, give it out
and erase it; erasing destroys keys and changes no record, so that every balance
and every proof stays as it is.

A person is named by an id, SOURCE/TYPE/ID, as in the view directory/people, or by
an e-mail address, which stands for everybody who has it.`,
		Example: `  daybook privacy show acme-thinkific/user/789310
  daybook privacy erase amina.yusuf@example.com --basis "GDPR Art. 17(1)(b), request R-17" --by dpo --dry-run
  daybook privacy list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(privacyShow(a), privacyExport(a), privacyErase(a), privacyKeep(a), privacyList(a), privacyRotate(a))
	return cmd
}

// personTypes are the types that the id of somebody can have.
var personTypes = []string{
	domain.PersonUser, domain.PersonCandidate, domain.PersonEmployee, domain.PersonLead,
	domain.SubjectOrganization, domain.SubjectBadge, domain.SubjectGroup,
}

// parsePerson returns whom an argument names. The argument is not repeated in the
// error: it may be a name.
func parsePerson(arg string) (i postgres.Inquiry, err error) {
	parts := strings.SplitN(arg, "/", 3)
	switch {
	case len(parts) == 3 && slices.Contains(personTypes, parts[1]) && parts[0] != "" && parts[2] != "":
		i.Identity = domain.Identity{Source: parts[0], Type: parts[1], ID: parts[2]}
	case payload.IsEmail(arg):
		i.Email = arg
	default:
		return i, domain.Errorf(domain.Usage, "", "the person is neither SOURCE/TYPE/ID nor an e-mail address").
			WithHint("A type is one of: " + strings.Join(personTypes, ", ") + ". See: daybook view directory/people")
	}
	return i, nil
}

// inquire runs f with what is held of the person that an argument names.
func (a *app) inquire(ctx context.Context, arg string, f func(*sql.DB, *postgres.Keyring, *postgres.Dossier) error) error {
	inquiry, err := parsePerson(arg)
	if err != nil {
		return err
	}
	return a.withReader(ctx, func(db *sql.DB, keys *postgres.Keyring) error {
		if err := keys.Ready(ctx); err != nil {
			return err
		}
		d, err := a.runInquiry(ctx, inquiry, db, keys)
		if err != nil {
			return err
		}
		return f(db, keys, d)
	})
}

// runInquiry returns what is held of somebody, or an error with code NotFound.
func (a *app) runInquiry(ctx context.Context, inquiry postgres.Inquiry, db *sql.DB, keys *postgres.Keyring) (*postgres.Dossier, error) {
	p := a.progress("privacy")
	d, err := inquiry.Run(ctx, db, keys, func(what string, done, total int64) {
		if what = "privacy: " + what; p.what != what { // another work, with a pace of its own
			p.what, p.started, p.told = what, time.Now(), false
		}
		p.update(done, total)
	})
	p.end()
	if err != nil {
		return nil, err
	}
	if len(d.Identities)+len(d.Deliveries) == 0 {
		return nil, domain.Errorf(domain.NotFound, "", "nobody of that id or e-mail address is mentioned in the log").
			WithHint("See: daybook view directory/people")
	}
	return d, nil
}

func privacyShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show PERSON",
		Short: "Show what is held of a person, and where",
		Long: `Shows every text that records hold about a person, the deliveries that mention
them, and the keys that open any of it. The whole log is looked through, and the
bytes of all deliveries for the e-mail addresses and the whole name. What a delivery
was found by is said: one found by a name may be about somebody else of that name.`,
		Example: `  daybook privacy show acme-thinkific/user/789310
  daybook privacy show amina.yusuf@example.com --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.inquire(ctx, args[0], func(db *sql.DB, _ *postgres.Keyring, d *postgres.Dossier) error {
				shown, err := a.shownDossier(ctx, db, d)
				switch {
				case err != nil:
					return err
				case a.output == "table":
					return shown.write(a.stdout)
				case a.output == "csv":
					return notATable()
				}
				return a.writeJSON(shown)
			})
		},
	}
}

func notATable() error {
	return domain.Errorf(domain.Usage, "", "what is held of a person is not a table").WithHint("Use --json.")
}

// A shownDossier is a dossier as JSON.
type shownDossier struct {
	Identities []string        `json:"identities"`
	Others     []string        `json:"others,omitempty"` // have the same e-mail address
	Known      int64           `json:"known"`            // position up to which the log was looked through
	Texts      []shownText     `json:"texts"`
	Deliveries []shownMention  `json:"deliveries"`
	Keys       []shownKey      `json:"keys"`
	Decisions  []shownDecision `json:"decisions"`
}

type shownText struct {
	Position int64       `json:"position"`
	Kind     domain.Kind `json:"kind"`
	Identity string      `json:"identity"`
	Field    string      `json:"field"`
	Text     string      `json:"text"`
}

type shownMention struct {
	Delivery   ulid.ULID           `json:"delivery"`
	Position   int64               `json:"position"`
	Source     string              `json:"source"`
	Topic      string              `json:"topic"`
	Status     domain.Status       `json:"status"`
	ReceivedAt time.Time           `json:"received_at"`
	FoundBy    string              `json:"found_by"`
	Erased     bool                `json:"erased"`
	Header     map[string][]string `json:"header,omitempty"`
	Body       string              `json:"body,omitempty"`
	Base64     []byte              `json:"body_base64,omitempty"`
}

type shownKey struct {
	ID      string `json:"id"`
	Subject string `json:"subject,omitempty"` // "": of a delivery
	Epoch   int    `json:"epoch"`
}

func (a *app) shownDossier(ctx context.Context, db *sql.DB, d *postgres.Dossier) (s shownDossier, err error) {
	s = shownDossier{Known: d.Head, Texts: []shownText{}, Deliveries: []shownMention{}, Keys: []shownKey{}}
	s.Identities, s.Others = identityTexts(d.Identities), identityTexts(d.Others)
	for _, t := range d.Texts {
		s.Texts = append(s.Texts, shownText{t.Position, t.Kind, t.Identity.String(), t.Path, t.Text})
	}
	for _, m := range d.Deliveries {
		s.Deliveries = append(s.Deliveries, shownMention{
			Delivery: m.ID, Position: m.Position, Source: m.Source, Topic: m.Topic, Status: m.Status, ReceivedAt: m.ReceivedAt, FoundBy: m.By, Erased: m.Erased,
		})
	}
	for _, k := range d.Keys {
		s.Keys = append(s.Keys, shownKey{k.ID, k.Subject, k.Epoch})
	}
	s.Decisions, err = decisionsAbout(ctx, db, d.Identities)
	return s, err
}

func identityTexts(list []domain.Identity) []string {
	texts := []string{}
	for _, i := range list {
		texts = append(texts, i.String())
	}
	return texts
}

// write writes a dossier for a person to read.
func (s shownDossier) write(w io.Writer) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }
	for _, i := range s.Identities {
		line("identity\t%s", printable(i))
	}
	for _, i := range s.Others {
		line("same e-mail\t%s", printable(i))
	}
	for _, d := range s.Decisions {
		line("%s\t%s", d.What, printable(d.said()))
	}
	erased := 0
	for _, m := range s.Deliveries {
		if m.Erased {
			erased++
		}
	}
	line("held\t%d texts, %d deliveries (%d erased), under %d keys; looked through up to %d", len(s.Texts), len(s.Deliveries), erased, len(s.Keys), s.Known)
	if err := t.Flush(); err != nil {
		return err
	}
	if len(s.Texts) > 0 {
		fmt.Fprintln(&b)
		line("POSITION\tKIND\tFIELD\tTEXT")
		for _, x := range s.Texts {
			line("%d\t%s\t%s\t%s", x.Position, x.Kind, x.Field, printable(x.Text))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(s.Deliveries) > 0 {
		fmt.Fprintln(&b)
		line("DELIVERY\tSOURCE\tTOPIC\tSTATUS\tRECEIVED\tFOUND BY\tERASED")
		for _, m := range s.Deliveries {
			line("%s\t%s\t%s\t%s\t%s\t%s\t%t", m.Delivery, m.Source, printable(m.Topic), m.Status, m.ReceivedAt.Format(time.RFC3339), m.FoundBy, m.Erased)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func privacyExport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "export PERSON",
		Short: "Write what is held of a person as JSON, to be given to them",
		Long: `Writes what "privacy show" shows as JSON, with the headers and bodies of the
deliveries that mention the person by their id or e-mail address. Read it before
you give it away: a body may mention other people as well.`,
		Example: "  daybook privacy export acme-thinkific/user/789310 > R-17.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.inquire(ctx, args[0], func(db *sql.DB, keys *postgres.Keyring, d *postgres.Dossier) error {
				shown, err := a.shownDossier(ctx, db, d)
				if err != nil {
					return err
				}
				for i := range shown.Deliveries {
					m := &shown.Deliveries[i]
					if m.Erased || m.FoundBy == postgres.FoundByName {
						continue
					}
					stored, err := postgres.ReadDelivery(ctx, db, keys, m.Delivery)
					if err != nil {
						return err
					}
					m.Header, m.Erased = stored.Header, stored.Erased
					if utf8.Valid(stored.Body) {
						m.Body = string(stored.Body)
					} else {
						m.Base64 = stored.Body
					}
				}
				enc := json.NewEncoder(a.stdout)
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				return enc.Encode(shown)
			})
		},
	}
}
