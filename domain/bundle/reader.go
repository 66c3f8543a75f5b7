package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
)

// A Part is one thing that a bundle holds: a [Checkpoint], a [Certificate], a
// [Segment] or a [Bodies].
type Part interface{ part() }

// A Checkpoint is a signed note; nobody has verified it yet.
type Checkpoint []byte

// A Certificate is a signed note, not verified either, and its salt.
type Certificate struct {
	Note []byte
	Salt [32]byte
}

// A Segment is a part of the log, not parsed yet: see [Segment.Parse].
type Segment struct {
	Name  string
	First int64 // position of its first record, as its name has it
	Text  []byte
}

// Bodies are the sealed header and body of one delivery.
type Bodies struct {
	ID           ulid.ULID
	Header, Body []byte
}

func (Checkpoint) part()  {}
func (Certificate) part() {}
func (Segment) part()     {}
func (Bodies) part()      {}

// A Reader reads a bundle. What is wrong with the file is a [*FormError]; that it
// cannot be read is any other error.
type Reader struct {
	from   io.Reader
	offset int64
	sum    hash.Hash // of what was read
	meta   Meta
	end    End // what was read so far, and in the end what the bundle says
	stage  int // of the last member
}

// The order of members.
const (
	stageMeta = iota
	stageCheckpoints
	stageCertificates
	stageLog
	stageEnd
)

// NewReader begins to read a bundle.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{from: from, sum: sha256.New()}
	m, err := r.member()
	if err != nil {
		return nil, err
	}
	if m.name != "bundle.json" {
		return nil, m.wrong("it should be bundle.json: this is not a bundle")
	}
	if err := readLine(m.content, &r.meta); err != nil {
		return nil, m.wrong("%w", err)
	}
	if err := r.meta.check(); err != nil {
		return nil, m.wrong("%w", err)
	}
	return r, nil
}

// Meta returns what the bundle says it is about.
func (r *Reader) Meta() Meta { return r.meta }

// End returns what the bundle holds, once Next has returned [io.EOF].
func (r *Reader) End() End { return r.end }

// Next returns the next part, and io.EOF after the last one: then the file has
// come to the end that it should have. What it returns is the caller's.
func (r *Reader) Next() (Part, error) {
	if r.stage == stageEnd {
		return nil, io.EOF
	}
	sum := hex.EncodeToString(r.sum.Sum(nil))
	m, err := r.member()
	if err != nil {
		return nil, err
	}
	folder, _, _ := strings.Cut(m.name, "/")
	stage, ok := map[string]int{
		"checkpoints": stageCheckpoints, "certificates": stageCertificates, "log": stageLog, "bodies": stageLog, "end.json": stageEnd,
	}[folder]
	if !ok || stage < r.stage {
		return nil, m.wrong("it does not belong here")
	}
	r.stage = stage
	switch folder {
	case "checkpoints":
		r.end.Checkpoints++
		if m.name != fmt.Sprintf("checkpoints/%06d.txt", r.end.Checkpoints) || r.end.Checkpoints > maxCheckpoints {
			return nil, m.wrong("it should be number %d, and there are %d at the most", r.end.Checkpoints, maxCheckpoints)
		}
		return Checkpoint(m.content), nil
	case "certificates":
		return r.certificate(m)
	case "log":
		return segment(m)
	case "bodies":
		return r.bodies(m)
	}
	return nil, r.finish(m, sum)
}

func (r *Reader) certificate(m member) (Part, error) {
	r.end.Certificates++
	name := fmt.Sprintf("certificates/%06d.", r.end.Certificates)
	if m.name != name+"txt" || r.end.Certificates > maxCertificates {
		return nil, m.wrong("it should be number %d, and there are %d at the most", r.end.Certificates, maxCertificates)
	}
	salt, err := r.member()
	if err != nil {
		return nil, err
	}
	c := Certificate{Note: m.content}
	if _, err := hex.Decode(c.Salt[:], bytes.TrimSuffix(salt.content, []byte("\n"))); err != nil || salt.name != name+"salt" ||
		string(salt.content) != hex.EncodeToString(c.Salt[:])+"\n" {
		return nil, salt.wrong("it should be the salt of %s", m.name)
	}
	return c, nil
}

