package acs

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/store"
)

// serveTCS takes a node's metrics, which are kept in memory only, and health,
// which is written to its tasks.
func (s *Server) serveTCS(ctx context.Context, p peer) error {
	health := make(map[string]map[string]types.HealthStatus) // what the store was told
	for {
		_, b, err := p.conn.Read(ctx)
		if err != nil {
			return err
		}
		s.presence.seatOf(p.node).touch()
		b, err = wire.SplitTCS(b)
		if err != nil {
			s.log.Warn("agent sent telemetry that cannot be read", "node", p.node, "err", err)
			continue
		}
		m, err := wire.Decode(b)
		if err != nil {
			s.log.Warn("agent sent telemetry that cannot be read", "node", p.node, "err", err)
			continue
		}
		var ack any
		switch m := m.(type) {
		case *wire.PublishMetricsRequest:
			s.metrics.put(p.node, time.Now(), m.Tasks)
			ack = &wire.AckPublishMetric{Message: m.Metadata.MessageID}
		case *wire.PublishHealthRequest:
			s.putHealth(ctx, p.node, m.Tasks, health)
			ack = &wire.AckPublishHealth{Message: m.Metadata.MessageID}
		case *wire.PublishInstanceStatusRequest:
			ack = &wire.AckPublishInstanceStatus{Message: m.Metadata.RequestID}
		default:
			continue
		}
		if b, err = wire.Encode(ack); err != nil {
			return err
		}
		wctx, cancel := context.WithTimeout(ctx, writeTimeout)
		err = p.conn.Write(wctx, websocket.MessageText, b)
		cancel()
		if err != nil {
			return err
		}
	}
}

// putHealth writes the health of tasks that differs from what it wrote before.
func (s *Server) putHealth(ctx context.Context, node string, tasks []wire.TaskHealth, told map[string]map[string]types.HealthStatus) {
	for _, th := range tasks {
		key, ok := taskKey(th.Task)
		if !ok {
			continue
		}
		now := make(map[string]types.HealthStatus, len(th.Containers))
		for _, c := range th.Containers {
			// The stock agent has been seen with either case.
			switch h := types.HealthStatus(strings.ToUpper(c.Status)); h {
			case types.HealthStatusHealthy, types.HealthStatusUnhealthy, types.HealthStatusUnknown:
				now[c.Name] = h
			}
		}
		if same(told[key], now) {
			continue
		}
		err := s.cfg.DB.Update(ctx, func(tx *store.Tx) error {
			if t, ok := cluster.Tasks.Get(tx, key); !ok || t.Node != node {
				return nil
			}
			return cluster.ReportHealth(tx, key, now)
		})
		if err != nil {
			s.log.Warn("cannot record a task's health, will do at its next report", "task", th.Task, "err", err)
			continue
		}
		told[key] = now
	}
	// Tasks that are no longer reported are gone.
	if len(told) > 2*len(tasks)+64 {
		clear(told)
	}
}

func same(a, b map[string]types.HealthStatus) bool {
	if a == nil || len(a) != len(b) {
		return false
	}
	for k, v := range b {
		if a[k] != v {
			return false
		}
	}
	return true
}

// metrics are the newest counters of each task.
type metrics struct {
	mu     sync.Mutex
	tasks  map[string]metric // by ARN
	pruned time.Time
}

type metric struct {
	node string
	at   time.Time
	task wire.TaskMetric
}

// metricsKept is how long a task that is no longer reported stays known.
const metricsKept = 5 * time.Minute

func (m *metrics) put(node string, at time.Time, tasks []wire.TaskMetric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks == nil {
		m.tasks = make(map[string]metric)
	}
	for _, t := range tasks {
		if old, ok := m.tasks[t.Task]; ok && old.node != node {
			continue // a node tells of its own tasks only
		}
		m.tasks[t.Task] = metric{node, at, t}
	}
}

// prune forgets them, once a minute at most.
func (m *metrics) prune(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.pruned) < time.Minute {
		return
	}
	m.pruned = now
	for arn, t := range m.tasks {
		if now.Sub(t.at) > metricsKept {
			delete(m.tasks, arn)
		}
	}
}

// Metrics returns the newest counters of a task and when they came.
func (s *Server) Metrics(task string) (m wire.TaskMetric, at time.Time, ok bool) {
	s.metrics.mu.Lock()
	defer s.metrics.mu.Unlock()
	t, ok := s.metrics.tasks[task]
	return t.task, t.at, ok
}
