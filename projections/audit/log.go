package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// An entry is a delivery or a record of a segment, read on any core. What is
// wrong with it is found when its turn comes.
type entry struct {
	delivery bool
	envelope *domain.Envelope
	sum      [32]byte // of the delivery bytes
	record   *domain.Record
	claimed  tree.Hash // leaf that the bundle has for it
	leaf     tree.Hash // of its bytes
	err      error     // it cannot be read
	unknown  bool      // its kind is not known
}

// A parsed is a segment that was read.
type parsed struct {
	bundle.Segment
	entries []entry
	err     error // what comes after the entries cannot be read
}

// parse reads a segment. It is the part of the audit that runs on all cores.
func parse(s bundle.Segment) *parsed {
	p := &parsed{Segment: s}
	list, err := s.Parse()
	p.err = err
	for _, e := range list {
		if e.Delivery != nil {
			envelope, err := domain.ParseEnvelope(e.Delivery)
			p.entries = append(p.entries, entry{delivery: true, envelope: envelope, sum: sha256.Sum256(e.Delivery), err: err})
			continue
		}
		read := entry{claimed: e.Leaf, leaf: tree.Leaf(e.Record)}
		if read.record, read.err = domain.ParseRecord(e.Record, e.Personal); read.err == nil {
			read.unknown = !domain.IsKind(read.record.Kind)
			if !read.unknown {
				read.err = read.record.Decode()
			}
		}
		p.entries = append(p.entries, read)
	}
	return p
}

// A state is the log as far as it was checked.
type state struct {
	frontier   *tree.Frontier
	epoch      int64
	recordedAt time.Time
	delivery   *domain.Envelope // of the last record
	sum        [32]byte         // of its bytes
	caused     int64            // records of that delivery
}

// An expectedBody is what the sealed bytes of a delivery must hash to.
type expectedBody struct {
	id           string
	header, body [32]byte
}

// errStop ends an audit whose report says why.
var errStop = errors.New("the audit ends here")

// stop reports what is wrong and ends the audit.
func (a *auditor) stop(f Finding) error {
	a.report.fail(f)
	return errStop
}

// position returns the position of the next record.
func (a *auditor) position() int64 { return a.log.frontier.Size() + 1 }

// segment checks the records of a segment, and folds them.
func (a *auditor) segment(p *parsed) error {
	if err := a.bodiesComplete(); err != nil {
		return err
	}
	if p.First != a.position() {
		return a.stop(Finding{Position: a.position(), Where: p.Name, Reason: fmt.Sprintf("record %d should come next", a.position())})
	}
	var records []*domain.Record
	for _, e := range p.entries {
		var err error
		if e.delivery {
			err = a.delivery(p, e)
		} else if err = a.record(p, e); err == nil {
			records = append(records, e.record)
		}
		if err != nil {
			return err
		}
	}
	if p.err != nil || len(records) == 0 {
		return a.stop(Finding{Position: a.position(), Where: p.Name, Reason: fmt.Sprintf("record %d cannot be read: %v", a.position(), p.err)})
	}
	a.fold(records)
	return nil
}

// delivery checks a delivery, which comes before its first record.
func (a *auditor) delivery(p *parsed, e entry) error {
	wrong := func(format string, args ...any) error {
		return a.stop(Finding{Position: a.position(), Where: p.Name, Reason: fmt.Sprintf("the delivery before record %d ", a.position()) + fmt.Sprintf(format, args...)})
	}
	switch {
	case e.err != nil:
		return wrong("cannot be read: %v", e.err)
	case a.log.delivery != nil && a.log.caused == 0:
		return wrong("is one of two: %s caused no record", a.log.delivery.ID)
	}
	a.log.delivery, a.log.sum, a.log.caused = e.envelope, e.sum, 0
	a.report.Deliveries++
	if a.meta.Bodies {
		a.expected = append(a.expected, expectedBody{e.envelope.ID.String(), e.envelope.HeaderSHA256, e.envelope.BodySHA256})
	}
	return nil
}

