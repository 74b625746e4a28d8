package elbv2

import (
	"context"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// The limits that dhow enforces; they are AWS's default quotas.
const (
	maxNamed           = 20   // in one call of DescribeLoadBalancers or DescribeTags
	maxListeners       = 50   // of a load balancer
	maxTargets         = 1000 // of a target group
	maxGroupsPerAction = 5
	maxActionGroups    = 100 // of a load balancer
)

// limits are AWS's default quotas for application load balancers, by name.
var limits = []types.Limit{
	limit("application-load-balancers", "50"),
	limit("certificates-per-application-load-balancer", "25"),
	limit("condition-values-per-alb-rule", "5"),
	limit("condition-wildcards-per-alb-rule", "6"),
	limit("listeners-per-application-load-balancer", "50"),
	limit("rules-per-application-load-balancer", "100"),
	limit("target-groups", "3000"),
	limit("target-groups-per-action-on-application-load-balancer", "5"),
	limit("target-groups-per-application-load-balancer", "100"),
	limit("targets-per-application-load-balancer", "1000"),
}

func limit(name, most string) types.Limit { return types.Limit{Name: ptr(name), Max: ptr(most)} }

// DescribeAccountLimits returns AWS's default quotas.
func (a *API) DescribeAccountLimits(ctx context.Context, in *elb.DescribeAccountLimitsInput) (*elb.DescribeAccountLimitsOutput, error) {
	page, next, err := awsapi.Page(ctx, limits, func(l types.Limit) string { return *l.Name }, in.Marker, in.PageSize, maxPage)
	if err != nil {
		return nil, err
	}
	return &elb.DescribeAccountLimitsOutput{Limits: page, NextMarker: next}, nil
}
