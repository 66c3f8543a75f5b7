package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

func checkpointShow(a *app) *cobra.Command {
	var note, key bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what was signed last, here, in every sink and by every witness",
		Long: `Shows the newest checkpoint that is kept here, in every sink and by every witness, and
how many records of the log it does not cover yet. Auditors need the public key, which
--key prints, and a checkpoint that they keep themselves, which --note prints.

It exits with status 3 if the log is not the one that was signed.`,
		Example: `  daybook checkpoint show
  daybook checkpoint show --key > log.vkey
  daybook checkpoint show --note > january.checkpoint
  daybook checkpoint show --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSigning(cmd.Context(), func(_ *database, s *signing) error {
				switch {
				case key:
					for _, vkey := range s.vkeys {
						fmt.Fprintln(a.stdout, vkey)
					}
					return nil
				case note:
					return a.writeNewestNote(cmd.Context(), s)
				}
				return a.showCheckpoints(cmd.Context(), s)
			})
		},
	}
	cmd.Flags().BoolVar(&key, "key", false, "print the public keys of who signs, a line each, and nothing else")
	cmd.Flags().BoolVar(&note, "note", false, "print the newest checkpoint as it was signed, and nothing else")
	cmd.MarkFlagsMutuallyExclusive("key", "note")
	return cmd
}

// writeNewestNote writes the newest checkpoint that is known.
func (a *app) writeNewestNote(ctx context.Context, s *signing) error {
	known, err := s.Check(ctx)
	if err != nil {
		return err
	}
	newest, ok := checkpointer.Newest(known)
	if !ok {
		return domain.Errorf(domain.NotFound, "checkpoint", "nothing was signed yet").WithHint("Run: daybook checkpoint sign")
	}
	_, err = a.stdout.Write(newest.Note)
	return err
}

// shownColumns are what is said of each place that keeps a checkpoint.
var shownColumns = []projections.Column{
	{Name: "place", Type: projections.TypeText},
	{Name: "size", Type: projections.TypeInteger, Optional: true},
	{Name: "behind", Type: projections.TypeInteger, Optional: true},
	{Name: "at", Type: projections.TypeTime, Optional: true},
	{Name: "origin", Type: projections.TypeText},
	{Name: "root", Type: projections.TypeText},
	{Name: "signed_by", Type: projections.TypeText},
	{Name: "error", Type: projections.TypeText},
}

func (a *app) showCheckpoints(ctx context.Context, s *signing) error {
	known, differs := s.Check(ctx)
	if differs != nil && domain.CodeOf(differs) != domain.Differs {
		return differs
	}
	epoch, end, err := s.auditor.End(ctx)
	if err != nil {
		return err
	}
	row := func(place string, c checkpoint.Signed, at time.Time, by string, failed error) []projections.Cell {
		cells := []projections.Cell{{Text: place}, {Null: true}, {Null: true}, {Null: true}, {Text: c.Origin}, {}, {Text: by}, {}}
		if c.Origin != "" {
			cells[1], cells[5] = projections.Cell{Text: strconv.FormatInt(c.Size, 10)}, projections.Cell{Text: c.Root.String()}
			if _, of, ok := checkpoint.SplitOrigin(c.Origin); ok && of == epoch {
				cells[2] = projections.Cell{Text: strconv.FormatInt(end.Size()-c.Size, 10)}
			}
		}
		if !at.IsZero() {
			cells[3] = projections.Cell{Text: at.UTC().Format(time.RFC3339)}
		}
		if failed != nil {
			cells[7].Text = failed.Error()
		}
		return cells
	}
	root := end.Root()
	rows := [][]projections.Cell{row("log", checkpoint.Signed{Checkpoint: checkpoint.Checkpoint{
		Origin: checkpoint.Origin(s.Name, epoch), Size: end.Size(), Root: root,
	}}, time.Time{}, "", nil)}
	for _, k := range known {
		place := "here"
		if k.Where != "" {
			place = "sink " + k.Where
		}
		rows = append(rows, row(place, k.Signed, k.At, signers(k.Signed), k.Err))
	}
	for _, w := range s.AskWitnesses(ctx, known[0].Signed) {
		rows = append(rows, row("witness "+w.Where, w.Signed, w.At, signers(w.Signed), w.Err))
	}
	if err := a.printShown(rows); err != nil {
		return err
	}
	for _, vkey := range s.vkeys {
		a.warn("key  %s", vkey)
	}
	return differs
}

// printShown prints the places. In a table what is wrong with one stands below it, in
// full, wherever the table has to end.
func (a *app) printShown(rows [][]projections.Cell) error {
	if a.output != "table" {
		return a.printWhole(render.Answer{View: "checkpoint", Columns: shownColumns, Rows: rows})
	}
	last := len(shownColumns) - 1
	table := make([][]projections.Cell, len(rows))
	for i, row := range rows {
		table[i] = row[:last]
	}
	if err := a.print(render.Answer{View: "checkpoint", Columns: shownColumns[:last], Rows: table}); err != nil {
		return err
	}
	for _, row := range rows {
		if wrong := row[last].Text; wrong != "" {
			a.warn("%s: %s", row[0].Text, wrong)
		}
	}
	return nil
}

// signers names the keys whose signatures were verified.
func signers(s checkpoint.Signed) string {
	names := ""
	for i, by := range s.By {
		if i > 0 {
			names += " "
		}
		names += by.Key()
	}
	return names
}

func checkpointSign(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "sign",
		Short: "Sign what the log holds now, and publish it",
		Long: `Reads what is new in the log, signs it if it goes on from what was signed last, has
the witnesses cosign it and gives it to the sinks. "daybook serve" does so by itself
while the log grows. It exits with status 3 if the log is not the one that was signed,
and with status 75 if it was signed and a sink or a witness did not take it.`,
		Example: "  daybook checkpoint sign\n  daybook checkpoint sign --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSigning(cmd.Context(), func(_ *database, s *signing) error {
				ctx := cmd.Context()
				known, err := s.Check(ctx)
				if err != nil {
					return err
				}
				a.tellUnknown(known)
				signed, fresh, err := s.Sign(ctx)
				if err != nil {
					return err
				}
				if signed.Origin == "" {
					a.warn("the log is empty: there is nothing to sign")
					return nil
				}
				s.Publish(ctx)
				if !fresh {
					a.warn("nothing is new since it was signed last")
				}
				status := s.Status()
				if a.output == "table" {
					if _, err := a.stdout.Write(status.Signed.Note); err != nil {
						return err
					}
				} else if err := a.printWhole(render.Answer{View: "checkpoint", Columns: signedColumns, Rows: [][]projections.Cell{signedRow(status.Signed)}}); err != nil {
					return err
				}
				return status.Failed()
			})
		},
	}
}

// signedColumns are what is said of a checkpoint that was signed.
var signedColumns = []projections.Column{
	{Name: "origin", Type: projections.TypeText},
	{Name: "size", Type: projections.TypeInteger},
	{Name: "root", Type: projections.TypeText},
	{Name: "note", Type: projections.TypeText},
}

func signedRow(s checkpoint.Signed) []projections.Cell {
	return []projections.Cell{{Text: s.Origin}, {Text: strconv.FormatInt(s.Size, 10)}, {Text: s.Root.String()}, {Text: string(s.Note)}}
}

func checkpointRotate(a *app) *cobra.Command {
	var finish bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the key that signs checkpoints",
		Long: `Makes a new signing key. From the next start of "daybook serve" on the new and the
old key both sign, so that everybody has time to take the new public key up: auditors,
and witnesses, whose --log is given twice meanwhile. Once they have, --finish drops the
old one. Keep its public key: what it signed stays valid.`,
		Example: "  daybook checkpoint rotate\n  daybook checkpoint rotate --finish",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withSigning(cmd.Context(), func(d *database, s *signing) error {
				if finish {
					return a.finishRotation(cmd.Context(), d, s)
				}
				if err := d.files.RotateSigners(s.Name); err != nil {
					return err
				}
				return a.printSigners(d)
			})
		},
	}
	cmd.Flags().BoolVar(&finish, "finish", false, "drop the old key")
	return cmd
}

// finishRotation drops the old key, once what was signed last bears the new one's
// signature: nobody could tell otherwise that the log goes on.
func (a *app) finishRotation(ctx context.Context, d *database, s *signing) error {
	if len(s.Keys) > 1 {
		for _, k := range s.Known(ctx) {
			if k.Err == nil && (k.None() || k.Signed.SignedBy(s.Keys[0].Verifier)) {
				continue
			}
			return domain.Errorf(domain.Refused, "checkpoint", "what is kept %s is not signed with the new key yet", keptWhere(k.Where)).
				WithHint("Start daybook serve again, so that it signs with both keys, and run: daybook checkpoint sign")
		}
	}
	if err := d.files.DropSigner(); err != nil {
		return err
	}
	return a.printSigners(d)
}

// printSigners prints the public keys that there are now.
func (a *app) printSigners(d *database) error {
	skeys, err := d.files.Signers()
	if err != nil {
		return err
	}
	for _, skey := range skeys {
		vkey, err := checkpoint.VerifierKey(skey)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, vkey)
	}
	a.warn(`restart "daybook serve", and give auditors and witnesses the public keys above`)
	return nil
}
