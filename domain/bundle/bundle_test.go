package bundle_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/tree"
)

var (
	header, body = []byte("sealed header"), bytes.Repeat([]byte("sealed body "), 100)
	delivery     = domain.Envelope{
		ID: ulid.MustParse("01KHV3Q0000000000000000001"), Source: "acme-tahdah", Topic: "eventCredits.Updated", Status: domain.Accepted,
		Flags: "assumed-mapping", Fetched: "events/62fadf95", Scopes: []string{"Z3R"}, // no line ends in a space
		Verified: "hmac-sha256, secret 1", ReceivedAt: time.Date(2026, 3, 1, 9, 0, 1, 0, time.UTC),
		HeaderSHA256: sha256.Sum256(header), BodySHA256: sha256.Sum256(body),
	}
)

// record returns the record at a position.
func record(position int64) *domain.Record {
	r := &domain.Record{
		Position: position, ID: ulid.MustParse("01KHV3Q0000000000000000002"), Kind: "credits.reported.v1", Source: "acme-tahdah",
		OccurredAt: delivery.ReceivedAt, RecordedAt: delivery.ReceivedAt, Delivery: delivery.ID, Envelope: sha256.Sum256(delivery.AppendBytes(nil)),
		Data: []byte(`{"line":"70412","template":"318","remaining":"14"}`),
	}
	if position%2 == 0 {
		r.Personal = []byte(`{"consumed/0/description":"sealed.1.abc"}`)
	}
	return r
}

func leafOf(r *domain.Record) tree.Hash { return tree.Leaf(r.AppendBytes(nil)) }

// write returns a bundle of the records of one delivery.
func write(t testing.TB, records int64, bodies bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, bundle.Meta{Origin: "daybook/7f3a", From: 1, To: records, Epoch: 1, Bodies: bodies})
	if err != nil {
		t.Fatal(err)
	}
	var frontier tree.Frontier
	err = errors.Join(w.Checkpoint([]byte("a note\n")), w.Certificate([]byte("another note\n"), [32]byte{1}), w.Delivery(&delivery, header, body))
	for p := range records {
		r := record(p + 1)
		frontier.Append(leafOf(r))
		err = errors.Join(err, w.Record(r, leafOf(r)))
	}
	if err = errors.Join(err, w.Close(frontier.Root())); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A bundle is an ordinary archive: what stands in its comment is what tar shows.
func Example() {
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, bundle.Meta{Origin: "daybook/7f3a", From: 1, To: 2, Epoch: 1, Bodies: true})
	if err != nil {
		panic(err)
	}
	first, second := record(1), record(2)
	var frontier tree.Frontier
	frontier.Append(leafOf(first))
	frontier.Append(leafOf(second))
	err = errors.Join(w.Checkpoint([]byte("a signed note\n")), w.Certificate([]byte("another\n"), [32]byte{}),
		w.Delivery(&delivery, []byte("…"), []byte("…")), w.Record(first, leafOf(first)), w.Record(second, leafOf(second)), w.Close(frontier.Root()))
	if err != nil {
		panic(err)
	}
	r := tar.NewReader(&b)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		content, err := io.ReadAll(r)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n%s\n", h.Name, bytes.TrimSpace(content))
	}
	// Output:
	// bundle.json
	// {"format":"daybook bundle v1","origin":"daybook/7f3a","from":1,"to":2,"epoch":1,"frontier":[],"bodies":true}
	// checkpoints/000001.txt
	// a signed note
	// certificates/000001.txt
	// another
	// certificates/000001.salt
	// 0000000000000000000000000000000000000000000000000000000000000000
	// log/000000000001.txt
	// daybook delivery v1
	// id 01KHV3Q0000000000000000001
	// source acme-tahdah
	// topic eventCredits.Updated
	// status accepted
	// test false
	// flags assumed-mapping
	// verified hmac-sha256, secret 1
	// received_at 2026-03-01T09:00:01.000000Z
	// cause -
	// fetched events/62fadf95
	// replay false
	// key -
	// scopes Z3R
	// mac 0000000000000000000000000000000000000000000000000000000000000000
	// header c1be32009d8cfb0278bee09fb376e3f08d895b10b0fec1afc8ea9699cc3a47d4
	// body fab9c2641d069d0195510232441079d104edba3a02c06175b96b8c7c77efaefe
	// daybook record v1
	// position 1
	// id 01KHV3Q0000000000000000002
	// kind credits.reported.v1
	// source acme-tahdah
	// occurred_at 2026-03-01T09:00:01.000000Z
	// recorded_at 2026-03-01T09:00:01.000000Z
	// delivery 01KHV3Q0000000000000000001 b169776874c1b4621ea06b27599e27c7e1aab00d3acbbb6e467069bf2db8e45e
	// cause -
	// test false
	// personal -
	// data {"line":"70412","template":"318","remaining":"14"}
	// leaf 4b733c7bceb80a992cfdfe4a9d10faff93bd9519a76b5d93623e4724c9b7c43c
	// daybook record v1
	// position 2
	// id 01KHV3Q0000000000000000002
	// kind credits.reported.v1
	// source acme-tahdah
	// occurred_at 2026-03-01T09:00:01.000000Z
	// recorded_at 2026-03-01T09:00:01.000000Z
	// delivery 01KHV3Q0000000000000000001 b169776874c1b4621ea06b27599e27c7e1aab00d3acbbb6e467069bf2db8e45e
	// cause -
	// test false
	// personal b007b01ec8f1a9586b3c3032751a93f3ffab6100d0898846a6524b70c89a4038
	// data {"line":"70412","template":"318","remaining":"14"}
	// {"consumed/0/description":"sealed.1.abc"}
	// leaf 92d3e538505bc850c8f33dc2f2b981004712647ab4bfef46f00eabdc2f2a53e3
	// bodies/01KHV3Q0000000000000000001.header
	// …
	// bodies/01KHV3Q0000000000000000001.body
	// …
	// end.json
	// {"records":2,"deliveries":1,"bodies":1,"checkpoints":1,"certificates":1,"root":"925wgvwPOn+dzxVseCKeFbtOiCeyCHybWsDjBvJ6AlE=","sha256":"6da3b173d2cddc7b52862d9fc279e6071bd0ef89d4a0dd21d7f2fd4ac7388508"}
}

