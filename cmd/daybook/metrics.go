package main

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/domain"
)

// metrics are what this process tells Prometheus.
//
// No label comes from outside: a label is the name of a configured source or of a
// projection, or a word of ours, so that nobody can make series at will. What the
// database knows is asked for when Prometheus asks.
type metrics struct {
	registry   *prometheus.Registry
	deliveries *prometheus.CounterVec
	refused    *prometheus.CounterVec
	took       *prometheus.HistogramVec
	used       map[secretSlot]*atomic.Int64 // Unix milliseconds of the last use; 0: none is known

	// fetching says how far the fetching of what notices only announce has come;
	// nil: nothing is fetched. It must be set before anything is served.
	fetching func(context.Context) ([]fetchStatus, error)
}

// A fetchStatus says what is left to fetch for a source.
type fetchStatus struct {
	Source  string
	Pending int64     // notices whose event is not fetched yet
	Oldest  time.Time // when the first of them was received; zero: there is none
	Paused  bool      // the provider refuses our credentials
}

// A secretSlot is one of the secrets of a source: 1, or 2 while one replaces the
// other.
type secretSlot struct {
	source string
	secret int
}

// noSource is the label of what came to no source.
const noSource = "(none)"

// statuses are all that can become of a delivery.
var statuses = []domain.Status{domain.Accepted, domain.Duplicate, domain.Conflicting, domain.Unrecognized, domain.Quarantined}

// newMetrics returns metrics of what the sources take in and of the program.
func newMetrics(sources []intake.Source) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_deliveries_total",
			Help: "Deliveries that were answered with a receipt, by what became of them.",
		}, []string{"source", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_refused_total",
			Help: "Requests that were refused, and recorded nothing, by HTTP status.",
		}, []string{"source", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "daybook_intake_duration_seconds",
			Help:    "Time from a request's headers to its answer.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"source"}),
		used: make(map[secretSlot]*atomic.Int64),
	}
	v := readVersion()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "daybook_build_info", Help: "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": v.Version, "revision": v.Revision, "go": v.Go},
	})
	build.Set(1)
	m.registry.MustRegister(m.deliveries, m.refused, m.took, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, s := range sources {
		for _, status := range statuses {
			m.deliveries.WithLabelValues(s.Name, string(status))
		}
		m.took.WithLabelValues(s.Name)
		for slot := range s.Secrets {
			used := new(atomic.Int64)
			m.used[secretSlot{s.Name, slot + 1}] = used
			m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name:        "daybook_source_secret_last_used_timestamp_seconds",
				Help:        "When something new was last recorded that a secret of a source verified; 0: not in 30 days.",
				ConstLabels: prometheus.Labels{"source": s.Name, "secret": strconv.Itoa(slot + 1)},
			}, func() float64 { return float64(used.Load()) / 1000 }))
		}
	}
	return m
}

// Answered implements [intake.Observer].
func (m *metrics) Answered(a intake.Answer) {
	if a.Source == "" {
		a.Source = noSource
	}
	if a.Status == "" {
		m.refused.WithLabelValues(a.Source, strconv.Itoa(a.Code)).Inc()
		return
	}
	m.deliveries.WithLabelValues(a.Source, string(a.Status)).Inc()
	m.took.WithLabelValues(a.Source).Observe(a.Took.Seconds())
	// A repetition may be signed with a secret that is not needed any more: what it
	// repeats is recorded.
	if a.Status != domain.Duplicate {
		m.use(secretSlot{a.Source, a.Secret}, a.At)
	}
}

// use says that a secret was used. What is no slot of a source is passed over.
func (m *metrics) use(slot secretSlot, at time.Time) {
	used, ok := m.used[slot]
	if !ok {
		return
	}
	for last := used.Load(); last < at.UnixMilli() && !used.CompareAndSwap(last, at.UnixMilli()); {
		last = used.Load()
	}
}

// watch adds what the handler, the appender and the database can be asked.
func (m *metrics) watch(s *server, handler *intake.Handler, appender *postgres.Appender, sources []intake.Source) {
	gauge := func(name, help string, labels prometheus.Labels, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
	}
	counter := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
	}
	for _, source := range sources {
		gauge("daybook_intake_in_hand", "Requests of a source that are being read or recorded.",
			prometheus.Labels{"source": source.Name}, func() float64 { return float64(handler.Busy(source.Name)) })
	}
	gauge("daybook_append_queue_length", "Deliveries that wait to be appended.", nil,
		func() float64 { return float64(appender.Stats().Waiting) })
	gauge("daybook_append_queue_capacity", "Deliveries that may wait; more are refused with 503.", nil,
		func() float64 { return float64(appender.Stats().MayWait) })
	counter("daybook_append_batches_total", "Batches committed.", func() float64 { return float64(appender.Stats().Batches) })
	counter("daybook_append_records_total", "Records appended.", func() float64 { return float64(appender.Stats().Records) })
	counter("daybook_append_retries_total", "Batches tried again: somebody else appended, or a connection was lost.",
		func() float64 { return float64(appender.Stats().Retries) })
	m.registry.MustRegister(logCollector{s}, signingCollector{s.signing.Checkpointer})
}

