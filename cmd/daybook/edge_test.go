package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		rows[i].source, rows[i].options = rows[i].Provider, ""
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
		if s.Kind == samples.EventsAPIResponse {
			rows[len(rows)-1].options = `api_token = "env:CREDLY_API"`
		}
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
