package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// enrollBatch bounds how many memberships one transaction makes: each is two
// rows.
const enrollBatch = 40

// Enroll makes node n a container instance of cluster c, if it is none yet.
// The instance's id depends on both, so that two who enrol at once make one.
func Enroll(tx *store.Tx, n Node, c Cluster) error {
	i := Instance{
		Scope:   c.Scope,
		Cluster: c.Name, ID: enrolledID(n, c),
		Node:         n.ID,
		Status:       types.ContainerInstanceStatusActive,
		Attributes:   instanceAttributes(n, c),
		Registered:   n.Registered,
		AgentVersion: n.Agent,
		Connected:    n.Connected,
		RegisteredAt: time.Now().UTC(),
	}
	if old, ok := Instances.Get(tx, i.Key()); ok {
		// A node that comes again may have changed; what the user did to its
		// membership stays.
		old.Registered, old.AgentVersion, old.Connected = i.Registered, i.AgentVersion, i.Connected
		old.Attributes = MergeAttributes(old.Attributes, i.Attributes)
		i = old
	}
	return SaveInstance(tx, i)
}

func enrolledID(n Node, c Cluster) string {
	return hashID("", 32, n.ID, c.Key(), c.CreatedAt.UTC().Format(time.RFC3339Nano))[1:]
}

// instanceAttributes are n's attributes as an instance of c: its zone is one
// of c's region.
func instanceAttributes(n Node, c Cluster) []types.Attribute {
	if n.Zone == "" {
		return n.Attributes
	}
	name, zone := "ecs.availability-zone", c.Region+n.Zone
	return MergeAttributes(n.Attributes, []types.Attribute{{Name: &name, Value: &zone}})
}

// MergeAttributes returns old with the values of add set over them; neither is
// changed.
func MergeAttributes(old, add []types.Attribute) []types.Attribute {
	out := slices.Clone(old)
	for _, a := range add {
		at := slices.IndexFunc(out, func(o types.Attribute) bool {
			return o.Name != nil && a.Name != nil && *o.Name == *a.Name
		})
		if at < 0 {
			out = append(out, a)
			continue
		}
		out[at] = a
	}
	return out
}

// EnrollCluster makes the nodes that are members of every cluster instances of
// c, in the transaction that creates it: as many as one transaction holds.
// EnrollRest after the commit does the rest.
func EnrollCluster(tx *store.Tx, c Cluster) error {
	left := enrollBatch
	for n := range Nodes.List(tx, "") {
		if !n.Everyone {
			continue
		}
		if left--; left < 0 {
			return nil
		}
		if err := Enroll(tx, n, c); err != nil {
			return err
		}
	}
	return nil
}

// EnrollRest makes each node that is a member of every cluster an instance of
// the cluster under key, where it is not yet one. Call it after the commit that
// made the cluster, and EnrollNode after one that brought a node: of two such
// commits that did not see each other, one of the passes that follow sees both.
func EnrollRest(ctx context.Context, db *store.DB, key string) error {
	var todo []membership
	db.View(func(r store.Reader) error {
		c, ok := Clusters.Get(r, key)
		if !ok {
			return nil
		}
		for n := range Nodes.List(r, "") {
			todo = missing(r, todo, n, c)
		}
		return nil
	})
	return enroll(ctx, db, todo)
}

// EnrollNode makes the node of that id, if it is a member of every cluster, an
// instance of each that there is, where it is not yet one.
func EnrollNode(ctx context.Context, db *store.DB, id string) error {
	var todo []membership
	db.View(func(r store.Reader) error {
		n, ok := Nodes.Get(r, id)
		if !ok || !n.Everyone {
			return nil
		}
		for c := range Clusters.List(r, "") {
			todo = missing(r, todo, n, c)
		}
		return nil
	})
	return enroll(ctx, db, todo)
}

// membership is a node and a cluster, by their keys.
type membership struct{ node, cluster string }

// missing appends that of n in c to todo, if there is to be one and is not.
func missing(r store.Reader, todo []membership, n Node, c Cluster) []membership {
	if !n.Everyone || c.Status != "ACTIVE" {
		return todo
	}
	if _, ok := Instances.Get(r, c.Scope.Key(c.Name, enrolledID(n, c))); ok {
		return todo
	}
	return append(todo, membership{n.ID, c.Key()})
}

func enroll(ctx context.Context, db *store.DB, todo []membership) error {
	for batch := range slices.Chunk(todo, enrollBatch) {
		err := db.Update(ctx, func(tx *store.Tx) error {
			for _, m := range batch {
				n, ok := Nodes.Get(tx, m.node)
				c, ok2 := Clusters.Get(tx, m.cluster)
				if !ok || !ok2 || c.Status != "ACTIVE" {
					continue
				}
				if err := Enroll(tx, n, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SetConnected records whether the agent of a node is connected, on the node
// and on its container instances.
func SetConnected(ctx context.Context, db *store.DB, node string, connected bool) error {
	var keys []string
	err := db.Update(ctx, func(tx *store.Tx) error {
		keys = keys[:0]
		n, ok := Nodes.Get(tx, node)
		if !ok {
			return nil
		}
		n.SeenAt = time.Now().UTC()
		n.Connected = connected
		for i := range Instances.By(tx, "node", node) {
			if i.Connected != connected {
				keys = append(keys, i.Key())
			}
		}
		return Nodes.Put(tx, n)
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(keys, enrollBatch) {
		err := db.Update(ctx, func(tx *store.Tx) error {
			for _, k := range batch {
				i, ok := Instances.Get(tx, k)
				if !ok {
					continue
				}
				i.Connected = connected
				if err := SaveInstance(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
