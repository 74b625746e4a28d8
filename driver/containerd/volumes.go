package containerd

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/driver"
)

func (p paths) shm(id string) string { return filepath.Join(p.run, "shm", id) }

// withVolumes adds a directory of the host for each volume that the image
// declares and the spec does not mount, and fills these and the spec's own
// with what the image has there.
func (d *Driver) withVolumes(c *container, s driver.Spec, im *image, rootfs []mount.Mount) ([]driver.Mount, error) {
	mounts := append([]driver.Mount(nil), s.Mounts...)
	taken := map[string]bool{}
	for _, m := range mounts {
		taken[path.Clean(m.Target)] = true
	}
	for i, v := range im.Volumes {
		target := path.Clean("/" + v)
		if !taken[target] && target != "/" {
			taken[target] = true
			mounts = append(mounts, driver.Mount{Type: "bind", Source: filepath.Join(d.paths.volumes(c.rid), strconv.Itoa(i)), Target: target, Fill: true})
		}
	}
	return mounts, d.fill(mounts, rootfs)
}

// fill fills those of the mounts that ask for it and are empty.
func (d *Driver) fill(mounts []driver.Mount, rootfs []mount.Mount) error {
	var todo []driver.Mount
	for _, m := range mounts {
		if !m.Fill {
			continue
		}
		if err := os.MkdirAll(m.Source, 0o755); err != nil {
			return err
		}
		if empty, err := unfilled(m.Source); err != nil {
			return err
		} else if empty {
			todo = append(todo, m)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	return d.withRootFS(rootfs, func(root string) error {
		for _, m := range todo {
			// Containers that share a volume take turns: the first fills it.
			unlock := d.fills.lock(m.Source)
			err := fillVolume(root, path.Clean("/"+m.Target), m.Source)
			unlock()
			if err != nil {
				return fmt.Errorf("volume %s: %w", m.Target, err)
			}
		}
		return nil
	})
}

// filling is the file beside a volume that says that it is being filled: where
// a crash breaks that off it is done again.
func filling(dir string) string { return dir + "~filling" }

// unfilled reports whether a volume is empty, or was being filled.
func unfilled(dir string) (bool, error) {
	if _, err := os.Lstat(filling(dir)); err == nil {
		return true, nil
	}
	used, err := os.ReadDir(dir)
	return len(used) == 0, err
}

func fillVolume(root, target, dir string) error {
	if empty, err := unfilled(dir); err != nil || !empty {
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
	if err := os.WriteFile(filling(dir), nil, 0o600); err != nil {
		return err
	}
	if err := errors.Join(emptyDir(dir), fs.CopyDir(dir, from)); err != nil {
		return err
	}
	return os.Remove(filling(dir))
}

// emptyDir removes what is in a directory, and leaves the directory: it may be
// mounted somewhere.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// fillLocks are locks of volumes, a few for all of them.
type fillLocks [32]sync.Mutex

func (l *fillLocks) lock(dir string) (unlock func()) {
	h := fnv.New32a()
	h.Write([]byte(dir))
	mu := &l[h.Sum32()%uint32(len(l))]
	mu.Lock()
	return mu.Unlock
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
