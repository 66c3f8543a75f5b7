package audit_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/certificate"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/audit"
	"github.com/daybook-ledger/daybook/projections/credits"
)

func run(t testing.TB, file []byte, o audit.Options) (*audit.Report, []audit.Answer) {
	t.Helper()
	if o.Projections == nil {
		o.Projections = all()
	}
	report, answers, err := audit.Bundle(t.Context(), bytes.NewReader(file), o)
	if err != nil {
		t.Fatal(err)
	}
	return report, answers
}

// wantFail wants the first finding to be about a position and to say something.
func wantFail(t *testing.T, r *audit.Report, position int64, says string) {
	t.Helper()
	switch {
	case r.Result != domain.Fail || len(r.Findings) == 0:
		t.Errorf("%s, missing %q", r.Result, r.Missing)
	case r.Findings[0].Position != position || !strings.Contains(r.Findings[0].String(), says):
		t.Errorf("position %d: %s; want position %d and %q", r.Findings[0].Position, r.Findings[0], position, says)
	}
}

func wantIncomplete(t *testing.T, r *audit.Report, says string) {
	t.Helper()
	if r.Result != domain.Incomplete || !strings.Contains(strings.Join(r.Missing, "\n"), says) {
		t.Errorf("%s, %v, missing %q; want %q", r.Result, r.Findings, r.Missing, says)
	}
}

// TestOK: every projection comes out as it is folded elsewhere, and the views too.
func TestOK(t *testing.T) {
	l, k := sampleLog(t), newKey(t, "log")
	p := packing{bodies: true, checkpoints: [][]byte{l.checkpoint(t, k, 0, 1), l.checkpoint(t, k, 7, 1), l.checkpoint(t, k, l.n, 1)}}
	for _, projection := range all() {
		p.certificates = append(p.certificates, l.certificate(t, k, projection, 10, nil), l.certificate(t, k, projection, l.n, nil))
	}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	q, err := audit.ParseQuestion(all(), "credits/balances?source=acme", now)
	if err != nil {
		t.Fatal(err)
	}
	past, err := audit.ParseQuestion(all(), "credits/balances?known=8", now)
	if err != nil {
		t.Fatal(err)
	}
	report, answers := run(t, l.bundle(t, p), audit.Options{Keys: []note.Verifier{k.verifier}, Questions: []audit.Question{q, past}, Workers: 3})
	if report.Result != domain.OK {
		t.Fatalf("%s: %v, missing %q", report.Result, report.Findings, report.Missing)
	}
	if report.Signed != l.n || report.Checked != l.n || report.Deliveries != int64(len(l.list)) || report.Bodies != report.Deliveries {
		t.Errorf("%+v", report)
	}
	for i, projection := range all() {
		m := memory(t, projection, l.records())
		got := report.Projections[i]
		if got.Digest != m.Digest() || got.Position != l.n {
			t.Errorf("%s: digest %s at %d, want %s", projection.Name, got.Digest, got.Position, m.Digest())
		}
		for j, table := range projection.Tables {
			if got.Tables[j].Rows != int64(m.Len(table)) {
				t.Errorf("%s.%s: %d rows, want %d", projection.Name, table.Name(), got.Tables[j].Rows, m.Len(table))
			}
		}
		if len(got.Certificates) != 2 || !got.Certificates[0].Fits || !got.Certificates[1].Fits {
			t.Errorf("%s: certificates %+v", projection.Name, got.Certificates)
		}
	}
	if len(answers) != 2 || answers[0].Known != l.n || answers[1].Known != 8 || answers[0].Root != report.Root || answers[0].AsOf != now {
		t.Fatalf("%+v", answers)
	}
	for i, upTo := range []int64{l.n, 8} {
		want, err := q.View.Ask(t.Context(), memory(t, q.Projection, l.records()[:upTo]), nil, projections.Query{AsOf: now}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Rows, answers[i].Rows); diff != "" || i == 0 && len(want.Rows) == 0 {
			t.Errorf("%d rows (-want +got):\n%s", len(want.Rows), diff)
		}
	}
}