func read(file []byte) ([]bundle.Part, bundle.End, error) {
	r, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, bundle.End{}, err
	}
	var parts []bundle.Part
	for {
		part, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts, r.End(), nil
		}
		if err != nil {
			return parts, bundle.End{}, err
		}
		parts = append(parts, part)
	}
}

func TestRoundTrip(t *testing.T) {
	const records = 5000 // several segments
	file := write(t, records, true)
	parts, end, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	if end.Records != records || end.Deliveries != 1 || end.Bodies != 1 || end.Checkpoints != 1 || end.Certificates != 1 {
		t.Errorf("%+v", end)
	}
	if diff := cmp.Diff([]bundle.Part{bundle.Checkpoint("a note\n"), bundle.Certificate{Note: []byte("another note\n"), Salt: [32]byte{1}}}, parts[:2]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	next, segments, bodies := int64(1), 0, 0
	for _, part := range parts[2:] {
		if b, ok := part.(bundle.Bodies); ok {
			bodies++
			if b.ID != delivery.ID || !bytes.Equal(b.Header, header) || !bytes.Equal(b.Body, body) || segments != 1 {
				t.Errorf("bodies of %s behind segment %d", b.ID, segments)
			}
			continue
		}
		s := part.(bundle.Segment)
		segments++
		if s.First != next {
			t.Errorf("segment %s begins with record %d", s.Name, next)
		}
		entries, err := s.Parse()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Delivery != nil {
				if next != 1 || !bytes.Equal(e.Delivery, delivery.AppendBytes(nil)) {
					t.Errorf("before record %d:\n%s", next, e.Delivery)
				}
				continue
			}
			want := record(next)
			if !bytes.Equal(e.Record, want.AppendBytes(nil)) || !bytes.Equal(e.Personal, want.Personal) || e.Leaf != leafOf(want) {
				t.Fatalf("record %d:\n%s%s", next, e.Record, e.Personal)
			}
			next++
		}
	}
	if next != records+1 || segments < 2 || bodies != 1 {
		t.Errorf("%d records in %d segments, %d bodies", next-1, segments, bodies)
	}
	if !bytes.Equal(file, write(t, records, true)) {
		t.Error("written again it is another file")
	}
}

// TestTar: other programs read it, and see what they would have written themselves.
func TestTar(t *testing.T) {
	file := write(t, 3, true)
	var again bytes.Buffer
	w := tar.NewWriter(&again)
	r := tar.NewReader(bytes.NewReader(file))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: h.Name, Size: h.Size, Mode: 0o444, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, ModTime: time.Unix(0, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, again.Bytes()) {
		t.Error("archive/tar writes it otherwise")
	}
}

