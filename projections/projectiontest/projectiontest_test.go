package projectiontest

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

type row struct{ key, value string }

// tally returns a projection of one table, folded by f.
func tally(f func(tx *projections.Tx, t *projections.Keyed[row], r *domain.Record)) *projections.Projection {
	table := projections.NewKeyed("tally", 1,
		projections.Text("key", func(r *row) *string { return &r.key }),
		projections.Text("value", func(r *row) *string { return &r.value }))
	return &projections.Projection{
		Name: "tally", Version: 1, Tables: []projections.Table{table},
		Fold: func(tx *projections.Tx, r *domain.Record) error { f(tx, table, r); return nil },
	}
}

// TestImpureFoldsAreFound checks that the laws find folds that remember
// something outside their tables.
func TestImpureFoldsAreFound(t *testing.T) {
	var calls int
	var last string
	for _, c := range []struct {
		name string
		pure bool
		fold func(tx *projections.Tx, t *projections.Keyed[row], r *domain.Record)
	}{
		{"pure", true, func(tx *projections.Tx, t *projections.Keyed[row], r *domain.Record) {
			old, _ := t.Get(tx, r.Source)
			t.Put(tx, row{r.Source, old.value + "+"})
		}},
		{"counts its calls", false, func(tx *projections.Tx, t *projections.Keyed[row], r *domain.Record) {
			calls++
			t.Put(tx, row{r.Source, strconv.Itoa(calls)})
		}},
		{"remembers the last record", false, func(tx *projections.Tx, t *projections.Keyed[row], r *domain.Record) {
			old, _ := t.Get(tx, r.Source)
			t.Put(tx, row{r.Source, old.value + last})
			last = string(r.Data)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if failed := fails(t, tally(c.fold), logOf(t, 9)); failed == c.pure {
				t.Errorf("found impure: %v, pure: %v", failed, c.pure)
			}
		})
	}
}

// TestLawsAreChecked checks that a projection's own law is asked after every
// record.
func TestLawsAreChecked(t *testing.T) {
	p := tally(func(*projections.Tx, *projections.Keyed[row], *domain.Record) {})
	for broken := range int64(4) {
		s := &suite{projection: p}
		Law("not at this one", func(t rapid.TB, r *domain.Record, _ *projections.Memory) {
			if r.Position == broken {
				t.Errorf("broken")
			}
		})(s)
		if failed := s.fails(t, logOf(t, 3)); failed != (broken > 0) {
			t.Errorf("broken at %d: failed %v", broken, failed)
		}
	}
}

func logOf(t *testing.T, n int64) []*domain.Record {
	t.Helper()
	var log []*domain.Record
	for i := range n {
		r, err := NewRecord(i+1, "s"+strconv.FormatInt(i%2, 10), domain.IntakeUnrecognized{Reason: "r" + strconv.FormatInt(i, 10)})
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, r)
	}
	return log
}

// A witness is a test that is meant to fail.
type witness struct {
	*testing.T
	failed bool
}

func (w *witness) Errorf(string, ...any) { w.failed = true }
func (w *witness) Fatalf(string, ...any) { w.failed = true; runtime.Goexit() }
func (w *witness) Failed() bool          { return w.failed }

func fails(t *testing.T, p *projections.Projection, log []*domain.Record) bool {
	return (&suite{projection: p}).fails(t, log)
}

func (s *suite) fails(t *testing.T, log []*domain.Record) bool {
	w := &witness{T: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		s.obeys(w, log, 4)
	}()
	<-done
	return w.failed
}

// TestReadExample checks the parts of an example, and what is refused.
func TestReadExample(t *testing.T) {
	read := func(text string) (*Example, error) {
		file := filepath.Join(t.TempDir(), "x.txtar")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadExample(file)
	}
	line := `2026-03-01T09:00:00Z/2026-03-02T09:00:00Z acme credits.reported.v1 {"line":"1","template":"a b","remaining":"1","consumed":[{}]}`
	e, err := read("Why.\n-- log --\n# a remark\n\n" + line + ` {"consumed/0/description":"A { b"}` + "\n-- as_of --\n2026-03-01\n")
	if err != nil {
		t.Fatal(err)
	}
	r := e.Log[0]
	c := r.Event.(domain.CreditsReported)
	if e.AsOf != "2026-03-01" || len(e.Log) != 1 || r.Position != 1 || r.Source != "acme" || c.Template != "a b" || opened(t, c.Consumed[0].Description) != "A { b" {
		t.Errorf("read as %+v of %s", c, e.AsOf)
	}
	if r.ID.String() != "00000000000000000000000001" || r.RecordedAt.Sub(r.OccurredAt).Hours() != 24 {
		t.Errorf("record %s, occurred %v, recorded %v", r.ID, r.OccurredAt, r.RecordedAt)
	}
	for _, text := range []string{
		"", "-- log --\n", "-- balances --\n",
		"-- log --\nfive words and no more\n",
		"-- log --\n" + strings.Replace(line, "2026-03-01T", "2026-03-01 ", 1),
		"-- log --\n" + strings.Replace(line, "reported", "retorted", 1),
		"-- log --\n" + strings.Replace(line, `"line"`, `"lime"`, 1),
		"-- log --\n" + line + " }",
	} {
		if _, err := read(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func opened(t *testing.T, token domain.Personal) string {
	t.Helper()
	texts, err := Opener{}.Open(t.Context(), []string{string(token)})
	if err != nil || texts[0] == string(token) {
		t.Fatalf("%s is opened as %q, %v", token, texts, err)
	}
	return texts[0]
}

// TestPersonalInPlainColumn checks that a fold is found that keeps a personal text
// where nobody would open it.
func TestPersonalInPlainColumn(t *testing.T) {
	p := tally(func(tx *projections.Tx, t *projections.Keyed[row], r *domain.Record) {
		t.Put(tx, row{r.Source, "is " + string(r.Event.(domain.DirectoryPersonSeen).Name)})
	})
	for name, found := range map[domain.Personal]bool{"": false, "Ann": true} {
		r, err := NewRecord(1, "s", domain.DirectoryPersonSeen{PersonType: domain.PersonUser, Person: "1", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if failed := fails(t, p, []*domain.Record{r}); failed != found {
			t.Errorf("a name of %q: found %v", name, failed)
		}
	}
}
