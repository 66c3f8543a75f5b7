package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// evidence is what somebody kept outside the database and hands to log verify.
type evidence struct {
	checkpoints, keys, receipts []string // files, but for keys, which may be texts
}

func logVerify(a *app) *cobra.Command {
	var check postgres.LogCheck
	var files evidence
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compute the whole log again and compare, also with what is kept outside",
		Long: `Reads every record, every delivery and every scope once, and computes everything
again that the log says of itself: bytes against leaves, every root, positions
without a gap, times that never run backwards, the head and the tiles.

Who rewrites records with all their hashes, or puts an old backup in place of the
log, leaves a log that agrees with itself: only what is kept outside the database
tells. Compared are the checkpoints of the configured sinks and those given with
--checkpoint, signed by a key given with --key, and receipts that senders kept
(the JSON that a webhook is answered with).

It says OK, FAIL (the first position that is wrong, and both hashes) or INCOMPLETE
(what is missing to be sure), and exits with status 3 unless it is OK.`,
		Example: `  daybook log verify
  daybook log verify --checkpoint january.checkpoint --key log.vkey
  daybook log verify --receipt receipt.json --json
  daybook log verify --from 100000 --to 200000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.logVerify(cmd.Context(), check, files) },
	}
	flags := cmd.Flags()
	flags.Int64Var(&check.From, "from", 0, "position to begin with; of the records before only the leaves are read")
	flags.Int64Var(&check.To, "to", 0, "position to end with; 0 is the end of the log")
	flags.StringArrayVar(&files.checkpoints, "checkpoint", nil, "file with a signed checkpoint; may be given several times")
	flags.StringArrayVar(&files.keys, "key", nil, "public key, or a file with public keys, that checkpoints are signed with")
	flags.StringArrayVar(&files.receipts, "receipt", nil, "file with receipts that a sender kept")
	return cmd
}

func (a *app) logVerify(ctx context.Context, check postgres.LogCheck, files evidence) (err error) {
	if check.From < 0 || check.To < 0 {
		return domain.Errorf(domain.Usage, "", "positions begin with 1")
	}
	d, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	given, err := files.readCheckpoints(cmp.Or(a.config.Checkpoint.Origin, "daybook/"+d.book))
	if err != nil {
		return err
	}
	if check.Receipts, err = files.readReceipts(); err != nil {
		return err
	}
	kept, err := a.readKept(ctx, d)
	if err != nil {
		return err
	}
	check.Checkpoints, check.Unread = append(kept.checkpoints, given...), kept.unread
	db, err := d.open(ctx, postgres.RoleAuditor, postgres.AuditConns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	check.Now = time.Now()
	progress := a.progress("verify log")
	v, err := postgres.VerifyLog(ctx, db, check, progress.update)
	progress.end()
	if err != nil {
		return err
	}
	if a.output == "json" || a.output == "ndjson" {
		if err := a.writeJSON(v); err != nil {
			return err
		}
	} else {
		writeVerification(a.stdout, v, time.Since(check.Now))
	}
	return logVerdict(v)
}

// logVerdict is the error of a log that is not OK, nil for one that is.
func logVerdict(v postgres.LogVerification) error {
	switch v.Result {
	case domain.OK:
		return nil
	case domain.Fail:
		more := ""
		if n := int64(len(v.Findings)-1) + v.More; n > 0 {
			more = fmt.Sprintf("; %d more", n)
		}
		return domain.Errorf(domain.Differs, "log verify", "FAIL: %s%s", v.Findings[0], more).
			WithHint("Keep the database as it is, find out who could write to it, and compare with a backup and with checkpoints and receipts.")
	}
	return domain.Errorf(domain.Differs, "log verify", "INCOMPLETE: %s", strings.Join(v.Missing, "; ")).
		WithHint("Give what is missing, such as --checkpoint FILE --key VKEY, or configure where checkpoints are kept.")
}

// writeVerification says for people what was found.
func writeVerification(w io.Writer, v postgres.LogVerification, spent time.Duration) {
	n := max(v.To-v.From+1, 0)
	rate := int64(float64(n) / max(spent.Seconds(), 1e-3))
	fmt.Fprintf(w, "log: %s · records %d to %d of %d, %d deliveries, in %s (%d records/s)\n",
		v.Result, v.From, v.To, v.Head, v.Deliveries, spent.Round(time.Millisecond), rate)
	if v.Root != "" {
		fmt.Fprintf(w, "  root of %d records: %s\n", v.To, v.Root)
	}
	if v.Vouched > 0 {
		fmt.Fprintf(w, "  up to %d it is what a checkpoint outside the database says\n", v.Vouched)
	}
	if v.Receipts > 0 {
		fmt.Fprintf(w, "  %d records are those of the receipts\n", v.Receipts)
	}
	for _, f := range v.Findings {
		at := fmt.Sprint(f.Position)
		if f.Until > f.Position {
			at += fmt.Sprint(" to ", f.Until)
		}
		fmt.Fprintf(w, "  position %s: %s\n", at, f.What)
		if f.Stored != "" {
			fmt.Fprintf(w, "    there is     %s\n    it should be %s\n", f.Stored, f.Computed)
		}
	}
	if v.More > 0 {
		fmt.Fprintf(w, "  and %d more\n", v.More)
	}
	for _, m := range v.Missing {
		fmt.Fprintf(w, "  missing: %s\n", m)
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

// readCheckpoints returns the checkpoints of the log of that name that the files
// hold, be they notes or proofs. One that none of the keys signed says nothing, and is an error.
func (e evidence) readCheckpoints(name string) (list []postgres.KeptCheckpoint, err error) {
	keys, err := readVerifiers(e.keys)
	if err != nil {
		return nil, err
	}
	for _, file := range e.checkpoints {
		text, err := readEvidence(file)
		if err != nil {
			return nil, err
		}
		signed, err := checkpoint.Open(readAs(text).note, keys...)
		if err != nil {
			return nil, domain.Errorf(domain.Usage, file, "%w", err).WithHint("Give the public key that it is signed with: --key VKEY")
		}
		if origin, _, ok := checkpoint.SplitOrigin(signed.Origin); !ok || origin != name {
			return nil, domain.Errorf(domain.Usage, file, "it is of the log %s, and this one is %s", signed.Origin, name)
		}
		list = append(list, postgres.KeptCheckpoint{Where: file, Checkpoint: signed.Checkpoint})
	}
	return list, nil
}

// readReceipts returns the records of the receipts in the files, JSON objects one
// after the other.
func (e evidence) readReceipts() (list []postgres.KeptReceipt, err error) {
	for _, file := range e.receipts {
		text, err := readEvidence(file)
		if err != nil {
			return nil, err
		}
		for dec := json.NewDecoder(bytes.NewReader(text)); ; {
			var r domain.Receipt
			if err := dec.Decode(&r); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, domain.Errorf(domain.Usage, file, "it is not a receipt: %w", err)
			}
			for _, record := range r.Records {
				leaf, err := base64.StdEncoding.DecodeString(record.Leaf)
				if err != nil || len(leaf) != tree.HashSize || record.Position < 1 {
					return nil, domain.Errorf(domain.Usage, file, "the receipt of %s has no leaf for record %d", r.Delivery, record.Position)
				}
				list = append(list, postgres.KeptReceipt{Where: file, Position: record.Position, ID: record.ID, Leaf: tree.Hash(leaf)})
			}
		}
	}
	if len(e.receipts) > 0 && len(list) == 0 {
		return nil, domain.Errorf(domain.Usage, "--receipt", "there is no record in the receipts").
			WithHint("A receipt is the JSON that a webhook is answered with.")
	}
	return list, nil
}
