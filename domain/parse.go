package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// ParseRecord is the inverse of [Record.AppendBytes]: it returns the record that
// has these bytes and this personal part, nil for none, and keeps both. It refuses
// bytes that AppendBytes does not write, and a personal part that they do not
// commit to. The event is not decoded yet.
func ParseRecord(b, personal []byte) (*Record, error) {
	r := &Record{Personal: personal}
	l := lines{rest: b, first: "daybook record v1"}
	l.value("position", func(s string) (err error) { r.Position, err = strconv.ParseInt(s, 10, 64); return err })
	l.value("id", parseULID(&r.ID))
	l.value("kind", parseText((*string)(&r.Kind)))
	l.value("source", parseText(&r.Source))
	l.value("occurred_at", parseRecordTime(&r.OccurredAt))
	l.value("recorded_at", parseRecordTime(&r.RecordedAt))
	l.value("delivery", func(s string) error {
		id, sum, _ := strings.Cut(s, " ")
		if err := parseHash(&r.Envelope)(sum); err != nil {
			return err
		}
		return parseULID(&r.Delivery)(id)
	})
	l.value("cause", parseULID(&r.Cause))
	l.value("test", parseTruth(&r.Test))
	l.value("personal", func(s string) error {
		sum := sha256.Sum256(personal)
		switch {
		case len(personal) == 0 && s != "-":
			return Errorf(Differs, "", "the record commits to %s, and there is none", s)
		case len(personal) > 0 && s != hex.EncodeToString(sum[:]):
			return Errorf(Differs, "", "the record commits to %s, and the personal part is %x", s, sum)
		}
		return nil
	})
	r.Data = l.bytes("data")
	if err := l.end(b, r.AppendBytes); err != nil {
		return nil, Errorf(Differs, "parse record", "%w", err)
	}
	return r, nil
}

// ParseEnvelope is the inverse of [Envelope.AppendBytes], and of nothing else.
func ParseEnvelope(b []byte) (*Envelope, error) {
	e := new(Envelope)
	l := lines{rest: b, first: "daybook delivery v1"}
	l.value("id", parseULID(&e.ID))
	l.value("source", parseText(&e.Source))
	l.value("topic", parseText(&e.Topic))
	l.value("status", parseText((*string)(&e.Status)))
	l.value("test", parseTruth(&e.Test))
	l.value("flags", parseText(&e.Flags))
	l.value("verified", parseText(&e.Verified))
	l.value("received_at", parseRecordTime(&e.ReceivedAt))
	l.value("cause", parseULID(&e.Cause))
	l.value("fetched", parseText(&e.Fetched))
	l.value("replay", parseTruth(&e.Replay))
	l.value("key", func(s string) error {
		if s != "-" {
			e.Key = s
		}
		return nil
	})
	l.value("scopes", func(s string) error {
		if s != "" {
			e.Scopes = strings.Split(s, ",")
		}
		return nil
	})
	l.value("mac", parseHash(&e.BodyMAC))
	l.value("header", parseHash(&e.HeaderSHA256))
	l.value("body", parseHash(&e.BodySHA256))
	if err := l.end(b, e.AppendBytes); err != nil {
		return nil, Errorf(Differs, "parse delivery", "%w", err)
	}
	return e, nil
}

// lines reads "name value" lines in a fixed order. The first failure stays.
type lines struct {
	rest  []byte
	first string // line before the others; "" once it was read
	err   error
}

// bytes returns the value of the next line, which must have the name.
func (l *lines) bytes(name string) []byte {
	if l.err != nil {
		return nil
	}
	if l.first != "" {
		var ok bool
		if l.rest, ok = bytes.CutPrefix(l.rest, []byte(l.first+"\n")); !ok {
			l.err = Errorf(Differs, "", "it does not begin with %q", l.first)
			return nil
		}
		l.first = ""
	}
	line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
	if ok {
		line, ok = bytes.CutPrefix(line, []byte(name+" "))
	}
	if !ok {
		l.err = Errorf(Differs, "", "there is no line %q where it belongs", name)
		return nil
	}
	l.rest = rest
	return line
}

// value reads the value of the next line, which must have the name.
func (l *lines) value(name string, read func(string) error) {
	if text := l.bytes(name); l.err == nil {
		if err := read(string(text)); err != nil {
			l.err = Errorf(Differs, name, "%w", err)
		}
	}
}

// end reports what is wrong with b, if what was read is not written as b.
func (l *lines) end(b []byte, write func([]byte) []byte) error {
	switch {
	case l.err != nil:
		return l.err
	case len(l.rest) > 0:
		return Errorf(Differs, "", "%d bytes follow the last line", len(l.rest))
	case !bytes.Equal(b, write(make([]byte, 0, len(b)))):
		return Errorf(Differs, "", "it is not in its one form")
	}
	return nil
}

func parseText(to *string) func(string) error {
	return func(s string) error {
		*to = s
		return nil
	}
}

func parseULID(to *ulid.ULID) func(string) error {
	return func(s string) (err error) {
		if s != "-" {
			*to, err = ulid.ParseStrict(s)
		}
		return err
	}
}

func parseTruth(to *bool) func(string) error {
	return func(s string) error {
		*to = s == "true" // anything else is found by writing it again
		return nil
	}
}

func parseRecordTime(to *time.Time) func(string) error {
	return func(s string) (err error) {
		*to, err = time.Parse(recordTime, s)
		return err
	}
}

func parseHash(to *[32]byte) func(string) error {
	return func(s string) error {
		if len(s) != hex.EncodedLen(len(to)) {
			return Errorf(Differs, "", "a hash has %d hexadecimal digits", hex.EncodedLen(len(to)))
		}
		_, err := hex.Decode(to[:], []byte(s))
		return err
	}
}
