package audit

import (
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// A heldNote is a checkpoint that waits for the log to have its size.
type heldNote struct {
	checkpoint.Checkpoint
	report int // index in the report
}

// checkpoint reads a checkpoint. One that a key of the auditor's claims to have
// signed and did not is wrong; one that none of them signed proves nothing, and
// must fit all the same.
func (a *auditor) checkpoint(where string, msg []byte) error {
	signed, err := checkpoint.Open(msg, a.Keys...)
	if domain.CodeOf(err) == domain.Unauthenticated {
		unknown, again := checkpoint.Unverified(msg)
		if again == nil && !a.knows(unknown.Unknown) {
			signed, err = unknown, nil
		}
	}
	if err != nil {
		return a.stop(Finding{Where: where, Reason: err.Error()})
	}
	if name, _, ok := checkpoint.SplitOrigin(signed.Origin); !ok || name != a.meta.Origin {
		return a.stop(Finding{Position: signed.Size, Where: where, Reason: "it is of another log", Found: a.meta.Origin, Claimed: fmt.Sprintf("%.300q", signed.Origin)})
	}
	signed.Extensions = nil // signed, and not about the records
	c := Checkpoint{Where: where, Origin: signed.Origin, Size: signed.Size, By: []string{}}
	for _, s := range signed.By {
		c.By = append(c.By, s.Key())
	}
	a.report.Checkpoints = append(a.report.Checkpoints, c)
	a.notes = append(a.notes, heldNote{signed.Checkpoint, len(a.report.Checkpoints) - 1})
	return nil
}

// knows reports whether one of the signatures is said to be by a key that was
// given.
func (a *auditor) knows(list []checkpoint.Signature) bool {
	return slices.ContainsFunc(list, func(s checkpoint.Signature) bool {
		for _, k := range a.Keys {
			if k.Name() == s.Name && k.KeyHash() == s.ID {
				return true
			}
		}
		return false
	})
}

// sortNotes puts the checkpoints in the order in which the log reaches them.
func (a *auditor) sortNotes() {
	slices.SortStableFunc(a.notes, func(x, y heldNote) int {
		return int(min(max(x.Size-y.Size, -1), 1))
	})
	for len(a.notes) > 0 && a.notes[0].Size < a.meta.From-1 {
		c := &a.report.Checkpoints[a.notes[0].report]
		a.report.miss("%s is about %d records, and the bundle begins at record %d", c.Where, c.Size, a.meta.From)
		a.notes = a.notes[1:]
	}
}

// compare compares the log with the checkpoints of its present size, and keeps the
// root for the certificates of this position.
func (a *auditor) compare() error {
	size := a.log.frontier.Size()
	root := a.log.frontier.Root
	if _, wanted := a.roots[size]; wanted {
		a.roots[size] = &where{a.origin(), root()}
	}
	for len(a.notes) > 0 && a.notes[0].Size == size {
		c := &a.report.Checkpoints[a.notes[0].report]
		got := root()
		switch want := a.notes[0]; {
		case want.Origin != a.origin():
			return a.stop(Finding{Position: size, Where: c.Where, Reason: "it is of another epoch of the log", Found: a.origin(), Claimed: want.Origin})
		case want.Root != got:
			return a.stop(Finding{
				Position: size, Where: c.Where, Reason: fmt.Sprintf("a record after %d and up to %d was changed, added or removed: another root was signed", a.report.Signed, size),
				Found: base64.StdEncoding.EncodeToString(got[:]), Claimed: base64.StdEncoding.EncodeToString(want.Root[:]),
			})
		}
		c.Fits = true
		if len(c.By) > 0 {
			a.report.Signed = size
		}
		a.notes = a.notes[1:]
	}
	return nil
}

// A claim is a certificate whose position the log will have.
type claim struct {
	certificate.Certificate
	by    []string
	salt  [32]byte
	where string
}

// name says which certificate it is.
func (c claim) name() string { return c.where + " (" + c.Projection + ")" }

// certificate reads a certificate.
func (a *auditor) certificate(name string, c bundle.Certificate) error {
	read, by, err := certificate.Open(c.Note, a.Keys...)
	if err != nil && read.Projection == "" {
		return a.stop(Finding{Where: name, Reason: err.Error()})
	}
	if err != nil && len(a.Keys) > 0 {
		a.report.miss("%s: %v", name, err)
	}
	a.claims = append(a.claims, claim{read, by, c.Salt, name})
	a.roots[read.Position] = nil
	return nil
}
