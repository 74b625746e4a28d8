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

// CreateService records the service with its first deployment; the service
// loop starts its tasks.
func (a *API) CreateService(ctx context.Context, in *ecs.CreateServiceInput) (*ecs.CreateServiceOutput, error) {
	name := deref(in.ServiceName)
	switch {
	case name == "":
		return nil, invalidParam("Service name can not be blank.")
	case !nameOK.MatchString(name):
		return nil, invalidParam("Invalid service name %.260q: up to 255 letters, numbers, underscores and hyphens are allowed.", name)
	case deref(in.HealthCheckGracePeriodSeconds) > 0 && len(in.LoadBalancers) == 0:
		return nil, invalidParam("Health check grace period is only valid for services configured to use load balancers")
	case in.DesiredCount == nil:
		return nil, invalidParam("Desired count can not be empty: specify desiredCount.")
	case !tokenOK(deref(in.ClientToken), 36):
		return nil, invalidParam(badToken, 36)
	}
	if err := refuseOnCreate(in); err != nil {
		return nil, err
	}
	if err := validateTags(in.Tags, forceTag); err != nil {
		return nil, err
	}
	w := wish{
		scope: scope(ctx), definition: in.TaskDefinition, desired: *in.DesiredCount,
		launchType: in.LaunchType, strategy: in.CapacityProviderStrategy, platform: deref(in.PlatformVersion),
		network: in.NetworkConfiguration, balancers: in.LoadBalancers, grace: in.HealthCheckGracePeriodSeconds,
		constraints: in.PlacementConstraints, placement: in.PlacementStrategy,
		configuration: deref(in.DeploymentConfiguration), rebalancing: in.AvailabilityZoneRebalancing,
	}
	if err := a.checkWish(ctx, &w); err != nil {
		return nil, err
	}
	same := *in
	same.ClientToken = nil
	token := cluster.Token{Scope: w.scope, Operation: "CreateService", Token: deref(in.ClientToken), Digest: digest(same), At: time.Now().UTC()}

	out := new(ecs.CreateServiceOutput)
	forced := ""
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		forced = ""
		c, err := findCluster(tx, w.scope, in.Cluster)
		if err != nil {
			return err
		}
		token.Cluster = c.Name
		key := cluster.ServiceKey(c.Scope, c.Name, name)
		old, exists := cluster.Services.Get(tx, key)
		if token.Token != "" {
			if t, ok := cluster.Tokens.Get(tx, token.Key()); ok && time.Since(t.At) < cluster.TokenLife {
				if t.Digest != token.Digest || !exists {
					return invalidParam(notIdempotent)
				}
				out.Service = ptr(describeService(tx, old))
				return nil
			}
		}
		switch {
		case exists && old.Status == "DRAINING":
			return invalidParam("Unable to Start a service that is still Draining.")
		case exists && old.Status == "ACTIVE":
			return invalidParam(notIdempotent)
		}
		d, err := w.resolve(tx, c)
		if err != nil {
			return err
		}
		s := cluster.Service{
			Scope: c.Scope, Cluster: c.Name, Name: name, ID: cluster.NewID(), Status: "ACTIVE",
			SchedulingStrategy: types.SchedulingStrategyReplica, Controller: types.DeploymentControllerTypeEcs,
			PropagateTags: in.PropagateTags, EnableECSManagedTags: in.EnableECSManagedTags, EnableExecuteCommand: in.EnableExecuteCommand,
			RoleARN: deref(in.Role), ClientToken: token.Token, Tags: in.Tags,
			CreatedAt: now(), CreatedBy: awsapi.CallFrom(ctx).Principal,
		}
		if s.PropagateTags == "" {
			s.PropagateTags = types.PropagateTagsNone
		}
		w.apply(&s)
		if s.RoleARN == "" && (len(s.LoadBalancers) > 0 || s.Network != nil) {
			s.RoleARN = "arn:aws:iam::" + s.Account + ":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
		}
		if forced, err = a.checkContracts(ctx, tx, &s, d); err != nil {
			return err
		}
		if err := beginDeployment(tx, &s, d, false); err != nil {
			return err
		}
		if token.Token != "" {
			token.Resources = []string{s.ARN()}
			if err := cluster.Tokens.Put(tx, token); err != nil {
				return err
			}
		}
		cluster.ServiceLogs.Delete(tx, key) // of a service of this name that was deleted
		if err := noteForced(tx, s, forced); err != nil {
			return err
		}
		out.Service = ptr(describeService(tx, s))
		return cluster.Services.Put(tx, s)
	})
	if err != nil {
		return nil, asInvalid(err)
	}
	a.logForced(forced)
	out.Service.Tags = orEmpty(in.Tags)
	return out, nil
}

