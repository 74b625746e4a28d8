package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dhowhq/dhow/agent"
	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// metrics is what /_dhow/metrics shows.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	starts   *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dhow_api_calls_total", Help: "AWS API calls answered, by service, operation and HTTP status.",
		}, []string{"service", "operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dhow_api_call_seconds", Help: "Time that answering took, by service.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 4, 9),
		}, []string{"service"}),
		starts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dhow_task_start_seconds", Help: "Time that the steps of this node's task starts took: network, image, create, start, report; task is the whole, from the task's arrival until it is known to be RUNNING.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 15),
		}, []string{"step"}),
	}
	m.registry.MustRegister(m.calls, m.seconds, m.starts, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// step notes how long a step of a task's start took.
func (m *metrics) step(s agent.Step, took time.Duration) {
	m.starts.WithLabelValues(string(s)).Observe(took.Seconds())
}

// observe counts one call. Operations are of the models, so that callers
// cannot make series without bound.
func (m *metrics) observe(c *awsapi.Call, status int, took time.Duration) {
	m.calls.WithLabelValues(c.Service, c.Operation, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(c.Service).Observe(took.Seconds())
}

// watch shows what the event buses count.
func (m *metrics) watch(b *bus.Engine) {
	counter := func(name, help string, f func(bus.Stats) int64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f(b.Stats())) }))
	}
	counter("dhow_events_total", "Events put on buses.", func(s bus.Stats) int64 { return s.Events })
	counter("dhow_events_matched_total", "Events that a rule or an archive took.", func(s bus.Stats) int64 { return s.Matched })
	counter("dhow_events_delivered_total", "Deliveries that targets took.", func(s bus.Stats) int64 { return s.Delivery.Delivered })
	counter("dhow_events_failed_total", "Attempts to deliver that failed and are tried again.", func(s bus.Stats) int64 { return s.Delivery.Failed })
	counter("dhow_events_dead_total", "Deliveries that were given up.", func(s bus.Stats) int64 { return s.Delivery.Dead })
	counter("dhow_events_missed_runs_total", "Runs of rules' schedules that were due while nothing ran.", func(s bus.Stats) int64 { return s.MissedRuns })
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dhow_events_waiting", Help: "Deliveries that are not done."},
		func() float64 { return float64(b.Stats().Delivery.Waiting) }))
}
