// Package samples holds deliveries as the providers send them.
//
// Every body is kept byte for byte and its SHA-256 is in the manifest: the
// signatures beside it hold for exactly these bytes. All names, ids and secrets
// in it are made up. The manifest says of each sample how well its shape is
// known and what is to become of it; data/README.md and data/edge/README.md say
// more.
package samples

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
)

// Credentials that the samples are signed with, in the form in which a source
// is configured with them.
const (
	TahdahSecret       = "wh_test_9f27c1d04be84a6f"         //nolint:gosec // made up
	ThinkificKey       = "3f0c9a7be21d4c58a6b1f0e29d7c4485" //nolint:gosec // made up
	BraincertLogin     = "braincert-hook:fixture-only-Passw0rd"
	CredlyOrganization = "a0c1f2d4-7b3e-4c59-9d18-2f6b7e40c811" //nolint:gosec // an id, and made up
)

// Kinds of samples.
const (
	Webhook           = "webhook"             // a request to us
	EventsAPIResponse = "events_api_response" // what Credly answers when asked about a webhook
)

// How well a sample's shape is known. A sample may have two, joined by "+".
const (
	Documented = "documented" // by the provider
	Observed   = "observed"   // in code that consumes it
	Inferred   = "inferred"   // from a neighbouring topic or schema
	Assumed    = "assumed"    // by nobody but us
	Edge       = "edge"       // made to be difficult
)

// A Sample is one delivery, or one answer of the Credly Events API.
type Sample struct {
	File     string      // below data, such as "edge/tahdah_credits_bom.json"
	Provider string      // "tahdah", "braincert", "thinkific" or "credly"
	Topic    string      // as the provider's documents name it
	Status   string      // how well its shape is known: Documented …
	Kind     string      // Webhook or EventsAPIResponse
	Feeds    []string    // which part of the product it is for
	Expect   string      // what is to become of it, in words
	Header   http.Header // as sent, signature included
	Body     []byte      // exact bytes
	SHA256   string      // of Body, hexadecimal, as the manifest has it
}

//go:embed all:data
var data embed.FS

// manifest is the form of data/manifest.json.
type manifest struct {
	TahdahSecret       string `json:"tahdah_secret"`
	ThinkificKey       string `json:"thinkific_api_key"`
	CredlyOrganization string `json:"credly_organization_id"`
	BraincertLogin     struct {
		User     string `json:"user"`
		Password string `json:"password"`
	} `json:"braincert_basic_auth"`
	Samples []struct {
		File     string            `json:"file"`
		Provider string            `json:"provider"`
		Topic    string            `json:"topic"`
		Status   string            `json:"status"`
		Kind     string            `json:"kind"` // empty: Webhook
		Feeds    []string          `json:"feeds"`
		Headers  map[string]string `json:"headers"`
		Expect   string            `json:"expect"`
		SHA256   string            `json:"sha256"`
	} `json:"fixtures"`
}

// All returns every sample in the order of the manifest, in which samples that
// belong together follow one another.
func All() ([]Sample, error) {
	m, err := readManifest()
	if err != nil {
		return nil, err
	}
	all := make([]Sample, 0, len(m.Samples))
	for _, s := range m.Samples {
		body, err := data.ReadFile(path.Join("data", s.File))
		if err != nil {
			return nil, fmt.Errorf("samples: %w", err)
		}
		header := make(http.Header, len(s.Headers))
		for name, value := range s.Headers {
			header.Set(name, value)
		}
		if s.Kind == "" {
			s.Kind = Webhook
		}
		all = append(all, Sample{
			File: s.File, Provider: s.Provider, Topic: s.Topic, Status: s.Status, Kind: s.Kind,
			Feeds: s.Feeds, Expect: s.Expect, Header: header, Body: body, SHA256: s.SHA256,
		})
	}
	return all, nil
}

// Webhooks returns the samples that are requests of the given provider, in the
// order of the manifest.
func Webhooks(provider string) ([]Sample, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	var of []Sample
	for _, s := range all {
		if s.Provider == provider && s.Kind == Webhook {
			of = append(of, s)
		}
	}
	return of, nil
}

func readManifest() (*manifest, error) {
	text, err := data.ReadFile("data/manifest.json")
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("samples: manifest: %w", err)
	}
	return &m, nil
}

// EdgeNotes returns the notes on the samples made to be difficult: Markdown with
// a table that says of each file what is to become of it.
func EdgeNotes() (string, error) {
	text, err := data.ReadFile("data/edge/README.md")
	if err != nil {
		return "", fmt.Errorf("samples: %w", err)
	}
	return string(text), nil
}
