package containerd

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/continuity/fs"
	"github.com/containerd/errdefs"
)

// A base is an image's snapshot with the mount points on it that containers
// need and the image lacks. Without it runc makes them in every container: on
// some file systems that is a good part of a start. It is what Docker's init
// layer is for.
//
// It lives as long as the image: the image's configuration refers to it.
const baseRoot = "dhow-base-"

func baseKey(chain string) string { return baseRoot + chain }

// mountDirs and mountFiles are what each container has something mounted on.
var (
	mountDirs  = []string{"/dev", "/proc", "/sys"}
	mountFiles = []string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
)

// baseOf returns the snapshot to make containers of img on, made if need be.
// Where that cannot be it is the image's own.
func (d *Driver) baseOf(ctx context.Context, img client.Image, chain string) string {
	if d.snapshotter != "overlayfs" { // others copy the whole image for it
		return chain
	}
	err := d.refer(ctx, img, baseKey(chain))
	if err == nil {
		if _, err = d.snap.Stat(ctx, baseKey(chain)); errdefs.IsNotFound(err) {
			err = d.makeBase(ctx, chain)
		}
	}
	if err != nil {
		d.log.Warn("an image's mount points are not prepared, its containers start slower", "image", img.Name(), "err", err)
		return chain
	}
	return baseKey(chain)
}

// refer makes the image's configuration keep a snapshot from containerd's
// garbage collector, which may be there later.
func (d *Driver) refer(ctx context.Context, img client.Image, snapshot string) error {
	config, err := img.Config(ctx)
	if err != nil {
		return err
	}
	label := "containerd.io/gc.ref.snapshot." + d.snapshotter + "/dhow"
	_, err = d.cl.ContentStore().Update(ctx, content.Info{Digest: config.Digest, Labels: map[string]string{label: snapshot}}, "labels."+label)
	return err
}

// makeBase makes the base of a chain. Two may do so at once.
func (d *Driver) makeBase(ctx context.Context, chain string) (err error) {
	ctx, release, err := d.cl.WithLease(ctx)
	if err != nil {
		return err
	}
	defer release(ctx)
	draft := baseKey(chain) + "-" + randomName()
	// No container has this name: what a crash leaves of a draft is swept.
	mounts, err := d.snap.Prepare(ctx, draft, chain, snapshots.WithLabels(map[string]string{ownerLabel: draft}))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(d.snap.Remove(context.WithoutCancel(ctx), draft)))
		}
	}()
	if err := d.mounted(mounts, addMountPoints); err != nil {
		return err
	}
	err = d.snap.Commit(ctx, baseKey(chain), draft)
	if errdefs.IsAlreadyExists(err) {
		return d.snap.Remove(ctx, draft)
	}
	return err
}

// mounted mounts a snapshot for the time of fn.
func (d *Driver) mounted(mounts []mount.Mount, fn func(root string) error) error {
	dir, err := os.MkdirTemp(d.paths.run, "rootfs-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := mount.All(mounts, dir); err != nil {
		return err
	}
	err = fn(dir)
	return errors.Join(err, mount.UnmountAll(dir, 0))
}

// addMountPoints makes what is missing, following links inside the root only,
// as runc does when it mounts.
func addMountPoints(root string) error {
	for _, p := range mountDirs {
		at, err := fs.RootPath(root, p)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
	}
	for _, p := range mountFiles {
		at, err := fs.RootPath(root, p)
		if err != nil {
			return err
		}
		if err := addFile(at); err != nil {
			return err
		}
	}
	return nil
}

// addFile makes an empty file unless something is there, which it does not
// open: an image may have a pipe or a device there.
func addFile(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
