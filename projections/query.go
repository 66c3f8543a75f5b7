package projections

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
)

// A Query is a question to a view. Its written form is the same in a URL and on
// the command line:
//
//	as_of    by when it happened: a date (to its end, UTC) or an RFC 3339 time
//	known    by which position we knew it: a position, a date or a time
//	COLUMN   only rows whose column has this value
//	sort     a stored column that is not personal; "-column" is descending
//	limit    at most so many rows, 1000 unless said; 0 is all of them
//	after    the cursor that the page before gave as next
type Query struct {
	AsOf       time.Time // zero: everything known
	Known      int64     // 0: everything there is, unless KnownAt is set
	KnownAt    time.Time // by when it was recorded; zero: Known says
	Filter     map[string]Cell
	Sort       string
	Descending bool
	Limit      int    // 0: no limit
	After      []Cell // see [Selection]
}

// DefaultLimit is how many rows a page has unless the query says.
const DefaultLimit = 1000

// ParseQuery reads a query to the view v. A parameter that it does not know is
// an error: a filter that is dropped in silence makes a wrong report.
func ParseQuery(v View, params url.Values) (Query, error) {
	q := Query{Limit: DefaultLimit, Filter: make(map[string]Cell)}
	for name, values := range params {
		if len(values) != 1 {
			return Query{}, invalid(name, "is given %d times", len(values)).WithHint("Give each parameter once.")
		}
		if err := q.parse(v, name, values[0]); err != nil {
			return Query{}, err
		}
	}
	if q.After != nil {
		if err := q.checkAfter(v); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

func invalid(name, format string, args ...any) *domain.Error {
	return domain.Errorf(domain.Invalid, "parameter "+name, format, args...)
}

func (q *Query) parse(v View, name, value string) (err error) {
	switch name {
	case "as_of":
		q.AsOf, err = ParseMoment(value)
		if err != nil {
			return invalid(name, "is %q, not a date or a time", value).
				WithHint("Write 2026-03-31 (to the end of that day, UTC) or 2026-03-31T12:00:00Z.")
		}
	case "known":
		if q.Known, err = strconv.ParseInt(value, 10, 64); err == nil {
			if q.Known < 1 {
				return invalid(name, "is %d, and the first position is 1", q.Known)
			}
			return nil
		}
		if q.KnownAt, err = ParseMoment(value); err != nil {
			return invalid(name, "is %q, not a position, a date or a time", value).
				WithHint("Write a position such as 184220, or a date or time by which it was recorded.")
		}
	case "sort":
		q.Sort, q.Descending = strings.CutPrefix(value, "-")
		if err := v.checkSort(q.Sort); err != nil {
			return err
		}
	case "limit":
		if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 0 {
			return invalid(name, "is %q, not a number of rows", value).WithHint("Write a number such as 100; 0 is all of them.")
		}
	case "after":
		data, err := base64.RawURLEncoding.DecodeString(value)
		if err == nil {
			err = json.Unmarshal(data, &q.After)
		}
		if err != nil || q.After == nil {
			return invalid(name, "is not a cursor").WithHint("Use the next of the page before, as it is.")
		}
	default:
		i := v.column(name)
		if i < 0 {
			return invalid(name, "is unknown").WithHint(
				"Known are as_of, known, sort, limit, after and the columns " + strings.Join(v.names(false), ", ") + ".")
		}
		c, err := normal(v.Columns[i].Type, value)
		if err != nil {
			return invalid(name, "is %q, not a %s", value, v.Columns[i].Type)
		}
		q.Filter[name] = c
	}
	return nil
}

// checkSort says why rows cannot be sorted by a column, if they cannot.
func (v View) checkSort(column string) error {
	hint := "Sort by one of: " + strings.Join(v.names(true), ", ") + "."
	switch i := v.column(column); {
	case i < 0:
		return invalid("sort", "is %q", column).WithHint(hint)
	case v.Columns[i].Sealed:
		return invalid("sort", "is %s, which is sealed: its order would mean nothing", column).
			WithHint("A filter finds whom you look for: " + column + "=…. " + hint)
	case !v.Columns[i].Stored():
		return invalid("sort", "is %s, which is computed when it is shown", column).WithHint(hint)
	}
	return nil
}

// ParseMoment reads a time, or a date as its last microsecond in UTC.
func ParseMoment(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err == nil {
		t = t.AddDate(0, 0, 1).Add(-time.Microsecond)
	} else if t, err = time.Parse(time.RFC3339Nano, s); err != nil {
		return time.Time{}, err
	}
	return t.UTC().Truncate(time.Microsecond), domain.CheckTime(t)
}

// normal returns the cell in which a value of the type is stored.
func normal(typ Type, value string) (Cell, error) {
	switch typ {
	case TypeInteger:
		n, err := strconv.ParseInt(value, 10, 64)
		return Cell{Text: strconv.FormatInt(n, 10)}, err
	case TypeDecimal:
		d, err := decimal.NewFromString(value)
		if err == nil {
			err = domain.CheckDecimal(d)
		}
		if err != nil {
			return Cell{}, err
		}
		return Cell{Text: d.String()}, nil
	case TypeTime:
		t, err := time.Parse(time.RFC3339Nano, value)
		if err == nil {
			err = domain.CheckTime(t)
		}
		return TimeCell(t.Truncate(time.Microsecond)), err
	case TypeBool:
		b, err := strconv.ParseBool(value)
		return Cell{Text: strconv.FormatBool(b)}, err
	}
	if !utf8.ValidString(value) || strings.Contains(value, "\x00") {
		return Cell{}, errNoText
	}
	return Cell{Text: value}, nil
}

// errNoText says that no cell can hold the text.
var errNoText = errors.New("is not a text")

func (v View) column(name string) int {
	return slices.IndexFunc(v.Columns, func(c ViewColumn) bool { return c.Name == name })
}

func (v View) names(storedOnly bool) []string {
	var names []string
	for _, c := range v.Columns {
		if c.Stored() || !storedOnly {
			names = append(names, c.Name)
		}
	}
	return names
}

// sortColumn returns the index in the table of the column to sort by, or -1.
func (q Query) sortColumn(v View) int {
	if q.Sort == "" {
		return -1
	}
	return v.Columns[v.column(q.Sort)].stored
}

func (q Query) checkAfter(v View) error {
	columns := v.Table.Columns()[:v.Table.KeyColumns()]
	if i := q.sortColumn(v); i >= 0 {
		columns = append([]Column{v.Table.Columns()[i]}, columns...)
	}
	if len(q.After) != len(columns) {
		return invalid("after", "is a cursor of another question").WithHint("Keep sort as it was on the page before.")
	}
	for i, c := range q.After {
		if !holds(columns[i], c) {
			return invalid("after", "is not a cursor").WithHint("Use the next of the page before, as it is.")
		}
	}
	return nil
}

// holds reports whether a column can have the cell.
func holds(column Column, c Cell) bool {
	if c.Null {
		return column.Optional && c.Text == ""
	}
	if column.Type == TypeDecimal { // a sum may have more digits than an amount
		return plainDecimal.MatchString(c.Text)
	}
	n, err := normal(column.Type, c.Text)
	return err == nil && n == c
}

var plainDecimal = regexp.MustCompile(`^-?[0-9]{1,1000}(\.[0-9]{1,1000})?$`)

// Selection returns the part of q that a source answers; see [View.Ask].
func (v View) Selection(q Query, upTo int64) Selection {
	s := Selection{Sort: q.sortColumn(v), Descending: q.Descending, After: q.After, UpTo: upTo}
	later := false
	for name, cell := range q.Filter {
		if c := v.Columns[v.column(name)]; c.Stored() {
			s.Filter = append(s.Filter, Match{c.stored, cell})
		} else {
			later = true
		}
	}
	slices.SortFunc(s.Filter, func(a, b Match) int { return cmp.Compare(a.Column, b.Column) })
	if q.Limit > 0 && !later {
		s.Limit = q.Limit + 1 // one more says whether there is a next page
	}
	return s
}

// takes reports whether a shown row passes the filters over columns that the
// source knew nothing of: what is computed, and personal texts, which are never
// compared with anything unless they are open.
func (q Query) takes(v View, shown []Cell) bool {
	for name, cell := range q.Filter {
		if i := v.column(name); !v.Columns[i].Stored() && shown[i] != cell {
			return false
		}
	}
	return true
}

// cursor returns the cursor for the rows after the stored row last.
func (q Query) cursor(v View, last []Cell) string {
	var after []Cell
	if i := q.sortColumn(v); i >= 0 {
		after = append(after, last[i])
	}
	after = append(after, last[:v.Table.KeyColumns()]...)
	data, err := json.Marshal(after)
	if err != nil {
		panic(err) // cells are text
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// takes reports whether a row passes the selection's filters and lies behind
// its After.
func (s Selection) takes(columns []Column, cells []Cell) bool {
	for _, m := range s.Filter {
		if cells[m.Column] != m.Cell {
			return false
		}
	}
	if s.UpTo > 0 && compareCells(TypeInteger, cells[0], Cell{Text: strconv.FormatInt(s.UpTo, 10)}) > 0 {
		return false
	}
	return s.After == nil || s.compareOrder(columns, s.order(cells, len(s.After)), s.After) > 0
}

// order returns the cells of a row by which it is ordered: n of them.
func (s Selection) order(cells []Cell, n int) []Cell {
	if s.Sort < 0 {
		return cells[:n]
	}
	return append([]Cell{cells[s.Sort]}, cells[:n-1]...)
}

// CompareKeys compares two rows of t by their keys.
func CompareKeys(t Table, a, b []Cell) int {
	return Selection{Sort: -1}.compare(t, a, b)
}

// compare compares two rows in the order of the selection.
func (s Selection) compare(t Table, a, b []Cell) int {
	n := t.KeyColumns()
	if s.Sort >= 0 {
		n++
	}
	return s.compareOrder(t.Columns(), s.order(a, n), s.order(b, n))
}

func (s Selection) compareOrder(columns []Column, a, b []Cell) int {
	for i := range a {
		column := i
		if s.Sort >= 0 {
			if column = i - 1; i == 0 {
				column = s.Sort
			}
		}
		if c := compareCells(columns[column].Type, a[i], b[i]); c != 0 {
			if s.Descending {
				return -c
			}
			return c
		}
	}
	return 0
}

// compareCells compares by value; null comes after everything else.
func compareCells(typ Type, a, b Cell) int {
	if a.Null || b.Null {
		return cmp.Compare(nullRank(a), nullRank(b))
	}
	switch typ {
	case TypeInteger, TypeDecimal:
		x, errX := decimal.NewFromString(a.Text)
		y, errY := decimal.NewFromString(b.Text)
		if errX == nil && errY == nil {
			return x.Cmp(y)
		}
	case TypeTime:
		x, errX := time.Parse(time.RFC3339Nano, a.Text)
		y, errY := time.Parse(time.RFC3339Nano, b.Text)
		if errX == nil && errY == nil {
			return x.Compare(y)
		}
	}
	return strings.Compare(a.Text, b.Text)
}

func nullRank(c Cell) int {
	if c.Null {
		return 1
	}
	return 0
}
