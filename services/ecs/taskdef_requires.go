package ecs

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	capability = "com.amazonaws.ecs.capability."
	dockerAPI  = capability + "docker-remote-api."
)

// requiresAttributes are the attributes that a container instance must have to
// run the definition, in the names that the ECS agent registers. AWS derives
// them from the fields in use; the table was read off its answers.
func requiresAttributes(d types.TaskDefinition) []types.Attribute {
	var names []string
	need := func(when bool, more ...string) {
		for _, n := range more {
			if when && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	need(d.NetworkMode == types.NetworkModeAwsvpc, "ecs.capability.task-eni", dockerAPI+"1.18")
	need(d.TaskRoleArn != nil && d.NetworkMode == types.NetworkModeHost, capability+"task-iam-role-network-host")
	need(d.TaskRoleArn != nil && d.NetworkMode != types.NetworkModeHost, capability+"task-iam-role")
	need(d.PidMode != "" || d.IpcMode != "", "ecs.capability.pid-ipc-namespace-sharing")
	need(d.ProxyConfiguration != nil, "ecs.capability.aws-appmesh")
	need(d.NetworkMode != types.NetworkModeAwsvpc && (d.Cpu != nil || d.Memory != nil), "ecs.capability.task-cpu-mem-limit")
	for _, v := range d.Volumes {
		need(v.DockerVolumeConfiguration != nil, dockerAPI+"1.25")
		need(v.EfsVolumeConfiguration != nil, dockerAPI+"1.25", "ecs.capability.efs", "ecs.capability.efsAuth")
		need(v.FsxWindowsFileServerVolumeConfiguration != nil, "ecs.capability.fsxWindowsFileServer")
	}
	for _, c := range d.ContainerDefinitions {
		containerRequires(d, c, need)
	}
	out := make([]types.Attribute, len(names))
	for i, n := range names {
		out[i] = types.Attribute{Name: ptr(n)}
	}
	return out
}

func containerRequires(d types.TaskDefinition, c types.ContainerDefinition, need func(bool, ...string)) {
	role := d.ExecutionRoleArn != nil
	need(isECR(deref(c.Image)), capability+"ecr-auth", dockerAPI+"1.19")
	need(isECR(deref(c.Image)) && role, "ecs.capability.execution-role-ecr-pull")
	need(deref(c.Privileged), capability+"privileged-container")
	need(len(c.Ulimits) > 0 || len(c.DockerLabels) > 0, dockerAPI+"1.18")
	need(deref(c.ReadonlyRootFilesystem) || len(c.ExtraHosts) > 0, dockerAPI+"1.17")
	need(c.MemoryReservation != nil, dockerAPI+"1.21")
	need(c.HealthCheck != nil, dockerAPI+"1.24", "ecs.capability.container-health-check")
	need(len(c.DependsOn) > 0, "ecs.capability.container-ordering")
	need(c.RestartPolicy != nil && deref(c.RestartPolicy.Enabled), "ecs.capability.container-restart-policy")
	need(c.RepositoryCredentials != nil, "ecs.capability.private-registry-authentication.secretsmanager")
	need(len(c.EnvironmentFiles) > 0, "ecs.capability.env-files.s3")
	need(c.FirelensConfiguration != nil, "ecs.capability.firelens."+firelensType(c))
	for _, s := range c.Secrets {
		need(isSecret(s), "ecs.capability.secrets.asm.environment-variables")
		need(!isSecret(s), "ecs.capability.secrets.ssm.environment-variables")
	}
	for _, s := range secretOptions(c) {
		need(isSecret(s), "ecs.capability.secrets.asm.bootstrap.log-driver")
		need(!isSecret(s), "ecs.capability.secrets.ssm.bootstrap.log-driver")
	}
	if l := c.LinuxParameters; l != nil {
		need(deref(l.InitProcessEnabled), dockerAPI+"1.25")
		need(l.SharedMemorySize != nil || len(l.Tmpfs) > 0, dockerAPI+"1.22")
		need(l.MaxSwap != nil || l.Swappiness != nil, "ecs.capability.container-swap")
	}
	if l := c.LogConfiguration; l != nil {
		need(true, capability+"logging-driver."+string(l.LogDriver), dockerAPI+"1.18")
		need(l.LogDriver == types.LogDriverAwslogs, dockerAPI+"1.19")
		need(l.LogDriver == types.LogDriverAwslogs && role, "ecs.capability.execution-role-awslogs")
	}
}

func firelensType(c types.ContainerDefinition) string {
	if c.FirelensConfiguration == nil {
		return ""
	}
	return string(c.FirelensConfiguration.Type)
}

// isSecret tells a secret of Secrets Manager from a parameter of Systems Manager.
func isSecret(s types.Secret) bool {
	p := strings.SplitN(deref(s.ValueFrom), ":", 4)
	return len(p) == 4 && p[0] == "arn" && p[2] == "secretsmanager"
}
