package ecs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// fargateSizes are the task sizes of Fargate: for each amount of CPU units the
// memory from least to most in steps, in MiB. From the ECS developer guide,
// "Task size".
var fargateSizes = map[int]struct{ least, most, step int }{
	256:   {512, 2048, 0}, // 512, 1024 and 2048
	512:   {1024, 4096, 1024},
	1024:  {2048, 8192, 1024},
	2048:  {4096, 16384, 1024},
	4096:  {8192, 30720, 1024},
	8192:  {16384, 61440, 4096},
	16384: {32768, 122880, 8192},
}

func fargateSize(cpu, memory int) bool {
	s, ok := fargateSizes[cpu]
	if !ok || memory < s.least || memory > s.most {
		return false
	}
	if s.step == 0 {
		return memory == 512 || memory == 1024 || memory == 2048
	}
	return (memory-s.least)%s.step == 0
}

// checkFargate says why Fargate would not take the definition, nil if it would.
func checkFargate(d types.TaskDefinition) error {
	switch {
	case d.NetworkMode != types.NetworkModeAwsvpc:
		return clientErr("Fargate only supports network mode ‘awsvpc’.")
	case d.Cpu == nil:
		return clientErr("Fargate requires that 'cpu' be defined at the task level.")
	case d.Memory == nil:
		return clientErr("Fargate requires that 'memory' be defined at the task level.")
	case !fargateSize(atoi(*d.Cpu), atoi(*d.Memory)):
		return clientErr("No Fargate configuration exists for given values: %s CPU, %s memory. See the AWS documentation for the valid values.", *d.Cpu, *d.Memory)
	case d.IpcMode != "":
		return clientErr("Fargate compatible task definitions do not support ipcMode.")
	case d.PidMode != "" && d.PidMode != types.PidModeTask:
		return clientErr("Tasks using the Fargate launch type do not support pidMode '%s'. The supported value for pidMode is 'task'.", d.PidMode)
	case len(d.PlacementConstraints) > 0:
		return clientErr("Fargate compatible task definitions do not support constraints.")
	}
	for _, v := range d.Volumes {
		switch {
		case v.DockerVolumeConfiguration != nil:
			return clientErr("Fargate compatible task definitions do not support dockerVolumeConfiguration.")
		case v.Host != nil && v.Host.SourcePath != nil:
			return clientErr("Fargate compatible task definitions do not support sourcePath.")
		}
	}
	for _, c := range d.ContainerDefinitions {
		if err := checkFargateContainer(d, c); err != nil {
			return err
		}
	}
	return nil
}

func checkFargateContainer(d types.TaskDefinition, c types.ContainerDefinition) error {
	within := func(v *int32) bool { return v == nil || *v >= 2 && *v <= 120 }
	switch {
	case deref(c.Privileged):
		return clientErr("Fargate requires that the 'privileged' setting be 'false' for container '%s'.", deref(c.Name))
	case len(c.DockerSecurityOptions) > 0:
		return clientErr("Fargate compatible task definitions do not support dockerSecurityOptions.")
	case !within(c.StopTimeout):
		return clientErr("Invalid 'stopTimeout' setting for container '%s'. On Fargate it must be between 2 and 120 seconds.", deref(c.Name))
	case !within(c.StartTimeout):
		return clientErr("Invalid 'startTimeout' setting for container '%s'. On Fargate it must be between 2 and 120 seconds.", deref(c.Name))
	case d.ExecutionRoleArn == nil && isECR(deref(c.Image)):
		return clientErr("Fargate requires task definition to have execution role ARN to support ECR images.")
	}
	for _, r := range c.ResourceRequirements {
		if r.Type == types.ResourceTypeGpu {
			return clientErr("Tasks using the Fargate launch type do not support GPU resource requirements.")
		}
	}
	for _, s := range c.SystemControls {
		if ns := deref(s.Namespace); strings.HasPrefix(ns, "kernel.") || strings.HasPrefix(ns, "fs.") {
			return clientErr("Fargate compatible task definitions do not support the system control %s.", ns)
		}
	}
	if l := c.LinuxParameters; l != nil {
		for _, p := range []struct {
			set  bool
			name string
		}{
			{len(l.Devices) > 0, "devices"}, {l.SharedMemorySize != nil, "sharedMemorySize"}, {len(l.Tmpfs) > 0, "tmpfs"},
			{l.MaxSwap != nil, "maxSwap"}, {l.Swappiness != nil, "swappiness"},
		} {
			if p.set {
				return clientErr("Fargate compatible task definitions do not support %s.", p.name)
			}
		}
		if l.Capabilities != nil {
			for _, k := range l.Capabilities.Add {
				if k != "SYS_PTRACE" {
					return clientErr("%s is not allowed on Fargate.", k)
				}
			}
		}
	}
	if l := c.LogConfiguration; l != nil {
		allowed := []types.LogDriver{types.LogDriverAwslogs, types.LogDriverSplunk, types.LogDriverAwsfirelens}
		switch {
		case !slices.Contains(allowed, l.LogDriver):
			return clientErr("%s is not a valid log driver. Must be one of [awslogs, splunk, awsfirelens].", l.LogDriver)
		case l.LogDriver == types.LogDriverAwslogs && d.ExecutionRoleArn == nil:
			return clientErr("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
		case l.LogDriver == types.LogDriverAwslogs && l.Options["awslogs-stream-prefix"] == "":
			return clientErr("Fargate requires log configuration options to include awslogs-stream-prefix to support log driver awslogs.")
		}
	}
	return nil
}

// isECR reports whether an image comes from a private Amazon ECR registry.
func isECR(image string) bool {
	host, _, _ := strings.Cut(image, "/")
	return strings.Contains(host, ".dkr.ecr") && strings.Contains(host, ".amazonaws.com")
}

// atoi is for task sizes, which sizeOf has made numbers.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("ecs: %q is no task size", s))
	}
	return n
}
