package ecs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// CreateCluster makes a cluster and enrols the nodes that are members of every
// one. For a name that is there it answers with what there is, if the call
// says nothing else.
func (a *API) CreateCluster(ctx context.Context, in *ecs.CreateClusterInput) (*ecs.CreateClusterOutput, error) {
	name := deref(in.ClusterName)
	if name == "" {
		name = "default"
	}
	if !nameOK.MatchString(name) {
		return nil, invalidParam(`ClusterName must match ^[a-zA-Z0-9\-_]{1,255}$, but was %.260s`, name)
	}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	c := cluster.Cluster{Scope: scope(ctx), Name: name, Status: "ACTIVE", Configuration: in.Configuration,
		CapacityProviders: in.CapacityProviders, DefaultStrategy: in.DefaultCapacityProviderStrategy,
		Tags: in.Tags, CreatedAt: time.Now().UTC()}
	if err := checkConfiguration(in.Configuration); err != nil {
		return nil, err
	}
	if err := checkNamespace(in.ServiceConnectDefaults); err != nil {
		return nil, err
	}
	if err := checkProviders(c.CapacityProviders); err != nil {
		return nil, err
	}
	if err := checkStrategy(c.DefaultStrategy, c.CapacityProviders); err != nil {
		return nil, err
	}
	if err := checkSettings(in.Settings); err != nil {
		return nil, err
	}
	if err := a.forgetInstances(ctx, c); err != nil {
		return nil, err
	}
	var out types.Cluster
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		if old, ok := cluster.Clusters.Get(tx, c.Key()); ok && old.Status == "ACTIVE" {
			if !sameCluster(old, in) {
				return invalidParam("Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			}
			out = wireCluster(old, count(tx, old))
			return nil
		} else if ok && old.Status != "INACTIVE" {
			return clientErr("Cluster %s is being deleted. Try again when it is gone.", name)
		}
		c.Settings = a.settings(tx, c.Scope, awsapi.CallFrom(ctx).Principal, in.Settings)
		if err := cluster.Clusters.Put(tx, c); err != nil {
			return err
		}
		if err := cluster.EnrollCluster(tx, c); err != nil {
			return err
		}
		out = wireCluster(c, count(tx, c))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecs.CreateClusterOutput{Cluster: &out}, cluster.EnrollRest(ctx, a.db, c.Key())
}

// sameCluster reports whether a repeated CreateCluster says nothing that c is
// not.
func sameCluster(c cluster.Cluster, in *ecs.CreateClusterInput) bool {
	same := func(given bool, a, b any) bool { return !given || digest(a) == digest(b) }
	return same(len(in.Settings) > 0, in.Settings, c.Settings) &&
		same(in.Configuration != nil, in.Configuration, c.Configuration) &&
		same(len(in.CapacityProviders) > 0, in.CapacityProviders, c.CapacityProviders) &&
		same(len(in.DefaultCapacityProviderStrategy) > 0, in.DefaultCapacityProviderStrategy, c.DefaultStrategy) &&
		same(len(in.Tags) > 0, in.Tags, c.Tags)
}

// DescribeClusters answers for deleted clusters too, as long as they are kept.
func (a *API) DescribeClusters(ctx context.Context, in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	if len(refs) > 100 {
		return nil, invalidParam("Clusters cannot have more than 100 elements.")
	}
	s := scope(ctx)
	out := &ecs.DescribeClustersOutput{Clusters: []types.Cluster{}, Failures: []types.Failure{}}
	err := a.db.View(func(r store.Reader) error {
		for _, ref := range refs {
			name, err := clusterName(s, &ref)
			if err != nil {
				return err
			}
			c, ok := cluster.Clusters.Get(r, s.Key(name))
			if !ok {
				out.Failures = append(out.Failures, missing(cluster.ClusterARN(s, name)))
				continue
			}
			out.Clusters = append(out.Clusters, describeCluster(c, count(r, c), in.Include))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListClusters lists the clusters that are not deleted.
func (a *API) ListClusters(ctx context.Context, in *ecs.ListClustersInput) (*ecs.ListClustersOutput, error) {
	out := &ecs.ListClustersOutput{ClusterArns: []string{}}
	err := a.db.View(func(r store.Reader) error {
		active := filter(cluster.Clusters.List(r, scope(ctx).Prefix()), func(c cluster.Cluster) bool { return c.Status == "ACTIVE" })
		cs, next, err := page(ctx, active, cluster.Cluster.Key, in.MaxResults, 100, in.NextToken)
		for _, c := range cs {
			out.ClusterArns = append(out.ClusterArns, c.ARN())
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateCluster changes what is given and keeps the rest.
func (a *API) UpdateCluster(ctx context.Context, in *ecs.UpdateClusterInput) (*ecs.UpdateClusterOutput, error) {
	if err := checkConfiguration(in.Configuration); err != nil {
		return nil, err
	}
	if err := checkNamespace(in.ServiceConnectDefaults); err != nil {
		return nil, err
	}
	if err := checkSettings(in.Settings); err != nil {
		return nil, err
	}
	c, err := a.changeCluster(ctx, in.Cluster, func(c *cluster.Cluster) error {
		if in.Configuration != nil {
			c.Configuration = in.Configuration
		}
		if len(in.Settings) > 0 {
			c.Settings = in.Settings
		}
		return nil
	})
	return &ecs.UpdateClusterOutput{Cluster: c}, err
}

// UpdateClusterSettings changes a cluster's settings.
func (a *API) UpdateClusterSettings(ctx context.Context, in *ecs.UpdateClusterSettingsInput) (*ecs.UpdateClusterSettingsOutput, error) {
	if err := checkSettings(in.Settings); err != nil {
		return nil, err
	}
	c, err := a.changeCluster(ctx, in.Cluster, func(c *cluster.Cluster) error {
		c.Settings = in.Settings
		return nil
	})
	return &ecs.UpdateClusterSettingsOutput{Cluster: c}, err
}

// PutClusterCapacityProviders sets a cluster's capacity providers and its
// default strategy, all of them.
func (a *API) PutClusterCapacityProviders(ctx context.Context, in *ecs.PutClusterCapacityProvidersInput) (*ecs.PutClusterCapacityProvidersOutput, error) {
	if err := checkProviders(in.CapacityProviders); err != nil {
		return nil, err
	}
	if err := checkStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders); err != nil {
		return nil, err
	}
	c, err := a.changeCluster(ctx, in.Cluster, func(c *cluster.Cluster) error {
		c.CapacityProviders = slices.Clone(in.CapacityProviders)
		c.DefaultStrategy = slices.Clone(in.DefaultCapacityProviderStrategy)
		return nil
	})
	return &ecs.PutClusterCapacityProvidersOutput{Cluster: c}, err
}

func (a *API) changeCluster(ctx context.Context, ref *string, change func(*cluster.Cluster) error) (*types.Cluster, error) {
	var out types.Cluster
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		c, err := findCluster(tx, scope(ctx), ref)
		if err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		out = wireCluster(c, count(tx, c))
		return cluster.Clusters.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}
