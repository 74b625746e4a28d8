package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/pkg/identifiers"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/internal/register"
)

// meta is what a container's record in containerd carries of its Spec.
type meta struct {
	ID      string            `json:"id"`
	Labels  map[string]string `json:"labels,omitempty"`
	Image   string            `json:"image"`
	LogPath string            `json:"logPath,omitempty"`
	Parent  string            `json:"parent,omitempty"` // CgroupParent
	Cgroup  string            `json:"cgroup"`
	TTY     bool              `json:"tty,omitempty"`
	Stdin   bool              `json:"stdin,omitempty"`
	Joins   bool              `json:"joins,omitempty"`   // has a namespace of another container
	KillAll bool              `json:"killAll,omitempty"` // shares a pid namespace: its end does not end the others
	Shm     bool              `json:"shm,omitempty"`     // has a /dev/shm on the host
}

// metaKey is the extension of containerd's record; labels would be limited to
// 4 KiB.
const metaKey = "dhow"

func (m meta) any() typeurl.Any {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and bools only
	}
	return &anypb.Any{TypeUrl: "dhow.container", Value: b}
}

func metaFrom(ext map[string]typeurl.Any) (m meta, err error) {
	a, ok := ext[metaKey]
	if !ok {
		return m, errors.New("not made by dhow")
	}
	return m, json.Unmarshal(a.GetValue(), &m)
}

// run is the course of a container: what containerd forgets when its task is
// deleted or the machine reboots.
type run struct {
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	Exited     bool      `json:"exited,omitempty"`
	ExitCode   int       `json:"exitCode,omitempty"`
	OOMKilled  bool      `json:"oomKilled,omitempty"`
}

// openRuns opens the register of runs, by runtime id, and reads it.
func (d *Driver) openRuns() (map[string]run, error) {
	reg, values, err := register.Open(filepath.Join(d.paths.data, "runs.jsonl"), d.log)
	if err != nil {
		return nil, err
	}
	d.runs = reg
	runs := make(map[string]run, len(values))
	for id, b := range values {
		var r run
		if err := json.Unmarshal(b, &r); err != nil {
			d.log.Warn("the course of a container cannot be read", "container", id, "err", err)
		}
		runs[id] = r
	}
	return runs, nil
}

// note records a run where nobody is there to be told of a failure.
func (d *Driver) note(rid string, r run) {
	if err := d.runs.Put(rid, r); err != nil {
		d.log.Error("the course of a container is not recorded", "container", rid, "err", err)
	}
}

// unnote forgets a run; one that is left does no harm, the next Open drops it.
func (d *Driver) unnote(rid string) {
	if err := d.runs.Delete(rid); err != nil {
		d.log.Warn("the record of a deleted container is left", "container", rid, "err", err)
	}
}

// runtimeID is the container's name in containerd, which is stricter than
// ours: it takes no two separators in a row, as ECS container names may have.
func runtimeID(id string) string {
	if identifiers.Validate(id) == nil {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "id." + hex.EncodeToString(sum[:16])
}

func (c *container) public() driver.Container {
	out := driver.Container{
		ID: c.id, Labels: c.meta.Labels, Image: c.meta.Image, LogPath: c.meta.LogPath,
		State: c.state, CreatedAt: c.created,
		StartedAt: c.run.StartedAt, FinishedAt: c.run.FinishedAt,
		ExitCode: c.run.ExitCode, OOMKilled: c.run.OOMKilled,
	}
	if c.state == driver.Running {
		out.Pid = c.pid
	}
	return out
}
