package ecs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// everyone is the attribute by which the agent in `dhow up` asks to be a
// member of every cluster, and everyCluster the name it gives for the cluster.
const (
	everyone     = "dhow.everyone"
	everyCluster = "*"
)

// callerNode is the id of the node whose agent calls, by its principal.
func callerNode(ctx context.Context) (id string, ok bool) {
	return cluster.ParseNodeARN(awsapi.CallFrom(ctx).Principal)
}

// RegisterContainerInstance is an agent's first call. A stock agent becomes an
// instance of one cluster; an agent of ours, known by its principal, brings a
// node, which becomes an instance of the cluster it names or of all.
func (a *API) RegisterContainerInstance(ctx context.Context, in *ecs.RegisterContainerInstanceInput) (*ecs.RegisterContainerInstanceOutput, error) {
	total, err := resources(in.TotalResources)
	if err != nil {
		return nil, err
	}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	if len(in.PlatformDevices) > 0 {
		return nil, unsupported("platformDevices is not served: dhow passes no GPUs to containers. Register without them.")
	}
	n := cluster.Node{Total: total, Registered: in.TotalResources, Agent: in.VersionInfo,
		Attributes: plain(in.Attributes), Hostname: attribute(in.Attributes, "ecs.hostname"),
		Everyone: attribute(in.Attributes, everyone) == "true"}
	if zone := attribute(in.Attributes, "ecs.availability-zone"); zone != "" {
		n.Zone = zone[len(zone)-1:]
	}
	id, ours := callerNode(ctx)
	switch {
	case ours && n.Everyone && deref(in.Cluster) == everyCluster:
		n.ID, n.Fargate = id, true
		return a.registerNode(ctx, n, in.Attributes)
	case deref(in.Cluster) == everyCluster:
		return nil, clientErr("Only a node's own agent may join every cluster: name one cluster.")
	case n.Everyone:
		return nil, clientErr("The attribute %s is for nodes that join cluster %q.", everyone, everyCluster)
	}
	n.ID, n.Fargate, n.External = id, ours, !ours
	return a.registerInstance(ctx, n, in)
}

// registerNode writes the node of an agent of ours and makes it an instance of
// every cluster. The answer repeats the attributes as they were sent: agents
// check that.
func (a *API) registerNode(ctx context.Context, n cluster.Node, sent []types.Attribute) (*ecs.RegisterContainerInstanceOutput, error) {
	var members []string
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		members = members[:0]
		for i := range cluster.Instances.By(tx, "node", n.ID) {
			members = append(members, i.Key())
		}
		return putNode(tx, &n)
	})
	if err != nil {
		return nil, err
	}
	for batch := range slices.Chunk(members, 40) {
		if err := a.refresh(ctx, n, batch); err != nil {
			return nil, err
		}
	}
	if err := cluster.EnrollNode(ctx, a.db, n.ID); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	return &ecs.RegisterContainerInstanceOutput{ContainerInstance: &types.ContainerInstance{
		ContainerInstanceArn: ptr(cluster.NodeARN(n.ID)),
		Ec2InstanceId:        ptr(n.InstanceID()),
		Attributes:           orEmpty(sent), Attachments: []types.Attachment{},
		RegisteredResources: wireResources(n.Total), RemainingResources: wireResources(n.Total),
		RegisteredAt: &now, Status: ptr("ACTIVE"), Tags: []types.Tag{}, VersionInfo: n.Agent,
	}}, nil
}

