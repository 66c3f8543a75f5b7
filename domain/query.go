package domain

import "net/url"

// A Query asks a provider's API for something. Providers describe queries; who
// sends them adds the credentials.
type Query struct {
	Method string     // empty: GET
	Path   string     // below the API's base URL, escaped, without a leading slash: "enrollments"
	Values url.Values // nil: none
	Body   []byte     // JSON; nil: none
}

// A Page is one answer of an API to a query for a list.
type Page struct {
	Rows  []Row
	Next  int64 // the page to ask for next; 0: this was the last one
	Total int64 // rows on all pages; 0: the API did not say
}

// A Row is one thing in a list, such as an enrolment.
type Row struct {
	ID   string // unique within its resource
	Body []byte // exact bytes, cut from the page
}
