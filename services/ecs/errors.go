package ecs

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// clientErr is a ClientException: AWS's word for most wrong requests.
func clientErr(format string, args ...any) error {
	return &types.ClientException{Message: message(format, args)}
}

// invalidParam is an InvalidParameterException.
func invalidParam(format string, args ...any) error {
	return &types.InvalidParameterException{Message: message(format, args)}
}

// unsupported is an UnsupportedFeatureException: a request that AWS would take
// and dhow does not serve yet. It must name the field and say what to do.
func unsupported(format string, args ...any) error {
	return &types.UnsupportedFeatureException{Message: message(format, args)}
}

// conflict is a ConflictException that carries the resources which the first
// call with the same client token made.
func conflict(resources []string, format string, args ...any) error {
	return &types.ConflictException{Message: message(format, args), ResourceIds: resources}
}

func accessDenied(format string, args ...any) error {
	return &types.AccessDeniedException{Message: message(format, args)}
}

func clusterNotFound() error {
	return &types.ClusterNotFoundException{Message: ptr("Cluster not found.")}
}

func message(format string, args []any) *string {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &format
}

// missing is the entry of a Describe call's failures for a resource that does
// not exist.
func missing(arn string) types.Failure { return failure(arn, "MISSING", "") }

func failure(arn, reason, detail string) types.Failure {
	f := types.Failure{Arn: ptr(arn), Reason: ptr(reason)}
	if detail != "" {
		f.Detail = ptr(detail)
	}
	return f
}
