package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// An edge is what has to become of one row of the notes on the difficult
// samples, in terms of what can be seen from outside.
type edge struct {
	// source is where the row is played. Empty: a source of its own, named after
	// the file. Rows of a group share one, and are played in the order of the notes.
	source string

	status domain.Status
	test   bool              // recorded as a test
	kinds  string            // of its records, without their versions
	flags  string            // of the delivery
	reason string            // of a delivery in quarantine: field and reason begin so
	facts  map[string]string // JSON pointer into the list of facts, personal parts included
	views  map[string]string // "projection/view: columns" to the rows of the source, after the row
}

// Views that show nothing of a source: what must hold for whatever is no fact.
var nothing = map[string]string{
	"credits/balances: line":          "",
	"sales/orders: order":             "",
	"sales/entries: order":            "",
	"certifications/status: subject":  "",
	"trustgroups/members: member":     "",
	"directory/people: person":        "",
	"directory/items: item":           "",
	"directory/organizations: name":   "",
	"certifications/history: subject": "",
}

// TestEdges plays every row of the notes, in their order, each into a source of
// its own or of its group, and checks what the row says.
func TestEdges(t *testing.T) {
	t.Parallel()
	rows := append(edgeRows(t), configuredRows(t)...)
	s := startEdges(t, rows)
	for _, row := range rows {
		t.Run(row.source+" "+row.File, func(t *testing.T) { s.play(t, row) })
	}
	s.repeat(t)
}

// TestEdgesShuffled plays the rows in random orders, several at a time: what
// becomes of each, and what every source comes to, is what it is in order.
func TestEdgesShuffled(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, uint64(os.Getpid())}
	if testing.Short() {
		seeds = seeds[2:]
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rows := append(edgeRows(t), configuredRows(t)...)
			s := startEdges(t, rows)
			groups := slices.Collect(maps.Values(bySource(rows)))
			slices.SortFunc(groups, func(a, b []edgeRow) int { return strings.Compare(a[0].source, b[0].source) })
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
			var wg sync.WaitGroup
			for lane := range 4 {
				wg.Go(func() {
					for i := lane; i < len(groups); i += 4 {
						for _, row := range groups[i] {
							s.play(t, row)
						}
					}
				})
			}
			wg.Wait()
			s.repeat(t)
		})
	}
}

// TestEdgesTogether plays all rows of a provider into one source, where they meet:
// in the order of the notes, backwards and at random. Whatever is said of
// certificates, badges and names is the same in the end.
func TestEdgesTogether(t *testing.T) {
	rows := edgeRows(t)
	for i := range rows {
		rows[i].source = rows[i].Provider
	}
	kept := append([]string{"directory/people", "directory/organizations", "directory/items", "directory/groups"}, keptViews...)
	var first map[string]string
	for _, order := range []string{"as noted", "backwards", "at random"} {
		switch order {
		case "backwards":
			slices.Reverse(rows)
		case "at random":
			rand.New(rand.NewPCG(uint64(os.Getpid()), 0)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		s := startEdges(t, rows)
		for _, row := range rows {
			s.send(t, row)
		}
		views := make(map[string]string)
		for _, v := range kept {
			views[v] = view(t, s.databaseURL, v)
		}
		if first == nil {
			first = views
		}
		if diff := cmp.Diff(first, views); diff != "" {
			t.Errorf("played %s, seed %d (-as noted +so):\n%s", order, os.Getpid(), diff)
		}
		s.kill()
	}
	if strings.Count(first["certifications/status"], "\n") < 5 {
		t.Errorf("there are few certifications:\n%s", first["certifications/status"])
	}
}

// An edgeRow is one row of the notes as it is played.
type edgeRow struct {
	samples.Sample
	source  string
	options string // of the source, in TOML
	want    edge
}

// edgeRows returns the rows of the notes' table in its order, and checks that
// every row has an edge, and every edge a row.
func edgeRows(t *testing.T) []edgeRow {
	t.Helper()
	notes, err := samples.EdgeNotes()
	if err != nil {
		t.Fatal(err)
	}
	var rows []edgeRow
	missing := maps.Clone(edges)
	for line := range strings.Lines(notes) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.ContainsAny(cells[1], ".") {
			continue
		}
		file := strings.TrimSpace(cells[1])
		want, ok := missing[file]
		if !ok {
			t.Errorf("row %s of the notes has no edge", file)
			continue
		}
		delete(missing, file)
		s := sampleNamed(t, "edge/"+file)
		if s.Kind != strings.TrimSpace(cells[3]) {
			t.Errorf("%s is a %s, not a %s", file, s.Kind, cells[3])
		}
		source := want.source
		if source == "" {
			source = strings.TrimSuffix(file, path.Ext(file))
		}
		rows = append(rows, edgeRow{s, source, "", want})
	}
	for file := range missing {
		t.Errorf("the edge %s is no row of the notes", file)
	}
	if len(rows) < 40 {
		t.Errorf("only %d rows: is the table read as it is?", len(rows))
	}
	return rows
}

// configuredRows returns the rows that come out otherwise under another
// configuration.
func configuredRows(t *testing.T) (rows []edgeRow) {
	t.Helper()
	for i, c := range configured {
		rows = append(rows, edgeRow{sampleNamed(t, "edge/"+c.file), fmt.Sprint("configured-", i), c.options, c.edge})
	}
	return rows
}

// bySource groups rows that must be played in order.
func bySource(rows []edgeRow) map[string][]edgeRow {
	groups := make(map[string][]edgeRow)
	for _, row := range rows {
		groups[row.source] = append(groups[row.source], row)
	}
	return groups
}

// An edgeServer is a daybook with one source for every row or group.
type edgeServer struct {
	*process
	databaseURL string
	log         *postgres.Appender // of what is fetched
	db          *sql.DB

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
	}
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(toml.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	databaseURL := postgrestest.URL(t)
	return &edgeServer{
		process: start(t, databaseURL, sampleEnv, "serve", "--config", file), databaseURL: databaseURL,
		log:   postgrestest.Appender(t, databaseURL),
		db:    postgrestest.Open(t, databaseURL, postgres.RoleProjector),
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
	if row.Kind == samples.EventsAPIResponse {
		return s.fetched(t, row)
	}
	status, receipt, err := s.postTo(t.Context(), row.source, row.Sample)
	if err != nil || status != http.StatusOK {
		t.Errorf("%s: status %d, %v", row.File, status, err)
	}
	return receipt
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
	var body []byte
	var status, flags string
	var test bool
	err := s.db.QueryRowContext(t.Context(), `SELECT body, status, flags, test FROM delivery WHERE id = $1 AND source = $2`,
		receipt.Delivery.String(), row.source).Scan(&body, &status, &flags, &test)
	if err != nil {
		t.Errorf("%s: delivery %s: %v", row.File, receipt.Delivery, err)
		return
	}
	if string(body) != string(row.Body) {
		t.Errorf("%s: other bytes are kept:\n%q", row.File, body)
	}
	if flags != want.flags || test != want.test {
		t.Errorf("%s: flags %q, test %v; want %q, %v", row.File, flags, test, want.flags, want.test)
	}
	if want.status != domain.Duplicate && status != string(want.status) {
		t.Errorf("%s: kept as %s", row.File, status)
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
		personal, err := domain.OpenPersonal(sealed)
		fact := make(map[string]any)
		for _, part := range [][]byte{data, personal} {
			if len(part) > 0 {
				err = errors.Join(err, json.Unmarshal(part, &fact))
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
	switch v.(type) {
	case nil:
		return ""
	case string:
		return v.(string)
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
