package ecs

import (
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// tally are a deployment's tasks.
type tally struct{ running, pending, wanted int32 }

// describeService is s with all that the API shows of it, but for its tags.
func describeService(r store.Reader, s cluster.Service) types.Service {
	by := map[string]*tally{}
	var sum tally
	for t := range cluster.Tasks.By(r, "open", s.Key()) {
		n := by[t.StartedBy]
		if n == nil {
			n = new(tally)
			by[t.StartedBy] = n
		}
		desired, last := shown(t)
		switch {
		case last == cluster.Running:
			n.running++
			sum.running++
		case last.Before(cluster.Running):
			n.pending++
			sum.pending++
		}
		if desired == cluster.Running {
			n.wanted++
		}
	}
	w := types.Service{
		ServiceArn: ptr(s.ARN()), ServiceName: ptr(s.Name), ClusterArn: ptr(cluster.ClusterARN(s.Scope, s.Cluster)), Status: ptr(s.Status),
		DesiredCount: s.DesiredCount, RunningCount: sum.running, PendingCount: sum.pending,
		LaunchType: s.LaunchType, CapacityProviderStrategy: s.CapacityStrategy,
		DeploymentConfiguration: ptr(s.Configuration), DeploymentController: &types.DeploymentController{Type: s.Controller},
		Deployments: []types.Deployment{}, Events: []types.ServiceEvent{}, TaskSets: []types.TaskSet{},
		LoadBalancers: orEmpty(s.LoadBalancers), ServiceRegistries: orEmpty(s.ServiceRegistries),
		NetworkConfiguration: wireNetwork(s.Network),
		PlacementConstraints: orEmpty(s.PlacementConstraints), PlacementStrategy: orEmpty(s.PlacementStrategy),
		SchedulingStrategy: s.SchedulingStrategy, PropagateTags: s.PropagateTags,
		EnableECSManagedTags: s.EnableECSManagedTags, EnableExecuteCommand: s.EnableExecuteCommand,
		AvailabilityZoneRebalancing: s.ZoneRebalancing, ResourceManagementType: types.ResourceManagementTypeCustomer,
		CreatedAt: ptr(s.CreatedAt), CreatedBy: optional(s.CreatedBy), RoleArn: optional(s.RoleARN),
		PlatformVersion: optional(s.PlatformVersion), PlatformFamily: platformFamily(s.PlatformVersion),
	}
	if len(s.LoadBalancers) > 0 || s.HealthGrace != 0 {
		w.HealthCheckGracePeriodSeconds = ptr(s.HealthGrace)
	}
	for _, d := range s.Deployments {
		n := by[d.ID]
		if n == nil {
			n = new(tally)
		}
		w.Deployments = append(w.Deployments, wireDeployment(s, d, *n))
	}
	if p := s.Primary(); p != nil {
		w.TaskDefinition = ptr(definitionARN(s, *p))
	} else if s.Stable != nil {
		w.TaskDefinition = ptr(definitionARN(s, *s.Stable))
	}
	log, _ := cluster.ServiceLogs.Get(r, s.Key())
	for _, e := range log.Events {
		w.Events = append(w.Events, types.ServiceEvent{Id: ptr(e.ID), CreatedAt: ptr(e.At), Message: ptr(e.Message)})
	}
	return w
}

func definitionARN(s cluster.Service, d cluster.Deployment) string {
	return cluster.TaskDefinition{Scope: s.Scope, Family: d.Family, Revision: d.Revision}.ARN()
}

func wireDeployment(s cluster.Service, d cluster.Deployment, n tally) types.Deployment {
	w := types.Deployment{
		Id: ptr(d.ID), Status: ptr(d.Status), TaskDefinition: ptr(definitionARN(s, d)),
		DesiredCount: n.wanted, RunningCount: n.running, PendingCount: n.pending, FailedTasks: d.FailedTasks,
		LaunchType: d.LaunchType, CapacityProviderStrategy: d.CapacityStrategy,
		NetworkConfiguration: wireNetwork(d.Network),
		RolloutState:         d.RolloutState, RolloutStateReason: optional(d.RolloutReason),
		CreatedAt: ptr(d.CreatedAt), UpdatedAt: ptr(d.UpdatedAt),
		PlatformVersion: optional(d.PlatformVersion), PlatformFamily: platformFamily(d.PlatformVersion),
	}
	if d.PlatformVersion == "LATEST" {
		w.PlatformVersion = ptr(launch.LatestPlatform)
	}
	if d.Status == "PRIMARY" {
		w.DesiredCount = s.DesiredCount
	}
	return w
}

// platformFamily is what AWS shows beside a platform version, which only
// FARGATE services have.
func platformFamily(version string) *string {
	if version == "" {
		return nil
	}
	return ptr("Linux")
}

// wireNetwork is c with the lists and the default that AWS answers with.
func wireNetwork(c *types.NetworkConfiguration) *types.NetworkConfiguration {
	if c == nil || c.AwsvpcConfiguration == nil {
		return nil
	}
	v := *c.AwsvpcConfiguration
	v.Subnets, v.SecurityGroups = orEmpty(v.Subnets), orEmpty(v.SecurityGroups)
	if v.AssignPublicIp == "" {
		v.AssignPublicIp = types.AssignPublicIpDisabled
	}
	return &types.NetworkConfiguration{AwsvpcConfiguration: &v}
}
