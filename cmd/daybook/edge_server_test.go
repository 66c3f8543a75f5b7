package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/bus"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// An edgeServer is a daybook with one source for every row or group.
type edgeServer struct {
	*process
	databaseURL string
	log         *postgres.Appender // of what is fetched
	db          *sql.DB
	keys        *postgres.Keyring
	wake        *bus.Wake

	mu    sync.Mutex
	first map[string]domain.Receipt // of every key: source and body
	last  map[string]edgeRow        // that each source was sent
}

func startEdges(t *testing.T, rows []edgeRow) *edgeServer {
	t.Helper()
	var toml strings.Builder
	for source, rows := range bySource(rows) {
		provider, options := rows[0].Provider, rows[0].options
		fmt.Fprintf(&toml, "[[source]]\nname = %q\nprovider = %q\nsecrets = [\"env:%s\"]\n", source, provider, strings.ToUpper(provider))
		switch {
		case provider == "thinkific" && !strings.Contains(options, "default_currency"):
			toml.WriteString("default_currency = \"USD\"\n")
		case provider == "credly":
			fmt.Fprintf(&toml, "organizations = [%q]\n", samples.CredlyOrganization)
		}
		toml.WriteString(options + "\n")
		if strings.Contains(options, "api_token") {
			fmt.Fprintf(&toml, "api_url = %q\n", serveAnswers(t))
		}
	}
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(toml.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	databaseURL := postgrestest.URL(t)
	wake, err := bus.Listen(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return &edgeServer{
		wake:    wake,
		process: start(t, databaseURL, append(sampleEnv, "CREDLY_API="+demoToken), "serve", "--config", file), databaseURL: databaseURL,
		log:   postgrestest.Appender(t, databaseURL),
		db:    postgrestest.Open(t, databaseURL, postgres.RoleProjector),
		keys:  postgrestest.Keys(t, databaseURL),
		first: make(map[string]domain.Receipt),
		last:  make(map[string]edgeRow),
	}
}

// play sends one row and checks what became of it.
func (s *edgeServer) play(t *testing.T, row edgeRow) {
	t.Helper()
	want, source := row.want, row.source
	receipt := s.send(t, row)
	if receipt.Status != want.status {
		t.Errorf("%s: %s, want %s", row.File, receipt.Status, want.status)
	}
	s.mu.Lock()
	if want.status == domain.Duplicate {
		first := s.first[source+"\x00"+string(row.Body)]
		first.Status = domain.Duplicate
		if diff := cmp.Diff(first, receipt); diff != "" {
			t.Errorf("%s is not answered with the first receipt (-first +this):\n%s", row.File, diff)
		}
	} else {
		s.first[source+"\x00"+string(row.Body)] = receipt
	}
	s.last[source] = row
	s.mu.Unlock()

	s.checkDelivery(t, row, receipt, want)
	s.checkFacts(t, row, receipt, want)
	s.checkViews(t, row, source, want)
}

// send posts a row to its source; the answer has to be 200.
func (s *edgeServer) send(t *testing.T, row edgeRow) domain.Receipt {
	t.Helper()
	switch {
	case row.options == "" && row.Kind == samples.EventsAPIResponse:
		return s.fetched(t, row)
	case row.Kind == samples.EventsAPIResponse:
		return s.noticed(t, row)
	}
	status, receipt, err := s.postTo(t.Context(), row.source, row.Sample)
	if err != nil || status != http.StatusOK {
		t.Errorf("%s: status %d, %v", row.File, status, err)
	}
	return receipt
}

// serveAnswers plays Credly's API, which gives the rows that are its answers, and
// returns its base URL.
func serveAnswers(t *testing.T) string {
	t.Helper()
	events, err := sampleEvents(true)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(sampleAPI(events))
	t.Cleanup(api.Close)
	return api.URL + "/v1"
}

// noticed posts the notice of a row that is an answer of Credly's API, waits until
// the answer has been asked for and recorded, and returns what its receipt is.
func (s *edgeServer) noticed(t *testing.T, row edgeRow) domain.Receipt {
	t.Helper()
	var answer struct{ Data map[string]any }
	if err := json.Unmarshal(row.Body, &answer); err != nil {
		t.Error(err)
	}
	notice := make(object)
	for _, member := range []string{"id", "organization_id", "event_type", "occurred_at"} {
		notice[member] = answer.Data[member]
	}
	told := row.Sample
	told.Header, told.Body = http.Header{"Content-Type": {"application/json"}}, jsonOf(notice)
	status, first, err := s.postTo(t.Context(), row.source, told)
	if err != nil || status != http.StatusOK {
		t.Errorf("%s: its notice: status %d, %v", row.File, status, err)
	}
	wake, forget := s.wake.Channel()
	defer forget()
	for {
		receipt := domain.Receipt{Status: first.Status}
		var position, records int64
		err := s.db.QueryRowContext(t.Context(), `SELECT id, status, position, records FROM delivery WHERE source = $1 AND fetched = $2`,
			row.source, fmt.Sprint("events/", notice["id"])).Scan(&receipt.Delivery, &receipt.Status, &position, &records)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			select {
			case <-wake:
				continue
			case <-t.Context().Done():
				return receipt
			}
		case err != nil:
			t.Errorf("%s: %v", row.File, err)
			return receipt
		}
		if first.Status == domain.Duplicate {
			receipt.Status = domain.Duplicate
		}
		for p := position; p < position+records; p++ {
			var r domain.ReceiptRecord
			if err := s.db.QueryRowContext(t.Context(), `SELECT position, kind FROM log WHERE position = $1`, p).Scan(&r.Position, &r.Kind); err != nil {
				t.Errorf("%s: %v", row.File, err)
			}
			receipt.Records = append(receipt.Records, r)
		}
		return receipt
	}
}

// fetched records a row as the answer of Credly's API to a question of ours.
func (s *edgeServer) fetched(t *testing.T, row edgeRow) domain.Receipt {
	t.Helper()
	config := sourceConfig{Name: row.source, Organizations: []string{samples.CredlyOrganization}}
	provider, err := providers["credly"](config, []string{"test-token"})
	if err != nil {
		t.Error(err)
		return domain.Receipt{}
	}
	var answer struct{ Data struct{ ID string } }
	if err := json.Unmarshal(row.Body, &answer); err != nil {
		t.Error(err)
	}
	request := domain.Request{Fetched: "events/" + answer.Data.ID, Header: row.Header, Body: row.Body, ReceivedAt: time.Now().UTC()}
	receipt, err := intake.Record(t.Context(), s.log, intake.Source{Name: config.Name, Provider: provider}, request, "fetched", ulid.ULID{})
	if err != nil {
		t.Errorf("%s: %v", row.File, err)
	}
	return receipt
}

// repeat sends the last row of every source again, which must change nothing.
func (s *edgeServer) repeat(t *testing.T) {
	t.Helper()
	before := s.head(t)
	for source, row := range s.last {
		if receipt := s.send(t, row); receipt.Status != domain.Duplicate {
			t.Errorf("%s again, into %s: %s", row.File, source, receipt.Status)
		}
	}
	if after := s.head(t); after != before {
		t.Errorf("sending everything again made %d records", after-before)
	}
	checkVerified(t, s.db)
}

func (s *edgeServer) head(t *testing.T) int64 {
	t.Helper()
	head, err := postgres.Head(t.Context(), s.db)
	if err != nil {
		t.Error(err)
	}
	return head
}

// checkDelivery checks what is kept of a delivery: its exact bytes, flags, and
// the reason if it is in quarantine.
func (s *edgeServer) checkDelivery(t *testing.T, row edgeRow, receipt domain.Receipt, want edge) {
	t.Helper()
	d, err := postgres.ReadDelivery(t.Context(), s.db, s.keys, receipt.Delivery)
	if err != nil || d.Source != row.source {
		t.Errorf("%s: delivery %s of %s: %v", row.File, receipt.Delivery, d.Source, err)
		return
	}
	if string(d.Body) != string(row.Body) {
		t.Errorf("%s: other bytes are kept:\n%q", row.File, d.Body)
	}
	if flags := strings.Join(d.Flags, ","); flags != want.flags || d.Test != want.test {
		t.Errorf("%s: flags %q, test %v; want %q, %v", row.File, flags, d.Test, want.flags, want.test)
	}
	if want.status != domain.Duplicate && d.Status != want.status {
		t.Errorf("%s: kept as %s", row.File, d.Status)
	}
	if want.reason != "" {
		s.await(t, receipt.Delivery.String()) // somebody is told
	}
	got := s.rows(t, "log/quarantine: field reason", url.Values{"delivery": {receipt.Delivery.String()}})
	if !strings.HasPrefix(got, want.reason) || (got == "") != (want.reason == "") {
		t.Errorf("%s: in quarantine because %q, want %q", row.File, got, want.reason)
	}
}

// checkFacts checks the records of a delivery.
func (s *edgeServer) checkFacts(t *testing.T, row edgeRow, receipt domain.Receipt, want edge) {
	t.Helper()
	var kinds []string
	var facts []any
	for _, r := range receipt.Records {
		kinds = append(kinds, strings.TrimSuffix(string(r.Kind), ".v1"))
		var data, sealed []byte
		err := s.db.QueryRowContext(t.Context(), `SELECT data, personal FROM log WHERE position = $1`, r.Position).Scan(&data, &sealed)
		if err != nil {
			t.Errorf("%s: record %d: %v", row.File, r.Position, err)
			return
		}
		fact := make(map[string]any)
		for _, part := range [][]byte{data, sealed} {
			if len(part) > 0 {
				err = errors.Join(err, json.Unmarshal(part, &fact))
			}
		}
		for name, v := range fact {
			if text, ok := v.(string); ok {
				opened, failed := s.keys.Open(t.Context(), []string{text})
				err = errors.Join(err, failed)
				fact[name] = strings.Join(opened, "")
			}
		}
		if err != nil {
			t.Errorf("%s: %v", row.File, err)
		}
		facts = append(facts, fact)
	}
	if got := strings.Join(kinds, " "); got != want.kinds {
		t.Errorf("%s: became %q, want %q", row.File, got, want.kinds)
	}
	for pointer, value := range want.facts {
		if got := at(facts, pointer); got != value {
			t.Errorf("%s: %s is %q, want %q", row.File, pointer, got, value)
		}
	}
}

// at returns the value at a JSON pointer as text; "" if it leads nowhere. A
// member whose name has a slash, as personal ones have, is written with "~1".
func at(v any, pointer string) string {
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch node := v.(type) {
		case map[string]any:
			v = node[strings.ReplaceAll(name, "~1", "/")]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i < len(node) {
				v = node[i]
				continue
			}
			v = nil
		}
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// checkViews checks what the row's source comes to, as of now.
func (s *edgeServer) checkViews(t *testing.T, row edgeRow, source string, want edge) {
	t.Helper()
	for _, question := range slices.Sorted(maps.Keys(want.views)) {
		got := s.rows(t, question, url.Values{"source": {source}, "known": {fmt.Sprint(s.head(t))}})
		if got != want.views[question] {
			t.Errorf("%s: %s is %q, want %q", row.File, question, got, want.views[question])
		}
	}
}

// rows asks "view: columns" over HTTP and returns the columns of every row with
// a space between them and "; " between rows.
func (s *edgeServer) rows(t *testing.T, question string, query url.Values) string {
	t.Helper()
	view, columns, _ := strings.Cut(question, ": ")
	response, err := http.Get(s.url + "/v1/" + view + "?" + query.Encode())
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var answer struct{ Rows []map[string]any }
	if err = errors.Join(err, json.Unmarshal(body, &answer)); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: status %d, %v: %s", question, response.StatusCode, err, body)
		return ""
	}
	var rows []string
	for _, row := range answer.Rows {
		var cells []string
		for _, c := range strings.Fields(columns) {
			if _, ok := row[c]; !ok {
				t.Errorf("%s has no column %s", view, c)
			}
			cells = append(cells, at(row, "/"+c))
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return strings.Join(rows, "; ")
}
