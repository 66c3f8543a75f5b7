package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// deliveryCommand is "daybook delivery": what arrived, byte for byte, and what
// could not be booked.
func deliveryCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delivery",
		Short: "List and show what arrived, and book what could not be understood",
		Long: `Every authentic delivery is in the log, byte for byte, whatever became of it:
accepted, unrecognized (nothing in it is kept), quarantined (it cannot be booked as
it is) or conflict (its id was there with other bytes). Those that are not booked
can be replayed after an upgrade or a change of a mapping in daybook.toml.`,
		Example: "  daybook delivery list --open\n  daybook delivery show 01KHV3Q0000000000000000001\n  daybook delivery replay --all",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(deliveryList(a), deliveryShow(a), deliveryReplay(a))
	return cmd
}

func deliveryList(a *app) *cobra.Command {
	var open bool
	var limit string
	cmd := &cobra.Command{
		Use:   "list [COLUMN=VALUE…]",
		Short: "List deliveries, the newest first, or those that wait for a person",
		Long: `Lists deliveries, the newest first. With --open it lists those in quarantine that
are not booked yet, with the reason. COLUMN=VALUE keeps only the rows with that
value; the columns are those of the view log/deliveries, with --open those of
log/quarantine. The table shows some of them, every other form all.`,
		Example: `  daybook delivery list
  daybook delivery list status=unrecognized source=acme-tahdah
  daybook delivery list --open --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, params := "log/deliveries", url.Values{"sort": {"-position"}, "limit": {limit}}
			columns, width := []string{"id", "status", "source", "topic", "received_at", "flags"}, a.width()
			if open {
				path = "log/quarantine"
				params.Set("status", "open")
				columns, width = []string{"delivery", "source", "topic", "field", "reason"}, 0
			}
			return a.viewRows(cmd.Context(), path, args, params, func(answer render.Answer) error {
				more := answer.Next != ""
				answer.Next = "" // there is no flag for it here
				err := a.printWithin(ofColumns(answer, columns), width)
				if more {
					a.warn("there are more: --limit 0 lists all, COLUMN=VALUE fewer")
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&open, "open", false, "only those that are in quarantine, conflicts among them, and not booked yet")
	cmd.Flags().StringVar(&limit, "limit", "100", "rows at most; 0 for all")
	return cmd
}

// ofColumns returns the answer with the named columns only, in that order.
func ofColumns(answer render.Answer, names []string) render.Answer {
	whole := answer
	answer.Columns, answer.Rows = nil, make([][]projections.Cell, len(whole.Rows))
	for _, name := range names {
		i := slices.IndexFunc(whole.Columns, func(c projections.Column) bool { return c.Name == name })
		if i < 0 {
			continue
		}
		answer.Columns = append(answer.Columns, whole.Columns[i])
		for n, row := range whole.Rows {
			answer.Rows[n] = append(answer.Rows[n], row[i])
		}
	}
	return answer
}

func deliveryShow(a *app) *cobra.Command {
	var body bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one delivery: its exact bytes, its headers and what became of it",
		Long: `Shows one delivery. A body that is not printable text is shown as a hex dump;
--body writes its exact bytes and nothing else, and --json has it in base64. What
--json prints can be played in again by "daybook ingest".`,
		Example: `  daybook delivery show 01KHV3Q0000000000000000001
  daybook delivery show 01KHV3Q0000000000000000001 --body | sha256sum
  daybook delivery show 01KHV3Q0000000000000000001 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseDeliveryIDs(args)
			if err != nil {
				return err
			}
			return a.withReader(cmd.Context(), func(db *sql.DB, keys *postgres.Keyring) error {
				d, err := postgres.ReadDelivery(cmd.Context(), db, keys, ids[0])
				switch {
				case err != nil:
					return err
				case body:
					_, err = a.stdout.Write(d.Body)
					return err
				case a.output == "table":
					return writeDelivery(a.stdout, d)
				case a.output == "csv":
					return domain.Errorf(domain.Usage, "", "a delivery is not a table").WithHint("Use --json, or --body for its exact bytes.")
				}
				return a.writeJSON(newShownDelivery(d))
			})
		},
	}
	cmd.Flags().BoolVar(&body, "body", false, "write the exact bytes of the body and nothing else")
	return cmd
}

// parseDeliveryIDs returns the ids that the arguments are.
func parseDeliveryIDs(args []string) ([]ulid.ULID, error) {
	ids := make([]ulid.ULID, len(args))
	for i, arg := range args {
		var err error
		if ids[i], err = ulid.ParseStrict(arg); err != nil {
			return nil, domain.Errorf(domain.Usage, "", "%.40q is not the id of a delivery", arg).
				WithHint("An id has 26 letters and digits; see: daybook delivery list")
		}
	}
	return ids, nil
}

