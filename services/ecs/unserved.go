package ecs

import (
	"runtime"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// UnservedField is a field of a task definition that is checked, kept and
// echoed, but does not act yet. A definition that uses one lists its path, and
// so do its tasks, as a warning; docs/coverage.md lists them all.
type UnservedField struct {
	Path string // as in the API: containerDefinitions[].secrets
	Note string // what happens instead
	used func(types.TaskDefinition) bool
}

// UnservedFields is the whole table, sorted by path.
func UnservedFields() []UnservedField { return slices.Clone(unservedFields) }

var unservedFields = []UnservedField{
	{"containerDefinitions[].credentialSpecs", "the container starts without a gMSA identity",
		anyContainer(func(c types.ContainerDefinition) bool { return len(c.CredentialSpecs) > 0 })},
	{"containerDefinitions[].dockerSecurityOptions", "only no-new-privileges acts: the container runs under the node's default profiles",
		anyContainer(func(c types.ContainerDefinition) bool {
			return slices.ContainsFunc(c.DockerSecurityOptions, func(o string) bool { return !strings.HasPrefix(o, "no-new-privileges") })
		})},
	{"containerDefinitions[].environmentFiles", "their variables are not set",
		anyContainer(func(c types.ContainerDefinition) bool { return len(c.EnvironmentFiles) > 0 })},
	{"containerDefinitions[].firelensConfiguration", "the container runs, but no logs are routed through it",
		anyContainer(func(c types.ContainerDefinition) bool { return c.FirelensConfiguration != nil })},
	{"containerDefinitions[].logConfiguration.logDriver", "a task with another driver than awslogs, json-file and none does not start",
		anyContainer(func(c types.ContainerDefinition) bool {
			return c.LogConfiguration != nil && !slices.Contains(logDrivers, c.LogConfiguration.LogDriver)
		})},
	{"containerDefinitions[].logConfiguration.secretOptions", "the options are not set",
		anyContainer(func(c types.ContainerDefinition) bool { return len(secretOptions(c)) > 0 })},
	{"containerDefinitions[].portMappings[].containerPortRange", "in bridge mode each port is published, and shown, by itself, and a stock agent publishes none",
		func(d types.TaskDefinition) bool {
			return (d.NetworkMode == "" || d.NetworkMode == types.NetworkModeBridge) && slices.ContainsFunc(d.ContainerDefinitions, hasPortRange)
		}},
	{"containerDefinitions[].repositoryCredentials", "the image is pulled without credentials",
		anyContainer(func(c types.ContainerDefinition) bool { return c.RepositoryCredentials != nil })},
	{"containerDefinitions[].resourceRequirements", "no GPU or Neuron device is passed through",
		anyContainer(func(c types.ContainerDefinition) bool { return len(c.ResourceRequirements) > 0 })},
	{"containerDefinitions[].secrets", "their variables are not set",
		anyContainer(func(c types.ContainerDefinition) bool { return len(c.Secrets) > 0 })},
	{"containerDefinitions[].versionConsistency", "every task resolves its image's tag for itself",
		anyContainer(func(c types.ContainerDefinition) bool { return c.VersionConsistency == types.VersionConsistencyEnabled })},
	{"enableFaultInjection", "the fault injection endpoints are not there",
		func(d types.TaskDefinition) bool { return deref(d.EnableFaultInjection) }},
	{"ephemeralStorage", "a task's disk space is not limited",
		func(d types.TaskDefinition) bool { return d.EphemeralStorage != nil }},
	{"proxyConfiguration", "traffic goes past the proxy container",
		func(d types.TaskDefinition) bool { return d.ProxyConfiguration != nil }},
	{"runtimePlatform.cpuArchitecture", "an image for another architecture than the node's does not start",
		func(d types.TaskDefinition) bool {
			return d.RuntimePlatform != nil && d.RuntimePlatform.CpuArchitecture != "" &&
				d.RuntimePlatform.CpuArchitecture != architecture()
		}},
	{"runtimePlatform.operatingSystemFamily", "only LINUX runs",
		func(d types.TaskDefinition) bool {
			return d.RuntimePlatform != nil && d.RuntimePlatform.OperatingSystemFamily != "" &&
				d.RuntimePlatform.OperatingSystemFamily != types.OSFamilyLinux
		}},
	{"volumes[].configuredAtLaunch", "calls that configure such a volume are refused, and without one its tasks do not start",
		anyVolume(func(v types.Volume) bool { return deref(v.ConfiguredAtLaunch) })},
	{"volumes[].dockerVolumeConfiguration.driver", "a task with another driver than local does not start",
		anyVolume(func(v types.Volume) bool {
			c := v.DockerVolumeConfiguration
			return c != nil && deref(c.Driver) != "" && *c.Driver != "local"
		})},
	{"volumes[].dockerVolumeConfiguration.driverOpts", "a task with options for the driver does not start",
		anyVolume(func(v types.Volume) bool {
			return v.DockerVolumeConfiguration != nil && len(v.DockerVolumeConfiguration.DriverOpts) > 0
		})},
	{"volumes[].efsVolumeConfiguration", "there are only host and docker volumes: its tasks do not start",
		anyVolume(func(v types.Volume) bool { return v.EfsVolumeConfiguration != nil })},
	{"volumes[].fsxWindowsFileServerVolumeConfiguration", "there are only host and docker volumes: its tasks do not start",
		anyVolume(func(v types.Volume) bool { return v.FsxWindowsFileServerVolumeConfiguration != nil })},
	{"volumes[].s3filesVolumeConfiguration", "there are only host and docker volumes: its tasks do not start",
		anyVolume(func(v types.Volume) bool { return v.S3filesVolumeConfiguration != nil })},
}

// logDrivers are those that a node has.
var logDrivers = []types.LogDriver{types.LogDriverAwslogs, types.LogDriverJsonFile, "none"}

func hasPortRange(c types.ContainerDefinition) bool {
	return slices.ContainsFunc(c.PortMappings, func(p types.PortMapping) bool { return deref(p.ContainerPortRange) != "" })
}

// unserved lists the paths of the fields that d uses and that do not act.
func unserved(d types.TaskDefinition) (paths []string) {
	for _, f := range unservedFields {
		if f.used(d) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func anyContainer(used func(types.ContainerDefinition) bool) func(types.TaskDefinition) bool {
	return func(d types.TaskDefinition) bool { return slices.ContainsFunc(d.ContainerDefinitions, used) }
}

func anyVolume(used func(types.Volume) bool) func(types.TaskDefinition) bool {
	return func(d types.TaskDefinition) bool { return slices.ContainsFunc(d.Volumes, used) }
}

// architecture is this machine's, in ECS's words.
func architecture() types.CPUArchitecture {
	if strings.HasPrefix(runtime.GOARCH, "arm") {
		return types.CPUArchitectureArm64
	}
	return types.CPUArchitectureX8664
}
