package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dhowhq/dhow/agent"
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
