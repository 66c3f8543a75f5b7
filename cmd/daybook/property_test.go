package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// TestModel delivers any interleaving, repetition and reordering of deliveries of
// all providers, one by one and several at once, through the HTTP handler and
// past it, and compares what daybook makes of them with the model: the log has
// each fact once, in the order of the receipts, and every view says what the
// model says. In the end what was kept live is what is rebuilt from the log.
//
// For a long run: go test ./cmd/daybook -run TestModel -rapid.checks=10000 -timeout 0
func TestModel(t *testing.T) {
	url := postgrestest.URL(t)
	log := postgrestest.Appender(t, url)
	db := postgrestest.Open(t, url, postgres.RoleProjector)
	projector := postgres.NewProjector(db, allProjections())
	if err := projector.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := postgrestest.Keys(t, url)
	projector.Opener = keys
	number, tally := 0, make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		number++
		c := newCase(t, number, log, db, keys, projector)
		c.run()
		for _, s := range c.sent {
			tally[fmt.Sprintf("%s %s is %s", s.provider, s.topic, s.want)]++
			tally[string(s.want)]++
		}
	})
	for _, what := range slices.Sorted(maps.Keys(tally)) {
		t.Logf("%6d %s", tally[what], what)
	}
	for _, status := range []domain.Status{domain.Accepted, domain.Duplicate, domain.Conflicting, domain.Unrecognized, domain.Quarantined} {
		if tally[string(status)] < number/10 {
			t.Errorf("%d deliveries in %d cases were to be %s: the deliveries drawn say little", tally[string(status)], number, status)
		}
	}
	checkVerified(t, db)
	for _, p := range allProjections() {
		before, err := projector.Verify(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := projector.Rebuild(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
		after, err := projector.Verify(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if before.Live != before.Digest || after.Live != before.Live {
			t.Errorf("%s: live %s, folded again %s, rebuilt %s", p.Name, before.Live, before.Digest, after.Live)
		}
	}
}

// checkVerified audits the log: whatever was done to daybook, nothing in it is wrong.
func checkVerified(t *testing.T, db *sql.DB) {
	t.Helper()
	v, err := postgres.VerifyLog(t.Context(), db, postgres.LogCheck{Now: time.Now()}, nil)
	if err != nil || v.Result == domain.Fail || v.Head == 0 || len(v.Missing) != 1 { // a checkpoint
		t.Errorf("the log: %+v, %v", v, err)
	}
}

// A modelCase is one run: sources of its own, what was sent to each, and what the
// model makes of it.
type modelCase struct {
	pen
	log       *postgres.Appender
	db        *sql.DB
	keys      *postgres.Keyring
	projector *postgres.Projector
	sources   map[string]intake.Source // by provider
	handler   http.Handler

	clock time.Time
	sent  []*sent            // in the order in which they were drawn
	books map[string]*book   // by provider
	known map[string][]*sent // by provider and identity: deliveries of different bytes
	last  map[string]*sent   // by provider and scope
}

// A sent is a letter and what was answered.
type sent struct {
	letter
	receivedAt time.Time
	want       domain.Status
	first      *sent // if it is a repetition
	receipt    domain.Receipt
}

func newCase(t *rapid.T, number int, log *postgres.Appender, db *sql.DB, keys *postgres.Keyring, projector *postgres.Projector) *modelCase {
	c := &modelCase{
		pen: pen{t, make(map[string][]string)}, log: log, db: db, keys: keys, projector: projector, clock: began,
		sources: make(map[string]intake.Source), books: make(map[string]*book),
		known: make(map[string][]*sent), last: make(map[string]*sent),
	}
	secrets := map[string]string{
		"tahdah": samples.TahdahSecret, "thinkific": samples.ThinkificKey, "braincert": samples.BraincertLogin, "credly": "test-token",
	}
	for name, secret := range secrets {
		config := sourceConfig{Name: fmt.Sprintf("case-%d-%s", number, name), Organizations: []string{samples.CredlyOrganization}}
		if name == "thinkific" {
			config.DefaultCurrency = thinkificCurrency
		}
		p, err := providers[name](config, []string{secret})
		if err != nil {
			t.Fatal(err)
		}
		c.sources[name] = intake.Source{Name: config.Name, Provider: p}
		c.books[name] = new(book)
	}
	mux := http.NewServeMux()
	intake.NewHandler(log, slices.Collect(maps.Values(c.sources)), slog.New(slog.DiscardHandler)).Register(mux)
	c.handler = mux
	return c
}

func (c *modelCase) run() {
	for range c.number("volleys", 1, 7) {
		c.volley()
		if c.seldom("catch up", 3) {
			c.catchUp()
		}
	}
	c.catchUp()
	c.checkLog()
	c.checkViews()
}

// volley draws some letters and sends them, those at once that have nothing to
// do with each other's identity.
func (c *modelCase) volley() {
	var letters []letter
	for range c.number("letters", 1, 8) {
		letters = append(letters, c.draw())
	}
	if !c.seldom("at once", 4) || !c.unrelated(letters) {
		for _, l := range letters {
			s := c.expect(l)
			c.sent = append(c.sent, s)
			c.deliver(s, s.request.Fetched == "" && c.seldom("over HTTP", 4))
			c.book(s)
		}
		return
	}
	volley := make([]*sent, len(letters))
	var wg sync.WaitGroup
	for i, l := range letters {
		volley[i] = c.expect(l)
	}
	c.sent = append(c.sent, volley...)
	for _, s := range volley {
		wg.Go(func() { c.deliver(s, false) })
	}
	wg.Wait()
	// They arrived in the order in which they were recorded.
	slices.SortStableFunc(volley, func(a, b *sent) int {
		if len(a.receipt.Records) == 0 || len(b.receipt.Records) == 0 {
			return 0
		}
		return int(a.receipt.Records[0].Position - b.receipt.Records[0].Position)
	})
	for _, s := range volley {
		c.book(s)
	}
}

// draw draws a letter: a new one, or one that was sent before.
func (c *modelCase) draw() letter {
	if len(c.sent) > 0 && c.seldom("again", 4) {
		return c.sent[c.number("which again", 0, len(c.sent)-1)].letter
	}
	switch c.topic("provider", "tahdah", "thinkific", "braincert", "credly") {
	case "tahdah":
		return c.tahdah()
	case "thinkific":
		return c.thinkific()
	case "braincert":
		return c.braincert()
	}
	if c.seldom("notice", 3) {
		return c.credly()
	}
	return c.credlyAnswer()
}

// identified returns what a repetition of the letter is known by; empty if it is
// known by its scopes.
func (l letter) identified() string {
	switch {
	case l.identity != "":
		return l.identity
	case len(l.scopes) > 0:
		return ""
	}
	return "bytes of " + l.topic + " " + string(l.request.Body)
}

// unrelated reports whether none of the letters is a repetition or contradiction
// of another, so that it does not matter which comes first.
func (c *modelCase) unrelated(letters []letter) bool {
	seen := make(map[string]bool)
	for _, l := range letters {
		for _, part := range append(l.scopes, l.identified()) {
			key := l.provider + " " + part
			if part != "" && seen[key] {
				return false
			}
			seen[key] = true
		}
	}
	return true
}

// expect says what has to become of a letter that is sent now, and remembers it.
func (c *modelCase) expect(l letter) *sent {
	c.clock = c.clock.Add(time.Duration(c.number("pause", 0, 2)) * time.Minute)
	s := &sent{letter: l, receivedAt: c.clock, want: l.status}
	if s.first = c.repeats(l); s.first != nil {
		s.want = domain.Duplicate
		return s
	}
	if id := l.identified(); id != "" {
		if known := c.known[l.provider+" "+id]; len(known) > 0 {
			s.want = domain.Conflicting
		}
		c.known[l.provider+" "+id] = append(c.known[l.provider+" "+id], s)
	}
	for _, scope := range l.scopes {
		c.last[l.provider+" "+scope] = s
	}
	return s
}

// repeats returns the delivery that a letter repeats, nil if it is new: one with
// its identity and bytes. A level has none, and repeats the delivery before it.
func (c *modelCase) repeats(l letter) (first *sent) {
	same := func(s *sent) bool { return s != nil && bytes.Equal(s.request.Body, l.request.Body) }
	if id := l.identified(); id != "" {
		for _, s := range c.known[l.provider+" "+id] {
			if same(s) {
				return s
			}
		}
		return nil
	}
	for _, scope := range l.scopes {
		if first = c.last[l.provider+" "+scope]; !same(first) {
			return nil
		}
	}
	return first
}

// deliver sends a letter as its provider does, or hands it over as the handler
// does once it is authentic.
func (c *modelCase) deliver(s *sent, overHTTP bool) {
	source := c.sources[s.provider]
	if overHTTP {
		path := "/webhooks/" + source.Name
		if s.request.Token != "" {
			path += "/" + s.request.Token
		}
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(s.request.Body))
		r.Header = http.Header(s.request.Header).Clone()
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &s.receipt); err != nil || w.Code != http.StatusOK {
			c.Errorf("%s: status %d, %s", s.topic, w.Code, w.Body)
		}
		return
	}
	r := s.request
	r.ReceivedAt = s.receivedAt
	how, err := "fetched", error(nil)
	if r.Fetched == "" {
		how, err = source.Provider.Verify(r)
	}
	if err == nil {
		s.receipt, err = intake.Record(context.Background(), c.log, source, r, how, ulid.ULID{})
	}
	if err != nil {
		c.Errorf("%s: %v", s.topic, err)
	}
}

