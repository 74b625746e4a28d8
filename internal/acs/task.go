package acs

import "github.com/aws/aws-sdk-go-v2/service/ecs/types"

// Task is one task of a PayloadMessage.
type Task struct {
	ARN                  string                    `json:"arn"`
	Cluster              string                    `json:"taskClusterArn,omitempty"`
	DesiredStatus        string                    `json:"desiredStatus"` // RUNNING or STOPPED
	Family               string                    `json:"family"`
	Version              string                    `json:"version"`
	Overrides            string                    `json:"overrides,omitempty"` // JSON
	CPU                  float64                   `json:"cpu,omitempty"`       // vCPU
	Memory               int64                     `json:"memory,omitempty"`    // MiB
	NetworkMode          string                    `json:"networkMode,omitempty"`
	LaunchType           string                    `json:"launchType,omitempty"`
	ServiceName          string                    `json:"serviceName,omitempty"`
	Group                string                    `json:"group,omitempty"`
	PidMode              string                    `json:"pidMode,omitempty"`
	IpcMode              string                    `json:"ipcMode,omitempty"`
	Volumes              []Volume                  `json:"volumes,omitempty"`
	Role                 *RoleCredentials          `json:"roleCredentials,omitempty"`
	ExecutionRole        *RoleCredentials          `json:"executionRoleCredentials,omitempty"`
	Interfaces           []ElasticNetworkInterface `json:"elasticNetworkInterfaces,omitempty"`
	Containers           []Container               `json:"containers"`
	EnableFaultInjection bool                      `json:"enableFaultInjection,omitempty"`
	// Dhow is what dhow's own agent works from; a stock agent ignores it.
	Dhow *Dhow `json:"dhow,omitempty"`
}

// Dhow carries what the protocol has no place for.
type Dhow struct {
	// Definition is the task's definition with its overrides applied. Absent
	// where only a stop is asked for and the definition is gone.
	Definition *types.TaskDefinition `json:"definition,omitempty"`
	Tags       []types.Tag           `json:"tags,omitempty"`
	Interface  *Interface            `json:"interface,omitempty"`
	Account    string                `json:"account"`
	Region     string                `json:"region"`
	CPU        string                `json:"cpu,omitempty"`    // task level, CPU units
	Memory     string                `json:"memory,omitempty"` // task level, MiB
}

// Interface is the address of an awsvpc task and the network it belongs to.
type Interface struct {
	Network    string `json:"network"`     // the node's name for the VPC's network
	CIDR       string `json:"cidr"`        // of the network
	Default    bool   `json:"default"`     // the network is reachable from the host
	Address    string `json:"address"`     // IPv4
	SubnetCIDR string `json:"subnetCidr"`  //
	MAC        string `json:"mac"`         //
	PrivateDNS string `json:"privateDns"`  //
	Attachment string `json:"attachment"`  // ARN
	ID         string `json:"interfaceId"` // eni-…
}

// RoleCredentials are a task's credentials for one role.
type RoleCredentials struct {
	ID              string `json:"credentialsId"`
	RoleARN         string `json:"roleArn"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	Expiration      string `json:"expiration"` // RFC 3339
}

// ElasticNetworkInterface is an interface in the protocol's form.
type ElasticNetworkInterface struct {
	Attachment     string        `json:"attachmentArn"`
	ID             string        `json:"ec2Id"`
	MAC            string        `json:"macAddress"`
	IPv4           []IPv4Address `json:"ipv4Addresses"`
	Gateway        string        `json:"subnetGatewayIpv4Address"` // address/prefix length of the subnet
	PrivateDNSName string        `json:"privateDnsName,omitempty"`
	NameServers    []string      `json:"domainNameServers,omitempty"`
	Association    string        `json:"interfaceAssociationProtocol,omitempty"`
	Index          int           `json:"index"`
}

// IPv4Address is one address of an interface.
type IPv4Address struct {
	Address string `json:"privateAddress"`
	Primary bool   `json:"primary"`
}

// Volume of a task: a path of the host, or a docker volume.
type Volume struct {
	Name   string        `json:"name"`
	Type   string        `json:"type"` // host or docker
	Host   *HostVolume   `json:"host,omitempty"`
	Docker *DockerVolume `json:"dockerVolumeConfiguration,omitempty"`
}

// HostVolume is a path of the host; with none the agent makes a directory.
type HostVolume struct {
	SourcePath string `json:"sourcePath,omitempty"`
}

// DockerVolume is a volume that outlives the task (scope shared) or not.
type DockerVolume struct {
	Scope         string            `json:"scope,omitempty"`
	Autoprovision bool              `json:"autoprovision,omitempty"`
	Driver        string            `json:"driver,omitempty"`
	DriverOpts    map[string]string `json:"driverOpts,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
}

// Container of a task.
type Container struct {
	Name            string            `json:"name"`
	ARN             string            `json:"containerArn,omitempty"`
	Image           string            `json:"image"`
	Command         []string          `json:"command,omitempty"`
	EntryPoint      []string          `json:"entryPoint,omitempty"`
	CPU             int64             `json:"cpu"`
	Memory          int64             `json:"memory,omitempty"`
	Essential       bool              `json:"essential"`
	Environment     map[string]string `json:"environment,omitempty"`
	PortMappings    []PortMapping     `json:"portMappings,omitempty"`
	MountPoints     []MountPoint      `json:"mountPoints,omitempty"`
	VolumesFrom     []VolumeFrom      `json:"volumesFrom,omitempty"`
	Links           []string          `json:"links,omitempty"`
	DependsOn       []Dependency      `json:"dependsOn,omitempty"`
	HealthCheckType string            `json:"healthCheckType,omitempty"` // docker
	StartTimeout    int32             `json:"startTimeout,omitempty"`    // seconds
	StopTimeout     int32             `json:"stopTimeout,omitempty"`     // seconds
	RestartPolicy   *RestartPolicy    `json:"restartPolicy,omitempty"`
	Overrides       string            `json:"overrides,omitempty"` // JSON
	DockerConfig    *DockerConfig     `json:"dockerConfig,omitempty"`
}

// DockerConfig carries Docker's own container and host configuration, as JSON
// text.
type DockerConfig struct {
	Version    string `json:"version,omitempty"`
	Config     string `json:"config,omitempty"`
	HostConfig string `json:"hostConfig,omitempty"`
}

// PortMapping publishes a container's port.
type PortMapping struct {
	ContainerPort int32  `json:"containerPort"`
	HostPort      int32  `json:"hostPort"`
	Protocol      string `json:"protocol"` // tcp or udp
}

// MountPoint mounts a volume of the task.
type MountPoint struct {
	SourceVolume  string `json:"sourceVolume,omitempty"`
	ContainerPath string `json:"containerPath,omitempty"`
	ReadOnly      bool   `json:"readOnly,omitempty"`
}

// VolumeFrom mounts all that another container of the task mounts.
type VolumeFrom struct {
	SourceContainer string `json:"sourceContainer"`
	ReadOnly        bool   `json:"readOnly,omitempty"`
}

// Dependency makes a container wait for another.
type Dependency struct {
	ContainerName string `json:"containerName"`
	Condition     string `json:"condition"` // START, COMPLETE, SUCCESS, HEALTHY
}

// RestartPolicy restarts a container on its own.
type RestartPolicy struct {
	Enabled              bool    `json:"enabled"`
	IgnoredExitCodes     []int32 `json:"ignoredExitCodes,omitempty"`
	RestartAttemptPeriod int32   `json:"restartAttemptPeriod,omitempty"` // seconds
}
