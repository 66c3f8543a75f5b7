package audit

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/projections"
)

// A folding is a projection's tables while the log is folded.
type folding struct {
	tables *projections.Certified
	claims []claim // certificates of it that wait, by position
	salt   int     // index of the first of them
	met    []met
	err    error // it stopped before a record
}

// A met is a certificate, and what the log gives in its place.
type met struct {
	claim
	got certificate.Certificate
}

// begin makes the tables, once all certificates are read.
func (a *auditor) begin() error {
	a.sortNotes()
	if a.meta.From > 1 {
		a.report.miss("records 1 to %d are not in the bundle, so no balances come out of it", a.meta.From-1)
		return a.compare()
	}
	for _, p := range a.Projections {
		f := &folding{}
		for _, c := range a.claims {
			if c.Projection == p.Name && c.Version == p.Version {
				f.claims = append(f.claims, c)
			}
		}
		slices.SortStableFunc(f.claims, func(x, y claim) int { return int(min(max(x.Position-y.Position, -1), 1)) })
		salts := make([][32]byte, len(f.claims))
		for i, c := range f.claims {
			salts[i] = c.salt
		}
		f.tables = projections.NewCertified(p, salts...)
		f.meet(0)
		a.folds = append(a.folds, f)
	}
	for _, q := range a.Questions {
		a.answers = append(a.answers, &answering{Question: q, tables: projections.NewMemory(q.Projection)})
	}
	return a.compare()
}

// fold folds records that were checked, each projection by itself.
func (a *auditor) fold(records []*domain.Record) {
	var wg sync.WaitGroup
	for _, f := range a.folds {
		wg.Go(func() { f.fold(records) })
	}
	for _, q := range a.answers {
		wg.Go(func() { q.fold(records) })
	}
	wg.Wait()
}

func (f *folding) fold(records []*domain.Record) {
	for _, r := range records {
		if f.err == nil {
			f.err = foldKnown(r, f.tables.Fold)
		}
		if f.err != nil {
			return
		}
		f.meet(r.Position)
	}
}

// foldKnown folds a record unless its kind is not known: any fold may have to look
// at it.
func foldKnown(r *domain.Record, fold func(*domain.Record) error) error {
	if !domain.IsKind(r.Kind) && !r.Test {
		return fmt.Errorf("record %d is of kind %s, which this program does not know", r.Position, r.Kind)
	}
	return fold(r)
}

// meet compares the tables with the certificates of this position.
func (f *folding) meet(position int64) {
	for len(f.claims) > 0 && f.claims[0].Position == position {
		f.met = append(f.met, met{f.claims[0], f.tables.Certificate(f.salt)})
		f.claims = f.claims[1:]
		f.salt++
	}
}

// conclude says what came out, and of every certificate whether it is so.
func (a *auditor) conclude() {
	if a.unknown > 1 {
		a.report.miss("%d records are of kinds that this program does not know", a.unknown)
	}
	for _, c := range a.claims {
		a.place(c)
	}
	for _, f := range a.folds {
		p := Projection{Position: f.tables.Position()}
		p.describe(f.tables.Certificate(-1))
		if f.err != nil {
			a.report.miss("%s: it stops after record %d: %v", p.Name, p.Position, f.err)
		}
		for _, m := range f.met {
			p.Certificates = append(p.Certificates, a.judge(m))
		}
		a.report.Projections = append(a.report.Projections, p)
	}
	for _, n := range a.notes {
		a.report.miss("%s is about %d records, and the bundle ends at record %d", a.report.Checkpoints[n.report].Where, n.Size, a.meta.To)
	}
	switch last := a.position() - 1; {
	case len(a.Keys) == 0:
		a.report.miss("no key was given: nothing shows who made this log, or whether it is the one that was published")
	case a.report.Signed < last:
		a.report.miss("records %d to %d: no checkpoint that a given key signed covers them", max(a.report.Signed+1, a.meta.From), last)
	}
}

// place checks that a certificate is about this log, and says what keeps its
// balances from being compared.
func (a *auditor) place(c claim) {
	at := a.roots[c.Position]
	if at == nil {
		a.report.miss("%s is about record %d, which is not in the bundle", c.where, c.Position)
		return
	}
	a.differs(c, "it is of another log", at.origin, c.Origin)
	a.differs(c, "it is of another log: the root differs", base64.StdEncoding.EncodeToString(at.root[:]), base64.StdEncoding.EncodeToString(c.Root[:]))
	i := slices.IndexFunc(a.Projections, func(p *projections.Projection) bool { return p.Name == c.Projection })
	switch {
	case i < 0:
		a.report.miss("%s is about a projection %s, which this program does not have", c.where, c.Projection)
	case a.Projections[i].Version != c.Version:
		a.report.miss("%s is about version %d of %s, and this program has version %d", c.where, c.Version, c.Projection, a.Projections[i].Version)
	}
}

func (a *auditor) differs(c claim, reason, found, claimed string) {
	if found != claimed {
		a.report.fail(Finding{Position: c.Position, Where: c.name(), Reason: reason, Found: found, Claimed: claimed})
	}
}

// judge says whether the tables that a certificate is about are those that the log
// gives.
func (a *auditor) judge(m met) Certificate {
	wrong := func() bool {
		return slices.ContainsFunc(a.report.Findings, func(f Finding) bool { return f.Where == m.name() })
	}
	got, want := totals(m.got), totals(m.Certificate)
	for _, key := range slices.Sorted(keysOf(got, want)) {
		a.differs(m.claim, "total of "+key, cmp.Or(got[key], "none"), cmp.Or(want[key], "none"))
	}
	a.differs(m.claim, "the tables are not those that the log gives", m.got.Digest, m.Digest)
	if !wrong() {
		// The rest can only differ if whoever certified did it wrong, or if the salt
		// in the bundle is not his.
		m.got.Origin, m.got.Position, m.got.Root = m.Origin, m.Position, m.Root
		a.differs(m.claim, "its rows or its states are not what the tables and the salt make", m.got.Text(), m.Text())
	}
	return Certificate{m.Position, append([]string{}, m.by...), !wrong()}
}

// totals returns the totals of a certificate by what they are of.
func totals(c certificate.Certificate) map[string]string {
	m := make(map[string]string)
	for _, t := range c.Totals {
		m[t.Table+"."+t.Column+" in "+t.Unit] = t.Sum.String()
	}
	return m
}
