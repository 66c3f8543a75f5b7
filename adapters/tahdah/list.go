package tahdah

import (
	"net/url"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// APIURL is the base of Tahdah's REST API.
const APIURL = "https://api.tahdah.me"

// Lists describes the one list of the REST API whose path is documented: the
// legal entities that are members of any trust group of an owner. Its paging and
// the shape of its answer are not: it is asked for once for each owner, without
// any parameter, and its answer must hold one list.
type Lists struct {
	Owners []string // ids of the legal entities that own trust groups
}

// Resources implements fetch.Lister.
func (Lists) Resources() []string { return []string{"members"} }

// Pace implements fetch.Lister. The limits are not documented; this is gentle.
func (Lists) Pace() (perMinute, atOnce int) { return 60, 1 }

// List implements fetch.Lister. The page is that of the owner with its number.
func (l Lists) List(resource string, page int64, since time.Time) (domain.Query, error) {
	switch {
	case !since.IsZero():
		return domain.Query{}, domain.Errorf(domain.Usage, "tahdah", "the API cannot list %s since a moment", resource).
			WithHint("Leave --since out.")
	case page < 1 || page > int64(len(l.Owners)):
		return domain.Query{}, domain.Errorf(domain.Usage, "tahdah", "it is not known whose members to list").
			WithHint(`Give the source organizations = ["ID"]: the legal entities that own the trust groups.`)
	}
	return domain.Query{Path: "api/trustgroups/legalentities/" + url.PathEscape(l.Owners[page-1]) + "/legalentities"}, nil
}

// Split implements fetch.Lister.
func (l Lists) Split(resource string, page int64, body []byte) (domain.Page, error) {
	rows, err := payload.Rows(body, "", "legalEntityId", "id")
	if err != nil {
		return domain.Page{}, domain.Errorf(domain.Invalid, "tahdah "+resource, "%w", err)
	}
	p := domain.Page{Rows: rows}
	if page < int64(len(l.Owners)) {
		p.Next = page + 1
	}
	return p, nil
}
