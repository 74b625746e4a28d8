package ecs

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// counts are what a cluster holds, by launch type.
type counts struct {
	instances int32
	of        [len(launchTypes)]struct {
		running, pending int32 // tasks; those on their way down are neither
		active, draining int32 // services
	}
}

// launchTypes in the order of the statistics, with their names there.
var launchTypes = [...]struct {
	is   types.LaunchType
	word string
}{{types.LaunchTypeEc2, "EC2"}, {types.LaunchTypeFargate, "Fargate"}, {types.LaunchTypeExternal, "External"}}

// kind is the index of a launch type; services with a capacity provider
// strategy have none, and run on Fargate's.
func kind(lt types.LaunchType) int {
	for i, t := range launchTypes {
		if t.is == lt {
			return i
		}
	}
	return 1
}

// count counts what c holds.
func count(r store.Reader, c cluster.Cluster) (n counts) {
	prefix := c.Scope.Prefix(c.Name)
	for range cluster.Instances.List(r, prefix) {
		n.instances++
	}
	for t := range cluster.Tasks.By(r, "live", c.Key()) {
		switch k := &n.of[kind(t.LaunchType)]; {
		case t.Last == cluster.Running:
			k.running++
		case t.Last.Before(cluster.Running):
			k.pending++
		}
	}
	for s := range cluster.Services.List(r, prefix) {
		switch k := &n.of[kind(s.LaunchType)]; s.Status {
		case "ACTIVE":
			k.active++
		case "DRAINING":
			k.draining++
		}
	}
	return n
}

// wireCluster is c with all that the API can show of it.
func wireCluster(c cluster.Cluster, n counts) types.Cluster {
	var running, pending, active int32
	for _, k := range n.of {
		running, pending, active = running+k.running, pending+k.pending, active+k.active
	}
	return types.Cluster{
		ActiveServicesCount:               active,
		Attachments:                       []types.Attachment{},
		CapacityProviders:                 orEmpty(c.CapacityProviders),
		ClusterArn:                        ptr(c.ARN()),
		ClusterName:                       ptr(c.Name),
		Configuration:                     c.Configuration,
		DefaultCapacityProviderStrategy:   orEmpty(c.DefaultStrategy),
		PendingTasksCount:                 pending,
		RegisteredContainerInstancesCount: n.instances,
		RunningTasksCount:                 running,
		ServiceConnectDefaults:            c.ServiceConnectDefaults,
		Settings:                          orEmpty(c.Settings),
		Statistics:                        []types.KeyValuePair{},
		Status:                            ptr(c.Status),
		Tags:                              orEmpty(c.Tags),
	}
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
	add := func(format string, value func(int) int32) {
		for i, t := range launchTypes {
			out = append(out, types.KeyValuePair{Name: ptr(fmt.Sprintf(format, t.word)), Value: ptr(strconv.Itoa(int(value(i))))})
		}
	}
	add("running%sTasksCount", func(i int) int32 { return n.of[i].running })
	add("pending%sTasksCount", func(i int) int32 { return n.of[i].pending })
	add("active%sServiceCount", func(i int) int32 { return n.of[i].active })
	add("draining%sServiceCount", func(i int) int32 { return n.of[i].draining })
	return out
}
