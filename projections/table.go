package projections

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// A Type says what the cells of a column hold.
type Type string

// Types. The text of a cell is the same in the database, in JSON, in CSV and on
// the screen.
const (
	TypeText    Type = "text"    // as it is
	TypeInteger Type = "integer" // base 10
	TypeDecimal Type = "decimal" // decimal.Decimal's String: exact, no trailing zeros
	TypeTime    Type = "time"    // RFC 3339 in UTC, at most six fraction digits
	TypeBool    Type = "bool"    // true or false
)

// A Column is one column of a table or a view.
type Column struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Optional bool   `json:"-"` // the cell may be null
	Sealed   bool   `json:"-"` // texts about people: see [Personal]
}

// A Cell is one value as text. The zero Cell is the empty text.
type Cell struct {
	Text string
	Null bool
}

// A Table is a declared table: a [Keyed] or a [Journal].
type Table interface {
	Name() string
	IsJournal() bool
	Columns() []Column
	KeyColumns() int     // how many leading columns identify a row
	Indexes() [][]string // columns of further indexes
	Cells(row any) []Cell
	Parse(cells []Cell) (row any, err error)
}

// A Field is a column of a table with rows of type R.
type Field[R any] struct {
	Column
	get   func(*R) Cell
	set   func(*R, Cell) error
	clean func(*R)

	// append appends the text of get's cell without making one of it. Nil: ask get.
	append func([]byte, *R) (_ []byte, null bool)

	// same reports whether two rows have the same cell, without making it. Nil: ask get.
	same func(a, b *R) bool
}

// Text declares a text column. U+0000, which databases refuse, is kept as U+FFFD.
func Text[R any](name string, at func(*R) *string) Field[R] {
	return Field[R]{
		Column: Column{Name: name, Type: TypeText},
		get:    func(r *R) Cell { return Cell{Text: *at(r)} },
		set:    func(r *R, c Cell) error { *at(r) = c.Text; return nil },
		clean:  func(r *R) { *at(r) = strings.ReplaceAll(*at(r), "\x00", "\uFFFD") },
		append: func(b []byte, r *R) ([]byte, bool) { return append(b, *at(r)...), false },
		same:   func(a, b *R) bool { return *at(a) == *at(b) },
	}
}

// Personal declares a column of texts about people. In the log, in tables and in
// digests such a text is a token (see package seal), which says nothing without a
// key, so nothing here changes when the key is destroyed; a [View] opens it on the
// way out. Tokens of one person are equal if and only if their texts are, and are
// in an order that means nothing. A text that is no token is shown as it is: what
// an organization is called is a fact, what a person is called is sealed, and a
// column may have both.
//
// Such a column is never part of a key: nobody could look it up.
func Personal[R any](name string, at func(*R) *string) Field[R] {
	f := Text(name, at)
	f.Sealed = true
	return f
}

// Integer declares a column of whole numbers that are counted, not measured.
func Integer[R any](name string, at func(*R) *int64) Field[R] {
	return Field[R]{
		Column: Column{Name: name, Type: TypeInteger},
		get:    func(r *R) Cell { return Cell{Text: strconv.FormatInt(*at(r), 10)} },
		set:    func(r *R, c Cell) (err error) { *at(r), err = strconv.ParseInt(c.Text, 10, 64); return err },
		clean:  func(*R) {},
		append: func(b []byte, r *R) ([]byte, bool) { return strconv.AppendInt(b, *at(r), 10), false },
		same:   func(a, b *R) bool { return *at(a) == *at(b) },
	}
}

// Decimal declares a column of amounts or quantities.
func Decimal[R any](name string, at func(*R) *decimal.Decimal) Field[R] {
	return Field[R]{
		Column: Column{Name: name, Type: TypeDecimal},
		get:    func(r *R) Cell { return Cell{Text: at(r).String()} },
		set:    func(r *R, c Cell) (err error) { *at(r), err = decimal.NewFromString(c.Text); return err },
		clean:  func(*R) {},
		append: func(b []byte, r *R) ([]byte, bool) { return appendDecimal(b, *at(r)), false },
	}
}

// OptionalDecimal declares a column of numbers that may be unknown: nil is null.
func OptionalDecimal[R any](name string, at func(*R) **decimal.Decimal) Field[R] {
	return Field[R]{
		Column: Column{Name: name, Type: TypeDecimal, Optional: true},
		get: func(r *R) Cell {
			if d := *at(r); d != nil {
				return Cell{Text: d.String()}
			}
			return Cell{Null: true}
		},
		set: func(r *R, c Cell) error {
			if c.Null {
				*at(r) = nil
				return nil
			}
			d, err := decimal.NewFromString(c.Text)
			*at(r) = &d
			return err
		},
		clean: func(*R) {},
	}
}

