package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// aims are the shares of the floor that are wanted, by what and how many.
var aims = map[string]map[int]float64{
	"deliveries": {1: 0.30, 16: 0.40, 64: 0.60},
	"appends":    {16: 1, 64: 1},
}

// A report is what a run found out.
type report struct {
	Machine     machine   `json:"machine"`
	Duration    float64   `json:"seconds"` // of one measurement
	Rounds      int       `json:"rounds"`
	Floors      []string  `json:"floors"` // what the ratios are to
	Results     []result  `json:"results"`
	Log         logState  `json:"log"`
	Projections projected `json:"projections"`
	Rebuilds    *rebuilds `json:"rebuilds,omitempty"`

	taken map[[2]string][]taken
	order [][2]string
}

// A result is the median of one measurement's rounds.
type result struct {
	What      string   `json:"what"`
	At        int      `json:"at_once"`
	PerSecond float64  `json:"per_second"`
	Slowest   float64  `json:"slowest"` // round
	Fastest   float64  `json:"fastest"` // round
	Ratio     *float64 `json:"of_pgbench,omitempty"`
	OfTable   *float64 `json:"of_event_table,omitempty"`
	Aim       *float64 `json:"aim,omitempty"`
	P50       float64  `json:"p50_ms,omitempty"`
	P99       float64  `json:"p99_ms,omitempty"`
	Server    *float64 `json:"server_us,omitempty"` // processor time per item
	Postgres  *float64 `json:"postgres_us,omitempty"`
	Load      *float64 `json:"load_us,omitempty"`
	Others    *float64 `json:"others,omitempty"` // share of the machine used by other programs
}

// taken is one round of a measurement.
type taken struct {
	what string
	at   int
	rate float64
	p50  float64
	p99  float64
	used used
}

// logState is what the server's log holds after the measurements.
type logState struct {
	Acknowledged int64   `json:"acknowledged"`
	Head         int64   `json:"head"`
	Records      int64   `json:"records"`
	Last         int64   `json:"last"`
	Deliveries   int64   `json:"deliveries"`
	Keys         int64   `json:"keys"`
	Projections  int64   `json:"projections"`
	Settled      float64 `json:"settled_seconds"` // after a load, until the projections had seen all of it, at most
}

// check reports whether the log holds what was acknowledged. Each delivery has
// one record.
func (l logState) check() error {
	for _, n := range []int64{l.Head, l.Records, l.Last, l.Deliveries, l.Keys} {
		if n != l.Acknowledged {
			return fmt.Errorf("the log is not what was acknowledged: %+v", l)
		}
	}
	return nil
}

// projected is how fast the projections take a log.
type projected struct {
	Records     int64   `json:"records"`
	Projections int64   `json:"projections"`
	CatchUp     float64 `json:"catch_up_seconds"` // all of them, at once
}

// add notes one round of a measurement.
func (r *report) add(what string, at int, d driven, u used) {
	if r.taken == nil {
		r.taken = make(map[[2]string][]taken)
	}
	key := [2]string{what, fmt.Sprint(at)}
	if _, seen := r.taken[key]; !seen {
		r.order = append(r.order, key)
	}
	r.taken[key] = append(r.taken[key], taken{
		what, at, float64(d.items) / d.elapsed.Seconds(), millis(d.quantile(0.5)), millis(d.quantile(0.99)), u,
	})
}

