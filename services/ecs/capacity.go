package ecs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// providers are the capacity providers that every account has. Both start
// tasks on any node: nothing is taken back from FARGATE_SPOT.
var providers = []string{"FARGATE", "FARGATE_SPOT"}

// share is how many tasks go to one capacity provider, or to none.
type share struct {
	launchType types.LaunchType
	provider   string
	count      int
}

// capacity says where n tasks go, by the launch type or strategy of the call,
// else the cluster's default strategy, else EC2.
func capacity(c cluster.Cluster, lt types.LaunchType, strategy []types.CapacityProviderStrategyItem, n int) ([]share, error) {
	switch {
	case lt != "" && len(strategy) > 0:
		return nil, invalidParam("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	case lt == types.LaunchTypeManagedInstances:
		return nil, unsupported("launchType MANAGED_INSTANCES is not served. Use EC2, FARGATE or EXTERNAL.")
	case lt != "":
		return []share{{lt, "", n}}, nil
	case len(strategy) == 0:
		strategy = c.DefaultStrategy
	}
	if len(strategy) == 0 {
		return []share{{types.LaunchTypeEc2, "", n}}, nil
	}
	if err := checkStrategy(strategy, c.CapacityProviders); err != nil {
		return nil, err
	}
	var out []share
	for i, count := range launch.Split(strategy, nil, n) {
		if count > 0 {
			out = append(out, share{types.LaunchTypeFargate, deref(strategy[i].CapacityProvider), count})
		}
	}
	return out, nil
}

// checkStrategy checks a capacity provider strategy for a cluster that has
// those providers, by the rules of the API reference.
func checkStrategy(strategy []types.CapacityProviderStrategyItem, associated []string) error {
	if len(strategy) > 20 {
		return invalidParam("A capacity provider strategy can contain a maximum of 20 capacity providers.")
	}
	seen, based, weight := map[string]bool{}, false, int32(0)
	for _, s := range strategy {
		name := deref(s.CapacityProvider)
		switch {
		case !slices.Contains(associated, name):
			return invalidParam("The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again: %s", name)
		case seen[name]:
			return invalidParam("The specified capacity provider strategy names %s more than once.", name)
		case s.Base < 0 || s.Base > 100000:
			return invalidParam("Invalid base of capacity provider %s: %d. It must be between 0 and 100000.", name, s.Base)
		case s.Weight < 0 || s.Weight > 1000:
			return invalidParam("Invalid weight of capacity provider %s: %d. It must be between 0 and 1000.", name, s.Weight)
		case s.Base > 0 && based:
			return invalidParam("The specified capacity provider strategy has more than one base. Only one capacity provider can have a base.")
		}
		seen[name] = true
		based = based || s.Base > 0
		weight += s.Weight
	}
	if len(strategy) > 1 && weight == 0 {
		return invalidParam("The specified capacity provider strategy must have at least one capacity provider with a weight greater than 0.")
	}
	return nil
}

// checkProviders checks the names of capacity providers for a cluster.
func checkProviders(names []string) error {
	for _, n := range names {
		if !slices.Contains(providers, n) {
			return clientErr("The specified capacity provider does not exist: %s. Use FARGATE or FARGATE_SPOT: dhow serves no others.", n)
		}
	}
	return nil
}

// DescribeCapacityProviders answers for the two that exist. They have no tags
// to include.
func (a *API) DescribeCapacityProviders(ctx context.Context, in *ecs.DescribeCapacityProvidersInput) (*ecs.DescribeCapacityProvidersOutput, error) {
	s := scope(ctx)
	names := in.CapacityProviders
	if ref := in.Cluster; deref(ref) != "" {
		err := a.db.View(func(r store.Reader) error {
			c, err := findCluster(r, s, ref)
			if len(names) == 0 {
				names = c.CapacityProviders
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	} else if len(names) == 0 {
		names = providers
	}
	out := &ecs.DescribeCapacityProvidersOutput{CapacityProviders: []types.CapacityProvider{}, Failures: []types.Failure{}}
	var found []types.CapacityProvider
	for _, n := range names {
		name := strings.TrimPrefix(n, s.ARN("ecs", "capacity-provider/"))
		arn := s.ARN("ecs", "capacity-provider/"+name)
		if !slices.Contains(providers, name) {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		found = append(found, types.CapacityProvider{
			CapacityProviderArn: ptr(arn), Name: ptr(name), Status: types.CapacityProviderStatusActive,
			Type: types.CapacityProviderType(name), Tags: []types.Tag{},
		})
	}
	slices.SortFunc(found, func(a, b types.CapacityProvider) int { return strings.Compare(*a.Name, *b.Name) })
	var err error
	out.CapacityProviders, out.NextToken, err = page(ctx, slices.Values(found), func(p types.CapacityProvider) string { return *p.Name }, in.MaxResults, 10, in.NextToken)
	out.CapacityProviders = orEmpty(out.CapacityProviders)
	return out, err
}
