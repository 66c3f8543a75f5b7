package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
)

// plainTime is how long the plain subscriber may read in each round.
const plainTime = 15 * time.Second

// rebuilds is how fast all projections are rebuilt from a long log, beside what
// reads the same log. Somebody appends one delivery after the other all the while.
type rebuilds struct {
	Records     int64          `json:"records"` // of the log when it was made
	RecordBytes float64        `json:"record_bytes"`
	Rounds      []rebuildRound `json:"rounds"`
	Twice       rebuildRound   `json:"twice"` // a log twice as long, with the same keys
}

// A rebuildRound is one round of each.
type rebuildRound struct {
	Records   int64   `json:"records"`
	Rebuild   float64 `json:"rebuild_seconds"`     // the whole command, process start to end
	Daybook   float64 `json:"daybook_cpu_seconds"` // processor time
	Postgres  float64 `json:"postgres_cpu_seconds"`
	Memory    int64   `json:"memory_bytes"` // the most it had
	Appended  int64   `json:"appended"`     // meanwhile
	Compared  bool    `json:"compared"`     // with the live tables
	Copy      float64 `json:"copy_seconds"`
	CopyCPU   float64 `json:"copy_cpu_seconds"` // of psql and PostgreSQL
	PlainRead int64   `json:"plain_read"`
	Plain     float64 `json:"plain_seconds"`
}

func (r rebuildRound) rate() float64      { return rate(r.Records, r.Rebuild) }
func (r rebuildRound) copyRate() float64  { return rate(r.Records, r.Copy) }
func (r rebuildRound) plainRate() float64 { return rate(r.PlainRead, r.Plain) }

// rebuild measures rebuilds.
func (b *bench) rebuild(ctx context.Context) (err error) {
	a, err := openAlone(ctx, b.cluster, "rebuild")
	if err != nil {
		return err
	}
	defer a.close()
	b.say(fmt.Sprintf("making a log of %d records", b.long))
	if err := b.lengthen(ctx, a, b.long); err != nil {
		return err
	}
	b.say("making the same log for a plain Watermill subscriber")
	p, err := openPlain(ctx, a.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	r := rebuilds{Records: int64(b.long)}
	size, err := value(ctx, a.db, `SELECT sum(octet_length(data::text) + coalesce(octet_length(personal::text), 0)) FROM log`)
	if err != nil {
		return err
	}
	r.RecordBytes = float64(size) / float64(r.Records)
	b.meter = newMeter(b.cluster.postmaster, 0)
	// The first rebuild makes the live tables that the others have beside them.
	if _, err := b.rebuildOnce(ctx, a); err != nil {
		return err
	}
	for i := range b.rounds {
		b.say(fmt.Sprintf("round %d of %d: rebuild, COPY, Watermill", i+1, b.rounds))
		round, err := b.rebuildOnce(ctx, a)
		if err != nil {
			return err
		}
		if err := b.copyOnce(ctx, a, &round); err != nil {
			return err
		}
		if round.PlainRead, round.Plain, err = b.plainOnce(ctx, a, p); err != nil {
			return err
		}
		r.Rounds = append(r.Rounds, round)
		b.say(fmt.Sprintf("rebuilt in %.1f s, copied in %.1f s, read %d messages in %.1f s", round.Rebuild, round.Copy, round.PlainRead, round.Plain))
	}
	b.say("making the log twice as long")
	if err := b.lengthen(ctx, a, 2*b.long); err != nil {
		return err
	}
	if r.Twice, err = b.rebuildOnce(ctx, a); err != nil {
		return err
	}
	b.report.Rebuilds = &r
	return nil
}

// lengthen makes the log as long as that, and has the database settle.
func (b *bench) lengthen(ctx context.Context, a *alone, n int) (err error) {
	db, err := postgres.Open(ctx, a.url, postgres.RoleOwner, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := everyday.extend(ctx, db, n); err != nil {
		return err
	}
	for _, s := range []string{`VACUUM ANALYZE log`, `CHECKPOINT`} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// beside runs f while somebody appends one delivery after the other.
func (a *alone) beside(ctx context.Context, f func() error) (appended int64, err error) {
	ctx, stop := context.WithCancel(ctx)
	before := a.next.Load()
	ended := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if err := a.append(context.WithoutCancel(ctx)); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	err = f()
	stop()
	return a.next.Load() - before, errors.Join(err, <-ended)
}

// rebuildOnce rebuilds all projections by the command that users have.
func (b *bench) rebuildOnce(ctx context.Context, a *alone) (r rebuildRound, err error) {
	if r.Records, err = value(ctx, a.db, `SELECT position FROM head`); err != nil {
		return r, err
	}
	before, err := b.meter.read()
	if err != nil {
		return r, err
	}
	s := &server{url: a.url, program: b.daybook, dir: b.dir}
	cmd := s.command(ctx, "projection", "rebuild", "--json")
	var out []byte
	begun := time.Now()
	r.Appended, err = a.beside(ctx, func() (err error) {
		out, err = cmd.Output()
		r.Rebuild = seconds(time.Since(begun))
		return err
	})
	if err != nil {
		return r, fmt.Errorf("projection rebuild: %w\n%s", err, stderrOf(err))
	}
	after, err := b.meter.read()
	if err != nil {
		return r, err
	}
	r.Postgres = (after.postgres - before.postgres).Seconds()
	r.Daybook = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.Memory = usage.Maxrss << 10
	}
	if err := r.check(out); err != nil {
		return r, err
	}
	owner, err := postgres.Open(ctx, a.url, postgres.RoleOwner, 1)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, owner.Close()) }()
	behind, err := value(ctx, owner, fmt.Sprintf(`SELECT count(*) FROM cursor WHERE follower LIKE 'projection/%%' AND position < %d`, r.Records))
	if err == nil && behind > 0 {
		err = fmt.Errorf("%d projections were not rebuilt to the end", behind)
	}
	return r, err
}

