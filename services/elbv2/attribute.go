package elbv2

import (
	"context"
	"errors"
	"maps"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// attributes returns have with the changes made; what names the kind of
// resource in AWS's sentences.
func attributes(what string, set lb.AttributeSet, have map[string]string, changes []lb.Tag) (map[string]string, error) {
	now := maps.Clone(have)
	if now == nil {
		now = map[string]string{}
	}
	for _, c := range changes {
		var bad *lb.AttributeError
		switch err := set.Check(c.Key, c.Value); {
		case errors.Is(err, lb.ErrNoAttribute):
			return nil, invalid("%s attribute key '%s' is not recognized", what, c.Key)
		case errors.As(err, &bad) && bad.Unserved:
			return nil, refused("%s attribute %v", what, err)
		case err != nil:
			return nil, invalid("%s attribute %v", what, err)
		}
		now[c.Key] = c.Value
	}
	return now, nil
}

// DescribeLoadBalancerAttributes returns all attributes, defaults included.
func (a *API) DescribeLoadBalancerAttributes(ctx context.Context, in *elb.DescribeLoadBalancerAttributesInput) (*elb.DescribeLoadBalancerAttributesOutput, error) {
	b, err := a.findBalancer(ctx, in.LoadBalancerArn)
	if err != nil {
		return nil, err
	}
	return &elb.DescribeLoadBalancerAttributesOutput{Attributes: balancerAttributes(b)}, nil
}

// ModifyLoadBalancerAttributes changes attributes.
func (a *API) ModifyLoadBalancerAttributes(ctx context.Context, in *elb.ModifyLoadBalancerAttributesInput) (*elb.ModifyLoadBalancerAttributesOutput, error) {
	var changes []lb.Tag
	for _, t := range in.Attributes {
		changes = append(changes, lb.Tag{Key: deref(t.Key), Value: deref(t.Value)})
	}
	b, err := a.changeBalancer(ctx, deref(in.LoadBalancerArn), func(_ *store.Tx, b *lb.LoadBalancer) (err error) {
		b.Attributes, err = attributes("Load balancer", lb.BalancerAttributes, b.Attributes, changes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &elb.ModifyLoadBalancerAttributesOutput{Attributes: balancerAttributes(b)}, nil
}

func balancerAttributes(b lb.LoadBalancer) []types.LoadBalancerAttribute {
	var all []types.LoadBalancerAttribute
	for _, t := range lb.BalancerAttributes.Values(b.Attributes) {
		all = append(all, types.LoadBalancerAttribute{Key: ptr(t.Key), Value: ptr(t.Value)})
	}
	return all
}

// DescribeTargetGroupAttributes returns all attributes, defaults included.
func (a *API) DescribeTargetGroupAttributes(ctx context.Context, in *elb.DescribeTargetGroupAttributesInput) (*elb.DescribeTargetGroupAttributesOutput, error) {
	g, err := a.findGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &elb.DescribeTargetGroupAttributesOutput{Attributes: groupAttributes(g)}, nil
}

// ModifyTargetGroupAttributes changes attributes.
func (a *API) ModifyTargetGroupAttributes(ctx context.Context, in *elb.ModifyTargetGroupAttributesInput) (*elb.ModifyTargetGroupAttributesOutput, error) {
	var changes []lb.Tag
	for _, t := range in.Attributes {
		changes = append(changes, lb.Tag{Key: deref(t.Key), Value: deref(t.Value)})
	}
	g, err := a.changeGroup(ctx, deref(in.TargetGroupArn), func(g *lb.TargetGroup) (err error) {
		g.Attributes, err = attributes("Target group", lb.GroupAttributes, g.Attributes, changes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &elb.ModifyTargetGroupAttributesOutput{Attributes: groupAttributes(g)}, nil
}

func groupAttributes(g lb.TargetGroup) []types.TargetGroupAttribute {
	var all []types.TargetGroupAttribute
	for _, t := range lb.GroupAttributes.Values(g.Attributes) {
		all = append(all, types.TargetGroupAttribute{Key: ptr(t.Key), Value: ptr(t.Value)})
	}
	return all
}

// DescribeListenerAttributes returns all attributes, defaults included.
func (a *API) DescribeListenerAttributes(ctx context.Context, in *elb.DescribeListenerAttributesInput) (*elb.DescribeListenerAttributesOutput, error) {
	l, err := a.findListener(ctx, in.ListenerArn)
	if err != nil {
		return nil, err
	}
	return &elb.DescribeListenerAttributesOutput{Attributes: listenerAttributes(l)}, nil
}

// ModifyListenerAttributes changes attributes.
func (a *API) ModifyListenerAttributes(ctx context.Context, in *elb.ModifyListenerAttributesInput) (*elb.ModifyListenerAttributesOutput, error) {
	var changes []lb.Tag
	for _, t := range in.Attributes {
		changes = append(changes, lb.Tag{Key: deref(t.Key), Value: deref(t.Value)})
	}
	l, err := a.changeListener(ctx, deref(in.ListenerArn), func(_ *store.Tx, _ lb.LoadBalancer, l *lb.Listener) (err error) {
		l.Attributes, err = attributes("Listener", lb.ListenerAttributes, l.Attributes, changes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &elb.ModifyListenerAttributesOutput{Attributes: listenerAttributes(l)}, nil
}

func listenerAttributes(l lb.Listener) []types.ListenerAttribute {
	var all []types.ListenerAttribute
	for _, t := range lb.ListenerAttributes.Values(l.Attributes) {
		all = append(all, types.ListenerAttribute{Key: ptr(t.Key), Value: ptr(t.Value)})
	}
	return all
}
