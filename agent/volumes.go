package agent

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/driver"
)

// mounts are c's mount points and those it takes over from other containers.
func (t *task) mounts(c *types.ContainerDefinition) ([]driver.Mount, error) {
	return t.mountsOf(c, make(map[string]bool))
}

func (t *task) mountsOf(c *types.ContainerDefinition, seen map[string]bool) ([]driver.Mount, error) {
	seen[deref(c.Name)] = true
	var out []driver.Mount
	at := make(map[string]int) // by target: a later mount replaces an earlier
	add := func(m driver.Mount) {
		if i, ok := at[m.Target]; ok {
			out[i] = m
			return
		}
		at[m.Target] = len(out)
		out = append(out, m)
	}
	for _, v := range c.VolumesFrom {
		from := t.defOf(deref(v.SourceContainer))
		if from == nil {
			return nil, fmt.Errorf("container %s takes volumes from %s, which the task does not have", deref(c.Name), deref(v.SourceContainer))
		}
		if seen[deref(from.Name)] {
			return nil, fmt.Errorf("containers %s and %s take volumes from each other", deref(c.Name), deref(from.Name))
		}
		ms, err := t.mountsOf(from, seen)
		if err != nil {
			return nil, err
		}
		delete(seen, deref(from.Name))
		for _, m := range ms {
			m.ReadOnly = m.ReadOnly || deref(v.ReadOnly)
			add(m)
		}
	}
	for _, p := range c.MountPoints {
		source, own, err := t.volume(deref(p.SourceVolume))
		if err != nil {
			return nil, err
		}
		add(driver.Mount{Type: "bind", Source: source, Target: deref(p.ContainerPath), ReadOnly: deref(p.ReadOnly), Fill: own})
	}
	given, err := t.imageVolumes(c)
	if err != nil {
		return nil, err
	}
	for _, m := range given {
		if _, taken := at[m.Target]; !taken {
			add(m)
		}
	}
	return out, nil
}

// imageVolumes are the volumes that c's image declares, where another container
// takes c's volumes: then they are the task's. Otherwise the driver makes them.
func (t *task) imageVolumes(c *types.ContainerDefinition) (out []driver.Mount, err error) {
	name := deref(c.Name)
	if !slices.ContainsFunc(t.def.ContainerDefinitions, func(o types.ContainerDefinition) bool {
		return slices.ContainsFunc(o.VolumesFrom, func(v types.VolumeFrom) bool { return deref(v.SourceContainer) == name })
	}) {
		return nil, nil
	}
	img, err := t.eng.images.present(t.ctx, deref(c.Image))
	if err != nil {
		return nil, err
	}
	for i, v := range img.Volumes {
		// No volume of a definition can have such a name.
		dir, err := t.scratch(fmt.Sprintf("~%s~%d", name, i))
		if err != nil {
			return nil, err
		}
		out = append(out, driver.Mount{Type: "bind", Source: dir, Target: path.Clean("/" + v), Fill: true})
	}
	return out, nil
}

// volume is the directory of the task's volume of this name, made if need be.
// own tells a volume, which gets what the image has at its place when it is
// first used, as Docker does, from a directory of the host.
func (t *task) volume(name string) (dir string, own bool, err error) {
	for _, v := range t.def.Volumes {
		if deref(v.Name) != name {
			continue
		}
		switch {
		case v.DockerVolumeConfiguration != nil:
			dir, err = t.dockerVolume(name, *v.DockerVolumeConfiguration)
			return dir, true, err
		case v.EfsVolumeConfiguration != nil, v.FsxWindowsFileServerVolumeConfiguration != nil, v.S3filesVolumeConfiguration != nil, deref(v.ConfiguredAtLaunch):
			return "", false, fmt.Errorf("volume %s: this node has only host and docker volumes", name)
		case v.Host != nil && deref(v.Host.SourcePath) != "":
			dir, err = hostDir(*v.Host.SourcePath)
			return dir, false, err
		}
		dir, err = t.scratch(name)
		return dir, true, err
	}
	return "", false, fmt.Errorf("volume %q is not among the task's volumes", name)
}

// hostDir is a path of the host; a directory is made where nothing is, as
// Docker does.
func hostDir(path string) (string, error) {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	return path, os.MkdirAll(path, 0o755)
}

// scratch is a directory that ends with the task.
func (t *task) scratch(name string) (string, error) {
	return makeVolume(t.dir, name)
}

func (t *task) dockerVolume(name string, v types.DockerVolumeConfiguration) (string, error) {
	if d := deref(v.Driver); d != "" && d != "local" {
		return "", fmt.Errorf("volume %s: driver %q is not on this node; it has local", name, d)
	}
	if len(v.DriverOpts) > 0 {
		return "", fmt.Errorf("volume %s: driverOpts are not supported; mount a host path that has what you need", name)
	}
	if v.Scope != types.ScopeShared {
		return t.scratch(name)
	}
	dir := filepath.Join(t.eng.cfg.DataDir, "volumes", t.msg.Dhow.Account)
	if !deref(v.Autoprovision) {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("volume %s does not exist on this node and autoprovision is off", name)
		}
	}
	return makeVolume(dir, name)
}

// makeVolume makes a volume's directory. Any user of a container may write to
// it, unless the first image to use it has a directory there: then that one's
// owner and mode are the volume's.
func makeVolume(parent, name string) (string, error) {
	if name == "" || name == "." || name == ".." || filepath.Base(name) != name {
		return "", fmt.Errorf("%q is no name of a volume", name)
	}
	dir := filepath.Join(parent, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o777|os.ModeSticky)
}
