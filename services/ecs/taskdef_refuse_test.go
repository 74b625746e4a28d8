package ecs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func TestRefusedDefinitions(t *testing.T) {
	type input = ecs.RegisterTaskDefinitionInput
	type container = types.ContainerDefinition
	first := func(f func(*container)) func(*input) {
		return func(in *input) { f(&in.ContainerDefinitions[0]) }
	}
	and := func(c container) func(*input) {
		return func(in *input) { in.ContainerDefinitions = append(in.ContainerDefinitions, c) }
	}
	n := func(v int32) *int32 { return &v }
	port := func(p ...types.PortMapping) func(*input) { return first(func(c *container) { c.PortMappings = p }) }
	linux := func(l types.LinuxParameters) func(*input) {
		return first(func(c *container) { c.LinuxParameters = &l })
	}
	mode := func(m types.NetworkMode, f func(*input)) func(*input) {
		return func(in *input) { in.NetworkMode = m; f(in) }
	}
	for _, c := range []struct {
		change func(*input)
		want   string
	}{
		{func(in *input) { in.Family = nil }, "Family should not be null or empty."},
		{func(in *input) { in.Family = ptr("a b") }, "Family contains invalid characters."},
		{func(in *input) { in.ContainerDefinitions = nil }, "Container list cannot be empty."},
		{func(in *input) {
			for i := range 10 {
				and(container{Name: ptr(fmt.Sprint("c", i)), Image: ptr("a"), Memory: n(4)})(in)
			}
		}, "Too many containers."},
		{func(in *input) { in.Cpu = ptr("lots") }, "Invalid 'cpu' setting for task."},
		{func(in *input) { in.Cpu = ptr("64") }, "Invalid 'cpu' setting for task."},
		{func(in *input) { in.Memory = ptr("-1") }, "Invalid 'memory' setting for task."},
		{first(func(c *container) { c.Name = nil }), "Container.name should not be null or empty."},
		{first(func(c *container) { c.Name = ptr("a/b") }), "Container.name contains invalid characters."},
		{first(func(c *container) { c.Image = nil }), "Container.image should not be null or empty."},
		{first(func(c *container) { c.Image = ptr("a image") }), "Container.image contains invalid characters."},
		{first(func(c *container) { c.Command = []string{"a\x00"} }), "NUL character"},
		{first(func(c *container) { c.EntryPoint = []string{"/a\x00"} }), "NUL character"},
		{first(func(c *container) { c.Environment = []types.KeyValuePair{{Name: ptr("A"), Value: ptr("\x00")}} }), "NUL character"},
		{func(in *input) {
			in.PlacementConstraints = []types.TaskDefinitionPlacementConstraint{{Type: "memberOf", Expression: ptr("colour == red")}}
		}, "Invalid constraint 'colour == red'"},
		{first(func(c *container) { c.Memory = nil }), "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified."},
		{first(func(c *container) { c.MemoryReservation = n(200) }), "'memory' must be greater than or equal to 'memoryReservation'"},
		{func(in *input) { in.Memory = ptr("100") }, "The 'memory' setting for container 'app' is greater than for the task."},
		{func(in *input) { in.Cpu, in.ContainerDefinitions[0].Cpu = ptr("128"), 129 }, "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."},
		{first(func(c *container) { c.Essential = ptr(false) }), "Task definition doesn't have any essential container."},
		{and(container{Name: ptr("app"), Image: ptr("a"), Memory: n(4)}), "Container names must be unique within a task definition."},
		{port(types.PortMapping{}), "Invalid 'containerPort' setting for container 'app'."},
		{port(types.PortMapping{ContainerPort: n(70000)}), "Invalid 'containerPort' setting for container 'app'."},
		{port(types.PortMapping{ContainerPort: n(80), HostPort: n(90)}, types.PortMapping{ContainerPort: n(81), HostPort: n(90)}), "host port 90 is used multiple times in task"},
		{mode("awsvpc", port(types.PortMapping{ContainerPort: n(80), HostPort: n(90)})), "When networkMode=awsvpc, the host ports and container ports in port mappings must match."},
		{mode("host", port(types.PortMapping{ContainerPort: n(80), HostPort: n(90)})), "When networkMode=host, the host ports and container ports in port mappings must match."},
		{mode("none", port(types.PortMapping{ContainerPort: n(80)})), "Port mappings are not supported when networkMode=none."},
		{port(types.PortMapping{ContainerPortRange: ptr("90-80")}), "Invalid 'containerPortRange' setting for container 'app'."},
		{port(types.PortMapping{ContainerPortRange: ptr("80-90"), ContainerPort: n(80)}), "cannot specify both single port and port range"},
		{port(types.PortMapping{ContainerPortRange: ptr("80-90")}, types.PortMapping{ContainerPortRange: ptr("90-91")}), "container port 90 is used multiple times in task"},
		{port(types.PortMapping{ContainerPort: n(80), Name: ptr("a")}, types.PortMapping{ContainerPort: n(81), Name: ptr("a")}), "port mapping name 'a' is already used"},
		{mode("awsvpc", first(func(c *container) { c.Links = []string{"app"} })), "Links are not supported when networkMode=awsvpc."},
		{mode("awsvpc", first(func(c *container) { c.Hostname = ptr("h") })), "hostname is not supported on container when networkMode=awsvpc."},
		{mode("awsvpc", first(func(c *container) { c.DnsServers = []string{"1.1.1.1"} })), "DNS servers are not supported on container when networkMode=awsvpc."},
		{mode("awsvpc", first(func(c *container) {
			c.ExtraHosts = []types.HostEntry{{Hostname: ptr("a"), IpAddress: ptr("1.1.1.1")}}
		})), "Extra hosts are not supported on container when networkMode=awsvpc."},
		{first(func(c *container) { c.Links = []string{"db:db"} }), "Unknown container: 'db'"},
		{first(func(c *container) {
			c.MountPoints = []types.MountPoint{{SourceVolume: ptr("v"), ContainerPath: ptr("/v")}}
		}), "Unknown volume 'v'."},
		{first(func(c *container) { c.VolumesFrom = []types.VolumeFrom{{SourceContainer: ptr("db")}} }), "Invalid 'volumesFrom' setting. Unknown container: 'db'"},
		{func(in *input) { in.Volumes = []types.Volume{{Name: ptr("a.b")}} }, "volume.name contains invalid characters."},
		{func(in *input) {
			in.Volumes = []types.Volume{{Name: ptr("v"), Host: &types.HostVolumeProperties{SourcePath: ptr("")}}}
		}, "host.sourcePath should not be blank."},
		{func(in *input) { in.Volumes = []types.Volume{{Name: ptr("v"), ConfiguredAtLaunch: ptr(true)}} }, "Volumes [v] are not referenced by any of the containers."},
		{first(func(c *container) {
			c.DependsOn = []types.ContainerDependency{{ContainerName: ptr("db"), Condition: "START"}}
		}), "Cannot depend on container db because it does not exist."},
		{and(container{Name: ptr("b"), Image: ptr("a"), Memory: n(4), DependsOn: []types.ContainerDependency{{ContainerName: ptr("app"), Condition: "SUCCESS"}}}),
			"A dependency container with SUCCESS or COMPLETE condition cannot be an essential container."},
		{and(container{Name: ptr("b"), Image: ptr("a"), Memory: n(4), DependsOn: []types.ContainerDependency{{ContainerName: ptr("app"), Condition: "HEALTHY"}}}),
			"A dependency container with HEALTHY condition must have health check configured."},
		{func(in *input) {
			and(container{Name: ptr("b"), Image: ptr("a"), Memory: n(4), DependsOn: []types.ContainerDependency{{ContainerName: ptr("app"), Condition: "START"}}})(in)
			in.ContainerDefinitions[0].DependsOn = []types.ContainerDependency{{ContainerName: ptr("b"), Condition: "START"}}
		}, "circular dependency"},
		{func(in *input) {
			and(container{Name: ptr("b"), Image: ptr("a"), Memory: n(4), Links: []string{"app:store"}})(in)
			in.ContainerDefinitions[0].VolumesFrom = []types.VolumeFrom{{SourceContainer: ptr("b")}}
		}, "circular dependency"},
		{first(func(c *container) { c.HealthCheck = &types.HealthCheck{} }), "Health check command should not be null or empty"},
		{first(func(c *container) { c.HealthCheck = &types.HealthCheck{Command: []string{"CMD", "a"}, Interval: n(4)} }), "Invalid 'healthCheck.interval'"},
		{first(func(c *container) {
			c.RestartPolicy = &types.ContainerRestartPolicy{Enabled: ptr(true), RestartAttemptPeriod: n(59)}
		}),
			"The 'restartAttemptPeriod' setting for container 'app' must be between 60 and 1800."},
		{first(func(c *container) { c.Secrets = []types.Secret{{Name: ptr("A"), ValueFrom: ptr("/a")}} }), "you must also specify a value for 'executionRoleArn'"},
		{first(func(c *container) { c.LogConfiguration = &types.LogConfiguration{LogDriver: "awslogs"} }), "Log driver awslogs requires options: awslogs-region, awslogs-group"},
		{linux(types.LinuxParameters{Capabilities: &types.KernelCapabilities{Add: []string{"FLY"}}}), "Unknown capability: FLY"},
		{linux(types.LinuxParameters{Swappiness: n(101)}), "Invalid 'linuxParameters.swappiness'"},
		{func(in *input) { in.InferenceAccelerators = make([]types.InferenceAccelerator, 1) }, "Unsupported field 'inferenceAccelerators'."},
		{func(in *input) { in.EphemeralStorage = &types.EphemeralStorage{SizeInGiB: 20} }, "EphemeralStorage size should be at least 21."},
		{func(in *input) { in.Tags = []types.Tag{{Key: ptr("aws:x"), Value: ptr("")}} }, "aws:"},
		{first(func(c *container) {
			c.Environment = []types.KeyValuePair{{Name: ptr("A"), Value: ptr(strings.Repeat("x", 70000))}}
		}), "Max allowed length is '65536' bytes."},
	} {
		_, err := New(Config{}).RegisterTaskDefinition(caller(t.Context()), definitionInput(c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

func TestRefusedOnFargate(t *testing.T) {
	type input = ecs.RegisterTaskDefinitionInput
	n := func(v int32) *int32 { return &v }
	first := func(f func(*types.ContainerDefinition)) func(*input) {
		return func(in *input) { f(&in.ContainerDefinitions[0]) }
	}
	for _, c := range []struct {
		change func(*input)
		want   string
	}{
		{func(in *input) { in.NetworkMode = "bridge" }, "Fargate only supports network mode ‘awsvpc’."},
		{func(in *input) { in.Cpu = nil }, "Fargate requires that 'cpu' be defined at the task level."},
		{func(in *input) { in.Memory = nil }, "Fargate requires that 'memory' be defined at the task level."},
		{func(in *input) { in.Memory = ptr("8192") }, "No Fargate configuration exists for given values: 256 CPU, 8192 memory. See the AWS documentation for the valid values."},
		{func(in *input) { in.PidMode = "host" }, "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode is 'task'."},
		{func(in *input) { in.IpcMode = "host" }, "Fargate compatible task definitions do not support ipcMode."},
		{func(in *input) {
			in.Volumes = []types.Volume{{Name: ptr("v"), Host: &types.HostVolumeProperties{SourcePath: ptr("/x")}}}
		}, "Fargate compatible task definitions do not support sourcePath."},
		{first(func(c *types.ContainerDefinition) { c.Privileged = ptr(true) }), "Fargate requires that the 'privileged' setting be 'false'"},
		{first(func(c *types.ContainerDefinition) {
			c.LinuxParameters = &types.LinuxParameters{SharedMemorySize: n(64)}
		}), "Fargate compatible task definitions do not support sharedMemorySize."},
		{first(func(c *types.ContainerDefinition) {
			c.LinuxParameters = &types.LinuxParameters{Capabilities: &types.KernelCapabilities{Add: []string{"NET_ADMIN"}}}
		}), "NET_ADMIN is not allowed on Fargate."},
		{first(func(c *types.ContainerDefinition) { c.StopTimeout = n(121) }), "between 2 and 120 seconds"},
		{first(func(c *types.ContainerDefinition) { c.LogConfiguration = &types.LogConfiguration{LogDriver: "syslog"} }), "syslog is not a valid log driver. Must be one of [awslogs, splunk, awsfirelens]."},
		{first(func(c *types.ContainerDefinition) {
			c.LogConfiguration = &types.LogConfiguration{LogDriver: "awslogs", Options: map[string]string{"awslogs-group": "a", "awslogs-region": "b"}}
		}), "Fargate requires task definition to have execution role ARN to support log driver awslogs."},
		{first(func(c *types.ContainerDefinition) {
			c.Image = ptr("000000000000.dkr.ecr.us-east-1.amazonaws.com/a")
		}), "Fargate requires task definition to have execution role ARN to support ECR images."},
	} {
		_, err := newDefinition(fargateInput(c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}
