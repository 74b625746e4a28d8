package ecs

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// wireInstance is i as the API shows it: what remains is what the node has
// left, whichever clusters' tasks it runs.
func wireInstance(r store.Reader, i cluster.Instance) types.ContainerInstance {
	n, _ := cluster.Nodes.Get(r, i.Node)
	ledger, _ := cluster.Ledgers.Get(r, i.Node)
	out := types.ContainerInstance{
		AgentConnected:       launch.Connected(i, n),
		Attachments:          []types.Attachment{},
		Attributes:           orEmpty(i.Attributes),
		ContainerInstanceArn: ptr(i.ARN()),
		Ec2InstanceId:        ptr(n.InstanceID()),
		HealthStatus:         &types.ContainerInstanceHealthStatus{OverallStatus: types.InstanceHealthCheckStateOk, Details: []types.InstanceHealthCheckResult{}},
		RegisteredAt:         &i.RegisteredAt,
		RegisteredResources:  wireResources(n.Total),
		RemainingResources: wireResources(cluster.Resources{
			CPU:    max(n.Total.CPU-ledger.Used.CPU, 0),
			Memory: max(n.Total.Memory-ledger.Used.Memory, 0),
			Ports:  append(slices.Clone(n.Total.Ports), ledger.Used.Ports...),
		}),
		Status:       ptr(string(i.Status)),
		StatusReason: optional(i.StatusReason),
		Tags:         orEmpty(i.Tags),
		Version:      i.Version,
		VersionInfo:  i.AgentVersion,
	}
	if out.VersionInfo == nil {
		out.VersionInfo = &types.VersionInfo{}
	}
	if !out.AgentConnected {
		out.HealthStatus.OverallStatus = types.InstanceHealthCheckStateImpaired
	}
	for t := range cluster.Tasks.By(r, "node", i.Node) {
		switch {
		case t.Instance != i.ID:
		case t.Last == cluster.Running:
			out.RunningTasksCount++
		case t.Last.Before(cluster.Running):
			out.PendingTasksCount++
		}
	}
	return out
}

// wireResources lists amounts as container instances do; ports are those that
// are taken.
func wireResources(have cluster.Resources) []types.Resource {
	ports := func(proto string) []string {
		out := []string{}
		for _, p := range have.Ports {
			if n, ok := strings.CutSuffix(p, "/"+proto); ok {
				out = append(out, n)
			}
		}
		return out
	}
	return []types.Resource{
		{Name: ptr("CPU"), Type: ptr("INTEGER"), IntegerValue: int32(have.CPU)},
		{Name: ptr("MEMORY"), Type: ptr("INTEGER"), IntegerValue: int32(have.Memory)},
		{Name: ptr("PORTS"), Type: ptr("STRINGSET"), StringSetValue: ports("tcp")},
		{Name: ptr("PORTS_UDP"), Type: ptr("STRINGSET"), StringSetValue: ports("udp")},
	}
}
