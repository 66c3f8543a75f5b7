// Package projections folds the log into tables that people read.
//
// A projection is a pure fold: it reads no clock, no network and no database,
// asks nobody but the record it is given and its own tables, and so gives the
// same tables, byte for byte, for the same log. That is why it is disposable:
// everything it holds can be derived again, and verifying it does exactly that.
//
// A projection declares typed tables once. The same fold then runs over rows in
// memory ([Memory]: rebuild, verify, answers about the past, offline audit) and
// over rows in a database ([Batch]: live). The DDL, the bulk load, the digest
// and the views all derive from the declaration.
package projections

import (
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/domain"
)

// A Projection is one read model.
type Projection struct {
	// Name is its schema in the database, its path in the API and its argument
	// on the command line, such as "credits".
	Name string

	// Version rises whenever the fold gives other tables for the same log. The
	// live tables are then built again beside the old ones.
	Version int

	// Tables are all tables the fold uses. Their order is that of the digest.
	Tables []Table

	// Kinds are those the fold looks at; nil stands for all. The events of others
	// are neither read nor decoded for it.
	Kinds []domain.Kind

	// Fold folds one record into the tables. Records come in log order, each
	// once. A record the projection has no use for is not an error; an error
	// stops this projection, and only this one, before the record.
	Fold func(tx *Tx, r *domain.Record) error

	// Totals are what a certificate sums up.
	Totals []Total

	// Views are the questions that can be asked of the tables.
	Views []View
}

// View returns the view of the given name.
func (p *Projection) View(name string) (View, bool) {
	for _, v := range p.Views {
		if v.Name == name {
			return v, true
		}
	}
	return View{}, false
}

// Folds reports whether the fold looks at records of the kind.
func (p *Projection) Folds(k domain.Kind) bool {
	return p.Kinds == nil || slices.Contains(p.Kinds, k)
}

// Apply folds one record over the store. A record that its provider marked as a
// test is left out.
//
// A record that cannot be decoded, and a fold that panics, are as good as a fold
// that refuses: they stop this projection and nothing else.
func (p *Projection) Apply(s Store, r *domain.Record) (err error) {
	// A kind that this build does not know may be one that the fold should look at.
	if r.Test || !p.Folds(r.Kind) && domain.IsKind(r.Kind) {
		return nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the fold failed: %v", cause)
		}
		if err != nil {
			err = &FoldError{Projection: p.Name, Position: r.Position, Err: err}
		}
	}()
	if r.Event == nil {
		if err := r.Decode(); err != nil {
			return err
		}
	}
	return p.Fold(&Tx{store: s, record: r}, r)
}

// A FoldError says which record a projection cannot take, and why.
type FoldError struct {
	Projection string
	Position   int64
	Err        error
}

// Error returns "projection: record position: cause".
func (e *FoldError) Error() string {
	return fmt.Sprintf("%s: record %d: %v", e.Projection, e.Position, e.Err)
}

// Unwrap returns the cause.
func (e *FoldError) Unwrap() error { return e.Err }

// A Store holds the rows of a projection while it folds. Rows are what
// [Table.Parse] returns; nobody may change one after handing it over.
type Store interface {
	// Get returns the row with the key, and whether there is one.
	Get(t Table, key string) (row any, ok bool)

	// Put replaces the row with the key; a nil row removes it.
	Put(t Table, key string, row any)

	// Append adds a row to a journal.
	Append(t Table, row any)
}

// A Tx is what one record is folded in. It is used up when Fold returns.
type Tx struct {
	store  Store
	record *domain.Record
	n      int64 // rows appended so far, over all journals
}