// shownDelivery is a delivery as JSON.
type shownDelivery struct {
	ID         ulid.ULID              `json:"id"`
	Source     string                 `json:"source"`
	Topic      string                 `json:"topic"`
	Status     domain.Status          `json:"status"`
	Field      string                 `json:"field,omitempty"`
	Reason     string                 `json:"reason,omitempty"`
	ReceivedAt time.Time              `json:"received_at"`
	Verified   string                 `json:"verified"`
	Fetched    string                 `json:"fetched,omitempty"`
	Test       bool                   `json:"test"`
	Flags      []string               `json:"flags,omitempty"`
	Cause      *ulid.ULID             `json:"cause,omitempty"`
	Replay     bool                   `json:"replay"`
	ReplayedBy *ulid.ULID             `json:"replayed_by,omitempty"`
	Position   int64                  `json:"position"`
	Records    []domain.ReceiptRecord `json:"records"`
	Erased     bool                   `json:"erased,omitempty"`
	Header     map[string][]string    `json:"header"`
	SHA256     string                 `json:"sha256,omitempty"`
	Body       []byte                 `json:"body_base64"`
}

func newShownDelivery(d postgres.StoredDelivery) shownDelivery {
	some := func(id ulid.ULID) *ulid.ULID {
		if id.IsZero() {
			return nil
		}
		return &id
	}
	return shownDelivery{
		ID: d.ID, Source: d.Source, Topic: d.Topic, Status: d.Status, Field: d.Field, Reason: d.Reason,
		ReceivedAt: d.ReceivedAt, Verified: d.Verified, Fetched: d.Fetched, Test: d.Test, Flags: d.Flags,
		Cause: some(d.Cause), Replay: d.Replay, ReplayedBy: some(d.ReplayedBy), Position: d.Position, Records: d.Records,
		Erased: d.Erased, Header: d.Header, SHA256: bodySHA256(d), Body: d.Body,
	}
}

// bodySHA256 returns the hexadecimal SHA-256 of a body, "" if it was erased.
func bodySHA256(d postgres.StoredDelivery) string {
	if d.Erased {
		return ""
	}
	sum := sha256.Sum256(d.Body)
	return hex.EncodeToString(sum[:])
}

// writeDelivery writes a delivery for a person to read.
func writeDelivery(w io.Writer, d postgres.StoredDelivery) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	line("delivery", d.ID.String())
	line("source", d.Source)
	line("topic", printable(d.Topic))
	line("status", string(d.Status))
	line("reason", printable(strings.TrimSpace(d.Field+" "+d.Reason)))
	line("received", d.ReceivedAt.Format(time.RFC3339Nano))
	line("verified", d.Verified)
	line("fetched", printable(d.Fetched))
	if d.Test {
		line("test", "yes: its provider marks it as a test")
	}
	line("flags", printable(strings.Join(d.Flags, ", ")))
	switch {
	case d.Replay:
		line("replay of", d.Cause.String())
	case !d.Cause.IsZero():
		line("cause", d.Cause.String())
	}
	if !d.ReplayedBy.IsZero() {
		line("replayed by", d.ReplayedBy.String())
	}
	for _, r := range d.Records {
		line("record", fmt.Sprintf("%d  %s  %s", r.Position, r.ID, r.Kind))
	}
	line("sha256", bodySHA256(d))
	if err := t.Flush(); err != nil {
		return err
	}
	if d.Erased {
		fmt.Fprintf(&b, "\nheaders and body were erased\n")
		_, err := w.Write(b.Bytes())
		return err
	}
	fmt.Fprintf(&b, "\nheaders\n")
	for _, name := range sortedKeys(d.Header) {
		for _, v := range d.Header[name] {
			fmt.Fprintf(&b, "  %s: %s\n", printable(name), printable(v))
		}
	}
	fmt.Fprintf(&b, "\nbody, %d bytes\n", len(d.Body))
	if text := string(d.Body); isText(text) {
		b.WriteString(text)
		if !strings.HasSuffix(text, "\n") && text != "" {
			b.WriteByte('\n')
		}
	} else {
		b.WriteString(hex.Dump(d.Body))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// isText reports whether s can be shown on a terminal as it is.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && !slices.Contains([]rune{'\n', '\r', '\t'}, r)
	})
}

// printable returns s without what a terminal would take for a command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
