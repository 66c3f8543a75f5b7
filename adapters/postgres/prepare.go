package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	"strings"
	"unicode/utf8"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// prepared is a delivery that is ready to be appended: everything that can be
// wrong with it has been looked for, everything slow is done and everything
// personal is sealed, before it waits for its turn.
type prepared struct {
	domain.Delivery
	key    string   // MAC; "" if its scopes tell it apart
	scopes []string // MACs
	body   [32]byte // MAC
	status domain.Status
	keys   *sealing
	header []byte          // JSON, sealed
	sealed []byte          // the body
	bytes  domain.Envelope // but for what the appender may change
	facts  []encoded
	cells  [][]byte // of its row, from column id on
	origin int64    // position of the delivery that it replays; 0: it replays none
	answer chan answer
}

// encoded is a fact in its wire form.
type encoded struct {
	fact     domain.Fact
	data     []byte
	personal []byte   // JSON of sealed texts
	cells    [][]byte // of its row, from column kind on
}

// An answer is what the caller of Append gets.
type answer struct {
	receipt domain.Receipt
	err     error
}

// prepare encodes and seals d and works out its identity. It fails with code
// Invalid if one of its facts is not well formed.
func prepare(ctx context.Context, keys *Keyring, d domain.Delivery) (*prepared, error) {
	p := &prepared{Delivery: d, body: keys.bodyMAC(d.Body), answer: make(chan answer, 1)}
	p.Topic, p.Fetched = domain.Label(p.Topic), domain.Label(p.Fetched)
	switch {
	case p.Key != "":
		p.key = keys.name(macKey, p.Key)
	case len(p.Scopes) == 0:
		p.key = keys.name(macBytes, p.Topic+"\x00"+string(p.Body))
	}
	p.scopes = keys.scopes(p.Scopes)
	var err error
	if p.keys, err = keys.sealing(ctx, p.Source); err != nil {
		return nil, err
	}
	header, err := domain.Marshal(latin1(p.Header))
	if err != nil {
		return nil, err
	}
	id := p.ID.String()
	p.header = seal.Bytes(&p.keys.delivery.Key, contextOf(id, partHeader), header)
	p.sealed = seal.Bytes(&p.keys.delivery.Key, contextOf(id, partBody), p.Body)
	p.bytes = domain.Envelope{
		ID: p.ID, Source: p.Source, Topic: p.Topic, Test: p.Test, Flags: flags(p.Flags), Verified: p.Verified, ReceivedAt: micros(p.ReceivedAt),
		Cause: p.Cause, Fetched: p.Fetched, Replay: p.Replay, Scopes: p.scopes, BodyMAC: p.body,
		HeaderSHA256: sha256.Sum256(p.header), BodySHA256: sha256.Sum256(p.sealed),
	}
	facts := p.Facts
	if len(facts) == 0 {
		facts = []domain.Fact{{Event: domain.IntakeUnrecognized{Topic: p.Topic, Reason: cmp.Or(domain.Label(p.Reason), "nothing to keep")}}}
	}
	if err := p.encode(ctx, facts); err != nil {
		return nil, err
	}
	p.write()
	return p, nil
}

// envelope returns the SHA-256 of the delivery bytes of p as it is now.
func (p *prepared) envelope() [32]byte {
	e := p.bytes
	e.Status, e.Key = p.status, p.key
	return sha256.Sum256(e.AppendBytes(nil))
}

// reseal seals the facts of p again: somebody else has made one of the keys.
func (p *prepared) reseal(ctx context.Context) error {
	facts := make([]domain.Fact, len(p.facts))
	for i, f := range p.facts {
		facts[i] = f.fact
	}
	p.facts, p.keys.used = nil, p.keys.used[:1]
	if err := p.encode(ctx, facts); err != nil {
		return err
	}
	p.write()
	return nil
}

// encode sets the facts of p and the status that follows from them.
func (p *prepared) encode(ctx context.Context, facts []domain.Fact) error {
	p.status = domain.Accepted
	for _, f := range facts {
		switch f.Event.(type) {
		case domain.IntakeUnrecognized:
			p.status = domain.Unrecognized
		case domain.IntakeQuarantined:
			p.status = domain.Quarantined
		}
		data, personal, err := domain.EncodeSealed(f.Event, func(about domain.DataSubject, text domain.Personal) (domain.Personal, error) {
			return p.keys.text(ctx, about, text)
		})
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
		p.facts = append(p.facts, encoded{fact: f, data: data, personal: personal})
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
		textCell(p.Verified), momentCell(p.ReceivedAt), cause, bytesCell(p.header), bytesCell(p.sealed), bytesCell(p.body[:]),
		textCell(p.Fetched), boolCell(p.Replay),
	}
	for i := range p.facts {
		f := &p.facts[i]
		personal := nullCell
		if f.personal != nil {
			personal = textCell(string(f.personal))
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
func (p *prepared) conflicting(ctx context.Context, first string) (*prepared, error) {
	c, keys := *p, *p.keys
	// Who is named in what is not booked gets no key.
	keys.used = keys.used[:1:1]
	c.facts, c.keys = nil, &keys
	err := c.encode(ctx, []domain.Fact{{Event: domain.IntakeQuarantined{
		Topic:  p.Topic,
		Reason: "conflict: delivery " + first + " has the same key and other bytes",
	}}})
	c.status = domain.Conflicting
	c.write()
	return &c, err
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