// TestRefuses: each is refused with the name of the member.
func TestRefuses(t *testing.T) {
	file := write(t, 3, true)
	swap := func(old, changed string) []byte {
		if len(old) != len(changed) || bytes.Count(file, []byte(old)) == 0 {
			t.Fatalf("%q cannot be put for %q", changed, old)
		}
		return bytes.Replace(file, []byte(old), []byte(changed), 1)
	}
	for name, tt := range map[string]struct {
		file []byte
		says string
	}{
		"empty":        {nil, "the file ends here"},
		"no archive":   {bytes.Repeat([]byte("x"), 2000), "there is no header of a member"},
		"cut":          {file[:len(file)-1], "the file ends here"},
		"longer":       {append(bytes.Clone(file), 0), "the file goes on behind it"},
		"another one":  {append(bytes.Clone(file), file...), "the file goes on behind it"},
		"version":      {swap("daybook bundle v1", "daybook bundle v2"), `its format is "daybook bundle v2"`},
		"spaces":       {swap(`"from":1,"to":3`, `"from":1 ,"to":`), "bundle.json"},
		"range":        {swap(`"from":1,"to":3`, `"from":3,"to":1`), "there are no records from 3 to 1"},
		"frontier":     {swap(`"from":1,"to":3`, `"from":2,"to":3`), "frontier"},
		"salt":         {swap("0100000000", "01000000OO"), "it should be the salt"},
		"sum":          {swap("sealed body sealed", "sealed body Sealed"), "the SHA-256 of what comes before"},
		"count":        {swap(`"bodies":1`, `"bodies":2`), "it counts 1 checkpoints, 1 certificates and 2 bodies"},
		"unknown name": {swap(`"epoch":1`, `"epock":1`), "bundle.json"},
	} {
		_, _, err := read(tt.file)
		var form *bundle.FormError
		if !errors.As(err, &form) || form.Member == "" || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want %q", name, err, tt.says)
		}
	}
}

// A file is one member of an archive.
type file struct{ name, content string }

// files returns the members of a bundle.
func files(t *testing.T, bundle []byte) (list []file) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(bundle))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, file{h.Name, string(content)})
	}
}

