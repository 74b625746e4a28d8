package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
)

const floorNamespace = "bench"

// floor starts containers with containerd's own client: the same daemon, image
// and kinds of namespaces as the platform's tasks, an empty network, and
// nothing else that a task has.
type floor struct {
	cl     *client.Client
	image  client.Image
	theirs string // the platform's containerd namespace
}

// newFloor copies the image to a containerd namespace of its own.
func newFloor(ctx context.Context, p *platform) (f *floor, err error) {
	socket, err := os.ReadFile(filepath.Join(p.dir, "driver", "runtime"))
	if err != nil {
		return nil, err
	}
	f = &floor{}
	if f.cl, err = client.New(strings.TrimSpace(string(socket)), client.WithDefaultNamespace(floorNamespace)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.cl.Close()
		}
	}()
	if f.theirs, err = f.platformNamespace(ctx, string(socket)); err != nil {
		return nil, err
	}
	theirs := namespaces.WithNamespace(ctx, f.theirs)
	list, err := f.cl.ListImages(theirs)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the platform has no image in containerd")
	}
	var tarball bytes.Buffer
	if err := f.cl.Export(theirs, &tarball, archive.WithImage(f.cl.ImageService(), list[0].Name())); err != nil {
		return nil, err
	}
	ours := namespaces.WithNamespace(ctx, floorNamespace)
	imported, err := f.cl.Import(ours, &tarball)
	if err != nil {
		return nil, err
	}
	f.image = client.NewImage(f.cl, imported[0])
	return f, f.image.Unpack(ours, "overlayfs")
}

// platformNamespace is the containerd namespace of the platform.
func (f *floor) platformNamespace(ctx context.Context, socket string) (string, error) {
	all, err := f.cl.NamespaceService().List(ctx)
	if err != nil {
		return "", err
	}
	for _, ns := range all {
		if strings.HasPrefix(ns, "dhow-") && strings.Contains(socket, ns) {
			return ns, nil
		}
	}
	return "", fmt.Errorf("%w: the tasks are in the system's containerd, which others use too", errSkipped)
}

// settle waits until no container of either side is left and the kernel has
// had time to end their networks: what one side has to clear away must not
// slow down the other's start.
func (f *floor) settle(ctx context.Context, pause time.Duration) error {
	for _, ns := range []string{f.theirs, floorNamespace} {
		for began := time.Now(); ; {
			left, err := f.cl.ContainerService().List(namespaces.WithNamespace(ctx, ns))
			if err != nil {
				return err
			}
			if len(left) == 0 {
				break
			}
			if time.Since(began) > 30*time.Second {
				return fmt.Errorf("%d containers are left in %s after 30 s", len(left), ns)
			}
			if err := sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return sleep(ctx, pause)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start returns when the container's process runs.
func (f *floor) start(ctx context.Context, id string) (stop func() error, err error) {
	ctx = namespaces.WithNamespace(ctx, floorNamespace)
	c, err := f.cl.NewContainer(ctx, id, client.WithSnapshotter("overlayfs"), client.WithNewSnapshot(id, f.image), client.WithNewSpec(oci.WithImageConfig(f.image)))
	if err != nil {
		return nil, err
	}
	task, err := c.NewTask(ctx, cio.NullIO)
	if err != nil {
		return nil, err
	}
	if err := task.Start(ctx); err != nil {
		return nil, err
	}
	return func() error {
		exit, err := task.Wait(ctx)
		if err != nil {
			return err
		}
		if err := task.Kill(ctx, syscall.SIGKILL); err != nil {
			return err
		}
		<-exit
		if _, err := task.Delete(ctx); err != nil {
			return err
		}
		return c.Delete(ctx, client.WithSnapshotCleanup)
	}, nil
}

// startAll starts n at once, and returns when the last runs how long it took;
// they are gone again.
func (f *floor) startAll(ctx context.Context, name string, n int) (last time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var stops []func() error
	note := func(stop func() error, e error) {
		mu.Lock()
		defer mu.Unlock()
		if err = errors.Join(err, e); stop != nil {
			stops = append(stops, stop)
		}
	}
	began := time.Now()
	for i := range n {
		all.Go(func() { note(f.start(ctx, fmt.Sprint(name, "-", i))) })
	}
	all.Wait()
	last = time.Since(began)
	for _, stop := range stops {
		all.Go(func() { note(nil, stop()) })
	}
	all.Wait()
	return last, err
}

// close removes the image; without it the namespace is empty, and `dhow down`
// ends the daemon.
func (f *floor) close() {
	ctx := namespaces.WithNamespace(context.Background(), floorNamespace)
	f.cl.ImageService().Delete(ctx, f.image.Name())
	f.cl.Close()
}
