package agent

import (
	"context"
	"errors"
	"net/url"
	"runtime"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/internal/acs"
)

var (
	errTelemetryOff = errors.New("telemetry is off")
	errNotRunning   = errors.New("the container is not running")
)

// tasksPerMessage is the protocol's limit.
const tasksPerMessage = 10

// healthChanged makes the telemetry session report health without waiting for
// its next turn.
func (e *engine) healthChanged() {
	select {
	case e.healthy <- struct{}{}:
	default:
	}
}

// telemetrySession reports metrics every interval and health with them, and at
// once when it changes.
func (x *control) telemetrySession(ctx context.Context) error {
	if x.cfg.Telemetry < 0 {
		return errTelemetryOff
	}
	where, err := x.discover(ctx)
	if err != nil {
		return err
	}
	conn, err := x.dial(ctx, deref(where.TelemetryEndpoint), url.Values{
		"cluster": {x.cfg.Cluster}, "containerInstance": {x.arn()}, "agentHash": {"dhow"}, "agentVersion": {Version},
		"dockerVersion": {x.cfg.Driver.Version()},
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // acknowledgements: nothing to do for them
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				cancel(err)
				return
			}
		}
	}()
	if err := x.publishHealth(ctx, conn); err != nil {
		return err
	}
	tick := time.NewTicker(x.cfg.Telemetry)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-x.healthy:
			err = x.publishHealth(ctx, conn)
		case <-tick.C:
			if err = x.publishMetrics(ctx, conn); err == nil {
				err = x.publishHealth(ctx, conn)
			}
		}
		if err != nil {
			return err
		}
	}
}

// publish sends one frame; TCS wants header lines before the message.
func (x *control) publish(ctx context.Context, conn *websocket.Conn, m any) error {
	b, err := acs.Encode(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, acs.JoinTCS([]string{"Host: dhow"}, b))
}

// publishHealth sends the health of all containers that have a check.
func (x *control) publishHealth(ctx context.Context, conn *websocket.Conn) error {
	var all []acs.TaskHealth
	for _, t := range x.eng.all() {
		h := acs.TaskHealth{Task: t.arn, Cluster: t.msg.Cluster, Family: t.msg.Family, Version: t.msg.Version}
		for _, k := range t.now().Containers {
			if k.Health == "" || k.Status != cluster.Running {
				continue
			}
			since := k.HealthAt
			if since == nil {
				since = k.Started
			}
			h.Containers = append(h.Containers, acs.ContainerHealth{Name: k.Name, Status: string(k.Health), Since: acs.Time{Time: *since}})
		}
		if len(h.Containers) > 0 {
			all = append(all, h)
		}
	}
	for len(all) > 0 {
		n := min(len(all), tasksPerMessage)
		m := &acs.PublishHealthRequest{
			Metadata: acs.HealthMetadata{Cluster: x.cfg.Cluster, ContainerInstance: x.arn(), MessageID: cluster.NewUUID(), Fin: n == len(all)},
			Tasks:    all[:n], Timestamp: acs.Time{Time: time.Now()},
		}
		if err := x.publish(ctx, conn, m); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// publishMetrics sends what containers used since the last time.
func (x *control) publishMetrics(ctx context.Context, conn *websocket.Conn) error {
	all := x.eng.metrics(ctx)
	idle := len(all) == 0
	for first := true; first || len(all) > 0; first = false {
		n := min(len(all), tasksPerMessage)
		m := &acs.PublishMetricsRequest{
			Metadata: acs.MetricsMetadata{Cluster: x.cfg.Cluster, ContainerInstance: x.arn(), MessageID: cluster.NewUUID(), Idle: idle, Fin: n == len(all)},
			Tasks:    all[:n], Timestamp: acs.Time{Time: time.Now()},
		}
		if err := x.publish(ctx, conn, m); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// metrics reads the counters of all running containers.
func (e *engine) metrics(ctx context.Context) (all []acs.TaskMetric) {
	there := make(map[string]bool)
	for _, t := range e.all() {
		m := acs.TaskMetric{Task: t.arn, Cluster: t.msg.Cluster, Family: t.msg.Family, Version: t.msg.Version}
		for _, k := range t.now().Containers {
			if k.Status != cluster.Running {
				continue
			}
			s, err := e.cfg.Driver.Stats(ctx, k.ID)
			if err != nil {
				continue // it has just ended
			}
			there[k.ID] = true
			before, ok := e.samples.swap(k.ID, s)
			if !ok {
				continue // a rate needs two
			}
			m.Containers = append(m.Containers, metric(k, before, s))
		}
		if len(m.Containers) > 0 {
			all = append(all, m)
		}
	}
	e.samples.keep(there)
	return all
}

// metric is what a container used between two samples.
func metric(k container, before, now driver.Stats) acs.ContainerMetric {
	m := acs.ContainerMetric{Name: k.Name}
	one := func(v float64) *acs.Stats { return &acs.Stats{Min: v, Max: v, SampleCount: 1, Sum: v} }
	if d := now.At.Sub(before.At); d > 0 && now.CPUNanos >= before.CPUNanos {
		m.CPU = one(float64(now.CPUNanos-before.CPUNanos) / float64(d.Nanoseconds()) * 100)
	}
	m.Memory = one(float64(now.MemoryBytes) / mib)
	if now.ReadBytes >= before.ReadBytes && now.WriteBytes >= before.WriteBytes {
		m.Storage = &acs.StorageStats{Read: one(float64(now.ReadBytes - before.ReadBytes)), Write: one(float64(now.WriteBytes - before.WriteBytes))}
	}
	if k.Restarts > 0 {
		m.Restarts = &acs.RestartStats{Count: int64(k.Restarts)}
	}
	return m
}

// samples are the newest counters of running containers.
type samples struct {
	mu sync.Mutex
	m  map[string]driver.Stats
}

func (s *samples) last(id string) (driver.Stats, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[id]
	return v, ok
}

func (s *samples) swap(id string, now driver.Stats) (before driver.Stats, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[string]driver.Stats)
	}
	before, ok = s.m[id]
	s.m[id] = now
	return before, ok
}

func (s *samples) keep(ids map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.m {
		if !ids[id] {
			delete(s.m, id)
		}
	}
}

func cpuCount() int { return runtime.NumCPU() }
