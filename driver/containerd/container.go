package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/sys/user"

	"github.com/dhowhq/dhow/driver"
)

// container is one container of this data directory.
type container struct {
	id, rid string // rid: in containerd
	meta    meta
	created time.Time

	op sync.Mutex // held by Create, Start and Delete; taken before Driver.mu

	// Guarded by Driver.mu.
	state  driver.State
	pid    int
	run    run
	task   bool          // containerd has a task that is to be deleted
	mounts []mount.Mount // of the snapshot; nil after a restart
	exited chan struct{} // closed when state becomes Exited
	gone   bool          // deleted
}

const (
	runtimeName  = "io.containerd.runc.v2"
	gcRootLabel  = "containerd.io/gc.root" // a lease's job in one transaction less
	ownerLabel   = "dhow/container"        // on snapshots: whose it is
	snapshotRoot = "dhow-"                 // prefix of snapshot keys, which share a namespace with chain ids
)

func snapshotKey(rid string) string { return snapshotRoot + rid }

// Create prepares a container: snapshot, volumes, cgroup and log file.
func (d *Driver) Create(ctx context.Context, s driver.Spec) error {
	if err := driver.ValidID(s.ID); err != nil {
		return err
	}
	im, err := d.image(ctx, s.Image)
	if err != nil {
		return err
	}
	c := &container{
		id: s.ID, rid: runtimeID(s.ID), state: driver.Created, created: time.Now(), exited: make(chan struct{}),
		meta: meta{
			ID: s.ID, Labels: s.Labels, Image: s.Image, LogPath: s.LogPath, Parent: s.CgroupParent, Cgroup: d.cgroupOf(s),
			TTY: s.TTY, Stdin: s.Stdin, Shm: s.IpcNS == "shareable",
			Joins:   strings.HasPrefix(s.PidNS, joinPrefix) || strings.HasPrefix(s.IpcNS, joinPrefix),
			KillAll: s.PidNS != "",
		},
	}
	c.op.Lock()
	defer c.op.Unlock()
	d.mu.Lock()
	if d.containers[s.ID] != nil {
		d.mu.Unlock()
		return fmt.Errorf("container %s exists already", s.ID)
	}
	d.containers[s.ID] = c
	d.mu.Unlock()

	if err := d.create(ctx, c, s, im); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		d.remove(undo, c)
		return err
	}
	return nil
}

func (d *Driver) create(ctx context.Context, c *container, s driver.Spec, im *image) error {
	if s.LogPath != "" {
		if err := makeLog(s.LogPath); err != nil {
			return err
		}
	}
	if err := d.parents.add(s.CgroupParent, s.ID, s.ParentCPUQuota, s.ParentMemory); err != nil {
		return err
	}
	mounts, err := d.snap.Prepare(ctx, snapshotKey(c.rid), im.base, snapshots.WithLabels(map[string]string{
		gcRootLabel: c.created.UTC().Format(time.RFC3339),
		ownerLabel:  c.rid,
	}))
	if errdefs.IsNotFound(err) {
		d.images.drop(im.Ref)
		return imageError(driver.ErrImageNotFound, fmt.Sprintf("image %s is no longer unpacked here; pull it again", s.Image))
	}
	if err != nil {
		return fmt.Errorf("prepare the file system of %s: %w", s.ID, err)
	}
	c.mounts = mounts

	u := &user.ExecUser{}
	if !s.Pause {
		if u, err = d.execUser(im, firstOf(s.User, im.User), mounts); err != nil {
			return err
		}
		if s.Mounts, err = d.withVolumes(c, s, im, mounts); err != nil {
			return err
		}
	}
	if c.meta.Shm {
		if err := d.makeShm(s); err != nil {
			return err
		}
	}
	spec, err := d.build(s, im, u)
	if err != nil {
		return err
	}
	specAny, err := typeurl.MarshalAny(spec)
	if err != nil {
		return err
	}
	opts, err := typeurl.MarshalAny(&options.Options{Root: filepath.Join(d.paths.run, "runc")})
	if err != nil {
		return err
	}
	_, err = d.cl.ContainerService().Create(ctx, containers.Container{
		ID:          c.rid,
		Image:       im.Ref,
		Runtime:     containers.RuntimeInfo{Name: runtimeName, Options: opts},
		Spec:        specAny,
		SnapshotKey: snapshotKey(c.rid),
		Snapshotter: d.snapshotter,
		Extensions:  map[string]typeurl.Any{metaKey: c.meta.any()},
	})
	return err
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func makeLog(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("log file %q: the path must be absolute", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	return f.Close()
}

// find returns a container that is not deleted.
func (d *Driver) find(id string) (*container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[id]
	if c == nil {
		return nil, fmt.Errorf("container %s: %w", id, driver.ErrNotFound)
	}
	return c, nil
}

// running returns a container whose first process runs, and its pid.
func (d *Driver) running(id string) (*container, int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[id]
	if c == nil {
		return nil, 0, fmt.Errorf("container %s: %w", id, driver.ErrNotFound)
	}
	if c.state != driver.Running {
		return nil, 0, fmt.Errorf("container %s is not running: %w", id, driver.ErrNotFound)
	}
	return c, c.pid, nil
}

// List returns every container of this data directory.
func (d *Driver) List(context.Context) ([]driver.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]driver.Container, 0, len(d.containers))
	for _, c := range d.containers {
		out = append(out, c.public())
	}
	return out, nil
}

// errStarted is returned where a second Start of a container is tried.
var errStarted = errors.New("it was started before")
