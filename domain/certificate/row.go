package certificate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// Salt returns the salt of a certificate by the signer with the secret key, which
// is given in its text form. Tables, digest and totals need not be known yet.
func (c Certificate) Salt(skey string) [32]byte {
	m := hmac.New(sha256.New, []byte(strings.TrimSpace(skey)))
	m.Write([]byte("daybook certificate salt v1\n" + c.head()))
	return [32]byte(m.Sum(nil))
}

// RowLine is the first line of a row's bytes, and of a row file.
const RowLine = "daybook row v1"

// A Row is one row of a table as a certificate commits to it.
type Row struct {
	Projection string
	Version    int
	Table      string
	Salt       [32]byte
	JSON       string // column → text or null, in the order of the columns
}

// RowSalt returns the salt of the row with the key, whose columns are joined by
// 0x00.
func RowSalt(certificate [32]byte, table, key string) [32]byte {
	m := hmac.New(sha256.New, certificate[:])
	m.Write([]byte(table + "\x00" + key))
	return [32]byte(m.Sum(nil))
}

// AppendBytes appends the row's bytes to b.
func (r *Row) AppendBytes(b []byte) []byte {
	b = append(b, RowLine+"\nprojection "...)
	b = append(b, r.Projection...)
	b = strconv.AppendInt(append(b, ' '), int64(r.Version), 10)
	b = append(append(b, "\ntable "...), r.Table...)
	b = hex.AppendEncode(append(b, "\nsalt "...), r.Salt[:])
	b = append(append(b, "\nrow "...), r.JSON...)
	return append(b, '\n')
}

// A Proof is one row with the proof that a certificate commits to it.
type Proof struct {
	Row
	Index       int64 // of the row in its table, from 0
	Hashes      []tree.Hash
	Certificate []byte // signed note
}

// AppendBytes appends the row file to b.
func (p *Proof) AppendBytes(b []byte) []byte {
	b = p.Row.AppendBytes(b)
	b = strconv.AppendInt(append(b, "index "...), p.Index, 10)
	for _, h := range p.Hashes {
		b = base64.StdEncoding.AppendEncode(append(b, "\nhash "...), h[:])
	}
	return append(append(b, "\n\n"...), p.Certificate...)
}

// OpenRow reads a row file and verifies it: that the certificate is signed by one
// of the keys, as [Open] does, and that it commits to the row. If it does not, the
// error has code [domain.Differs].
func OpenRow(file []byte, keys ...note.Verifier) (p Proof, c Certificate, by []string, err error) {
	if p, err = parseProof(string(file)); err != nil {
		return p, c, nil, domain.Errorf(domain.Invalid, "read row", "%w", err)
	}
	if string(p.AppendBytes(nil)) != string(file) {
		return p, c, nil, domain.Errorf(domain.Invalid, "read row", "it is not in its one form")
	}
	c, by, unsigned := Open(p.Certificate, keys...)
	if unsigned != nil && c.Projection == "" {
		return p, c, nil, unsigned
	}
	if c.Projection != p.Projection || c.Version != p.Version {
		return p, c, nil, domain.Errorf(domain.Differs, "verify row", "it is of projection %s %d, and the certificate of %s %d", p.Projection, p.Version, c.Projection, c.Version)
	}
	for _, t := range c.Tables {
		if t.Name != p.Table {
			continue
		}
		if p.Index >= t.Rows {
			return p, c, nil, domain.Errorf(domain.Differs, "verify row", "it is number %d, and %s has %d rows", p.Index, t.Name, t.Rows)
		}
		if err := tree.CheckInclusion(p.Hashes, t.Rows, t.State, p.Index, tree.Leaf(p.Row.AppendBytes(nil))); err != nil {
			return p, c, nil, err
		}
		return p, c, by, unsigned
	}
	return p, c, nil, domain.Errorf(domain.Differs, "verify row", "the certificate says nothing of a table %q", p.Table)
}

func parseProof(file string) (p Proof, err error) {
	text, note, ok := strings.Cut(file, "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) < 6 || lines[0] != RowLine || len(lines) > 6+tree.MaxProof {
		return p, fmt.Errorf("it is not a row with a proof")
	}
	p.Certificate = []byte(note)
	values := make([]string, len(lines))
	for i, name := range []string{"projection", "table", "salt", "row", "index"} {
		if values[i], ok = strings.CutPrefix(lines[i+1], name+" "); !ok {
			return p, fmt.Errorf("there is no line %q where it belongs", name)
		}
	}
	var version string
	p.Projection, version, _ = strings.Cut(values[0], " ")
	p.Table, p.JSON = values[1], values[3]
	if p.Version, err = strconv.Atoi(version); err != nil {
		return p, err
	}
	salt, err := hex.DecodeString(values[2])
	if err != nil || len(salt) != len(p.Salt) {
		return p, fmt.Errorf("the salt is not %d bytes in hexadecimal", len(p.Salt))
	}
	p.Salt = [32]byte(salt)
	if p.Index, err = strconv.ParseInt(values[4], 10, 64); err != nil || p.Index < 0 {
		return p, fmt.Errorf("%.40q is not a number of a row", values[4])
	}
	for _, l := range lines[6:] {
		text, _ := strings.CutPrefix(l, "hash ")
		h, err := parseHash(text)
		if err != nil {
			return p, err
		}
		p.Hashes = append(p.Hashes, h)
	}
	return p, nil
}
