package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// A keeper is a sink that keeps every checkpoint, and not the newest alone.
type keeper interface {
	All(ctx context.Context) iter.Seq2[[]byte, error]
}

// kept are the checkpoints that are kept where the configuration says, and what
// could not be read of them.
type kept struct {
	checkpoints []postgres.KeptCheckpoint
	unread      []string
	seen        map[string]bool // their texts
}

// readKept returns the checkpoints of the log of d that were signed last here, and
// those that the configured sinks keep. Where nothing was ever signed there are none.
func (a *app) readKept(ctx context.Context, d *database) (k kept, err error) {
	k.seen = make(map[string]bool)
	if _, err := d.files.Signers(); domain.CodeOf(err) == domain.NotFound {
		return k, nil
	}
	s, err := a.openSigning(ctx, d, nil)
	if err != nil {
		return k, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, known := range s.Known(ctx) {
		switch {
		case known.Err != nil:
			k.unread = append(k.unread, fmt.Sprintf("what is kept %s: %v", keptWhere(known.Where), known.Err))
		case !known.None():
			k.add(keptWhere(known.Where), known.Signed)
		}
	}
	keys, err := readVerifiers(s.vkeys)
	if err != nil {
		return k, err
	}
	for _, sink := range s.Sinks {
		if all, ok := sink.Sink.(keeper); ok {
			k.read(ctx, keptWhere(sink.Name), s.Name, all, append(keys, s.Retired...))
		}
	}
	return k, nil
}

// add adds a checkpoint that is kept somewhere, unless it is there already.
func (k *kept) add(where string, s checkpoint.Signed) {
	c := checkpoint.Checkpoint{Origin: s.Origin, Size: s.Size, Root: s.Root}
	if !k.seen[c.Text()] {
		k.seen[c.Text()] = true
		k.checkpoints = append(k.checkpoints, postgres.KeptCheckpoint{Where: "the checkpoint kept " + where, Checkpoint: c})
	}
}

// read adds every checkpoint of a sink that was signed with one of the keys. What
// else is there took the place of one, for all that anybody knows.
func (k *kept) read(ctx context.Context, where, name string, sink keeper, keys []note.Verifier) {
	bad, why := 0, ""
	for text, err := range sink.All(ctx) {
		var s checkpoint.Signed
		if err == nil {
			s, err = checkpoint.Open(text, keys...)
		}
		if origin, _, _ := checkpoint.SplitOrigin(s.Origin); err == nil && origin != name {
			err = fmt.Errorf("it is of the log %s", s.Origin)
		}
		if err != nil {
			bad, why = bad+1, cmp.Or(why, err.Error())
			continue
		}
		k.add(where, s)
	}
	if bad > 0 {
		k.unread = append(k.unread, fmt.Sprintf("%d checkpoints kept %s: %s", bad, where, why))
	}
}
