package pgtest

import (
	"bufio"
	"io"
	"testing"
)

// lines is what a child prints, line by line.
type lines struct{ s *bufio.Scanner }

func newLines(r io.Reader) *lines { return &lines{bufio.NewScanner(r)} }

// want reads the next line and compares it.
func (l *lines) want(t *testing.T, want string) {
	t.Helper()
	if !l.s.Scan() {
		t.Fatalf("the process ended, want %q (%v)", want, l.s.Err())
	}
	if got := l.s.Text(); got != want {
		t.Fatalf("the process says %q, want %q", got, want)
	}
}
