package ecs

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// fillDefaults puts in what AWS answers with where the request said nothing.
// What it leaves out stays out: clients that compare (Terraform) take the
// answer for the wish, so a default that AWS does not show must not be shown.
func fillDefaults(d *types.TaskDefinition) {
	d.PlacementConstraints = orEmpty(d.PlacementConstraints)
	d.Volumes = orEmpty(d.Volumes)
	if d.EnableFaultInjection == nil {
		d.EnableFaultInjection = ptr(false)
	}
	if p := d.ProxyConfiguration; p != nil && p.Type == "" {
		filled := *p
		filled.Type = types.ProxyConfigurationTypeAppmesh
		d.ProxyConfiguration = &filled
	}
	for i, v := range d.Volumes {
		if c := v.DockerVolumeConfiguration; c != nil && c.Scope == "" {
			filled := *c
			filled.Scope = types.ScopeTask
			d.Volumes[i].DockerVolumeConfiguration = &filled
		}
	}
	for i := range d.ContainerDefinitions {
		fillContainer(d.NetworkMode, &d.ContainerDefinitions[i])
	}
	d.Compatibilities = compatibilities(*d)
	d.RequiresAttributes = requiresAttributes(*d)
}

func fillContainer(mode types.NetworkMode, c *types.ContainerDefinition) {
	c.Essential = ptr(isEssential(*c))
	c.Environment = orEmpty(c.Environment)
	c.MountPoints = orEmpty(c.MountPoints)
	c.VolumesFrom = orEmpty(c.VolumesFrom)
	c.SystemControls = orEmpty(c.SystemControls)
	c.PortMappings = orEmpty(slices.Clone(c.PortMappings))
	for i := range c.PortMappings {
		p := &c.PortMappings[i]
		p.Protocol = protocol(*p)
		switch {
		case deref(p.ContainerPortRange) != "" || deref(p.HostPort) != 0:
		case mode == types.NetworkModeAwsvpc || mode == types.NetworkModeHost:
			p.HostPort = p.ContainerPort
		default:
			p.HostPort = ptr(int32(0)) // the node chooses
		}
	}
	if h := c.HealthCheck; h != nil {
		filled := *h
		for _, f := range []struct {
			field **int32
			value int32
		}{{&filled.Interval, 30}, {&filled.Timeout, 5}, {&filled.Retries, 3}} {
			if *f.field == nil {
				*f.field = ptr(f.value)
			}
		}
		c.HealthCheck = &filled
	}
}

// compatibilities are the launch types that the definition is fit for. AWS
// names MANAGED_INSTANCES too, which dhow has none of.
func compatibilities(d types.TaskDefinition) []types.Compatibility {
	out := []types.Compatibility{types.CompatibilityEc2}
	if checkFargate(d) == nil {
		out = append(out, types.CompatibilityFargate)
	}
	if d.NetworkMode != types.NetworkModeAwsvpc {
		out = append(out, types.CompatibilityExternal)
	}
	return out
}
