package containerd

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/containerd/initproc"
)

const defaultShm = 64 << 20

// joinPrefix marks a namespace path that only Start can fill in, because it
// belongs to another container's process.
const joinPrefix = "container:"

func (d *Driver) namespaces(spec *specs.Spec, s driver.Spec) {
	add := func(kind specs.LinuxNamespaceType, path string) {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
	add(specs.MountNamespace, "")
	if s.NetNS != "" {
		add(specs.NetworkNamespace, s.NetNS)
	}
	if s.UTSNS != "host" {
		add(specs.UTSNamespace, "")
	} else {
		spec.Hostname = "" // setting it would rename the host
	}
	switch {
	case strings.HasPrefix(s.PidNS, joinPrefix):
		add(specs.PIDNamespace, s.PidNS)
	case s.PidNS != "host":
		add(specs.PIDNamespace, "")
	}
	switch {
	case strings.HasPrefix(s.IpcNS, joinPrefix):
		add(specs.IPCNamespace, s.IpcNS)
	case s.IpcNS != "host":
		add(specs.IPCNamespace, "")
	}
	if d.host.cgroupNS && d.host.cgroups.unified != "" && !s.Privileged {
		add(specs.CgroupNamespace, "")
	}
}

// mounts puts the kernel's file systems, the spec's mounts and the init in
// order. A mount of the spec replaces one of ours with the same target.
func (d *Driver) mounts(spec *specs.Spec, s driver.Spec) error {
	access := "ro"
	if s.Privileged {
		access = "rw"
	}
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}},
	}
	list = append(list, d.cgroupMounts(s, access)...)
	list = append(list, d.ipcMounts(s)...)
	if s.Init || s.Pause {
		init := d.findInit()
		if init == "" {
			return fmt.Errorf("this node has no init to run: put dhow-init beside the dhow program or into PATH")
		}
		list = append(list, bind(init, initproc.Path, true))
	}
	for _, m := range s.Mounts {
		om, err := userMount(m)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(x specs.Mount) bool {
			return x.Destination == om.Destination || om.Destination == cgroupRoot && path.Dir(x.Destination) == cgroupRoot
		})
		list = append(list, om)
	}
	// A parent is mounted before what lies in it.
	slices.SortStableFunc(list, func(a, b specs.Mount) int { return depth(a.Destination) - depth(b.Destination) })
	spec.Mounts = list
	return nil
}

// cgroupRoot is where language runtimes find their memory and CPU limits.
const cgroupRoot = "/sys/fs/cgroup"

// runtimeControllers are what they look at.
var runtimeControllers = []string{"cpu", "cpuacct", "cpuset", "memory", "pids"}

// cgroupMounts show a container its control group. On cgroup v1 that is a mount
// for each controller, of which there are about ten, and they take as long as
// all others together: so there are those that runtimes look at.
func (d *Driver) cgroupMounts(s driver.Spec, access string) []specs.Mount {
	options := []string{"nosuid", "noexec", "nodev", "relatime", access}
	if d.host.cgroups.unified != "" || s.Privileged { // who may change them wants all
		return []specs.Mount{{Destination: cgroupRoot, Type: "cgroup", Source: "cgroup", Options: options}}
	}
	list := []specs.Mount{{Destination: cgroupRoot, Type: "tmpfs", Source: "tmpfs", Options: append(slices.Clone(options), "mode=755")}}
	for _, name := range runtimeControllers {
		if at := d.host.cgroups.v1[name]; at != "" {
			m := specs.Mount{Destination: path.Join(cgroupRoot, name), Type: "bind", Source: path.Join(at, d.cgroupOf(s)), Options: append([]string{"bind"}, options...)}
			list = append(list, m)
		}
	}
	return list
}

// findInit is the init's binary on the host; "" if there is none.
func (d *Driver) findInit() string {
	if d.cfg.InitPath != "" {
		return d.cfg.InitPath
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "dhow-init")
		if st, err := os.Stat(beside); err == nil && st.Mode()&0o111 != 0 {
			return beside
		}
	}
	return lookPath("dhow-init")
}

func depth(p string) int {
	if p == "/" {
		return 0
	}
	return strings.Count(path.Clean(p), "/")
}

// ipcMounts are /dev/shm and /dev/mqueue, which belong to the IPC namespace.
func (d *Driver) ipcMounts(s driver.Spec) []specs.Mount {
	mqueue := specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}}
	size := s.ShmSize
	if size <= 0 {
		size = defaultShm
	}
	switch {
	case s.IpcNS == "host":
		return []specs.Mount{bind("/dev/shm", "/dev/shm", false), mqueue} // mqueue shows the namespace it is mounted in
	case s.IpcNS == "none":
		return nil
	case s.IpcNS == "shareable":
		return []specs.Mount{bind(d.paths.shm(s.ID), "/dev/shm", false), mqueue}
	case strings.HasPrefix(s.IpcNS, joinPrefix):
		return []specs.Mount{bind(d.paths.shm(strings.TrimPrefix(s.IpcNS, joinPrefix)), "/dev/shm", false), mqueue}
	}
	shm := specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", size)}}
	return []specs.Mount{shm, mqueue}
}

func bind(source, target string, readOnly bool) specs.Mount {
	opts := []string{"rbind", "rprivate", "rw"}
	if readOnly {
		opts[2] = "ro"
	}
	return specs.Mount{Destination: target, Type: "bind", Source: source, Options: opts}
}

func userMount(m driver.Mount) (specs.Mount, error) {
	if !path.IsAbs(m.Target) {
		return specs.Mount{}, commandError(fmt.Sprintf("invalid mount target %q: it must be an absolute path", m.Target))
	}
	target := path.Clean(m.Target)
	if target == "/" {
		return specs.Mount{}, commandError("invalid mount target \"/\": the root is the image")
	}
	switch m.Type {
	case "bind":
		if _, err := os.Stat(m.Source); err != nil {
			return specs.Mount{}, commandError(fmt.Sprintf("invalid mount config for type \"bind\": bind source path does not exist: %s", m.Source))
		}
		om := bind(m.Source, target, m.ReadOnly)
		om.Options = append(om.Options, m.Options...)
		return om, nil
	case "tmpfs":
		opts := append([]string{"nosuid", "nodev", "noexec"}, m.Options...)
		if m.ReadOnly {
			opts = append(opts, "ro")
		}
		return specs.Mount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: opts}, nil
	}
	return specs.Mount{}, fmt.Errorf("unknown mount type %q: it is bind or tmpfs", m.Type)
}

// devices gives access to the spec's devices, or to all for privileged. runc
// adds null, zero, random, the terminals and so on by itself.
func devices(spec *specs.Spec, s driver.Spec) error {
	ctx := context.Background()
	if s.Privileged {
		spec.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		return oci.WithHostDevices(ctx, nil, nil, spec)
	}
	spec.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for _, dev := range s.Devices {
		perm := dev.Permissions
		if perm == "" {
			perm = "rwm"
		}
		target := dev.Container
		if target == "" {
			target = dev.Host
		}
		if err := oci.WithDevices(dev.Host, target, perm)(ctx, nil, nil, spec); err != nil {
			return fmt.Errorf("device %s: %w", dev.Host, err)
		}
	}
	return nil
}
