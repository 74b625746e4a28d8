package ecs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// DeleteCluster deletes an empty cluster in two steps: the first commit makes
// it DEPROVISIONING, so that whoever adds to it meanwhile is refused or was
// committed before; the second looks whether it is empty and makes it INACTIVE,
// or ACTIVE again. Nodes that are members of every cluster do not count.
func (a *API) DeleteCluster(ctx context.Context, in *ecs.DeleteClusterInput) (*ecs.DeleteClusterOutput, error) {
	s := scope(ctx)
	name, err := clusterName(s, in.Cluster)
	if err != nil {
		return nil, err
	}
	var c cluster.Cluster
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		var ok bool
		if c, ok = cluster.Clusters.Get(tx, s.Key(name)); !ok || c.Status == "INACTIVE" {
			return clusterNotFound()
		}
		if err := empty(tx, c); err != nil {
			return err
		}
		c.Status = "DEPROVISIONING"
		return cluster.Clusters.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	var refused error
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		c.Status, c.DeletedAt = "INACTIVE", ptr(time.Now().UTC())
		if refused = empty(tx, c); refused != nil {
			c.Status, c.DeletedAt = "ACTIVE", nil
		}
		return cluster.Clusters.Put(tx, c)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	if err := a.dropInstances(ctx, c); err != nil {
		return nil, err
	}
	return &ecs.DeleteClusterOutput{Cluster: ptr(wireCluster(c, counts{}))}, nil
}

// empty says what keeps c from being deleted.
func empty(r store.Reader, c cluster.Cluster) error {
	for s := range cluster.Services.List(r, c.Scope.Prefix(c.Name)) {
		if s.Status != "INACTIVE" {
			return &types.ClusterContainsServicesException{Message: ptr("The Cluster cannot be deleted while Services are active.")}
		}
	}
	for i := range cluster.Instances.List(r, c.Scope.Prefix(c.Name)) {
		if n, ok := cluster.Nodes.Get(r, i.Node); !ok || !n.Everyone {
			return &types.ClusterContainsContainerInstancesException{Message: ptr("The Cluster cannot be deleted while Container Instances are active or draining.")}
		}
	}
	for range cluster.Tasks.By(r, "live", c.Key()) {
		return &types.ClusterContainsTasksException{Message: ptr("The Cluster cannot be deleted while Tasks are active.")}
	}
	return nil
}

// forgetInstances ends the memberships that a deleted cluster of c's name still
// has, because its deletion was cut short.
func (a *API) forgetInstances(ctx context.Context, c cluster.Cluster) error {
	deleted := false
	err := a.db.View(func(r store.Reader) error {
		old, ok := cluster.Clusters.Get(r, c.Key())
		deleted = ok && old.Status == "INACTIVE"
		return nil
	})
	if err != nil || !deleted {
		return err
	}
	return a.dropInstances(ctx, c)
}

// dropInstances ends the memberships of a deleted cluster.
func (a *API) dropInstances(ctx context.Context, c cluster.Cluster) error {
	var keys []string
	err := a.db.View(func(r store.Reader) error {
		for i := range cluster.Instances.List(r, c.Scope.Prefix(c.Name)) {
			keys = append(keys, i.Key())
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(keys, 40) {
		err := a.db.Update(ctx, func(tx *store.Tx) error {
			for _, k := range batch {
				if i, ok := cluster.Instances.Get(tx, k); ok {
					if err := cluster.DropInstance(tx, i); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
