package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/adapters/fetch"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/tahdah"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// Topics of what an operator records, and of what came of it.
const (
	topicGranted   = "credits.granted"
	topicRequested = "credits.grant-requested"
	topicAnswered  = "credits.grant-answered"
)

// Limits of a call that grants credits.
const (
	grantTimeout    = 30 * time.Second
	grantMaxBytes   = 64 << 10    // of the answer
	outcomePatience = time.Minute // for recording what came of it
)

// A granter makes one grant under its reference: once for ever, whatever is
// repeated, interrupted or lost.
//
// In the log a grant has these keys, all with its reference:
//
//	grant/REFERENCE           it is about to be asked for; the body is what is sent
//	grant/REFERENCE/again/ID  it is about to be asked for again
//	grant/REFERENCE/answer/ID a call ended without the grant; the body is the answer
//	grant/REFERENCE/granted   it is made; the body is the answer, or the fact
//
// No call is made that is not recorded before, and only the last one books credits,
// so there is one key for what may count but once.
type granter struct {
	app    *app
	log    intake.Appender
	db     *sql.DB
	keys   *postgres.Keyring
	source sourceConfig
	grant  domain.CreditsGranted
	yes    bool // send without asking

	// ask calls Tahdah; nil: the grant is recorded and not sent.
	ask func(context.Context, domain.Query) (fetch.Answer, error)
	api string
}

// configure prepares for sending.
func (g *granter) configure() error {
	op := "source " + g.source.Name
	if _, err := g.request().Body(g.source.OperationsMember); err != nil {
		return err
	}
	if g.source.APIToken == "" {
		return domain.Errorf(domain.Refused, op, "it has no api_token, which Tahdah wants").
			WithHint(`Set api_token = "env:NAME" for this source.`)
	}
	token, err := resolveSecret(op, g.source.APIToken)
	if err != nil {
		return err
	}
	g.api = strings.TrimRight(cmp.Or(g.source.APIURL, tahdah.DefaultAPI), "/")
	client, err := fetch.New(fetch.Config{
		BaseURL: g.api, Auth: fetch.Bearer(token), MaxBytes: grantMaxBytes, Timeout: grantTimeout, AnyBody: true,
	})
	if err != nil {
		return err
	}
	g.ask = func(ctx context.Context, q domain.Query) (fetch.Answer, error) {
		answer, err := client.Try(ctx, q)
		return withoutSecret(answer, token), err
	}
	return nil
}

// withoutSecret returns an answer that does not repeat a secret: it is recorded
// and shown, and some servers tell what they were sent.
func withoutSecret(a fetch.Answer, secret string) fetch.Answer {
	const notKept = "(not kept)"
	a.Body = bytes.ReplaceAll(a.Body, []byte(secret), []byte(notKept))
	a.Header = a.Header.Clone()
	for _, values := range a.Header {
		for i := range values {
			values[i] = strings.ReplaceAll(values[i], secret, notKept)
		}
	}
	return a
}

// request returns the grant as Tahdah is asked for it.
func (g *granter) request() tahdah.Grant {
	return tahdah.Grant{
		Key: tahdah.GrantKey(g.source.Name, g.grant.Reference), Holder: g.grant.Holder,
		Order: g.grant.Order, Template: g.grant.Template, Quantity: g.grant.Quantity,
	}
}

// key returns the deduplication key of a part of the grant.
func (g *granter) key(parts ...string) string {
	return payload.Key(append([]string{"grant", g.grant.Reference}, parts...)...)
}

// A grantMade says what became of a grant.
type grantMade struct {
	outcome string // tahdah.Granted, or one of domain's
	reason  string // why it is not granted
	said    string // what Tahdah said to that
	receipt domain.Receipt
}

// run makes the grant, or finds that it is made.
func (g *granter) run(ctx context.Context) (grantMade, error) {
	made, err := g.find(ctx, "granted")
	if err != nil {
		return grantMade{}, err
	}
	asked, err := g.find(ctx)
	switch {
	case err != nil:
		return grantMade{}, err
	case made != nil && asked == nil && g.ask != nil:
		return grantMade{}, domain.Errorf(domain.Refused, "grant", "the reference %q is booked as granted, recorded without --send", g.grant.Reference).
			WithHint("If Tahdah has not got the credits yet, grant them there by hand: sending now would book them twice.")
	case made != nil:
		return grantMade{outcome: tahdah.Granted, receipt: duplicate(made)}, nil
	case g.ask != nil:
		return g.send(ctx, asked)
	case asked != nil:
		return grantMade{}, domain.Errorf(domain.Refused, "grant", "Tahdah was asked for the grant %q, and has not confirmed it", g.grant.Reference).
			WithHint("See what is known: daybook view credits/grants reference=" + g.grant.Reference + " · Add --send to ask again.")
	}
	return g.book(ctx, nil, fetch.Answer{})
}

