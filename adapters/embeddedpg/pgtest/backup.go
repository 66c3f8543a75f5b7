package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/lib/pq"
)

// Backup copies the database at the URL, which New returned, as it is now, and
// returns what puts the copy in its place, any number of times. Both end all its
// sessions.
func Backup(t testing.TB, at string) (restore func()) {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	copied := name + "_backup"
	do := func(ctx context.Context, statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := c.admin.ExecContext(ctx, s); err != nil {
				t.Fatal(fmt.Errorf("pgtest: %w", err))
			}
		}
	}
	replace := func(ctx context.Context, to, from string) {
		t.Helper()
		do(ctx,
			`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = `+pq.QuoteLiteral(from),
			`DROP DATABASE IF EXISTS `+pq.QuoteIdentifier(to)+` WITH (FORCE)`,
			`CREATE DATABASE `+pq.QuoteIdentifier(to)+` TEMPLATE `+pq.QuoteIdentifier(from)+` STRATEGY file_copy`)
	}
	replace(t.Context(), copied, name)
	t.Cleanup(func() {
		do(context.Background(), `DROP DATABASE IF EXISTS `+pq.QuoteIdentifier(copied)+` WITH (FORCE)`)
	})
	return func() {
		t.Helper()
		replace(t.Context(), name, copied)
	}
}
