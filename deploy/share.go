package deploy

import (
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// share is the part of a launch that goes to one capacity provider.
type share struct {
	launchType types.LaunchType
	provider   string
	count      int
}

// shares divides n new tasks over the deployment's capacity providers.
func shares(r store.Reader, s cluster.Service, d cluster.Deployment, n int) []share {
	if len(d.CapacityStrategy) == 0 {
		return []share{{launchType: d.LaunchType, count: n}}
	}
	have := make([]int, len(d.CapacityStrategy))
	for t := range cluster.Tasks.By(r, "open", s.Key()) {
		for i, c := range d.CapacityStrategy {
			if t.StartedBy == d.ID && t.Desired != cluster.Stopped && t.CapacityProvider == deref(c.CapacityProvider) {
				have[i]++
			}
		}
	}
	var out []share
	for i, count := range launch.Split(d.CapacityStrategy, have, n) {
		if count > 0 {
			out = append(out, share{launchType: types.LaunchTypeFargate, provider: deref(d.CapacityStrategy[i].CapacityProvider), count: count})
		}
	}
	return out
}

// spread is how a service's tasks are placed if it does not say.
var spread = []types.PlacementStrategy{
	{Type: types.PlacementStrategyTypeSpread, Field: ptr("attribute:ecs.availability-zone")},
	{Type: types.PlacementStrategyTypeSpread, Field: ptr("instanceId")},
}

// request is the launch of a share.
func (h share) request(s cluster.Service, d cluster.Deployment, def cluster.TaskDefinition) launch.Request {
	r := launch.Request{
		Scope: s.Scope, Cluster: s.Cluster, Definition: def, Count: h.count,
		LaunchType: h.launchType, CapacityProvider: h.provider, PlatformVersion: d.PlatformVersion,
		Group: "service:" + s.Name, StartedBy: d.ID, Service: s.Name, Network: d.Network,
		EnableExecuteCommand: s.EnableExecuteCommand, Tags: taskTags(s, def),
	}
	if h.launchType != types.LaunchTypeFargate {
		r.Constraints = s.PlacementConstraints
		if r.Strategy = s.PlacementStrategy; len(r.Strategy) == 0 {
			r.Strategy = spread
		}
	}
	return r
}

// taskTags are the tags of a service's new tasks.
func taskTags(s cluster.Service, def cluster.TaskDefinition) (tags []types.Tag) {
	switch s.PropagateTags {
	case types.PropagateTagsService:
		tags = append(tags, s.Tags...)
	case types.PropagateTagsTaskDefinition:
		tags = append(tags, def.Tags...)
	}
	if s.EnableECSManagedTags {
		tags = append(tags, types.Tag{Key: ptr("aws:ecs:clusterName"), Value: ptr(s.Cluster)},
			types.Tag{Key: ptr("aws:ecs:serviceName"), Value: ptr(s.Name)})
	}
	return tags
}

func ptr[T any](v T) *T { return &v }
