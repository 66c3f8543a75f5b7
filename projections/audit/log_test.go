package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/certifications"
	"github.com/daybook-ledger/daybook/projections/credits"
	"github.com/daybook-ledger/daybook/projections/directory"
	"github.com/daybook-ledger/daybook/projections/sales"
	"github.com/daybook-ledger/daybook/projections/trustgroups"
)

const origin = "daybook/7f3a"

func all() []*projections.Projection {
	return []*projections.Projection{credits.Projection(), sales.Projection(), trustgroups.Projection(), certifications.Projection(), directory.Projection()}
}

// A delivered is a delivery of a log and the records it caused.
type delivered struct {
	envelope     domain.Envelope
	header, body []byte
	records      []*domain.Record
}

// A log is one in memory, as the appender would have written it.
type log struct {
	list []*delivered
	n    int64 // last position
}

// deliver appends a delivery that caused the events.
func (l *log) deliver(t testing.TB, source string, events ...domain.Event) *delivered {
	t.Helper()
	key := seal.Key(sha256.Sum256([]byte(source)))
	d := &delivered{header: seal.Bytes(&key, "header", []byte(`{}`)), body: seal.Bytes(&key, "body", binary.AppendVarint(nil, l.n))}
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(l.n) * time.Hour)
	d.envelope = domain.Envelope{
		ID: idOf(1000 + l.n), Source: source, Topic: "a topic", Status: domain.Accepted, Verified: "test", ReceivedAt: at,
		Key: "key", HeaderSHA256: sha256.Sum256(d.header), BodySHA256: sha256.Sum256(d.body),
	}
	for _, e := range events {
		data, personal, err := domain.EncodeSealed(e, func(_ domain.DataSubject, text domain.Personal) (domain.Personal, error) {
			return domain.Personal(seal.Text(&key, string(text))), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l.n++
		d.records = append(d.records, &domain.Record{
			Position: l.n, ID: idOf(l.n), Kind: e.Kind(), Source: source, OccurredAt: at, RecordedAt: at.Add(time.Second),
			Delivery: d.envelope.ID, Data: data, Personal: personal,
		})
	}
	d.commit()
	l.list = append(l.list, d)
	return d
}

// commit has the records commit to the delivery as it is now.
func (d *delivered) commit() {
	for _, r := range d.records {
		r.Envelope = sha256.Sum256(d.envelope.AppendBytes(nil))
	}
}

func idOf(n int64) (id ulid.ULID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func (l *log) records() []*domain.Record {
	var list []*domain.Record
	for _, d := range l.list {
		list = append(list, d.records...)
	}
	return list
}

// frontier returns the tree of the first records.
func (l *log) frontier(size int64) *tree.Frontier {
	f := new(tree.Frontier)
	for _, r := range l.records()[:size] {
		f.Append(tree.Leaf(r.AppendBytes(nil)))
	}
	return f
}

// fork appends the record that opens the next epoch, after a checkpoint that was
// signed of records that are lost.
func (l *log) fork(t testing.TB, epoch int64, lost []byte) {
	t.Helper()
	root := l.frontier(l.n).Root()
	l.deliver(t, domain.SourceLog, domain.LogForked{
		Epoch: epoch, Checkpoint: string(lost), Size: l.n, Root: base64.StdEncoding.EncodeToString(root[:]), Reason: "restored", By: "marta",
	})
}

// sampleLog has one record of every kind, but of forks, and some in one delivery.
func sampleLog(t testing.TB) *log {
	t.Helper()
	l := new(log)
	files, err := filepath.Glob("../../domain/testdata/events/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	var events []domain.Event
	for _, file := range files {
		kind := domain.Kind(strings.TrimSuffix(filepath.Base(file), ".json"))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var form struct{ Data, Personal json.RawMessage }
		if err := json.Unmarshal(text, &form); err != nil {
			t.Fatal(err)
		}
		if string(form.Personal) == "null" {
			form.Personal = nil
		}
		e, err := domain.Decode(kind, form.Data, form.Personal)
		if err != nil {
			t.Fatal(err)
		}
		if _, fork := e.(domain.LogForked); !fork {
			events = append(events, e)
		}
	}
	for chunk := range slices.Chunk(events, 3) {
		l.deliver(t, "acme", chunk...)
	}
	return l
}

// A key is that of a log.
type key struct {
	secret   string
	signer   note.Signer
	verifier note.Verifier
}

func newKey(t testing.TB, seed string) key {
	t.Helper()
	random := sha256.Sum256([]byte(seed))
	skey, vkey, err := checkpoint.GenerateLogKey(bytes.NewReader(random[:]), origin)
	if err != nil {
		t.Fatal(err)
	}
	k := key{secret: skey}
	if k.signer, err = checkpoint.NewSigner(skey, nil); err != nil {
		t.Fatal(err)
	}
	if k.verifier, err = checkpoint.NewVerifier(vkey); err != nil {
		t.Fatal(err)
	}
	return k
}

// checkpoint returns a signed checkpoint of the first records.
func (l *log) checkpoint(t testing.TB, k key, size, epoch int64) []byte {
	t.Helper()
	msg, err := checkpoint.Checkpoint{Origin: checkpoint.Origin(origin, epoch), Size: size, Root: l.frontier(size).Root()}.Sign(k.signer)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// A certified is a certificate with its salt.
type certified struct {
	note []byte
	salt [32]byte
}

// certificate returns a certificate of a projection, changed if change is not nil.
func (l *log) certificate(t testing.TB, k key, p *projections.Projection, position int64, change func(*certificate.Certificate)) certified {
	t.Helper()
	c := certificate.Certificate{Origin: checkpoint.Origin(origin, 1), Position: position, Root: l.frontier(position).Root(), Projection: p.Name, Version: p.Version}
	salt := c.Salt(k.secret)
	tables := projections.NewCertified(p, salt)
	for _, r := range l.records()[:position] {
		if err := tables.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	got := tables.Certificate(0)
	got.Origin, got.Position, got.Root = c.Origin, c.Position, c.Root
	if change != nil {
		change(&got)
	}
	msg, err := got.Sign(k.signer)
	if err != nil {
		t.Fatal(err)
	}
	return certified{msg, salt}
}

// A packing says what goes into a bundle.
type packing struct {
	from, to     int64 // 0: all
	bodies       bool
	checkpoints  [][]byte
	certificates []certified
	leaf         func(*domain.Record) tree.Hash // nil: that of its bytes
	idle         int64                          // record before which there is a delivery that caused none; one past the last: at the end
}

// bundle returns the log as a bundle.
func (l *log) bundle(t testing.TB, p packing) []byte {
	t.Helper()
	if p.from == 0 {
		p.from = 1
	}
	if p.to == 0 {
		p.to = l.n
	}
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, bundle.Meta{
		Origin: origin, From: p.from, To: p.to, Epoch: 1, Bodies: p.bodies, Frontier: bundle.FrontierText(l.frontier(p.from - 1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.checkpoints {
		if err := w.Checkpoint(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range p.certificates {
		if err := w.Certificate(c.note, c.salt); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range l.list {
		first := true
		for _, r := range d.records {
			if r.Position < p.from || r.Position > p.to {
				continue
			}
			if r.Position == p.idle {
				p.addIdle(t, w)
			}
			if first {
				if err := w.Delivery(&d.envelope, d.header, d.body); err != nil {
					t.Fatal(err)
				}
				first = false
			}
			leaf := tree.Leaf(r.AppendBytes(nil))
			if p.leaf != nil {
				leaf = p.leaf(r)
			}
			if err := w.Record(r, leaf); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.idle > p.to {
		p.addIdle(t, w)
	}
	if err := w.Close(l.frontier(p.to).Root()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (p packing) addIdle(t testing.TB, w *bundle.Writer) {
	t.Helper()
	e := domain.Envelope{ID: idOf(9000), HeaderSHA256: sha256.Sum256(nil), BodySHA256: sha256.Sum256(nil), ReceivedAt: time.Unix(0, 0).UTC()}
	e.Source, e.Topic, e.Status, e.Verified = "acme", "idle", domain.Accepted, "test"
	if err := w.Delivery(&e, nil, nil); err != nil {
		t.Fatal(err)
	}
}

func base64of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