func memory(t *testing.T, p *projections.Projection, records []*domain.Record) *projections.Memory {
	t.Helper()
	m := projections.NewMemory(p)
	for _, r := range records {
		if err := m.Fold(r); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// smallLog has three deliveries of credits.
func smallLog(t testing.TB) *log {
	t.Helper()
	l := new(log)
	for _, remaining := range []string{"14", "15", "14"} {
		l.deliver(t, "acme", domain.CreditsReported{
			Line: "70412", Template: "318", Order: "PO-1", Remaining: decimal.RequireFromString(remaining), Consumed: []domain.Consumption{{Description: "Lena Fischer"}},
		})
	}
	return l
}

// small returns a small bundle with everything in it, and how to audit it.
func small(t testing.TB) ([]byte, audit.Options) {
	t.Helper()
	l, k, p := smallLog(t), newKey(t, "log"), credits.Projection()
	file := l.bundle(t, packing{
		bodies: true, checkpoints: [][]byte{l.checkpoint(t, k, 3, 1)}, certificates: []certified{l.certificate(t, k, p, 3, nil)},
	})
	o := audit.Options{Projections: []*projections.Projection{p}, Keys: []note.Verifier{k.verifier}}
	if report, _ := run(t, file, o); report.Result != domain.OK {
		t.Fatalf("%s: %v, missing %q", report.Result, report.Findings, report.Missing)
	}
	return file, o
}

// each runs f for the numbers below n on all cores.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	const cores = 4
	for c := range cores {
		wg.Go(func() {
			for i := c; i < n; i += cores {
				f(i)
			}
		})
	}
	wg.Wait()
}

// TestEveryByte flips a bit of every byte of a bundle, one after the other: each is
// found, and said where.
func TestEveryByte(t *testing.T) {
	file, o := small(t)
	each(len(file), func(i int) {
		changed := bytes.Clone(file)
		changed[i] ^= 1 << (i % 8)
		report, _ := run(t, changed, o)
		if report.Result != domain.Fail || report.Findings[0].Where == "" || report.Findings[0].Reason == "" {
			t.Errorf("bit %d of byte %d of %d flipped: %s, %v", i%8, i, len(file), report.Result, report.Findings)
		}
	})
}

// TestEveryLength cuts a bundle off at every length, and adds to it.
func TestEveryLength(t *testing.T) {
	file, o := small(t)
	each(len(file), func(i int) {
		if report, _ := run(t, file[:i], o); report.Result != domain.Fail || !strings.Contains(report.Findings[0].Reason, "ends here") {
			t.Errorf("%d of %d bytes: %s, %v", i, len(file), report.Result, report.Findings)
		}
	})
	report, _ := run(t, append(bytes.Clone(file), 0), o)
	wantFail(t, report, 4, "the file goes on")
}

// TestWhere: what is changed within a record is found at its position, with both
// hashes.
func TestWhere(t *testing.T) {
	file, o := small(t)
	for text, says := range map[string]string{
		`"remaining":"15"`:        "record 2 in log/000000000001.txt: its bytes are not those of its leaf",
		"consumed/0/description":  "record 1 in log/000000000001.txt: it is not as a record is written",
		"topic a topic":           "record 1 in log/000000000001.txt: the delivery it commits to has other bytes",
		"daybook/7f3a/1\n3\n":     "checkpoints/000001.txt",
		"projection credits":      "certificates/000001.txt",
		`"origin":"daybook/7f3a"`: "it is of another log",
		`"bodies":true`:           "bundle.json",
		`"sha256":"`:              "end.json",
	} {
		i := bytes.Index(file, []byte(text))
		if i < 0 {
			t.Fatalf("%q is not in the bundle", text)
		}
		changed := bytes.Clone(file)
		changed[i+len(text)-2] ^= 1
		report, _ := run(t, changed, o)
		if report.Result != domain.Fail || !strings.Contains(report.Findings[0].String(), says) {
			t.Errorf("%s changed: %v; want %q", text, report.Findings, says)
		}
	}
}

// TestRewritten: whoever writes the bundle anew with other records, and everything
// that follows from them, has not the signature.
func TestRewritten(t *testing.T) {
	k := newKey(t, "log")
	signed := [][]byte{smallLog(t).checkpoint(t, k, 2, 1), smallLog(t).checkpoint(t, k, 3, 1)}
	for _, tt := range []struct {
		name     string
		change   func(l *log)
		position int64
		says     string
	}{
		{"nothing", func(*log) {}, 0, ""},
		{"a record changed", func(l *log) {
			r := l.list[1].records[0]
			r.Data = bytes.Replace(r.Data, []byte(`"15"`), []byte(`"16"`), 1)
		}, 2, "another root was signed"},
		{"a personal part changed", func(l *log) {
			r := l.list[2].records[0]
			r.Personal = bytes.Replace(r.Personal, []byte("sealed.1."), []byte("sealed.1.A"), 1)
		}, 3, "another root was signed"},
		{"a delivery changed", func(l *log) {
			l.list[0].envelope.Verified = "by nobody"
			l.list[0].commit()
		}, 2, "another root was signed"},
		{"records in another order", func(l *log) {
			a, b := l.list[0].records[0], l.list[1].records[0]
			a.Data, b.Data, a.Personal, b.Personal = b.Data, a.Data, b.Personal, a.Personal
		}, 2, "another root was signed"},
		{"a record removed", func(l *log) {
			l.list = l.list[1:]
			for i, d := range l.list {
				d.records[0].Position = int64(i) + 1
			}
			l.n--
		}, 2, "another root was signed"},
		{"a record added", func(l *log) {
			more := *l.list[0]
			more.records = []*domain.Record{new(*more.records[0])}
			l.list = append([]*delivered{&more}, l.list...)
			for i, d := range l.list {
				d.records[0].Position = int64(i) + 1
			}
			l.n++
		}, 2, "another root was signed"},
		{"a position twice", func(l *log) {
			l.list[1].records[0].Position = 1
		}, 2, "it says that it is record 1"},
		{"another source", func(l *log) {
			l.list[1].records[0].Source = "other"
		}, 2, "are not those of its delivery"},
		{"another cause", func(l *log) {
			l.list[1].records[0].Cause = l.list[0].records[0].ID
		}, 2, "are not those of its delivery"},
		{"a test", func(l *log) {
			l.list[1].records[0].Test = true
		}, 2, "are not those of its delivery"},
		{"an earlier time", func(l *log) {
			l.list[1].records[0].RecordedAt = l.list[0].records[0].RecordedAt.Add(-time.Second)
		}, 2, "before the record before it"},
		{"another delivery", func(l *log) {
			l.list[1].records[0].Delivery = l.list[0].envelope.ID
		}, 2, "is not before it"},
		{"a body changed", func(l *log) { l.list[0].body = append(l.list[0].body, 0) }, 0, ".body: its bytes are not those"},
		{"a header changed", func(l *log) { l.list[0].header = append(l.list[0].header, 0) }, 0, ".header: its bytes are not those"},
		{"a record that is no fact", func(l *log) {
			l.list[1].records[0].Data = []byte(`{"line":"70412"}`)
		}, 2, "it is not as a record is written"},
		{"a fork with another root", func(l *log) {
			l.list = l.list[:2]
			l.n = 2
			was := l.list[0].records[0].RecordedAt
			l.list[0].records[0].RecordedAt = was.Add(-time.Second)
			l.fork(t, 2, signed[1])
			l.list[0].records[0].RecordedAt = was
		}, 3, "another log was before it"},
		{"a fork from another log", func(l *log) {
			l.list = l.list[:2]
			l.n = 1
			l.fork(t, 2, signed[1])
			l.n = 3
			l.list[2].records[0].Position = 3
		}, 3, "another log was before it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := smallLog(t)
			tt.change(l)
			// The writer keeps positions dense; an attacker need not use it.
			positions := make(map[*domain.Record]int64)
			for i, r := range l.records() {
				positions[r], r.Position = r.Position, int64(i)+1
			}
			file := l.bundle(t, packing{bodies: true, checkpoints: signed})
			for i, r := range l.records() {
				if positions[r] != int64(i)+1 {
					file = rewrite(t, file, r, positions[r])
				}
			}
			report, _ := run(t, file, audit.Options{Keys: []note.Verifier{k.verifier}})
			if tt.says == "" {
				if report.Result != domain.OK {
					t.Errorf("%s, %v, %q", report.Result, report.Findings, report.Missing)
				}
				return
			}
			wantFail(t, report, tt.position, tt.says)
		})
	}
}

