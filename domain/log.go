package domain

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// SourceLog is the source of what is recorded of the log itself. No configured
// source has its name.
const SourceLog = "log"

// LogForked says that the log goes on from an earlier state than the one that was
// signed last, such as that of a backup which was restored: it opens a new epoch.
// It is the first record of that epoch and commits to what the log said of itself
// before, so that nobody who holds the old checkpoint is told it never was.
//
// The epoch of the log is that of the last of these records, 1 if there is none. It
// is usually one more than their number; it is greater if the log was rolled back
// over one of them, because no epoch is opened twice.
type LogForked struct {
	Epoch      int64  `json:"epoch"`      // that it opens; the first one that is opened is 2
	Checkpoint string `json:"checkpoint"` // newest checkpoint known of the epochs before, a signed note with its newlines
	Size       int64  `json:"size"`       // how many records were left: this record is the next one
	Root       string `json:"root"`       // of these, in base64
	Reason     string `json:"reason"`
	By         string `json:"by"` // who decided it
}

// Kind implements [Event].
func (LogForked) Kind() Kind { return "log.forked.v1" }

// Validate implements [Event].
func (e LogForked) Validate() error {
	var c check
	if e.Epoch < 2 {
		c.fail("epoch", "is %d, below 2", e.Epoch)
	}
	c.text("checkpoint", e.Checkpoint)
	if _, _, _, ok := e.Lost(); !ok {
		c.fail("checkpoint", "is not a checkpoint")
	}
	if e.Size < 0 {
		c.fail("size", "is negative")
	}
	c.hash("root", e.Root)
	c.id("reason", e.Reason)
	c.id("by", e.By)
	return c.err
}

// Lost returns what the checkpoint says: the origin of an earlier epoch and the
// size and root, in base64, that the log had there. It reports whether it can be
// read. Nothing is said of its signatures.
func (e LogForked) Lost() (origin string, size int64, root string, ok bool) {
	lines := strings.SplitN(e.Checkpoint, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return "", 0, "", false
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] || !isHash(lines[2]) {
		return "", 0, "", false
	}
	return lines[0], size, lines[2], true
}

// hash wants a SHA-256 in base64.
func (c *check) hash(field, s string) {
	if !isHash(s) {
		c.fail(field, "is not a SHA-256 in base64")
	}
}

func isHash(s string) bool {
	sum, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(sum) == 32 && base64.StdEncoding.EncodeToString(sum) == s
}
