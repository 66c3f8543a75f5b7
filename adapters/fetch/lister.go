package fetch

import (
	"context"
	"maps"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// A Lister describes the lists of a provider's API. It asks nothing itself. A
// package satisfies it without importing this one.
type Lister interface {
	// Resources returns the names of the lists, those that others refer to first.
	Resources() []string

	// List returns the query for the page that cursor names, the first if it is
	// empty, of what changed since a moment, or ever if that is zero. An error has
	// code Usage: there is no such list, or it cannot be asked since when.
	List(resource, cursor string, since time.Time) (domain.Query, error)

	// Split cuts an answer to that query into rows, and says where it goes on. An
	// error has code Invalid: the answer is not a page.
	Split(resource, cursor string, body []byte) (domain.Page, error)
}

// Walk fetches a list page by page, from cursor on, and has each page taken
// before it asks for the next one. An API that does not go forward, by naming a
// page twice or by answering the same again, ends it with an error: whether
// there is more is then unknown.
func (c *Client) Walk(ctx context.Context, l Lister, resource, cursor string, since time.Time, take func(domain.Page) error) error {
	var before map[string]bool
	seen := make(map[string]bool)
	for !seen[cursor] {
		seen[cursor] = true
		q, err := l.List(resource, cursor, since)
		if err != nil {
			return err
		}
		answer, err := c.Do(ctx, q)
		if err != nil {
			return err
		}
		page, err := l.Split(resource, cursor, answer.Body)
		if err != nil {
			return err
		}
		rows := make(map[string]bool, len(page.Rows))
		for _, row := range page.Rows {
			rows[row.ID] = true
		}
		if len(rows) > 0 && maps.Equal(rows, before) {
			break
		}
		if err := take(page); err != nil || page.Next == "" {
			return err
		}
		cursor, before = page.Next, rows
	}
	return domain.Errorf(domain.Invalid, "fetch "+resource, "page %.100q brings nothing new: the API does not page as described", cursor).
		WithHint("What was fetched is recorded. Tell the provider, or fetch the resources that page.")
}
