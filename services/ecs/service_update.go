package ecs

import (
	"context"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// UpdateService records new wishes. Those that existing tasks cannot take on
// (task definition, network, platform version, load balancers), and
// forceNewDeployment, begin a new deployment.
func (a *API) UpdateService(ctx context.Context, in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
	if err := refuseOnUpdate(in); err != nil {
		return nil, err
	}
	// The checks of a wish need the service as it is; a concurrent update that
	// changes what was checked makes the transaction look again.
	var w wish
	var before cluster.Service
	err := a.db.View(func(r store.Reader) (err error) {
		before, err = updatable(r, scope(ctx), in)
		w = merged(before, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	if in.TaskDefinition != nil && *in.TaskDefinition == "" {
		return nil, clientErr("TaskDefinition can not be blank.")
	}
	if in.LoadBalancers == nil {
		w.balancers = nil // they were checked when they came
	}
	if err := a.checkWish(ctx, &w); err != nil {
		return nil, err
	}
	var out types.Service
	var forced string
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		forced = ""
		s, err := updatable(tx, scope(ctx), in)
		if err != nil {
			return err
		}
		w := merged(s, in)
		if w.configuration, err = checkDeploymentConfiguration(w.configuration); err != nil {
			return err
		}
		c, err := findCluster(tx, s.Scope, &s.Cluster)
		if err != nil {
			return err
		}
		old := s
		d, err := w.target(tx, c, s, in)
		if err != nil {
			return err
		}
		w.apply(&s)
		if in.EnableECSManagedTags != nil {
			s.EnableECSManagedTags = *in.EnableECSManagedTags
		}
		if in.EnableExecuteCommand != nil {
			s.EnableExecuteCommand = *in.EnableExecuteCommand
		}
		if in.PropagateTags != "" {
			s.PropagateTags = in.PropagateTags
		}
		s.UpdatedAt = now()
		p := old.Primary()
		other := p == nil || p.Family != d.Family || p.Revision != d.Revision
		if !hasBeenLetIn(old, d) {
			if forced, err = a.checkContracts(ctx, tx, &s, d); err != nil {
				return err
			}
			if err := noteForced(tx, s, forced); err != nil {
				return err
			}
		}
		if in.ForceNewDeployment || other || replaces(old, s) {
			if err := beginDeployment(tx, &s, d, in.ForceNewDeployment); err != nil {
				return err
			}
		} else {
			// New tasks of the deployment take these on; the others stay.
			s.Deployments = append([]cluster.Deployment(nil), s.Deployments...)
			p := s.Primary()
			p.Desired, p.LaunchType, p.CapacityStrategy = s.DesiredCount, s.LaunchType, s.CapacityStrategy
		}
		out = describeService(tx, s)
		return cluster.Services.Put(tx, s)
	})
	if err != nil {
		return nil, asInvalid(err)
	}
	a.logForced(forced)
	return &ecs.UpdateServiceOutput{Service: &out}, nil
}

// updatable finds the service that in names, which must be ACTIVE.
func updatable(r store.Reader, s cluster.Scope, in *ecs.UpdateServiceInput) (cluster.Service, error) {
	c, err := findCluster(r, s, in.Cluster)
	if err != nil {
		return cluster.Service{}, err
	}
	v, err := findService(r, c, in.Service)
	if err == nil && v.Status != "ACTIVE" {
		err = &types.ServiceNotActiveException{Message: ptr("Service was not ACTIVE.")}
	}
	return v, err
}

// merged is what s has and in changes. Lists that are given but empty take
// what was there away.
func merged(s cluster.Service, in *ecs.UpdateServiceInput) wish {
	w := wish{
		scope: s.Scope, desired: s.DesiredCount, launchType: s.LaunchType, strategy: s.CapacityStrategy, platform: s.PlatformVersion,
		network: s.Network, balancers: s.LoadBalancers, grace: &s.HealthGrace,
		constraints: s.PlacementConstraints, placement: s.PlacementStrategy,
		configuration: s.Configuration, rebalancing: s.ZoneRebalancing,
	}
	if p := s.Primary(); p != nil {
		w.definition = ptr(cluster.TaskDefinition{Scope: s.Scope, Family: p.Family, Revision: p.Revision}.ARN())
	}
	set(&w.definition, in.TaskDefinition)
	set(&w.network, in.NetworkConfiguration)
	set(&w.grace, in.HealthCheckGracePeriodSeconds)
	if in.DesiredCount != nil {
		w.desired = *in.DesiredCount
	}
	if in.PlatformVersion != nil {
		w.platform = *in.PlatformVersion
	}
	if in.LoadBalancers != nil {
		w.balancers = in.LoadBalancers
	}
	if in.PlacementConstraints != nil {
		w.constraints = in.PlacementConstraints
	}
	if in.PlacementStrategy != nil {
		w.placement = in.PlacementStrategy
	}
	if in.AvailabilityZoneRebalancing != "" {
		w.rebalancing = in.AvailabilityZoneRebalancing
	} else if w.rebalancing == types.AvailabilityZoneRebalancingEnabled {
		w.rebalancing = "" // stays ENABLED as long as the other wishes allow it
	}
	switch {
	case len(in.CapacityProviderStrategy) > 0:
		w.launchType, w.strategy = "", in.CapacityProviderStrategy
	case in.CapacityProviderStrategy != nil && len(w.strategy) > 0:
		w.launchType, w.strategy = types.LaunchTypeFargate, nil // what its providers stood for
	}
	if c := in.DeploymentConfiguration; c != nil {
		to := &w.configuration
		set(&to.MinimumHealthyPercent, c.MinimumHealthyPercent)
		set(&to.MaximumPercent, c.MaximumPercent)
		set(&to.DeploymentCircuitBreaker, c.DeploymentCircuitBreaker)
		to.Alarms, to.LifecycleHooks, to.BakeTimeInMinutes = c.Alarms, c.LifecycleHooks, c.BakeTimeInMinutes
		to.CanaryConfiguration, to.LinearConfiguration, to.EarlySuccessCriteria = c.CanaryConfiguration, c.LinearConfiguration, c.EarlySuccessCriteria
		if c.Strategy != "" {
			to.Strategy = c.Strategy
		}
	}
	return w
}

// set puts v at to if it is given.
func set[T any](to **T, v *T) {
	if v != nil {
		*to = v
	}
}

// target is the task definition that the service shall have. One that it has
// already may be INACTIVE by now: the service goes on with it.
func (w *wish) target(r store.Reader, c cluster.Cluster, s cluster.Service, in *ecs.UpdateServiceInput) (cluster.TaskDefinition, error) {
	p := s.Primary()
	if in.TaskDefinition == nil && p != nil {
		d, ok := cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(s.Scope, p.Family, p.Revision))
		if !ok {
			return d, clientErr("TaskDefinition not found.")
		}
		if d.Def.Status != types.TaskDefinitionStatusActive {
			if in.ForceNewDeployment || in.NetworkConfiguration != nil || in.LoadBalancers != nil || in.PlatformVersion != nil {
				return d, clientErr("TaskDefinition is inactive")
			}
			return d, w.checkRebalancing(s.LaunchType)
		}
	}
	return w.resolve(r, c)
}

// replaces reports whether tasks of old cannot serve as tasks of s.
func replaces(old, s cluster.Service) bool {
	return old.PlatformVersion != s.PlatformVersion ||
		!reflect.DeepEqual(settled(old.Network), settled(s.Network)) ||
		!sameBalancers(old.LoadBalancers, s.LoadBalancers)
}

// settled is c in one form, whatever the order of its lists and whether it
// names the default.
func settled(c *types.NetworkConfiguration) *types.NetworkConfiguration {
	w := wireNetwork(c)
	if w != nil {
		v := w.AwsvpcConfiguration
		v.Subnets, v.SecurityGroups = slices.Sorted(slices.Values(v.Subnets)), slices.Sorted(slices.Values(v.SecurityGroups))
	}
	return w
}

func sameBalancers(a, b []types.LoadBalancer) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
