package capture

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
)

// readLines yields the captures of an NDJSON file. A line that is no object does
// not end it, unless the whole file is one object.
func readLines(r io.Reader, maxBytes int64, yield func(Capture, error) bool) {
	maxLine := 2*maxBytes + 1<<18 // base64, and the rest of the object
	in := bufio.NewReaderSize(r, 1<<16)
	for number := 1; ; number++ {
		line, err := readLine(in, maxLine)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return
		case errors.Is(err, errLong):
			if !yield(Capture{Line: number}, tooLarge(maxBytes)) {
				return
			}
			continue
		case err != nil && !errors.Is(err, io.EOF):
			yield(Capture{Line: number}, err)
			return
		}
		text := bytes.TrimSpace(line)
		if len(text) == 0 {
			continue
		}
		if number == 1 && bytes.Equal(text, []byte("{")) {
			yield(readObject(io.MultiReader(bytes.NewReader(line), in), maxLine))
			return
		}
		c, err := parseJSON(text)
		c.Line = number
		if !yield(c, err) {
			return
		}
	}
}

// readObject reads a file that is one object over several lines.
func readObject(r io.Reader, limit int64) (Capture, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return Capture{Line: 1}, err
	}
	c, err := parseJSON(text)
	c.Line = 1
	return c, err
}

var errLong = errors.New("the line is too long")

// readLine returns a line without holding more than limit bytes of it. The rest
// of a longer one is passed over.
func readLine(in *bufio.Reader, limit int64) (line []byte, err error) {
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if int64(len(line)+len(part)) > limit {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && (err == nil || errors.Is(err, io.EOF)) {
			return nil, errLong
		}
		return line, err
	}
}

// parseHTTP reads a request as it is on the wire.
func parseHTTP(text []byte) (Capture, error) {
	const op = "capture"
	c := Capture{Line: 1}
	if m := requestLine.FindSubmatchIndex(text); m != nil {
		c.Source, c.Request.Token = address(string(text[m[2]:m[3]]))
		text = text[m[1]:]
	}
	in := bufio.NewReaderSize(bytes.NewReader(text), len(text)+1)
	header, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil {
		return c, domain.Errorf(domain.Invalid, op, "the headers and the empty line behind them cannot be read")
	}
	c.Request.Header = header
	body, err := io.ReadAll(in)
	if err != nil {
		return c, err
	}
	if strings.EqualFold(header.Get("Transfer-Encoding"), "chunked") {
		c.Request.Body, err = io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
		if err != nil {
			return c, domain.Errorf(domain.Invalid, op, "the chunks of the body cannot be read").
				WithHint("If they were put together when it was captured, remove the header Transfer-Encoding.")
		}
		return c, nil
	}
	c.Request.Body, err = measured(body, header.Get("Content-Length"))
	return c, err
}

// measured returns what a Content-Length says of body is it; "" says nothing.
func measured(body []byte, length string) ([]byte, error) {
	if length == "" {
		return body, nil
	}
	n, err := strconv.Atoi(length)
	switch {
	case err != nil || n < 0:
		return nil, domain.Errorf(domain.Invalid, "capture", "Content-Length is not a length")
	case n > len(body):
		return nil, domain.Errorf(domain.Invalid, "capture", "the body has %d bytes and Content-Length says %d: it is cut", len(body), n)
	case len(bytes.Trim(body[n:], "\r\n")) > 0:
		return nil, domain.Errorf(domain.Invalid, "capture", "the body has %d bytes and Content-Length says %d", len(body), n)
	}
	return body[:n], nil
}

// address returns the source and the token in the path /webhooks/SOURCE/TOKEN, or
// behind it if a proxy serves daybook below another path.
func address(target string) (source, token string) {
	u, err := url.Parse(target)
	if err != nil {
		return "", ""
	}
	_, rest, ok := strings.Cut(u.EscapedPath(), "/webhooks/")
	if !ok {
		return "", ""
	}
	source, token, _ = strings.Cut(rest, "/")
	if token, err = url.PathUnescape(token); err != nil {
		return source, ""
	}
	return source, token
}
