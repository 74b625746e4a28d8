package containerd

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/containerd/initproc"
)

// defaultPath is Docker's, for images that set none.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// build turns a Spec into OCI's. u is the resolved user.
func (d *Driver) build(s driver.Spec, im *image, u *user.ExecUser) (*specs.Spec, error) {
	args := arguments(s, im)
	switch {
	case s.Pause:
		args = []string{initproc.Path, initproc.PauseArg}
	case len(args) == 0:
		return nil, commandError("no command specified")
	case s.Init:
		args = append([]string{initproc.Path, "--"}, args...)
	}
	caps, err := d.host.capabilities(s.Privileged, s.CapAdd, s.CapDrop)
	if err != nil {
		return nil, err
	}
	limits, err := d.host.ulimits(s.Ulimits)
	if err != nil {
		return nil, err
	}
	cwd := s.WorkingDir
	if cwd == "" {
		cwd = im.WorkingDir
	}
	if cwd == "" || s.Pause {
		cwd = "/"
	}
	spec := &specs.Spec{
		Version:  "1.0.2",
		Hostname: s.Hostname,
		Root:     &specs.Root{Path: "rootfs", Readonly: s.ReadonlyRoot},
		Process: &specs.Process{
			Terminal: s.TTY,
			User:     specs.User{UID: uint32(u.Uid), GID: uint32(u.Gid), AdditionalGids: groups(u)},
			Args:     args,
			Env:      environment(s, im),
			Cwd:      cwd,
			Capabilities: &specs.LinuxCapabilities{
				Bounding: caps, Effective: caps, Permitted: caps,
			},
			Rlimits:         limits,
			NoNewPrivileges: s.NoNewPrivileges,
		},
		Linux: &specs.Linux{
			CgroupsPath: d.cgroupOf(s),
			Sysctl:      s.Sysctls,
			Resources:   d.host.resources(s),
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	d.namespaces(spec, s)
	if err := d.mounts(spec, s); err != nil {
		return nil, err
	}
	if err := devices(spec, s); err != nil {
		return nil, err
	}
	if s.Privileged {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = nil, nil
		return spec, nil
	}
	spec.Process.ApparmorProfile = d.apparmor()
	if d.host.seccomp {
		spec.Linux.Seccomp = seccompProfile(spec)
	}
	return spec, nil
}

// seccompProfile is containerd's default, which is also Docker's, without the
// x32 ABI: hardly a kernel has it, and runc takes a fifth of a container's
// start to compile the filter for it.
func seccompProfile(spec *specs.Spec) *specs.LinuxSeccomp {
	p := seccomp.DefaultProfile(spec)
	p.Architectures = slices.DeleteFunc(slices.Clone(p.Architectures), func(a specs.Arch) bool { return a == specs.ArchX32 })
	return p
}

// arguments are entry point and command: setting the entry point drops the
// image's command, as Docker does.
func arguments(s driver.Spec, im *image) []string {
	entry, cmd := s.Entrypoint, s.Command
	if entry == nil {
		entry = im.Entrypoint
		if cmd == nil {
			cmd = im.Command
		}
	}
	return append(slices.Clone(entry), cmd...)
}

// environment is the image's with the spec's on top; a later value of a name
// replaces the earlier one.
func environment(s driver.Spec, im *image) []string {
	base := []string{defaultPath}
	if s.Hostname != "" {
		base = append(base, "HOSTNAME="+s.Hostname)
	}
	if s.TTY {
		base = append(base, "TERM=xterm")
	}
	return mergeEnv(base, im.Env, s.Env)
}

func mergeEnv(lists ...[]string) []string {
	var out []string
	at := map[string]int{}
	for _, list := range lists {
		for _, kv := range list {
			name, _, _ := strings.Cut(kv, "=")
			if i, ok := at[name]; ok {
				out[i] = kv
				continue
			}
			at[name] = len(out)
			out = append(out, kv)
		}
	}
	return out
}

func groups(u *user.ExecUser) []uint32 {
	out := []uint32{uint32(u.Gid)}
	for _, g := range u.Sgids {
		if g != u.Gid {
			out = append(out, uint32(g))
		}
	}
	return out
}

// defaultCaps are what Docker gives a container.
var defaultCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// capabilities are the defaults, or all for privileged, with add and drop
// applied, limited to what the host has. Adding what the host lacks by name
// is an error; by ALL or privileged it means all there are.
func (h host) capabilities(privileged bool, add, drop []string) ([]string, error) {
	wanted := map[string]bool{}
	all := func(v bool) {
		for _, c := range capNames {
			wanted[c] = v
		}
	}
	for _, c := range defaultCaps {
		wanted[c] = true
	}
	for _, c := range drop {
		if strings.EqualFold(c, "ALL") {
			all(false)
		}
	}
	for _, c := range add {
		if strings.EqualFold(c, "ALL") {
			all(true)
		}
	}
	if privileged {
		all(true)
		add, drop = nil, nil
	}
	set := func(names []string, v bool) error {
		for _, n := range names {
			if strings.EqualFold(n, "ALL") {
				continue
			}
			name := strings.ToUpper(n)
			if !strings.HasPrefix(name, "CAP_") {
				name = "CAP_" + name
			}
			i := slices.Index(capNames, name)
			if i < 0 {
				return fmt.Errorf("unknown capability %q", n)
			}
			if v && h.caps&(1<<i) == 0 {
				return fmt.Errorf("capability %s cannot be added: this host does not have it", n)
			}
			wanted[name] = v
		}
		return nil
	}
	if err := set(drop, false); err != nil {
		return nil, err
	}
	if err := set(add, true); err != nil {
		return nil, err
	}
	out := []string{}
	for i, c := range capNames {
		if wanted[c] && h.caps&(1<<i) != 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

// ulimits checks the limits against the host's; -1 is unlimited.
func (h host) ulimits(list []driver.Ulimit) ([]specs.POSIXRlimit, error) {
	var out []specs.POSIXRlimit
	for _, l := range list {
		oci := ""
		for _, r := range rlimits {
			if r.name == l.Name {
				oci = r.oci
			}
		}
		if oci == "" {
			return nil, fmt.Errorf("unknown ulimit %q", l.Name)
		}
		soft, hard := unlimited(l.Soft), unlimited(l.Hard)
		if soft > hard {
			return nil, fmt.Errorf("ulimit %s: soft limit %s exceeds its hard limit %s", l.Name, limitText(soft), limitText(hard))
		}
		if most, ok := h.limits[l.Name]; ok && hard > most && !h.canRaise {
			return nil, fmt.Errorf("ulimit %s hard limit %s exceeds the host's %s", l.Name, limitText(hard), limitText(most))
		}
		out = append(out, specs.POSIXRlimit{Type: oci, Soft: kernelLimit(soft), Hard: kernelLimit(hard)})
	}
	return out, nil
}

func unlimited(n int64) int64 {
	if n < 0 {
		return math.MaxInt64
	}
	return n
}

func kernelLimit(n int64) uint64 {
	if n == math.MaxInt64 {
		return math.MaxUint64 // RLIM_INFINITY
	}
	return uint64(n)
}

func limitText(n int64) string {
	if n == math.MaxInt64 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// cgroupOf is the container's control group.
func (d *Driver) cgroupOf(s driver.Spec) string {
	return path.Join(d.paths.cgroup(), "/"+s.CgroupParent, s.ID)
}

// resources are the limits of the container alone.
func (h host) resources(s driver.Spec) *specs.LinuxResources {
	r := &specs.LinuxResources{CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{}}
	shares := uint64(max(s.CPUShares, 2)) // the kernel's least, which ECS uses for cpu 0
	r.CPU.Shares = &shares
	if s.CPUQuota > 0 {
		q, p := quota(s.CPUQuota), uint64(period)
		r.CPU.Quota, r.CPU.Period = &q, &p
	}
	if s.Memory > 0 {
		m := s.Memory
		r.Memory.Limit = &m
		if h.swapLimit {
			swap := m // no swap unless asked for
			if s.MemorySwap < 0 {
				swap = -1
			} else if s.MemorySwap > 0 {
				swap = m + s.MemorySwap
			}
			r.Memory.Swap = &swap
		}
	}
	if s.MemoryReservation > 0 {
		m := s.MemoryReservation
		r.Memory.Reservation = &m
	}
	if s.Swappiness != nil && h.cgroups.unified == "" {
		n := uint64(*s.Swappiness)
		r.Memory.Swappiness = &n
	}
	if s.PidsLimit > 0 {
		n := s.PidsLimit
		r.Pids = &specs.LinuxPids{Limit: &n}
	}
	return r
}
