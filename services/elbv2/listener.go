package elbv2

import (
	"context"
	"slices"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// CreateListener opens a port of a load balancer. A call that asks for what is
// there already returns it.
func (a *API) CreateListener(ctx context.Context, in *elb.CreateListenerInput) (*elb.CreateListenerOutput, error) {
	arn := deref(in.LoadBalancerArn)
	switch {
	case in.Port == nil:
		return nil, invalid("A listener port must be specified")
	case in.Protocol == "":
		return nil, invalid("A listener protocol must be specified")
	}
	if err := checkPlain(in.Protocol, in.SslPolicy, in.Certificates, in.AlpnPolicy, in.MutualAuthentication); err != nil {
		return nil, err
	}
	action, err := actionOf(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	tags, err := tagsFrom(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	var l lb.Listener
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		b, err := findBalancer(tx, scope(ctx), arn)
		if err != nil {
			return err
		}
		l = lb.Listener{Scope: b.Scope, Balancer: b.Name, BalancerID: b.ID, Port: *in.Port, Action: action, Tags: tags}
		if err := checkGroups(tx, b, l, action); err != nil {
			return err
		}
		if old, ok := lb.Listeners.Get(tx, l.Key()); ok {
			if !sameAction(old.Action, action) || !sameTags(old.Tags, tags) {
				return lb.ErrPortInUse
			}
			l = old
			return nil
		}
		if len(b.Ports) >= maxListeners {
			return &types.TooManyListenersException{Message: ptr("The maximum number of listeners has been reached on the load balancer '" + arn + "'")}
		}
		return lb.PutListener(tx, &l)
	})
	if err != nil {
		return nil, fromEngine(err, arn)
	}
	a.engine.Sync(arn)
	return &elb.CreateListenerOutput{Listeners: []types.Listener{wireListener(l)}}, nil
}

// checkPlain refuses protocols other than HTTP, and what belongs to them.
func checkPlain(protocol types.ProtocolEnum, policy *string, certificates []types.Certificate, alpn []string, mutual *types.MutualAuthenticationAttributes) error {
	switch {
	case protocol == types.ProtocolEnumHttps:
		return &types.UnsupportedProtocolException{Message: ptr("dhow serves listeners of protocol HTTP; HTTPS is not served yet")}
	case protocol != "" && protocol != types.ProtocolEnumHttp:
		return &types.UnsupportedProtocolException{Message: ptr("Protocol '" + string(protocol) + "' is not supported for listeners of application load balancers; use HTTP")}
	case policy != nil && *policy != "":
		return invalid("An SSL policy cannot be specified for HTTP listeners")
	case len(certificates) > 0:
		return invalid("Certificates cannot be specified for HTTP listeners")
	case len(alpn) > 0:
		return invalid("An ALPN policy cannot be specified for HTTP listeners")
	case mutual != nil && deref(mutual.Mode) != "" && deref(mutual.Mode) != "off":
		return invalid("Mutual authentication cannot be specified for HTTP listeners")
	}
	return nil
}

// checkGroups checks that l, a listener of b, may forward to the target groups
// of its action.
func checkGroups(r store.Reader, b lb.LoadBalancer, l lb.Listener, action lb.Action) error {
	all := map[string]bool{}
	for _, o := range lb.ListenersOf(r, b) {
		if o.ID != l.ID {
			for _, g := range o.Action.Forward {
				all[g.Group] = true
			}
		}
	}
	for _, w := range action.Forward {
		g, err := findGroup(r, b.Scope, w.Group)
		if err != nil {
			return err
		}
		if g.VPC != b.VPC {
			return refused("The target group '%s' is in VPC '%s', but the load balancer is in VPC '%s'", w.Group, g.VPC, b.VPC)
		}
		for _, other := range g.LoadBalancers() {
			if other != b.ARN() {
				return &types.TargetGroupAssociationLimitException{Message: ptr(
					"The following target groups cannot be associated with more than one load balancer: " + w.Group)}
			}
		}
		all[w.Group] = true
	}
	if len(all) > maxActionGroups {
		return &types.TooManyUniqueTargetGroupsPerLoadBalancerException{Message: ptr(
			"The maximum number of target groups has been reached on the load balancer '" + b.ARN() + "'")}
	}
	return nil
}

// ModifyListener changes a listener's port or default action.
func (a *API) ModifyListener(ctx context.Context, in *elb.ModifyListenerInput) (*elb.ModifyListenerOutput, error) {
	if err := checkPlain(in.Protocol, in.SslPolicy, in.Certificates, in.AlpnPolicy, in.MutualAuthentication); err != nil {
		return nil, err
	}
	if len(in.DefaultActions) == 0 && in.Port == nil && in.Protocol == "" {
		return nil, invalid("An action must be specified")
	}
	l, err := a.changeListener(ctx, deref(in.ListenerArn), func(tx *store.Tx, b lb.LoadBalancer, l *lb.Listener) error {
		set(&l.Port, in.Port)
		if len(in.DefaultActions) == 0 {
			return nil
		}
		action, err := actionOf(in.DefaultActions)
		if err != nil {
			return err
		}
		l.Action = action
		return checkGroups(tx, b, *l, action)
	})
	if err != nil {
		return nil, err
	}
	return &elb.ModifyListenerOutput{Listeners: []types.Listener{wireListener(l)}}, nil
}

// changeListener lets f change a listener and makes the change work.
func (a *API) changeListener(ctx context.Context, arn string, f func(tx *store.Tx, b lb.LoadBalancer, l *lb.Listener) error) (l lb.Listener, err error) {
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if l, err = findListener(tx, scope(ctx), arn); err != nil {
			return err
		}
		b, err := lb.FindLoadBalancer(tx, l.Scope, l.BalancerARN())
		if err != nil {
			return noListener()
		}
		if err := f(tx, b, &l); err != nil {
			return err
		}
		return lb.PutListener(tx, &l)
	})
	if err != nil {
		return l, fromEngine(err, l.BalancerARN())
	}
	a.engine.Sync(l.BalancerARN())
	return l, nil
}

