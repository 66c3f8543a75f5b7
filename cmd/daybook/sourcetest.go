package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	neturl "net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

func sourceTest(a *app) *cobra.Command {
	var o captureOptions
	var send bool
	var url string
	cmd := &cobra.Command{
		Use:   "test NAME [FILE]",
		Short: "Show what a source makes of a sample, or send a signed one to a running server",
		Long: `With FILE, shows what the source makes of the captured delivery in it, by the
mappings of daybook.toml: its topic, what tells its repetition, and its facts; or
which field keeps it from being booked, with exit status 3. Nothing is sent or
recorded. FILE is read as by "daybook ingest"; "-" is standard input. A body without
its headers is not authentic, which is said and changes nothing else.

With --send, sends a delivery to a running server as the provider would, with each
secret of the source: that it is accepted shows that secret, address and server fit
together. It says nothing, so that nothing is ever booked for it: the log gets one
record, unrecognized, however often it is sent.`,
		Example: `  daybook source test acme-tahdah sample.json --header "Webhook-Verb: trustGroups.memberUpdated"
  daybook source test acme-thinkific captured.http --json
  daybook source test acme-thinkific --send
  daybook source test acme-credly --send --url https://hooks.example.org`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := a.sourceNamed(args[0])
			switch {
			case err != nil:
				return err
			case send == (len(args) == 2):
				return domain.Errorf(domain.Usage, "", "give a FILE to look at, or --send").WithHint("Run: daybook source test --help")
			case send:
				return a.sourceSend(cmd.Context(), source, url)
			}
			return a.sourceTry(source, o, args[1])
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&send, "send", false, "send a signed delivery that says nothing to a running server")
	cmd.Flags().StringVar(&url, "url", "", "with --send: where the server is (default: where serve would listen)")
	return cmd
}

