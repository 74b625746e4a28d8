package acs

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	wire "github.com/dhowhq/dhow/internal/acs"
)

// placed is a task with the rows that describe it.
type placed struct {
	task cluster.Task
	def  *cluster.TaskDefinition // nil if it is gone
	vpc  cluster.VPC             // of the task's interface, if it has one
}

// payload renders a task in the protocol's form.
func (p placed) payload() (wire.Task, error) {
	t := p.task
	out := wire.Task{
		ARN:           t.ARN(),
		Cluster:       cluster.ClusterARN(t.Scope, t.Cluster),
		DesiredStatus: string(t.Desired),
		Family:        t.Family,
		Version:       strconv.Itoa(int(t.Revision)),
		NetworkMode:   string(t.NetworkMode),
		LaunchType:    string(t.LaunchType),
		ServiceName:   t.Service,
		Group:         t.Group,
		Containers:    []wire.Container{},
		Dhow:          &wire.Dhow{Tags: t.Tags, Account: t.Account, Region: t.Region},
	}
	if i := t.Interface; i != nil {
		eni, err := interfaceOf(t, *i)
		if err != nil {
			return wire.Task{}, err
		}
		out.Interfaces = []wire.ElasticNetworkInterface{eni}
		out.Dhow.Interface = &wire.Interface{
			Network: i.Network, CIDR: p.vpc.CIDR, Default: p.vpc.Default, Address: i.Address,
			SubnetCIDR: i.SubnetCIDR, MAC: i.MAC, PrivateDNS: i.PrivateDNS, Attachment: eni.Attachment, ID: i.ID,
		}
	}
	if p.def == nil {
		return out, nil
	}
	def := effective(p.def.Def, t.Overrides)
	out.Dhow.Definition = &def
	out.Dhow.CPU, out.Dhow.Memory = deref(def.Cpu), deref(def.Memory)
	out.CPU = float64(sizeOf(deref(def.Cpu))) / 1024
	out.Memory = sizeOf(deref(def.Memory))
	out.PidMode, out.IpcMode = string(def.PidMode), string(def.IpcMode)
	out.EnableFaultInjection = deref(def.EnableFaultInjection)
	out.Volumes = volumesOf(def.Volumes)
	for _, c := range def.ContainerDefinitions {
		w, err := containerOf(t, def, c)
		if err != nil {
			return wire.Task{}, err
		}
		out.Containers = append(out.Containers, w)
	}
	return out, nil
}

// sizeOf reads a task's CPU units or MiB; definitions are kept normalised.
func sizeOf(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func containerOf(t cluster.Task, def types.TaskDefinition, c types.ContainerDefinition) (wire.Container, error) {
	docker, err := dockerOf(t.NetworkMode, c)
	if err != nil {
		return wire.Container{}, err
	}
	w := wire.Container{
		Name:         deref(c.Name),
		Image:        deref(c.Image),
		EntryPoint:   c.EntryPoint,
		CPU:          int64(c.Cpu),
		Memory:       int64(deref(c.Memory)),
		Essential:    c.Essential == nil || *c.Essential,
		Links:        c.Links,
		StartTimeout: deref(c.StartTimeout),
		StopTimeout:  deref(c.StopTimeout),
		DockerConfig: docker,
	}
	for _, k := range t.Containers {
		if k.Name == w.Name {
			w.ARN = t.ContainerARN(k)
		}
	}
	// The stock agent takes a command from the overrides alone.
	if c.Command != nil {
		b, err := json.Marshal(map[string][]string{"command": c.Command})
		if err != nil {
			return wire.Container{}, err
		}
		w.Command, w.Overrides = c.Command, string(b)
	}
	if c.HealthCheck != nil {
		w.HealthCheckType = "docker"
	}
	if len(c.Environment) > 0 {
		w.Environment = make(map[string]string, len(c.Environment))
		for _, kv := range c.Environment {
			w.Environment[deref(kv.Name)] = deref(kv.Value)
		}
	}
	for _, m := range c.PortMappings {
		p := wire.PortMapping{ContainerPort: deref(m.ContainerPort), HostPort: deref(m.HostPort), Protocol: string(m.Protocol)}
		if p.Protocol == "" {
			p.Protocol = "tcp"
		}
		w.PortMappings = append(w.PortMappings, p)
	}
	for _, m := range c.MountPoints {
		w.MountPoints = append(w.MountPoints, wire.MountPoint{SourceVolume: deref(m.SourceVolume), ContainerPath: deref(m.ContainerPath), ReadOnly: deref(m.ReadOnly)})
	}
	for _, v := range c.VolumesFrom {
		w.VolumesFrom = append(w.VolumesFrom, wire.VolumeFrom{SourceContainer: deref(v.SourceContainer), ReadOnly: deref(v.ReadOnly)})
	}
	for _, d := range c.DependsOn {
		w.DependsOn = append(w.DependsOn, wire.Dependency{ContainerName: deref(d.ContainerName), Condition: string(d.Condition)})
	}
	if r := c.RestartPolicy; r != nil {
		w.RestartPolicy = &wire.RestartPolicy{Enabled: deref(r.Enabled), IgnoredExitCodes: r.IgnoredExitCodes, RestartAttemptPeriod: deref(r.RestartAttemptPeriod)}
	}
	return w, nil
}

func volumesOf(vs []types.Volume) []wire.Volume {
	var out []wire.Volume
	for _, v := range vs {
		w := wire.Volume{Name: deref(v.Name), Type: "host", Host: &wire.HostVolume{}}
		switch {
		case v.DockerVolumeConfiguration != nil:
			d := v.DockerVolumeConfiguration
			w.Type, w.Host = "docker", nil
			w.Docker = &wire.DockerVolume{Scope: string(d.Scope), Autoprovision: deref(d.Autoprovision), Driver: deref(d.Driver), DriverOpts: d.DriverOpts, Labels: d.Labels}
		case v.Host != nil:
			w.Host.SourcePath = deref(v.Host.SourcePath)
		}
		out = append(out, w)
	}
	return out
}

func interfaceOf(t cluster.Task, i cluster.Interface) (wire.ElasticNetworkInterface, error) {
	subnet, err := netip.ParsePrefix(i.SubnetCIDR)
	if err != nil {
		return wire.ElasticNetworkInterface{}, err
	}
	// As in a VPC, the subnet's first address is its router, the second its
	// name server.
	router := subnet.Masked().Addr().Next()
	return wire.ElasticNetworkInterface{
		Attachment:     t.Scope.ARN("ecs", "attachment/"+i.Attachment),
		ID:             i.ID,
		MAC:            i.MAC,
		IPv4:           []wire.IPv4Address{{Address: i.Address, Primary: true}},
		Gateway:        netip.PrefixFrom(router, subnet.Bits()).String(),
		PrivateDNSName: i.PrivateDNS,
		NameServers:    []string{router.Next().String()},
		Association:    "default",
	}, nil
}

// instanceKey turns the ARN of a container instance into its row's key.
func instanceKey(arn string) (string, bool) {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "ecs" {
		return "", false
	}
	r := strings.Split(p[5], "/")
	if len(r) != 3 || r[0] != "container-instance" {
		return "", false
	}
	return cluster.Scope{Region: p[3], Account: p[4]}.Key(r[1], r[2]), true
}

// taskKey turns the ARN of a task into its row's key.
func taskKey(arn string) (string, bool) {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "ecs" {
		return "", false
	}
	r := strings.Split(p[5], "/")
	if len(r) != 3 || r[0] != "task" {
		return "", false
	}
	return cluster.Scope{Region: p[3], Account: p[4]}.Key(r[1], r[2]), true
}
