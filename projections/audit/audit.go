// Package audit checks evidence about the log that was carried away from it: a
// bundle, a balance certificate, a row with its proof. It needs no database, no
// network and no trust in who wrote them, and no key but those that the auditor
// was given.
//
// What it keeps true: it says OK only of what it has derived itself, from the
// bytes of the records to the balances, and only as far as a key of the auditor's
// signed them; FAIL only with what is wrong, where, and both values; and
// INCOMPLETE, with what is missing, of everything else. It folds by the same code
// as the server. What is wrong with the evidence is never an error of the audit.
package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/projections"
)

// Options say what to check, and against what.
type Options struct {
	Projections []*projections.Projection
	Keys        []note.Verifier         // of the log and of witnesses
	Checkpoints map[string][]byte       // that the auditor holds himself, by what to call them
	Questions   []Question              // put to the balances that come out
	Progress    func(done, total int64) // told how many records are checked; may be nil
	Workers     int                     // that decode; 0: one
}

// A Finding is something that is wrong.
type Finding struct {
	Position int64  `json:"position,omitempty"` // of the record, or of the one that something is about; 0: of none
	Where    string `json:"where"`
	Reason   string `json:"reason"`
	Found    string `json:"found,omitempty"`   // hash or value that the evidence gives
	Claimed  string `json:"claimed,omitempty"` // and what it should be, as somebody claims
}

// String returns where, why, and both values.
func (f Finding) String() string {
	s := f.Where + ": " + f.Reason
	if f.Found != "" || f.Claimed != "" {
		s += fmt.Sprintf(": the log gives %s, and what is claimed is %s", f.Found, f.Claimed)
	}
	return s
}

// A Report says what an audit of a bundle found.
type Report struct {
	Result      domain.Verdict `json:"result"`
	Findings    []Finding      `json:"findings,omitempty"` // what is wrong; the first is the first in the file
	Missing     []string       `json:"missing,omitempty"`  // what could not be checked, and why
	Origin      string         `json:"origin,omitempty"`   // name of the log, without the epoch
	From        int64          `json:"from"`
	To          int64          `json:"to"`
	Checked     int64          `json:"checked"` // position of the last record that was checked
	Deliveries  int64          `json:"deliveries"`
	Bodies      int64          `json:"bodies"` // deliveries whose sealed bytes were checked
	Root        string         `json:"root"`   // at Checked, base64
	Signed      int64          `json:"signed"` // last record that a checkpoint covers which one of the keys signed
	Checkpoints []Checkpoint   `json:"checkpoints"`
	Forks       []Fork         `json:"forks,omitempty"`
	Projections []Projection   `json:"projections"`
}

// A Checkpoint is what became of a checkpoint.
type Checkpoint struct {
	Where  string   `json:"where"`
	Origin string   `json:"origin"`
	Size   int64    `json:"size"`
	By     []string `json:"by"`   // keys that were given and signed it
	Fits   bool     `json:"fits"` // whether the log has its root there
}

// A Fork is where the log says itself that it went on from an earlier state.
type Fork struct {
	Position int64  `json:"position"`
	Epoch    int64  `json:"epoch"`
	Lost     int64  `json:"lost"` // size of the newest checkpoint before
	Reason   string `json:"reason"`
	By       string `json:"by"`
}

// A Projection is what a projection's tables are once the records are folded.
type Projection struct {
	Name         string        `json:"name"`
	Version      int           `json:"version"`
	Position     int64         `json:"position"` // of the last record folded
	Digest       string        `json:"digest"`
	Tables       []Table       `json:"tables"`
	Totals       []Total       `json:"totals,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
}

// A Table is how many rows a table has.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// A Total is the sum of a column over the rows of one unit.
type Total struct {
	Table  string `json:"table"`
	Column string `json:"column"`
	Unit   string `json:"unit"`
	Sum    string `json:"sum"`
}

// A Certificate is what became of a certificate.
type Certificate struct {
	Position int64    `json:"position"`
	By       []string `json:"by"`   // keys that were given and signed it
	Fits     bool     `json:"fits"` // whether the log gives what it says
}

func (r *Report) fail(f Finding) {
	r.Result = domain.Fail
	r.Findings = append(r.Findings, f)
}

func (r *Report) miss(format string, args ...any) {
	if r.Result == domain.OK {
		r.Result = domain.Incomplete
	}
	r.Missing = append(r.Missing, fmt.Sprintf(format, args...))
}

// describe sets what a projection's tables come to.
func (p *Projection) describe(c certificate.Certificate) {
	p.Name, p.Version, p.Digest = c.Projection, c.Version, c.Digest
	for _, t := range c.Tables {
		p.Tables = append(p.Tables, Table{t.Name, t.Rows})
	}
	for _, t := range c.Totals {
		p.Totals = append(p.Totals, Total{t.Table, t.Column, t.Unit, t.Sum.String()})
	}
}

// An auditor is one audit of a bundle under way.
type auditor struct {
	Options
	report Report
	meta   bundle.Meta

	// The log, as far as it was checked.
	log      state
	notes    []heldNote       // checkpoints, and what they are compared with
	roots    map[int64]*where // at the positions that certificates are about; nil: not there yet
	unknown  int64            // records of kinds that are not known
	claims   []claim          // certificates
	expected []expectedBody   // deliveries whose bodies are to come
	folds    []*folding
	answers  []*answering
}
