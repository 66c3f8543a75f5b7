package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

func checkpointProve(a *app) *cobra.Command {
	var p prover
	cmd := &cobra.Command{
		Use:   "prove {POSITION|RECORD|DELIVERY | --from SIZE}",
		Short: "Write the proof that a record is in the log, or that the log only grew",
		Long: `Writes a file that others can check without the database (checkpoint verify).

Of a position, or the id of a record or a delivery, it is the proof that the record is
in the log under a signed checkpoint; it holds the record and the checkpoint
(c2sp.org/tlog-proof). A delivery that caused several records has one file for each.

With --from it is the proof that the log of a checkpoint still begins with the log as
it was at an earlier size: nothing was changed, left out or put in between.

The checkpoint is the newest one that is kept, or that of --under. Nothing is written
that was not checked.`,
		Example: `  daybook checkpoint prove 7 --out 7.tlog-proof
  daybook checkpoint prove 01KHV3Q0000000000000000001 --out evidence/
  daybook checkpoint prove --from 1000 --under today.checkpoint --out grown.proof`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if grown := cmd.Flags().Changed("from"); grown == (len(args) == 1) {
				return domain.Errorf(domain.Usage, "", "say either what to prove or --from SIZE").WithHint("Run: daybook checkpoint prove --help")
			}
			return a.withCheckpoint(cmd.Context(), p.under, p.to, func(db *sql.DB, under checkpoint.Signed) error {
				if len(args) == 1 {
					return a.proveRecords(cmd.Context(), db, args[0], under, p.out)
				}
				return a.proveGrowth(cmd.Context(), db, p.from, under, p.out)
			})
		},
	}
	cmd.Flags().Int64Var(&p.from, "from", 0, "prove that the log continues what it was at this number of records: the second line of an older checkpoint")
	cmd.Flags().Int64Var(&p.to, "to", 0, "number of records of the checkpoint (default: the newest)")
	cmd.Flags().StringVar(&p.under, "under", "", "file of the signed checkpoint, or of a proof under it (default: the newest that is kept)")
	cmd.Flags().StringVar(&p.out, "out", "", "file to write, or directory of files POSITION.tlog-proof (default: standard output)")
	return cmd
}

// A prover is what the flags say.
type prover struct {
	from, to   int64
	under, out string
}

// withCheckpoint runs f with a pool that reads the log and the checkpoint to prove
// under: that of the file, or, if none is named, the one of that size that is kept,
// the newest for 0.
func (a *app) withCheckpoint(ctx context.Context, file string, size int64, f func(*sql.DB, checkpoint.Signed) error) error {
	if file == "" {
		return a.withSigning(ctx, func(_ *database, s *signing) error {
			under, err := s.kept(ctx, size)
			if err != nil {
				return err
			}
			return f(s.db, under)
		})
	}
	b, err := readEvidence(file)
	if err != nil {
		return err
	}
	under, err := checkpoint.Unverified(readAs(b).note)
	if err != nil {
		return err
	}
	if size != 0 && under.Size != size {
		return domain.Errorf(domain.NotFound, "prove", "the checkpoint is of %d records, not %d", under.Size, size)
	}
	return a.withReader(ctx, func(db *sql.DB, _ *postgres.Keyring) error { return f(db, under) })
}

// kept returns the newest checkpoint that is kept, or, if size is not 0, that of
// its epoch and that size in a directory of checkpoints.
func (s *signing) kept(ctx context.Context, size int64) (checkpoint.Signed, error) {
	newest, ok := checkpointer.Newest(s.Known(ctx))
	if !ok {
		return checkpoint.Signed{}, domain.Errorf(domain.NotFound, "prove", "nothing was signed yet").
			WithHint("Run: daybook checkpoint sign")
	}
	if size == 0 || size == newest.Size {
		return newest, nil
	}
	_, epoch, _ := checkpoint.SplitOrigin(newest.Origin)
	for _, sink := range s.Sinks {
		directory, ok := sink.Sink.(*checkpointer.Directory)
		if !ok {
			continue
		}
		b, err := directory.At(epoch, size)
		if err != nil {
			return checkpoint.Signed{}, err
		}
		if b != nil {
			return checkpoint.Unverified(b)
		}
	}
	return checkpoint.Signed{}, domain.Errorf(domain.NotFound, "prove", "no checkpoint of %d records is kept here; the newest is of %d", size, newest.Size).
		WithHint("Give the signed checkpoint of that size: --under FILE")
}

