package audit

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// A Question is put to a view of what comes out of a bundle.
type Question struct {
	Projection *projections.Projection
	View       projections.View
	Query      projections.Query
	Now        time.Time // as of when, if the query does not say
}

// ParseQuestion reads a question as it stands in a URL of the API behind /v1/:
// "credits/balances" or "credits/balances?as_of=2026-03-31&source=acme".
func ParseQuestion(list []*projections.Projection, text string, now time.Time) (Question, error) {
	path, query, _ := strings.Cut(text, "?")
	name, view, _ := strings.Cut(path, "/")
	var known []string
	for _, p := range list {
		for _, v := range p.Views {
			known = append(known, p.Name+"/"+v.Name)
			if p.Name != name || v.Name != view {
				continue
			}
			params, err := url.ParseQuery(query)
			if err != nil {
				return Question{}, domain.Errorf(domain.Usage, "", "%.100q is not a question: %w", text, err)
			}
			q, err := projections.ParseQuery(v, params)
			return Question{p, v, q, now}, err
		}
	}
	return Question{}, domain.Errorf(domain.NotFound, "", "there is no view %.100q", path).
		WithHint("The views are: " + strings.Join(known, ", ") + ".")
}

// An Answer is what a view says, and about which state of the log; see
// [projections.View].
type Answer struct {
	View  string
	Of    projections.View
	AsOf  time.Time
	Known int64
	Root  string // base64 root at Known; "" if it is not the last record of the bundle
	projections.Page
}

// An answering is a question while the log is folded.
type answering struct {
	Question
	tables     *projections.Memory
	known      int64 // last record that counts
	recordedAt time.Time
	err        error
}

// fold folds what counts of the records.
func (q *answering) fold(records []*domain.Record) {
	for _, r := range records {
		if q.err != nil || q.Query.Known > 0 && r.Position > q.Query.Known ||
			!q.Query.KnownAt.IsZero() && r.RecordedAt.After(q.Query.KnownAt) {
			return
		}
		q.known, q.recordedAt = r.Position, r.RecordedAt
		if q.Query.AsOf.IsZero() || !r.EffectiveAt().After(q.Query.AsOf) {
			q.err = foldKnown(r, q.tables.Fold)
		}
	}
}

// answer answers the questions.
func (a *auditor) answer(ctx context.Context) ([]Answer, error) {
	var list []Answer
	for _, q := range a.answers {
		path := q.Projection.Name + "/" + q.View.Name
		if q.err != nil || q.known < q.Query.Known {
			a.report.miss("%s: the records it needs are not all in the bundle, or cannot be folded", path)
			continue
		}
		if q.Query.AsOf.IsZero() {
			if q.Query.AsOf = q.Now; q.Now.Before(q.recordedAt) {
				q.Query.AsOf = q.recordedAt
			}
		}
		page, err := q.View.Ask(ctx, q.tables, nil, q.Query, 0)
		if err != nil {
			return nil, err
		}
		answer := Answer{View: path, Of: q.View, AsOf: q.Query.AsOf, Known: q.known, Page: page}
		if root := a.log.frontier.Root(); q.known == a.log.frontier.Size() {
			answer.Root = base64.StdEncoding.EncodeToString(root[:])
		}
		list = append(list, answer)
	}
	return list, nil
}