// TestIdle: a delivery that caused no record is one that no leaf commits to.
func TestIdle(t *testing.T) {
	k, l := newKey(t, "log"), smallLog(t)
	signed := [][]byte{l.checkpoint(t, k, l.n, 1)}
	for position, says := range map[int64]string{2: "caused no record", l.n + 1: "caused no record"} {
		report, _ := run(t, l.bundle(t, packing{checkpoints: signed, idle: position}), audit.Options{Keys: []note.Verifier{k.verifier}})
		wantFail(t, report, min(position, l.n), says)
	}
}

// TestLastBodies: the bodies of the last delivery are left out, and the bundle is as
// if they had never been meant to be there.
func TestLastBodies(t *testing.T) {
	k, l := newKey(t, "log"), smallLog(t)
	file := l.bundle(t, packing{bodies: true, checkpoints: [][]byte{l.checkpoint(t, k, l.n, 1)}})
	last := l.list[len(l.list)-1].envelope.ID.String()
	end := bytes.LastIndex(file, []byte("end.json\x00"))
	forged := bytes.Clone(file[:bytes.LastIndex(file, []byte("bodies/"+last+".header\x00"))])
	was, is := sha256.Sum256(file[:end]), sha256.Sum256(forged)
	tail := bytes.Replace(file[end:], fmt.Appendf(nil, "%x", was), fmt.Appendf(nil, "%x", is), 1)
	tail = bytes.Replace(tail, fmt.Appendf(nil, `"bodies":%d`, len(l.list)), fmt.Appendf(nil, `"bodies":%d`, len(l.list)-1), 1)
	report, _ := run(t, append(forged, tail...), audit.Options{Keys: []note.Verifier{k.verifier}})
	if wantFail(t, report, l.n+1, "it is missing"); report.Findings[0].Where != "bodies/"+last {
		t.Errorf("found %v", report.Findings)
	}
}

