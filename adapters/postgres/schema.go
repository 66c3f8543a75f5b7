package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// create makes the tables of p, empty.
func create(ctx context.Context, tx *sql.Tx, p *projections.Projection) error {
	if err := createSchema(ctx, tx, p.Name, p); err != nil {
		return err
	}
	for _, t := range p.Tables {
		if err := indexTable(ctx, tx, p.Name, t); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO cursor (follower) VALUES ($1) ON CONFLICT (follower) DO UPDATE SET position = 0`, Follower(p)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO projection (name, version) VALUES ($1, $2)`, p.Name, p.Version)
	return err
}

// isWhole reports whether the cursor and all tables of p are there. A cursor that
// was lost is made again, at the beginning.
func isWhole(ctx context.Context, tx *sql.Tx, p *projections.Projection) (bool, error) {
	made, err := tx.ExecContext(ctx, `INSERT INTO cursor (follower) VALUES ($1) ON CONFLICT DO NOTHING`, Follower(p))
	if err != nil {
		return false, err
	}
	if n, err := made.RowsAffected(); err != nil || n > 0 {
		return false, err
	}
	for _, t := range p.Tables {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, relation(p.Name, t)).Scan(&there); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// schemaComment marks a schema as ours, which means that we may drop it.
const schemaComment = "tables of a daybook projection; derived from the log and rebuilt at will"

// createSchema makes a schema with the projection's empty tables.
func createSchema(ctx context.Context, tx *sql.Tx, schema string, p *projections.Projection) error {
	if err := dropSchema(ctx, tx, schema); err != nil {
		return err
	}
	for _, s := range []string{
		`CREATE SCHEMA ` + pq.QuoteIdentifier(schema),
		`COMMENT ON SCHEMA ` + pq.QuoteIdentifier(schema) + ` IS ` + pq.QuoteLiteral(schemaComment),
	} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	for _, t := range p.Tables {
		if err := createTable(ctx, tx, schema, t); err != nil {
			return err
		}
	}
	return nil
}

// notOurs says that somebody else's schema is in the way.
func notOurs(schema string) error {
	return domain.Errorf(domain.Refused, "projections", "the database has a schema %q that is not daybook's", schema).
		WithHint("Give daybook a database of its own.")
}

// dropSchema drops a schema of ours, if there is one, and refuses to drop
// somebody else's.
func dropSchema(ctx context.Context, tx *sql.Tx, schema string) error {
	var ours bool
	err := tx.QueryRowContext(ctx, `SELECT coalesce(obj_description(oid, 'pg_namespace') = $2, false) FROM pg_namespace WHERE nspname = $1`, schema, schemaComment).Scan(&ours)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case !ours:
		return notOurs(schema)
	}
	_, err = tx.ExecContext(ctx, `DROP SCHEMA `+pq.QuoteIdentifier(schema)+` CASCADE`)
	return err
}

// retireTables returns the statements that lock the old tables and move them out
// of the way, none if they were lost. They may be others than this version's.
func retireTables(ctx context.Context, tx *sql.Tx, p *projections.Projection) ([]string, error) {
	var schema, tables sql.NullString
	var ours bool
	err := tx.QueryRowContext(ctx, `SELECT to_regnamespace(quote_ident($1))::text,
		(SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables WHERE schemaname = $1),
		coalesce(obj_description(to_regnamespace(quote_ident($1)), 'pg_namespace') = $2, false)
			OR EXISTS (SELECT FROM projection WHERE name = $1 AND version > 0)`, p.Name, schemaComment).Scan(&schema, &tables, &ours)
	if err != nil || !schema.Valid {
		return nil, err
	}
	if !ours {
		return nil, notOurs(p.Name)
	}
	name := pq.QuoteIdentifier(p.Name)
	// A dump without comments has lost the mark.
	statements := []string{
		fmt.Sprintf(`SET LOCAL lock_timeout = %d`, swapPatience.Milliseconds()),
		`COMMENT ON SCHEMA ` + name + ` IS ` + pq.QuoteLiteral(schemaComment),
	}
	if tables.Valid {
		statements = append(statements, `LOCK TABLE `+tables.String+` IN ACCESS EXCLUSIVE MODE`)
	}
	return append(statements, `ALTER SCHEMA `+name+` RENAME TO `+pq.QuoteIdentifier(p.Name+"_old")), nil
}

// checkVersion refuses live tables of another version than the code's. The cursor
// must be held.
func checkVersion(ctx context.Context, tx *sql.Tx, p *projections.Projection) error {
	version, err := tablesVersion(ctx, tx, p)
	if err == nil && version != p.Version {
		err = otherVersion(p, version)
	}
	return err
}

// tablesVersion returns the version of the live tables of p, 0 if they were lost.
func tablesVersion(ctx context.Context, q querier, p *projections.Projection) (version int, err error) {
	err = q.QueryRowContext(ctx, `SELECT version FROM projection WHERE name = $1`, p.Name).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noTables(p.Name)
	}
	return version, unreachable(err)
}

// otherVersion says that the live tables are not of the code's version.
func otherVersion(p *projections.Projection, version int) error {
	if version > p.Version {
		return domain.Errorf(domain.Refused, "projection "+p.Name, "its tables are of version %d and this daybook is of version %d", version, p.Version).
			WithHint("A newer daybook made them; upgrade this one.")
	}
	if version == 0 {
		return domain.Errorf(domain.Differs, "projection "+p.Name, "its tables are not there").
			WithHint("Run: daybook projection rebuild " + p.Name)
	}
	return domain.Errorf(domain.Refused, "projection "+p.Name, "its tables are of version %d and wait to be rebuilt as version %d", version, p.Version).
		WithHint("Run: daybook projection rebuild " + p.Name)
}
