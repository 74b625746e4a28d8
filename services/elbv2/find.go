package elbv2

import (
	"context"
	"regexp"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// resources are the forms of what ARNs name, by the name of the kind in AWS's
// sentences.
var resources = map[string]*regexp.Regexp{
	"load balancer": regexp.MustCompile(`^loadbalancer/(app|net|gwy)/[A-Za-z0-9-]+/[0-9a-z]+$`),
	"target group":  regexp.MustCompile(`^targetgroup/[A-Za-z0-9-]+/[0-9a-z]+$`),
	"listener":      regexp.MustCompile(`^listener/(app|net|gwy)/[A-Za-z0-9-]+/[0-9a-z]+/[0-9a-z]+$`),
	"listener rule": regexp.MustCompile(`^listener-rule/(app|net|gwy)/[A-Za-z0-9-]+/[0-9a-z]+/[0-9a-z]+/[0-9a-z]+$`),
}

// checkARN refuses what is no ARN of the kind in the region of s: AWS does so
// before it looks whether there is such a thing.
func checkARN(s cluster.Scope, kind, text string) error {
	a, err := arn.Parse(text)
	if err != nil || a.Service != "elasticloadbalancing" || a.Region != s.Region || !resources[kind].MatchString(a.Resource) {
		return invalid("'%s' is not a valid %s ARN", text, kind)
	}
	return nil
}

// findBalancer finds the caller's load balancer of that ARN. Its errors, and
// those of its sisters, are AWS's.
func findBalancer(r store.Reader, s cluster.Scope, arn string) (lb.LoadBalancer, error) {
	if err := checkARN(s, "load balancer", arn); err != nil {
		return lb.LoadBalancer{}, err
	}
	b, err := lb.FindLoadBalancer(r, s, arn)
	return b, fromEngine(err, arn)
}

func findGroup(r store.Reader, s cluster.Scope, arn string) (lb.TargetGroup, error) {
	if err := checkARN(s, "target group", arn); err != nil {
		return lb.TargetGroup{}, err
	}
	g, err := lb.FindTargetGroup(r, s, arn)
	return g, fromEngine(err, arn)
}

func findListener(r store.Reader, s cluster.Scope, arn string) (lb.Listener, error) {
	if err := checkARN(s, "listener", arn); err != nil {
		return lb.Listener{}, err
	}
	l, err := lb.FindListener(r, s, arn)
	return l, fromEngine(err, arn)
}

// findRule finds the listener whose default rule has that ARN.
func findRule(r store.Reader, s cluster.Scope, arn string) (lb.Listener, error) {
	if err := checkARN(s, "listener rule", arn); err != nil {
		return lb.Listener{}, err
	}
	l, err := lb.FindListener(r, s, arn)
	if err != nil {
		return l, noRule()
	}
	return l, nil
}

func (a *API) findBalancer(ctx context.Context, arn *string) (lb.LoadBalancer, error) {
	return view(a, func(r store.Reader) (lb.LoadBalancer, error) { return findBalancer(r, scope(ctx), deref(arn)) })
}

func (a *API) findGroup(ctx context.Context, arn *string) (lb.TargetGroup, error) {
	return view(a, func(r store.Reader) (lb.TargetGroup, error) { return findGroup(r, scope(ctx), deref(arn)) })
}

func (a *API) findListener(ctx context.Context, arn *string) (lb.Listener, error) {
	return view(a, func(r store.Reader) (lb.Listener, error) { return findListener(r, scope(ctx), deref(arn)) })
}
