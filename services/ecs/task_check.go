package ecs

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster/launch"
)

var (
	startedByOK = regexp.MustCompile(`^[a-zA-Z0-9\-_/:=+@.]{1,128}$`)
	groupOK     = regexp.MustCompile(`^[a-zA-Z0-9\-_:/.]{1,255}$`)
)

// check checks what needs no looking up, and puts sizes into numbers.
func (r *run) check(volumes []types.TaskVolumeConfiguration, reference string) (err error) {
	q := &r.request
	switch {
	case deref(r.definition) == "":
		return clientErr("TaskDefinition can not be blank.")
	case len(volumes) > 0:
		return unsupported("volumeConfigurations is not served: dhow attaches no EBS volumes. Use a host or docker volume of the task definition.")
	case !tokenOK(r.token, 64):
		return invalidParam(badToken, 64)
	case len(reference) > 1024:
		return invalidParam("Invalid referenceId: it can be 1024 characters long at most.")
	case q.StartedBy != "" && !startedByOK.MatchString(q.StartedBy):
		return invalidParam("Invalid startedBy: up to 128 letters, numbers, hyphens, slashes and underscores are allowed, but it was %.140q.", q.StartedBy)
	case strings.HasPrefix(q.Group, "service:") || strings.HasPrefix(q.Group, "daemon:"):
		return invalidParam("Invalid namespace for group.")
	case q.Group != "" && !groupOK.MatchString(q.Group):
		return invalidParam("Invalid group: up to 255 letters, numbers, hyphens, underscores, colons, slashes and points are allowed, but it was %.260q.", q.Group)
	case r.propagate == types.PropagateTagsService:
		return invalidParam("Invalid propagateTags: SERVICE is for tasks of services. Use TASK_DEFINITION or NONE.")
	}
	if err := validateTags(q.Tags); err != nil {
		return err
	}
	if err := checkPlatform(q.PlatformVersion); err != nil {
		return err
	}
	o := &q.Overrides
	if jsonSize(*o) > maxOverrides {
		return invalidParam("Container Overrides length must be at most %d", maxOverrides)
	}
	if o.Cpu, err = sizeOf(given(o.Cpu), cpuUnits, 128, 196608, "cpu"); err != nil {
		return err
	}
	o.Memory, err = sizeOf(given(o.Memory), memoryUnits, 4, math.MaxInt32, "memory")
	return err
}

// maxOverrides bounds a call's overrides as JSON, in bytes, by the API reference
// on TaskOverride.
const maxOverrides = 8192

// badToken is why a client token is refused that tokenOK does not take.
const badToken = "Invalid clientToken: it can be up to %d characters long, of the visible ones of ASCII."

// tokenOK reports whether s may be a client token, or is none. The limits are
// those of the API reference, "Ensuring idempotency".
func tokenOK(s string, most int) bool {
	for i := range len(s) {
		if s[i] < 33 || s[i] > 126 {
			return false
		}
	}
	return len(s) <= most
}

// platforms are Fargate's platform versions for Linux; a task of any runs the
// same way here.
var platforms = []string{"", "LATEST", "1.4.0", "1.3.0"}

func checkPlatform(v string) error {
	if !slices.Contains(platforms, v) {
		return &types.PlatformUnknownException{Message: ptr("The specified platform does not exist: " + v + ". Use LATEST, 1.4.0 or 1.3.0.")}
	}
	return nil
}

// checkOverrides checks a task's overrides against its definition.
func checkOverrides(d types.TaskDefinition, o types.TaskOverride) error {
	//lint:ignore SA1019 to refuse it
	if len(o.InferenceAcceleratorOverrides) > 0 {
		return clientErr("Unsupported field 'inferenceAccelerators'.")
	}
	if e := o.EphemeralStorage; e != nil && (e.SizeInGiB < 20 || e.SizeInGiB > 200) {
		return invalidParam("Invalid ephemeralStorage override: %d GiB. It must be between 20 and 200.", e.SizeInGiB)
	}
	for what, role := range map[string]*string{"taskRoleArn": o.TaskRoleArn, "executionRoleArn": o.ExecutionRoleArn} {
		if deref(role) != "" && !roleOK.MatchString(*role) {
			return clientErr("Role is not valid: %s is neither the ARN nor the name of an IAM role (%s).", *role, what)
		}
	}
	seen := map[string]bool{}
	for _, c := range o.ContainerOverrides {
		name := deref(c.Name)
		i := slices.IndexFunc(d.ContainerDefinitions, named(name))
		switch {
		case name == "":
			return invalidParam("Container override must have a name.")
		case i < 0:
			return invalidParam("Override for container named %s is not a container in the TaskDefinition.", name)
		case seen[name]:
			return invalidParam("Container %s is overridden more than once.", name)
		case len(c.EnvironmentFiles) > 0:
			return unsupported("overrides.containerOverrides[].environmentFiles is not served (container %s). Use environment.", name)
		case len(c.ResourceRequirements) > 0:
			return unsupported("overrides.containerOverrides[].resourceRequirements is not served (container %s): dhow passes no GPUs to containers.", name)
		case slices.ContainsFunc(c.Command, hasNUL) || hasNULs(c.Environment):
			return invalidParam("The override of container %s has a NUL character, which no program can be given.", name)
		case c.Cpu != nil && *c.Cpu < 0:
			return invalidParam("Invalid cpu override of container %s: %d is negative.", name, *c.Cpu)
		case c.Memory != nil && *c.Memory < 6:
			return invalidParam("Invalid memory override of container %s: %d MiB. It must be 6 at least.", name, *c.Memory)
		case c.MemoryReservation != nil && *c.MemoryReservation < 6:
			return invalidParam("Invalid memoryReservation override of container %s: %d MiB. It must be 6 at least.", name, *c.MemoryReservation)
		}
		seen[name] = true
		for _, e := range c.Environment {
			if deref(e.Name) == "" {
				return invalidParam("An environment variable in the override of container %s lacks a name.", name)
			}
		}
		def := d.ContainerDefinitions[i]
		hard, soft := orElse(c.Memory, def.Memory), orElse(c.MemoryReservation, def.MemoryReservation)
		if hard != nil && soft != nil && *soft > *hard {
			return invalidParam("Invalid override of container %s: memoryReservation %d is more than memory %d.", name, *soft, *hard)
		}
	}
	return nil
}

func orElse[T any](p, other *T) *T {
	if p != nil {
		return p
	}
	return other
}

// compatible checks a definition against the launch type that it is to run as.
func compatible(d types.TaskDefinition, r launch.Request) error {
	if !slices.Contains(d.Compatibilities, types.Compatibility(r.LaunchType)) {
		return invalidParam("Task definition does not support launch_type %s.", r.LaunchType)
	}
	if r.LaunchType != types.LaunchTypeFargate {
		if r.PlatformVersion != "" {
			return invalidParam("The platform version must be null when specifying an %s launch type.", r.LaunchType)
		}
		return nil
	}
	cpu, memory := deref(orElse(r.Overrides.Cpu, d.Cpu)), deref(orElse(r.Overrides.Memory, d.Memory))
	if !fargateSize(atoi(cpu), atoi(memory)) {
		return clientErr("No Fargate configuration exists for given values: %s CPU, %s memory. See the AWS documentation for the valid values.", cpu, memory)
	}
	return nil
}