// Time declares a column of moments, cut to microseconds. The zero time is null.
func Time[R any](name string, at func(*R) *time.Time) Field[R] {
	return Field[R]{
		Column: Column{Name: name, Type: TypeTime, Optional: true},
		get:    func(r *R) Cell { return TimeCell(*at(r)) },
		append: func(b []byte, r *R) ([]byte, bool) { return appendTime(b, *at(r)) },
		same:   func(a, b *R) bool { return at(a).Equal(*at(b)) },
		set: func(r *R, c Cell) (err error) {
			if c.Null {
				*at(r) = time.Time{}
				return nil
			}
			*at(r), err = time.Parse(time.RFC3339Nano, c.Text)
			return err
		},
		clean: func(r *R) {
			if t := at(r); !t.IsZero() {
				*t = t.UTC().Truncate(time.Microsecond)
			}
		},
	}
}

// Bool declares a column of truths.
func Bool[R any](name string, at func(*R) *bool) Field[R] {
	return Field[R]{
		Column: Column{Name: name, Type: TypeBool},
		get:    func(r *R) Cell { return Cell{Text: strconv.FormatBool(*at(r))} },
		set:    func(r *R, c Cell) (err error) { *at(r), err = strconv.ParseBool(c.Text); return err },
		clean:  func(*R) {},
		append: func(b []byte, r *R) ([]byte, bool) { return strconv.AppendBool(b, *at(r)), false },
		same:   func(a, b *R) bool { return *at(a) == *at(b) },
	}
}

// TimeCell returns the cell of a moment, null for the zero time.
func TimeCell(t time.Time) Cell {
	if t.IsZero() {
		return Cell{Null: true}
	}
	return Cell{Text: t.UTC().Format(time.RFC3339Nano)}
}

// A Keyed table has one row per key. The key is its leading columns, all text.
type Keyed[R any] struct {
	name   string
	key    int
	fields []Field[R]
}

// NewKeyed declares a keyed table whose first key fields are its key.
func NewKeyed[R any](name string, key int, fields ...Field[R]) *Keyed[R] {
	for _, f := range fields[:key] {
		if f.Type != TypeText || f.Sealed {
			panic(fmt.Sprintf("table %s: key column %s is not plain text", name, f.Name))
		}
	}
	return &Keyed[R]{name, key, fields}
}

// Name implements [Table].
func (t *Keyed[R]) Name() string { return t.name }

// IsJournal implements [Table].
func (t *Keyed[R]) IsJournal() bool { return false }

// Columns implements [Table].
func (t *Keyed[R]) Columns() []Column { return columnsOf(t.fields) }

// KeyColumns implements [Table].
func (t *Keyed[R]) KeyColumns() int { return t.key }

// Indexes implements [Table].
func (t *Keyed[R]) Indexes() [][]string { return nil }

// Cells implements [Table].
func (t *Keyed[R]) Cells(row any) []Cell {
	return appendCells(make([]Cell, 0, len(t.fields)), t.fields, row.(*R))
}

func (t *Keyed[R]) write(row any, into *RowText) { writeFields(into, t.fields, row.(*R)) }

// Parse implements [Table].
func (t *Keyed[R]) Parse(cells []Cell) (any, error) {
	row := new(R)
	return row, parseCells(t.name, t.fields, cells, row)
}

// Same returns a function that reports whether two rows have the same cells in all
// columns but those named.
func (t *Keyed[R]) Same(except ...string) func(a, b *R) bool {
	var fields []Field[R]
	for _, f := range t.fields {
		if !slices.Contains(except, f.Name) {
			fields = append(fields, f)
		}
	}
	return func(a, b *R) bool {
		for i := range fields {
			f := &fields[i]
			if f.same != nil && !f.same(a, b) || f.same == nil && f.get(a) != f.get(b) {
				return false
			}
		}
		return true
	}
}

// Copy returns a copy of the row with the given key, to be changed and handed to
// [Keyed.Give], and the row itself, which nobody may change. If there is none, both
// are empty.
func (t *Keyed[R]) Copy(tx *Tx, key ...string) (next, row *R) {
	next, row = new(R), new(R)
	if stored, ok := tx.store.Get(t, JoinKey(key)); ok {
		row = stored.(*R)
		*next = *row
	}
	return next, row
}

// Get returns the row with the given key, and whether there is one.
func (t *Keyed[R]) Get(tx *Tx, key ...string) (R, bool) {
	if row, ok := tx.store.Get(t, JoinKey(key)); ok {
		return *row.(*R), true
	}
	var zero R
	return zero, false
}

// Put adds the row, or replaces the one with the same key.
func (t *Keyed[R]) Put(tx *Tx, row R) { t.Give(tx, &row) }

// Give is Put of a row that nobody changes afterwards.
func (t *Keyed[R]) Give(tx *Tx, row *R) {
	for i := range t.fields {
		t.fields[i].clean(row)
	}
	key := make([]string, t.key)
	for i := range key {
		key[i] = t.fields[i].get(row).Text
	}
	tx.store.Put(t, JoinKey(key), row)
}

