package api

import (
	"log/slog"
	"net/http"
)

// health says that the process is up, and nothing about what it depends on.
func (h *handler) health(w http.ResponseWriter, r *http.Request) error {
	return h.writeJSON(w, r, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) version(w http.ResponseWriter, r *http.Request) error {
	return h.writeJSON(w, r, http.StatusOK, h.Version)
}

// readiness is what /readyz says:
//
//	{"ready":true,"database":"ok","log":"ok","head":7,"projections":[{"name":"credits","status":"running","version":1,"position":7,"lag":0}]}
//
// A projection is running, stopped or missing. One that is stopped keeps
// answering about what it has seen and takes nothing from the others, so it
// does not make the process unready. A log that is read-only does, although
// questions are answered: deliveries are not taken in.
type readiness struct {
	Ready       bool                  `json:"ready"`
	Database    string                `json:"database"` // ok or unusable
	Log         string                `json:"log"`      // ok or read-only
	Head        int64                 `json:"head"`
	Projections []projectionReadiness `json:"projections"`
}

type projectionReadiness struct {
	Name      string `json:"name"`
	Status    string `json:"status"`
	Version   int    `json:"version"`
	Position  int64  `json:"position"`
	Lag       int64  `json:"lag"`
	StoppedAt int64  `json:"stopped_at,omitempty"`
}

// ready says whether deliveries can be taken in and questions be answered: the
// database is there, migrated, has the tables of every projection, and the log is
// the one that was signed.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) error {
	list, err := h.Ledger.Status(r.Context())
	answer := readiness{Ready: err == nil, Database: "ok", Log: "ok", Projections: make([]projectionReadiness, 0, len(list))}
	if err != nil {
		id := requestID(r)
		w.Header().Set("X-Request-Id", id)
		h.Logger.LogAttrs(r.Context(), slog.LevelWarn, "not ready", slog.String("request_id", id), slog.Any("error", err))
		answer.Database = "unusable"
		list = nil
	}
	if h.ReadOnly != nil && h.ReadOnly() != nil {
		answer.Ready, answer.Log = false, "read-only"
	}
	for _, s := range list {
		p := projectionReadiness{Name: s.Name, Status: "running", Version: s.Version, Position: s.Position, Lag: s.Head - s.Position, StoppedAt: s.StoppedAt}
		switch {
		case s.Version == 0:
			p.Status = "missing"
			answer.Ready = false
		case s.StoppedAt != 0:
			p.Status = "stopped"
		}
		answer.Head = max(answer.Head, s.Head)
		answer.Projections = append(answer.Projections, p)
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	return h.writeJSON(w, r, status, answer)
}