// find returns the delivery that recorded a part of this grant, nil if there is
// none. If it is of another grant, the reference is taken. Who grants it is not
// part of what a grant is.
func (g *granter) find(ctx context.Context, parts ...string) (*postgres.StoredDelivery, error) {
	d, first, ok, err := postgres.BookedDelivery(ctx, g.db, g.keys, g.source.Name, g.key(parts...))
	if err != nil || !ok {
		return nil, err
	}
	var was domain.CreditsGranted
	switch e := first.Event.(type) {
	case domain.CreditsGranted:
		was = e
	case domain.CreditsGrantRequested:
		was = e.CreditsGranted
	default:
		return nil, g.taken(d.ID, "something else")
	}
	if was.Reason, err = g.reasonOf(ctx, was); err != nil {
		return nil, err
	}
	if differs := difference(was, g.grant); differs != "" {
		return nil, g.taken(d.ID, differs)
	}
	return &d, nil
}

// taken is the error that the reference stands for another grant.
func (g *granter) taken(by ulid.ULID, differs string) error {
	return domain.Errorf(domain.Refused, "grant", "the reference %q is that of another grant: %s", g.grant.Reference, differs).
		WithHint("Compare: daybook delivery show " + by.String() + " · Give another grant a --reference of its own.")
}

// difference says in what two grants differ, "" if they are the same.
func difference(was, is domain.CreditsGranted) string {
	for _, d := range []struct{ name, was, is string }{
		{"order", was.Order, is.Order},
		{"template", was.Template, is.Template},
		{"quantity", was.Quantity.String(), is.Quantity.String()},
		{"holder", was.Holder, is.Holder},
		{"unit price", was.UnitPrice.String(), is.UnitPrice.String()},
		{"currency", was.Currency, is.Currency},
		{"expiry", projections.TimeCell(was.ExpiresAt).Text, projections.TimeCell(is.ExpiresAt).Text},
	} {
		if d.was != d.is {
			return fmt.Sprintf("its %s is %q, not %q", d.name, d.was, d.is)
		}
	}
	if was.Reason != is.Reason {
		return "its reason is another one" // which may name somebody
	}
	return ""
}

// reasonOf returns the reason of a recorded grant; where nobody can tell what it
// was, the one that is given now.
func (g *granter) reasonOf(ctx context.Context, was domain.CreditsGranted) (domain.Personal, error) {
	opened, err := g.keys.Open(ctx, []string{string(was.Reason)})
	if err != nil {
		return "", err
	}
	if opened[0] == projections.Erased || opened[0] == projections.Unopened {
		return g.grant.Reason, nil
	}
	return domain.Personal(opened[0]), nil
}

// duplicate returns the first receipt of a delivery that is there.
func duplicate(d *postgres.StoredDelivery) domain.Receipt {
	return domain.Receipt{Delivery: d.ID, Status: domain.Duplicate, Records: d.Records}
}

// send asks Tahdah for the grant. What is asked was asked in the same bytes by
// every earlier call.
func (g *granter) send(ctx context.Context, asked *postgres.StoredDelivery) (grantMade, error) {
	body, err := g.request().Body(g.source.OperationsMember)
	if err != nil {
		return grantMade{}, err
	}
	if asked != nil {
		body = asked.Body
	}
	query := tahdah.GrantQuery(g.grant.Holder, body)
	if err := g.confirm(ctx, query, asked); err != nil {
		return grantMade{}, err
	}
	first, err := g.intend(ctx, query, asked)
	if err != nil {
		return grantMade{}, err
	}
	// A call once begun is finished: its outcome is what nobody could tell later.
	stop := context.AfterFunc(ctx, func() { g.app.warn("waiting for Tahdah's answer; interrupt again to give it up") })
	defer stop()
	ctx = context.WithoutCancel(ctx)
	answer, failed := g.ask(ctx, query)
	outcome, reason := tahdah.GrantOutcome(answer.Status, answer.Header, answer.Body)
	switch {
	case answer.Status != 0:
	case unsent(failed):
		outcome, reason = domain.GrantRefused, "not sent: "+failed.Error()
	default:
		outcome, reason = domain.GrantUnknown, "no answer: "+failed.Error()
	}
	g.app.warn("%s", cmp.Or(reason, "granted by Tahdah"))
	if outcome == tahdah.Granted {
		return g.book(ctx, &first, answer)
	}
	return g.note(ctx, first, answer, outcome, reason)
}

