package deploy

import (
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// zones knows in which availability zones tasks can run, so that a pass need
// not list its cluster's instances. It is read anew when nodes or instances
// have changed.
type zones struct {
	mu        sync.Mutex
	letters   []string            // of nodes that take FARGATE tasks
	instances map[string][]string // by cluster key: of ACTIVE instances
}

// read lists nodes and instances; it returns the clusters that have more zones
// than before, "" among them for FARGATE.
func (z *zones) read(db *store.DB) (opened []string) {
	var letters []string
	instances := map[string][]string{}
	db.View(func(r store.Reader) error {
		for n := range cluster.Nodes.List(r, "") {
			if n.Fargate {
				letters = insert(letters, n.Zone)
			}
		}
		for i := range cluster.Instances.List(r, "") {
			if i.Status == types.ContainerInstanceStatusActive {
				k := i.Scope.Key(i.Cluster)
				instances[k] = insert(instances[k], zoneOf(i))
			}
		}
		return nil
	})
	z.mu.Lock()
	defer z.mu.Unlock()
	for k, now := range instances {
		if len(now) > len(z.instances[k]) {
			opened = append(opened, k)
		}
	}
	if len(letters) > len(z.letters) {
		opened = append(opened, "")
	}
	z.letters, z.instances = letters, instances
	return opened
}

// insert adds v to the sorted set s.
func insert(s []string, v string) []string {
	i, found := slices.BinarySearch(s, v)
	if found {
		return s
	}
	return slices.Insert(s, i, v)
}

func zoneOf(i cluster.Instance) string {
	for _, a := range i.Attributes {
		if deref(a.Name) == "ecs.availability-zone" {
			return deref(a.Value)
		}
	}
	return ""
}

// onFargate reports whether s's tasks run on any node that takes them.
func onFargate(s cluster.Service) bool {
	return s.LaunchType == types.LaunchTypeFargate || len(s.CapacityStrategy) > 0
}

// of are the zones in which s's tasks may run.
func (z *zones) of(s cluster.Service) (out []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if !onFargate(s) {
		return z.instances[s.Scope.Key(s.Cluster)]
	}
	for _, letter := range z.letters {
		out = append(out, s.Region+letter)
	}
	return out
}

// services are those that may want to use a zone that has opened in one of the
// clusters.
func (z *zones) services(db *store.DB, opened []string) (keys []string) {
	db.View(func(r store.Reader) error {
		for s := range cluster.Services.List(r, "") {
			k := s.Scope.Key(s.Cluster)
			if onFargate(s) {
				k = ""
			}
			if s.ZoneRebalancing == types.AvailabilityZoneRebalancingEnabled && slices.Contains(opened, k) {
				keys = append(keys, s.Key())
			}
		}
		return nil
	})
	return keys
}
