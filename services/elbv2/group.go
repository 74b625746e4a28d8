package elbv2

import (
	"context"
	"errors"
	"slices"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// CreateTargetGroup makes a target group. A call that asks for what is there
// already returns it.
func (a *API) CreateTargetGroup(ctx context.Context, in *elb.CreateTargetGroupInput) (*elb.CreateTargetGroupOutput, error) {
	name := deref(in.Name)
	if err := checkName("Target group name", name); err != nil {
		return nil, err
	}
	g, err := newGroup(in)
	if err != nil {
		return nil, err
	}
	if g.Tags, err = tagsFrom(nil, in.Tags); err != nil {
		return nil, err
	}
	if err := a.ensureVPC(ctx); err != nil {
		return nil, err
	}
	g.Scope, g.CreatedAt = scope(ctx), time.Now().UTC().Truncate(time.Millisecond)
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		vpc, ok := cluster.VPCs.Get(tx, g.Scope.Key(g.VPC))
		if !ok {
			return invalid("The VPC ID '%s' is not found", g.VPC)
		}
		g.Network, g.CIDR = vpc.Network, vpc.CIDR
		old, ok := lb.TargetGroups.Get(tx, g.Key())
		if !ok {
			return lb.CreateTargetGroup(tx, &g)
		}
		if old.Type != g.Type || old.Protocol != g.Protocol || old.Port != g.Port || old.VPC != g.VPC ||
			old.Check != g.Check || !sameTags(old.Tags, g.Tags) {
			return &types.DuplicateTargetGroupNameException{
				Message: ptr("A target group with the same name '" + name + "' exists, but with different settings")}
		}
		g = old
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.engine.Sync(g.ARN())
	return &elb.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{wireGroup(g)}}, nil
}

// newGroup checks a new target group's settings and fills in AWS's defaults.
func newGroup(in *elb.CreateTargetGroupInput) (g lb.TargetGroup, err error) {
	g = lb.TargetGroup{Name: deref(in.Name), Type: string(in.TargetType), Protocol: string(in.Protocol),
		Port: deref(in.Port), VPC: deref(in.VpcId)}
	if g.Type == "" {
		g.Type = string(types.TargetTypeEnumInstance)
	}
	switch {
	case g.Type != "ip" && g.Type != "instance":
		return g, refused("dhow serves target groups of type 'ip' and 'instance'; type '%s' is not served yet", g.Type)
	case g.Protocol == "":
		return g, invalid("A protocol must be specified")
	case g.Protocol != "HTTP" && g.Protocol != "HTTPS":
		return g, refused("dhow serves target groups of application load balancers, with protocol HTTP or HTTPS; protocol '%s' is not served yet", g.Protocol)
	case in.Port == nil:
		return g, invalid("A port must be specified")
	case g.VPC == "":
		return g, invalid("A VPC ID must be specified")
	case in.IpAddressType != "" && in.IpAddressType != types.TargetGroupIpAddressTypeEnumIpv4:
		return g, refused("targets of dhow have IPv4 addresses only: IP address type '%s' is not served", in.IpAddressType)
	case deref(in.ProtocolVersion) != "" && *in.ProtocolVersion != "HTTP1": // Terraform sends an empty one
		return g, refused("targets are spoken to in HTTP/1.1: protocol version '%s' is not served yet", *in.ProtocolVersion)
	case in.TargetControlPort != nil:
		return g, refused("TargetControlPort is not served by dhow")
	}
	g.Check = lb.Check{Protocol: "HTTP", Port: "traffic-port", Path: "/", Interval: 30, Timeout: 5,
		Healthy: 5, Unhealthy: 2, Matcher: "200"}
	err = changes{in.HealthCheckEnabled, in.HealthCheckIntervalSeconds, in.HealthCheckPath, in.HealthCheckPort,
		in.HealthCheckProtocol, in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.Matcher,
		in.UnhealthyThresholdCount}.apply(&g)
	return g, err
}

// ModifyTargetGroup changes the health check.
func (a *API) ModifyTargetGroup(ctx context.Context, in *elb.ModifyTargetGroupInput) (*elb.ModifyTargetGroupOutput, error) {
	g, err := a.changeGroup(ctx, deref(in.TargetGroupArn), func(g *lb.TargetGroup) error {
		return changes{in.HealthCheckEnabled, in.HealthCheckIntervalSeconds, in.HealthCheckPath, in.HealthCheckPort,
			in.HealthCheckProtocol, in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.Matcher,
			in.UnhealthyThresholdCount}.apply(g)
	})
	if err != nil {
		return nil, err
	}
	return &elb.ModifyTargetGroupOutput{TargetGroups: []types.TargetGroup{wireGroup(g)}}, nil
}