// unsent reports whether a call failed before any of it could reach Tahdah.
func unsent(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok && (e.Op == "dial" || e.Op == "proxyconnect") {
		return true
	}
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	code := domain.CodeOf(err)
	return distrusted || code == domain.Internal || code == domain.Usage
}

// intend records that Tahdah is about to be asked, and returns the id of the
// delivery that recorded it first.
func (g *granter) intend(ctx context.Context, q domain.Query, asked *postgres.StoredDelivery) (ulid.ULID, error) {
	d := g.delivery(topicRequested, g.key(), q.Body, domain.CreditsGrantRequested{CreditsGranted: g.grant, Key: g.request().Key})
	d.Header = map[string][]string{"Content-Type": {"application/json"}}
	if asked == nil {
		receipt, err := g.log.Append(ctx, d)
		switch {
		case err != nil:
			return ulid.ULID{}, err
		case receipt.Status == domain.Accepted:
			return receipt.Delivery, nil
		case receipt.Status == domain.Conflicting:
			return ulid.ULID{}, g.taken(receipt.Delivery, "another command has just used it")
		}
		// Another command with the same reference was faster by a moment.
		if asked, err = g.find(ctx); err != nil {
			return ulid.ULID{}, err
		}
		d.ID = ulid.Make()
	}
	d.Key, d.Cause = g.key("again", d.ID.String()), asked.ID
	_, err := g.log.Append(ctx, d)
	return asked.ID, err
}

// book records that the grant is made: because Tahdah said so to what was asked
// first, or, if that is nil, because the operator says so.
func (g *granter) book(ctx context.Context, asked *ulid.ULID, answer fetch.Answer) (grantMade, error) {
	d := g.delivery(topicGranted, g.key("granted"), answer.Body, g.grant)
	if asked != nil {
		g.answered(&d, *asked, answer)
	} else {
		var err error
		if d.Body, _, err = domain.Encode(g.grant); err != nil {
			return grantMade{}, err
		}
	}
	receipt, err := g.record(ctx, d)
	switch {
	case err != nil && asked != nil:
		return grantMade{}, unrecorded(tahdah.Granted, err)
	case err != nil:
		return grantMade{}, err
	case receipt.Status == domain.Conflicting && asked == nil:
		return grantMade{}, g.taken(receipt.Delivery, "another command has just used it")
	case receipt.Status == domain.Conflicting:
		g.app.warn("Tahdah has said yes before, in other words; compare them: daybook delivery show %s", receipt.Delivery)
	}
	return grantMade{outcome: tahdah.Granted, receipt: receipt}, nil
}

// note records that a call ended without the grant.
func (g *granter) note(ctx context.Context, asked ulid.ULID, answer fetch.Answer, outcome, reason string) (grantMade, error) {
	d := g.delivery(topicAnswered, "", answer.Body, domain.CreditsGrantAnswered{
		Reference: g.grant.Reference, Outcome: outcome, Status: answer.Status, Reason: domain.Label(reason),
	})
	d.Key = g.key("answer", d.ID.String())
	g.answered(&d, asked, answer)
	receipt, err := g.record(ctx, d)
	if err != nil {
		return grantMade{}, unrecorded(outcome, err)
	}
	if outcome == domain.GrantRefused {
		// That this call was refused says nothing about an earlier one.
		unsure, err := postgres.UnsureCalls(ctx, g.db, g.source.Name, g.grant.Reference)
		if err != nil {
			return grantMade{}, unrecorded(outcome, err)
		}
		if unsure > 0 {
			outcome, reason = domain.GrantUnknown, "an earlier call may have; this one: "+reason
		}
	}
	made := grantMade{outcome: outcome, reason: reason, said: domain.Label(string(answer.Body)), receipt: receipt}
	again := "--reference " + g.grant.Reference + " --send"
	switch {
	case outcome == domain.GrantUnknown:
		return made, &outcomeError{domain.Errorf(domain.Unavailable, "grant "+g.grant.Reference, "it is not known whether Tahdah has made it: %s", reason).
			WithHint("Nothing is booked. Run the same command again with " + again + ": the key is the same, so it is made once at the most. " +
				"Tahdah's next report may show it: daybook view credits/grants reference=" + g.grant.Reference)}
	case answer.Status == 0:
		return made, &outcomeError{domain.Errorf(domain.Unavailable, "grant "+g.grant.Reference, "%s", reason).
			WithHint("Tahdah has not been asked. Run the same command again with " + again)}
	}
	return made, &outcomeError{domain.Errorf(domain.Refused, "grant "+g.grant.Reference, "Tahdah refuses it: %s", strings.TrimSpace(reason+" "+made.said)).
		WithHint("Nothing is booked. Mend what it says, and run the same command again with " + again + ", or make another grant.")}
}

