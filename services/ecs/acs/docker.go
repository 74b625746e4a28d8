package acs

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	wire "github.com/dhowhq/dhow/internal/acs"
)

// dockerConfig is the part of Docker's container configuration that the stock
// agent takes from the payload and passes on; the names are Docker's.
type dockerConfig struct {
	Hostname    string             `json:",omitempty"`
	User        string             `json:",omitempty"`
	WorkingDir  string             `json:",omitempty"`
	Tty         bool               `json:",omitempty"`
	OpenStdin   bool               `json:",omitempty"`
	Labels      map[string]string  `json:",omitempty"`
	Healthcheck *dockerHealthcheck `json:",omitempty"`

	NetworkDisabled bool `json:",omitempty"`
}

type dockerHealthcheck struct {
	Test                           []string
	Interval, Timeout, StartPeriod time.Duration `json:",omitempty"`
	Retries                        int32         `json:",omitempty"`
}

// dockerHostConfig is the part of Docker's host configuration that does.
type dockerHostConfig struct {
	NetworkMode       string            `json:",omitempty"`
	Privileged        bool              `json:",omitempty"`
	ReadonlyRootfs    bool              `json:",omitempty"`
	Init              bool              `json:",omitempty"`
	CapAdd            []string          `json:",omitempty"`
	CapDrop           []string          `json:",omitempty"`
	Dns               []string          `json:",omitempty"`
	DnsSearch         []string          `json:",omitempty"`
	ExtraHosts        []string          `json:",omitempty"`
	SecurityOpt       []string          `json:",omitempty"`
	Ulimits           []dockerUlimit    `json:",omitempty"`
	LogConfig         *dockerLogConfig  `json:",omitempty"`
	Devices           []dockerDevice    `json:",omitempty"`
	Tmpfs             map[string]string `json:",omitempty"`
	Sysctls           map[string]string `json:",omitempty"`
	ShmSize           int64             `json:",omitempty"`
	MemoryReservation int64             `json:",omitempty"`
	MemorySwap        int64             `json:",omitempty"`
	MemorySwappiness  *int64            `json:",omitempty"`
}

type dockerUlimit struct {
	Name       string
	Soft, Hard int64
}

type dockerLogConfig struct {
	Type   string
	Config map[string]string `json:",omitempty"`
}

type dockerDevice struct {
	PathOnHost, PathInContainer, CgroupPermissions string
}

// dockerOf renders the settings of c that the protocol carries in Docker's form.
func dockerOf(mode types.NetworkMode, c types.ContainerDefinition) (*wire.DockerConfig, error) {
	config, err := json.Marshal(dockerConfigOf(c))
	if err != nil {
		return nil, err
	}
	host, err := json.Marshal(dockerHostOf(mode, c))
	if err != nil {
		return nil, err
	}
	return &wire.DockerConfig{Version: "1.18", Config: string(config), HostConfig: string(host)}, nil
}

func dockerConfigOf(c types.ContainerDefinition) dockerConfig {
	d := dockerConfig{
		Hostname: deref(c.Hostname), User: deref(c.User), WorkingDir: deref(c.WorkingDirectory),
		Tty: deref(c.PseudoTerminal), OpenStdin: deref(c.Interactive), Labels: c.DockerLabels,
		NetworkDisabled: deref(c.DisableNetworking),
	}
	if h := c.HealthCheck; h != nil {
		d.Healthcheck = &dockerHealthcheck{
			Test: h.Command, Interval: seconds(h.Interval), Timeout: seconds(h.Timeout),
			StartPeriod: seconds(h.StartPeriod), Retries: deref(h.Retries),
		}
	}
	return d
}

func seconds(n *int32) time.Duration { return time.Duration(deref(n)) * time.Second }

const mib = 1 << 20

func dockerHostOf(mode types.NetworkMode, c types.ContainerDefinition) dockerHostConfig {
	h := dockerHostConfig{
		Privileged: deref(c.Privileged), ReadonlyRootfs: deref(c.ReadonlyRootFilesystem),
		Dns: c.DnsServers, DnsSearch: c.DnsSearchDomains, SecurityOpt: c.DockerSecurityOptions,
		MemoryReservation: int64(deref(c.MemoryReservation)) * mib,
	}
	// In awsvpc mode the agent itself joins containers to its pause container.
	if mode != types.NetworkModeAwsvpc {
		h.NetworkMode = string(mode)
	}
	for _, e := range c.ExtraHosts {
		h.ExtraHosts = append(h.ExtraHosts, deref(e.Hostname)+":"+deref(e.IpAddress))
	}
	for _, u := range c.Ulimits {
		h.Ulimits = append(h.Ulimits, dockerUlimit{string(u.Name), int64(u.SoftLimit), int64(u.HardLimit)})
	}
	for _, s := range c.SystemControls {
		if h.Sysctls == nil {
			h.Sysctls = make(map[string]string)
		}
		h.Sysctls[deref(s.Namespace)] = deref(s.Value)
	}
	if l := c.LogConfiguration; l != nil {
		h.LogConfig = &dockerLogConfig{Type: string(l.LogDriver), Config: maps.Clone(l.Options)}
	}
	if c.LinuxParameters != nil {
		h.linux(c, *c.LinuxParameters)
	}
	return h
}

func (h *dockerHostConfig) linux(c types.ContainerDefinition, l types.LinuxParameters) {
	h.Init = deref(l.InitProcessEnabled)
	h.ShmSize = int64(deref(l.SharedMemorySize)) * mib
	if l.Capabilities != nil {
		h.CapAdd, h.CapDrop = l.Capabilities.Add, l.Capabilities.Drop
	}
	for _, d := range l.Devices {
		path := deref(d.ContainerPath)
		if path == "" {
			path = deref(d.HostPath)
		}
		h.Devices = append(h.Devices, dockerDevice{deref(d.HostPath), path, devicePermissions(d.Permissions)})
	}
	for _, t := range l.Tmpfs {
		if h.Tmpfs == nil {
			h.Tmpfs = make(map[string]string)
		}
		h.Tmpfs[deref(t.ContainerPath)] = strings.Join(append(slices.Clone(t.MountOptions), "size="+strconv.Itoa(int(t.Size))+"m"), ",")
	}
	// ECS counts swap on top of memory, Docker memory and swap together.
	if l.MaxSwap != nil {
		h.MemorySwap = (int64(deref(c.Memory)) + int64(*l.MaxSwap)) * mib
	}
	if l.Swappiness != nil {
		n := int64(*l.Swappiness)
		h.MemorySwappiness = &n
	}
}

// devicePermissions are a device's permissions as the cgroup spells them; all
// of them where none is named.
func devicePermissions(ps []types.DeviceCgroupPermission) string {
	out := ""
	for _, p := range []struct {
		name types.DeviceCgroupPermission
		c    string
	}{{types.DeviceCgroupPermissionRead, "r"}, {types.DeviceCgroupPermissionWrite, "w"}, {types.DeviceCgroupPermissionMknod, "m"}} {
		if slices.Contains(ps, p.name) {
			out += p.c
		}
	}
	if out == "" {
		return "rwm"
	}
	return out
}