// rewrite gives a record of the bundle another position and the leaf that follows.
// The end's SHA-256 is left: it is looked at last.
func rewrite(t *testing.T, file []byte, r *domain.Record, position int64) []byte {
	t.Helper()
	old, changed := *r, *r
	changed.Position = position
	for _, pair := range [][2][]byte{
		{old.AppendBytes(nil), changed.AppendBytes(nil)},
		{leafLine(&old), leafLine(&changed)},
	} {
		if len(pair[0]) != len(pair[1]) || bytes.Count(file, pair[0]) != 1 {
			t.Fatalf("%q is not there once", pair[0])
		}
		file = bytes.Replace(file, pair[0], pair[1], 1)
	}
	return file
}

func leafLine(r *domain.Record) []byte {
	leaf := tree.Leaf(r.AppendBytes(nil))
	return fmt.Appendf(nil, "leaf %x\n", leaf[:])
}

// TestKeys: what no key of the auditor's signed is never OK, and what one of them is
// said to have signed and did not is FAIL.
func TestKeys(t *testing.T) {
	l, k, other := smallLog(t), newKey(t, "log"), newKey(t, "other")
	file := l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, 2, 1), l.checkpoint(t, k, 3, 1)}})
	report, _ := run(t, file, audit.Options{})
	wantIncomplete(t, report, "no key was given")
	report, _ = run(t, file, audit.Options{Keys: []note.Verifier{other.verifier}})
	wantIncomplete(t, report, "records 1 to 3: no checkpoint that a given key signed covers them")
	report, _ = run(t, l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, 2, 1)}}), audit.Options{Keys: []note.Verifier{k.verifier}})
	wantIncomplete(t, report, "records 3 to 3: no checkpoint")
	report, _ = run(t, l.bundle(t, packing{}), audit.Options{Keys: []note.Verifier{k.verifier}})
	wantIncomplete(t, report, "records 1 to 3: no checkpoint")
	if report.Checked != 3 || len(report.Projections) != 5 {
		t.Errorf("what can be derived without a signature is not: %+v", report)
	}
	forged := bytes.Replace(file, []byte("— daybook/7f3a "), []byte("— daybook/7f3a "), 1)
	i := bytes.Index(forged, []byte("— daybook/7f3a ")) + len("— daybook/7f3a ") + 20
	forged[i] ^= 1
	report, _ = run(t, forged, audit.Options{Keys: []note.Verifier{k.verifier}})
	wantFail(t, report, 0, "checkpoints/000001.txt")
}

