package launch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// LatestPlatform is the Fargate platform version that LATEST means.
const LatestPlatform = "1.4.0"

// defaultEphemeral is what a Fargate task has of scratch space, in GiB.
const defaultEphemeral = 20

// Need is what one task of d books on its node, and the task's CPU and memory
// as AWS shows them: the task's sizes where it has them, else the sums over its
// containers, memoryReservation before memory. Fixed host ports are booked in
// the modes that publish them.
func Need(d types.TaskDefinition, o types.TaskOverride) (r cluster.Resources, cpu, memory string) {
	for _, c := range d.ContainerDefinitions {
		over := override(o, c.Name)
		r.CPU += int64(first(over.Cpu, c.Cpu))
		hard := first(over.Memory, deref(c.Memory))
		r.Memory += int64(first(over.MemoryReservation, first(c.MemoryReservation, hard)))
		r.Ports = append(r.Ports, hostPorts(d.NetworkMode, c)...)
	}
	if n, ok := size(o.Cpu, d.Cpu); ok {
		r.CPU = n
	}
	if n, ok := size(o.Memory, d.Memory); ok {
		r.Memory = n
	}
	return r, strconv.FormatInt(r.CPU, 10), strconv.FormatInt(r.Memory, 10)
}

func first(p *int32, other int32) int32 {
	if p != nil {
		return *p
	}
	return other
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func size(ps ...*string) (int64, bool) {
	for _, p := range ps {
		if n, err := strconv.ParseInt(deref(p), 10, 64); err == nil {
			return n, true
		}
	}
	return 0, false
}

func override(o types.TaskOverride, name *string) types.ContainerOverride {
	for _, c := range o.ContainerOverrides {
		if deref(c.Name) == deref(name) {
			return c
		}
	}
	return types.ContainerOverride{}
}

// hostPorts are the ports of the node that a container must have, as "80/tcp".
func hostPorts(mode types.NetworkMode, c types.ContainerDefinition) []string {
	if mode == types.NetworkModeAwsvpc || mode == types.NetworkModeNone {
		return nil
	}
	var ports []string
	for _, m := range c.PortMappings {
		proto := string(m.Protocol)
		if proto == "" {
			proto = "tcp"
		}
		low, high := deref(m.HostPort), deref(m.HostPort)
		if mode == types.NetworkModeHost {
			low, high = deref(m.ContainerPort), deref(m.ContainerPort)
			if from, to, ok := strings.Cut(deref(m.ContainerPortRange), "-"); ok {
				a, _ := strconv.Atoi(from)
				b, _ := strconv.Atoi(to)
				low, high = int32(a), int32(b)
			}
		}
		for p := low; p <= high && p > 0; p++ {
			if s := fmt.Sprintf("%d/%s", p, proto); !slices.Contains(ports, s) {
				ports = append(ports, s)
			}
		}
	}
	return ports
}

// task is a new task for h, without an interface.
func (l *launcher) task(h home) cluster.Task {
	d := l.Definition
	t := cluster.Task{
		Scope: l.Scope, Cluster: l.Cluster, ID: cluster.NewID(),
		Family: d.Family, Revision: d.Revision,
		Group: l.Group, StartedBy: l.StartedBy, Service: l.Service,
		LaunchType: l.LaunchType, CapacityProvider: l.CapacityProvider,
		NetworkMode: d.Def.NetworkMode, Overrides: l.Overrides,
		EnableExecuteCommand: l.EnableExecuteCommand, Tags: l.Tags, Unserved: l.Definition.Unserved,
		Contracts: d.Contracts(),
		Node:      h.node, Instance: h.instance, Zone: h.zone,
		CreatedAt: time.Now().UTC(),
		Desired:   cluster.Running, Last: cluster.Provisioning,
		Connectivity: types.ConnectivityConnected, Health: types.HealthStatusUnknown,
	}
	t.Reserved, t.CPU, t.Memory = Need(d.Def, l.Overrides)
	t.ConnectivityAt = &t.CreatedAt
	t.Unserved = slices.Clone(t.Unserved)
	if l.EnableExecuteCommand {
		t.Unserved = append(t.Unserved, "enableExecuteCommand")
	}
	if l.Overrides.EphemeralStorage != nil {
		t.Unserved = append(t.Unserved, "overrides.ephemeralStorage")
	}
	if l.LaunchType == types.LaunchTypeFargate {
		t.PlatformVersion = l.PlatformVersion
		if t.PlatformVersion == "" || t.PlatformVersion == "LATEST" {
			t.PlatformVersion = LatestPlatform
		}
		t.EphemeralStorage = defaultEphemeral
		if e := d.Def.EphemeralStorage; e != nil {
			t.EphemeralStorage = e.SizeInGiB
		}
		if e := l.Overrides.EphemeralStorage; e != nil {
			t.EphemeralStorage = e.SizeInGiB
		}
	}
	for _, c := range d.Def.ContainerDefinitions {
		t.Containers = append(t.Containers, container(c, override(l.Overrides, c.Name)))
	}
	return t
}

func container(c types.ContainerDefinition, o types.ContainerOverride) cluster.Container {
	text := func(over, own *int32) string {
		if over == nil {
			over = own
		}
		if over == nil {
			return ""
		}
		return strconv.Itoa(int(*over))
	}
	out := cluster.Container{
		Name: deref(c.Name), ID: cluster.NewUUID(), Image: deref(c.Image),
		CPU: text(o.Cpu, &c.Cpu), Memory: text(o.Memory, c.Memory),
		Reservation: text(o.MemoryReservation, c.MemoryReservation),
		Essential:   c.Essential == nil || *c.Essential, Last: cluster.Pending,
	}
	if h := c.HealthCheck; h != nil && !(len(h.Command) > 0 && h.Command[0] == "NONE") {
		out.Health = types.HealthStatusUnknown
	}
	return out
}
