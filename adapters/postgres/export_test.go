package postgres

import "time"

// Pace sets how many records are in a page, how often a rebuild saves its progress
// at most, and the clock that is asked after every page and around every saving.
func (e *Projector) Pace(page int, save time.Duration, now func() time.Time) {
	e.pageSize, e.saveEvery, e.now = page, save, now
}
