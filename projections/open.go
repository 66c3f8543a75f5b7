package projections

import (
	"context"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/domain/seal"
)

// What is shown instead of a personal text that cannot be opened.
const (
	Erased   = "[erased]" // its key is destroyed: nobody can open it any more
	Unopened = "[sealed]" // there are no keys at hand
)

// OpenAtOnce is how many rows of a view are opened at a time: more than a page
// has unless the question says.
const OpenAtOnce = DefaultLimit + 24

// An Opener opens personal texts on their way out.
type Opener interface {
	// Open returns what each of the tokens stands for, in their order: [Erased]
	// for one whose key is gone, [Unopened] for one whose key is not at hand, and a
	// text that is none, or that its key did not seal, as it is. It must not change
	// what it is given.
	Open(ctx context.Context, tokens []string) (texts []string, err error)
}

// Personal reports whether the view shows personal texts.
func (v View) Personal() bool {
	return slices.ContainsFunc(v.Columns, func(c ViewColumn) bool { return c.Sealed })
}

// open opens the personal texts of rows that are about to be shown.
func (v View) open(ctx context.Context, open Opener, rows []StreamRow) error {
	var cells []*Cell
	for i, c := range v.Columns {
		for r := range rows {
			if c.Sealed {
				cells = append(cells, &rows[r].shown[i])
			}
		}
	}
	return openCells(ctx, open, cells)
}

// openCells opens the tokens among the cells, each token once. A nil Opener has no
// keys.
func openCells(ctx context.Context, open Opener, cells []*Cell) error {
	var tokens []string
	at := make(map[string]int) // in tokens
	for _, c := range cells {
		if _, ok := at[c.Text]; !ok && seal.IsText(c.Text) {
			at[c.Text] = len(tokens)
			tokens = append(tokens, c.Text)
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	texts := slices.Repeat([]string{Unopened}, len(tokens))
	if open != nil {
		var err error
		if texts, err = open.Open(ctx, tokens); err == nil && len(texts) != len(tokens) {
			err = fmt.Errorf("%d texts for %d tokens", len(texts), len(tokens))
		}
		if err != nil {
			return fmt.Errorf("open personal texts: %w", err)
		}
	}
	for _, c := range cells {
		if i, ok := at[c.Text]; ok {
			c.Text = texts[i]
		}
	}
	return nil
}
