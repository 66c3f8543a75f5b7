// Command bench measures daybook beside the database it runs on.
//
// Everything is measured in one run, on one PostgreSQL cluster of its own that
// syncs to disk, in short rounds that alternate, and the medians are reported:
//
//   - what the database alone commits: pgbench inserting one row a transaction into
//     a table with next to nothing, and into an event table as it is usually made;
//   - deliveries acknowledged over HTTP by a "daybook serve" process, with its
//     projections running;
//   - records appended by the appender alone, without HTTP or projections;
//   - how fast the projections catch up with the log made;
//   - how fast they are rebuilt from a log of a million records while others append,
//     beside psql copying the same log out and a plain Watermill subscriber.
//
// What it keeps true: a number counts only if the work was done. Every response
// must be a 200 that says "accepted", afterwards the log must hold exactly what
// was acknowledged, without a gap, and the projections must be what the log
// gives; otherwise bench fails. No number makes it fail: how fast a machine is
// does not decide whether the program is right. It removes its cluster and ends
// its processes, also when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// How many do the same at once.
var (
	senderCounts = []int{1, 16, 64} // clients of pgbench, senders of deliveries
	callerCounts = []int{1, 16, 32, 64, 256}
)

// options are the flags.
type options struct {
	duration time.Duration // of one measurement
	rounds   int
	records  int    // of the log to catch up with
	long     int    // records of the log to rebuild from
	only     string // the only section to measure; "": all
	daybook  string // the program to measure; "": build it
	json     bool
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long each measurement takes")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each measurement is made; the median counts")
	flag.IntVar(&o.records, "records", 200_000, "how many records the projections catch up with")
	flag.IntVar(&o.long, "log", 1_000_000, "how many records the projections are rebuilt from")
	flag.StringVar(&o.only, "only", "", "the only section to measure: intake or rebuild")
	flag.StringVar(&o.daybook, "daybook", "", "program to measure (default: build ./cmd/daybook)")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.Parse()
	if flag.NArg() > 0 || o.duration <= 0 || o.rounds < 1 || o.records < 1 || o.long < 1 || !slices.Contains([]string{"", "intake", "rebuild"}, o.only) {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	keys, err := os.MkdirTemp("", "daybook-bench-keys-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(keys)) }()
	for name, dir := range map[string]string{"DAYBOOK_KEYS_DIR": keys, "DAYBOOK_CHECKPOINTS_DIR": filepath.Join(keys, "checkpoints")} {
		if err := os.Setenv(name, dir); err != nil { // for the programs it starts, too
			return err
		}
	}
	b := &bench{options: o, stderr: stderr, report: &report{Duration: o.duration.Seconds(), Rounds: o.rounds}}
	if err := b.run(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if o.json {
		return b.report.writeJSON(stdout)
	}
	return b.report.write(stdout)
}

// A bench is one run.
type bench struct {
	options
	stderr  io.Writer
	dir     string // of its own
	cluster *cluster
	meter   *meter
	report  *report
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "daybook-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.cluster, err = openCluster(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.cluster.remove()) }()
	if b.report.Machine, err = lookAt(ctx, b.cluster); err != nil {
		return err
	}
	if b.daybook, err = b.program(ctx); err != nil {
		return err
	}
	if b.only != "rebuild" {
		if err := b.measure(ctx); err != nil {
			return err
		}
	}
	if b.only != "intake" {
		if err := b.rebuild(ctx); err != nil {
			return err
		}
	}
	b.report.Machine.LoadAfter = loadAverage()
	return nil
}

// program returns the daybook to measure.
func (b *bench) program(ctx context.Context) (string, error) {
	if b.daybook != "" {
		return filepath.Abs(b.daybook)
	}
	return build(ctx, b.dir)
}

// measure makes all measurements, in alternation, and checks what they left.
func (b *bench) measure(ctx context.Context) error {
	floors := make([]*floor, 0, 2)
	for _, kind := range []floorKind{bare, eventTable} {
		f, err := openFloor(ctx, b.cluster, kind)
		if err != nil {
			return err
		}
		floors = append(floors, f)
		b.report.Floors = append(b.report.Floors, f.describe())
	}
	server, err := startServer(ctx, b.daybook, b.dir, b.cluster)
	if err != nil {
		return err
	}
	defer server.stop()
	alone, err := openAlone(ctx, b.cluster, "alone")
	if err != nil {
		return err
	}
	defer alone.close()
	b.meter = newMeter(b.cluster.postmaster, server.pid())

	for round := range b.rounds {
		for _, n := range senderCounts {
			for _, f := range floors {
				if err := b.take(ctx, round, f.kind.name, n, f.run); err != nil {
					return err
				}
			}
			if err := b.take(ctx, round, "deliveries", n, server.run); err != nil {
				return err
			}
			// The projections are behind now; what comes next is to be measured
			// without them.
			if err := server.settle(ctx); err != nil {
				return err
			}
		}
		for _, n := range callerCounts {
			if err := b.take(ctx, round, "appends", n, alone.run); err != nil {
				return err
			}
		}
	}
	b.report.summarize()

	b.say("checking what is in the log")
	if b.report.Log, err = server.check(ctx); err != nil {
		return err
	}
	server.stop()
	return b.project(ctx)
}

// project measures how fast a log is taken in from its beginning.
func (b *bench) project(ctx context.Context) error {
	long, err := openAlone(ctx, b.cluster, "long")
	if err != nil {
		return err
	}
	defer long.close()
	b.say(fmt.Sprintf("appending %d records", b.records))
	if err := long.fill(ctx, b.records); err != nil {
		return err
	}
	b.say("catching up and rebuilding")
	b.report.Projections, err = long.project(ctx, b.daybook, b.dir)
	return err
}

// A load runs n workers for about a while.
type load func(ctx context.Context, n int, d time.Duration) (driven, error)

// take makes one measurement.
func (b *bench) take(ctx context.Context, round int, what string, n int, run load) error {
	b.say(fmt.Sprintf("round %d of %d: %s, %d at once", round+1, b.rounds, what, n))
	before, err := b.meter.read()
	if err != nil {
		return err
	}
	d, err := run(ctx, n, b.duration)
	if err != nil {
		return fmt.Errorf("%s, %d at once: %w", what, n, err)
	}
	after, err := b.meter.read()
	if err != nil {
		return err
	}
	b.report.add(what, n, d, after.since(before, d))
	return ctx.Err()
}

func (b *bench) say(what string) { fmt.Fprintln(b.stderr, "bench:", what) }