// TestHeld compares with checkpoints that the auditor has from elsewhere.
func TestHeld(t *testing.T) {
	l, k := smallLog(t), newKey(t, "log")
	file := l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, 3, 1)}})
	other := smallLog(t)
	other.list[0].records[0].Data = bytes.Replace(other.list[0].records[0].Data, []byte(`"14"`), []byte(`"13"`), 1)
	longer := smallLog(t)
	longer.deliver(t, "acme", domain.IntakeUnrecognized{Topic: "x", Reason: "y"})
	for _, tt := range []struct {
		name   string
		held   []byte
		result domain.Verdict
		says   string
	}{
		{"older", l.checkpoint(t, k, 2, 1), domain.OK, ""},
		{"older, of what was before it was changed", other.checkpoint(t, k, 2, 1), domain.Fail, "another root was signed"},
		{"newer", longer.checkpoint(t, k, 4, 1), domain.Incomplete, "the bundle ends at record 3"},
		{"of another epoch", l.checkpoint(t, k, 2, 2), domain.Fail, "another epoch"},
		{"of another log", bytes.Replace(l.checkpoint(t, k, 2, 1), []byte("7f3a/1"), []byte("7f3b/1"), 1), domain.Fail, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report, _ := run(t, file, audit.Options{Keys: []note.Verifier{k.verifier}, Checkpoints: map[string][]byte{"mine.txt": tt.held}})
			all := fmt.Sprint(report.Findings, report.Missing)
			if report.Result != tt.result || !strings.Contains(all, tt.says) {
				t.Errorf("%s, %s; want %s, %q", report.Result, all, tt.result, tt.says)
			}
		})
	}
}

// TestPart: a bundle that begins later proves its records and no balance.
func TestPart(t *testing.T) {
	l, k := sampleLog(t), newKey(t, "log")
	keys := []note.Verifier{k.verifier}
	p := packing{from: 5, to: 9, checkpoints: [][]byte{l.checkpoint(t, k, 4, 1), l.checkpoint(t, k, 9, 1)}}
	report, _ := run(t, l.bundle(t, p), audit.Options{Keys: keys})
	wantIncomplete(t, report, "records 1 to 4 are not in the bundle, so no balances come out of it")
	if report.Signed != 9 || len(report.Missing) != 1 || len(report.Projections) != 0 {
		t.Errorf("%+v", report)
	}
	// The hashes of what was before are covered by the signature as well.
	file := l.bundle(t, p)
	before := l.frontier(4).Bytes()
	other := sha256.Sum256(before)
	text := func(b []byte) []byte { return fmt.Appendf(nil, "%q", base64of(b)) }
	file = bytes.Replace(file, text(before[:32]), text(other[:]), 1)
	report, _ = run(t, file, audit.Options{Keys: keys})
	wantFail(t, report, 4, "another root was signed")
	report, _ = run(t, l.bundle(t, packing{from: 5, to: 4, checkpoints: [][]byte{l.checkpoint(t, k, 4, 1)}}), audit.Options{Keys: keys})
	if report.Result != domain.Incomplete || report.Checked != 4 {
		t.Errorf("of no records: %+v", report)
	}
}

