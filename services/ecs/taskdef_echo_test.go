package ecs

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// everything is a definition in bridge mode that says all that one can say, but
// for a proxy, which awsvpc mode has.
func everything() *ecs.RegisterTaskDefinitionInput {
	n := func(v int32) *int32 { return &v }
	secret := []types.Secret{{Name: ptr("S"), ValueFrom: ptr("arn:aws:ssm:us-east-1:000000000000:parameter/p")}}
	app := types.ContainerDefinition{
		Name: ptr("app"), Image: ptr("app:1"), Cpu: 128, Memory: n(256), MemoryReservation: n(128), Essential: ptr(true),
		Command: []string{"run"}, EntryPoint: []string{"/bin/sh"}, User: ptr("1000:1000"), WorkingDirectory: ptr("/srv"),
		Interactive: ptr(true), PseudoTerminal: ptr(true), Privileged: ptr(true), ReadonlyRootFilesystem: ptr(true),
		DisableNetworking: ptr(true), Hostname: ptr("host"), DnsServers: []string{"10.0.0.2"}, DnsSearchDomains: []string{"example.test"},
		ExtraHosts: []types.HostEntry{{Hostname: ptr("db"), IpAddress: ptr("10.0.0.9")}}, Links: []string{"side:s"},
		CredentialSpecs: []string{"credentialspec:file"}, DockerSecurityOptions: []string{"no-new-privileges"}, DockerLabels: map[string]string{"a": "b"},
		DependsOn:        []types.ContainerDependency{{ContainerName: ptr("side"), Condition: types.ContainerConditionStart}},
		Environment:      []types.KeyValuePair{{Name: ptr("B"), Value: ptr("2")}, {Name: ptr("A"), Value: ptr("")}},
		EnvironmentFiles: []types.EnvironmentFile{{Type: types.EnvironmentFileTypeS3, Value: ptr("arn:aws:s3:::b/f.env")}},
		HealthCheck:      &types.HealthCheck{Command: []string{"CMD", "true"}, Interval: n(10), Timeout: n(3), Retries: n(2), StartPeriod: n(1)},
		LinuxParameters: &types.LinuxParameters{InitProcessEnabled: ptr(true), MaxSwap: n(10), Swappiness: n(50), SharedMemorySize: n(64),
			Capabilities: &types.KernelCapabilities{Add: []string{"NET_ADMIN"}, Drop: []string{"MKNOD"}},
			Devices:      []types.Device{{HostPath: ptr("/dev/fuse"), ContainerPath: ptr("/dev/fuse"), Permissions: []types.DeviceCgroupPermission{"read"}}},
			Tmpfs:        []types.Tmpfs{{ContainerPath: ptr("/tmp"), Size: 16, MountOptions: []string{"noexec"}}}},
		LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, SecretOptions: secret,
			Options: map[string]string{"awslogs-group": "g", "awslogs-region": "us-east-1"}},
		MountPoints: []types.MountPoint{{SourceVolume: ptr("host"), ContainerPath: ptr("/data"), ReadOnly: ptr(true)}},
		PortMappings: []types.PortMapping{
			{ContainerPort: n(80), HostPort: n(8080), Protocol: types.TransportProtocolUdp, Name: ptr("web"), AppProtocol: types.ApplicationProtocolHttp},
			{ContainerPortRange: ptr("9000-9001"), Protocol: types.TransportProtocolTcp}},
		RepositoryCredentials: &types.RepositoryCredentials{CredentialsParameter: ptr("arn:aws:secretsmanager:us-east-1:000000000000:secret:s")},
		ResourceRequirements:  []types.ResourceRequirement{{Type: types.ResourceTypeGpu, Value: ptr("1")}},
		RestartPolicy:         &types.ContainerRestartPolicy{Enabled: ptr(true), IgnoredExitCodes: []int32{3}, RestartAttemptPeriod: n(60)},
		Secrets:               secret, StartTimeout: n(30), StopTimeout: n(40),
		SystemControls:     []types.SystemControl{{Namespace: ptr("net.core.somaxconn"), Value: ptr("100")}},
		Ulimits:            []types.Ulimit{{Name: types.UlimitNameNofile, SoftLimit: 10, HardLimit: 20}},
		VersionConsistency: types.VersionConsistencyDisabled,
		VolumesFrom:        []types.VolumeFrom{{SourceContainer: ptr("side"), ReadOnly: ptr(true)}},
		FirelensConfiguration: &types.FirelensConfiguration{Type: types.FirelensConfigurationTypeFluentbit,
			Options: map[string]string{"enable-ecs-log-metadata": "true"}},
	}
	return &ecs.RegisterTaskDefinitionInput{
		Family: ptr("all"), NetworkMode: types.NetworkModeBridge, Cpu: ptr("1024"), Memory: ptr("2048"),
		TaskRoleArn: ptr("arn:aws:iam::000000000000:role/t"), ExecutionRoleArn: ptr("arn:aws:iam::000000000000:role/e"),
		PidMode: types.PidModeTask, IpcMode: types.IpcModeTask, EnableFaultInjection: ptr(true),
		EphemeralStorage:        &types.EphemeralStorage{SizeInGiB: 30},
		RuntimePlatform:         &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureArm64, OperatingSystemFamily: types.OSFamilyLinux},
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityEc2},
		PlacementConstraints:    []types.TaskDefinitionPlacementConstraint{{Type: "memberOf", Expression: ptr("attribute:ecs.os-type == linux")}},
		Tags:                    []types.Tag{{Key: ptr("k"), Value: ptr("v")}},
		ContainerDefinitions: []types.ContainerDefinition{app, {Name: ptr("side"), Image: ptr("side:1"), Memory: n(64), Essential: ptr(false),
			Environment: []types.KeyValuePair{}, MountPoints: []types.MountPoint{}, PortMappings: []types.PortMapping{}, VolumesFrom: []types.VolumeFrom{}, SystemControls: []types.SystemControl{}}},
		Volumes: []types.Volume{
			{Name: ptr("host"), Host: &types.HostVolumeProperties{SourcePath: ptr("/srv")}},
			{Name: ptr("docker"), DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Scope: types.ScopeShared, Autoprovision: ptr(true),
				Driver: ptr("local"), DriverOpts: map[string]string{"o": "x"}, Labels: map[string]string{"l": "m"}}},
			{Name: ptr("efs"), EfsVolumeConfiguration: &types.EFSVolumeConfiguration{FileSystemId: ptr("fs-1"), RootDirectory: ptr("/"),
				TransitEncryption: types.EFSTransitEncryptionEnabled, TransitEncryptionPort: n(2049),
				AuthorizationConfig: &types.EFSAuthorizationConfig{AccessPointId: ptr("fsap-1"), Iam: types.EFSAuthorizationConfigIAMEnabled}}},
			{Name: ptr("fsx"), FsxWindowsFileServerVolumeConfiguration: &types.FSxWindowsFileServerVolumeConfiguration{FileSystemId: ptr("fs-2"), RootDirectory: ptr("x"),
				AuthorizationConfig: &types.FSxWindowsFileServerAuthorizationConfig{CredentialsParameter: ptr("arn:p"), Domain: ptr("d")}}},
		},
	}
}

