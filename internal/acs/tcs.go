package acs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// PublishMetricsRequest carries the counters of up to ten tasks.
type PublishMetricsRequest struct {
	Metadata  MetricsMetadata `json:"metadata"`
	Tasks     []TaskMetric    `json:"taskMetrics,omitempty"`
	Timestamp Time            `json:"timestamp"`
}

// MetricsMetadata says whose metrics they are, and whether more parts follow.
type MetricsMetadata struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	MessageID         string `json:"messageId,omitempty"`
	Idle              bool   `json:"idle"` // no task runs
	Fin               bool   `json:"fin"`  // the last part
}

// TaskMetric is one task's share.
type TaskMetric struct {
	Task       string            `json:"taskArn"`
	Cluster    string            `json:"clusterArn,omitempty"`
	Family     string            `json:"taskDefinitionFamily,omitempty"`
	Version    string            `json:"taskDefinitionVersion,omitempty"`
	Containers []ContainerMetric `json:"containerMetrics,omitempty"`
}

// ContainerMetric is one container's share.
type ContainerMetric struct {
	Name     string        `json:"containerName"`
	ARN      string        `json:"containerArn,omitempty"`
	CPU      *Stats        `json:"cpuStatsSet,omitempty"`    // percent of one vCPU
	Memory   *Stats        `json:"memoryStatsSet,omitempty"` // MiB
	Storage  *StorageStats `json:"storageStatsSet,omitempty"`
	Restarts *RestartStats `json:"restartStatsSet,omitempty"`
}

// Stats summarises samples of an interval.
type Stats struct {
	Min         float64 `json:"min"`
	Max         float64 `json:"max"`
	SampleCount int64   `json:"sampleCount"`
	Sum         float64 `json:"sum"`
}

// StorageStats counts bytes read and written in an interval.
type StorageStats struct {
	Read  *Stats `json:"readSizeBytes,omitempty"`
	Write *Stats `json:"writeSizeBytes,omitempty"`
}

// RestartStats counts a container's restarts by its restart policy.
type RestartStats struct {
	Count int64 `json:"restartCount"`
}

// PublishHealthRequest carries the health of containers that have a check.
type PublishHealthRequest struct {
	Metadata  HealthMetadata `json:"metadata"`
	Tasks     []TaskHealth   `json:"tasks,omitempty"`
	Timestamp Time           `json:"timestamp"`
}

// HealthMetadata says whose health it is, and whether more parts follow.
type HealthMetadata struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	MessageID         string `json:"messageId,omitempty"`
	Fin               bool   `json:"fin"`
}

// TaskHealth is one task's share.
type TaskHealth struct {
	Task       string            `json:"taskArn"`
	Cluster    string            `json:"clusterArn,omitempty"`
	Family     string            `json:"taskDefinitionFamily,omitempty"`
	Version    string            `json:"taskDefinitionVersion,omitempty"`
	Containers []ContainerHealth `json:"containers,omitempty"`
}

// ContainerHealth is one container's.
type ContainerHealth struct {
	Name   string `json:"containerName"`
	Status string `json:"healthStatus"` // HEALTHY, UNHEALTHY, UNKNOWN
	Since  Time   `json:"statusSince"`
}

// PublishInstanceStatusRequest carries the health of the instance itself.
type PublishInstanceStatusRequest struct {
	Metadata  InstanceStatusMetadata `json:"metadata"`
	Statuses  []InstanceStatus       `json:"statuses,omitempty"`
	Timestamp Time                   `json:"timestamp"`
}

// InstanceStatusMetadata says whose status it is.
type InstanceStatusMetadata struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	RequestID         string `json:"requestId,omitempty"`
}

// InstanceStatus is one of an instance's checks.
type InstanceStatus struct {
	Type   string `json:"type"`   // CONTAINER_RUNTIME
	Status string `json:"status"` // OK, IMPAIRED, …
}

// AckPublishMetric answers PublishMetricsRequest.
type AckPublishMetric struct {
	Message string `json:"message,omitempty"`
}

// AckPublishHealth answers PublishHealthRequest.
type AckPublishHealth struct {
	Message string `json:"message,omitempty"`
}

// AckPublishInstanceStatus answers PublishInstanceStatusRequest.
type AckPublishInstanceStatus struct {
	Message string `json:"message,omitempty"`
}

// Time is a time on the wire: seconds since 1970 as a number, with a fraction.
// RFC 3339 text is taken too.
type Time struct{ time.Time }

// MarshalJSON writes seconds with milliseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("0"), nil
	}
	ms := t.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON reads seconds, or text.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.Time)
	}
	var s float64
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == 0 { // null or not set
		t.Time = time.Time{}
		return nil
	}
	if s < 0 || s > 1e11 {
		return fmt.Errorf("acs: time %v is out of range", s)
	}
	t.Time = time.UnixMilli(int64(s * 1000)).UTC()
	return nil
}

// errNoHeader is what SplitTCS says of a frame that is neither JSON nor has a header.
var errNoHeader = errors.New("acs: telemetry frame has no empty line between header and message")

// SplitTCS cuts the header lines off a telemetry frame: the stock agent signs
// each of them anew and puts the signature's headers before the JSON.
func SplitTCS(frame []byte) ([]byte, error) {
	if len(frame) > 0 && frame[0] == '{' {
		return frame, nil
	}
	_, body, ok := bytes.Cut(frame, []byte("\r\n\r\n"))
	if !ok {
		return nil, errNoHeader
	}
	return body, nil
}

// JoinTCS puts header lines ("Name: value") before a telemetry frame.
func JoinTCS(header []string, frame []byte) []byte {
	h := strings.Join(header, "\r\n")
	return append([]byte(h+"\r\n\r\n"), frame...)
}