// A tried is what a source makes of a delivery.
type tried struct {
	Signature string        `json:"signature"`
	Becomes   domain.Status `json:"becomes"` // if it is new
	Topic     string        `json:"topic"`
	Field     string        `json:"field,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	Key       string        `json:"key,omitempty"`
	Scopes    []string      `json:"scopes,omitempty"`
	Test      bool          `json:"test"`
	Flags     []string      `json:"flags,omitempty"`
	Facts     []triedFact   `json:"facts"`
}

// sourceTry shows what the source makes of the deliveries in a file.
func (a *app) sourceTry(s sourceConfig, o captureOptions, file string) error {
	if a.output == "csv" {
		return domain.Errorf(domain.Usage, "", "what a source makes of a sample is not a table").WithHint("Use --json.")
	}
	header, err := o.check()
	if err != nil {
		return err
	}
	source, err := a.translator(s.Name)
	if err != nil {
		return err
	}
	n, quarantined := 0, 0
	for c, err := range o.read(os.Stdin, header, []string{file}) {
		if err != nil {
			return fmt.Errorf("%s: %w", c.place(), err)
		}
		if n++; n > 1 && a.output == "table" {
			fmt.Fprintln(a.stdout)
		}
		t := try(source, c.Request)
		t.Signature = s.signature(c.Request)
		if t.Becomes == domain.Quarantined {
			quarantined++
		}
		if a.output != "table" {
			err = a.writeJSON(t)
		} else {
			err = t.write(a.stdout)
		}
		if err != nil {
			return err
		}
	}
	if quarantined > 0 {
		return domain.Errorf(domain.Differs, "source test", "%d of %d deliveries cannot be booked as they are", quarantined, n).
			WithHint("The field and the reason are above. If the provider has changed its form, change the mapping in daybook.toml.")
	}
	return nil
}

// A triedFact is a fact in its wire form.
type triedFact struct {
	OccurredAt *time.Time      `json:"occurred_at"` // null: when it is received
	Kind       domain.Kind     `json:"kind"`
	Data       json.RawMessage `json:"data"`
	Personal   json.RawMessage `json:"personal,omitempty"`
}

// try returns what the source makes of a request.
func try(source intake.Source, r domain.Request) tried {
	translation, err := intake.Translate(source, r)
	t := tried{
		Becomes: wouldBe(translation, err), Topic: translation.Topic, Reason: translation.Reason, Key: translation.Key,
		Scopes: translation.Scopes, Test: translation.Test, Flags: translation.Flags, Facts: []triedFact{},
	}
	for _, f := range translation.Facts {
		data, personal, invalid := domain.Encode(f.Event)
		if err = errors.Join(err, invalid); invalid != nil {
			continue
		}
		fact := triedFact{Kind: f.Event.Kind(), Data: data, Personal: personal}
		if !f.OccurredAt.IsZero() {
			fact.OccurredAt = &f.OccurredAt
		}
		t.Facts = append(t.Facts, fact)
	}
	if err != nil {
		t.Reason = err.Error()
		if field, ok := errors.AsType[*domain.FieldError](err); ok {
			t.Field, t.Reason = field.Field, field.Reason
		}
	}
	return t
}

// signature says whether the secrets of the source have signed r.
func (s sourceConfig) signature(r domain.Request) string {
	source, err := newSource(s)
	if err != nil {
		return "not looked at: " + err.Error()
	}
	how, err := source.Provider.Verify(r)
	if err != nil {
		return "not authentic: " + err.Error()
	}
	return how
}

// write writes t for a person to read.
func (t tried) write(w io.Writer) error {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	line("signature", t.Signature)
	line("becomes", string(t.Becomes))
	line("topic", t.Topic)
	line("reason", strings.TrimSpace(t.Field+" "+t.Reason))
	line("key", t.Key)
	for _, scope := range t.Scopes {
		line("scope", scope)
	}
	if t.Test {
		line("test", "yes: its provider marks it as a test")
	}
	line("flags", strings.Join(t.Flags, ", "))
	for _, f := range t.Facts {
		at := "when received"
		if f.OccurredAt != nil {
			at = f.OccurredAt.Format(time.RFC3339Nano)
		}
		line("fact", fmt.Sprintf("%s  %s", f.Kind, at))
		line("", string(f.Data))
		line("", string(f.Personal))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// sendTimeout is how long a server may take to answer a probe.
const sendTimeout = 10 * time.Second

// sourceSend sends the source's probe to a server, signed with each secret.
func (a *app) sourceSend(ctx context.Context, s sourceConfig, base string) error {
	secrets, err := resolveSecrets("source "+s.Name, s.Secrets)
	if err != nil {
		return err
	}
	if _, err := newSource(s); err != nil {
		return err
	}
	if base == "" {
		base = "http://" + a.address("")
	}
	// What is wrong with the address is said here, where it holds no secret yet.
	if u, err := neturl.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return domain.Errorf(domain.Usage, "source test", "%q is not the address of a server", base).
			WithHint("Write --url http://127.0.0.1:8080.")
	}
	answer := render.Answer{View: "source test", Columns: []projections.Column{
		{Name: "secret", Type: projections.TypeInteger},
		{Name: "http", Type: projections.TypeInteger},
		{Name: "status", Type: projections.TypeText},
		{Name: "delivery", Type: projections.TypeText},
		{Name: "milliseconds", Type: projections.TypeInteger},
		{Name: "says", Type: projections.TypeText},
	}}
	refused := 0
	for i, secret := range secrets {
		r := senders[s.Provider].probe(s)
		senders[s.Provider].sign(&r, secret)
		p, err := send(ctx, strings.TrimSuffix(base, "/")+s.webhookPath(r.Token), r)
		if err != nil {
			return err
		}
		if p.says != "" {
			refused++
		}
		answer.Rows = append(answer.Rows, []projections.Cell{
			number(int64(i + 1)), number(int64(p.code)), {Text: string(p.receipt.Status)}, {Text: p.delivery()}, number(p.took.Milliseconds()), {Text: p.says},
		})
	}
	if err := a.printWhole(answer); err != nil {
		return err
	}
	if refused > 0 {
		return domain.Errorf(domain.Differs, "source test", "the server refused %d of %d secrets", refused, len(secrets)).
			WithHint("Compare its configuration with this one, and restart it if a secret was changed.")
	}
	return nil
}

// A probed is what a server answered to a probe.
type probed struct {
	code    int
	receipt domain.Receipt // zero if there was none
	took    time.Duration
	says    string // why it is refused; "": it is not
}

func (p probed) delivery() string {
	if p.receipt.Delivery.IsZero() {
		return ""
	}
	return p.receipt.Delivery.String()
}

// send posts a request to a server. An error says that nobody answered.
func send(ctx context.Context, url string, r domain.Request) (p probed, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(r.Body))
	if err != nil {
		return p, domain.Errorf(domain.Usage, "source test", "%w", err)
	}
	request.Header = maps.Clone(http.Header(r.Header))
	request.Header.Set("User-Agent", "daybook source test")
	begun := time.Now()
	response, err := http.DefaultTransport.RoundTrip(request) // which follows nothing
	if err != nil {
		return p, domain.Errorf(domain.Unavailable, "source test", "%w", err).WithHint("Is daybook serve running there? Name another address with --url.")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, intake.DefaultMaxBytes))
	p.code, p.took = response.StatusCode, time.Since(begun)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return p, domain.Errorf(domain.Unavailable, "source test", "the answer is cut: %w", err)
	}
	switch {
	case !slices.Contains(successStatuses, p.code):
		p.says = strconv.Itoa(p.code) + " " + http.StatusText(p.code)
		var problem struct {
			Error struct{ Message, Hint string } `json:"error"`
		}
		if json.Unmarshal(body, &problem) == nil && problem.Error.Message != "" {
			p.says = problem.Error.Message
			if problem.Error.Hint != "" {
				p.says += " → " + problem.Error.Hint
			}
		}
	case p.code != http.StatusNoContent:
		if json.Unmarshal(body, &p.receipt) != nil || p.receipt.Status == "" {
			p.says = "the answer is no receipt: is it daybook?"
		}
	}
	return p, nil
}