// DescribeListeners returns the listeners of a load balancer, or those named.
func (a *API) DescribeListeners(ctx context.Context, in *elb.DescribeListenersInput) (*elb.DescribeListenersOutput, error) {
	s := scope(ctx)
	if in.LoadBalancerArn == nil && len(in.ListenerArns) == 0 {
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	}
	if in.LoadBalancerArn != nil && len(in.ListenerArns) > 0 {
		return nil, invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time")
	}
	all, err := view(a, func(r store.Reader) ([]lb.Listener, error) {
		if in.LoadBalancerArn != nil {
			b, err := findBalancer(r, s, *in.LoadBalancerArn)
			if err != nil {
				return nil, err
			}
			return lb.ListenersOf(r, b), nil
		}
		var all []lb.Listener
		for _, arn := range in.ListenerArns {
			l, err := findListener(r, s, arn)
			if err != nil {
				return nil, err
			}
			all = append(all, l)
		}
		return all, nil
	})
	if err != nil {
		return nil, err
	}
	all = byKey(all, lb.Listener.Key)
	page, next, err := awsapi.Page(ctx, all, lb.Listener.Key, in.Marker, in.PageSize, maxPage)
	if err != nil {
		return nil, err
	}
	out := &elb.DescribeListenersOutput{Listeners: []types.Listener{}, NextMarker: next}
	for _, l := range page {
		out.Listeners = append(out.Listeners, wireListener(l))
	}
	return out, nil
}

func wireListener(l lb.Listener) types.Listener {
	return types.Listener{ListenerArn: ptr(l.ARN()), LoadBalancerArn: ptr(l.BalancerARN()), Port: ptr(l.Port),
		Protocol: types.ProtocolEnumHttp, DefaultActions: wireActions(l.Action)}
}

// DeleteListener closes a listener.
func (a *API) DeleteListener(ctx context.Context, in *elb.DeleteListenerInput) (*elb.DeleteListenerOutput, error) {
	var l lb.Listener
	err := a.db.Update(ctx, func(tx *store.Tx) (err error) {
		if l, err = findListener(tx, scope(ctx), deref(in.ListenerArn)); err != nil {
			return err
		}
		return lb.RemoveListener(tx, l)
	})
	if err != nil {
		return nil, fromEngine(err, "")
	}
	arns := []string{l.BalancerARN()}
	for _, g := range l.Action.Forward {
		arns = append(arns, g.Group)
	}
	a.engine.Sync(arns...)
	return &elb.DeleteListenerOutput{}, nil
}

// sameAction reports whether two actions do the same.
func sameAction(a, b lb.Action) bool {
	return slices.Equal(a.Forward, b.Forward) && a.StickySeconds == b.StickySeconds && equal(a.Fixed, b.Fixed) && equal(a.Redirect, b.Redirect)
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
