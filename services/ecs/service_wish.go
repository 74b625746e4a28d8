package ecs

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// wish is what a caller wants of a service, the same for CreateService and
// UpdateService.
type wish struct {
	scope         cluster.Scope
	definition    *string
	desired       int32
	launchType    types.LaunchType
	strategy      []types.CapacityProviderStrategyItem
	platform      string
	network       *types.NetworkConfiguration
	balancers     []types.LoadBalancer
	groups        map[string]string // types of their target groups, set by check
	grace         *int32
	constraints   []types.PlacementConstraint
	placement     []types.PlacementStrategy
	configuration types.DeploymentConfiguration
	rebalancing   types.AvailabilityZoneRebalancing
}

// checkWish checks what needs no transaction, and fills in defaults.
func (a *API) checkWish(ctx context.Context, w *wish) (err error) {
	switch {
	case deref(w.definition) == "":
		return clientErr("TaskDefinition can not be blank.")
	case w.desired < 0:
		return invalidParam("Invalid desiredCount: %d. It must not be negative.", w.desired)
	case deref(w.grace) < 0:
		return invalidParam("Invalid healthCheckGracePeriodSeconds: %d. It must not be negative.", *w.grace)
	case w.launchType != "" && len(w.strategy) > 0:
		return invalidParam("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if err := checkPlatform(w.platform); err != nil {
		return err
	}
	if w.configuration, err = checkDeploymentConfiguration(w.configuration); err != nil {
		return err
	}
	if w.groups, err = a.checkTargetGroups(w.scope, w.balancers); err != nil {
		return err
	}
	if w.network != nil {
		return a.ensureVPC(ctx, w.scope)
	}
	return nil
}

// resolve looks the wish up: it returns the task definition that it names,
// found fit for the launch type, the network and the load balancers.
func (w *wish) resolve(r store.Reader, c cluster.Cluster) (cluster.TaskDefinition, error) {
	d, err := findTaskDefinition(r, w.scope, *w.definition)
	if err != nil {
		return d, err
	}
	if w.launchType == "" && len(w.strategy) == 0 {
		w.strategy = c.DefaultStrategy
	}
	shares, err := capacity(c, w.launchType, w.strategy, 1)
	if err != nil {
		return d, err
	}
	if len(shares) == 0 {
		return d, invalidParam("There are no capacity providers in the capacity provider strategy with a weight value greater than zero.")
	}
	if len(w.strategy) == 0 {
		w.launchType = shares[0].launchType
	}
	fit := launch.Request{LaunchType: shares[0].launchType, PlatformVersion: w.platform}
	if err := compatible(d.Def, fit); err != nil {
		return d, err
	}
	if err := launch.CheckNetwork(r, w.scope, fit.LaunchType, d.Def.NetworkMode, w.network); err != nil {
		return d, err
	}
	if err := checkPlacement(fit.LaunchType, w.constraints, w.placement); err != nil {
		return d, err
	}
	if fit.LaunchType == types.LaunchTypeFargate && w.platform == "" {
		w.platform = "LATEST"
	}
	if err := w.checkRebalancing(fit.LaunchType); err != nil {
		return d, err
	}
	if err := checkTargetTypes(d.Def, w.groups); err != nil {
		return d, err
	}
	return d, checkBalancedContainers(d.Def, w.balancers)
}

// apply writes the wish into s, but for its task definition.
func (w *wish) apply(s *cluster.Service) {
	s.DesiredCount = w.desired
	s.LaunchType, s.CapacityStrategy, s.PlatformVersion = w.launchType, w.strategy, w.platform
	s.Configuration = w.configuration
	s.Network, s.LoadBalancers = w.network, w.balancers
	s.HealthGrace = deref(w.grace)
	s.PlacementConstraints, s.PlacementStrategy = w.constraints, w.placement
	s.ZoneRebalancing = w.rebalancing
}

// beginDeployment makes a new PRIMARY deployment of s, of definition d.
func beginDeployment(tx *store.Tx, s *cluster.Service, d cluster.TaskDefinition, forced bool) error {
	id, err := rand.Int(rand.Reader, big.NewInt(1e18))
	if err != nil {
		return err
	}
	at := now()
	n := cluster.Deployment{
		ID: fmt.Sprintf("ecs-svc/%019d", id.Add(id, big.NewInt(1e18))), Status: "PRIMARY",
		Family: d.Family, Revision: d.Revision, Desired: s.DesiredCount,
		LaunchType: s.LaunchType, CapacityStrategy: s.CapacityStrategy, PlatformVersion: s.PlatformVersion,
		Network: s.Network, LoadBalancers: s.LoadBalancers,
		RolloutState: types.DeploymentRolloutStateInProgress, Forced: forced, CreatedAt: at, UpdatedAt: at,
	}
	n.RolloutReason = fmt.Sprintf("ECS deployment %s in progress.", n.ID)
	s.Deployments = slices.Clone(s.Deployments)
	for i := range s.Deployments {
		s.Deployments[i].Status = "ACTIVE"
	}
	s.Deployments = slices.Insert(s.Deployments, 0, n)
	s.UpdatedAt, s.SteadyAt = at, nil
	return cluster.Emit(tx, cluster.Event{Scope: s.Scope, Kind: cluster.DeploymentStateChange, Resource: s.ARN(), Action: &cluster.Action{
		Name: "SERVICE_DEPLOYMENT_IN_PROGRESS", Type: "INFO", Reason: n.RolloutReason,
		Cluster: cluster.ClusterARN(s.Scope, s.Cluster), Service: s.ARN(), Deployment: n.ID, CreatedAt: at}})
}
