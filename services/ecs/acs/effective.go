package acs

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// effective is def with a task's overrides applied. def is not changed.
func effective(def types.TaskDefinition, o types.TaskOverride) types.TaskDefinition {
	set(&def.Cpu, o.Cpu)
	set(&def.Memory, o.Memory)
	set(&def.TaskRoleArn, o.TaskRoleArn)
	set(&def.ExecutionRoleArn, o.ExecutionRoleArn)
	set(&def.EphemeralStorage, o.EphemeralStorage)
	if len(o.ContainerOverrides) == 0 {
		return def
	}
	def.ContainerDefinitions = slices.Clone(def.ContainerDefinitions)
	for _, co := range o.ContainerOverrides {
		for i := range def.ContainerDefinitions {
			if c := &def.ContainerDefinitions[i]; deref(c.Name) == deref(co.Name) {
				override(c, co)
			}
		}
	}
	return def
}

func override(c *types.ContainerDefinition, o types.ContainerOverride) {
	if o.Command != nil {
		c.Command = o.Command
	}
	if o.Cpu != nil {
		c.Cpu = *o.Cpu
	}
	set(&c.Memory, o.Memory)
	set(&c.MemoryReservation, o.MemoryReservation)
	if o.ResourceRequirements != nil {
		c.ResourceRequirements = o.ResourceRequirements
	}
	c.EnvironmentFiles = slices.Concat(c.EnvironmentFiles, o.EnvironmentFiles)
	if len(o.Environment) == 0 {
		return
	}
	c.Environment = slices.Clone(c.Environment)
	for _, kv := range o.Environment {
		at := slices.IndexFunc(c.Environment, func(have types.KeyValuePair) bool { return deref(have.Name) == deref(kv.Name) })
		if at < 0 {
			c.Environment = append(c.Environment, kv)
			continue
		}
		c.Environment[at] = kv
	}
}

// set replaces *p by v unless v is nil.
func set[T any](p **T, v *T) {
	if v != nil {
		*p = v
	}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
