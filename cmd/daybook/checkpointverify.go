package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

func checkpointVerify(a *app) *cobra.Command {
	var v evidenceVerifier
	var keys []string
	var old, record string
	cmd := &cobra.Command{
		Use:   "verify FILE…",
		Short: "Check checkpoints and proofs, without a database and offline",
		Long: `Checks files that "checkpoint show" and "checkpoint prove" wrote: checkpoints, proofs
that a record is in the log, and proofs that the log only grew. It needs no database,
no network and no trust in who wrote them: only the public keys of who is to have
signed, as text or in a file with one a line. One of the log's keys must have signed
everything; of witnesses' keys, all that are given.

With --old it also checks that the log still begins with what an older checkpoint
says. Where the two are of different sizes, one of the files must be the proof of
that (checkpoint prove --from).

It says of each file OK, FAIL (why) or INCOMPLETE (what is missing), and exits with
status 3 unless all are OK.`,
		Example: `  daybook checkpoint verify 7.tlog-proof --key log.vkey
  daybook checkpoint verify latest --key 'daybook/7f3a0c5d+3024154f+AYqI4910…' --key witness.vkey
  daybook checkpoint verify grown.proof --old january.checkpoint --key log.vkey`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := v.readKeys(keys); err != nil {
				return err
			}
			if err := v.readOld(old); err != nil {
				return err
			}
			if record != "" {
				var err error
				if v.record, err = readEvidence(record); err != nil {
					return err
				}
			}
			return a.verifyEvidence(&v, args)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "public key of the log or of a witness, or a file of such keys; may be repeated")
	cmd.Flags().StringVar(&old, "old", "", "file of an older checkpoint, or of a proof under it, that the log must continue")
	cmd.Flags().StringVar(&record, "record", "", "file of the record's bytes, for a proof that does not hold them")
	return cmd
}

// An evidenceVerifier checks evidence against what the user trusts.
type evidenceVerifier struct {
	logs, witnesses []note.Verifier
	record          []byte              // of the proofs that hold none; nil: not given
	old             *checkpoint.Signed  // what must be continued; nil: nothing
	oldResult       verifiedEvidence    // of its signatures
	grown           []checkpoint.Signed // proven to continue it
}

// readKeys takes the keys that were given, and tells those of logs from those of
// witnesses.
func (v *evidenceVerifier) readKeys(given []string) error {
	keys, err := readVerifiers(given)
	for _, k := range keys {
		if checkpoint.IsWitness(k) {
			v.witnesses = append(v.witnesses, k)
		} else {
			v.logs = append(v.logs, k)
		}
	}
	return err
}

// readOld takes the older checkpoint, which must be signed like all others.
func (v *evidenceVerifier) readOld(name string) error {
	if name == "" {
		return nil
	}
	b, err := readEvidence(name)
	if err != nil {
		return err
	}
	e := readAs(b)
	if e.err != nil {
		return domain.Errorf(domain.Differs, "--old "+name, "%w", e.err)
	}
	s, done := v.signed(e.note)
	if done.Result == domain.Fail {
		return domain.Errorf(domain.Differs, "--old "+name, "%s: %s", done.Result, done.Reason)
	}
	v.old, v.oldResult = &s, done
	return nil
}

// verifiedEvidence is what a file was found to be, as JSON.
type verifiedEvidence struct {
	File     string         `json:"file"`
	Result   domain.Verdict `json:"result"`
	Reason   string         `json:"reason,omitempty"` // unless it is OK
	Hint     string         `json:"hint,omitempty"`   // what to do about it
	Form     string         `json:"form"`             // checkpoint, proof or consistency
	Origin   string         `json:"origin,omitempty"`
	Size     int64          `json:"size"`
	Root     string         `json:"root,omitempty"`
	Signed   []signedBy     `json:"signed"`
	Position int64          `json:"position,omitempty"` // of the record that is proven
	Leaf     string         `json:"leaf,omitempty"`
	Record   string         `json:"record,omitempty"` // its bytes
	Since    *int64         `json:"since,omitempty"`  // size of the older checkpoint that is continued
}

// signedBy is a signature that was verified.
type signedBy struct {
	Key  string     `json:"key"`
	Time *time.Time `json:"time,omitempty"` // what a witness says
}

// but makes the verdict graver, if it is, and keeps the first reason of the
// gravest.
func (e *verifiedEvidence) but(verdict domain.Verdict, hint, format string, args ...any) {
	if e.Result.And(verdict) == e.Result {
		return
	}
	e.Result, e.Reason, e.Hint = verdict, fmt.Sprintf(format, args...), hint
}

