package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/keyfile"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// decisionFlags are what an operator says of a decision about a person.
type decisionFlags struct {
	basis, by string
	dryRun    bool
	namesakes string // what becomes of deliveries that have the name alone; "": not said
}

// What can become of deliveries that have a person's name and nothing else of them:
// a name may be any word that is in every delivery.
const (
	namesakesErased = "erase"
	namesakesKept   = "keep"
)

func (f *decisionFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.basis, "basis", "", "legal basis and the reference of the request; do not name the person")
	cmd.Flags().StringVar(&f.by, "by", "", "who decides it (default: who is logged in)")
}

// check refuses a decision that says too little, or names the person it is about:
// it is kept for ever.
func (f *decisionFlags) check(d *postgres.Dossier) error {
	f.by = cmp.Or(f.by, operator())
	byEmail, byName := d.Search().Text(f.basis)
	switch {
	case f.basis == "":
		return domain.Errorf(domain.Usage, "privacy", "--basis is missing").WithHint(`Say why, such as --basis "GDPR Art. 17(1)(b), request R-17".`)
	case f.by == "":
		return domain.Errorf(domain.Usage, "privacy", "--by is missing, and the system does not say who you are").WithHint("Give --by NAME.")
	case byEmail || byName || strings.Contains(f.basis, "@"):
		return domain.Errorf(domain.Usage, "privacy", "--basis names a person, and is kept for ever").
			WithHint("Give the reference of their request instead.")
	}
	return nil
}

