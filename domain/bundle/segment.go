package bundle

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/domain/tree"
)

// An Entry is one block of a segment: a delivery or a record.
type Entry struct {
	Delivery []byte // delivery bytes; nil: it is a record
	Record   []byte // record bytes
	Personal []byte // its personal part; nil if there is none
	Leaf     tree.Hash
}

const (
	deliveryLines = 17
	recordLines   = 12
	leafName      = "leaf "
)

// Parse returns the entries of the segment, which are parts of its text. They are
// cut at their lines only: what stands in them is not looked at.
func (s Segment) Parse() ([]Entry, error) {
	var entries []Entry
	for rest := s.Text; len(rest) > 0; {
		var e Entry
		var err error
		if bytes.HasPrefix(rest, []byte("daybook delivery v1\n")) {
			e.Delivery, rest, err = cutLines(rest, deliveryLines)
		} else {
			e, rest, err = parseRecord(rest)
		}
		if err != nil {
			return entries, fmt.Errorf("byte %d: %w", len(s.Text)-len(rest), err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func parseRecord(text []byte) (e Entry, rest []byte, err error) {
	if !bytes.HasPrefix(text, []byte("daybook record v1\n")) {
		return e, text, fmt.Errorf("there is neither a record nor a delivery")
	}
	if e.Record, rest, err = cutLines(text, recordLines); err != nil {
		return e, text, err
	}
	last, rest, err := cutLines(rest, 1)
	if err == nil && bytes.HasPrefix(last, []byte("{")) {
		e.Personal = last[:len(last)-1]
		last, rest, err = cutLines(rest, 1)
	}
	if err != nil {
		return e, text, err
	}
	digits, ok := strings.CutPrefix(string(last[:len(last)-1]), leafName)
	if ok = ok && len(digits) == hex.EncodedLen(len(e.Leaf)); ok {
		_, err = hex.Decode(e.Leaf[:], []byte(digits))
		ok = err == nil && hex.EncodeToString(e.Leaf[:]) == digits
	}
	if !ok {
		return e, text, fmt.Errorf("the leaf of the record is missing")
	}
	return e, rest, nil
}

// cutLines cuts b behind its first n lines.
func cutLines(b []byte, n int) (before, rest []byte, err error) {
	end := 0
	for range n {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			return nil, b, fmt.Errorf("a record or a delivery is not complete")
		}
		end += i + 1
	}
	return b[:end:end], b[end:], nil
}
