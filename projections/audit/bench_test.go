package audit_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/bundle"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
	"github.com/daybook-ledger/daybook/projections/audit"
)

// BenchmarkMillion audits a bundle of a million records from a file, folding all
// projections, and reports the rate, the time of the processors and the most memory
// that the process had meanwhile. RECORDS is how many, if not a million.
//
//	go test ./projections/audit -run '^$' -bench Million -benchtime 1x
func BenchmarkMillion(b *testing.B) {
	records := int64(1_000_000)
	if text := os.Getenv("RECORDS"); text != "" {
		var err error
		if records, err = strconv.ParseInt(text, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	k := newKey(b, "log")
	file := filepath.Join(b.TempDir(), "million.tar")
	begun := time.Now()
	writeMillion(b, file, k, records)
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d records, %d MiB, written in %s", records, info.Size()>>20, time.Since(begun).Round(time.Millisecond))
	resetPeak()
	cpu := used(b)
	for b.Loop() {
		f, err := os.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		o := audit.Options{Projections: all(), Keys: []note.Verifier{k.verifier}, Workers: 2}
		report, _, err := audit.Bundle(b.Context(), bufio.NewReaderSize(f, 1<<20), o)
		if err = errors.Join(err, f.Close()); err != nil || report.Result != domain.OK || report.Checked != records {
			b.Fatalf("%v, %+v", err, report)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric((used(b)-cpu).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(peak()), "peak-MiB")
}

// writeMillion writes a bundle of that many records: one delivery each.
func writeMillion(b *testing.B, file string, k key, records int64) {
	b.Helper()
	l, root := new(log), new(tree.Frontier)
	each := func(f func(d *delivered)) {
		l.n = 0
		for n := range records {
			l.list = nil
			f(l.deliver(b, "acme", synthetic(n)))
		}
	}
	// The checkpoint comes before the records: they are made twice.
	each(func(d *delivered) { root.Append(tree.Leaf(d.records[0].AppendBytes(nil))) })
	msg, err := checkpoint.Checkpoint{Origin: origin + "/1", Size: records, Root: root.Root()}.Sign(k.signer)
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	w, err := bundle.NewWriter(buffered, bundle.Meta{Origin: origin, From: 1, To: records, Epoch: 1})
	if err != nil {
		b.Fatal(err)
	}
	err = w.Checkpoint(msg)
	each(func(d *delivered) {
		r := d.records[0]
		err = errors.Join(err, w.Delivery(&d.envelope, nil, nil), w.Record(r, tree.Leaf(r.AppendBytes(nil))))
	})
	if err = errors.Join(err, w.Close(root.Root()), buffered.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
}

// synthetic returns one event of a mix: people who learn, credits that are counted,
// orders that are paid. Ids come again, so that rows change as well as grow.
func synthetic(n int64) domain.Event {
	id := func(of int64) string { return strconv.FormatInt(n/10%of, 10) }
	learner := domain.Learner{Person: id(20_000), Name: "Grace Okafor", Email: domain.Personal("grace." + id(20_000) + "@example.com")}
	subject := domain.Subject{SubjectType: domain.SubjectCourse, Subject: id(40), SubjectName: "Confined Spaces Entry"}
	at := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	switch n % 10 {
	case 0, 1, 2, 3:
		return domain.LearningEnrolled{Learner: learner, Subject: subject, Enrolment: strconv.FormatInt(n, 10), EnrolledAt: at, StartedAt: at}
	case 4, 5:
		return domain.LearningCompleted{Learner: learner, Subject: subject, CompletedAt: at, Certificate: domain.Certificate{State: "none"}}
	case 6, 7:
		return domain.CreditsReported{Line: id(5000), Template: id(20), Order: id(5000), Remaining: decimal.NewFromInt(n % 100)}
	case 8:
		return domain.SalesPaid{Payment: domain.Payment{Order: id(50_000), Transaction: strconv.FormatInt(n, 10), Amount: decimal.New(1+n%10000, -2), Currency: "USD"}}
	}
	return domain.DirectoryPersonSeen{Person: id(20_000), PersonType: domain.PersonUser, Name: "Grace Okafor"}
}

// used returns how much time of the processors the process has used.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resetPeak has the kernel forget the most memory that the process had.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peak returns the most memory that the process had, in MiB; 0 if nobody tells.
func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if text, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			n, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
			if err == nil {
				return n >> 10
			}
		}
	}
	return 0
}