// secretWindow is how far back the log is asked for the last use of a secret.
const secretWindow = 30 * 24 * time.Hour

// recall learns from the log when secrets were used before this process started.
func (m *metrics) recall(ctx context.Context, db *sql.DB) error {
	uses, err := postgres.SecretUses(ctx, db, time.Now().Add(-secretWindow))
	for _, u := range uses {
		m.use(secretSlot{u.Source, u.Secret}, u.LastAt)
	}
	return err
}

// handler answers GET /metrics.
func (m *metrics) handler(logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 2,
		Timeout:             scrapeTimeout + time.Second,
	})
}

// scrapeTimeout is how long the database may take for an answer to Prometheus.
const scrapeTimeout = 3 * time.Second

// A logCollector asks the database of a server. If it does not answer, there are
// no figures instead of old ones.
type logCollector struct{ *server }

// Descriptions of what the database is asked.
var (
	databaseUp         = prometheus.NewDesc("daybook_database_up", "Whether the database answered for these figures.", nil, nil)
	logHead            = prometheus.NewDesc("daybook_log_head", "Position of the last record.", nil, nil)
	projectionPosition = prometheus.NewDesc("daybook_projection_position", "Position of the last record folded.", []string{"projection"}, nil)
	projectionLag      = prometheus.NewDesc("daybook_projection_lag_records", "Records not folded yet.", []string{"projection"}, nil)
	projectionStopped  = prometheus.NewDesc("daybook_projection_stopped", "1 if the projection cannot take a record.", []string{"projection"}, nil)
	fetchPending       = prometheus.NewDesc("daybook_enrichment_pending", "Notices whose event is not fetched yet.", []string{"source"}, nil)
	fetchAge           = prometheus.NewDesc("daybook_enrichment_age_seconds", "For how long the first of them has waited.", []string{"source"}, nil)
	fetchPaused        = prometheus.NewDesc("daybook_enrichment_paused", "1 if the provider refuses our credentials.", []string{"source"}, nil)
	quarantineOpen     = prometheus.NewDesc("daybook_quarantine_open", "Deliveries that wait for a person.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (logCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{databaseUp, logHead, projectionPosition, projectionLag, projectionStopped, fetchPending, fetchAge, fetchPaused, quarantineOpen} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c logCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	figures, err := c.figures(ctx)
	up := figure{databaseUp, 1, nil}
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "no figures of the database", slog.Any("error", err))
		up.value, figures = 0, nil
	}
	for _, f := range append(figures, up) {
		ch <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, float64(f.value), f.labels...)
	}
}

// A figure is the value of a gauge.
type figure struct {
	desc   *prometheus.Desc
	value  int64
	labels []string
}

// figures asks the database.
func (c logCollector) figures(ctx context.Context) (figures []figure, err error) {
	add := func(d *prometheus.Desc, value int64, labels ...string) {
		figures = append(figures, figure{d, value, labels})
	}
	open, err := openQuarantine(ctx, c.pools.reader)
	if err != nil {
		return nil, err
	}
	add(quarantineOpen, open)
	list, err := c.projector.List(ctx)
	if err != nil {
		return nil, err
	}
	head := int64(0)
	for _, p := range list {
		head = max(head, p.Head)
		add(projectionPosition, p.Position, p.Name)
		add(projectionLag, p.Lag(), p.Name)
		add(projectionStopped, oneIf(p.StoppedAt > 0), p.Name)
	}
	add(logHead, head)
	if c.metrics.fetching == nil {
		return figures, nil
	}
	fetching, err := c.metrics.fetching(ctx)
	for _, f := range fetching {
		age := int64(0)
		if !f.Oldest.IsZero() {
			age = int64(time.Since(f.Oldest) / time.Second)
		}
		add(fetchPending, f.Pending, f.Source)
		add(fetchAge, age, f.Source)
		add(fetchPaused, oneIf(f.Paused), f.Source)
	}
	return figures, err
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
