package ecs

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// wireTask is t as the API shows it, with its tags.
func wireTask(t cluster.Task) types.Task {
	out := types.Task{
		Attachments:          []types.Attachment{},
		Attributes:           []types.Attribute{},
		AvailabilityZone:     optional(t.Zone),
		CapacityProviderName: optional(t.CapacityProvider),
		ClusterArn:           ptr(cluster.ClusterARN(t.Scope, t.Cluster)),
		Connectivity:         t.Connectivity,
		ConnectivityAt:       t.ConnectivityAt,
		Containers:           []types.Container{},
		Cpu:                  optional(t.CPU),
		CreatedAt:            &t.CreatedAt,
		DesiredStatus:        ptr(string(t.Desired)),
		EnableExecuteCommand: t.EnableExecuteCommand,
		ExecutionStoppedAt:   t.ExecutionStoppedAt,
		Group:                optional(t.Group),
		HealthStatus:         t.Health,
		//lint:ignore SA1019 AWS answers with an empty list
		InferenceAccelerators: []types.InferenceAccelerator{},
		LastStatus:            ptr(string(t.Last)),
		LaunchType:            t.LaunchType,
		Memory:                optional(t.Memory),
		Overrides:             wireOverrides(t),
		PlatformVersion:       optional(t.PlatformVersion),
		PullStartedAt:         t.PullStartedAt,
		PullStoppedAt:         t.PullStoppedAt,
		StartedAt:             t.StartedAt,
		StartedBy:             optional(t.StartedBy),
		StopCode:              t.StopCode,
		StoppedAt:             t.StoppedAt,
		StoppedReason:         optional(t.StoppedReason),
		StoppingAt:            t.StoppingAt,
		Tags:                  orEmpty(t.Tags),
		TaskArn:               ptr(t.ARN()),
		TaskDefinitionArn:     ptr(t.DefinitionARN()),
		Version:               t.Version,
	}
	if desired, last := shown(t); desired != t.Desired {
		out.DesiredStatus, out.LastStatus = ptr(string(desired)), ptr(string(last))
	}
	if t.Instance != "" {
		out.ContainerInstanceArn = ptr(cluster.InstanceARN(t.Scope, t.Cluster, t.Instance))
	}
	if t.LaunchType == types.LaunchTypeFargate {
		out.PlatformFamily = ptr("Linux")
	}
	if t.EphemeralStorage > 0 {
		out.EphemeralStorage = &types.EphemeralStorage{SizeInGiB: t.EphemeralStorage}
		out.FargateEphemeralStorage = &types.TaskEphemeralStorage{SizeInGiB: t.EphemeralStorage}
	}
	if t.Interface != nil {
		out.Attachments = append(out.Attachments, wireAttachment(t))
	}
	for _, c := range t.Containers {
		out.Containers = append(out.Containers, wireContainer(t, c))
	}
	return out
}

// shown are a task's statuses as the API shows them: one whose targets drain
// before it is told to stop is DEACTIVATING, as AWS calls that step.
func shown(t cluster.Task) (desired, last cluster.Status) {
	if t.Draining == nil || t.Desired == cluster.Stopped {
		return t.Desired, t.Last
	}
	if t.Last == cluster.Running {
		return cluster.Stopped, cluster.Deactivating
	}
	return cluster.Stopped, t.Last
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func wireContainer(t cluster.Task, c cluster.Container) types.Container {
	out := types.Container{
		ContainerArn:      ptr(t.ContainerARN(c)),
		Cpu:               optional(c.CPU),
		ExitCode:          c.ExitCode,
		HealthStatus:      c.Health,
		Image:             ptr(c.Image),
		ImageDigest:       optional(c.ImageDigest),
		LastStatus:        ptr(string(c.Last)),
		Memory:            optional(c.Memory),
		MemoryReservation: optional(c.Reservation),
		Name:              ptr(c.Name),
		NetworkBindings:   orEmpty(c.Bindings),
		NetworkInterfaces: []types.NetworkInterface{},
		Reason:            optional(c.Reason),
		RuntimeId:         optional(c.RuntimeID),
		TaskArn:           ptr(t.ARN()),
	}
	if out.HealthStatus == "" {
		out.HealthStatus = types.HealthStatusUnknown
	}
	if i := t.Interface; i != nil {
		out.NetworkInterfaces = append(out.NetworkInterfaces,
			types.NetworkInterface{AttachmentId: ptr(i.Attachment), PrivateIpv4Address: ptr(i.Address)})
	}
	return out
}

// wireAttachment is the task's elastic network interface, in AWS's order of
// details.
func wireAttachment(t cluster.Task) types.Attachment {
	i := t.Interface
	detail := func(name, value string) types.KeyValuePair {
		return types.KeyValuePair{Name: ptr(name), Value: ptr(value)}
	}
	return types.Attachment{
		Id:     ptr(i.Attachment),
		Type:   ptr("ElasticNetworkInterface"),
		Status: ptr(attachmentStatus(t.Last)),
		Details: []types.KeyValuePair{
			detail("subnetId", i.Subnet),
			detail("networkInterfaceId", i.ID),
			detail("macAddress", i.MAC),
			detail("privateDnsName", i.PrivateDNS),
			detail("privateIPv4Address", i.Address),
		},
	}
}

func attachmentStatus(s cluster.Status) string {
	switch {
	case s.Before(cluster.Pending):
		return "PRECREATED"
	case s.Before(cluster.Activating):
		return "ATTACHING"
	case s.Before(cluster.Deprovisioning):
		return "ATTACHED"
	case s.Before(cluster.Stopped):
		return "DETACHING"
	}
	return "DELETED"
}

// wireOverrides names every container, as AWS does, whether it is overridden or
// not.
func wireOverrides(t cluster.Task) *types.TaskOverride {
	o := t.Overrides
	o.ContainerOverrides = slices.Clone(o.ContainerOverrides)
	for _, c := range t.Containers {
		if !slices.ContainsFunc(o.ContainerOverrides, func(o types.ContainerOverride) bool { return deref(o.Name) == c.Name }) {
			o.ContainerOverrides = append(o.ContainerOverrides, types.ContainerOverride{Name: ptr(c.Name)})
		}
	}
	o.ContainerOverrides = orEmpty(o.ContainerOverrides)
	//lint:ignore SA1019 AWS answers with an empty list
	o.InferenceAcceleratorOverrides = orEmpty(o.InferenceAcceleratorOverrides)
	return &o
}
