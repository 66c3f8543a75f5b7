package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
)

// A Lister describes the lists of a provider's API. It asks nothing itself. A
// package satisfies it without importing this one.
type Lister interface {
	// Resources returns the names of the lists, those that others refer to first.
	Resources() []string

	// List returns the query for a page, counted from 1, of what changed since a
	// moment, or ever if that is zero. An error has code Usage: there is no such
	// list, or it cannot be asked since when.
	List(resource string, page int64, since time.Time) (domain.Query, error)

	// Split cuts the answer to that query into rows, and says where it goes on. An
	// error has code Invalid: the answer is not a page.
	Split(resource string, page int64, body []byte) (domain.Page, error)

	// Pace returns what the API bears: requests per minute, and at once.
	Pace() (perMinute, atOnce int)
}

// Walk fetches a list page by page, from the given one on, and has each taken
// before it asks for the next. An API that does not go forward, by naming a page
// twice or by answering the same again, ends it with an error: whether there is
// more is then unknown.
func (c *Client) Walk(ctx context.Context, l Lister, resource string, number int64, since time.Time, take func(number int64, p domain.Page) error) error {
	asked := make(map[int64]bool)
	answered := make(map[[sha256.Size]byte]bool)
	var emptyBefore int64 // that page had no rows
	for !asked[number] {
		asked[number] = true
		q, err := l.List(resource, number, since)
		if err != nil {
			return err
		}
		answer, err := c.Do(ctx, q)
		if err != nil {
			return err
		}
		page, err := l.Split(resource, number, answer.Body)
		if err != nil {
			return err
		}
		rows := sum(page.Rows)
		// A list of several parts may have an empty one; the numbers jump there.
		nothing := len(page.Rows) == 0 && emptyBefore != 0 && emptyBefore == number-1
		if page.Next != 0 && (nothing || len(page.Rows) > 0 && answered[rows]) {
			break
		}
		if err := take(number, page); err != nil || page.Next == 0 {
			return err
		}
		if answered[rows] = true; len(page.Rows) == 0 {
			emptyBefore = number
		}
		number = page.Next
	}
	return domain.Errorf(domain.Invalid, "fetch "+resource, "page %d brings nothing new: the API does not page as described", number).
		WithHint("What was fetched before is recorded; whether there is more is not known. Ask the provider.")
}

// sum tells the ids of rows, in whatever order, from those of others. A row that
// has none is told by its bytes.
func sum(rows []domain.Row) [sha256.Size]byte {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = strconv.Quote(cmp.Or(row.ID, "\x00"+string(row.Body)))
	}
	slices.Sort(ids)
	return sha256.Sum256([]byte(strings.Join(ids, ",")))
}
