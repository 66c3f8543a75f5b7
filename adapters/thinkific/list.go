package thinkific

import (
	"net/url"
	"strconv"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// APIURL is the base of Thinkific's REST API.
const APIURL = "https://api.thinkific.com/api/public/v1"

// Lists describes the lists of the REST API.
type Lists struct{}

// Resources of the REST API.
const (
	users       = "users"
	courses     = "courses"
	products    = "products"
	enrollments = "enrollments"
	orders      = "orders"
)

// pageRows is how many rows a page has at most.
const pageRows = "250"

// overlap is how much earlier than asked a list begins: a row that changed while
// the last one was fetched must not fall between the two.
const overlap = time.Hour

// Resources implements fetch.Lister.
func (Lists) Resources() []string { return []string{users, courses, products, enrollments, orders} }

// Pace implements fetch.Lister: 120 requests a minute, ten at once.
func (Lists) Pace() (perMinute, atOnce int) { return 120, 10 }

// List implements fetch.Lister. Enrolments alone can be asked since when.
func (l Lists) List(resource string, page int64, since time.Time) (domain.Query, error) {
	q := domain.Query{Path: resource, Values: url.Values{"page": {strconv.FormatInt(page, 10)}, "limit": {pageRows}}}
	switch {
	case since.IsZero():
	case resource != enrollments:
		return q, domain.Errorf(domain.Usage, "thinkific", "the API cannot list %s since a moment", resource).
			WithHint("Leave --since out, or name enrollments alone.")
	default:
		q.Values.Set("query[updated_after]", since.Add(-overlap).UTC().Format(time.RFC3339))
	}
	return q, nil
}

// Split implements fetch.Lister: {items, meta {pagination {next_page, total_items}}}.
func (Lists) Split(resource string, page int64, body []byte) (domain.Page, error) {
	p, err := split(page, body)
	if err != nil {
		return domain.Page{}, domain.Errorf(domain.Invalid, "thinkific "+resource, "%w", err)
	}
	return p, nil
}

func split(page int64, body []byte) (p domain.Page, err error) {
	if p.Rows, err = payload.Rows(body, "items", "id"); err != nil {
		return p, err
	}
	document, _, err := payload.DecodeJSON(body)
	if err != nil {
		return p, err
	}
	var r payload.Reader
	pagination := document.Get("meta", "pagination")
	if !pagination.IsObject() {
		r.Fail(pagination, "is missing")
	}
	p.Total = number(&r, pagination.Get("total_items"))
	if next := pagination.Get("next_page"); next.Exists() {
		if p.Next = number(&r, next); p.Next <= page {
			r.Fail(next, "is not a page after %d", page)
		}
	}
	return p, r.Err()
}

// number reads a count; 0: there is none.
func number(r *payload.Reader, v payload.Value) int64 {
	text := r.Label(v)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.Fail(v, "is not a count")
	}
	return n
}