// verifyEvidence checks the files. Proofs that the log grew come first: they may
// be what another file needs.
func (a *app) verifyEvidence(v *evidenceVerifier, names []string) error {
	list := make([]evidenceFile, len(names))
	for i, name := range names {
		b, err := readEvidence(name)
		if err != nil {
			return err
		}
		list[i] = readAs(b)
	}
	for _, e := range list {
		if e.what == "consistency" {
			v.judge(e)
		}
	}
	failed, first := 0, verifiedEvidence{}
	for i, e := range list {
		done := v.judge(e)
		done.File = names[i]
		if err := a.writeEvidence(done); err != nil {
			return err
		}
		if done.Result != domain.OK {
			if failed++; failed == 1 || done.Result == domain.Fail && first.Result != domain.Fail {
				first = done
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return domain.Errorf(domain.Differs, "checkpoint verify", "%d of %d: %s: %s: %s", failed, len(list), first.File, first.Result, first.Reason).WithHint(first.Hint)
}

// judge says what a file proves.
func (v *evidenceVerifier) judge(e evidenceFile) verifiedEvidence {
	if e.err != nil {
		return verifiedEvidence{Result: domain.Fail, Form: e.what, Reason: e.err.Error(), Signed: []signedBy{}}
	}
	s, done := v.signed(e.note)
	done.Form = e.what
	if done.Result == domain.Fail {
		return done
	}
	if e.what == "proof" {
		v.inclusion(e.proof, s, &done)
	}
	v.continues(e, s, &done)
	return done
}

// signed opens the checkpoint and says who signed it, and who ought to have.
func (v *evidenceVerifier) signed(msg []byte) (s checkpoint.Signed, done verifiedEvidence) {
	done = verifiedEvidence{Result: domain.OK, Signed: []signedBy{}}
	keys := slices.Concat(v.logs, v.witnesses)
	var err error
	if len(keys) > 0 {
		s, err = checkpoint.Open(msg, keys...)
	} else {
		s, err = checkpoint.Unverified(msg)
	}
	if err != nil {
		done.but(domain.Fail, "", "%v", err)
		return s, done
	}
	done.Origin, done.Size, done.Root = s.Origin, s.Size, s.Root.String()
	for _, by := range s.By {
		at := &by.Time
		if by.Time.IsZero() {
			at = nil
		}
		done.Signed = append(done.Signed, signedBy{by.Key(), at})
	}
	v.signedByLog(s, &done)
	for _, w := range v.witnesses {
		if !s.SignedBy(w) {
			done.but(domain.Incomplete, "Ask for the checkpoint with its signature, or for a newer one.", "the witness %s+%08x has not signed", w.Name(), w.KeyHash())
		}
	}
	return s, done
}

// signedByLog requires the signature of one of the log's keys, if any are given,
// and that the key is of the log that the origin names.
func (v *evidenceVerifier) signedByLog(s checkpoint.Signed, done *verifiedEvidence) {
	if len(v.logs) == 0 {
		done.but(domain.Incomplete, "Give the log's public key, from somebody you trust: --key", "no key of the log is given, so nothing says who made it")
		return
	}
	name, _, _ := checkpoint.SplitOrigin(s.Origin)
	i := slices.IndexFunc(v.logs, s.SignedBy)
	switch {
	case i < 0:
		done.but(domain.Fail, "", "none of the log's keys that are given signed it")
	case v.logs[i].Name() != name && v.logs[i].Name() != s.Origin:
		done.but(domain.Fail, "", "it says that it is of the log %s, and the key is of %s", printable(s.Origin), v.logs[i].Name())
	}
}

// inclusion checks that the record is where the proof says.
func (v *evidenceVerifier) inclusion(p checkpoint.Proof, s checkpoint.Signed, done *verifiedEvidence) {
	record := p.Extra
	if record == nil {
		record = v.record
	}
	done.Position = p.Index + 1
	if record == nil {
		done.but(domain.Incomplete, "Give the record's bytes: --record FILE", "it proves that some record is at position %d, and does not hold the record", done.Position)
		return
	}
	leaf := tree.Leaf(record)
	done.Leaf, done.Record = leaf.String(), string(record)
	if err := tree.CheckInclusion(p.Hashes, s.Size, s.Root, p.Index, leaf); err != nil {
		done.but(domain.Fail, "", "%v", err)
		return
	}
	if says, ok := positionOf(record); ok && says != done.Position {
		done.but(domain.Fail, "", "the record says that it is at position %d, and is at %d", says, done.Position)
	}
}

// positionOf returns the position that a record's bytes say, if they are those of
// a record of daybook's.
func positionOf(record []byte) (int64, bool) {
	rest, ok := bytes.CutPrefix(record, []byte("daybook record v1\nposition "))
	if !ok {
		return 0, false
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(line), 10, 64)
	return n, err == nil
}

// continues checks that the file's checkpoint continues the older one.
func (v *evidenceVerifier) continues(e evidenceFile, s checkpoint.Signed, done *verifiedEvidence) {
	switch {
	case v.old == nil:
		if e.what == "consistency" {
			done.but(domain.Incomplete, "Give the checkpoint of that size: --old FILE", "it proves that the log continues a checkpoint of %d records, which is not given", e.consistency.Older)
		}
		return
	case s.Origin != v.old.Origin:
		v.otherOrigin(s, done)
		return
	case s.Size < v.old.Size:
		done.but(domain.Incomplete, "Give a newer one, or --old an older one.", "it is of %d records, fewer than the %d of --old", s.Size, v.old.Size)
		return
	}
	done.Since = &v.old.Size
	done.but(v.oldResult.Result, v.oldResult.Hint, "of --old: %s", v.oldResult.Reason)
	switch {
	case e.what == "consistency" && e.consistency.Older != v.old.Size:
		done.but(domain.Incomplete, fmt.Sprintf("Ask for: daybook checkpoint prove --from %d", v.old.Size),
			"it proves that the log continues a checkpoint of %d records, and --old is of %d", e.consistency.Older, v.old.Size)
	case e.what == "consistency":
		if err := s.Continues(v.old.Checkpoint, e.consistency.Hashes); err != nil {
			done.but(domain.Fail, "", "%v", err)
		} else {
			v.grown = append(v.grown, s)
		}
	case s.Size == v.old.Size || v.old.Size == 0:
		if err := s.Continues(v.old.Checkpoint, nil); err != nil {
			done.but(domain.Fail, "", "%v", err)
		}
	case !slices.ContainsFunc(v.grown, func(g checkpoint.Signed) bool { return g.Text() == s.Text() }):
		done.but(domain.Incomplete, fmt.Sprintf("Ask for: daybook checkpoint prove --from %d --to %d", v.old.Size, s.Size),
			"nothing proves that it continues the checkpoint of %d records", v.old.Size)
	}
}

// otherOrigin says what it means that the older checkpoint has another origin.
func (v *evidenceVerifier) otherOrigin(s checkpoint.Signed, done *verifiedEvidence) {
	name, epoch, ok := checkpoint.SplitOrigin(s.Origin)
	oldName, oldEpoch, oldOK := checkpoint.SplitOrigin(v.old.Origin)
	if !ok || !oldOK || name != oldName {
		done.but(domain.Fail, "", "it is of the log %s, and --old is of %s", printable(s.Origin), printable(v.old.Origin))
		return
	}
	done.but(domain.Incomplete, "The record that opened the epoch says why, and names the last checkpoint before it: daybook view log/records kind=log.forked.v1",
		"the log was forked in between: it is of epoch %d, and --old is of epoch %d", epoch, oldEpoch)
}

// writeEvidence prints what a file was found to be.
func (a *app) writeEvidence(e verifiedEvidence) error {
	if a.output == "json" || a.output == "ndjson" {
		return a.writeJSON(e)
	}
	if e.Result != domain.OK {
		_, err := fmt.Fprintf(a.stdout, "%s: %s · %s\n", e.File, e.Result, printable(e.Reason))
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: OK", e.File)
	if e.Position > 0 {
		fmt.Fprintf(&b, " · record %d", e.Position)
	}
	fmt.Fprintf(&b, " · %d records of %s", e.Size, printable(e.Origin))
	if e.Since != nil {
		fmt.Fprintf(&b, " · the first %d are those of --old", *e.Since)
	}
	for _, by := range e.Signed {
		fmt.Fprintf(&b, " · signed by %s", by.Key)
		if by.Time != nil {
			fmt.Fprintf(&b, " at %s", by.Time.Format(time.RFC3339))
		}
	}
	b.WriteByte('\n')
	for line := range strings.Lines(e.Record) {
		fmt.Fprintf(&b, "  %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}
