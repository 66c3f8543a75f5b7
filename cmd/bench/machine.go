package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
)

// A machine is what the numbers depend on.
type machine struct {
	Cores      int                 `json:"cores"`
	Model      string              `json:"model"`
	System     string              `json:"system"`
	PostgreSQL string              `json:"postgresql"`
	Durability postgres.Durability `json:"durability"`
	Fsync      float64             `json:"fsync_ms"` // of 8 KiB: median of 200
	LoadBefore string              `json:"load_before"`
	LoadAfter  string              `json:"load_after"`
}

func lookAt(ctx context.Context, c *cluster) (machine, error) {
	m := machine{
		Cores: runtime.NumCPU(), Model: model(), System: runtime.GOOS + "/" + runtime.GOARCH + ", " + runtime.Version(),
		PostgreSQL: c.version, Durability: c.durability, LoadBefore: loadAverage(),
	}
	disk, err := c.disk(ctx)
	if err != nil {
		return m, err
	}
	sync, err := fsyncTime(filepath.Join(disk, "fsync"))
	m.Fsync = millis(sync)
	return m, err
}

// model returns the name of the processor, where Linux knows one.
func model() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if name, v, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// loadAverage returns the load over 1, 5 and 15 minutes, where there is Linux.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// fsyncTime returns the median time that it takes to write a page of a file and
// have it on the disk.
func fsyncTime(file string) (_ time.Duration, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(file)) }()
	page := make([]byte, 8192)
	var times []time.Duration
	for range 200 {
		begun := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// cpu is processor time used by each part of a measurement.
type cpu struct {
	at       time.Time
	server   time.Duration // the daybook process
	postgres time.Duration // all processes of the cluster
	load     time.Duration // this process
	machine  time.Duration // everybody
	known    bool
}

// used is processor time per item, and by programs that are not measured.
type used struct {
	server, postgres, load float64 // microseconds per item
	others                 float64 // share of the machine
	known                  bool
}

// A meter reads how much processor time the parts have used. Where there is no
// /proc, it knows nothing.
type meter struct{ postmaster, server int }

func newMeter(postmaster, server int) *meter { return &meter{postmaster, server} }

func (m *meter) read() (cpu, error) {
	c := cpu{at: time.Now()}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return c, err
	}
	c.load = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	entries, err := os.ReadDir("/proc")
	if err != nil || m.postmaster == 0 {
		return c, nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, ok := readProcess(pid)
		switch {
		case !ok: // it has ended meanwhile
		case pid == m.server:
			c.server = p.own
		case pid == m.postmaster:
			c.postgres += p.own + p.reaped
		case p.parent == m.postmaster:
			c.postgres += p.own
		}
	}
	c.machine, c.known = busy()
	return c, nil
}

// since returns what was used since before, for the items of d.
func (c cpu) since(before cpu, d driven) used {
	load := c.load - before.load + d.cpu
	server, postgres := c.server-before.server, c.postgres-before.postgres
	others := c.machine - before.machine - server - postgres - load
	perItem := func(t time.Duration) float64 { return float64(t.Microseconds()) / float64(max(1, d.items)) }
	return used{
		perItem(server), perItem(postgres), perItem(load),
		max(0, others.Seconds()) / c.at.Sub(before.at).Seconds() / float64(runtime.NumCPU()), c.known,
	}
}

// tick is the unit of /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

type process struct {
	parent      int
	own, reaped time.Duration // processor time of its own, and of its children that have ended
}

// readProcess reads /proc/PID/stat.
func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name, in parentheses, may hold anything; what is after it is fields.
	i := bytes.LastIndexByte(text, ')')
	f := strings.Fields(string(text[i+1:]))
	if i < 0 || len(f) < 15 {
		return process{}, false
	}
	n := make([]int64, len(f))
	for j := range f {
		v, _ := strconv.ParseInt(f[j], 10, 64) // one is a letter, and not asked for
		n[j] = v
	}
	ticks := func(n int64) time.Duration { return time.Duration(n) * tick }
	return process{parent: int(n[1]), own: ticks(n[11] + n[12]), reaped: ticks(n[13] + n[14])}, true
}

// parent returns the process that started pid, 0 if it is not known.
func parent(pid int) int {
	p, _ := readProcess(pid)
	return p.parent
}

// busy returns the processor time that the whole machine has used.
func busy() (time.Duration, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var total time.Duration
	for i, f := range strings.Fields(line) {
		// user, nice, system, idle, iowait, irq, softirq, steal
		if i >= 1 && i <= 8 && i != 4 && i != 5 {
			v, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, false
			}
			total += time.Duration(v) * tick
		}
	}
	return total, true
}
