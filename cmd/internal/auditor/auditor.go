// Package auditor is what "daybook audit" and the program daybook-audit have in
// common: it opens the files, has them audited and prints what came of it.
//
// What it keeps true: it asks nothing but the files that it is given, neither a
// database nor the network nor a configuration; what it imports beside the standard
// library is domain, projections and what these import. So what an auditor has to
// read before he believes the result is that.
package auditor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/audit"
	"github.com/daybook-ledger/daybook/projections/certifications"
	"github.com/daybook-ledger/daybook/projections/credits"
	"github.com/daybook-ledger/daybook/projections/directory"
	"github.com/daybook-ledger/daybook/projections/sales"
	"github.com/daybook-ledger/daybook/projections/trustgroups"
)

// Projections returns every read model there is.
// To add one, write its folder under projections and add its line here.
func Projections() []*projections.Projection {
	return []*projections.Projection{
		credits.Projection(),
		sales.Projection(),
		trustgroups.Projection(),
		certifications.Projection(),
		directory.Projection(),
	}
}

// A Command is one call of either program.
type Command struct {
	Files       []string // to audit; "-" is Stdin
	Keys        []string // public keys, or files that hold one a line
	Checkpoints []string // files of signed checkpoints that the auditor holds
	Views       []string // questions, as they stand in a URL behind /v1/
	Format      string   // table, json, ndjson or csv
	Width       int      // of a table; 0: as wide as it is
	Now         time.Time
	Stdin       io.Reader
	Stdout      io.Writer
	Stderr      io.Writer

	// Progress returns what is told how many of how many records of a file are
	// checked, and what is to be called in the end.
	Progress func(file string) (update func(done, total int64), end func())
}

// Run audits the files and prints what came of it. What is not OK is an error with
// code Differs, after everything is printed.
func (c Command) Run(ctx context.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	if len(c.Files) == 0 {
		return domain.Errorf(domain.Usage, "", "there is no file to audit").WithHint("Name a bundle, a certificate or a row; \"-\" is what comes in.")
	}
	if c.rowsOnly() && (len(c.Views) != 1 || len(c.Files) != 1) {
		return domain.Errorf(domain.Usage, "", "%s holds the rows of one view of one bundle", c.Format).WithHint("Give one --view and one file, or use --json.")
	}
	var failed error
	for _, file := range c.Files {
		err := c.file(ctx, file, o)
		if err != nil && domain.CodeOf(err) != domain.Differs {
			return err
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// rowsOnly reports whether nothing but the rows of a view goes to stdout.
func (c Command) rowsOnly() bool { return c.Format == "csv" || c.Format == "ndjson" }

func (c Command) options() (o audit.Options, err error) {
	o = audit.Options{Projections: Projections(), Checkpoints: make(map[string][]byte), Workers: runtime.GOMAXPROCS(0)}
	for _, text := range c.Keys {
		keys, err := readKeys(text)
		if err != nil {
			return o, err
		}
		o.Keys = append(o.Keys, keys...)
	}
	for _, file := range c.Checkpoints {
		note, err := os.ReadFile(file)
		if err == nil {
			_, err = checkpoint.Unverified(note)
		}
		if err != nil {
			return o, domain.Errorf(domain.Usage, "", "%s is no signed checkpoint: %w", file, err).
				WithHint("Give a file such as \"daybook checkpoint show --note\" writes.")
		}
		o.Checkpoints[file] = note
	}
	for _, view := range c.Views {
		q, err := audit.ParseQuestion(o.Projections, view, c.Now)
		if err != nil {
			return o, err
		}
		o.Questions = append(o.Questions, q)
	}
	return o, nil
}

// readKeys returns the public key that a text is, or those in the file that it
// names.
func readKeys(text string) ([]note.Verifier, error) {
	key, wrong := checkpoint.NewVerifier(text)
	if wrong == nil {
		return []note.Verifier{key}, nil
	}
	lines, err := os.ReadFile(text)
	if err != nil {
		return nil, domain.Errorf(domain.Usage, "", "%.100q is neither a public key nor a file of such keys: %w", text, wrong).
			WithHint("A key is one line, NAME+ID+KEY, as \"daybook checkpoint show --key\" prints it.")
	}
	var keys []note.Verifier
	for line := range strings.Lines(string(lines)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := checkpoint.NewVerifier(line)
		if err != nil {
			return nil, domain.Errorf(domain.Usage, "", "%s: %w", text, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, domain.Errorf(domain.Usage, "", "%s holds no public key", text)
	}
	return keys, nil
}

// file audits one file, whatever it is.
func (c Command) file(ctx context.Context, name string, o audit.Options) (err error) {
	from := c.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return domain.Errorf(domain.Usage, "", "%w", err).WithHint("Name a file that is here, or \"-\" for what comes in.")
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		from = f
	}
	r := bufio.NewReaderSize(from, 1<<20)
	begin, _ := r.Peek(4 << 10) // what cannot be read shows again
	switch {
	case checkpoint.IsProof(begin), checkpoint.IsConsistency(begin), isCheckpoint(begin):
		return domain.Errorf(domain.Usage, "", "%s is a checkpoint, or a proof under one, and says nothing of balances", name).
			WithHint("Check it with \"daybook checkpoint verify\"; give a checkpoint that you hold as what a bundle has to fit: --checkpoint FILE")
	case bytes.HasPrefix(begin, []byte(certificate.FirstLine+"\n")), bytes.HasPrefix(begin, []byte(certificate.RowLine+"\n")):
		text, err := io.ReadAll(io.LimitReader(r, maxText+1))
		if err != nil {
			return readFailed(name, err)
		}
		return c.statement(name, audit.Statement(text, o))
	}
	if c.Progress != nil {
		var end func()
		o.Progress, end = c.Progress(name)
		defer end()
	}
	report, answers, err := audit.Bundle(ctx, r, o)
	if err != nil {
		if ctx.Err() == nil {
			err = readFailed(name, err)
		}
		return err
	}
	return c.bundle(name, report, answers)
}

func isCheckpoint(b []byte) bool {
	_, err := checkpoint.Unverified(b)
	return err == nil
}

// maxText is how large a certificate or a row may be.
const maxText = 2 << 20

func readFailed(name string, err error) error {
	return domain.Errorf(domain.Internal, "read "+name, "%w", err)
}
