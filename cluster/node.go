package cluster

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// Resources are amounts of what a node has and tasks hold.
type Resources struct {
	CPU    int64    // units, 1024 a vCPU
	Memory int64    // MiB
	Ports  []string // host ports as "80/tcp", fixed ones only: dynamic ones are the node's own choice
}

// Node is a machine. Registration is its only writer, but for Connected and
// SeenAt, which its agent's session writes.
type Node struct {
	ID        string
	Hostname  string
	Zone      string // availability zone, such as us-east-1a, without the region: "a"
	Total     Resources
	Everyone  bool // member of every cluster: `dhow up`
	Fargate   bool // takes FARGATE tasks
	External  bool // a stock ECS agent joined it
	Connected bool
	SeenAt    time.Time
	CreatedAt time.Time

	// What the node said of itself, and its container instances repeat.
	Attributes []types.Attribute
	Registered []types.Resource
	Agent      *types.VersionInfo
}

// InstanceID is the node's name as an EC2 instance, by which target groups of
// type instance know it: i- and 17 hexadecimal digits, always the same ones.
func (n Node) InstanceID() string { return hashID("i", 17, n.ID) }

// nodePrefix begins the ARN of a node: the principal of its agent.
const nodePrefix = "arn:dhow:node:::"

// NodeARN is the name of a node, as principal and as the container instance
// that its agent says it is.
func NodeARN(id string) string { return nodePrefix + id }

// ParseNodeARN returns the id in a node's ARN.
func ParseNodeARN(arn string) (id string, ok bool) {
	id, ok = strings.CutPrefix(arn, nodePrefix)
	return id, ok && id != ""
}

// Ledger is what a node's tasks hold, whichever cluster they are of. Placement
// and SaveTask write it, in the transaction that places or stops the task, and
// so it is also the row on which concurrent placements meet.
type Ledger struct {
	Node  string
	Used  Resources
	Tasks int
	// Groups counts the tasks by their groups, by Task.GroupKey.
	Groups map[string]int
}

// Instance is a node's membership of one cluster: a container instance.
type Instance struct {
	Scope
	Cluster, ID  string
	Node         string
	Status       types.ContainerInstanceStatus // ACTIVE, DRAINING, INACTIVE
	StatusReason string
	Attributes   []types.Attribute
	Registered   []types.Resource // totalResources as registered
	AgentVersion *types.VersionInfo
	Connected    bool // agentConnected
	Tags         []types.Tag
	RegisteredAt time.Time
	Version      int64 // rises with each change that clients can see; set by SaveInstance
}

// Nodes and Ledgers are keyed by node id, Instances ACCOUNT/REGION/CLUSTER/ID
// with index "node". A deregistered instance's row is deleted.
var (
	Nodes     = store.NewTable("cluster.nodes", func(n Node) string { return n.ID })
	Ledgers   = store.NewTable("cluster.ledgers", func(l Ledger) string { return l.Node })
	Instances = store.NewTable("cluster.instances", Instance.Key,
		store.Index[Instance]{Name: "node", Values: func(i Instance) []string { return []string{i.Node} }})
)

// Key is the row's key.
func (i Instance) Key() string { return i.Scope.Key(i.Cluster, i.ID) }

// ARN is the instance's name in the API.
func (i Instance) ARN() string { return InstanceARN(i.Scope, i.Cluster, i.ID) }

// InstanceARN is the ARN of a container instance.
func InstanceARN(s Scope, cluster, id string) string {
	return s.ARN("ecs", "container-instance/"+cluster+"/"+id)
}
