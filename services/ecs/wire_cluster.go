package ecs

import (
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// counts are what a cluster holds.
type counts struct {
	instances int32
	tasks     map[taskKind]int32    // RUNNING or on their way there
	services  map[serviceKind]int32 // ACTIVE and DRAINING ones
}

type taskKind struct {
	launchType types.LaunchType
	running    bool
}

type serviceKind struct {
	launchType types.LaunchType
	status     string
}

// count counts what c holds.
func count(r store.Reader, c cluster.Cluster) counts {
	n := counts{tasks: map[taskKind]int32{}, services: map[serviceKind]int32{}}
	for range cluster.Instances.List(r, c.Scope.Prefix(c.Name)) {
		n.instances++
	}
	for t := range cluster.Tasks.By(r, "live", c.Key()) {
		if !cluster.Running.Before(t.Last) { // not on its way down
			n.tasks[taskKind{t.LaunchType, t.Last == cluster.Running}]++
		}
	}
	for s := range cluster.Services.List(r, c.Scope.Prefix(c.Name)) {
		n.services[serviceKind{s.LaunchType, s.Status}]++
	}
	return n
}

func (n counts) taskCount(running bool) (sum int32) {
	for k, v := range n.tasks {
		if k.running == running {
			sum += v
		}
	}
	return sum
}

func (n counts) activeServices() (sum int32) {
	for k, v := range n.services {
		if k.status == "ACTIVE" {
			sum += v
		}
	}
	return sum
}

// wireCluster is c with all that the API can show of it.
func wireCluster(c cluster.Cluster, n counts) types.Cluster {
	out := types.Cluster{
		ActiveServicesCount:               n.activeServices(),
		Attachments:                       []types.Attachment{},
		CapacityProviders:                 orEmpty(c.CapacityProviders),
		ClusterArn:                        ptr(c.ARN()),
		ClusterName:                       ptr(c.Name),
		Configuration:                     c.Configuration,
		DefaultCapacityProviderStrategy:   orEmpty(c.DefaultStrategy),
		PendingTasksCount:                 n.taskCount(false),
		RegisteredContainerInstancesCount: n.instances,
		RunningTasksCount:                 n.taskCount(true),
		ServiceConnectDefaults:            c.ServiceConnectDefaults,
		Settings:                          orEmpty(c.Settings),
		Statistics:                        []types.KeyValuePair{},
		Status:                            ptr(c.Status),
		Tags:                              orEmpty(c.Tags),
	}
	return out
}

// describeCluster is wireCluster without what DescribeClusters shows only when
// it is asked to include it.
func describeCluster(c cluster.Cluster, n counts, include []types.ClusterField) types.Cluster {
	out := wireCluster(c, n)
	if !slices.Contains(include, types.ClusterFieldSettings) {
		out.Settings = []types.ClusterSetting{}
	}
	if !slices.Contains(include, types.ClusterFieldConfigurations) {
		out.Configuration = nil
	}
	if !slices.Contains(include, types.ClusterFieldTags) {
		out.Tags = []types.Tag{}
	}
	if slices.Contains(include, types.ClusterFieldStatistics) {
		out.Statistics = statistics(n)
	}
	return out
}

// statistics are the counts by launch type, in AWS's order and names.
func statistics(n counts) []types.KeyValuePair {
	var out []types.KeyValuePair
	add := func(name string, value int32) {
		out = append(out, types.KeyValuePair{Name: ptr(name), Value: ptr(strconv.Itoa(int(value)))})
	}
	launchTypes := []struct {
		is   types.LaunchType
		word string
	}{{types.LaunchTypeEc2, "EC2"}, {types.LaunchTypeFargate, "Fargate"}, {types.LaunchTypeExternal, "External"}}
	for _, t := range launchTypes {
		add("running"+t.word+"TasksCount", n.tasks[taskKind{t.is, true}])
	}
	for _, t := range launchTypes {
		add("pending"+t.word+"TasksCount", n.tasks[taskKind{t.is, false}])
	}
	for _, t := range launchTypes {
		add("active"+t.word+"ServiceCount", n.services[serviceKind{t.is, "ACTIVE"}])
	}
	for _, t := range launchTypes {
		add("draining"+t.word+"ServiceCount", n.services[serviceKind{t.is, "DRAINING"}])
	}
	return out
}