// An outcomeError is a failure that is known and recorded: it is told although the
// command was interrupted meanwhile.
type outcomeError struct{ err error }

func (e *outcomeError) Error() string { return e.err.Error() }

// Unwrap returns the failure proper.
func (e *outcomeError) Unwrap() error { return e.err }

// unrecorded is the error that Tahdah has answered and the log cannot be told.
func unrecorded(outcome string, err error) error {
	return &outcomeError{domain.Errorf(domain.Unavailable, "grant", "Tahdah's answer (%s) could not be recorded: %w", outcome, err).
		WithHint("Write it down. Then run the same command again, with the same reference.")}
}

// record appends what came of a call, and does not give up while the database may
// come back: it can be learnt only now.
func (g *granter) record(ctx context.Context, d domain.Delivery) (domain.Receipt, error) {
	patience, cancel := context.WithTimeout(ctx, outcomePatience)
	defer cancel()
	for {
		receipt, err := g.log.Append(patience, d)
		if domain.CodeOf(err) != domain.Unavailable {
			return receipt, err
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-wait.C:
		case <-patience.Done():
			wait.Stop()
			return receipt, err
		}
	}
}

// delivery returns what records a fact of the operator's.
func (g *granter) delivery(topic, key string, body []byte, e domain.Event) domain.Delivery {
	now := time.Now().UTC()
	return domain.Delivery{
		ID: ulid.MustNewDefault(now), Source: g.source.Name, ReceivedAt: now.Truncate(time.Microsecond), Verified: "operator " + g.grant.By, Body: body,
		Translation: domain.Translation{Topic: topic, Key: key, Facts: []domain.Fact{{Event: e}}},
	}
}

// answered makes d the record of an answer.
func (g *granter) answered(d *domain.Delivery, asked ulid.ULID, answer fetch.Answer) {
	d.Cause = asked
	d.Verified = "answer of " + g.api
	d.Fetched = "eventcredits/" + g.grant.Holder
	d.Header = maps.Clone(map[string][]string(answer.Header))
	delete(d.Header, "Set-Cookie")
}

// confirm shows what would be sent and asks whether to send it.
func (g *granter) confirm(ctx context.Context, q domain.Query, asked *postgres.StoredDelivery) error {
	g.app.warn("%s %s/%s\n%s", q.Method, g.api, q.Path, q.Body)
	if asked != nil {
		g.app.warn("this was asked before, first at %s, with the same key", asked.ReceivedAt.Format(time.RFC3339))
	}
	switch {
	case g.yes:
		return nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return domain.Errorf(domain.Refused, "grant", "it is not sent without a yes, and there is nobody to ask").
			WithHint("Look at what would be sent, and run it again with --yes.")
	}
	fmt.Fprint(g.app.stderr, "Send it? [y/N] ")
	said := make(chan string, 1)
	go func() { // ends with the process if nobody answers
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		said <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case word := <-said:
		if word == "y" || word == "yes" {
			return nil
		}
	}
	return domain.Errorf(domain.Refused, "grant", "not sent").WithHint("Nothing was recorded.")
}

// answer returns what became of the grant as a row to print.
func (m grantMade) answer(g *granter) render.Answer {
	a := render.Answer{View: "grant", Rows: make([][]projections.Cell, 1)}
	add := func(name string, typ projections.Type, c projections.Cell) {
		a.Columns = append(a.Columns, projections.Column{Name: name, Type: typ})
		a.Rows[0] = append(a.Rows[0], c)
	}
	for _, c := range []struct{ name, text string }{
		{"reference", g.grant.Reference},
		{"status", m.outcome},
		{"recorded", string(m.receipt.Status)},
		{"source", g.source.Name},
		{"order", g.grant.Order},
		{"template", g.grant.Template},
	} {
		add(c.name, projections.TypeText, projections.Cell{Text: c.text})
	}
	add("quantity", projections.TypeDecimal, projections.Cell{Text: g.grant.Quantity.String()})
	add("holder", projections.TypeText, projections.Cell{Text: g.grant.Holder})
	add("reason", projections.TypeText, projections.Cell{Text: m.reason})
	add("delivery", projections.TypeText, projections.Cell{Text: m.receipt.Delivery.String()})
	position := projections.Cell{Null: true}
	if len(m.receipt.Records) > 0 {
		position = projections.Cell{Text: strconv.FormatInt(m.receipt.Records[0].Position, 10)}
	}
	add("position", projections.TypeInteger, position)
	return a
}
