package agent

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/network"
)

const mib = 1 << 20

// spec is what the driver is asked to create for container c.
func (t *task) spec(c *types.ContainerDefinition, id string, img driver.Image, netns string) (driver.Spec, error) {
	s := driver.Spec{
		ID: id, Image: img.Ref, Labels: t.labels(c),
		Entrypoint: c.EntryPoint, Command: c.Command, Env: t.env(c, id),
		WorkingDir: deref(c.WorkingDirectory), User: deref(c.User),
		TTY: deref(c.PseudoTerminal), Stdin: deref(c.Interactive),
		NetNS:             netns,
		CgroupParent:      t.cgroup(),
		CPUShares:         int64(c.Cpu),
		Memory:            int64(deref(c.Memory)) * mib,
		MemoryReservation: int64(deref(c.MemoryReservation)) * mib,
		Privileged:        deref(c.Privileged),
		ReadonlyRoot:      deref(c.ReadonlyRootFilesystem),
		NoNewPrivileges:   slices.ContainsFunc(c.DockerSecurityOptions, isNoNewPrivileges),
		LogPath:           t.logPath(c),
	}
	if c.EntryPoint != nil && c.Command == nil {
		s.Command = []string{} // Docker drops the image's command with its entry point
	}
	s.PidNS, s.IpcNS = t.namespaces()
	if err := t.taskLimits(&s); err != nil {
		return s, &failure{cannotCreate, err}
	}
	for _, u := range c.Ulimits {
		s.Ulimits = append(s.Ulimits, driver.Ulimit{Name: string(u.Name), Soft: int64(u.SoftLimit), Hard: int64(u.HardLimit)})
	}
	for _, k := range c.SystemControls {
		if s.Sysctls == nil {
			s.Sysctls = make(map[string]string)
		}
		s.Sysctls[deref(k.Namespace)] = deref(k.Value)
	}
	if l := c.LinuxParameters; l != nil {
		linux(&s, *l)
	}
	mounts, err := t.mounts(c)
	if err != nil {
		return s, &failure{cannotVolume, err}
	}
	s.Mounts = append(s.Mounts, mounts...)
	etc, hostname, err := t.etc(c, id)
	if err != nil {
		return s, &failure{cannotCreate, err}
	}
	// A mount of the definition's over one of these files stands.
	for _, m := range etc {
		if !slices.ContainsFunc(s.Mounts, func(o driver.Mount) bool { return path.Clean(o.Target) == m.Target }) {
			s.Mounts = append(s.Mounts, m)
		}
	}
	s.Hostname = hostname
	return s, nil
}

// cgroup is the cgroup that the task's containers share, "" for none: a group
// in each hierarchy takes a while to make, and a container that is alone needs
// one only for the limits of its task.
func (t *task) cgroup() string {
	if len(t.def.ContainerDefinitions) == 1 && deref(t.def.Cpu) == "" && deref(t.def.Memory) == "" {
		return ""
	}
	return t.id
}

// taskLimits sets the limits of the task as a whole.
func (t *task) taskLimits(s *driver.Spec) (err error) {
	if s.ParentCPUQuota, err = size(deref(t.def.Cpu), "vcpu", 1024); err != nil {
		return fmt.Errorf("task cpu: %w", err)
	}
	if s.ParentMemory, err = size(deref(t.def.Memory), "gb", 1024); err != nil {
		return fmt.Errorf("task memory: %w", err)
	}
	s.ParentMemory *= mib
	return nil
}

func isNoNewPrivileges(o string) bool {
	return o == "no-new-privileges" || o == "no-new-privileges:true" || o == "no-new-privileges=true"
}

// size reads a task-level size: a bare number, or one of a larger unit that is
// worth factor, as in "1 vCPU" and "0.5GB".
func size(s, unit string, factor float64) (int64, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" {
		return 0, nil
	}
	number, large := strings.CutSuffix(s, unit)
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0, fmt.Errorf("%q is no size", s)
	}
	if large {
		f *= factor
	}
	return int64(f), nil
}