func privacyErase(a *app) *cobra.Command {
	var f decisionFlags
	cmd := &cobra.Command{
		Use:   "erase PERSON",
		Short: "Erase what is held of a person, for ever",
		Long: `Destroys the keys that open what is held of a person: those of their texts, and
those of every delivery that mentions them, found as by "privacy show". From then on
views show [erased] in their place. Records, ids, amounts, roots and proofs stay as
they are. With --dry-run nothing is changed, and it is shown what would be.

Deliveries that have the person's name and nothing else of them may be about somebody
else. If there are any, --namesakes says what becomes of them; it is refused without.

The erasure is noted in the directory of keys before anything else, so that a crash
or a restored backup cannot undo it. It is final once the key-encryption key is
replaced as well: until then somebody with an old copy of the database and the
present directory of keys could open it. See: daybook privacy rotate`,
		Example: `  daybook privacy erase acme-thinkific/user/789310 --basis "GDPR Art. 17(1)(b), request R-17" --by dpo --dry-run
  daybook privacy erase amina.yusuf@example.com --basis "GDPR Art. 17(1)(b), request R-17" --by dpo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.namesakes != "" && f.namesakes != namesakesErased && f.namesakes != namesakesKept {
				return domain.Errorf(domain.Usage, "erase", "--namesakes %q is neither erase nor keep", f.namesakes)
			}
			inquiry, err := parsePerson(args[0])
			if err != nil {
				return err
			}
			return a.withLog(cmd.Context(), func(l *openLog) error { return a.erase(cmd.Context(), l, inquiry, f) })
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be erased and change nothing")
	cmd.Flags().StringVar(&f.namesakes, "namesakes", "", "what becomes of deliveries that have the name alone: erase or keep")
	return cmd
}

// An erasedResult is what "daybook privacy erase" answers.
type erasedResult struct {
	Erasure    string          `json:"erasure,omitempty"` // "" if nothing was changed
	Identities []string        `json:"identities"`
	Others     []string        `json:"others,omitempty"`
	Texts      int             `json:"texts"`
	Keys       int             `json:"keys"`       // destroyed, those of deliveries among them
	Deliveries int             `json:"deliveries"` // whose bytes cannot be opened any more
	ByName     int             `json:"by_name"`    // of these, found by the name alone
	Epoch      int64           `json:"epoch,omitempty"`
	Receipt    *domain.Receipt `json:"receipt,omitempty"`
}

func (a *app) erase(ctx context.Context, l *openLog, inquiry postgres.Inquiry, f decisionFlags) error {
	d, err := a.runInquiry(ctx, inquiry, l.db, l.keys)
	if err != nil {
		return err
	}
	if err := f.check(d); err != nil {
		return err
	}
	switch n := d.Namesakes(); {
	case f.namesakes == namesakesKept:
		d.LeaveNamesakes()
	case n > 0 && f.namesakes == "" && !f.dryRun:
		return domain.Errorf(domain.Usage, "erase", "%d deliveries have the name alone, and may be about somebody else", n).
			WithHint("Look at them: daybook privacy show. Then give --namesakes erase or --namesakes keep.")
	}
	e, result := erasureOf(d, f)
	for _, fact := range erasureFacts(e) {
		// What is noted must be possible to record.
		if err := fact.Event.Validate(); err != nil {
			return domain.Errorf(domain.Usage, "erase", "%w", err).WithHint("Run: daybook privacy erase --help")
		}
	}
	if len(e.Keys) > 0 && !f.dryRun {
		if err := l.database.files.Note(e); err != nil {
			return err
		}
		receipt, err := l.complete(ctx, e)
		if err != nil {
			return err
		}
		result.Erasure, result.Receipt = e.ID, &receipt
	}
	if a.output != "table" {
		if err := a.writeJSON(result); err != nil {
			return err
		}
	} else {
		result.write(a)
	}
	switch {
	case len(e.Keys) == 0:
		a.warn("nothing of it can be opened any more: there is nothing left to erase")
	case f.dryRun:
		a.warn("nothing was changed")
	default:
		a.warn("erased; final after: daybook privacy rotate")
	}
	return nil
}

// erasureOf returns the erasure of what is in a dossier.
func erasureOf(d *postgres.Dossier, f decisionFlags) (keyfile.Erasure, erasedResult) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	e := keyfile.Erasure{
		At: now, ID: ulid.MustNewDefault(now).String(), Identities: append([]domain.Identity{}, d.Identities...), Keys: []string{}, Basis: f.basis, By: f.by,
	}
	for _, k := range d.Keys {
		e.Keys = append(e.Keys, k.ID)
		e.Epoch = max(e.Epoch, int64(k.Epoch))
		if k.Subject == "" {
			e.Deliveries++
		}
	}
	result := erasedResult{
		Identities: identityTexts(d.Identities), Others: identityTexts(d.Others), Texts: len(d.Texts), Keys: len(e.Keys), Deliveries: int(e.Deliveries), Epoch: e.Epoch,
	}
	result.ByName = d.Namesakes()
	return e, result
}

func (r erasedResult) write(a *app) {
	fmt.Fprintf(a.stdout, "person      %s\n", cmp.Or(printable(strings.Join(r.Identities, ", ")), "known by no id"))
	if len(r.Others) > 0 {
		fmt.Fprintf(a.stdout, "not theirs  %s (the same e-mail address; erase them by themselves)\n", printable(strings.Join(r.Others, ", ")))
	}
	fmt.Fprintf(a.stdout, "texts       %d\n", r.Texts)
	fmt.Fprintf(a.stdout, "deliveries  %d", r.Deliveries)
	if r.ByName > 0 {
		fmt.Fprintf(a.stdout, ", of which %d are found by the name alone", r.ByName)
	}
	fmt.Fprintf(a.stdout, "\nkeys        %d\n", r.Keys)
	if r.Erasure != "" {
		fmt.Fprintf(a.stdout, "erasure     %s\n", r.Erasure)
	}
}

// An openLog is a log that can be appended to, and the keys of its book.
type openLog struct {
	database *database
	appender *postgres.Appender
	db       *sql.DB // to read
	keys     *postgres.Keyring
}

// complete does what an erasure that is noted says: it is recorded, and then its
// keys are destroyed. Doing it again changes nothing.
func (l *openLog) complete(ctx context.Context, e keyfile.Erasure) (receipt domain.Receipt, err error) {
	if receipt, err = recordErasure(ctx, l.appender, e); err != nil {
		return receipt, domain.Errorf(domain.CodeOf(err), "erase", "it is noted and not recorded yet: %w", err).
			WithHint("It is completed at the next start of any daybook command that writes.")
	}
	return receipt, l.database.destroy(ctx, e.Keys)
}

// destroy destroys keys.
func (d *database) destroy(ctx context.Context, keys []string) (err error) {
	owner, err := d.open(ctx, postgres.RoleOwner, 1)
	if err != nil {
		return err
	}
	_, err = postgres.DestroyKeys(ctx, owner, keys)
	if closed := owner.Close(); err == nil {
		err = closed
	}
	return err
}

// recordErasure appends the records of an erasure, once.
func recordErasure(ctx context.Context, log *postgres.Appender, e keyfile.Erasure) (domain.Receipt, error) {
	id, err := ulid.ParseStrict(e.ID)
	if err != nil {
		return domain.Receipt{}, domain.Errorf(domain.Differs, "erase", "the erasure noted at %s has no id", e.At)
	}
	body, err := domain.Marshal(e)
	if err != nil {
		return domain.Receipt{}, err
	}
	d := domain.Delivery{
		ID: id, Source: domain.SourceLog, ReceivedAt: e.At, Verified: "operator", Header: map[string][]string{"Content-Type": {"application/json"}}, Body: body,
		Translation: domain.Translation{Topic: "privacy.erased", Key: "privacy/" + e.ID},
	}
	d.Facts = erasureFacts(e)
	return log.Append(ctx, d)
}

// erasureFacts returns what is recorded of an erasure.
func erasureFacts(e keyfile.Erasure) (facts []domain.Fact) {
	first := len(e.Keys) - int(e.Deliveries) // where keys of deliveries begin
	for i := 0; i < len(e.Keys); i += domain.MaxErasedKeys {
		end := min(i+domain.MaxErasedKeys, len(e.Keys))
		facts = append(facts, domain.Fact{OccurredAt: e.At, Event: domain.PrivacyErased{
			Erasure: e.ID, Identities: e.Identities, Keys: e.Keys[i:end], Deliveries: int64(max(end-max(i, first), 0)), Epoch: e.Epoch, Basis: e.Basis, By: e.By,
		}})
	}
	return facts
}

// destroyErased destroys again what was erased once: a backup that was restored may
// have brought its keys back, or a crash have kept them.
func (d *database) destroyErased(ctx context.Context, owner *sql.DB) error {
	noted, err := d.files.Erasures()
	if err != nil {
		return err
	}
	recorded, err := postgres.ErasedRecords(ctx, owner)
	if err != nil {
		return err
	}
	var keys []string
	for _, e := range noted {
		keys = append(keys, e.Keys...)
	}
	for _, e := range recorded {
		keys = append(keys, e.Keys...)
	}
	slices.Sort(keys)
	_, err = postgres.DestroyKeys(ctx, owner, slices.Compact(keys))
	return err
}

// recordErased records the erasures that are noted and not in the log: those of a
// restored backup, and one that a crash interrupted.
func (l *openLog) recordErased(ctx context.Context, logger *slog.Logger) error {
	noted, err := l.database.files.Erasures()
	if err != nil || len(noted) == 0 {
		return err
	}
	recorded, err := postgres.ErasedRecords(ctx, l.db)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, e := range recorded {
		known[e.Erasure] = true
	}
	for _, e := range noted {
		if known[e.ID] {
			continue
		}
		receipt, err := recordErasure(ctx, l.appender, e)
		if err != nil {
			return err
		}
		logger.LogAttrs(ctx, slog.LevelWarn, "an erasure that was missing in the log is recorded again", slog.String("erasure", e.ID), slog.String("delivery", receipt.Delivery.String()))
	}
	return nil
}

func privacyKeep(a *app) *cobra.Command {
	var f decisionFlags
	cmd := &cobra.Command{
		Use:   "keep PERSON",
		Short: "Record why what is held of a person is kept",
		Long: `Records that what is held of a person is kept, and why that may be: the other answer
to a request for erasure, and to a provider who says that a person was deleted. The
view directory/erasures shows who waits for a decision.`,
		Example: `  daybook privacy keep acme-thinkific/user/789310 --basis "GDPR Art. 17(3)(b), invoices are kept for ten years" --by dpo`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			inquiry, err := parsePerson(args[0])
			if err != nil {
				return err
			}
			return a.withLog(ctx, func(l *openLog) error {
				d, err := a.runInquiry(ctx, inquiry, l.db, l.keys)
				if err == nil {
					err = f.check(d)
				}
				if err != nil {
					return err
				}
				receipt, err := recordKept(ctx, l.appender, domain.PrivacyKept{Identities: d.Identities, Basis: f.basis, By: f.by})
				if err != nil {
					return err
				}
				return a.writeReceipt(receipt)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func recordKept(ctx context.Context, log *postgres.Appender, e domain.PrivacyKept) (domain.Receipt, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	body, _, err := domain.Encode(e)
	if err != nil {
		return domain.Receipt{}, domain.Errorf(domain.Usage, "privacy", "%w", err).WithHint("Only somebody with an id can be decided about.")
	}
	id := ulid.MustNewDefault(now)
	return log.Append(ctx, domain.Delivery{
		ID: id, Source: domain.SourceLog, ReceivedAt: now, Verified: "operator", Header: map[string][]string{"Content-Type": {"application/json"}}, Body: body,
		Translation: domain.Translation{Topic: "privacy.kept", Key: "privacy/" + id.String(), Facts: []domain.Fact{{OccurredAt: now, Event: e}}},
	})
}
