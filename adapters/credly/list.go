package credly

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// APIURL is the base of Credly's REST API.
const APIURL = "https://api.credly.com/v1"

// Lists describes the lists of the REST API, which belong to an organization.
type Lists struct {
	Organizations []string // ids
}

// Resources implements fetch.Lister. Events can be listed too: these are told from
// what is there now, and each is asked for by itself.
func (Lists) Resources() []string {
	return []string{resourceTemplate, resourceEmployee, resourceBadge}
}

// Pace implements fetch.Lister. The limits are not published; this is gentle.
func (Lists) Pace() (perMinute, atOnce int) { return 60, 1 }

// perOrganization is how many page numbers each organization has: the second
// one's first page is perOrganization + 1.
const perOrganization = 1_000_000

// List implements fetch.Lister. No list can be asked since when: a filter by
// time is documented for the day a template was made or changed, no other.
func (l Lists) List(resource string, page int64, since time.Time) (domain.Query, error) {
	at, number := (page-1)/perOrganization, (page-1)%perOrganization+1
	switch {
	case !since.IsZero():
		return domain.Query{}, domain.Errorf(domain.Usage, "credly", "the API cannot list %s since a moment", resource).
			WithHint("Leave --since out.")
	case page < 1 || at >= int64(len(l.Organizations)):
		return domain.Query{}, domain.Errorf(domain.Usage, "credly", "it is not known whose %s to list", resource).
			WithHint(`Give the source organizations = ["ID"].`)
	}
	return domain.Query{
		Path:   "organizations/" + url.PathEscape(l.Organizations[at]) + "/" + resource,
		Values: url.Values{"page": {strconv.FormatInt(number, 10)}},
	}, nil
}

// Split implements fetch.Lister: {data, metadata {current_page, total_pages,
// total_count, next_page_url}}. The metadata may be empty, or say nothing of
// pages: then a page without rows is the last one.
func (l Lists) Split(resource string, page int64, body []byte) (domain.Page, error) {
	p, err := l.split(page, body)
	if err != nil {
		return domain.Page{}, domain.Errorf(domain.Invalid, "credly "+resource, "%w", err)
	}
	return p, nil
}

func (l Lists) split(page int64, body []byte) (p domain.Page, err error) {
	if p.Rows, err = payload.Rows(body, "data", "id"); err != nil {
		return p, err
	}
	document, _, err := payload.DecodeJSON(body)
	if err != nil {
		return p, err
	}
	metadata := document.Get("metadata")
	at, number := (page-1)/perOrganization, (page-1)%perOrganization+1
	more := len(p.Rows) > 0
	if total := count(metadata.Get("total_pages")); total > 0 {
		more = number < total
	} else if slices.Contains(metadata.Names(), "next_page_url") {
		more = metadata.Get("next_page_url").Exists()
	}
	switch {
	case more && number < perOrganization:
		p.Next = page + 1
	case at+1 < int64(len(l.Organizations)):
		p.Next = (at+1)*perOrganization + 1
	}
	if len(l.Organizations) == 1 {
		p.Total = count(metadata.Get("total_count"))
	}
	return p, nil
}

// count reads a number of pages or rows; 0: it is not said.
func count(v payload.Value) int64 {
	var try payload.Reader
	n, err := strconv.ParseInt(try.Label(v), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
