package projections_test

import (
	"errors"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/projectiontest"
)

// shelf is a projection with a column of every type. It folds events by their
// reason, which is a small language:
//
//	put NAME     keeps a row
//	move NAME    removes the row and keeps it under the name it points to
//	fail         is a record it cannot take
var shelf = &projections.Projection{
	Name:    "shelf",
	Version: 1,
	Tables:  []projections.Table{things, moves, notes},
	Fold:    foldShelf,
	Views: []projections.View{
		projections.NewView("things", "Things", things,
			"name", "count", "weight", "price", "seen_at", "fragile",
			projections.Computed("age", projections.TypeText, func(r thing, at time.Time) projections.Cell {
				if at.Sub(r.seenAt) > 24*time.Hour {
					return projections.Cell{Text: "old"}
				}
				return projections.Cell{Text: "new"}
			}),
			"shelf", "next"),
		projections.NewView("moves", "Moves", moves, "position", "n", "event", "source", "occurred_at", "name"),
	},
}

type thing struct {
	shelf, name, next string
	count             int64
	weight            decimal.Decimal
	price             *decimal.Decimal
	seenAt            time.Time
	fragile           bool
}

type named struct{ name string }

var (
	things = projections.NewKeyed("things", 2,
		projections.Text("shelf", func(r *thing) *string { return &r.shelf }),
		projections.Text("name", func(r *thing) *string { return &r.name }),
		projections.Text("next", func(r *thing) *string { return &r.next }),
		projections.Integer("count", func(r *thing) *int64 { return &r.count }),
		projections.Decimal("weight", func(r *thing) *decimal.Decimal { return &r.weight }),
		projections.OptionalDecimal("price", func(r *thing) **decimal.Decimal { return &r.price }),
		projections.Time("seen_at", func(r *thing) *time.Time { return &r.seenAt }),
		projections.Bool("fragile", func(r *thing) *bool { return &r.fragile }))
	moves = projections.NewJournal("moves", projections.Text("name", func(r *named) *string { return &r.name }))
	notes = projections.NewJournal("notes", projections.Text("name", func(r *named) *string { return &r.name })).Indexed("source", "name")
)

func foldShelf(tx *projections.Tx, r *domain.Record) error {
	e, ok := r.Event.(domain.IntakeUnrecognized)
	if !ok {
		return nil
	}
	verb, name := e.Reason, e.Topic
	switch verb {
	case "put":
		row, _ := things.Get(tx, r.Source, name)
		row.shelf, row.name, row.next = r.Source, name, name+"+"
		row.count++
		things.Put(tx, row)
	case "move":
		row, ok := things.Get(tx, r.Source, name)
		if !ok {
			return nil
		}
		_, taken := things.Get(tx, r.Source, row.next) // known only with the row
		things.Delete(tx, r.Source, name)
		if !taken {
			row.name, row.next = row.next, row.next+"+"
			things.Put(tx, row)
		}
		moves.Append(tx, named{name})
		notes.Append(tx, named{name})
		moves.Append(tx, named{row.name})
	case "fail":
		return errors.New("no")
	}
	return nil
}

// script returns a log of "verb name" pairs.
func script(t rapid.TB, lines ...[2]string) []*domain.Record {
	t.Helper()
	log := make([]*domain.Record, len(lines))
	for i, l := range lines {
		r, err := projectiontest.NewRecord(int64(i+1), "left", domain.IntakeUnrecognized{Reason: l[0], Topic: l[1]})
		if err != nil {
			t.Fatal(err)
		}
		log[i] = r
	}
	return log
}
