package cluster

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// TaskDefinition is one revision, as AWS describes it: defaults filled in. The
// handlers are its only writer.
type TaskDefinition struct {
	Scope
	Family   string
	Revision int32
	Def      types.TaskDefinition
	Tags     []types.Tag
	Unserved []string // fields that are kept and echoed but do not act yet, as "containerDefinitions[].links"
}

// Family counts a family's revisions; numbers are never given twice.
type Family struct {
	Scope
	Name   string
	Last   int32 // highest revision ever given
	Active int32 // revisions that are ACTIVE
}

// TaskDefinitions is keyed ACCOUNT/REGION/FAMILY/REVISION, the revision in ten
// digits so that keys sort as numbers. Families is keyed ACCOUNT/REGION/NAME.
var (
	TaskDefinitions = store.NewTable("cluster.taskdefs", TaskDefinition.Key)
	Families        = store.NewTable("cluster.families", Family.Key)
)

// Key is the row's key.
func (d TaskDefinition) Key() string { return TaskDefinitionKey(d.Scope, d.Family, d.Revision) }

// TaskDefinitionKey is the key of one revision.
func TaskDefinitionKey(s Scope, family string, revision int32) string {
	return s.Key(family, fmt.Sprintf("%010d", revision))
}

// ARN is the revision's name in the API.
func (d TaskDefinition) ARN() string {
	return d.Scope.ARN("ecs", fmt.Sprintf("task-definition/%s:%d", d.Family, d.Revision))
}

// ContractLabels is what the Docker labels begin with by which a container
// declares what it writes and reads.
const ContractLabels = "dhow.contract."

// Contracts reports whether the revision declares contracts.
func (d TaskDefinition) Contracts() bool {
	for _, c := range d.Def.ContainerDefinitions {
		for key := range c.DockerLabels {
			if strings.HasPrefix(key, ContractLabels) {
				return true
			}
		}
	}
	return false
}

// Key is the row's key.
func (f Family) Key() string { return f.Scope.Key(f.Name) }