// changeGroup lets f change a target group and makes the change work.
func (a *API) changeGroup(ctx context.Context, arn string, f func(g *lb.TargetGroup) error) (g lb.TargetGroup, err error) {
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if g, err = findGroup(tx, scope(ctx), arn); err != nil {
			return err
		}
		if err := f(&g); err != nil {
			return err
		}
		return lb.TargetGroups.Put(tx, g)
	})
	if err == nil {
		a.engine.Sync(arn)
	}
	return g, err
}

// DescribeTargetGroups returns the target groups named, those of a load
// balancer, or all.
func (a *API) DescribeTargetGroups(ctx context.Context, in *elb.DescribeTargetGroupsInput) (*elb.DescribeTargetGroupsOutput, error) {
	s := scope(ctx)
	named := 0
	for _, given := range []bool{len(in.TargetGroupArns) > 0, len(in.Names) > 0, in.LoadBalancerArn != nil} {
		if given {
			named++
		}
	}
	if named > 1 {
		return nil, invalid("Only one of target group ARNs, target group names and a load balancer ARN can be specified")
	}
	all, err := view(a, func(r store.Reader) ([]lb.TargetGroup, error) {
		var all []lb.TargetGroup
		for _, arn := range in.TargetGroupArns {
			g, err := findGroup(r, s, arn)
			if err != nil {
				return nil, err
			}
			all = append(all, g)
		}
		for _, name := range in.Names {
			g, ok := lb.TargetGroups.Get(r, s.Key(name))
			if !ok {
				return nil, noGroup()
			}
			all = append(all, g)
		}
		if in.LoadBalancerArn != nil {
			if _, err := findBalancer(r, s, *in.LoadBalancerArn); err != nil {
				return nil, err
			}
		}
		if len(in.TargetGroupArns) == 0 && len(in.Names) == 0 {
			for g := range lb.TargetGroups.List(r, s.Prefix()) {
				if in.LoadBalancerArn == nil || slices.Contains(g.LoadBalancers(), *in.LoadBalancerArn) {
					all = append(all, g)
				}
			}
		}
		return all, nil
	})
	if err != nil {
		return nil, err
	}
	all = byKey(all, lb.TargetGroup.Key)
	page, next, err := awsapi.Page(ctx, all, lb.TargetGroup.Key, in.Marker, in.PageSize, maxPage)
	if err != nil {
		return nil, err
	}
	out := &elb.DescribeTargetGroupsOutput{TargetGroups: []types.TargetGroup{}, NextMarker: next}
	for _, g := range page {
		out.TargetGroups = append(out.TargetGroups, wireGroup(g))
	}
	return out, nil
}

func wireGroup(g lb.TargetGroup) types.TargetGroup {
	w := types.TargetGroup{
		TargetGroupArn: ptr(g.ARN()), TargetGroupName: ptr(g.Name), Protocol: types.ProtocolEnum(g.Protocol),
		ProtocolVersion: ptr("HTTP1"), Port: ptr(g.Port), VpcId: ptr(g.VPC), TargetType: types.TargetTypeEnum(g.Type),
		IpAddressType:              types.TargetGroupIpAddressTypeEnumIpv4,
		HealthCheckEnabled:         ptr(true),
		HealthCheckProtocol:        types.ProtocolEnum(g.Check.Protocol),
		HealthCheckPort:            ptr(g.Check.Port),
		HealthCheckIntervalSeconds: ptr(g.Check.Interval),
		HealthCheckTimeoutSeconds:  ptr(g.Check.Timeout),
		HealthyThresholdCount:      ptr(g.Check.Healthy),
		UnhealthyThresholdCount:    ptr(g.Check.Unhealthy),
		HealthCheckPath:            ptr(g.Check.Path),
		Matcher:                    &types.Matcher{HttpCode: ptr(g.Check.Matcher)},
		LoadBalancerArns:           append([]string{}, g.LoadBalancers()...),
	}
	return w
}

// DeleteTargetGroup deletes a target group that no listener uses, with its
// targets. One that is not there is no error.
func (a *API) DeleteTargetGroup(ctx context.Context, in *elb.DeleteTargetGroupInput) (*elb.DeleteTargetGroupOutput, error) {
	arn := deref(in.TargetGroupArn)
	if err := checkARN(scope(ctx), "target group", arn); err != nil {
		return nil, err
	}
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		g, err := lb.FindTargetGroup(tx, scope(ctx), arn)
		if err != nil {
			return nil // deleted already
		}
		return lb.RemoveTargetGroup(tx, g)
	})
	switch {
	case errors.Is(err, lb.ErrGroupInUse):
		return nil, &types.ResourceInUseException{Message: ptr("Target group '" + arn + "' is currently in use by a listener or a rule")}
	case err != nil:
		return nil, err
	}
	a.engine.Sync(arn)
	return &elb.DeleteTargetGroupOutput{}, nil
}