// book checks a receipt and writes down what the letter says, if it counts.
func (c *modelCase) book(s *sent) {
	if s.receipt.Status != s.want {
		c.Fatalf("%s is %s, want %s\n%s", s.topic, s.receipt.Status, s.want, s.request.Body)
	}
	records := s.records
	switch s.want {
	case domain.Duplicate:
		first := s.first.receipt
		first.Status = domain.Duplicate
		if diff := cmp.Diff(first, s.receipt); diff != "" {
			c.Fatalf("%s is not answered with its first receipt (-first +this):\n%s", s.topic, diff)
		}
		return
	case domain.Conflicting:
		records = 1
	}
	if len(s.receipt.Records) != records {
		c.Fatalf("%s became %d records, want %d\n%s", s.topic, len(s.receipt.Records), records, s.request.Body)
	}
	if s.want != domain.Accepted || s.test {
		return
	}
	at := s.at
	if at.IsZero() {
		at = c.receivedAt(s.receipt.Delivery)
	}
	for _, thing := range s.things {
		if l, ok := thing.(lesson); ok && l.when.IsZero() {
			l.when = at
			thing = l
		}
		c.books[s.provider].said = append(c.books[s.provider].said, entry{at, thing})
	}
}

// receivedAt returns when a delivery was received, as it is kept.
func (c *modelCase) receivedAt(id ulid.ULID) (at time.Time) {
	if err := c.db.QueryRow(`SELECT received_at FROM delivery WHERE id = $1`, id.String()).Scan(&at); err != nil {
		c.Fatal(err)
	}
	return at.UTC()
}

func (c *modelCase) catchUp() {
	for _, p := range allProjections() {
		if _, err := c.projector.CatchUp(context.Background(), p, nil); err != nil {
			c.Fatal(err)
		}
	}
}
