package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/sys/user"
	"github.com/opencontainers/image-spec/identity"

	"github.com/dhowhq/dhow/driver"
)

// image is a present and unpacked image with what Create needs of it, so that
// the start of a container asks containerd nothing about images.
type image struct {
	driver.Image
	target string // digest of what the reference points to; may be an index
	base   string // snapshot that containers are made on

	usersOnce sync.Once
	passwd    []byte
	group     []byte
	usersErr  error
}

// imageCache holds the images that were asked for, by full reference.
type imageCache struct {
	mu     sync.Mutex
	byName map[string]*image
}

func (c *imageCache) get(name string) *image {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byName[name]
}

func (c *imageCache) put(name string, im *image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]*image{}
	}
	c.byName[name] = im
}

func (c *imageCache) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, name)
}

// fullRef turns a reference into the one containerd keeps: "nginx" is
// docker.io/library/nginx:latest.
func fullRef(ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", imageError(driver.ErrImageNotFound, fmt.Sprintf("invalid reference format: %q: %v", ref, err))
	}
	return named.String(), nil
}

// Image returns the image if it is present and unpacked.
func (d *Driver) Image(ctx context.Context, ref string) (driver.Image, error) {
	im, err := d.image(ctx, ref)
	if err != nil {
		return driver.Image{}, err
	}
	return im.public(ref), nil
}

// Images returns the images that are present and unpacked.
func (d *Driver) Images(ctx context.Context) ([]driver.Image, error) {
	list, err := d.cl.ImageService().List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]driver.Image, 0, len(list))
	for _, im := range list {
		got, err := d.Image(ctx, im.Name)
		if errors.Is(err, driver.ErrImageNotFound) {
			continue // not complete
		}
		if err != nil {
			return nil, err
		}
		out = append(out, got)
	}
	return out, nil
}

// RemoveImage forgets an image. Running containers keep their layers.
func (d *Driver) RemoveImage(ctx context.Context, ref string) error {
	name, err := fullRef(ref)
	if err != nil {
		return nil // never pulled
	}
	d.images.drop(name)
	return ignoreMissing(d.cl.ImageService().Delete(ctx, name))
}

func (im *image) public(ref string) driver.Image {
	out := im.Image
	out.Ref = ref
	out.Entrypoint, out.Command = slices.Clone(out.Entrypoint), slices.Clone(out.Command)
	out.Env, out.Volumes = slices.Clone(out.Env), slices.Clone(out.Volumes)
	return out
}

func (d *Driver) image(ctx context.Context, ref string) (*image, error) {
	name, err := fullRef(ref)
	if err != nil {
		return nil, err
	}
	if im := d.images.get(name); im != nil {
		return im, nil
	}
	return d.loadImage(ctx, name)
}

// loadImage reads an image's record from containerd into the cache.
func (d *Driver) loadImage(ctx context.Context, name string) (*image, error) {
	img, err := d.cl.GetImage(ctx, name)
	if errdefs.IsNotFound(err) {
		return nil, imageError(driver.ErrImageNotFound, fmt.Sprintf("No such image: %s", name))
	}
	if err != nil {
		return nil, err
	}
	return d.cacheImage(ctx, name, img)
}

func (d *Driver) cacheImage(ctx context.Context, name string, img client.Image) (*image, error) {
	incomplete := func(err error) error {
		if errdefs.IsNotFound(err) { // a pull that was cut off
			return imageError(driver.ErrImageNotFound, fmt.Sprintf("image %s is not complete here: %v", name, err))
		}
		return err
	}
	spec, err := img.Spec(ctx)
	if err != nil {
		return nil, incomplete(err)
	}
	size, err := img.Size(ctx)
	if err != nil {
		return nil, incomplete(err)
	}
	chain := identity.ChainID(spec.RootFS.DiffIDs).String()
	if chain != "" {
		if _, err := d.snap.Stat(ctx, chain); err != nil {
			return nil, incomplete(err)
		}
	}
	volumes := make([]string, 0, len(spec.Config.Volumes))
	for v := range spec.Config.Volumes {
		volumes = append(volumes, v)
	}
	slices.Sort(volumes)
	im := &image{
		target: img.Target().Digest.String(),
		base:   d.baseOf(ctx, img, chain),
		Image: driver.Image{
			Ref:        name,
			Digest:     img.Target().Digest.String(),
			Size:       size,
			Entrypoint: spec.Config.Entrypoint,
			Command:    spec.Config.Cmd,
			Env:        spec.Config.Env,
			WorkingDir: spec.Config.WorkingDir,
			User:       spec.Config.User,
			StopSignal: spec.Config.StopSignal,
			Volumes:    volumes,
		},
	}
	d.images.put(name, im)
	return im, nil
}

// execUser resolves "name", "uid", "name:group" or "uid:gid" with the image's
// own passwd and group files, as Docker does.
func (d *Driver) execUser(im *image, spec string, rootfs []mount.Mount) (*user.ExecUser, error) {
	im.usersOnce.Do(func() {
		im.usersErr = d.withRootFS(rootfs, func(root string) error {
			im.passwd = readInRoot(root, "/etc/passwd")
			im.group = readInRoot(root, "/etc/group")
			return nil
		})
	})
	if im.usersErr != nil {
		return nil, fmt.Errorf("read users of image %s: %w", im.Ref, im.usersErr)
	}
	return lookupUser(spec, im.passwd, im.group)
}

func lookupUser(spec string, passwd, group []byte) (*user.ExecUser, error) {
	u, err := user.GetExecUser(spec, nil, bytes.NewReader(passwd), bytes.NewReader(group))
	if err != nil {
		name, grp, _ := strings.Cut(spec, ":")
		if grp != "" && strings.Contains(err.Error(), "group") {
			return nil, commandError(fmt.Sprintf("unable to find group %s: no matching entries in group file", grp))
		}
		return nil, commandError(fmt.Sprintf("unable to find user %s: no matching entries in passwd file", name))
	}
	return u, nil
}

// withRootFS mounts a snapshot read-only for the time of fn.
func (d *Driver) withRootFS(mounts []mount.Mount, fn func(root string) error) error {
	return d.mounted(readOnly(mounts), fn)
}

// readOnly makes the mounts of a snapshot that is still to be written to safe
// to mount a second time: an overlay without upper directory, a read-only
// bind.
func readOnly(mounts []mount.Mount) []mount.Mount {
	out := make([]mount.Mount, 0, len(mounts))
	for _, m := range mounts {
		var opts []string
		var lower []string
		for _, o := range m.Options {
			switch {
			case strings.HasPrefix(o, "upperdir="), strings.HasPrefix(o, "workdir="), o == "rw", o == "index=off":
			case strings.HasPrefix(o, "lowerdir="):
				lower = strings.Split(strings.TrimPrefix(o, "lowerdir="), ":")
			default:
				opts = append(opts, o)
			}
		}
		if m.Type == "overlay" && len(lower) == 1 {
			out = append(out, mount.Mount{Type: "bind", Source: lower[0], Options: []string{"rbind", "ro"}})
			continue
		}
		if len(lower) > 0 {
			opts = append(opts, "lowerdir="+strings.Join(lower, ":"))
		}
		m.Options = append(opts, "ro")
		out = append(out, m)
	}
	return out
}

// readInRoot reads a small file of an image, following links inside the image
// only; nil if there is none.
func readInRoot(root, path string) []byte {
	p, err := fs.RootPath(root, path)
	if err != nil {
		return nil
	}
	if st, err := os.Stat(p); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(filepath.Clean(p))
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 8<<20))
	return b
}
