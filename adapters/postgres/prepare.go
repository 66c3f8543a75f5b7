package postgres

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/domain"
)

// maxKeyBytes is how long a deduplication key or a scope may be as it is; of a
// longer one the hash is kept.
const maxKeyBytes = 512

// prepared is a delivery that is ready to be appended: everything that can be
// wrong with it has been looked for, and everything slow is done, before it
// waits for its turn.
type prepared struct {
	domain.Delivery
	key    string // "" if its scopes tell it apart
	scopes []string
	body   [32]byte
	header []byte // JSON
	status domain.Status
	facts  []encoded
	cells  [][]byte // of its row, from column id on
	origin int64    // position of the delivery that it replays; 0: it replays none
	answer chan answer
}

// encoded is a fact in its wire form.
type encoded struct {
	fact     domain.Fact
	data     []byte
	personal []byte   // sealed
	cells    [][]byte // of its row, from column kind on
}

// An answer is what the caller of Append gets.
type answer struct {
	receipt domain.Receipt
	err     error
}

// prepare encodes d and works out its identity. It fails with code Invalid if
// one of its facts is not well formed.
func prepare(d domain.Delivery) (*prepared, error) {
	p := &prepared{Delivery: d, body: sha256.Sum256(d.Body), answer: make(chan answer, 1)}
	p.Topic, p.Fetched = domain.Label(p.Topic), domain.Label(p.Fetched)
	p.key = short(p.Key)
	if p.key == "" && len(p.Scopes) == 0 {
		sum := sha256.Sum256([]byte(p.Topic + "\x00" + string(p.Body)))
		p.key = "bytes/" + hex.EncodeToString(sum[:])
	}
	for _, s := range p.Scopes {
		p.scopes = append(p.scopes, short(s))
	}
	slices.Sort(p.scopes)
	p.scopes = slices.Compact(p.scopes)
	var err error
	if p.header, err = domain.Marshal(latin1(p.Header)); err != nil {
		return nil, err
	}
	facts := p.Facts
	if len(facts) == 0 {
		facts = []domain.Fact{{Event: domain.IntakeUnrecognized{Topic: p.Topic, Reason: cmp.Or(domain.Label(p.Reason), "nothing to keep")}}}
	}
	if err := p.encode(facts); err != nil {
		return nil, err
	}
	p.write()
	return p, nil
}

// encode sets the facts of p and the status that follows from them.
func (p *prepared) encode(facts []domain.Fact) error {
	p.status = domain.Accepted
	for _, f := range facts {
		switch f.Event.(type) {
		case domain.IntakeUnrecognized:
			p.status = domain.Unrecognized
		case domain.IntakeQuarantined:
			p.status = domain.Quarantined
		}
		data, personal, err := domain.Encode(f.Event)
		if err != nil {
			return err
		}
		if f.OccurredAt.IsZero() {
			f.OccurredAt = p.ReceivedAt
		}
		f.OccurredAt = micros(f.OccurredAt)
		if err := domain.CheckTime(f.OccurredAt); err != nil {
			return domain.Errorf(domain.Invalid, "append", "%w", &domain.FieldError{Field: "occurred_at", Reason: err.Error()})
		}
		var salt [32]byte
		if len(personal) > 0 {
			rand.Read(salt[:]) // never fails
		}
		p.facts = append(p.facts, encoded{fact: f, data: data, personal: domain.SealPersonal(salt, personal)})
	}
	return nil
}

// write sets the cells of the rows to write, all but those that say where they
// are in the log.
func (p *prepared) write() {
	id, source, test := ulidCell(p.ID), textCell(p.Source), boolCell(p.Test)
	cause := ulidOrNullCell(p.Cause)
	p.cells = [][]byte{
		id, source, textCell(p.Topic), textOrNullCell(p.key), textCell(string(p.status)), test, textCell(flags(p.Flags)),
		textCell(p.Verified), momentCell(p.ReceivedAt), cause, textCell(string(p.header)), bytesCell(p.Body), bytesCell(p.body[:]),
		textCell(p.Fetched), boolCell(p.Replay),
	}
	for i := range p.facts {
		f := &p.facts[i]
		personal := nullCell
		if f.personal != nil {
			personal = bytesCell(f.personal)
		}
		f.cells = [][]byte{
			textCell(string(f.fact.Event.Kind())), source, momentCell(f.fact.OccurredAt), id, cause, test, textCell(string(f.data)), personal,
		}
	}
}

// flags returns a list of flags as it is stored.
func flags(list []string) string {
	words := make([]string, len(list))
	for i, f := range list {
		words[i] = domain.Label(f)
	}
	return strings.Join(words, ",")
}

// conflicting returns p as it is recorded if its key was there already with
// other bytes. What it claims is not booked: whether it corrects or repeats the
// first delivery is for a person to say.
func (p *prepared) conflicting(first string) (*prepared, error) {
	c := *p
	c.facts = nil
	err := c.encode([]domain.Fact{{Event: domain.IntakeQuarantined{
		Topic:  p.Topic,
		Reason: "conflict: delivery " + first + " has the same key and other bytes",
	}}})
	c.status = domain.Conflicting
	c.write()
	return &c, err
}

// short returns a key as it is stored.
func short(key string) string {
	if len(key) <= maxKeyBytes && utf8.ValidString(key) && !strings.Contains(key, "\x00") {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256/" + hex.EncodeToString(sum[:])
}

// latin1 returns the headers with values that are no UTF-8 read as ISO 8859-1,
// which is what such a value is (RFC 9110, section 5.5), so that JSON keeps every
// byte.
func latin1(header map[string][]string) map[string][]string {
	kept := make(map[string][]string, len(header))
	for name, values := range header {
		for _, v := range values {
			if !utf8.ValidString(v) {
				runes := make([]rune, len(v))
				for i := range len(v) {
					runes[i] = rune(v[i])
				}
				v = string(runes)
			}
			kept[name] = append(kept[name], v)
		}
	}
	return kept
}
