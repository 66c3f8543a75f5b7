package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
)

// A signingCollector tells how signing is doing. The labels are names of the
// configuration.
type signingCollector struct{ *checkpointer.Checkpointer }

var (
	readOnly        = prometheus.NewDesc("daybook_log_read_only", "1 if the log is not the one that was signed: nothing is recorded.", nil, nil)
	checkpointSize  = prometheus.NewDesc("daybook_checkpoint_size", "Records that the newest checkpoint covers, as far as this process knows.", nil, nil)
	checkpointAge   = prometheus.NewDesc("daybook_checkpoint_age_seconds", "Since the newest checkpoint was signed. It grows while nothing is recorded.", nil, nil)
	sinkSize        = prometheus.NewDesc("daybook_checkpoint_sink_size", "Records that the newest checkpoint in a sink covers.", []string{"sink"}, nil)
	sinkFailures    = prometheus.NewDesc("daybook_checkpoint_sink_failures_total", "Checkpoints that a sink did not take.", []string{"sink"}, nil)
	witnessSize     = prometheus.NewDesc("daybook_checkpoint_witness_size", "Records that a witness has cosigned.", []string{"witness"}, nil)
	witnessFailures = prometheus.NewDesc("daybook_checkpoint_witness_failures_total", "Checkpoints that a witness did not cosign.", []string{"witness"}, nil)
)

// Describe implements [prometheus.Collector].
func (signingCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readOnly, checkpointSize, checkpointAge, sinkSize, sinkFailures, witnessSize, witnessFailures} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c signingCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.Status()
	gauge := func(d *prometheus.Desc, value int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(readOnly, oneIf(s.Alarm != nil))
	if s.Signed.Origin != "" {
		gauge(checkpointSize, s.Signed.Size)
		gauge(checkpointAge, int64(time.Since(s.At)/time.Second))
	}
	for _, p := range s.Sinks {
		gauge(sinkSize, p.Size, p.Name)
		ch <- prometheus.MustNewConstMetric(sinkFailures, prometheus.CounterValue, float64(p.Failures), p.Name)
	}
	for _, p := range s.Witnesses {
		gauge(witnessSize, p.Size, p.Name)
		ch <- prometheus.MustNewConstMetric(witnessFailures, prometheus.CounterValue, float64(p.Failures), p.Name)
	}
}
