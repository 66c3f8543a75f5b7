package main

import (
	"context"

	"github.com/daybook-ledger/daybook/adapters/api"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// A ledger is what the API puts its questions to.
type ledger struct{ projector *postgres.Projector }

// Ask implements [api.Ledger].
func (l ledger) Ask(ctx context.Context, p *projections.Projection, v projections.View, q projections.Query) (render.Answer, error) {
	return ask(ctx, l.projector, p, v, q)
}

// Status implements [api.Ledger].
func (l ledger) Status(ctx context.Context) ([]api.Status, error) {
	list, err := l.projector.List(ctx)
	if err != nil {
		return nil, err
	}
	statuses := make([]api.Status, len(list))
	for i, s := range list {
		statuses[i] = api.Status{Name: s.Name, Version: s.Version, Position: s.Position, Head: s.Head, StoppedAt: s.StoppedAt}
	}
	return statuses, nil
}

func (s *server) apiConfig() api.Config {
	return api.Config{Ledger: ledger{s.projector}, Projections: allViewed(), Version: readVersion(), Logger: s.logger, ReadOnly: s.signing.Alarmed}
}
