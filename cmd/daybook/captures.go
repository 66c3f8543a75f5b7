package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/adapters/capture"
	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/domain"
)

// captureOptions are the flags of commands that read captured deliveries.
type captureOptions struct {
	header     []string // "Name: value"
	form       string
	receivedAt string // a time, or mtime
}

// mtime stands for the time at which a file was last modified.
const mtime = "mtime"

func (o *captureOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	forms := []string{}
	for _, form := range capture.Forms() {
		forms = append(forms, string(form))
	}
	f.StringArrayVar(&o.header, "header", nil, `header that a capture lacks, such as "Webhook-Verb: eventCredits.Updated"; can be given again`)
	f.StringVar(&o.form, "form", "", "form of the files: "+strings.Join(forms, ", ")+" (default: by their names and beginnings)")
	f.StringVar(&o.receivedAt, "received-at", "", "when a capture was received that does not say so: an RFC 3339 time, or mtime for when its file was modified")
}

// check returns the headers that captures lack, or an error with code Usage.
func (o *captureOptions) check() (http.Header, error) {
	header := make(http.Header)
	for _, h := range o.header {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, domain.Errorf(domain.Usage, "", "%.80q is not a header", h).WithHint(`Write --header "Name: value".`)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	if o.form != "" && !slices.Contains(capture.Forms(), capture.Form(o.form)) {
		return nil, domain.Errorf(domain.Usage, "", "there is no form %q", o.form).WithHint("Run with --help to see them.")
	}
	if o.receivedAt != "" && o.receivedAt != mtime {
		if _, err := time.Parse(time.RFC3339, o.receivedAt); err != nil {
			return nil, domain.Errorf(domain.Usage, "", "--received-at: %q is not a time", o.receivedAt).
				WithHint(`Write 2026-03-31T12:00:00Z, or mtime.`)
		}
	}
	return header, nil
}

// A captured is a capture and where it was found.
type captured struct {
	capture.Capture
	file string
}

// place names where a capture begins.
func (c captured) place() string {
	if c.Line > 1 {
		return fmt.Sprintf("%s:%d", c.file, c.Line)
	}
	return c.file
}

// read yields the captures in the named files: of a directory, all files in and
// below it whose name does not begin with a dot, by name; "-" is stdin. An error
// is about one capture or one file, and the rest is read all the same.
func (o *captureOptions) read(stdin io.Reader, header http.Header, names []string) iter.Seq2[captured, error] {
	return func(yield func(captured, error) bool) {
		for name, err := range files(names) {
			if err != nil {
				if !yield(captured{file: name}, domain.Errorf(domain.NotFound, "read", "%w", err)) {
					return
				}
				continue
			}
			if !o.readFile(stdin, header, name, yield) {
				return
			}
		}
	}
}

// files yields the files that are meant by the names.
func files(names []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range names {
			if name == "-" {
				if !yield(name, nil) {
					return
				}
				continue
			}
			err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
				switch {
				case err != nil:
				case path != name && strings.HasPrefix(d.Name(), "."):
					if d.IsDir() {
						return fs.SkipDir
					}
					return nil
				case d.IsDir():
					return nil
				case path != name && !isFile(path):
					// A pipe would be waited for, and a device never ends.
					err = domain.Errorf(domain.Invalid, "", "it is not a file").WithHint("Name it, if it is to be read all the same.")
				}
				if !yield(path, err) {
					return fs.SkipAll
				}
				return nil
			})
			if errors.Is(err, fs.SkipAll) {
				return
			}
		}
	}
}

// isFile reports whether the path is that of a file, or of something that cannot
// be looked at: opening it says why.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}

// readFile yields the captures in one file, and reports whether to go on.
func (o *captureOptions) readFile(stdin io.Reader, header http.Header, name string, yield func(captured, error) bool) bool {
	in, modified := stdin, time.Time{}
	if name != "-" {
		f, err := os.Open(name)
		if err == nil {
			defer f.Close()
			var info fs.FileInfo
			if info, err = f.Stat(); err == nil {
				modified = info.ModTime()
			}
		}
		if err != nil {
			return yield(captured{file: name}, domain.Errorf(domain.NotFound, "read", "%w", err))
		}
		in = f
	}
	reader := bufio.NewReaderSize(in, 1<<16)
	beginning, _ := reader.Peek(1 << 16) // what is wrong with it will show again
	form := cmp.Or(capture.Form(o.form), capture.Guess(name, beginning))
	for c, err := range capture.Read(reader, form, header, intake.DefaultMaxBytes) {
		if c.Request.ReceivedAt.IsZero() {
			c.Request.ReceivedAt = o.received(c, modified)
		}
		if !yield(captured{c, name}, err) {
			return false
		}
	}
	return true
}

// received returns when a capture was received that does not say so itself. The
// zero time: nobody knows.
func (o *captureOptions) received(c capture.Capture, modified time.Time) time.Time {
	switch {
	case !c.ID.IsZero():
		return c.ID.Timestamp().UTC()
	case o.receivedAt == mtime:
		return modified.UTC()
	case o.receivedAt != "":
		at, _ := time.Parse(time.RFC3339, o.receivedAt) // it was checked
		return at.UTC()
	}
	return time.Time{}
}
