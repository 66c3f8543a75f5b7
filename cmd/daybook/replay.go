package main

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// What a replay makes of a delivery, beside a [domain.Status].
const (
	replayRefused = "refused"
	replayNoFacts = "unrecognized"
)

// A replay is one run of "daybook delivery replay".
type replay struct {
	app      *app
	log      *postgres.Appender
	db       *sql.DB
	keys     *postgres.Keyring
	sources  map[string]intake.Source
	yes      bool // append; otherwise say what would be
	insist   bool
	rows     [][]projections.Cell
	told     [][]projections.Cell // rows, without what says nothing that is kept, as ever
	statuses map[string]int
}

// replayColumns are what is said of each delivery that is replayed.
var replayColumns = []projections.Column{
	{Name: "delivery", Type: projections.TypeText},
	{Name: "position", Type: projections.TypeInteger},
	{Name: "source", Type: projections.TypeText},
	{Name: "topic", Type: projections.TypeText},
	{Name: "was", Type: projections.TypeText},
	{Name: "becomes", Type: projections.TypeText},
	{Name: "facts", Type: projections.TypeText},
	{Name: "reason", Type: projections.TypeText},
	{Name: "booked", Type: projections.TypeInteger, Optional: true},
}

func deliveryReplay(a *app) *cobra.Command {
	var all, yes, insist bool
	var source string
	cmd := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Translate deliveries that are not booked again, and book what can be",
		Long: `Translates deliveries that are not booked again, by this version and the mappings
of daybook.toml, and shows what would become of them. With --yes, what can be
booked is: as a new delivery that names the old one as its cause. Nothing is
fetched, and replaying again changes nothing. With --all the table leaves out what
still has nothing in it that is kept.

A delivery is refused if another one with its key is booked (--insist books it all
the same: both are facts then), or if it reports a level and a later one of the
same thing is booked.`,
		Example: `  daybook delivery replay --all
  daybook delivery replay --all --source acme-tahdah --yes
  daybook delivery replay 01KHV3Q0000000000000000001 --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return domain.Errorf(domain.Usage, "", "name deliveries, or give --all").WithHint("Run: daybook delivery replay --help")
			}
			if source != "" {
				if !all {
					return domain.Errorf(domain.Usage, "", "--source goes with --all").WithHint("Leave it out: an id names one delivery.")
				}
				if _, err := a.translator(source); err != nil {
					return err
				}
			}
			ids, err := parseDeliveryIDs(args)
			if err != nil {
				return err
			}
			return a.withAppender(cmd.Context(), func(log *postgres.Appender, db *sql.DB, keys *postgres.Keyring) error {
				r := &replay{app: a, log: log, db: db, keys: keys, sources: make(map[string]intake.Source), yes: yes, insist: insist, statuses: make(map[string]int)}
				list := postgres.OpenDeliveries(cmd.Context(), db, source, nil)
				if !all {
					list = each(ids)
				}
				return r.run(cmd.Context(), list, !all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that are not booked, oldest first")
	cmd.Flags().StringVar(&source, "source", "", "with --all: only those of this source")
	cmd.Flags().BoolVar(&yes, "yes", false, "book them; otherwise it is only shown what would be booked")
	cmd.Flags().BoolVar(&insist, "insist", false, "book also what has the key of another delivery that is booked")
	return cmd
}

// each yields the ids.
func each(ids []ulid.ULID) iter.Seq2[ulid.ULID, error] {
	return func(yield func(ulid.ULID, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// run replays the deliveries one by one and prints what became of each. If they
// were named, each has to be booked in the end.
func (r *replay) run(ctx context.Context, list iter.Seq2[ulid.ULID, error], named bool) error {
	for id, err := range list {
		if err == nil {
			err = r.one(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	shown := r.rows
	if !named && r.app.output == "table" {
		shown = r.told
	}
	if err := r.app.printWhole(render.Answer{View: "replay", Columns: replayColumns, Rows: shown}); err != nil {
		return err
	}
	if hidden := len(r.rows) - len(shown); hidden > 0 {
		r.app.warn("not shown: %d with nothing in them that is kept; --json has them", hidden)
	}
	open := len(r.rows) - r.statuses[string(domain.Accepted)] - r.statuses[string(domain.Duplicate)]
	switch can := r.statuses[string(domain.Accepted)]; {
	case r.yes:
		r.app.warn("%d of %d deliveries booked", can, len(r.rows))
	case can > 0:
		r.app.warn("%d of %d deliveries can be booked; nothing was changed: run it again with --yes", can, len(r.rows))
	default:
		r.app.warn("none of %d deliveries can be booked", len(r.rows))
	}
	if named && open > 0 {
		return domain.Errorf(domain.Differs, "replay", "%d of %d deliveries cannot be booked", open, len(r.rows)).
			WithHint("The column reason says why.")
	}
	return nil
}

// one replays a delivery, or says what would become of it.
func (r *replay) one(ctx context.Context, id ulid.ULID) error {
	stored, err := postgres.ReadDelivery(ctx, r.db, r.keys, id)
	if err != nil {
		return err
	}
	d, becomes, reason, err := r.translate(stored)
	if err != nil {
		return err
	}
	var receipt domain.Receipt
	if becomes == "" {
		var status domain.Status
		if r.yes {
			receipt, err = r.log.Append(ctx, d)
			status = receipt.Status
		} else {
			status, err = postgres.CheckReplay(ctx, r.db, r.keys, d)
		}
		switch becomes = string(status); domain.CodeOf(err) {
		case "":
		case domain.Refused:
			becomes, reason = replayRefused, strings.TrimSpace(err.Error()+". "+domain.HintOf(err))
		case domain.Invalid:
			becomes, reason = string(domain.Quarantined), err.Error()
		default:
			return err
		}
	}
	r.add(stored, d, becomes, reason, receipt)
	return nil
}

// translate returns the replay of a delivery. If it cannot be booked, becomes and
// reason say what it remains and why.
func (r *replay) translate(stored postgres.StoredDelivery) (d domain.Delivery, becomes, reason string, err error) {
	if stored.Erased {
		return d, replayRefused, "its bytes were erased", nil
	}
	source, ok := r.sources[stored.Source]
	if !ok {
		source, err = r.app.translator(stored.Source)
		switch {
		case domain.CodeOf(err) == domain.NotFound:
			// The others can be translated all the same.
			return d, replayRefused, err.Error() + ". " + domain.HintOf(err), nil
		case err != nil:
			return d, "", "", err
		}
		r.sources[stored.Source] = source
	}
	d = domain.Delivery{
		ID: ulid.Make(), Source: stored.Source, ReceivedAt: stored.ReceivedAt, Verified: "replay", Header: stored.Header, Body: stored.Body,
		Cause: stored.ID, Fetched: stored.Fetched, Replay: true, Insist: r.insist,
	}
	var refused error
	d.Translation, refused = intake.Translate(source, domain.Request{
		Header: stored.Header, Body: stored.Body, ReceivedAt: stored.ReceivedAt, Fetched: stored.Fetched,
	})
	switch {
	case refused != nil:
		return d, string(domain.Quarantined), refused.Error(), nil
	case len(d.Facts) == 0:
		return d, replayNoFacts, d.Reason, nil
	}
	return d, "", "", nil
}

// add notes what became of a delivery.
func (r *replay) add(stored postgres.StoredDelivery, d domain.Delivery, becomes, reason string, receipt domain.Receipt) {
	r.statuses[becomes]++
	var kinds []string
	for _, f := range d.Facts {
		kinds = append(kinds, string(f.Event.Kind()))
	}
	booked := projections.Cell{Null: true}
	if len(receipt.Records) > 0 {
		booked = projections.Cell{Text: strconv.FormatInt(receipt.Records[0].Position, 10)}
	}
	topic := d.Topic
	if topic == "" {
		topic = stored.Topic
	}
	row := []projections.Cell{
		{Text: stored.ID.String()},
		{Text: fmt.Sprint(stored.Position)},
		{Text: stored.Source},
		{Text: topic},
		{Text: string(stored.Status)},
		{Text: becomes},
		{Text: strings.Join(kinds, " ")},
		{Text: reason},
		booked,
	}
	r.rows = append(r.rows, row)
	if becomes != replayNoFacts || becomes != string(stored.Status) {
		r.told = append(r.told, row)
	}
}
