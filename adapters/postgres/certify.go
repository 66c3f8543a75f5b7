package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
)

// A Signer is who certifies.
type Signer struct {
	Name string // of the log
	Key  string // secret, in its text form; the salts of the certificate follow from it
}

// A RowWatch is told the rows of a table in their order, with their leaves.
type RowWatch func(cells []projections.Cell, leaf tree.Hash)

// Certify folds the log from its beginning up to where the live tables of p are,
// and returns a certificate of them, not signed yet. If the live tables are not
// what the log gives, that is an error with code Differs, and there is none. Watch,
// unless nil, is told the rows of table.
func (e *Projector) Certify(ctx context.Context, p *projections.Projection, by Signer, table projections.Table, watch RowWatch, progress Progress) (c certificate.Certificate, err error) {
	err = inTx(ctx, e.db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(tx *sql.Tx) error {
		if c, err = certifiable(ctx, tx, p, by.Name); err != nil {
			return err
		}
		tables := projections.NewCertified(p, c.Salt(by.Key))
		if watch != nil {
			tables.Watch(table, watch)
		}
		for page, err := range decoded(ctx, tx, []*projections.Projection{p}, 0, c.Position, pageSize) {
			if err != nil {
				return err
			}
			for _, r := range page {
				if err := tables.Fold(r); err != nil {
					return domain.Errorf(domain.Differs, "certify "+p.Name, "%w", err).WithHint("Upgrade daybook, or correct the fact by a new one.")
				}
			}
			if progress != nil {
				progress(page[len(page)-1].Position, c.Position)
			}
		}
		live, err := liveDigest(ctx, tx, p)
		if err != nil {
			return err
		}
		origin, position, root := c.Origin, c.Position, c.Root
		c = tables.Certificate(0)
		c.Origin, c.Position, c.Root = origin, position, root
		if live != c.Digest {
			return domain.Errorf(domain.Differs, "certify "+p.Name, "the live tables are %s, and the log gives %s", live, c.Digest).
				WithHint("Nothing was signed. See which rows differ: daybook projection verify " + p.Name)
		}
		return nil
	})
	return c, err
}

// certifiable returns what a certificate of the live tables of p is about.
func certifiable(ctx context.Context, tx *sql.Tx, p *projections.Projection, name string) (c certificate.Certificate, err error) {
	c.Projection, c.Version = p.Name, p.Version
	var version int
	err = tx.QueryRowContext(ctx, `SELECT c.position, p.version FROM cursor c, projection p WHERE c.follower = $1 AND p.name = $2`, Follower(p), p.Name).
		Scan(&c.Position, &version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, noTables(p.Name)
	case err != nil:
		return c, err
	case version != p.Version:
		return c, domain.Errorf(domain.Refused, "certify "+p.Name, "its tables are of version %d and the code is of version %d", version, p.Version).
			WithHint("Run: daybook projection rebuild " + p.Name)
	}
	frontier, err := frontierAt(ctx, tx, c.Position)
	if err != nil {
		return c, err
	}
	forks, err := forksOf(ctx, tx)
	if err != nil {
		return c, err
	}
	c.Root, c.Origin = frontier.Root(), checkpoint.Origin(name, epochAt(forks, c.Position))
	return c, nil
}
