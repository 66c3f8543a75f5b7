package checkpointer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// askTimeout is how long somebody outside may take to answer.
const askTimeout = 5 * time.Second

// An HTTP is a sink at one URL: PUT replaces the checkpoint that is kept there and
// GET returns it, or answers 404 if there is none. An object in a store that keeps
// versions will do.
type HTTP struct {
	url, token string
	client     *http.Client
}

// NewHTTP returns the sink at a URL of http or https. The token is sent as a
// bearer's, to that URL alone; "" sends none.
func NewHTTP(at, token string) (*HTTP, error) {
	if err := checkURL(at, "http", "https"); err != nil {
		return nil, err
	}
	return &HTTP{url: at, token: token, client: newClient()}, nil
}

// newClient returns a client that goes where it is sent and nowhere else.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkURL refuses what is no URL of one of the schemes, and one with a password:
// it would stand in the configuration and in errors.
func checkURL(at string, schemes ...string) error {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return domain.Errorf(domain.Usage, "checkpoint", "a URL cannot be read") // the error would quote what may be a password
	}
	if u.User != nil {
		return domain.Errorf(domain.Usage, "checkpoint", "the URL of %s holds a password", u.Host).
			WithHint(`Put it into an environment variable or a file, and name that: token = "env:NAME".`)
	}
	for _, s := range schemes {
		if u.Scheme == s {
			return nil
		}
	}
	return domain.Errorf(domain.Usage, "checkpoint", "%.100q is not a URL of %s", at, schemes[0])
}

// Put implements [Sink].
func (h *HTTP) Put(ctx context.Context, s checkpoint.Signed) error {
	status, _, err := h.ask(ctx, http.MethodPut, s.Note)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("PUT was answered with %d %s", status, http.StatusText(status))
	}
	if err != nil {
		return sinkFailed(err)
	}
	return nil
}

// Newest implements [Sink].
func (h *HTTP) Newest(ctx context.Context) ([]byte, error) {
	status, body, err := h.ask(ctx, http.MethodGet, nil)
	switch {
	case err != nil:
		return nil, sinkFailed(err)
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, sinkFailed(fmt.Errorf("GET was answered with %d %s", status, http.StatusText(status)))
	}
	return body, nil
}

func (h *HTTP) ask(ctx context.Context, method string, note []byte) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, h.url, bytes.NewReader(note))
	if err != nil {
		return 0, nil, err
	}
	if note != nil {
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if h.token != "" {
		r.Header.Set("Authorization", "Bearer "+h.token)
	}
	status, _, body, err = send(h.client, r)
	return status, body, err
}

// send sends a request and returns its answer.
func send(client *http.Client, r *http.Request) (status int, header http.Header, body []byte, err error) {
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxNote+1))
	if err == nil && len(body) > maxNote {
		err = fmt.Errorf("the answer has more than %d bytes", maxNote)
	}
	return response.StatusCode, response.Header, body, err
}
