package agent

import (
	"context"
	"time"

	"github.com/dhowhq/dhow/cluster"
)

// taskMetadata is the answer to ${ECS_CONTAINER_METADATA_URI_V4}/task, with
// AWS's names.
type taskMetadata struct {
	Cluster            string
	TaskARN            string
	Family             string
	Revision           string
	DesiredStatus      string
	KnownStatus        string
	Limits             *limits    `json:",omitempty"`
	PullStartedAt      *time.Time `json:",omitempty"`
	PullStoppedAt      *time.Time `json:",omitempty"`
	ExecutionStoppedAt *time.Time `json:",omitempty"`
	AvailabilityZone   string     `json:",omitempty"`
	LaunchType         string
	ServiceName        string            `json:",omitempty"`
	TaskTags           map[string]string `json:",omitempty"`
	Containers         []containerMetadata
}

// limits are CPU and memory: vCPUs and MiB of a task, CPU units and MiB of a
// container.
type limits struct {
	CPU    float64 `json:",omitempty"`
	Memory int64   `json:",omitempty"`
}

// containerMetadata is the answer to ${ECS_CONTAINER_METADATA_URI_V4}.
type containerMetadata struct {
	DockerID      string `json:"DockerId"`
	Name          string
	DockerName    string
	Image         string
	ImageID       string `json:",omitempty"`
	Labels        map[string]string
	DesiredStatus string
	KnownStatus   string
	ExitCode      *int `json:",omitempty"`
	Limits        limits
	CreatedAt     *time.Time `json:",omitempty"`
	StartedAt     *time.Time `json:",omitempty"`
	FinishedAt    *time.Time `json:",omitempty"`
	Type          string
	RestartCount  *int              `json:",omitempty"`
	Health        *healthMetadata   `json:",omitempty"`
	LogDriver     string            `json:",omitempty"`
	LogOptions    map[string]string `json:",omitempty"`
	ContainerARN  string
	Networks      []map[string]any `json:",omitempty"`
	Ports         []map[string]any `json:",omitempty"`
	Volumes       []volumeMetadata `json:",omitempty"`
}

type healthMetadata struct {
	Status string     `json:"status"`
	Since  *time.Time `json:"statusSince,omitempty"`
}

type volumeMetadata struct {
	DockerName  string `json:",omitempty"`
	Source      string `json:",omitempty"`
	Destination string `json:",omitempty"`
}

func (t *task) metadata(tags bool) taskMetadata {
	s := t.now()
	m := taskMetadata{
		Cluster: t.msg.Cluster, TaskARN: t.arn, Family: t.msg.Family, Revision: t.msg.Version,
		DesiredStatus: string(s.Desired), KnownStatus: string(s.Last),
		PullStartedAt: s.PullStarted, PullStoppedAt: s.PullStopped, ExecutionStoppedAt: s.ExecutionStopped,
		AvailabilityZone: t.msg.Dhow.Region + t.eng.cfg.Zone, LaunchType: t.msg.LaunchType, ServiceName: t.msg.ServiceName,
	}
	cpu, _ := size(deref(t.def.Cpu), "vcpu", 1024)
	memory, _ := size(deref(t.def.Memory), "gb", 1024)
	if cpu > 0 || memory > 0 {
		m.Limits = &limits{float64(cpu) / 1024, memory}
	}
	if tags {
		m.TaskTags = make(map[string]string)
		for _, tag := range t.msg.Dhow.Tags {
			m.TaskTags[deref(tag.Key)] = deref(tag.Value)
		}
	}
	for _, k := range s.Containers {
		m.Containers = append(m.Containers, t.containerMetadata(k))
	}
	return m
}

func (t *task) containerMetadata(k container) containerMetadata {
	c := t.defOf(k.Name)
	m := containerMetadata{
		DockerID: k.ID, Name: k.Name, DockerName: k.Name, Image: deref(c.Image), ImageID: k.Digest, Labels: t.labels(c),
		DesiredStatus: string(t.now().Desired), KnownStatus: string(k.Status), ExitCode: k.ExitCode,
		Limits:    limits{float64(c.Cpu), int64(deref(c.Memory))},
		CreatedAt: k.Created, StartedAt: k.Started, FinishedAt: k.Finished, Type: "NORMAL",
		Networks: t.networks(k.ID), Ports: portsMetadata(k.Bindings),
	}
	if m.Limits.Memory == 0 {
		m.Limits.Memory = int64(deref(c.MemoryReservation))
	}
	for _, w := range t.msg.Containers {
		if w.Name == k.Name {
			m.ContainerARN = w.ARN
		}
	}
	if k.Health != "" {
		m.Health = &healthMetadata{string(k.Health), k.HealthAt}
	}
	if c.RestartPolicy != nil && deref(c.RestartPolicy.Enabled) {
		m.RestartCount = &k.Restarts
	}
	if l := c.LogConfiguration; l != nil {
		m.LogDriver, m.LogOptions = string(l.LogDriver), l.Options
	}
	for _, p := range c.MountPoints {
		m.Volumes = append(m.Volumes, volumeMetadata{DockerName: deref(p.SourceVolume), Destination: deref(p.ContainerPath)})
	}
	return m
}

// statsOf renders a container's counters in the shape of Docker's stats, which
// is what the endpoint promises.
func (e *engine) statsOf(ctx context.Context, k container) (map[string]any, error) {
	if k.Status != cluster.Running {
		return nil, errNotRunning
	}
	s, err := e.cfg.Driver.Stats(ctx, k.ID)
	if err != nil {
		return nil, err
	}
	before, ok := e.samples.last(k.ID)
	if !ok {
		before = s
	}
	cpu := func(nanos uint64) map[string]any {
		return map[string]any{"cpu_usage": map[string]any{"total_usage": nanos}, "online_cpus": cpuCount()}
	}
	return map[string]any{
		"read": s.At, "preread": before.At, "id": k.ID, "name": "/" + k.Name,
		"cpu_stats": cpu(s.CPUNanos), "precpu_stats": cpu(before.CPUNanos),
		"memory_stats": map[string]any{"usage": s.MemoryBytes, "limit": s.MemoryLimit},
		"pids_stats":   map[string]any{"current": s.Pids},
		"blkio_stats": map[string]any{"io_service_bytes_recursive": []map[string]any{
			{"op": "Read", "value": s.ReadBytes}, {"op": "Write", "value": s.WriteBytes},
		}},
		"num_procs": 0, "storage_stats": map[string]any{},
	}, nil
}