// TestEveryField: whatever a definition says is shown as it was said, after it
// has been in the store.
func TestEveryField(t *testing.T) {
	in := everything()
	unset(t, reflect.ValueOf(*in), "ProxyConfiguration", "InferenceAccelerators")
	unset(t, reflect.ValueOf(in.ContainerDefinitions[0]))
	proxied := everything()
	app := &proxied.ContainerDefinitions[0]
	proxied.NetworkMode, app.Links, app.Hostname, app.DisableNetworking = types.NetworkModeAwsvpc, nil, nil, nil
	app.DnsServers, app.DnsSearchDomains, app.ExtraHosts, app.PortMappings[0].HostPort = nil, nil, nil, app.PortMappings[0].ContainerPort
	proxied.ProxyConfiguration = &types.ProxyConfiguration{Type: types.ProxyConfigurationTypeAppmesh, ContainerName: ptr("side"),
		Properties: []types.KeyValuePair{{Name: ptr("ProxyIngressPort"), Value: ptr("15000")}}}

	f := newFixture(t)
	for _, in := range []*ecs.RegisterTaskDefinitionInput{in, proxied} {
		_, err := f.RegisterTaskDefinition(f.ctx, in)
		must(t, err)
		out, err := f.DescribeTaskDefinition(f.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: in.Family, Include: []types.TaskDefinitionField{"TAGS"}})
		must(t, err)
		got := reflect.ValueOf(*out.TaskDefinition)
		said := reflect.ValueOf(*in)
		for i := range said.NumField() {
			name := said.Type().Field(i).Name
			shown := got.FieldByName(name)
			if name == "Tags" {
				shown = reflect.ValueOf(out.Tags)
			}
			if !said.Type().Field(i).IsExported() || said.Field(i).IsZero() {
				continue
			}
			one, _ := json.Marshal(said.Field(i).Interface())
			two, _ := json.Marshal(shown.Interface())
			if string(one) != string(two) {
				t.Errorf("%s: said  %s\nshown %s", name, one, two)
			}
		}
	}
}

// unset names the fields of v, a structure of the SDK's, that say nothing.
func unset(t *testing.T, v reflect.Value, but ...string) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && v.Field(i).IsZero() && !slices.Contains(but, f.Name) {
			t.Errorf("the test does not set %s.%s", v.Type().Name(), f.Name)
		}
	}
}
