package containerd

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/driver"
)

func (p paths) shm(id string) string { return filepath.Join(p.run, "shm", id) }

// withVolumes adds a directory of the host for each volume that the image
// declares and the spec does not mount, filled with what the image has there.
func (d *Driver) withVolumes(c *container, s driver.Spec, im *image, rootfs []mount.Mount) ([]driver.Mount, error) {
	mounts := append([]driver.Mount(nil), s.Mounts...)
	taken := map[string]bool{}
	for _, m := range mounts {
		taken[path.Clean(m.Target)] = true
	}
	var missing []driver.Mount
	for i, v := range im.Volumes {
		target := path.Clean("/" + v)
		if !taken[target] && target != "/" {
			taken[target] = true
			missing = append(missing, driver.Mount{Type: "bind", Source: filepath.Join(d.paths.volumes(c.rid), strconv.Itoa(i)), Target: target})
		}
	}
	if len(missing) == 0 {
		return mounts, nil
	}
	err := d.withRootFS(rootfs, func(root string) error {
		for _, m := range missing {
			if err := fillVolume(root, m.Target, m.Source); err != nil {
				return fmt.Errorf("volume %s: %w", m.Target, err)
			}
		}
		return nil
	})
	return append(mounts, missing...), err
}

func fillVolume(root, target, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	from, err := fs.RootPath(root, target)
	if err != nil {
		return err
	}
	switch st, err := os.Stat(from); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !st.IsDir():
		return errors.New("the image has a file there, not a directory")
	}
	return fs.CopyDir(dir, from)
}

// makeShm mounts the /dev/shm of a container whose IPC namespace others may
// join; it is on the host, because a mount inside one container cannot be
// bound into another.
func (d *Driver) makeShm(s driver.Spec) error {
	size := s.ShmSize
	if size <= 0 {
		size = defaultShm
	}
	dir := d.paths.shm(s.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("shm", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NOEXEC|syscall.MS_NODEV, fmt.Sprintf("mode=1777,size=%d", size))
	if err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	return nil
}
