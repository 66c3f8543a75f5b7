package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
)

// dropAfter is how long a secret must not have been used before doctor advises to
// drop it. A provider that sends again does so for days, signed as it was then.
const dropAfter = 14 * 24 * time.Hour

// lastUses are when each of the two secrets of a source was last used; a zero
// time: not within secretWindow.
type lastUses [2]time.Time

// secretUses returns the last uses of the secrets of every source in the log.
func secretUses(ctx context.Context, db *sql.DB) (map[string]lastUses, error) {
	list, err := postgres.SecretUses(ctx, db, time.Now().Add(-secretWindow))
	uses := make(map[string]lastUses)
	for _, u := range list {
		of := uses[u.Source]
		of[u.Secret-1] = u.LastAt
		uses[u.Source] = of
	}
	return uses, err
}

// checkSecrets says of every source with two secrets which of them its provider
// uses.
//
// A new secret is put behind the old one, and the log names them by their place.
// So the first one can be dropped once only the second was used for a time; of a
// second one that was not used nobody can tell whether it is the new one.
func (a *app) checkSecrets(ctx context.Context, c *checks, db *sql.DB) error {
	uses, err := secretUses(ctx, db)
	if err != nil {
		return err
	}
	for _, s := range a.config.Sources {
		if len(s.Secrets) != 2 {
			continue
		}
		verdict, detail := uses[s.Name].advice(time.Now())
		c.add("secrets of "+s.Name, verdict, detail)
	}
	return nil
}

// advice returns a verdict on two secrets and what to do about them.
func (u lastUses) advice(now time.Time) (verdict, detail string) {
	used := fmt.Sprintf("secret 1 was last used %s, secret 2 %s", when(u[0]), when(u[1]))
	lately := func(at time.Time) bool { return now.Sub(at) < dropAfter }
	switch {
	case !lately(u[0]) && lately(u[1]):
		return checkWarn, used + ": drop the first one from secrets"
	case lately(u[0]) && !lately(u[1]):
		return checkWarn, used + ": tell the provider the second one, or drop it from secrets if it is the old one"
	}
	return checkOK, used
}

func when(at time.Time) string {
	if at.IsZero() {
		return "not in 30 days"
	}
	return at.Format("2006-01-02 15:04Z")
}
