package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/adapters/samples"
)

// sampleEvents returns what Credly answers when it is asked about the events of
// the sample notices, by id. With edge, those that are made to be difficult too.
func sampleEvents(edge bool) (map[string][]byte, error) {
	all, err := samples.All()
	if err != nil {
		return nil, err
	}
	events := make(map[string][]byte)
	for _, s := range all {
		if s.Kind != samples.EventsAPIResponse || s.Status == samples.Edge && !edge || strings.HasPrefix(path.Base(s.File), "_") {
			continue
		}
		var answer struct {
			Data struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(s.Body, &answer); err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		events[answer.Data.ID] = s.Body
	}
	return events, nil
}

// sampleAPI is as much of Credly's API as the demo needs: the events of its
// notices, and a list that has no others.
func sampleAPI(events map[string][]byte) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body []byte) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body) // whoever asked asks again
	}
	mux.HandleFunc("GET /v1/organizations/{organization}/events/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := events[r.PathValue("id")]
		if user, _, _ := r.BasicAuth(); user != demoToken {
			answer(w, http.StatusUnauthorized, []byte(`{"data":{"message":"not authorized"}}`))
		} else if !ok || r.PathValue("organization") != samples.CredlyOrganization {
			answer(w, http.StatusNotFound, []byte(`{"data":{"message":"not found"}}`))
		} else {
			answer(w, http.StatusOK, body)
		}
	})
	mux.HandleFunc("GET /v1/organizations/{organization}/events", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, []byte(`{"data":[],"metadata":{"count":0,"current_page":1,"total_count":0,"total_pages":1,"per":50,"previous_page_url":null,"next_page_url":null}}`))
	})
	return mux
}

// serveSampleAPI serves the sample API on this machine until it is closed, and
// returns its base URL.
func serveSampleAPI(ctx context.Context) (base string, api io.Closer, err error) {
	events, err := sampleEvents(false)
	if err != nil {
		return "", nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: sampleAPI(events), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends when it is closed
	return "http://" + listener.Addr().String() + "/v1", server, nil
}
