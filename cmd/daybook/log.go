package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections/render"
)

// logCommand is "daybook log": the records, one by one or as they come, and
// whether they are those that were appended.
func logCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "List, show, follow and verify the records of the log",
		Long: `The log is every fact in the order in which it was recorded, and the only truth:
everything else is derived from it. Every record commits to its delivery, and every
root to all records up to it.`,
		Example: "  daybook log list kind=credits.reported.v1\n  daybook log show 7\n  daybook log tail --follow\n  daybook log verify",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(logList(a), logShow(a), logTail(a), logVerify(a), logFork(a))
	return cmd
}

// recordColumns are what a table shows of a record.
var recordColumns = []string{"position", "recorded_at", "kind", "source", "id"}

func logList(a *app) *cobra.Command {
	var limit string
	cmd := &cobra.Command{
		Use:   "list [COLUMN=VALUE…]",
		Short: "List records, the newest first",
		Long: `Lists records, the newest first. COLUMN=VALUE keeps only those with that value; the
columns are those of the view log/records. The table shows some of them, every other
form all.`,
		Example: "  daybook log list\n  daybook log list source=acme-tahdah kind=credits.reported.v1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			params := url.Values{"sort": {"-position"}, "limit": {limit}}
			return a.viewRows(cmd.Context(), "log/records", args, params, func(answer render.Answer) error {
				more := answer.Next != ""
				answer.Next = "" // there is no flag for it here
				err := a.print(ofColumns(answer, recordColumns))
				if more {
					a.warn("there are more: --limit 0 lists all, COLUMN=VALUE fewer")
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&limit, "limit", "100", "rows at most; 0 for all")
	return cmd
}

func logShow(a *app) *cobra.Command {
	var exact bool
	cmd := &cobra.Command{
		Use:   "show POSITION|ID",
		Short: "Show one record: its bytes, its leaf, its delivery, its cause and its effects",
		Long: `Shows the record at a position, or the one with an id; the id of a delivery stands
for its first record. --bytes writes the exact record bytes and nothing else: with a
byte 0x00 before them their SHA-256 is the leaf.`,
		Example: `  daybook log show 7
  daybook log show 01KHV3Q0000000000000000000 --json
  daybook log show 7 --bytes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withReader(ctx, func(db *sql.DB, keys *postgres.Keyring) error {
				position, err := locate(ctx, db, args[0])
				if err != nil {
					return err
				}
				t, err := postgres.ReadTrace(ctx, db, position)
				if err != nil {
					return err
				}
				if exact {
					_, err := a.stdout.Write(t.AppendBytes(nil))
					return err
				}
				shown, err := newShownRecord(ctx, t, keys)
				switch {
				case err != nil:
					return err
				case a.output == "table":
					return shown.write(a.stdout)
				case a.output == "csv":
					return domain.Errorf(domain.Usage, "", "a record is not a table").WithHint("Use --json, or --bytes for its exact bytes.")
				}
				return a.writeJSON(shown)
			})
		},
	}
	cmd.Flags().BoolVar(&exact, "bytes", false, "write the exact record bytes and nothing else")
	return cmd
}

// locate returns the position that an argument names.
func locate(ctx context.Context, db *sql.DB, arg string) (int64, error) {
	if position, err := strconv.ParseInt(arg, 10, 64); err == nil {
		return position, nil
	}
	id, err := ulid.ParseStrict(arg)
	if err != nil {
		return 0, domain.Errorf(domain.Usage, "", "%.40q is neither a position nor an id", arg).WithHint("See: daybook log list")
	}
	first, _, err := postgres.Located(ctx, db, id)
	return first, err
}

// shownRecord is a record as JSON.
type shownRecord struct {
	Position   int64             `json:"position"`
	ID         ulid.ULID         `json:"id"`
	Kind       domain.Kind       `json:"kind"`
	Source     string            `json:"source"`
	OccurredAt time.Time         `json:"occurred_at"`
	RecordedAt time.Time         `json:"recorded_at"`
	Delivery   ulid.ULID         `json:"delivery"`
	Topic      string            `json:"topic"`
	Status     domain.Status     `json:"status"`
	Cause      ulid.ULID         `json:"cause,omitzero"`
	CausedBy   []int64           `json:"caused_by"` // positions
	Effects    []int64           `json:"effects"`   // positions
	Test       bool              `json:"test"`
	Data       json.RawMessage   `json:"data"`
	Personal   map[string]string `json:"personal,omitempty"` // by the path of its field, opened
	Leaf       string            `json:"leaf"`
	Root       string            `json:"root"`
	Bytes      []byte            `json:"bytes_base64"`
}

func newShownRecord(ctx context.Context, t postgres.Trace, keys *postgres.Keyring) (shownRecord, error) {
	s := shownRecord{
		Position: t.Position, ID: t.ID, Kind: t.Kind, Source: t.Source, OccurredAt: t.OccurredAt, RecordedAt: t.RecordedAt,
		Delivery: t.Delivery, Topic: t.Envelope.Topic, Status: t.Envelope.Status, Cause: t.Cause,
		CausedBy: append([]int64{}, t.CausedBy...), Effects: append([]int64{}, t.Effects...),
		Test: t.Test, Data: t.Data, Bytes: t.AppendBytes(nil),
		Leaf: base64.StdEncoding.EncodeToString(t.Leaf[:]), Root: base64.StdEncoding.EncodeToString(t.Root[:]),
	}
	if len(t.Personal) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(t.Personal, &s.Personal); err != nil {
		return s, domain.Errorf(domain.Differs, "read record", "the personal part of %d: %w", t.Position, err).WithHint("Run: daybook log verify")
	}
	paths := sortedKeys(s.Personal)
	texts := make([]string, len(paths))
	for i, path := range paths {
		texts[i] = s.Personal[path]
	}
	opened, err := keys.Open(ctx, texts)
	if err != nil {
		return s, err
	}
	for i, path := range paths {
		s.Personal[path] = opened[i]
	}
	return s, nil
}

// write writes a record for a person to read.
func (s shownRecord) write(w io.Writer) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	line("record", "%d  %s", s.Position, s.ID)
	line("kind", "%s", s.Kind)
	line("delivery", "%s  %s, %s", s.Delivery, printable(s.Topic), s.Status)
	if !s.Cause.IsZero() {
		line("cause", "%s  %s", s.Cause, positions(s.CausedBy, "not in this log"))
	}
	line("effects", "%s", positions(s.Effects, "none"))
	for _, path := range sortedKeys(s.Personal) {
		line("personal", "%s = %s", path, printable(s.Personal[path]))
	}
	line("leaf", "%s", s.Leaf)
	line("root", "%s", s.Root)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nrecord bytes, %d\n%s", len(s.Bytes), printableLines(string(s.Bytes)))
	_, err := w.Write(b.Bytes())
	return err
}

// positions lists positions of records.
func positions(list []int64, none string) string {
	if len(list) == 0 {
		return none
	}
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = strconv.FormatInt(p, 10)
	}
	return "record " + strings.Join(words, ", ")
}

// printableLines is printable line by line.
func printableLines(s string) string {
	lines := strings.SplitAfter(s, "\n")
	for i, l := range lines {
		if text, ok := strings.CutSuffix(l, "\n"); ok {
			lines[i] = printable(text) + "\n"
		} else {
			lines[i] = printable(l)
		}
	}
	return strings.Join(lines, "")
}

func logTail(a *app) *cobra.Command {
	var follow bool
	var last int64
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last records, and go on as they come",
		Long: `Shows the last records, the oldest first, a line each; --json has them as they are
in the view log/records, one object a line. With --follow it goes on until it is
interrupted, and leaves no record out.`,
		Example: "  daybook log tail\n  daybook log tail --follow --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if last < 0 {
				return domain.Errorf(domain.Usage, "", "--last is negative").WithHint("Use --last 0 to begin with the next record.")
			}
			return a.logTail(cmd.Context(), last, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as records come, until interrupted")
	cmd.Flags().Int64VarP(&last, "last", "n", 10, "how many records to begin with")
	return cmd
}