// TestFork follows a log over a restored backup.
func TestFork(t *testing.T) {
	l, k := smallLog(t), newKey(t, "log")
	keys := []note.Verifier{k.verifier}
	lost := l.checkpoint(t, k, 3, 1)
	l.list, l.n = l.list[:2], 2
	l.fork(t, 3, lost) // the second epoch was rolled back
	l.deliver(t, "acme", domain.IntakeUnrecognized{Topic: "x", Reason: "y"})
	file := l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, 2, 1), l.checkpoint(t, k, 4, 3)}})
	report, _ := run(t, file, audit.Options{Keys: keys})
	want := []audit.Fork{{Position: 3, Epoch: 3, Lost: 3, Reason: "restored", By: "marta"}}
	if diff := cmp.Diff(want, report.Forks); diff != "" || report.Result != domain.OK {
		t.Errorf("%s, %v, %q (-want +got):\n%s", report.Result, report.Findings, report.Missing, diff)
	}
	report, _ = run(t, file, audit.Options{Keys: keys, Checkpoints: map[string][]byte{"mine": lost}})
	wantFail(t, report, 3, "another epoch")
	l.fork(t, 3, lost)
	report, _ = run(t, l.bundle(t, packing{}), audit.Options{Keys: keys})
	wantFail(t, report, 5, "not a new one")
}

// TestCertificates: what a certificate says is compared with what the log gives.
func TestCertificates(t *testing.T) {
	l, k, p := sampleLog(t), newKey(t, "log"), credits.Projection()
	keys := []note.Verifier{k.verifier}
	pack := func(c certified) []byte {
		return l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, l.n, 1)}, certificates: []certified{c}})
	}
	for _, tt := range []struct {
		name   string
		change func(*certificate.Certificate)
		says   string
	}{
		{"a total", func(c *certificate.Certificate) { c.Totals[0].Sum = c.Totals[0].Sum.Add(decimal.NewFromInt(1)) }, "total of balances.remaining in "},
		{"a total left out", func(c *certificate.Certificate) { c.Totals = c.Totals[1:] }, "claimed is none"},
		{"a digest", func(c *certificate.Certificate) { c.Digest = "h1:x" }, "the tables are not those that the log gives"},
		{"a number of rows", func(c *certificate.Certificate) { c.Tables[0].Rows++ }, "its rows or its states"},
		{"a state", func(c *certificate.Certificate) { c.Tables[0].State[0]++ }, "its rows or its states"},
		{"a root", func(c *certificate.Certificate) { c.Root[0]++ }, "the root differs"},
		{"an origin", func(c *certificate.Certificate) { c.Origin += "1" }, "it is of another log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report, _ := run(t, pack(l.certificate(t, k, p, 20, tt.change)), audit.Options{Keys: keys})
			wantFail(t, report, 20, tt.says)
			i := slices.IndexFunc(report.Projections, func(p audit.Projection) bool { return p.Name == "credits" })
			if report.Projections[i].Certificates[0].Fits {
				t.Error("it is said to fit")
			}
		})
	}
	good := l.certificate(t, k, p, l.n, nil)
	good.salt[0]++
	report, _ := run(t, pack(good), audit.Options{Keys: keys})
	wantFail(t, report, l.n, "what the tables and the salt make")

	version := l.certificate(t, k, p, l.n, func(c *certificate.Certificate) { c.Version++ })
	report, _ = run(t, pack(version), audit.Options{Keys: keys})
	wantIncomplete(t, report, "this program has version")
	unknown := l.certificate(t, k, p, l.n, func(c *certificate.Certificate) { c.Projection = "other" })
	report, _ = run(t, pack(unknown), audit.Options{Keys: keys})
	wantIncomplete(t, report, "which this program does not have")
	unsigned := l.certificate(t, newKey(t, "other"), p, l.n, nil)
	report, _ = run(t, pack(unsigned), audit.Options{Keys: keys})
	wantIncomplete(t, report, "none of the keys given signed it")
	later := l.certificate(t, k, p, l.n, func(c *certificate.Certificate) { c.Position++ })
	report, _ = run(t, pack(later), audit.Options{Keys: keys})
	wantIncomplete(t, report, "which is not in the bundle")
}

