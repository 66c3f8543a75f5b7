package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Writer writes a bundle. Its methods are called in the order of the format:
// checkpoints, certificates, then each delivery before its first record. The
// first failure stays, and every method returns it.
type Writer struct {
	to      io.Writer
	sum     hash.Hash // of what was written
	meta    Meta
	end     End
	next    int64 // position of the next record
	segment bytes.Buffer
	first   int64 // position of the first record of the segment
	bodies  []sealed
	size    int // of the segment and its bodies
	err     error
}

// sealed is the sealed header and body of a delivery.
type sealed struct {
	id           ulid.ULID
	header, body []byte
}

// NewWriter begins a bundle.
func NewWriter(to io.Writer, m Meta) (*Writer, error) {
	m.Format = format
	if m.Frontier == nil {
		m.Frontier = []string{}
	}
	if err := m.check(); err != nil {
		return nil, domain.Errorf(domain.Invalid, "write bundle", "%w", err)
	}
	w := &Writer{to: to, sum: sha256.New(), meta: m, next: m.From, first: m.From}
	b, err := line(m)
	if err != nil {
		return nil, err
	}
	w.member("bundle.json", b)
	return w, w.err
}

// Checkpoint adds a signed checkpoint. They come by size.
func (w *Writer) Checkpoint(note []byte) error {
	w.end.Checkpoints++
	w.atMost("checkpoints", w.end.Checkpoints, maxCheckpoints)
	w.member(fmt.Sprintf("checkpoints/%06d.txt", w.end.Checkpoints), note)
	return w.err
}

// Certificate adds a balance certificate and what its rows are salted with.
func (w *Writer) Certificate(note []byte, salt [32]byte) error {
	w.end.Certificates++
	w.atMost("certificates", w.end.Certificates, maxCertificates)
	name := fmt.Sprintf("certificates/%06d.", w.end.Certificates)
	w.member(name+"txt", note)
	w.member(name+"salt", append(hex.AppendEncode(nil, salt[:]), '\n'))
	return w.err
}

func (w *Writer) atMost(what string, n, limit int64) {
	if n > limit && w.err == nil {
		w.err = domain.Errorf(domain.Invalid, "write bundle", "there are more %s than %d, which no reader takes", what, limit)
	}
}

// Delivery adds the delivery of the next record, with its sealed header and body
// if the bundle is to have bodies. It keeps them until the segment is written.
func (w *Writer) Delivery(e *domain.Envelope, header, body []byte) error {
	w.end.Deliveries++
	w.block(e.AppendBytes(w.segment.AvailableBuffer()), deliveryLines)
	if w.meta.Bodies {
		w.bodies = append(w.bodies, sealed{e.ID, header, body})
		w.size += len(header) + len(body)
	}
	return w.err
}

// Record adds the next record, with the leaf that the log has for it.
func (w *Writer) Record(r *domain.Record, leaf tree.Hash) error {
	if r.Position != w.next && w.err == nil {
		w.err = domain.Errorf(domain.Internal, "write bundle", "record %d does not follow %d", r.Position, w.next-1)
	}
	w.end.Records++
	w.block(r.AppendBytes(w.segment.AvailableBuffer()), recordLines)
	if len(r.Personal) > 0 {
		w.block(append(append(w.segment.AvailableBuffer(), r.Personal...), '\n'), 1)
	}
	w.next++
	w.segment.WriteString(leafName)
	w.segment.Write(hex.AppendEncode(w.segment.AvailableBuffer(), leaf[:]))
	w.segment.WriteByte('\n')
	if w.size+w.segment.Len() >= segmentSize {
		w.flush()
	}
	return w.err
}

// block adds text that must have so many lines to the segment.
func (w *Writer) block(text []byte, lines int) {
	if n := bytes.Count(text, []byte("\n")); n != lines && w.err == nil {
		w.err = domain.Errorf(domain.Differs, "write bundle", "record %d or its delivery has %d lines and not %d: a value holds a newline", w.next, n, lines).
			WithHint("The log was changed by hand; restore it from a backup.")
	}
	w.segment.Write(text)
}

// flush writes the segment and its bodies.
func (w *Writer) flush() {
	if w.segment.Len() == 0 {
		return
	}
	w.member(fmt.Sprintf("log/%012d.txt", w.first), w.segment.Bytes())
	for _, s := range w.bodies {
		w.member("bodies/"+s.id.String()+".header", s.header)
		w.member("bodies/"+s.id.String()+".body", s.body)
		w.end.Bodies++
	}
	w.segment.Reset()
	w.bodies, w.size, w.first = nil, 0, w.next
}

// Close ends the bundle. The root is that of the tree at the last record.
func (w *Writer) Close(root tree.Hash) error {
	w.flush()
	if w.next != w.meta.To+1 && w.err == nil {
		w.err = domain.Errorf(domain.Internal, "write bundle", "the last record is %d and not %d", w.next-1, w.meta.To)
	}
	w.end.Root = base64.StdEncoding.EncodeToString(root[:])
	w.end.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	b, err := line(w.end)
	if err != nil {
		return err
	}
	w.member("end.json", b)
	w.write(make([]byte, 2*blockSize))
	return w.err
}

func (w *Writer) member(name string, content []byte) {
	if limit := limitOf(name); int64(len(content)) > limit && w.err == nil {
		w.err = domain.Errorf(domain.Invalid, "write bundle", "%s has %d bytes, and no reader takes more than %d", name, len(content), limit)
	}
	w.write(header(name, int64(len(content))))
	w.write(content)
	w.write(padding(int64(len(content))))
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		w.sum.Write(b)
		_, w.err = w.to.Write(b)
	}
}