const notIdempotent = "Creation of service was not idempotent."

// findService finds a service of c by name or ARN, whatever its status.
func findService(r store.Reader, c cluster.Cluster, ref *string) (cluster.Service, error) {
	name, err := memberID(c, "service", deref(ref))
	if err != nil {
		return cluster.Service{}, err
	}
	s, ok := cluster.Services.Get(r, cluster.ServiceKey(c.Scope, c.Name, name))
	if !ok {
		return s, &types.ServiceNotFoundException{Message: ptr("Service not found.")}
	}
	return s, nil
}

// DeleteService begins to drain the service: the service loop stops its tasks
// and then makes it INACTIVE.
func (a *API) DeleteService(ctx context.Context, in *ecs.DeleteServiceInput) (*ecs.DeleteServiceOutput, error) {
	var out types.Service
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		c, err := findCluster(tx, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		s, err := findService(tx, c, in.Service)
		switch {
		case err != nil:
			return err
		case s.Status == "INACTIVE":
			return &types.ServiceNotFoundException{Message: ptr("Service not found.")}
		case s.Status == "DRAINING":
			out = describeService(tx, s)
			return nil
		case s.DesiredCount > 0 && !deref(in.Force):
			return invalidParam("The service cannot be stopped while it is scaled above 0.")
		}
		s.Status, s.DesiredCount, s.UpdatedAt = "DRAINING", 0, now()
		out = describeService(tx, s)
		return cluster.Services.Put(tx, s)
	})
	if err != nil {
		return nil, err
	}
	return &ecs.DeleteServiceOutput{Service: &out}, nil
}

// DescribeServices answers for services of every status; those that are not
// there are failures.
func (a *API) DescribeServices(ctx context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
	switch n := len(in.Services); {
	case n == 0:
		return nil, invalidParam("Services cannot be empty.")
	case n > 10:
		return nil, invalidParam("Services cannot have more than 10 elements.")
	}
	out := &ecs.DescribeServicesOutput{Services: []types.Service{}, Failures: []types.Failure{}}
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, ref := range in.Services {
			name, err := memberID(c, "service", ref)
			if err != nil {
				return err
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			s, ok := cluster.Services.Get(r, cluster.ServiceKey(c.Scope, c.Name, name))
			if !ok {
				out.Failures = append(out.Failures, missing(cluster.Service{Scope: c.Scope, Cluster: c.Name, Name: name}.ARN()))
				continue
			}
			w := describeService(r, s)
			if slices.Contains(in.Include, types.ServiceFieldTags) {
				w.Tags = orEmpty(s.Tags)
			}
			out.Services = append(out.Services, w)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListServices lists ACTIVE services by name.
func (a *API) ListServices(ctx context.Context, in *ecs.ListServicesInput) (*ecs.ListServicesOutput, error) {
	out := &ecs.ListServicesOutput{ServiceArns: []string{}}
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		rows := filter(cluster.Services.List(r, c.Scope.Prefix(c.Name)), func(s cluster.Service) bool {
			return s.Status == "ACTIVE" &&
				(in.LaunchType == "" || in.LaunchType == s.LaunchType) &&
				(in.SchedulingStrategy == "" || in.SchedulingStrategy == s.SchedulingStrategy) &&
				(in.ResourceManagementType == "" || in.ResourceManagementType == types.ResourceManagementTypeCustomer)
		})
		maxResults := in.MaxResults
		if maxResults == nil {
			maxResults = ptr(int32(10))
		}
		found, next, err := page(ctx, rows, cluster.Service.Key, maxResults, 100, in.NextToken)
		for _, s := range found {
			out.ServiceArns = append(out.ServiceArns, s.ARN())
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
