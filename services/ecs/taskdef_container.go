package ecs

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var (
	imageOK   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9:@/_.\-#]{0,254}$`)
	hostOK    = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,253}[a-zA-Z0-9])?$`)
	addressOK = regexp.MustCompile(`^[0-9a-fA-F.:]{2,45}$`)
)

// checkContainer checks what one container definition says by itself. The
// sentences are AWS's where they are known.
func checkContainer(d types.TaskDefinition, c types.ContainerDefinition) error {
	name := deref(c.Name)
	bad := func(setting, why string) error {
		return clientErr("Invalid '%s' setting for container '%s'. %s", setting, name, why)
	}
	switch {
	case name == "":
		return clientErr("Container.name should not be null or empty.")
	case !nameOK.MatchString(name):
		return clientErr("Container.name contains invalid characters.")
	case deref(c.Image) == "":
		return clientErr("Container.image should not be null or empty.")
	case !imageOK.MatchString(*c.Image):
		return clientErr("Container.image contains invalid characters.")
	case c.Cpu < 0:
		return bad("cpu", "It must not be negative.")
	case c.Memory != nil && *c.Memory < 4:
		return bad("memory", "It must be at least 4 MiB.")
	case c.MemoryReservation != nil && *c.MemoryReservation < 4:
		return bad("memoryReservation", "It must be at least 4 MiB.")
	case c.Memory == nil && c.MemoryReservation == nil && d.Memory == nil:
		return clientErr("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", name)
	case c.Memory != nil && c.MemoryReservation != nil && *c.Memory < *c.MemoryReservation:
		return clientErr("Invalid setting for container '%s'. 'memory' must be greater than or equal to 'memoryReservation'.", name)
	case c.StartTimeout != nil && *c.StartTimeout < 2:
		return bad("startTimeout", "It must be at least 2 seconds.")
	case c.StopTimeout != nil && *c.StopTimeout < 2:
		return bad("stopTimeout", "It must be at least 2 seconds.")
	case c.Hostname != nil && *c.Hostname != "" && !hostOK.MatchString(*c.Hostname):
		return bad("hostname", "It must be a host name.")
	}
	if err := checkNetworking(d, c); err != nil {
		return err
	}
	for _, e := range c.Environment {
		if deref(e.Name) == "" {
			return bad("environment", "Each variable needs a name.")
		}
	}
	switch {
	case slices.ContainsFunc(slices.Concat(c.Command, c.EntryPoint, []string{deref(c.User), deref(c.WorkingDirectory)}), hasNUL):
		return clientErr("Container '%s' has a NUL character in its command, entryPoint, user or workingDirectory, which no program can be given.", name)
	case hasNULs(c.Environment):
		return bad("environment", "It has a NUL character, which no program can be given.")
	}
	for _, s := range slices.Concat(c.Secrets, secretOptions(c)) {
		switch {
		case deref(s.Name) == "":
			return clientErr("Secret name must not be null or empty.")
		case deref(s.ValueFrom) == "":
			return clientErr("The secret name must be a valid ARN or the name of a parameter: '%s' of container '%s' has none.", deref(s.Name), name)
		case d.ExecutionRoleArn == nil:
			return clientErr("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
		}
	}
	if len(c.EnvironmentFiles) > 10 {
		return clientErr("The maximum number of environment files was exceeded. Specify ten or less and try again.")
	}
	for _, h := range c.ExtraHosts {
		if !hostOK.MatchString(deref(h.Hostname)) || !addressOK.MatchString(deref(h.IpAddress)) {
			return bad("extraHosts", "Each entry needs a hostname and an ipAddress.")
		}
	}
	for _, u := range c.Ulimits {
		if u.SoftLimit > u.HardLimit && u.HardLimit != -1 || u.Name == "" {
			return bad("ulimits", "Each needs a name, and a softLimit that is not above its hardLimit.")
		}
	}
	for _, s := range c.SystemControls {
		if deref(s.Namespace) == "" || deref(s.Value) == "" {
			return bad("systemControls", "Each needs a namespace and a value.")
		}
	}
	for _, check := range []func(types.TaskDefinition, types.ContainerDefinition) error{
		checkHealth, checkRestart, checkLinux, checkLogging, checkMounts, checkDependencies,
	} {
		if err := check(d, c); err != nil {
			return err
		}
	}
	return nil
}

func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

func hasNULs(vars []types.KeyValuePair) bool {
	return slices.ContainsFunc(vars, func(v types.KeyValuePair) bool { return hasNUL(deref(v.Name)) || hasNUL(deref(v.Value)) })
}

func secretOptions(c types.ContainerDefinition) []types.Secret {
	if c.LogConfiguration == nil {
		return nil
	}
	return c.LogConfiguration.SecretOptions
}

// isEssential is the container's essential setting: true unless it says no.
func isEssential(c types.ContainerDefinition) bool { return c.Essential == nil || *c.Essential }

// checkContainers checks what the containers are to each other.
func checkContainers(d types.TaskDefinition) error {
	seen := map[string]bool{}
	essential, cpu, memory := false, 0, 0
	for _, c := range d.ContainerDefinitions {
		name := deref(c.Name)
		if seen[name] {
			return clientErr("Container names must be unique within a task definition. '%s' is used more than once.", name)
		}
		seen[name] = true
		essential = essential || isEssential(c)
		cpu += int(c.Cpu)
		if c.MemoryReservation != nil {
			memory += int(*c.MemoryReservation)
		} else {
			memory += int(deref(c.Memory))
		}
		if d.Memory != nil && int(deref(c.Memory)) > atoi(*d.Memory) {
			return clientErr("Invalid setting for container '%s'. The 'memory' setting for container '%s' is greater than for the task.", name, name)
		}
	}
	switch {
	case !essential:
		return clientErr("Task definition doesn't have any essential container.")
	case d.Cpu != nil && cpu > atoi(*d.Cpu):
		return clientErr("The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.")
	case d.Memory != nil && memory > atoi(*d.Memory):
		return clientErr("The sum of all container 'memory' values cannot be greater than the value of the task 'memory'.")
	}
	if err := checkPorts(d); err != nil {
		return err
	}
	return checkCycles(d)
}

// checkHealth bounds a health check as the API reference does.
func checkHealth(_ types.TaskDefinition, c types.ContainerDefinition) error {
	h := c.HealthCheck
	if h == nil {
		return nil
	}
	bad := func(field, why string) error {
		return clientErr("Invalid 'healthCheck.%s' setting for container '%s'. %s", field, deref(c.Name), why)
	}
	within := func(v *int32, least, most int32) bool { return v == nil || *v >= least && *v <= most }
	switch {
	case len(h.Command) == 0:
		return clientErr("Health check command should not be null or empty for container '%s'.", deref(c.Name))
	case h.Command[0] != "CMD" && h.Command[0] != "CMD-SHELL" && h.Command[0] != "NONE":
		return bad("command", "It must begin with CMD, CMD-SHELL or NONE.")
	case h.Command[0] != "NONE" && len(h.Command) < 2:
		return bad("command", "It needs what to run after "+h.Command[0]+".")
	case !within(h.Interval, 5, 300):
		return bad("interval", "It must be between 5 and 300 seconds.")
	case !within(h.Timeout, 2, 60):
		return bad("timeout", "It must be between 2 and 60 seconds.")
	case !within(h.Retries, 1, 10):
		return bad("retries", "It must be between 1 and 10.")
	case !within(h.StartPeriod, 0, 300):
		return bad("startPeriod", "It must be between 0 and 300 seconds.")
	}
	return nil
}

func checkRestart(_ types.TaskDefinition, c types.ContainerDefinition) error {
	p := c.RestartPolicy
	if p == nil {
		return nil
	}
	switch {
	case p.Enabled == nil:
		return clientErr("Invalid 'restartPolicy' setting for container '%s'. 'enabled' must be specified.", deref(c.Name))
	case p.RestartAttemptPeriod != nil && (*p.RestartAttemptPeriod < 60 || *p.RestartAttemptPeriod > 1800):
		return clientErr("The 'restartAttemptPeriod' setting for container '%s' must be between 60 and 1800.", deref(c.Name))
	case len(p.IgnoredExitCodes) > 50:
		return clientErr("The 'ignoredExitCodes' setting for container '%s' must have at most 50 exit codes.", deref(c.Name))
	}
	return nil
}

// checkDependencies checks dependsOn: the rules are those of the developer
// guide, "Container dependency".
func checkDependencies(d types.TaskDefinition, c types.ContainerDefinition) error {
	for _, dep := range c.DependsOn {
		name := deref(dep.ContainerName)
		i := slices.IndexFunc(d.ContainerDefinitions, named(name))
		switch {
		case name == "" || dep.Condition == "":
			return clientErr("Invalid 'dependsOn' setting for container '%s'. Each dependency needs a containerName and a condition.", deref(c.Name))
		case i < 0:
			return clientErr("Cannot depend on container %s because it does not exist.", name)
		case name == deref(c.Name):
			return clientErr("Container '%s' cannot depend on itself.", name)
		}
		of := d.ContainerDefinitions[i]
		switch dep.Condition {
		case types.ContainerConditionComplete, types.ContainerConditionSuccess:
			if isEssential(of) {
				return clientErr("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container.")
			}
		case types.ContainerConditionHealthy:
			if of.HealthCheck == nil || of.HealthCheck.Command[0] == "NONE" {
				return clientErr("A dependency container with HEALTHY condition must have health check configured.")
			}
		}
	}
	return nil
}

// checkCycles refuses containers that wait for each other: they would never
// start. volumesFrom and links order the start as dependsOn does.
func checkCycles(d types.TaskDefinition) error {
	edges := map[string][]string{}
	for _, c := range d.ContainerDefinitions {
		for _, dep := range c.DependsOn {
			edges[deref(c.Name)] = append(edges[deref(c.Name)], deref(dep.ContainerName))
		}
		for _, v := range c.VolumesFrom {
			edges[deref(c.Name)] = append(edges[deref(c.Name)], deref(v.SourceContainer))
		}
		for _, l := range c.Links {
			target, _, _ := strings.Cut(l, ":")
			edges[deref(c.Name)] = append(edges[deref(c.Name)], target)
		}
	}
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(string) bool
	visit = func(name string) bool {
		switch state[name] {
		case visiting:
			return false
		case done:
			return true
		}
		state[name] = visiting
		for _, next := range edges[name] {
			if !visit(next) {
				return false
			}
		}
		state[name] = done
		return true
	}
	for _, c := range d.ContainerDefinitions {
		if !visit(deref(c.Name)) {
			return clientErr("A circular dependency was found in the container dependencies: it leads back to container '%s'.", deref(c.Name))
		}
	}
	return nil
}