func segment(m member) (Part, error) {
	s := Segment{Name: m.name, Text: m.content}
	_, err := fmt.Sscanf(m.name, "log/%012d.txt", &s.First)
	if err != nil || m.name != fmt.Sprintf("log/%012d.txt", s.First) {
		return nil, m.wrong("it is not named for a position")
	}
	return s, nil
}

func (r *Reader) bodies(m member) (Part, error) {
	r.end.Bodies++
	text := strings.TrimSuffix(strings.TrimPrefix(m.name, "bodies/"), ".header")
	id, err := ulid.ParseStrict(text)
	if err != nil || m.name != "bodies/"+id.String()+".header" || !r.meta.Bodies {
		return nil, m.wrong("it does not belong here")
	}
	body, err := r.member()
	if err != nil {
		return nil, err
	}
	if body.name != "bodies/"+id.String()+".body" {
		return nil, body.wrong("it should be the body of %s", id)
	}
	return Bodies{id, m.content, body.content}, nil
}

// finish reads the end. The sum is that of what came before.
func (r *Reader) finish(m member, sum string) error {
	var end End
	if err := readLine(m.content, &end); err != nil {
		return m.wrong("%w", err)
	}
	if end.SHA256 != sum {
		return m.wrong("the SHA-256 of what comes before is %s, and the bundle says %s", sum, end.SHA256)
	}
	if end.Checkpoints != r.end.Checkpoints || end.Certificates != r.end.Certificates || end.Bodies != r.end.Bodies {
		return m.wrong("it counts %d checkpoints, %d certificates and %d bodies, and there are %d, %d and %d",
			end.Checkpoints, end.Certificates, end.Bodies, r.end.Checkpoints, r.end.Certificates, r.end.Bodies)
	}
	r.end = end
	m = member{name: "the end of the archive", offset: r.offset}
	blocks := make([]byte, 2*blockSize)
	if _, err := io.ReadFull(r.from, blocks); err != nil {
		return m.failed(early(err))
	}
	if !isZero(blocks) {
		return m.wrong("it is not two blocks of zeros")
	}
	switch n, err := io.ReadFull(r.from, blocks[:1]); {
	case n > 0:
		return m.wrong("the file goes on behind it")
	case !errors.Is(err, io.EOF):
		return err
	}
	return io.EOF
}

// A member is one file of the archive.
type member struct {
	name    string
	offset  int64 // of its header
	content []byte
}

func (m member) wrong(format string, args ...any) error {
	return &FormError{m.name, m.offset, domain.Errorf(domain.Differs, "", format, args...)}
}

// failed returns the error of reading m.
func (m member) failed(err error) error {
	if e, ok := errors.AsType[*readError](err); ok {
		return e.error
	}
	return m.wrong("%w", err)
}

// member reads the next member.
func (r *Reader) member() (member, error) {
	m := member{name: "a member", offset: r.offset}
	from := io.TeeReader(r.from, r.sum)
	block := make([]byte, blockSize)
	if _, err := io.ReadFull(from, block); err != nil {
		return m, m.failed(early(err))
	}
	name, size, err := parseHeader(block)
	if err != nil {
		return m, m.wrong("%w", err)
	}
	m.name = name
	if limit := limitOf(name); size > limit {
		return m, m.wrong("it has %d bytes, more than %d", size, limit)
	}
	if m.content, err = readAll(from, size); err != nil {
		return m, m.failed(err)
	}
	r.offset += blockSize + size + int64(len(padding(size)))
	return m, nil
}

// limitOf returns how large a member may be.
func limitOf(name string) int64 {
	switch folder, _, _ := strings.Cut(name, "/"); folder {
	case "log":
		return maxSegment
	case "bodies":
		return maxBody
	case "checkpoints", "certificates":
		return maxNote
	}
	return maxMeta
}
