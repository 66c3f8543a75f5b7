package postgres

import "time"

// Pace sets how many records are in a page, how often a rebuild saves its progress
// at most, and the clock that is asked after every page and around every saving.
func (e *Projector) Pace(page int, save time.Duration, now func() time.Time) {
	e.pageSize, e.saveEvery, e.now = page, save, now
}

// LoseReplies has k take the keys that it made for keys that are not stored, as it
// does if the reply to storing them was lost.
func (k *Keyring) LoseReplies() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.subjects {
		d.stored = false
	}
}

// Clock sets what k asks for the time. It is to be set before k is used.
func (k *Keyring) Clock(now func() time.Time) { k.now = now }
