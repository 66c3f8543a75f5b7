package intake

import "time"

// SetClock makes the handler read the time from now.
func (h *Handler) SetClock(now func() time.Time) { h.now = now }

// Patience is how long a body may take while others are turned away.
const Patience = patience

// SetBodyTimeout sets the time in which a body must have come to its end.
func (h *Handler) SetBodyTimeout(d time.Duration) { h.bodyTimeout = d }

// Kept returns the headers that are recorded.
var Kept = kept
