// Package launch starts tasks: in the caller's transaction it asks the
// scheduler for nodes, books their capacity, allocates addresses and writes
// the tasks. Handlers (RunTask, StartTask) and the service loop share it.
package launch

import (
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Request is some tasks of one definition.
type Request struct {
	cluster.Scope
	Cluster              string
	Definition           cluster.TaskDefinition
	Count                int
	LaunchType           types.LaunchType // EC2, FARGATE, EXTERNAL; "" takes EC2
	CapacityProvider     string
	PlatformVersion      string
	Group, StartedBy     string
	Service              string // "" for none
	Overrides            types.TaskOverride
	Network              *types.NetworkConfiguration
	Constraints          []types.PlacementConstraint
	Strategy             []types.PlacementStrategy
	EnableExecuteCommand bool
	Tags                 []types.Tag
	Instances            []string // StartTask: these container instances and no others
}

// Launch places as many of the tasks as fit and writes them, desired RUNNING,
// last PROVISIONING. What does not fit is in failures, in AWS's words; an error
// means that the request itself is wrong or the store failed.
func Launch(tx *store.Tx, r Request) (tasks []cluster.Task, failures []types.Failure, err error) {
	panic("contract only")
}
