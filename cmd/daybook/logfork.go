package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

func logFork(a *app) *cobra.Command {
	var reason, by string
	cmd := &cobra.Command{
		Use:   "fork",
		Short: "Go on from a log that is not the one that was signed, and say so for ever",
		Long: `When the log is not the one that was signed (a backup was restored that ends earlier,
or something was changed), nothing is recorded until the right database is back. If
there is none, this opens a new epoch: its first record says why, who decided it, and
what the last checkpoint was, so that everybody who holds that one sees what became
of it. Checkpoints of the new epoch have an origin of their own.

What was recorded after the state that the log goes on from is lost to it. Have the
providers send it again, or fetch it: "daybook source backfill".`,
		Example: `  daybook log fork --reason "disk lost; restored the backup of 1 March" --by marta`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" {
				return domain.Errorf(domain.Usage, "fork", "--reason is missing").WithHint("Say what happened: it stays in the log for ever.")
			}
			return a.withSigning(cmd.Context(), func(d *database, s *signing) error {
				fork, err := a.planFork(cmd.Context(), s, domain.LogForked{Reason: reason, By: cmp.Or(by, operator())})
				if err != nil {
					return err
				}
				return d.withAppender(cmd.Context(), func(log *postgres.Appender, db *sql.DB, keys *postgres.Keyring) error {
					return a.fork(cmd.Context(), s, &openLog{database: d, appender: log, db: db, keys: keys}, fork)
				})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what happened")
	cmd.Flags().StringVar(&by, "by", "", "who decides it (default: who is logged in)")
	return cmd
}

// planFork returns the record that opens the next epoch. It refuses if nothing is
// wrong, and as long as a place that keeps checkpoints does not tell: it may know a
// later one, that the record has to name.
func (a *app) planFork(ctx context.Context, s *signing, fork domain.LogForked) (domain.LogForked, error) {
	known, err := s.Check(ctx)
	switch {
	case err == nil:
		a.tellUnknown(known)
		return fork, domain.Errorf(domain.Refused, "fork", "nothing is wrong: the log is the one that was signed").
			WithHint("There is no reason to open an epoch.")
	case domain.CodeOf(err) != domain.Differs:
		return fork, err
	}
	for _, k := range known {
		if k.Err != nil {
			return fork, domain.Errorf(domain.Refused, "fork", "what is kept %s is not known, and may be the newest checkpoint: %w", keptWhere(k.Where), k.Err).
				WithHint(cmp.Or(domain.HintOf(k.Err), "Bring it back, or leave it out of the configuration if it is lost."))
		}
	}
	newest, ok := checkpointer.Newest(known)
	if !ok {
		return fork, err
	}
	epoch, end, err := s.auditor.End(ctx)
	if err != nil {
		return fork, err
	}
	_, signed, _ := checkpoint.SplitOrigin(newest.Origin)
	fork.Epoch, fork.Checkpoint = max(epoch, signed)+1, string(newest.Note)
	fork.Size, fork.Root = end.Size(), end.Root().String()
	if err := fork.Validate(); err != nil {
		return fork, domain.Errorf(domain.Usage, "fork", "%w", err)
	}
	return fork, nil
}

// fork opens the epoch, signs it, and says so.
func (a *app) fork(ctx context.Context, s *signing, l *openLog, fork domain.LogForked) error {
	receipt, err := l.appender.Append(ctx, domain.Delivery{
		ID: ulid.Make(), Source: domain.SourceLog, ReceivedAt: time.Now().UTC().Truncate(time.Microsecond), Verified: "operator",
		Body: []byte(fork.Checkpoint),
		Translation: domain.Translation{
			Topic: "fork", Key: fmt.Sprint("fork/", fork.Epoch), Facts: []domain.Fact{{Event: fork}},
		},
	})
	if err != nil {
		return err
	}
	origin, size, _, _ := fork.Lost()
	a.warn("the log goes on from record %d in epoch %d; it was signed up to record %d of %s", fork.Size, fork.Epoch, size, origin)
	a.warn("every server takes deliveries in again within a minute")
	if err := a.writeReceipt(receipt); err != nil {
		return err
	}
	// A server that runs read-only recorded them in vain when it started.
	if err := l.recordErased(ctx, a.logger()); err != nil {
		a.warn("erasures are not recorded again yet, the next command that writes does: %s", err)
	}
	if _, _, err := s.Sign(ctx); err != nil {
		return err
	}
	s.Publish(ctx)
	if err := s.Status().Failed(); err != nil {
		return domain.Errorf(domain.CodeOf(err), "fork", "the epoch is open, and its checkpoint not everywhere: %w", err).
			WithHint(cmp.Or(domain.HintOf(err), "Run again until it is: daybook checkpoint sign"))
	}
	return nil
}
