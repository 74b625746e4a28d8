package elbv2

import (
	"context"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// DescribeRules returns the default rules of listeners, the only ones they
// have.
func (a *API) DescribeRules(ctx context.Context, in *elb.DescribeRulesInput) (*elb.DescribeRulesOutput, error) {
	s := scope(ctx)
	switch {
	case in.ListenerArn == nil && len(in.RuleArns) == 0:
		return nil, invalid("You must specify either listener ARNs or rule ARNs")
	case in.ListenerArn != nil && len(in.RuleArns) > 0:
		return nil, invalid("A listener ARN and rule ARNs cannot be specified at the same time")
	}
	all, err := view(a, func(r store.Reader) ([]lb.Listener, error) {
		if in.ListenerArn != nil {
			l, err := findListener(r, s, *in.ListenerArn)
			return []lb.Listener{l}, err
		}
		var all []lb.Listener
		for _, arn := range in.RuleArns {
			l, err := findRule(r, s, arn)
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
	out := &elb.DescribeRulesOutput{Rules: []types.Rule{}, NextMarker: next}
	for _, l := range page {
		out.Rules = append(out.Rules, types.Rule{RuleArn: ptr(l.RuleARN()), Priority: ptr("default"), IsDefault: ptr(true),
			Conditions: []types.RuleCondition{}, Actions: wireActions(l.Action)})
	}
	return out, nil
}

// DescribeListenerCertificates returns none: a listener of HTTP has none.
func (a *API) DescribeListenerCertificates(ctx context.Context, in *elb.DescribeListenerCertificatesInput) (*elb.DescribeListenerCertificatesOutput, error) {
	if _, err := a.findListener(ctx, in.ListenerArn); err != nil {
		return nil, err
	}
	return &elb.DescribeListenerCertificatesOutput{Certificates: []types.Certificate{}}, nil
}
