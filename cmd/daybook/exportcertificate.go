package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
)

func exportCertificate(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "certificate PROJECTION",
		Short: "Sign what the balances of a projection are at a position of the log",
		Long: `Folds the log from its beginning, compares with the live tables, and signs what both
say: how many rows each table has, the totals by unit, and hashes over all of it,
bound to a position and a root of the log. If the live tables differ nothing is
signed and the exit status is 3.`,
		Example:           "  daybook export certificate credits --out credits.certificate\n  daybook export certificate sales --json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeProjections,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := projectionNamed(args[0])
			if err != nil {
				return err
			}
			return a.certify(cmd.Context(), p, nil, nil, func(c certificate.Certificate, _ string, note []byte) error {
				return a.tellCertificate(out, c, note)
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return cmd
}

// certify has f told a certificate of the live tables of p, the secret key that
// signed it, and the signed note. Watch is told the rows of a table.
func (a *app) certify(ctx context.Context, p *projections.Projection, t projections.Table, watch postgres.RowWatch, f func(c certificate.Certificate, secret string, note []byte) error) error {
	return a.withSigning(ctx, func(d *database, s *signing) (err error) {
		keys, err := d.signers()
		if err != nil {
			return err
		}
		db, err := d.open(ctx, postgres.RoleProjector, 4)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		projector := postgres.NewProjector(db, allProjections())
		if err := projector.Setup(ctx); err != nil {
			return err
		}
		if err := a.catchUp(ctx, projector, p); err != nil {
			return err
		}
		progress := a.progress("certify " + p.Name)
		c, err := projector.Certify(ctx, p, postgres.Signer{Name: s.Name, Key: keys[0].secret}, t, watch, progress.update)
		progress.end()
		if err != nil {
			return err
		}
		note, err := c.Sign(keys[0].signer)
		if err != nil {
			return err
		}
		return f(c, keys[0].secret, note)
	})
}

// tellCertificate writes a certificate, and says so if it is to a file.
func (a *app) tellCertificate(out string, c certificate.Certificate, note []byte) error {
	asJSON := a.output == "json" || a.output == "ndjson"
	if out != "" || !asJSON {
		err := a.writeOut(out, func(w io.Writer) error {
			_, err := w.Write(note)
			return err
		})
		if err != nil || out == "" {
			return err
		}
	}
	if asJSON {
		return a.writeJSON(struct {
			File        string `json:"file,omitempty"`
			Projection  string `json:"projection"`
			Position    int64  `json:"position"`
			Digest      string `json:"digest"`
			Certificate string `json:"certificate"`
		}{out, c.Projection, c.Position, c.Digest, string(note)})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %s at record %d · %s\n", out, c.Projection, c.Position, c.Digest)
	return err
}

func exportBalance(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "balance VIEW KEY…",
		Short: "Write one row with the proof that it is certified, and nothing of the others",
		Long: `Writes one row of a view's table with a certificate of its projection and the proof
that the certificate commits to it. Whoever gets it can check it with "daybook
audit", and learns nothing of any other row but how many there are. KEY is what
identifies the row, in the order of the columns: source and line of
credits/balances, say; position and n of a journal. A table that has no view is
named by itself, such as sales/amounts.`,
		Example: `  daybook export balance credits/balances acme-tahdah 70412 --out balance.txt
  daybook audit balance.txt --key log.vkey`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeViews,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, t, err := tableNamed(args[0])
			if err != nil {
				return err
			}
			return a.exportBalance(cmd.Context(), p, t, args[1:], out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return cmd
}

// tableNamed returns the table of a view, or the table itself, that
// "credits/balances" names.
func tableNamed(path string) (*projections.Projection, projections.Table, error) {
	name, table, _ := strings.Cut(path, "/")
	var known []string
	for _, p := range allProjections() {
		if v, ok := p.View(table); ok && p.Name == name {
			return p, v.Table, nil
		}
		for _, t := range p.Tables {
			if p.Name == name && t.Name() == table {
				return p, t, nil
			}
			known = append(known, p.Name+"/"+t.Name())
		}
	}
	return nil, nil, domain.Errorf(domain.NotFound, "", "there is no view and no table %q", path).
		WithHint("The tables are: " + strings.Join(known, ", ") + ".")
}

// whereRows says where the keys of a table's rows are shown.
func whereRows(p *projections.Projection, t projections.Table) string {
	for _, v := range p.Views {
		if v.Table.Name() == t.Name() {
			return "See: daybook view " + p.Name + "/" + v.Name
		}
	}
	return "No view shows this table; its rows are in the schema " + p.Name + ": daybook db psql"
}

func (a *app) exportBalance(ctx context.Context, p *projections.Projection, t projections.Table, key []string, out string) error {
	columns := t.Columns()[:t.KeyColumns()]
	if len(key) != len(columns) {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		return domain.Errorf(domain.Usage, "", "a row of %s/%s is identified by %d values", p.Name, t.Name(), len(columns)).
			WithHint("Give " + strings.Join(names, ", ") + ", in that order.")
	}
	var leaves []tree.Hash
	var row []projections.Cell
	index := int64(-1)
	watch := func(cells []projections.Cell, leaf tree.Hash) {
		if slices.EqualFunc(cells[:len(key)], key, func(c projections.Cell, k string) bool { return c.Text == k }) {
			row, index = cells, int64(len(leaves))
		}
		leaves = append(leaves, leaf)
	}
	return a.certify(ctx, p, t, watch, func(c certificate.Certificate, secret string, note []byte) error {
		if row == nil {
			return domain.Errorf(domain.NotFound, "", "%s/%s has no row %s", p.Name, t.Name(), strings.Join(key, " ")).
				WithHint(whereRows(p, t))
		}
		proof, err := tree.ProveLeaf(leaves, index)
		if err != nil {
			return err
		}
		file := certificate.Proof{Row: projections.CertifiedRow(p, t, row, c.Salt(secret)), Index: index, Hashes: proof, Certificate: note}
		err = a.writeOut(out, func(w io.Writer) error {
			_, err := w.Write(file.AppendBytes(nil))
			return err
		})
		if err == nil && out != "" {
			_, err = fmt.Fprintf(a.stdout, "%s: row %s of %s/%s at record %d\n", out, strings.Join(key, " "), p.Name, t.Name(), c.Position)
		}
		return err
	})
}