// record checks the next record and adds its leaf to the tree.
func (a *auditor) record(p *parsed, e entry) error {
	position := a.position()
	wrong := func(reason, found, claimed string) error {
		return a.stop(Finding{Position: position, Where: fmt.Sprintf("record %d in %s", position, p.Name), Reason: reason, Found: found, Claimed: claimed})
	}
	if e.leaf != e.claimed {
		return wrong("its bytes are not those of its leaf", hex.EncodeToString(e.leaf[:]), hex.EncodeToString(e.claimed[:]))
	}
	if e.err != nil {
		return wrong("it is not as a record is written: "+e.err.Error(), "", "")
	}
	r, d := e.record, a.log.delivery
	switch {
	case r.Position != position:
		return wrong(fmt.Sprintf("it says that it is record %d", r.Position), "", "")
	case r.RecordedAt.Before(a.log.recordedAt):
		return wrong("it was recorded before the record before it", "", "")
	case d == nil || d.ID != r.Delivery:
		return wrong(fmt.Sprintf("its delivery %s is not before it", r.Delivery), "", "")
	case a.log.sum != r.Envelope:
		return wrong("the delivery it commits to has other bytes", hex.EncodeToString(a.log.sum[:]), hex.EncodeToString(r.Envelope[:]))
	case d.Source != r.Source || d.Test != r.Test || d.Cause != r.Cause:
		return wrong("source, test and cause are not those of its delivery", "", "")
	}
	if fork, ok := r.Event.(domain.LogForked); ok {
		if err := a.forked(r, fork, wrong); err != nil {
			return err
		}
	}
	a.log.frontier.Append(e.leaf)
	a.log.recordedAt = r.RecordedAt
	a.log.caused++
	if e.unknown {
		a.unknown++
		if a.unknown == 1 {
			a.report.miss("record %d is of kind %.100q, which this program does not know", position, r.Kind)
		}
	}
	return a.compare()
}

// forked checks a record that says that the log went on from an earlier state.
func (a *auditor) forked(r *domain.Record, fork domain.LogForked, wrong func(reason, found, claimed string) error) error {
	before := a.log.frontier.Root()
	root := base64.StdEncoding.EncodeToString(before[:])
	switch {
	case fork.Epoch <= a.log.epoch: // one that was rolled back over leaves a gap
		return wrong("it opens an epoch of the log that is not a new one", fmt.Sprint(a.log.epoch), fmt.Sprint(fork.Epoch))
	case fork.Size != r.Position-1 || fork.Root != root:
		return wrong("it says that another log was before it", fmt.Sprintf("%d records with root %s", r.Position-1, root), fmt.Sprintf("%d with %s", fork.Size, fork.Root))
	}
	_, lost, _, _ := fork.Lost()
	a.log.epoch = fork.Epoch
	a.report.Forks = append(a.report.Forks, Fork{r.Position, fork.Epoch, lost, fork.Reason, fork.By})
	return nil
}

// bodies checks the sealed bytes of the next delivery.
func (a *auditor) bodies(b bundle.Bodies) error {
	where := "bodies/" + b.ID.String()
	if len(a.expected) == 0 || a.expected[0].id != b.ID.String() {
		return a.stop(Finding{Where: where, Reason: "it is not the next delivery of the segment before"})
	}
	e := a.expected[0]
	a.expected = a.expected[1:]
	for _, part := range []struct {
		name  string
		bytes []byte
		want  [32]byte
	}{{".header", b.Header, e.header}, {".body", b.Body, e.body}} {
		if sum := sha256.Sum256(part.bytes); !bytes.Equal(sum[:], part.want[:]) {
			return a.stop(Finding{
				Where: where + part.name, Reason: "its bytes are not those that the delivery commits to",
				Found: hex.EncodeToString(sum[:]), Claimed: hex.EncodeToString(part.want[:]),
			})
		}
	}
	a.report.Bodies++
	return nil
}

// bodiesComplete reports that a delivery has no bodies behind its segment.
func (a *auditor) bodiesComplete() error {
	if len(a.expected) == 0 {
		return nil
	}
	return a.stop(Finding{Position: a.position(), Where: "bodies/" + a.expected[0].id, Reason: "it is missing"})
}

// end checks what only the end can show.
func (a *auditor) end(e bundle.End) error {
	if err := a.bodiesComplete(); err != nil {
		return err
	}
	root := a.log.frontier.Root()
	text, last := base64.StdEncoding.EncodeToString(root[:]), a.position()-1
	wrong := func(reason, found, claimed string) error {
		return a.stop(Finding{Position: last, Where: "end.json", Reason: reason, Found: found, Claimed: claimed})
	}
	switch {
	case last != a.meta.To:
		return wrong("the last record is another one", fmt.Sprint(last), fmt.Sprint(a.meta.To))
	case a.log.delivery != nil && a.log.caused == 0:
		return wrong(fmt.Sprintf("delivery %s caused no record", a.log.delivery.ID), "", "")
	case e.Root != text:
		return wrong("the root of the tree is another one", text, e.Root)
	case e.Records != last-a.meta.From+1:
		return wrong("it counts other records", fmt.Sprint(last-a.meta.From+1), fmt.Sprint(e.Records))
	case e.Deliveries != a.report.Deliveries:
		return wrong("it counts other deliveries", fmt.Sprint(a.report.Deliveries), fmt.Sprint(e.Deliveries))
	}
	return nil
}

// origin returns the origin line of the log where it is now.
func (a *auditor) origin() string { return checkpoint.Origin(a.meta.Origin, a.log.epoch) }