// summarize takes the medians. A ratio is the median of the rounds' ratios, so
// that both sides of each were measured within seconds.
func (r *report) summarize() {
	for _, key := range r.order {
		rounds := r.taken[key]
		of := func(f func(taken) float64) []float64 {
			list := make([]float64, len(rounds))
			for i, t := range rounds {
				list[i] = f(t)
			}
			return list
		}
		rates := of(func(t taken) float64 { return t.rate })
		res := result{
			What: rounds[0].what, At: rounds[0].at, PerSecond: median(rates), Slowest: slices.Min(rates), Fastest: slices.Max(rates),
			P50: median(of(func(t taken) float64 { return t.p50 })), P99: median(of(func(t taken) float64 { return t.p99 })),
		}
		if rounds[0].used.known {
			if res.What == "deliveries" {
				res.Server = new(median(of(func(t taken) float64 { return t.used.server })))
			}
			res.Postgres = new(median(of(func(t taken) float64 { return t.used.postgres })))
			res.Load = new(median(of(func(t taken) float64 { return t.used.load })))
			res.Others = new(median(of(func(t taken) float64 { return t.used.others })))
		}
		if res.What != bare.name && res.What != eventTable.name {
			res.Ratio = r.ratio(rounds, bare, key[1])
			res.OfTable = r.ratio(rounds, eventTable, key[1])
		}
		if aim, ok := aims[res.What][res.At]; ok {
			res.Aim = new(aim)
		}
		r.Results = append(r.Results, res)
	}
	what := []string{bare.name, eventTable.name, "deliveries", "appends"}
	slices.SortStableFunc(r.Results, func(a, b result) int {
		return cmp.Or(cmp.Compare(slices.Index(what, a.What), slices.Index(what, b.What)), cmp.Compare(a.At, b.At))
	})
}

// ratio returns the median of the rounds' ratios to those of a floor with as many
// clients, nil if there are none.
func (r *report) ratio(rounds []taken, to floorKind, at string) *float64 {
	floor := r.taken[[2]string{to.name, at}]
	if floor == nil {
		return nil
	}
	ratios := make([]float64, len(rounds))
	for i := range rounds {
		ratios[i] = rounds[i].rate / floor[i].rate
	}
	return new(median(ratios))
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

func millis(d time.Duration) float64  { return float64(d.Microseconds()) / 1000 }
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) write(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "machine     %d × %s, %s, PostgreSQL %s\n", m.Cores, m.Model, m.System, m.PostgreSQL)
	fmt.Fprintf(w, "durability  fsync=%s full_page_writes=%s synchronous_commit=%s, fsync of 8 KiB takes %.2f ms\n",
		m.Durability.Fsync, m.Durability.FullPageWrites, m.Durability.SynchronousCommit, m.Fsync)
	fmt.Fprintf(w, "load        %s before, %s after\n", m.LoadBefore, m.LoadAfter)
	if len(r.Results) > 0 {
		if err := r.writeIntake(w); err != nil {
			return err
		}
	}
	if r.Rebuilds != nil {
		r.Rebuilds.write(w)
	}
	return nil
}

// writeIntake writes how fast deliveries are taken in, and projections with them.
func (r *report) writeIntake(w io.Writer) error {
	fmt.Fprintf(w, "rounds      %d of %g s each, in alternation; medians\n", r.Rounds, r.Duration)
	for i, k := range []floorKind{bare, eventTable} {
		fmt.Fprintf(w, "%-11s %s\n", k.name, r.Floors[i])
	}
	fmt.Fprintf(w, "deliveries  signed Thinkific enrolments, POSTed over kept connections to \"daybook serve\", answered 200 after the commit\n")
	fmt.Fprintf(w, "appends     the same facts given to the appender in this process\n\n")

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tat once\tper s\tslowest\tfastest\tof pgbench\taim\tof table\tp50 ms\tp99 ms\tserver µs\tpostgres µs\tload µs\tothers\t")
	for _, res := range r.Results {
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", res.What, res.At, res.PerSecond, res.Slowest, res.Fastest,
			percent(res.Ratio), percent(res.Aim), percent(res.OfTable), number(&res.P50, 2), number(&res.P99, 2),
			number(res.Server, 0), number(res.Postgres, 0), number(res.Load, 0), percent(res.Others))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nserver, postgres, load: processor time per item; others: share of the machine that other programs took meanwhile")
	l, p := r.Log, r.Projections
	fmt.Fprintf(w, "\nlog         %d acknowledged, %d records, positions 1 to %d without a gap; %d projections verified, behind for %.2f s at most\n",
		l.Acknowledged, l.Records, l.Head, l.Projections, l.Settled)
	_, err := fmt.Fprintf(w, "catch-up    %d records by %d projections at once in %.1f s: %.0f records/s\n", p.Records, p.Projections, p.CatchUp, rate(p.Records, p.CatchUp))
	return err
}

func rate(n int64, seconds float64) float64 { return float64(n) / max(seconds, 0.001) }

func percent(f *float64) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", *f*100)
}

func number(f *float64, digits int) string {
	if f == nil || *f == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, *f)
}
