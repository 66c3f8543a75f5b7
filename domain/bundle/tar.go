package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const blockSize = 512

// header returns the block before a member with a name of at most 100 bytes.
func header(name string, size int64) []byte {
	b := make([]byte, blockSize)
	copy(b, name)
	copy(b[100:], "0000444\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x0000000000000\x00        0", size))
	copy(b[257:], "ustar\x0000")
	copy(b[329:], "0000000\x000000000\x00")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// parseHeader is the inverse of header, and of nothing else.
func parseHeader(b []byte) (name string, size int64, err error) {
	text, _, _ := bytes.Cut(b[:100], []byte{0})
	size, err = strconv.ParseInt(string(b[124:135]), 8, 64)
	if err != nil || size < 0 || !bytes.Equal(b, header(string(text), size)) {
		return "", 0, errors.New("there is no header of a member")
	}
	return string(text), size, nil
}

// padding returns what follows a member of that size.
func padding(size int64) []byte {
	return make([]byte, (blockSize-size%blockSize)%blockSize)
}

// readAll reads size bytes and what fills their last block. What it allocates
// grows with what is there, not with what the header claims.
func readAll(r io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(size, 2*segmentSize)) + bytes.MinRead)
	if _, err := io.CopyN(&b, r, size); err != nil {
		return nil, early(err)
	}
	rest := padding(size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, early(err)
	}
	if !isZero(rest) {
		return nil, errors.New("what fills its last block is not zero")
	}
	return b.Bytes(), nil
}

func isZero(b []byte) bool { return !bytes.ContainsFunc(b, func(r rune) bool { return r != 0 }) }

var errEarly = errors.New("the file ends here, before the end of the bundle")

// early says so if the file has ended.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errEarly
	}
	return &readError{err}
}

// A readError is a failure to read, which says nothing about the file.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }
