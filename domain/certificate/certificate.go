// Package certificate keeps what is signed about balances: statements that the
// tables of a projection, folded from the log up to a position, are these and no
// others, and proofs that one row is among them.
//
// What it keeps true: a certificate is read in one way only; nothing that [Open]
// or [OpenRow] returns was taken from a text that none of the caller's keys
// signed; and a row and its proof tell nothing of any other row.
//
// # Certificate
//
// A certificate is a note (c2sp.org/signed-note) by the key of the log's
// checkpoints. Its text is lines, each ended by a newline (U+000A):
//
//	daybook certificate v1
//	origin daybook/7f3a0c5d9e8b4a61b2c3d4e5f6071829/1
//	position 122
//	root PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//	projection credits 3
//	table balances 12 9iRqGfW5VVNEpNoBEm9MCxJk2rYEmdPlmJPWZpIXLtM=
//	table entries 40 CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//	digest h1:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=
//	total balances remaining 14 "318"
//
// Origin, position and root are those of the checkpoint of that size. Projection
// has the version of the fold. There is a table line for each table in the order
// of declaration: its name, how many rows it has and its state, which is the root
// of a tree over them. Digest is over all tables, for those who have the log (see
// the package projections). A total is the sum of a column over the rows of one
// unit: table, column, exact sum and the unit as a JSON string.
//
// # State and rows
//
// The state is the root of the RFC 6962 tree whose leaves are the rows in the
// order of their keys. A leaf commits to the row's bytes:
//
//	daybook row v1
//	projection credits 3
//	table balances
//	salt 7c5b41…
//	row {"source":"acme-tahdah","line":"70412",…,"flags":"","reported_at":null}
//
// The row is compact JSON with every column in order, its cell as text or null.
// The salt is HMAC-SHA-256(salt of the certificate, name of the table ‖ 0x00 ‖ key
// of the row, whose columns are joined by 0x00), in hexadecimal. It is different
// for every row of every certificate, so the hashes of a proof cannot be guessed
// by trying rows, nor compared with those of another proof.
//
// The salt of a certificate is HMAC-SHA-256(signer's secret key in its text form,
// the line "daybook certificate salt v1" followed by the lines origin, position,
// root and projection of the certificate). It goes to who has the whole log
// anyway, in a bundle, and to nobody else.
//
// # Row file
//
// One row is handed over as its bytes, the line "index N" with its place in the
// table counted from 0, a line "hash …" for each hash of the inclusion proof in
// standard base64, the leaf's sibling first, an empty line, and the certificate.
package certificate

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// FirstLine is the first line of a certificate.
const FirstLine = "daybook certificate v1"

// A Certificate says what a projection's tables are at a position of the log.
type Certificate struct {
	Origin     string    // of the log's epoch
	Position   int64     // of the last record folded
	Root       tree.Hash // of the log's tree there
	Projection string
	Version    int
	Tables     []Table
	Digest     string
	Totals     []Total
}

// A Table is what a certificate says of one table.
type Table struct {
	Name  string
	Rows  int64
	State tree.Hash
}

// A Total is the sum of a column over the rows of one unit.
type Total struct {
	Table, Column string
	Sum           decimal.Decimal
	Unit          string
}

// Text returns the text that is signed. [Parse] is its inverse.
func (c Certificate) Text() string {
	var b strings.Builder
	b.WriteString(FirstLine + "\n" + c.head())
	for _, t := range c.Tables {
		fmt.Fprintf(&b, "table %s %d %s\n", t.Name, t.Rows, base64.StdEncoding.EncodeToString(t.State[:]))
	}
	fmt.Fprintf(&b, "digest %s\n", c.Digest)
	for _, t := range c.Totals {
		unit, err := domain.Marshal(t.Unit)
		if err != nil {
			panic(err) // every string has a form
		}
		fmt.Fprintf(&b, "total %s %s %s %s\n", t.Table, t.Column, t.Sum, unit)
	}
	return b.String()
}

// head returns the lines that say which tables, and when.
func (c Certificate) head() string {
	return fmt.Sprintf("origin %s\nposition %d\nroot %s\nprojection %s %d\n",
		c.Origin, c.Position, base64.StdEncoding.EncodeToString(c.Root[:]), c.Projection, c.Version)
}

// Parse reads the text of a certificate. It does not say that anybody signed it.
func Parse(text string) (Certificate, error) {
	c, err := parse(text)
	if err == nil && c.Text() != text {
		err = errors.New("it is not in its one form")
	}
	if err != nil {
		return Certificate{}, domain.Errorf(domain.Invalid, "read certificate", "%w", err)
	}
	return c, nil
}

func parse(text string) (c Certificate, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, l := range lines {
		if !utf8.ValidString(l) || strings.ContainsFunc(l, unicode.IsControl) {
			return c, fmt.Errorf("%.60q is not plain text", l)
		}
	}
	if lines[0] != FirstLine {
		return c, fmt.Errorf("it does not begin with %q", FirstLine)
	}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, " ")
		if err := c.set(name, value); err != nil {
			return c, fmt.Errorf("%.60q: %w", l, err)
		}
	}
	return c, nil
}

// set reads one line. That the lines are all there, in their order, is found by
// writing them again.
func (c *Certificate) set(name, value string) (err error) {
	f := strings.SplitN(value, " ", 4)
	switch {
	case name == "origin":
		c.Origin = value
	case name == "position":
		c.Position, err = strconv.ParseInt(value, 10, 64)
	case name == "root":
		c.Root, err = parseHash(value)
	case name == "projection" && len(f) == 2:
		c.Projection = f[0]
		c.Version, err = strconv.Atoi(f[1])
	case name == "table" && len(f) == 3:
		t := Table{Name: f[0]}
		if t.Rows, err = strconv.ParseInt(f[1], 10, 64); err == nil {
			t.State, err = parseHash(f[2])
		}
		c.Tables = append(c.Tables, t)
	case name == "digest":
		c.Digest = value
	case name == "total" && len(f) == 4:
		t := Total{Table: f[0], Column: f[1]}
		if len(f[2]) > maxDigits || strings.ContainsAny(f[2], "eE") {
			return errors.New("it is not a sum")
		}
		if t.Sum, err = decimal.NewFromString(f[2]); err == nil {
			err = json.Unmarshal([]byte(f[3]), &t.Unit)
		}
		c.Totals = append(c.Totals, t)
	default:
		return errors.New("there is no such line")
	}
	return err
}

// maxDigits is how long a sum may be: no log is long enough for more.
const maxDigits = 200

// parseHash reads the one base64 form of a hash.
func parseHash(s string) (tree.Hash, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != tree.HashSize || strings.ContainsAny(s, "\r\n") {
		return tree.Hash{}, fmt.Errorf("%.60q is not a hash in base64", s)
	}
	return tree.Hash(b), nil
}

// Sign returns the note. The caller must have folded the log and compared.
func (c Certificate) Sign(signer note.Signer) ([]byte, error) {
	if _, err := Parse(c.Text()); err != nil {
		return nil, err
	}
	msg, err := note.Sign(&note.Note{Text: c.Text()}, signer)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "sign certificate", "%w", err)
	}
	return msg, nil
}

// Open reads a note and verifies the signatures by the given keys. It returns the
// certificate and the keys that signed it, NAME+ID; with none of them, and
// with none given, that is an error with code [domain.Unauthenticated], and the
// certificate is returned all the same, for saying what it claims.
func Open(msg []byte, keys ...note.Verifier) (c Certificate, by []string, err error) {
	n, err := note.Open(msg, note.VerifierList(distinct(keys)...))
	unverified, unknown := errors.AsType[*note.UnverifiedNoteError](err)
	switch {
	case unknown:
		n = unverified.Note
	case err != nil:
		return c, nil, domain.Errorf(domain.Unauthenticated, "open certificate", "%w", err)
	}
	for _, s := range slices.Concat(n.Sigs, n.UnverifiedSigs) {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return c, nil, domain.Errorf(domain.Unauthenticated, "open certificate", "the signature by %s is not in its one form", s.Name)
		}
	}
	if c, err = Parse(n.Text); err != nil {
		return Certificate{}, nil, err
	}
	if unknown {
		return c, nil, domain.Errorf(domain.Unauthenticated, "open certificate", "none of the keys given signed it; it is signed by %s", names(n.UnverifiedSigs))
	}
	for _, s := range n.Sigs {
		by = append(by, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return c, by, nil
}

func names(sigs []note.Signature) string {
	var list []string
	for _, s := range sigs {
		list = append(list, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return strings.Join(list, ", ")
}

// distinct returns the keys without repetitions, which note would call ambiguous.
func distinct(keys []note.Verifier) []note.Verifier {
	type id struct {
		name string
		hash uint32
	}
	seen := make(map[id]bool)
	var list []note.Verifier
	for _, k := range keys {
		if i := (id{k.Name(), k.KeyHash()}); !seen[i] {
			seen[i] = true
			list = append(list, k)
		}
	}
	return list
}