func stderrOf(err error) []byte {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.Stderr
	}
	return nil
}

// check reports whether all projections were rebuilt from the whole log, and are
// what they were if they could be compared.
func (r *rebuildRound) check(out []byte) error {
	var count int
	r.Compared = true
	for line := range bytes.Lines(out) {
		var done postgres.Rebuilt
		if err := json.Unmarshal(line, &done); err != nil {
			return fmt.Errorf("projection rebuild says %q: %w", line, err)
		}
		if done.Resumed > 0 || done.Compared && !done.Same {
			return fmt.Errorf("of %d records were rebuilt: %s", r.Records, line)
		}
		r.Compared = r.Compared && done.Compared
		count++
	}
	if count != 5 {
		return fmt.Errorf("%d projections were rebuilt", count)
	}
	return nil
}

// copyOnce has psql read the whole log.
func (b *bench) copyOnce(ctx context.Context, a *alone, r *rebuildRound) error {
	program := filepath.Join(b.cluster.binDir, "psql")
	cmd := exec.CommandContext(ctx, program, "-X", "-q", "-d", a.url, "-c", fmt.Sprintf(`COPY (SELECT * FROM log WHERE position <= %d ORDER BY position) TO STDOUT`, r.Records))
	cmd.Stdout = io.Discard
	before, err := b.meter.read()
	if err != nil {
		return err
	}
	begun := time.Now()
	_, err = a.beside(ctx, func() error {
		err := cmd.Run()
		r.Copy = seconds(time.Since(begun))
		return err
	})
	if err != nil {
		return fmt.Errorf("psql: %w", err)
	}
	after, err := b.meter.read()
	if err != nil {
		return err
	}
	r.CopyCPU = (after.postgres - before.postgres + cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return nil
}

func (b *bench) plainOnce(ctx context.Context, a *alone, p *plain) (read int64, took float64, err error) {
	var spent time.Duration
	_, err = a.beside(ctx, func() (err error) {
		read, spent, err = p.read(ctx, int64(b.long), plainTime)
		return err
	})
	return read, spent.Seconds(), err
}

func (r *rebuilds) write(w io.Writer) {
	of := func(f func(rebuildRound) float64) float64 {
		var list []float64
		for _, round := range r.Rounds {
			list = append(list, f(round))
		}
		return median(list)
	}
	fmt.Fprintf(w, "\nrebuild of all projections in one pass over %d records of %.0f bytes (events with their personal part), while somebody appends; medians of %d rounds\n", r.Records, r.RecordBytes, len(r.Rounds))
	fmt.Fprintf(w, "rebuild     %.1f s: %.0f records/s; processor time per record: daybook %.1f µs, PostgreSQL %.1f µs; %.0f MiB at the most; %.0f records/s appended meanwhile\n",
		of(func(r rebuildRound) float64 { return r.Rebuild }), of(rebuildRound.rate),
		of(func(r rebuildRound) float64 { return r.Daybook / float64(r.Records) * 1e6 }), of(func(r rebuildRound) float64 { return r.Postgres / float64(r.Records) * 1e6 }),
		of(func(r rebuildRound) float64 { return float64(r.Memory) / (1 << 20) }), of(func(r rebuildRound) float64 { return rate(r.Appended, r.Rebuild) }))
	fmt.Fprintf(w, "COPY        psql, COPY (SELECT * FROM log ORDER BY position) TO STDOUT: %.0f records/s, %.1f µs of processor time each; the rebuild is %.0f %% of it (aim 40 %%), in processor time %.0f %%\n",
		of(rebuildRound.copyRate), of(func(r rebuildRound) float64 { return r.CopyCPU / float64(r.Records) * 1e6 }),
		100*of(func(r rebuildRound) float64 { return r.rate() / r.copyRate() }), 100*of(func(r rebuildRound) float64 { return r.CopyCPU / (r.Daybook + r.Postgres) }))
	fmt.Fprintf(w, "Watermill   its default subscriber, schema and batch, published %d to a transaction: read %.0f of the messages in %.0f s: %.0f/s; the rebuild is %.0f times as fast (aim 20)\n",
		published, of(func(r rebuildRound) float64 { return float64(r.PlainRead) }), of(func(r rebuildRound) float64 { return r.Plain }),
		of(rebuildRound.plainRate), of(func(r rebuildRound) float64 { return r.rate() / r.plainRate() }))
	fmt.Fprintf(w, "twice       %d records with the same keys: %.1f s, %.0f records/s, %.0f MiB at the most\n",
		r.Twice.Records, r.Twice.Rebuild, r.Twice.rate(), float64(r.Twice.Memory)/(1<<20))
}
