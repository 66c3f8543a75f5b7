// Package capture reads deliveries that were captured outside of the log: by a
// proxy, from another daybook, or by hand.
//
// What it keeps true: a body is handed on byte for byte, since its signature is
// over exactly those; one capture that cannot be read does not keep the next one
// from being read; and nothing is made up: what a capture does not say, such as
// when it was received, stays unsaid.
package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// A Capture is one delivery as it was captured.
type Capture struct {
	Line    int            // of the file, where it begins; the first is 1
	Request domain.Request // ReceivedAt is zero and Token empty if nothing says them
	Source  string         // the source it was sent to; "": not said
	ID      ulid.ULID      // of the delivery as which it was recorded; zero: none is known
	Cause   ulid.ULID      // the delivery that one followed from; zero: none
	Replay  bool           // it is an earlier delivery translated again, and did not arrive
}

// A Form is how captures are written in a file.
type Form string

// Forms.
const (
	// Body is a body and nothing else.
	Body Form = "body"

	// HTTP is a request as it is on the wire: a request line, which may be left
	// out, headers, an empty line and the body to the end of the file. Lines end
	// with LF or CRLF. A Content-Length must be right, but for line ends behind the
	// body, which editors add; chunks are put together.
	HTTP Form = "http"

	// NDJSON is one JSON object a line:
	//
	//	{"header":{"Webhook-Verb":"…"},"body":"…"}
	//	{"header":{"Webhook-Verb":["…"]},"body_base64":"…","received_at":"2026-03-01T12:00:00Z","source":"…","id":"01…"}
	//
	// A body is text, or any bytes in base64. Besides, a token (of the address),
	// fetched, cause and replay are read; other members are passed over. It is
	// what "daybook delivery show --json" prints; there, the object may take
	// several lines if it is the only one.
	NDJSON Form = "ndjson"
)

// Forms returns all forms.
func Forms() []Form { return []Form{Body, HTTP, NDJSON} }

// endings are the forms of files by the ends of their names.
var endings = map[string]Form{".http": HTTP, ".ndjson": NDJSON, ".jsonl": NDJSON}

// Beginnings of a request: its request line, or a header.
var (
	requestLine = regexp.MustCompile(`^[A-Z]+ (\S+) HTTP/1\.[01]\r?\n`)
	headerLine  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\n]*\n")
)

// Guess returns the form of a file: by the end of its name, or else by how it
// begins, which may be cut anywhere. No body of a provider begins as a request does,
// or is an object with the members of a capture.
func Guess(name string, beginning []byte) Form {
	if form, ok := endings[strings.ToLower(filepath.Ext(name))]; ok {
		return form
	}
	switch {
	case requestLine.Match(beginning), headerLine.Match(beginning):
		return HTTP
	case isCapture(members(beginning)):
		return NDJSON
	}
	return Body
}

// Read yields the captures in r, in their order. Each error is about one capture,
// whose Line says which, unless r itself cannot be read. A body may have maxBytes.
// Where a capture has no header of a name in defaults, it has that one.
func Read(r io.Reader, form Form, defaults http.Header, maxBytes int64) iter.Seq2[Capture, error] {
	return func(yield func(Capture, error) bool) {
		complete := func(c Capture, err error) bool {
			if err == nil && int64(len(c.Request.Body)) > maxBytes {
				err = tooLarge(maxBytes)
			}
			header := defaults.Clone()
			if header == nil {
				header = make(http.Header)
			}
			for name, values := range c.Request.Header {
				header[http.CanonicalHeaderKey(name)] = values
			}
			c.Request.Header = header
			return yield(c, err)
		}
		if form == NDJSON {
			readLines(r, maxBytes, complete)
			return
		}
		// What surrounds the body of one request is less than that.
		text, err := io.ReadAll(io.LimitReader(r, maxBytes+1<<16))
		c := Capture{Line: 1}
		switch {
		case err != nil:
		case form == HTTP:
			c, err = parseHTTP(text)
		default:
			c.Request.Body = text
		}
		complete(c, err)
	}
}

func tooLarge(maxBytes int64) error {
	return domain.Errorf(domain.TooLarge, "capture", "the body has more than %d bytes", maxBytes)
}

// An object is a capture as JSON.
type object struct {
	ID         string                `json:"id"`
	Source     string                `json:"source"`
	Token      string                `json:"token"`
	Header     map[string]stringList `json:"header"`
	Body       *string               `json:"body"`
	Base64     *[]byte               `json:"body_base64"`
	ReceivedAt *time.Time            `json:"received_at"`
	Fetched    string                `json:"fetched"`
	Cause      string                `json:"cause"`
	Replay     bool                  `json:"replay"`
}

// isCapture reports whether an object with such members can be nothing else.
func isCapture(members []string) bool {
	has := func(name string) bool { return slices.Contains(members, name) }
	return has("body_base64") || has("body") && has("header")
}

// members returns the names of the members of the object that text begins with, as
// far as they can be read: a large value may be cut.
func members(text []byte) (names []string) {
	in := json.NewDecoder(bytes.NewReader(text))
	if begin, err := in.Token(); err != nil || begin != json.Delim('{') {
		return nil
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return names
		}
		names = append(names, fmt.Sprint(name))
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return names
		}
	}
	return names
}

// A stringList is a JSON string or a list of them.
type stringList []string

// UnmarshalJSON implements [json.Unmarshaler].
func (l *stringList) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*l = []string{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

func decode(text []byte) (o object, err error) {
	err = json.Unmarshal(text, &o)
	return o, err
}

// unread says why an object is none, without what is in it.
func unread(err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it is not JSON at byte %d", syntax.Offset)
	}
	if of, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return of.Field + " is a " + strings.Fields(of.Value + " ?")[0]
	}
	return "a member has another form"
}

// parseJSON reads one object.
func parseJSON(text []byte) (c Capture, err error) {
	const op = "capture"
	o, err := decode(text)
	switch {
	case err != nil:
		return c, domain.Errorf(domain.Invalid, op, "this is not a capture: %s", unread(err))
	case (o.Body == nil) == (o.Base64 == nil):
		return c, domain.Errorf(domain.Invalid, op, "it must have one of body and body_base64")
	case o.Body != nil && strings.ContainsRune(*o.Body, utf8.RuneError):
		// JSON has put it in the place of bytes that are lost.
		return c, domain.Errorf(domain.Invalid, op, "the body has characters that are none").WithHint("Give the bytes as body_base64.")
	case o.Body != nil:
		c.Request.Body = []byte(*o.Body)
	default:
		c.Request.Body = *o.Base64
	}
	c.Source, c.Replay = o.Source, o.Replay
	c.Request.Token, c.Request.Fetched = o.Token, o.Fetched
	c.Request.Header = make(http.Header, len(o.Header))
	for name, values := range o.Header {
		c.Request.Header[name] = values
	}
	if o.ReceivedAt != nil {
		c.Request.ReceivedAt = o.ReceivedAt.UTC()
	}
	for _, id := range []struct {
		name, text string
		into       *ulid.ULID
	}{{"id", o.ID, &c.ID}, {"cause", o.Cause, &c.Cause}} {
		if id.text == "" {
			continue
		}
		if *id.into, err = ulid.ParseStrict(id.text); err != nil {
			return c, domain.Errorf(domain.Invalid, op, "%s is not the id of a delivery", id.name)
		}
	}
	return c, nil
}
