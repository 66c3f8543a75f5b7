package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// A StatementReport says what an audit of a certificate, or of a row with its
// proof, found.
type StatementReport struct {
	Result     domain.Verdict  `json:"result"`
	Findings   []Finding       `json:"findings,omitempty"`
	Missing    []string        `json:"missing,omitempty"`
	Type       string          `json:"type"` // certificate or row
	Origin     string          `json:"origin,omitempty"`
	Position   int64           `json:"position"`
	Root       string          `json:"root,omitempty"`
	By         []string        `json:"by"` // keys that were given and signed it
	Projection string          `json:"projection,omitempty"`
	Version    int             `json:"version,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Tables     []Table         `json:"tables,omitempty"`
	Totals     []Total         `json:"totals,omitempty"`
	Table      string          `json:"table,omitempty"` // of a row
	Row        json.RawMessage `json:"row,omitempty"`
}

// Statement audits a certificate or a row file. It says who signed it and that it
// holds together; whether the log gives what it says only a bundle shows.
func Statement(text []byte, o Options) *StatementReport {
	r := &StatementReport{Result: domain.OK, Type: "certificate", By: []string{}}
	var c certificate.Certificate
	var err error
	if bytes.HasPrefix(text, []byte(certificate.RowLine+"\n")) {
		var p certificate.Proof
		r.Type = "row"
		p, c, r.By, err = certificate.OpenRow(text, o.Keys...)
		if r.Table = p.Table; json.Valid([]byte(p.JSON)) {
			r.Row = json.RawMessage(p.JSON)
		} else if err == nil {
			err = domain.Errorf(domain.Differs, "read row", "it is no JSON")
		}
	} else {
		c, r.By, err = certificate.Open(text, o.Keys...)
	}
	r.describe(c)
	// A signature that is wrong leaves nothing that could be described.
	unsigned := domain.CodeOf(err) == domain.Unauthenticated && c.Projection != ""
	switch {
	case unsigned && len(o.Keys) == 0:
		r.miss("no key was given: nothing shows who made this")
	case unsigned:
		r.miss(err.Error())
	case err != nil:
		r.fail(Finding{Position: c.Position, Where: r.Type, Reason: err.Error()})
	}
	if r.Result != domain.Fail {
		r.compare(c, o)
	}
	return r
}

func (r *StatementReport) describe(c certificate.Certificate) {
	r.By = append([]string{}, r.By...)
	if c.Projection == "" {
		return
	}
	var p Projection
	p.describe(c)
	r.Origin, r.Position, r.Root = c.Origin, c.Position, base64.StdEncoding.EncodeToString(c.Root[:])
	r.Projection, r.Version, r.Digest, r.Tables, r.Totals = p.Name, p.Version, p.Digest, p.Tables, p.Totals
}

// compare compares the certificate with the checkpoints that the auditor holds, of
// which those of its size can be.
func (r *StatementReport) compare(c certificate.Certificate, o Options) {
	compared := false
	for _, name := range slices.Sorted(keysOf(o.Checkpoints)) {
		held, err := checkpoint.Unverified(o.Checkpoints[name])
		differs := func(reason, found, claimed string) {
			r.fail(Finding{Position: c.Position, Where: name, Reason: reason, Found: found, Claimed: claimed})
		}
		switch {
		case err != nil:
			differs(err.Error(), "", "")
		case held.Size != c.Position:
			continue
		case held.Origin != c.Origin:
			differs("it is of another log", fmt.Sprintf("%.300q", held.Origin), c.Origin)
		case held.Root != c.Root:
			differs("it is of another log: the root differs", base64.StdEncoding.EncodeToString(held.Root[:]), r.Root)
		}
		compared = true
	}
	if len(o.Checkpoints) > 0 && !compared {
		r.miss(fmt.Sprintf("none of the checkpoints is about %d records: only a bundle shows whether this is of the same log", c.Position))
	}
}

func (r *StatementReport) fail(f Finding) {
	r.Result = domain.Fail
	r.Findings = append(r.Findings, f)
}

func (r *StatementReport) miss(reason string) {
	if r.Result == domain.OK {
		r.Result = domain.Incomplete
	}
	r.Missing = append(r.Missing, reason)
}
