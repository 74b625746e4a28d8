package elbv2

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
)

// invalid is a ValidationError, which the SDK has no type for.
func invalid(format string, args ...any) error {
	return &awsapi.Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

// refused is an InvalidConfigurationRequest: what cannot be, or is not served.
func refused(format string, args ...any) error {
	return &types.InvalidConfigurationRequestException{Message: ptr(fmt.Sprintf(format, args...))}
}

func noBalancer(arns ...string) error {
	return &types.LoadBalancerNotFoundException{Message: ptr("Load balancers '[" + strings.Join(arns, ", ") + "]' not found")}
}

func noGroup() error {
	return &types.TargetGroupNotFoundException{Message: ptr("One or more target groups not found")}
}

func noListener() error {
	return &types.ListenerNotFoundException{Message: ptr("One or more listeners not found")}
}

func noRule() error {
	return &types.RuleNotFoundException{Message: ptr("One or more rules not found")}
}

// fromEngine gives package lb's errors their AWS names; arn is the load
// balancer's, for the errors that name it.
func fromEngine(err error, arn string) error {
	switch {
	case errors.Is(err, lb.ErrNoLoadBalancer):
		return noBalancer(arn)
	case errors.Is(err, lb.ErrNoTargetGroup):
		return noGroup()
	case errors.Is(err, lb.ErrNoListener):
		return noListener()
	case errors.Is(err, lb.ErrPortInUse):
		return &types.DuplicateListenerException{Message: ptr("A listener already exists on this port for this load balancer '" + arn + "'")}
	}
	return err
}
