package braincert

import (
	"net/http"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// APIURL is the base of BrainCert's REST API.
const APIURL = "https://lms.braincert.com/api/v1"

// Lists describes the lists of the REST API. Neither their paging nor the shape
// of an answer is documented: each is asked for once, without any parameter, and
// its answer must hold one list. Sales and completions have no list.
type Lists struct{}

// Resources implements fetch.Lister.
func (Lists) Resources() []string { return []string{"users", "courses", "groups"} }

// Pace implements fetch.Lister. The limits are not documented; this is gentle.
func (Lists) Pace() (perMinute, atOnce int) { return 60, 1 }

// List implements fetch.Lister.
func (Lists) List(resource string, _ int64, since time.Time) (domain.Query, error) {
	if !since.IsZero() {
		return domain.Query{}, domain.Errorf(domain.Usage, "braincert", "the API cannot list %s since a moment", resource).
			WithHint("Leave --since out.")
	}
	return domain.Query{Method: http.MethodPost, Path: resource + "/list", Body: []byte("{}")}, nil
}

// Split implements fetch.Lister.
func (Lists) Split(resource string, _ int64, body []byte) (domain.Page, error) {
	rows, err := payload.Rows(body, "", strings.TrimSuffix(resource, "s")+"_id", "id")
	if err != nil {
		return domain.Page{}, domain.Errorf(domain.Invalid, "braincert "+resource, "%w", err)
	}
	return domain.Page{Rows: rows}, nil
}