// TestUnknownKind: what a newer program wrote is checked and not guessed at.
func TestUnknownKind(t *testing.T) {
	l, k := smallLog(t), newKey(t, "log")
	l.list[1].records[0].Kind = "credits.reported.v9"
	report, _ := run(t, l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, 3, 1)}}), audit.Options{Keys: []note.Verifier{k.verifier}})
	wantIncomplete(t, report, "record 2 is of kind \"credits.reported.v9\"")
	if report.Signed != 3 || report.Projections[0].Position != 1 {
		t.Errorf("%+v", report)
	}
}

// TestErased: who has lost his key changes nothing that an audit looks at, since it
// never had one.
func TestErased(t *testing.T) {
	l, k := sampleLog(t), newKey(t, "log")
	q, err := audit.ParseQuestion(all(), "directory/people", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	report, answers := run(t, l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, l.n, 1)}}), audit.Options{Keys: []note.Verifier{k.verifier}, Questions: []audit.Question{q}})
	if report.Result != domain.OK || len(answers) != 1 || !strings.Contains(fmt.Sprint(answers[0].Rows), projections.Unopened) {
		t.Errorf("%s, %+v", report.Result, answers)
	}
}

// FuzzBundle gives the audit anything.
func FuzzBundle(f *testing.F) {
	file, o := small(f)
	f.Add(file)
	f.Fuzz(func(t *testing.T, changed []byte) {
		report, _, err := audit.Bundle(t.Context(), bytes.NewReader(changed), o)
		if err != nil {
			t.Fatal(err)
		}
		if report.Result == domain.OK && !bytes.Equal(changed, file) {
			t.Error("another file is OK")
		}
	})
}

// TestQuestions: a question is answered from what had been known, by position or by
// time, and one that the bundle cannot answer is INCOMPLETE.
func TestQuestions(t *testing.T) {
	k, l := newKey(t, "log"), smallLog(t)
	file := l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, l.n, 1)}})
	ask := func(known string) (*audit.Report, []audit.Answer) {
		t.Helper()
		q, err := audit.ParseQuestion(all(), "credits/entries?limit=0&known="+url.QueryEscape(known), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return run(t, file, audit.Options{Projections: all(), Keys: []note.Verifier{k.verifier}, Questions: []audit.Question{q}})
	}
	for _, known := range []string{"2", l.records()[1].RecordedAt.Format(time.RFC3339)} {
		r, answers := ask(known)
		if r.Result != domain.OK || len(answers) != 1 || answers[0].Known != 2 || answers[0].Root != "" {
			t.Errorf("known %s: %s %+v", known, r.Result, answers)
		}
	}
	if r, answers := ask(fmt.Sprint(l.n)); r.Result != domain.OK || len(answers) != 1 || answers[0].Root != r.Root {
		t.Errorf("all that is known: %s %+v", r.Result, answers)
	}
	r, answers := ask(fmt.Sprint(l.n + 1))
	if wantIncomplete(t, r, "the records it needs are not all in the bundle"); len(answers) > 0 {
		t.Errorf("what is not in the bundle: %+v", answers)
	}
}

// TestStops: a projection that cannot take a record is not OK, however the log is
// signed.
func TestStops(t *testing.T) {
	k, l := newKey(t, "log"), smallLog(t)
	stops := *credits.Projection()
	stops.Fold = func(*projections.Tx, *domain.Record) error { return errors.New("no room") }
	file := l.bundle(t, packing{checkpoints: [][]byte{l.checkpoint(t, k, l.n, 1)}})
	r, _ := run(t, file, audit.Options{Projections: []*projections.Projection{&stops}, Keys: []note.Verifier{k.verifier}})
	wantIncomplete(t, r, "it stops after record 0")
}
