package elbv2

import (
	"context"
	"errors"
	"net/netip"
	"strconv"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// RegisterTargets adds targets to a target group. The engine checks them at
// once.
func (a *API) RegisterTargets(ctx context.Context, in *elb.RegisterTargetsInput) (*elb.RegisterTargetsOutput, error) {
	g, err := a.findGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	var targets []lb.Target
	err = a.db.View(func(r store.Reader) error {
		for _, t := range in.Targets {
			at, err := a.newTarget(r, g, t)
			if err != nil {
				return err
			}
			targets = append(targets, at)
		}
		have := map[string]bool{}
		for t := range lb.TargetsOf(r, g) {
			have[t.ID+":"+strconv.Itoa(int(t.Port))] = true
		}
		for _, t := range targets {
			have[t.ID+":"+strconv.Itoa(int(t.Port))] = true
		}
		if len(have) > maxTargets {
			return &types.TooManyTargetsException{Message: ptr("The maximum number of targets has been reached on the target group '" + g.ARN() + "'")}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := a.engine.Register(ctx, g.ARN(), targets...); err != nil {
		return nil, targetErr(err)
	}
	return &elb.RegisterTargetsOutput{}, nil
}

func targetErr(err error) error {
	if errors.Is(err, lb.ErrNoTargetGroup) {
		return noGroup()
	}
	return err
}

// rangesOutside are those that AWS takes targets from outside the VPC: RFC 1918
// and RFC 6598.
var rangesOutside = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
}

// newTarget checks a target that is to be registered, and finds its zone.
func (a *API) newTarget(r store.Reader, g lb.TargetGroup, t types.TargetDescription) (lb.Target, error) {
	at := lb.Target{ID: deref(t.Id), Port: g.Port, Zone: deref(t.AvailabilityZone)}
	set(&at.Port, t.Port)
	if at.Port < 1 || at.Port > 65535 {
		return at, invalid("Port '%d' of target '%s' is not from 1 to 65535", at.Port, at.ID)
	}
	if t.QuicServerId != nil {
		return at, refused("QuicServerId is supported only for target groups with protocol QUIC, which is not served")
	}
	if g.Type == "instance" {
		if a.cfg.Instance == nil || !a.cfg.Instance(g.Scope, at.ID) {
			return at, &types.InvalidTargetException{Message: ptr("The following targets are not in a running state and cannot be registered: '" + at.ID + "'")}
		}
		if at.Zone != "" {
			return at, invalid("You cannot specify an Availability Zone for targets of type 'instance'")
		}
		return at, nil
	}
	ip, err := netip.ParseAddr(at.ID)
	if err != nil || !ip.Is4() {
		return at, invalid("The IP address '%s' is not a valid IPv4 address", at.ID)
	}
	if g.Inside(ip) {
		zone := zoneOf(r, g, ip)
		switch {
		case at.Zone == "all":
			return at, invalid("The IP address '%s' is within the VPC, and cannot have its Availability Zone overridden to 'all' from '%s'", ip, zone)
		case at.Zone != "" && zone != "" && at.Zone != zone:
			return at, invalid("The IP address '%s' is within the VPC, and cannot have its Availability Zone overridden to '%s' from '%s'", ip, at.Zone, zone)
		}
		at.Zone = zone
		return at, nil
	}
	allowed := false
	for _, p := range rangesOutside {
		allowed = allowed || p.Contains(ip)
	}
	switch {
	case !allowed:
		return at, &types.InvalidTargetException{Message: ptr("The IP address '" + at.ID +
			"' is neither in the VPC nor in a range for private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10)")}
	case at.Zone != "all":
		return at, invalid("You must specify a valid Availability Zone or select 'all' for all enabled Availability zones, since the IP address '%s' is outside the VPC", ip)
	}
	return at, nil
}

// zoneOf is the Availability Zone of the subnet that ip is in, "" for none.
func zoneOf(r store.Reader, g lb.TargetGroup, ip netip.Addr) string {
	for n := range cluster.Subnets.List(r, g.Scope.Prefix()) {
		if p, err := netip.ParsePrefix(n.CIDR); err == nil && n.VPC == g.VPC && p.Contains(ip) {
			return n.Zone
		}
	}
	return ""
}

// DeregisterTargets takes targets out of a target group. A target without a
// port means all of its ports.
func (a *API) DeregisterTargets(ctx context.Context, in *elb.DeregisterTargetsInput) (*elb.DeregisterTargetsOutput, error) {
	g, err := a.findGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	var targets []lb.Target
	err = a.db.View(func(r store.Reader) error {
		have := map[string][]lb.Target{}
		for t := range lb.TargetsOf(r, g) {
			have[t.ID] = append(have[t.ID], lb.Target{ID: t.ID, Port: t.Port, Zone: t.Zone})
		}
		for _, t := range in.Targets {
			for _, at := range have[deref(t.Id)] {
				if t.Port == nil || *t.Port == at.Port {
					targets = append(targets, at)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := a.engine.Deregister(ctx, g.ARN(), targets...); err != nil {
		return nil, targetErr(err)
	}
	return &elb.DeregisterTargetsOutput{}, nil
}

// DescribeTargetHealth returns the state of the targets named, or of all.
func (a *API) DescribeTargetHealth(ctx context.Context, in *elb.DescribeTargetHealthInput) (*elb.DescribeTargetHealthOutput, error) {
	g, err := a.findGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	if len(in.Include) > 0 {
		return nil, refused("anomalies of targets are not looked for by dhow: leave out Include")
	}
	var targets []lb.Target
	err = a.db.View(func(r store.Reader) error {
		have := map[string][]lb.Target{}
		for t := range lb.TargetsOf(r, g) {
			at := lb.Target{ID: t.ID, Port: t.Port, Zone: t.Zone}
			have[t.ID] = append(have[t.ID], at)
			if len(in.Targets) == 0 {
				targets = append(targets, at)
			}
		}
		for _, t := range in.Targets {
			found := false
			for _, at := range have[deref(t.Id)] {
				if t.Port == nil || *t.Port == at.Port {
					targets, found = append(targets, at), true
				}
			}
			if !found {
				at := lb.Target{ID: deref(t.Id), Port: g.Port}
				set(&at.Port, t.Port)
				targets = append(targets, at)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &elb.DescribeTargetHealthOutput{TargetHealthDescriptions: []types.TargetHealthDescription{}}
	for _, t := range targets {
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, a.wireHealth(g, t))
	}
	return out, nil
}

func (a *API) wireHealth(g lb.TargetGroup, t lb.Target) types.TargetHealthDescription {
	h := a.engine.Describe(g.ARN(), t)
	port := g.Check.Port
	if port == "traffic-port" {
		port = strconv.Itoa(int(t.Port))
	}
	w := types.TargetHealthDescription{
		HealthCheckPort: ptr(port),
		Target:          &types.TargetDescription{Id: ptr(t.ID), Port: ptr(t.Port)},
		TargetHealth:    &types.TargetHealth{State: types.TargetHealthStateEnum(h.State), Reason: types.TargetHealthReasonEnum(h.Reason)},
	}
	if t.Zone != "" {
		w.Target.AvailabilityZone = ptr(t.Zone)
	}
	if h.Description != "" {
		w.TargetHealth.Description = ptr(h.Description)
	}
	return w
}
