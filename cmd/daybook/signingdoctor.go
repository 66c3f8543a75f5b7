package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// unsignedFor is how long records may wait to be signed before doctor warns of it.
const unsignedFor = time.Minute

// checkSigning looks at what signs the log, at every place that keeps checkpoints,
// and whether the log is the one that was signed.
func (a *app) checkSigning(ctx context.Context, c *checks, d *database) (err error) {
	s, err := a.openSigning(ctx, d, nil)
	if err != nil {
		c.addErr("signing", err, "")
		return nil
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	key := s.vkeys[0]
	if len(s.vkeys) > 1 {
		key += "; it replaces another one, which daybook checkpoint rotate --finish drops"
	}
	c.add("signing key", checkOK, key)
	known, differs := s.Check(ctx)
	if differs != nil && domain.CodeOf(differs) != domain.Differs {
		return differs
	}
	c.addErr("signed log", differs, "it is the one that was signed")
	for i, k := range known {
		what := "sink " + k.Where
		if i == 0 {
			what = "last checkpoint"
		}
		switch {
		case k.Err != nil:
			c.add(what, checkWarn, k.Err.Error())
		case k.None():
			c.add(what, checkOK, "none yet")
		default:
			c.add(what, checkOK, fmt.Sprintf("%d records of %s", k.Signed.Size, k.Signed.Origin))
		}
	}
	if err := s.checkUnsigned(ctx, c, known[0], time.Now()); err != nil {
		return err
	}
	for _, w := range s.AskWitnesses(ctx, known[0].Signed) {
		switch {
		case domain.CodeOf(w.Err) == domain.Differs:
			c.addErr("witness "+w.Where, w.Err, "")
		case w.Err != nil:
			c.add("witness "+w.Where, checkWarn, w.Err.Error())
		default:
			c.add("witness "+w.Where, checkOK, "cosigns the last checkpoint")
		}
	}
	return nil
}

// checkUnsigned counts the records that the last checkpoint does not cover.
func (s *signing) checkUnsigned(ctx context.Context, c *checks, last checkpointer.Known, now time.Time) error {
	epoch, end, err := s.auditor.End(ctx)
	if err != nil {
		return err
	}
	behind := end.Size()
	if _, of, ok := checkpoint.SplitOrigin(last.Signed.Origin); ok && of == epoch {
		behind -= last.Signed.Size
	}
	switch {
	case behind > 0 && now.Sub(last.At) > unsignedFor:
		c.add("unsigned records", checkWarn, fmt.Sprintf("%d; serve signs them, or: daybook checkpoint sign", behind))
	default:
		c.add("unsigned records", checkOK, fmt.Sprint(max(behind, 0)))
	}
	return nil
}