// forge returns a bundle of the members with the SHA-256 that they have.
func forge(t *testing.T, list []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range list {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if f.name == "end.json" {
			before, _, _ := strings.Cut(f.content, `"sha256":`)
			f.content = fmt.Sprintf("%s\"sha256\":\"%x\"}\n", before, sha256.Sum256(b.Bytes()))
		}
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o444, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, ModTime: time.Unix(0, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestForged: what has the right SHA-256 and another order or another form is
// refused all the same.
func TestForged(t *testing.T) {
	const checkpointAt, saltAt, logAt, headerAt = 1, 3, 4, 5
	original := write(t, 3, true)
	if !bytes.Equal(forge(t, files(t, original)), original) {
		t.Fatal("what is forged is not written as bundles are")
	}
	move := func(list []file, from, to int) []file {
		f := list[from]
		return slices.Insert(slices.Delete(list, from, from+1), to, f)
	}
	for name, tt := range map[string]struct {
		change func(list []file) []file
		says   string
	}{
		"checkpoint behind":  {func(l []file) []file { return move(l, checkpointAt, logAt) }, "it does not belong here"},
		"certificate behind": {func(l []file) []file { return move(move(l, saltAt-1, logAt), saltAt-1, logAt) }, "it does not belong here"},
		"salt alone":         {func(l []file) []file { return move(l, saltAt, saltAt-1) }, "it should be number 1"},
		"body before header": {func(l []file) []file { return move(l, headerAt, headerAt+1) }, "it does not belong here"},
		"capitals": {func(l []file) []file {
			l[saltAt].content = "AB" + l[saltAt].content[2:]
			return l
		}, "it should be the salt"},
		"no newline": {func(l []file) []file {
			l[saltAt].content = strings.TrimSuffix(l[saltAt].content, "\n")
			return l
		}, "it should be the salt"},
		"bodies that it has not": {func(l []file) []file {
			l[0].content = strings.Replace(l[0].content, `"bodies":true`, `"bodies":false`, 1)
			return l
		}, "it does not belong here"},
		"numbers with a gap": {func(l []file) []file {
			l[checkpointAt].name = "checkpoints/000002.txt"
			return l
		}, "it should be number 1"},
		"another position": {func(l []file) []file {
			l[logAt].name = "log/00000000001.txt"
			return l
		}, "it is not named for a position"},
		"something else": {func(l []file) []file {
			return slices.Insert(l, logAt, file{"notes/1.txt", ""})
		}, "it does not belong here"},
	} {
		if _, _, err := read(forge(t, tt.change(files(t, original)))); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v; want %q", name, err, tt.says)
		}
	}
	for name, change := range map[string]func(leaf string) string{
		"capitals": strings.ToUpper,
		"short":    func(leaf string) string { return leaf[2:] },
		"long":     func(leaf string) string { return leaf + "00" },
	} {
		text := files(t, original)[logAt].content
		_, leaf, _ := strings.Cut(text, "\nleaf ")
		leaf, _, _ = strings.Cut(leaf, "\n")
		changed := strings.Replace(text, leaf, change(leaf), 1)
		if _, err := (bundle.Segment{Text: []byte(changed)}).Parse(); err == nil || changed == text {
			t.Errorf("leaf in %s: %v", name, err)
		}
	}
}

// TestWriterRefuses: what could not be read again is not written.
func TestWriterRefuses(t *testing.T) {
	for name, m := range map[string]bundle.Meta{
		"no origin":  {From: 1, To: 1, Epoch: 1},
		"no range":   {Origin: "o", From: 2, To: 0, Epoch: 1, Frontier: []string{}},
		"no epoch":   {Origin: "o", From: 1, To: 1},
		"no hashes":  {Origin: "o", From: 2, To: 2, Epoch: 1},
		"no base64":  {Origin: "o", From: 2, To: 2, Epoch: 1, Frontier: []string{"x"}},
		"epoch":      {Origin: "o", From: 1, To: 1, Epoch: 2},
		"from 0":     {Origin: "o", From: 0, To: 2, Epoch: 1},
		"too far":    {Origin: "o", From: 1, To: 1e12, Epoch: 1},
		"long names": {Origin: strings.Repeat("o", 300), From: 1, To: 1, Epoch: 1},
	} {
		if _, err := bundle.NewWriter(io.Discard, m); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	for name, change := range map[string]func(r *domain.Record){
		"position": func(r *domain.Record) { r.Position = 2 },
		"newline":  func(r *domain.Record) { r.Data = []byte("{\n}") },
		"personal": func(r *domain.Record) { r.Personal = []byte("{\n}") },
	} {
		w, err := bundle.NewWriter(io.Discard, bundle.Meta{Origin: "o", From: 1, To: 1, Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		r := record(1)
		change(r)
		if err := errors.Join(w.Delivery(&delivery, nil, nil), w.Record(r, leafOf(r))); err == nil {
			t.Errorf("%s: written", name)
		}
		if err := w.Close(tree.Hash{}); err == nil {
			t.Errorf("%s: closed", name)
		}
	}
	for name, f := range map[string]func(w *bundle.Writer) error{
		"large note": func(w *bundle.Writer) error { return w.Checkpoint(make([]byte, 1<<20+1)) },
		"large body": func(w *bundle.Writer) error {
			r := record(1)
			return errors.Join(w.Delivery(&delivery, nil, make([]byte, 16<<20+1)), w.Record(r, leafOf(r)))
		},
		"certificates": func(w *bundle.Writer) (err error) {
			for range 101 {
				err = w.Certificate(nil, [32]byte{})
			}
			return err
		},
		"no records": func(w *bundle.Writer) error { return w.Close(tree.Hash{}) },
	} {
		w, err := bundle.NewWriter(io.Discard, bundle.Meta{Origin: "o", From: 1, To: 1, Epoch: 1, Bodies: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := f(w); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// failing fails after some bytes.
type failing struct{ left int }

var errDisk = errors.New("the disk is gone")

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

func (f *failing) Read(b []byte) (int, error) { return 0, errDisk }

// TestFailing: what cannot be read or written is not taken for what is wrong.
func TestFailing(t *testing.T) {
	_, err := bundle.NewReader(new(failing))
	if _, wrong := errors.AsType[*bundle.FormError](err); wrong || !errors.Is(err, errDisk) {
		t.Errorf("read: %v", err)
	}
	w, err := bundle.NewWriter(&failing{left: 2000}, bundle.Meta{Origin: "o", From: 1, To: 1, Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := record(1)
	if err := errors.Join(w.Delivery(&delivery, nil, nil), w.Record(r, leafOf(r)), w.Close(tree.Hash{})); !errors.Is(err, errDisk) {
		t.Errorf("write: %v", err)
	}
}

// TestClaims: a header that claims a large member makes nobody allocate it.
func TestClaims(t *testing.T) {
	file := write(t, 1, true)
	file = file[:bytes.Index(file, []byte("log/"))+512]
	allocated := testing.AllocsPerRun(1, func() {
		if _, _, err := read(file); err == nil {
			t.Error("read")
		}
	})
	if allocated > 1000 {
		t.Errorf("%.0f allocations", allocated)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, 2, true))
	f.Add(write(f, 1, false))
	f.Fuzz(func(t *testing.T, file []byte) {
		parts, _, err := read(file)
		if _, wrong := errors.AsType[*bundle.FormError](err); err != nil && !wrong {
			t.Errorf("not said where: %v", err)
		}
		for _, part := range parts {
			if s, ok := part.(bundle.Segment); ok {
				_, _ = s.Parse()
			}
		}
	})
}