// Delete removes the row with the given key, if there is one.
func (t *Keyed[R]) Delete(tx *Tx, key ...string) {
	tx.store.Put(t, JoinKey(key), nil)
}

// JournalHead is how many columns every journal starts with.
const JournalHead = 5

// A Journal is a table whose rows are only ever added. Every row starts with
// where it comes from: position, n (its number within the record), event,
// source and occurred_at.
type Journal[R any] struct {
	name    string
	fields  []Field[journalRow[R]]
	indexes [][]string
}

// journalRow is one row of a journal.
type journalRow[R any] struct {
	position   int64
	n          int64
	event      string
	source     string
	occurredAt time.Time
	row        R
}

// NewJournal declares a journal.
func NewJournal[R any](name string, fields ...Field[R]) *Journal[R] {
	t := &Journal[R]{name: name, fields: []Field[journalRow[R]]{
		Integer("position", func(r *journalRow[R]) *int64 { return &r.position }),
		Integer("n", func(r *journalRow[R]) *int64 { return &r.n }),
		Text("event", func(r *journalRow[R]) *string { return &r.event }),
		Text("source", func(r *journalRow[R]) *string { return &r.source }),
		Time("occurred_at", func(r *journalRow[R]) *time.Time { return &r.occurredAt }),
	}}
	for _, f := range fields {
		t.fields = append(t.fields, Field[journalRow[R]]{
			Column: f.Column,
			get:    func(r *journalRow[R]) Cell { return f.get(&r.row) },
			set:    func(r *journalRow[R], c Cell) error { return f.set(&r.row, c) },
			clean:  func(r *journalRow[R]) { f.clean(&r.row) },
			append: f.ofJournal(),
		})
	}
	return t
}

// ofJournal returns append for a field of a journal's row.
func (f Field[R]) ofJournal() func([]byte, *journalRow[R]) ([]byte, bool) {
	if f.append == nil {
		return nil
	}
	return func(b []byte, r *journalRow[R]) ([]byte, bool) { return f.append(b, &r.row) }
}

// Indexed adds an index over the given columns, for the views that filter by
// them. It returns t.
func (t *Journal[R]) Indexed(columns ...string) *Journal[R] {
	t.indexes = append(t.indexes, columns)
	return t
}

// Name implements [Table].
func (t *Journal[R]) Name() string { return t.name }

// IsJournal implements [Table].
func (t *Journal[R]) IsJournal() bool { return true }

// Columns implements [Table].
func (t *Journal[R]) Columns() []Column { return columnsOf(t.fields) }

// KeyColumns implements [Table].
func (t *Journal[R]) KeyColumns() int { return 2 }

// Indexes implements [Table].
func (t *Journal[R]) Indexes() [][]string { return t.indexes }

// Cells implements [Table].
func (t *Journal[R]) Cells(row any) []Cell {
	return appendCells(make([]Cell, 0, len(t.fields)), t.fields, row.(*journalRow[R]))
}

func (t *Journal[R]) write(row any, into *RowText) {
	writeFields(into, t.fields, row.(*journalRow[R]))
}

// Parse implements [Table].
func (t *Journal[R]) Parse(cells []Cell) (any, error) {
	row := new(journalRow[R])
	return row, parseCells(t.name, t.fields, cells, row)
}

// Append adds a row that the record being folded gives rise to.
func (t *Journal[R]) Append(tx *Tx, row R) {
	tx.n++
	r := &journalRow[R]{
		position:   tx.record.Position,
		n:          tx.n,
		event:      tx.record.ID.String(),
		source:     tx.record.Source,
		occurredAt: tx.record.OccurredAt,
		row:        row,
	}
	for i := range t.fields {
		t.fields[i].clean(r)
	}
	tx.store.Append(t, r)
}

func columnsOf[R any](fields []Field[R]) []Column {
	columns := make([]Column, len(fields))
	for i, f := range fields {
		columns[i] = f.Column
	}
	return columns
}

func appendCells[R any](cells []Cell, fields []Field[R], row *R) []Cell {
	for _, f := range fields {
		cells = append(cells, f.get(row))
	}
	return cells
}

func parseCells[R any](table string, fields []Field[R], cells []Cell, row *R) error {
	for i, f := range fields {
		if err := f.set(row, cells[i]); err != nil {
			return fmt.Errorf("table %s: column %s: %w", table, f.Name, err)
		}
	}
	return nil
}

// JoinKey returns the key of a row as one text. Keys order as their columns do,
// byte by byte, because no text in a table holds U+0000.
func JoinKey(key []string) string {
	for i, k := range key {
		if strings.Contains(k, "\x00") {
			key = slices.Clone(key)
			key[i] = strings.ReplaceAll(k, "\x00", "\uFFFD")
		}
	}
	return strings.Join(key, "\x00")
}

// SplitKey is the inverse of [JoinKey].
func SplitKey(key string) []string { return strings.Split(key, "\x00") }
