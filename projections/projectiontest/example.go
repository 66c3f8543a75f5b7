package projectiontest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"golang.org/x/tools/txtar"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// epoch is when records happened that do not say.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// An Example is a log and what the views show of it: a txtar archive with these
// sections, in this order:
//
//   - log: one record per line, OCCURRED_AT SOURCE KIND DATA [PERSONAL], the
//     last two as in the wire form. Times are RFC 3339; a record that was told
//     later has OCCURRED_AT/RECORDED_AT. Positions count from 1. Empty lines
//     and lines that start with # are skipped.
//   - as_of, if the views are asked about the past: a date or a time. Then only
//     what had happened by then is folded. Without it, computed columns see
//     the zero moment.
//   - one per view: its rows as CSV under the names of its columns. Null is
//     empty.
//
// What comes before the first section says what the example shows.
type Example struct {
	Log  []*domain.Record
	AsOf string // as in a query; "" if there is no such section

	file    string
	archive *txtar.Archive
}

// ReadExample reads an example from a file.
func ReadExample(file string) (*Example, error) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	e := &Example{file: file, archive: archive}
	if data, ok := e.section("log"); ok {
		if e.Log, err = parseLog(data); err != nil {
			return nil, fmt.Errorf("%s: log: %w", file, err)
		}
	}
	if len(e.Log) == 0 {
		return nil, fmt.Errorf("%s: no records", file)
	}
	asOf, _ := e.section("as_of")
	e.AsOf = strings.TrimSpace(asOf)
	return e, nil
}

// Answer folds the log and returns the views as CSV, by name.
func (e *Example) Answer(p *projections.Projection) (map[string]string, error) {
	params := url.Values{"limit": {"0"}}
	if e.AsOf != "" {
		params.Set("as_of", e.AsOf)
	}
	views := make(map[string]string)
	for _, v := range p.Views {
		q, err := projections.ParseQuery(v, params)
		if err != nil {
			return nil, err
		}
		m := projections.NewMemory(p)
		for _, r := range e.Log {
			if !q.AsOf.IsZero() && r.EffectiveAt().After(q.AsOf) {
				continue
			}
			if err := m.Fold(r); err != nil {
				return nil, err
			}
		}
		page, err := v.Ask(context.Background(), m, Opener{}, q, 0)
		if err != nil {
			return nil, err
		}
		if views[v.Name], err = asCSV(v, page.Rows); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// Diff returns how the views differ from those in the file, "" if they do not.
func (e *Example) Diff(views map[string]string) string {
	var b strings.Builder
	for _, f := range e.archive.Files {
		if _, ok := views[f.Name]; !ok && f.Name != "log" && f.Name != "as_of" {
			fmt.Fprintf(&b, "section %s is no view\n", f.Name)
		}
	}
	for _, name := range sortedKeys(views) {
		want, ok := e.section(name)
		switch {
		case !ok:
			fmt.Fprintf(&b, "section %s is missing\n", name)
		case want != views[name]:
			fmt.Fprintf(&b, "%s:\n%s", name, cmp.Diff(want, views[name]))
		}
	}
	return b.String()
}

// Update writes the views to the file.
func (e *Example) Update(views map[string]string) error {
	for _, name := range sortedKeys(views) {
		i := slices.IndexFunc(e.archive.Files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			e.archive.Files = append(e.archive.Files, txtar.File{Name: name})
			i = len(e.archive.Files) - 1
		}
		e.archive.Files[i].Data = []byte(views[name])
	}
	return os.WriteFile(e.file, txtar.Format(e.archive), 0o666)
}

func (e *Example) section(name string) (string, bool) {
	for _, f := range e.archive.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

func asCSV(v projections.View, rows [][]projections.Cell) (string, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	line := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		line[i] = c.Name
	}
	if err := w.Write(line); err != nil {
		return "", err
	}
	for _, row := range rows {
		for i, c := range row {
			line[i] = c.Text
		}
		if err := w.Write(line); err != nil {
			return "", err
		}
	}
	w.Flush()
	return b.String(), w.Error()
}

// parseLog reads the log section of an example.
func parseLog(text string) ([]*domain.Record, error) {
	var log []*domain.Record
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r, err := parseRecord(int64(len(log)+1), line)
		if err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
		log = append(log, r)
	}
	return log, nil
}

func parseRecord(position int64, line string) (*domain.Record, error) {
	field := strings.SplitN(line, " ", 4)
	if len(field) != 4 {
		return nil, fmt.Errorf("%d fields", len(field))
	}
	occurred, recorded, both := strings.Cut(field[0], "/")
	if !both {
		recorded = occurred
	}
	data, personal, err := cutJSON(field[3])
	if err != nil {
		return nil, err
	}
	event, err := domain.Decode(domain.Kind(field[2]), data, personal)
	if err != nil {
		return nil, err
	}
	r, err := NewRecord(position, field[1], event)
	if err != nil {
		return nil, err
	}
	if r.OccurredAt, err = time.Parse(time.RFC3339, occurred); err != nil {
		return nil, err
	}
	r.RecordedAt, err = time.Parse(time.RFC3339, recorded)
	return r, err
}

// cutJSON splits a line after its first JSON value.
func cutJSON(s string) (first, rest []byte, err error) {
	dec := json.NewDecoder(strings.NewReader(s))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return nil, nil, err
	}
	return value, []byte(strings.TrimSpace(s[dec.InputOffset():])), nil
}

// NewRecord returns a record of e as it comes out of the log: encoded, sealed with
// the key of all tests ([Opener]) and decoded again. Its id is made of its position alone, such as
// 00000000000000000000000007.
func NewRecord(position int64, source string, e domain.Event) (*domain.Record, error) {
	data, personal, err := domain.EncodeSealed(e, sealed)
	if err != nil {
		return nil, err
	}
	r := &domain.Record{
		Position: position, ID: idOf(position), Kind: e.Kind(), Source: source,
		OccurredAt: epoch, RecordedAt: epoch, Delivery: idOf(position),
		Data: data, Personal: personal,
	}
	return r, r.Decode()
}

func idOf(position int64) (id ulid.ULID) {
	binary.BigEndian.PutUint64(id[8:], uint64(position))
	return id
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
