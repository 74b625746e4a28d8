package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// Purge removes all that any Driver of this data directory made: containers,
// snapshots, images, content, leases, the namespace, cgroups, mounts, and the
// private containerd with its shims. The Driver is closed after it.
func (d *Driver) Purge(ctx context.Context) error {
	var errs []error
	note := func(what string, err error) {
		if err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	for _, id := range d.ids() {
		note("container "+id, d.Delete(ctx, id))
	}
	note("leftover tasks", d.purgeTasks(ctx))
	note("leases", d.purgeLeases(ctx))
	note("images", d.purgeImages(ctx))
	note("snapshots", d.purgeSnapshots(ctx))
	note("content", d.purgeContent(ctx))
	note("namespace", d.purgeNamespace(ctx))
	private := d.private
	note("close", d.Close())
	if private {
		note("private containerd", stopPrivate(ctx, d.paths))
	}
	note("shims", d.paths.endShims(ctx))
	note("AppArmor profile", d.paths.unloadApparmor())
	note("files", d.paths.removeAll())
	note("cgroups", d.host.cgroups.purge(ctx, d.paths.cgroup()))
	return errors.Join(errs...)
}

func (d *Driver) ids() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]string, 0, len(d.containers))
	for id := range d.containers {
		out = append(out, id)
	}
	return out
}

// purgeTasks ends what is in the namespace without being dhow's.
func (d *Driver) purgeTasks(ctx context.Context) error {
	list, err := d.cl.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return err
	}
	for _, t := range list.Tasks {
		_, _ = d.cl.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: t.ID, Signal: uint32(syscall.SIGKILL), All: true})
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, _ = d.cl.TaskService().Wait(wait, &tasks.WaitRequest{ContainerID: t.ID})
		cancel()
		if _, err := d.cl.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: t.ID}); err != nil {
			return err
		}
	}
	recs, err := d.cl.ContainerService().List(ctx)
	if err != nil {
		return err
	}
	for _, r := range recs {
		if err := d.cl.ContainerService().Delete(ctx, r.ID); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (d *Driver) purgeLeases(ctx context.Context) error {
	list, err := d.cl.LeasesService().List(ctx)
	for _, l := range list {
		err = errors.Join(err, ignoreMissing(d.cl.LeasesService().Delete(ctx, l)))
	}
	return err
}

func (d *Driver) purgeImages(ctx context.Context) error {
	list, err := d.cl.ImageService().List(ctx)
	for _, im := range list {
		err = errors.Join(err, ignoreMissing(d.cl.ImageService().Delete(ctx, im.Name)))
		d.images.drop(im.Name)
	}
	// A lease deleted synchronously runs the garbage collector to its end.
	l, lerr := d.cl.LeasesService().Create(ctx, leases.WithRandomID(), leases.WithExpiration(time.Minute))
	if lerr == nil {
		lerr = ignoreMissing(d.cl.LeasesService().Delete(ctx, l, leases.SynchronousDelete))
	}
	return errors.Join(err, lerr)
}

// purgeSnapshots removes children before their parents: it repeats while
// something goes.
func (d *Driver) purgeSnapshots(ctx context.Context) error {
	for {
		var names []string
		err := d.snap.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
			names = append(names, info.Name)
			return nil
		})
		if err != nil || len(names) == 0 {
			return err
		}
		removed := 0
		var last error
		for _, n := range names {
			if err := ignoreMissing(d.snap.Remove(ctx, n)); err != nil {
				last = err
				continue
			}
			removed++
		}
		if removed == 0 {
			return last
		}
	}
}

func (d *Driver) purgeContent(ctx context.Context) error {
	store := d.cl.ContentStore()
	var errs error
	statuses, err := store.ListStatuses(ctx)
	for _, s := range statuses {
		errs = errors.Join(errs, ignoreMissing(store.Abort(ctx, s.Ref)))
	}
	var blobs []content.Info
	werr := store.Walk(ctx, func(i content.Info) error {
		blobs = append(blobs, i)
		return nil
	})
	for _, b := range blobs {
		errs = errors.Join(errs, ignoreMissing(store.Delete(ctx, b.Digest)))
	}
	return errors.Join(errs, err, werr)
}

func (d *Driver) purgeNamespace(ctx context.Context) error {
	err := ignoreMissing(d.cl.NamespaceService().Delete(ctx, d.paths.namespace()))
	return err
}

func ignoreMissing(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// endShims waits for the shims of the namespace, which end by themselves a
// moment after their task is deleted, and kills those that hang.
func (p paths) endShims(ctx context.Context) error {
	patience := time.Now().Add(2 * time.Second)
	for {
		pids := p.shims()
		if len(pids) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(patience) {
			for _, pid := range pids {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
					return err
				}
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// shims are the pids of the namespace's shims.
func (p paths) shims() (pids []int) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range procs {
		b, err := os.ReadFile(f)
		args := strings.Split(string(b), "\x00")
		i := slices.Index(args, "-namespace")
		if err != nil || !strings.Contains(args[0], "containerd-shim") || i < 0 || i+1 >= len(args) || args[i+1] != p.namespace() {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// purge removes a cgroup and what runs in it. The kernel frees one a moment
// after its last process.
func (c cgroups) purge(ctx context.Context, root string) error {
	for patience := time.Now().Add(3 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c.kill(root)
		c.remove(root)
		left := slices.DeleteFunc(c.dirs(root), func(dir string) bool {
			_, err := os.Stat(dir)
			return err != nil
		})
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(patience) || ctx.Err() != nil {
			return fmt.Errorf("%s is still in use", left[0])
		}
	}
}

// removeAll deletes the directories after unmounting what is below them.
func (p paths) removeAll() error {
	err := errors.Join(unmountBelow(p.run), unmountBelow(p.data))
	if err != nil {
		return err
	}
	err = errors.Join(os.RemoveAll(p.run), os.RemoveAll(p.data))
	// They go if nothing else is in them; containerd's shims leave the last two.
	for _, dir := range []string{filepath.Dir(p.run), "/run/containerd/s", "/run/containerd"} {
		os.Remove(dir)
	}
	return err
}

func unmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var at []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+string(filepath.Separator)) {
			at = append(at, f[4])
		}
	}
	var errs error
	for i := len(at) - 1; i >= 0; i-- { // the last mounted first
		errs = errors.Join(errs, mount.UnmountAll(at[i], syscall.MNT_DETACH))
	}
	return errs
}
