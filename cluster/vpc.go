package cluster

import (
	"time"

	"github.com/dhowhq/dhow/store"
)

// VPC is an address range of an account. The default VPCs of all accounts and
// regions share one network of the node (DefaultNetwork) and one pool of
// addresses, so that each is reachable from the host.
type VPC struct {
	Scope
	ID      string // vpc-…
	CIDR    string
	Network string // the node's network that carries it
	Default bool
}

// Subnet is a zone's share of a VPC.
type Subnet struct {
	Scope
	ID      string // subnet-…
	VPC     string
	Network string
	CIDR    string
	Zone    string // us-east-1a
	Default bool
}

// SecurityGroup of a VPC.
type SecurityGroup struct {
	Scope
	ID, Name, Description, VPC string
}

// Interface is an elastic network interface: an address held by a task. The
// row is created with the task and deleted when it stops, by SaveTask.
type Interface struct {
	Scope
	ID            string // eni-…
	Attachment    string // uuid of the attachment
	Network       string
	Address       string // IPv4
	MAC           string
	Subnet, VPC   string
	SubnetCIDR    string
	Zone          string
	Groups        []string
	PrivateDNS    string // ip-172-31-0-4.REGION.compute.internal
	Cluster, Task string // who holds it
	AssignPublic  bool
	CreatedAt     time.Time
}

// DefaultNetwork is the network under every default VPC.
const DefaultNetwork = "default"

// VPCs, Subnets and SecurityGroups are keyed ACCOUNT/REGION/ID, Interfaces
// NETWORK/ADDRESS, which makes an address unique; index "id" by ACCOUNT/REGION/ID,
// "scope" by ACCOUNT/REGION/, "range" by NETWORK/CIDR of the subnet, "task" by
// the task's key.
var (
	VPCs           = store.NewTable("cluster.vpcs", func(v VPC) string { return v.Scope.Key(v.ID) })
	Subnets        = store.NewTable("cluster.subnets", func(s Subnet) string { return s.Scope.Key(s.ID) })
	SecurityGroups = store.NewTable("cluster.securitygroups", func(g SecurityGroup) string { return g.Scope.Key(g.ID) })
	Interfaces     = store.NewTable("cluster.interfaces", Interface.Key,
		store.Index[Interface]{Name: "id", Values: func(i Interface) []string { return []string{i.Scope.Key(i.ID)} }},
		store.Index[Interface]{Name: "scope", Values: func(i Interface) []string { return []string{i.Scope.Prefix()} }},
		store.Index[Interface]{Name: "range", Values: func(i Interface) []string { return []string{i.Network + "/" + i.SubnetCIDR} }},
		store.Index[Interface]{Name: "task", Values: func(i Interface) []string { return []string{i.Scope.Key(i.Cluster, i.Task)} }},
	)
)

// Key is the row's key.
func (i Interface) Key() string { return i.Network + "/" + i.Address }
