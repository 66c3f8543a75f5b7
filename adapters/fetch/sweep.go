package fetch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// Sweep walks the list of everything that there may have been a notice of, and
// fetches and appends what the log has no answer to, unless a notice is about to
// be settled. So it finds what happened while nobody listened, and what was given
// up too early. It returns what became of the rows: those that have an answer, or
// are about to, are duplicates; those that cannot be asked for, or are not found,
// are in no number. Told, unless it is nil, is told after each page how many rows
// were looked at, and of how many; 0: nobody knows.
func (e *Enricher) Sweep(ctx context.Context, told func(seen, total int64)) (became map[domain.Status]int64, err error) {
	became = make(map[domain.Status]int64)
	var seen int64
	err = e.Client.Walk(ctx, e.Events, e.Resource, 1, time.Time{}, func(_ int64, page domain.Page) error {
		missing, known, err := e.missing(ctx, page.Rows)
		if err != nil {
			return err
		}
		became[domain.Duplicate] += known
		for _, n := range missing {
			status, err := e.fill(ctx, n)
			if err != nil {
				return err
			}
			if status != "" {
				became[status]++
			}
		}
		if seen += int64(len(page.Rows)); told != nil {
			told(seen, page.Total)
		}
		return nil
	})
	return became, err
}

// missing returns what the log has no answer to, of what the rows of a page name,
// and how many of them have one or are about to.
func (e *Enricher) missing(ctx context.Context, rows []domain.Row) (missing []domain.BadgesNoticed, known int64, err error) {
	var listed []domain.BadgesNoticed
	var keys []string
	for _, row := range rows {
		if n, ok := e.Noticer.Noticed(row.Body); ok {
			listed = append(listed, n)
			keys = append(keys, payload.Key(n.Notice), e.Noticer.AnswerKey(n.Notice), unverifiedKey(n.Notice))
		}
	}
	statuses, err := e.Log.Statuses(ctx, e.Source, keys)
	if err != nil {
		return nil, 0, err
	}
	for _, n := range listed {
		given := statuses[unverifiedKey(n.Notice)] != ""
		waits := statuses[payload.Key(n.Notice)] == domain.Accepted && !given
		if statuses[e.Noticer.AnswerKey(n.Notice)] == "" && !waits {
			missing = append(missing, n)
		} else {
			known++
		}
	}
	return missing, known, nil
}

// fill fetches and appends what a row of the list names, and returns what became of
// it. What cannot be found is passed over, with no status: the list and the thing
// itself are not of the same moment.
func (e *Enricher) fill(ctx context.Context, n domain.BadgesNoticed) (domain.Status, error) {
	answered, leave, err := e.take(ctx, n.Notice)
	switch {
	case errors.Is(err, errInHand):
		return domain.Duplicate, nil
	case err != nil:
		return "", err
	}
	defer leave()
	if answered {
		return domain.Duplicate, nil
	}
	q, fetched := e.Noticer.Ask(n)
	answer, err := e.Client.Do(ctx, q)
	if err == nil {
		err = e.Noticer.Confirm(n, answer.Body)
	}
	switch domain.CodeOf(err) {
	case "":
		return e.record(ctx, request(answer, fetched), ulid.ULID{})
	case domain.NotFound, domain.Differs, domain.Invalid, domain.TooLarge:
		e.Logger.LogAttrs(ctx, slog.LevelWarn, "listed, and not found as listed", slog.String("source", e.Source),
			slog.String("fetched", fetched), slog.Any("error", err))
		return "", nil
	}
	return "", err
}