func linux(s *driver.Spec, l types.LinuxParameters) {
	s.Init = deref(l.InitProcessEnabled)
	s.ShmSize = int64(deref(l.SharedMemorySize)) * mib
	if l.Capabilities != nil {
		s.CapAdd, s.CapDrop = l.Capabilities.Add, l.Capabilities.Drop
	}
	if l.MaxSwap != nil {
		s.MemorySwap = int64(*l.MaxSwap)
		if s.MemorySwap > 0 {
			s.MemorySwap *= mib
		}
	}
	if l.Swappiness != nil {
		s.Swappiness = ptr(int64(*l.Swappiness))
	}
	for _, d := range l.Devices {
		target := deref(d.ContainerPath)
		if target == "" {
			target = deref(d.HostPath)
		}
		s.Devices = append(s.Devices, driver.Device{Host: deref(d.HostPath), Container: target, Permissions: permissions(d.Permissions)})
	}
	for _, m := range l.Tmpfs {
		opts := append(slices.Clone(m.MountOptions), "size="+strconv.Itoa(int(m.Size))+"m")
		s.Mounts = append(s.Mounts, driver.Mount{Type: "tmpfs", Source: "tmpfs", Target: deref(m.ContainerPath), Options: opts})
	}
}

// permissions are a device's, as the cgroup spells them; all if none is named.
func permissions(ps []types.DeviceCgroupPermission) string {
	s := ""
	for _, p := range ps {
		switch p {
		case types.DeviceCgroupPermissionRead:
			s += "r"
		case types.DeviceCgroupPermissionWrite:
			s += "w"
		case types.DeviceCgroupPermissionMknod:
			s += "m"
		}
	}
	if s == "" {
		return "rwm"
	}
	return s
}

// labels are the definition's, and those that the stock agent sets.
func (t *task) labels(c *types.ContainerDefinition) map[string]string {
	l := make(map[string]string, len(c.DockerLabels)+5)
	for k, v := range c.DockerLabels {
		l[k] = v
	}
	l["com.amazonaws.ecs.cluster"] = t.msg.Cluster
	l["com.amazonaws.ecs.container-name"] = deref(c.Name)
	l["com.amazonaws.ecs.task-arn"] = t.arn
	l["com.amazonaws.ecs.task-definition-family"] = t.msg.Family
	l["com.amazonaws.ecs.task-definition-version"] = t.msg.Version
	return l
}

// Where the agent listens inside a task's namespace.
const (
	metadataAddress = "169.254.170.2:80"
	apiAddress      = "169.254.170.2:4566"
	dnsAddress      = "169.254.169.253:53"
)

// env is the definition's environment after what dhow adds; the definition
// wins.
func (t *task) env(c *types.ContainerDefinition, id string) []string {
	meta, api := "http://169.254.170.2", "http://"+apiAddress
	if t.mode() == network.Host {
		meta, api = t.eng.hostMetadata(), t.eng.cfg.HostAPI
	}
	own := [][2]string{
		{"AWS_EXECUTION_ENV", t.execution()},
		{"AWS_REGION", t.msg.Dhow.Region},
		{"AWS_DEFAULT_REGION", t.msg.Dhow.Region},
	}
	if meta != "" {
		own = append(own, [2]string{"ECS_CONTAINER_METADATA_URI_V4", meta + "/v4/" + id},
			[2]string{"ECS_AGENT_URI", meta + "/api/" + id},
			[2]string{"DHOW_SCHEMA_URI", meta + "/schema/" + id})
	}
	if t.eng.cfg.ServeAPI != nil && api != "" {
		own = append(own, [2]string{"AWS_ENDPOINT_URL", api})
	}
	own = append(own, t.roleEnv(meta)...)
	set := make(map[string]bool, len(c.Environment))
	for _, kv := range c.Environment {
		set[deref(kv.Name)] = true
	}
	env := make([]string, 0, len(own)+len(c.Environment))
	for _, kv := range own {
		if !set[kv[0]] {
			env = append(env, kv[0]+"="+kv[1])
		}
	}
	for _, kv := range c.Environment {
		env = append(env, deref(kv.Name)+"="+deref(kv.Value))
	}
	return env
}

func (t *task) execution() string {
	if t.msg.LaunchType == string(types.LaunchTypeFargate) {
		return "AWS_ECS_FARGATE"
	}
	return "AWS_ECS_EC2"
}
