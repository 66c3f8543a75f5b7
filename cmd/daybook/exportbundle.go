package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// A bundleExport is what the flags say.
type bundleExport struct {
	postgres.Bundle
	out                       string
	checkpoints, certificates []string // files
}

func exportBundle(a *app) *cobra.Command {
	var e bundleExport
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Write the log, or a part of it, as one file that can be audited offline",
		Long: `Writes the records from one position to another, with the deliveries that caused
them, the checkpoints that are known and those of --checkpoint, and the certificates
of --certificate, as one tar archive: it is text, which tar, less and grep show. It
is read from one snapshot while everything else goes on, and nothing is written that
is not what its leaves and the checkpoints say.

Without --to it ends with the newest checkpoint, since what follows is signed by
nobody. From record 1 all balances come out of it. With --bodies it also holds the
sealed bytes of every delivery, which are in any case what the records commit to.`,
		Example: `  daybook export bundle --out book.tar
  daybook export bundle --from 1 --to 5000 --certificate credits.certificate --out book.tar
  daybook export bundle | zstd > book.tar.zst`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.refuseTerminal(e.out); err != nil {
				return err
			}
			return a.exportBundle(cmd.Context(), e)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&e.From, "from", 1, "position of the first record")
	flags.Int64Var(&e.To, "to", 0, "position of the last record (default: that of the newest checkpoint)")
	flags.BoolVar(&e.Bodies, "bodies", false, "with the sealed headers and bodies of deliveries")
	flags.StringVar(&e.out, "out", "", "file to write (default: standard output)")
	flags.StringArrayVar(&e.checkpoints, "checkpoint", nil, "file of a signed checkpoint to include; may be repeated")
	flags.StringArrayVar(&e.certificates, "certificate", nil, "file of a balance certificate to include; may be repeated")
	return cmd
}

func (a *app) exportBundle(ctx context.Context, e bundleExport) error {
	return a.withSigning(ctx, func(d *database, s *signing) error {
		e.Name = s.Name
		known := s.Known(ctx)
		a.tellUnknown(known)
		if err := e.addCheckpoints(known); err != nil {
			return err
		}
		if err := e.addCertificates(d); err != nil {
			return err
		}
		newest := e.newest()
		if e.To == 0 && newest >= e.From {
			e.To = newest
		}
		var last int64
		err := a.writeOut(e.out, func(w io.Writer) (err error) {
			progress := a.progress("export bundle")
			last, err = postgres.WriteBundle(ctx, s.db, w, e.Bundle, progress.update)
			progress.end()
			return err
		})
		if err != nil {
			return err
		}
		if newest < last {
			a.warn("no checkpoint covers the records %d to %d: an audit will say INCOMPLETE. Sign one first: daybook checkpoint sign", max(newest+1, e.From), last)
		}
		return a.tellBundle(e, last)
	})
}

// newest returns the size of the newest checkpoint.
func (e *bundleExport) newest() int64 {
	if len(e.Checkpoints) == 0 {
		return 0
	}
	return e.Checkpoints[len(e.Checkpoints)-1].Size
}

// addCheckpoints adds those of the files to those that are known, by size. Of one
// that is there twice, the one that more have signed stays.
func (e *bundleExport) addCheckpoints(places []checkpointer.Known) error {
	var known []checkpoint.Signed
	for _, k := range places {
		if k.Err == nil && !k.None() {
			known = append(known, k.Signed)
		}
	}
	for _, file := range e.checkpoints {
		msg, err := os.ReadFile(file)
		if err != nil {
			return domain.Errorf(domain.Usage, "", "%w", err)
		}
		s, err := checkpoint.Unverified(msg)
		if err != nil {
			return domain.Errorf(domain.Usage, "", "%s: %w", file, err)
		}
		known = append(known, s)
	}
	slices.SortStableFunc(known, func(x, y checkpoint.Signed) int {
		return cmp.Or(cmp.Compare(x.Size, y.Size), cmp.Compare(x.Origin, y.Origin), cmp.Compare(len(y.Unknown)+len(y.By), len(x.Unknown)+len(x.By)))
	})
	known = slices.CompactFunc(known, func(x, y checkpoint.Signed) bool { return x.Size == y.Size && x.Origin == y.Origin && x.Root == y.Root })
	for _, s := range known {
		e.Checkpoints, e.Notes = append(e.Checkpoints, s.Checkpoint), append(e.Notes, s.Note)
	}
	return nil
}

// addCertificates adds those of the files, with the salts that follow from who
// signed them.
func (e *bundleExport) addCertificates(d *database) error {
	keys, err := d.signers()
	if err != nil {
		return err
	}
	for _, file := range e.certificates {
		msg, err := os.ReadFile(file)
		if err != nil {
			return domain.Errorf(domain.Usage, "", "%w", err)
		}
		var opened bool
		for _, k := range keys {
			c, _, err := certificate.Open(msg, k.verifier)
			if err == nil {
				e.Certificates = append(e.Certificates, bundle.Certificate{Note: msg, Salt: c.Salt(k.secret)})
				opened = true
				break
			}
		}
		if !opened {
			return domain.Errorf(domain.Usage, "", "%s is no certificate that a key of this log signed", file).
				WithHint("Make one: daybook export certificate credits --out " + file)
		}
	}
	return nil
}

// tellBundle says what was written, unless it was written to stdout.
func (a *app) tellBundle(e bundleExport, last int64) error {
	if e.out == "" {
		return nil
	}
	info, err := os.Stat(e.out)
	if err != nil {
		return err
	}
	if a.output == "json" || a.output == "ndjson" {
		return a.writeJSON(struct {
			File   string `json:"file"`
			Bytes  int64  `json:"bytes"`
			Origin string `json:"origin"`
			From   int64  `json:"from"`
			To     int64  `json:"to"`
			Bodies bool   `json:"bodies"`
		}{e.out, info.Size(), e.Name, e.From, last, e.Bodies})
	}
	_, err = fmt.Fprintf(a.stdout, "%s: records %d to %d of %s, %d bytes\n", e.out, e.From, last, e.Name, info.Size())
	return err
}
