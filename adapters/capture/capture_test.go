package capture_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/daybook-ledger/daybook/adapters/capture"
	"github.com/daybook-ledger/daybook/domain"
)

const maxBytes = 100

// read returns what is read, one line each.
func read(r io.Reader, form capture.Form, defaults http.Header) string {
	var b strings.Builder
	for c, err := range capture.Read(r, form, defaults, maxBytes) {
		fmt.Fprintf(&b, "%d ", c.Line)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", domain.CodeOf(err), err)
			continue
		}
		r := c.Request
		fmt.Fprintf(&b, "%q", r.Body)
		for _, name := range []string{"Webhook-Verb", "X-A"} {
			if v := r.Header[name]; v != nil {
				fmt.Fprintf(&b, " %s=%q", name, v)
			}
		}
		for _, part := range [][2]string{{"source", c.Source}, {"token", r.Token}, {"fetched", r.Fetched}} {
			if part[1] != "" {
				fmt.Fprintf(&b, " %s=%s", part[0], part[1])
			}
		}
		if !r.ReceivedAt.IsZero() {
			fmt.Fprintf(&b, " at=%s", r.ReceivedAt.Format("2006-01-02T15:04:05.999999Z07:00"))
		}
		if !c.ID.IsZero() || !c.Cause.IsZero() || c.Replay {
			fmt.Fprintf(&b, " id=%s cause=%s replay=%v", c.ID, c.Cause, c.Replay)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestRead(t *testing.T) {
	defaults := http.Header{"Webhook-Verb": {"default"}}
	for _, tt := range []struct {
		name string
		form capture.Form
		text string
		want string
	}{
		{"body", capture.Body, "\x00\xff{}\n", `1 "\x00\xff{}\n" Webhook-Verb=["default"]`},
		{"empty body", capture.Body, "", `1 "" Webhook-Verb=["default"]`},
		{"too large", capture.Body, strings.Repeat("x", maxBytes+1), "1 too_large: capture: the body has more than 100 bytes"},
		{
			"request", capture.HTTP, "POST /webhooks/acme/s%2Fcret HTTP/1.1\r\nHost: x\r\nwebhook-verb: v\r\nX-A: 1\r\nX-A: 2\r\n\r\n{}\r\n",
			`1 "{}\r\n" Webhook-Verb=["v"] X-A=["1" "2"] source=acme token=s/cret`,
		},
		{"headers alone", capture.HTTP, "X-A: 1\n\n{}", `1 "{}" Webhook-Verb=["default"] X-A=["1"]`},
		{"body like headers", capture.HTTP, "X-A: 1\n\n\nX-A: 2\n\n", `1 "\nX-A: 2\n\n" Webhook-Verb=["default"] X-A=["1"]`},
		{"the right length", capture.HTTP, "Content-Length: 4\n\n{}\n\n", `1 "{}\n\n" Webhook-Verb=["default"]`},
		{"a line end too many", capture.HTTP, "Content-Length: 2\n\n{}\n", `1 "{}" Webhook-Verb=["default"]`},
		{"cut", capture.HTTP, "Content-Length: 3\n\n{}", "1 invalid: capture: the body has 2 bytes and Content-Length says 3: it is cut"},
		{"too long", capture.HTTP, "Content-Length: 1\n\n{}", "1 invalid: capture: the body has 2 bytes and Content-Length says 1"},
		{"no length", capture.HTTP, "Content-Length: -1\n\n{}", "1 invalid: capture: Content-Length is not a length"},
		{"chunks", capture.HTTP, "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", `1 "{}" Webhook-Verb=["default"]`},
		{"no chunks", capture.HTTP, "Transfer-Encoding: chunked\r\n\r\n{}", "1 invalid: capture: the chunks of the body cannot be read"},
		{"no empty line", capture.HTTP, "X-A: 1\n", "1 invalid: capture: the headers and the empty line behind them cannot be read"},
		{"no headers", capture.HTTP, "{}\n\n", `1 invalid: capture: the headers and the empty line behind them cannot be read`},
		{
			"objects", capture.NDJSON, `{"body":"{}","header":{"x-a":"1"}}
{"body_base64":"AP8=","header":{"X-A":["1","2"]},"source":"acme","token":"t","received_at":"2026-03-01T13:00:00.5+01:00","id":"01KHV3Q0000000000000000001","status":"accepted"}

{"body":"","fetched":"events/1","cause":"01KHV3Q0000000000000000001","replay":true}`,
			`1 "{}" Webhook-Verb=["default"] X-A=["1"]
2 "\x00\xff" Webhook-Verb=["default"] X-A=["1" "2"]`,
		},
		{
			"bad ones between", capture.NDJSON, `{"body":"1"}
nonsense
{"header":{}}
{"body":"1","body_base64":"MQ=="}
{"body":"1","id":"7"}
{"body":"` + strings.Repeat("x", 1<<19) + `"}
{"body":"1","received_at":"yesterday"}
{"body":"\ud800"}
{"body":"` + "\xff" + `"}
{"body":"2"}
`,
			`1 "1" Webhook-Verb=["default"]
2 invalid: capture: this is not a capture: it is not JSON at byte 2
3 invalid: capture: it must have one of body and body_base64
4 invalid: capture: it must have one of body and body_base64
5 invalid: capture: id is not the id of a delivery
6 too_large: capture: the body has more than 100 bytes
7 invalid: capture: this is not a capture: a member has another form
8 invalid: capture: the body has characters that are none
9 invalid: capture: the body has characters that are none
10 "2" Webhook-Verb=["default"]`,
		},
		{"one object", capture.NDJSON, "{\n  \"body\": \"{}\",\n  \"header\": {}\n}\n", `1 "{}" Webhook-Verb=["default"]`},
		{"nothing", capture.NDJSON, "\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				got := strings.Split(strings.TrimSuffix(read(r, tt.form, defaults), "\n"), "\n")
				for i, want := range strings.Split(tt.want, "\n") {
					if i >= len(got) || !strings.HasPrefix(got[i], want) {
						t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), tt.want)
						break
					}
				}
			}
		})
	}
	got := read(strings.NewReader(`{"body":"","fetched":"events/1","cause":"01KHV3Q0000000000000000001","replay":true}`), capture.NDJSON, nil)
	if want := "1 \"\" fetched=events/1 id=00000000000000000000000000 cause=01KHV3Q0000000000000000001 replay=true\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestReadFails wants a file that cannot be read on to be an error, and the end.
func TestReadFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, form := range capture.Forms() {
		n := 0
		for _, err := range capture.Read(io.MultiReader(strings.NewReader("{\"body\":\"1\"}\n"), iotest.ErrReader(broken)), form, nil, maxBytes) {
			if n++; n > 2 {
				t.Fatalf("%s: it goes on", form)
			}
			if (n == 2 || form != capture.NDJSON) && !errors.Is(err, broken) {
				t.Errorf("%s: %v", form, err)
			}
		}
	}
}

func TestGuess(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       capture.Form
	}{
		{"a.http", "{}", capture.HTTP},
		{"a.ndjson", "", capture.NDJSON},
		{"a.JSONL", "", capture.NDJSON},
		{"a.json", `{"id":"1","resource":"enrollment","payload":{}}`, capture.Body},
		{"a.json", `[{"id":1}]`, capture.Body},
		{"a.json", `{"body":"as a provider might call something"}`, capture.Body},
		{"a.json", "{\n \"id\": \"01KHV3Q0000000000000000001\",\n \"body_base64\": \"e30=\"\n}", capture.NDJSON},
		{"-", `{"body":"{}","header":{}}` + "\n" + `{"body":"{}","header":{}}`, capture.NDJSON},
		{"-", `{"id":"1","header":{},"body_base64":"` + strings.Repeat("e30=", 1<<14), capture.NDJSON},
		{"-", `{"header":{"A":"b"},"body":"` + strings.Repeat("x", 1<<16), capture.NDJSON},
		{"-", `{"id":"1","payload":{"body":"","header":{},"body_base64":"` + strings.Repeat("e30=", 1<<14), capture.Body},
		{"a.xml", "<?xml version=\"1.0\"?><webhook/>", capture.Body},
		{"a.txt", "POST /webhooks/acme HTTP/1.1\r\nHost: x\r\n\r\n{}", capture.HTTP},
		{"a.txt", "Webhook-Verb: v\n\n{}", capture.HTTP},
		{"a.bin", "\x00\x01", capture.Body},
		{"a", "", capture.Body},
	} {
		if got := capture.Guess(tt.name, []byte(tt.text)); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.name, tt.text, got, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("POST /webhooks/acme/t HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n")
	f.Add(`{"header":{"A":["b"]},"body_base64":"e30="}`)
	f.Fuzz(func(t *testing.T, text string) {
		capture.Guess("", []byte(text))
		for _, form := range capture.Forms() {
			for c, err := range capture.Read(strings.NewReader(text), form, nil, maxBytes) {
				if err == nil && len(c.Request.Body) > maxBytes {
					t.Errorf("%s: %d bytes", form, len(c.Request.Body))
				}
				if c.Line < 1 {
					t.Errorf("%s: line %d", form, c.Line)
				}
			}
		}
	})
}