// A proven is a proof as JSON.
type proven struct {
	Position int64       `json:"position,omitempty"`
	ID       *ulid.ULID  `json:"id,omitempty"`
	Kind     domain.Kind `json:"kind,omitempty"`
	From     *int64      `json:"from,omitempty"` // size that is continued
	Origin   string      `json:"origin"`
	Size     int64       `json:"size"`
	File     string      `json:"file,omitempty"` // where the proof was written
	Proof    string      `json:"proof,omitempty"`
}

// proveRecords writes a proof for each record that what names.
func (a *app) proveRecords(ctx context.Context, db *sql.DB, what string, under checkpoint.Signed, out string) error {
	first, err := strconv.ParseInt(what, 10, 64)
	last := first
	if err != nil {
		id, err := ulid.ParseStrict(what)
		if err != nil {
			return domain.Errorf(domain.Usage, "", "%.40q is neither a position nor the id of a record or a delivery", what).
				WithHint("Positions and ids are in: daybook view log/records")
		}
		if first, last, err = postgres.Located(ctx, db, id); err != nil {
			return err
		}
	}
	directory := isDirectory(out)
	if first < last && !directory && (out != "" || a.output == "table") {
		return domain.Errorf(domain.Usage, "", "the delivery caused the records %d to %d, and a file holds one proof", first, last).
			WithHint("Give a directory: --out DIRECTORY/")
	}
	for position := first; position <= last; position++ {
		r, hashes, err := postgres.ProveRecord(ctx, db, position, under.Checkpoint)
		if err != nil {
			return err
		}
		proof := checkpoint.Proof{Extra: r.AppendBytes(nil), Index: position - 1, Hashes: hashes, Checkpoint: under.Note}
		file := out
		if directory {
			file = filepath.Join(out, fmt.Sprintf("%d.tlog-proof", position))
		}
		done := proven{Position: position, ID: &r.ID, Kind: r.Kind, Origin: under.Origin, Size: under.Size}
		if err := a.writeProof(done, file, proof.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// proveGrowth writes the proof that the checkpoint continues the log as it was
// at an earlier size.
func (a *app) proveGrowth(ctx context.Context, db *sql.DB, from int64, under checkpoint.Signed, out string) error {
	if from > under.Size {
		return domain.Errorf(domain.Usage, "prove", "--from is %d, and the checkpoint is of %d records", from, under.Size).
			WithHint("SIZE is the second line of the older checkpoint.")
	}
	hashes, err := postgres.ProveConsistency(ctx, db, from, under.Checkpoint)
	if err != nil {
		return err
	}
	if isDirectory(out) {
		out = filepath.Join(out, fmt.Sprintf("%d-%d.consistency", from, under.Size))
	}
	proof := checkpoint.Consistency{Older: from, Hashes: hashes, Checkpoint: under.Note}
	return a.writeProof(proven{From: &from, Origin: under.Origin, Size: under.Size}, out, proof.Bytes())
}

func isDirectory(path string) bool {
	if path != "" && os.IsPathSeparator(path[len(path)-1]) {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// writeProof writes a proof to a file, or to standard output if there is none.
func (a *app) writeProof(done proven, file string, proof []byte) error {
	if file == "" {
		if a.output == "json" || a.output == "ndjson" {
			done.Proof = string(proof)
			return a.writeJSON(done)
		}
		_, err := a.stdout.Write(proof)
		return err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o750), os.WriteFile(file, proof, 0o600)); err != nil {
		return domain.Errorf(domain.Refused, "write proof", "%w", err)
	}
	done.File = file
	if a.output == "json" || a.output == "ndjson" {
		return a.writeJSON(done)
	}
	what := fmt.Sprintf("record %d", done.Position)
	if done.From != nil {
		what = fmt.Sprintf("continues %d", *done.From)
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %s · %d records of %s\n", file, what, done.Size, printable(done.Origin))
	return err
}