// refresh tells a node's instances what it says of itself now.
func (a *API) refresh(ctx context.Context, n cluster.Node, instances []string) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		for _, k := range instances {
			i, ok := cluster.Instances.Get(tx, k)
			if !ok {
				continue
			}
			c, ok := cluster.Clusters.Get(tx, i.Scope.Key(i.Cluster))
			if !ok {
				continue
			}
			if err := cluster.Enroll(tx, n, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// putNode writes what registration knows of n and keeps the rest.
func putNode(tx *store.Tx, n *cluster.Node) error {
	n.CreatedAt = time.Now().UTC()
	if old, ok := cluster.Nodes.Get(tx, n.ID); ok {
		n.Connected, n.SeenAt, n.CreatedAt = old.Connected, old.SeenAt, old.CreatedAt
	}
	return cluster.Nodes.Put(tx, *n)
}

// registerInstance makes or renews an instance of the cluster that in names.
// The agent of a stock ECS node names its instance when it comes again; ours
// is found by its node.
func (a *API) registerInstance(ctx context.Context, n cluster.Node, in *ecs.RegisterContainerInstanceInput) (*ecs.RegisterContainerInstanceOutput, error) {
	var out types.ContainerInstance
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		n := n
		c, err := findCluster(tx, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		i, err := instanceOf(tx, c, &n, deref(in.ContainerInstanceArn))
		if err != nil {
			return err
		}
		i.Attributes = cluster.MergeAttributes(i.Attributes, n.Attributes)
		i.Registered, i.AgentVersion = in.TotalResources, in.VersionInfo
		i.Tags = mergeTags(i.Tags, in.Tags)
		if err := putNode(tx, &n); err != nil {
			return err
		}
		if err := cluster.SaveInstance(tx, i); err != nil {
			return err
		}
		i, _ = cluster.Instances.Get(tx, i.Key())
		out = wireInstance(tx, i)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecs.RegisterContainerInstanceOutput{ContainerInstance: &out}, nil
}

// instanceOf is the instance that is registered again under arn, or a new one,
// and gives n the id of its node.
func instanceOf(tx *store.Tx, c cluster.Cluster, n *cluster.Node, arn string) (cluster.Instance, error) {
	if arn != "" {
		i, ok, err := findInstance(tx, c, arn)
		switch {
		case err != nil:
			return i, err
		case !ok:
			return i, clientErr("The referenced container instance was not found: %s. Register without containerInstanceArn.", arn)
		case !n.External && i.Node != n.ID:
			return i, accessDenied("Container instance %s is another node's.", i.ID)
		case n.External:
			// A node of ours is not for others to describe: all accounts' tasks
			// are placed by what its row says.
			if of, ok := cluster.Nodes.Get(tx, i.Node); ok && !of.External {
				return i, accessDenied("Container instance %s is of a node that registers itself.", i.ID)
			}
		}
		n.ID = i.Node
		return i, nil
	}
	if !n.External {
		for i := range cluster.Instances.By(tx, "node", n.ID) {
			if i.Scope == c.Scope && i.Cluster == c.Name {
				return i, nil
			}
		}
	}
	i := cluster.Instance{Scope: c.Scope, Cluster: c.Name, ID: cluster.NewID(),
		Status: types.ContainerInstanceStatusActive, RegisteredAt: time.Now().UTC()}
	if n.External {
		n.ID = "ecs-" + i.ID
	}
	i.Node = n.ID
	return i, nil
}

// resources reads an agent's totalResources. Ports are those that tasks do not
// get.
func resources(in []types.Resource) (cluster.Resources, error) {
	var r cluster.Resources
	for _, t := range in {
		switch deref(t.Name) {
		case "CPU":
			r.CPU = int64(t.IntegerValue)
		case "MEMORY":
			r.Memory = int64(t.IntegerValue)
		case "PORTS", "PORTS_UDP":
			proto := "/tcp"
			if *t.Name == "PORTS_UDP" {
				proto = "/udp"
			}
			for _, p := range t.StringSetValue {
				r.Ports = append(r.Ports, p+proto)
			}
		}
	}
	if r.CPU <= 0 || r.Memory <= 0 {
		return r, clientErr("Invalid totalResources: CPU and MEMORY must be there and above 0, but were %d and %d.", r.CPU, r.Memory)
	}
	return r, nil
}

func attribute(in []types.Attribute, name string) string {
	for _, a := range in {
		if deref(a.Name) == name {
			return deref(a.Value)
		}
	}
	return ""
}

// plain is in without what only the registration itself is about.
func plain(in []types.Attribute) []types.Attribute {
	return slices.DeleteFunc(slices.Clone(in), func(a types.Attribute) bool { return strings.HasPrefix(deref(a.Name), "dhow.") })
}
