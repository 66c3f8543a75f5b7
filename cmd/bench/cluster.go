package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg/pgtest"
	"github.com/daybook-ledger/daybook/adapters/postgres"
)

// A cluster is the PostgreSQL that is measured, with its ordinary settings.
type cluster struct {
	url        string
	binDir     string
	postmaster int // process
	version    string
	durability postgres.Durability
	remove     func() error
}

func openCluster(ctx context.Context) (_ *cluster, err error) {
	c := new(cluster)
	if c.url, c.binDir, c.remove, err = pgtest.OpenDurable(ctx); err != nil {
		return nil, err
	}
	if err := c.look(ctx); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

// look checks that the cluster keeps what it commits, and finds its process.
func (c *cluster) look(ctx context.Context) (err error) {
	db, err := postgres.Open(ctx, c.url, postgres.RoleOwner, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if c.durability, err = postgres.CheckDurability(ctx, db); err != nil {
		return err
	}
	var backend int
	if err := db.QueryRowContext(ctx, `SELECT current_setting('server_version'), pg_backend_pid()`).Scan(&c.version, &backend); err != nil {
		return err
	}
	c.postmaster = parent(backend)
	return nil
}

// database makes a database and returns its URL.
func (c *cluster) database(ctx context.Context, name string) (_ string, err error) {
	db, err := postgres.Open(ctx, c.url, postgres.RoleOwner, 1)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `CREATE DATABASE `+pq.QuoteIdentifier(name)); err != nil {
		return "", err
	}
	u, err := url.Parse(c.url)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// disk returns a directory on the disk that the cluster is on.
func (c *cluster) disk(ctx context.Context) (dir string, err error) {
	db, err := postgres.Open(ctx, c.url, postgres.RoleOwner, 1)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, `SELECT current_setting('data_directory')`).Scan(&dir); err != nil {
		return "", err
	}
	dir, _, _ = strings.Cut(dir, "/pg/data")
	_, err = os.Stat(dir)
	return dir, err
}

// value returns what a query gives that has one number for an answer.
func value(ctx context.Context, db *sql.DB, query string) (n int64, err error) {
	if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}
