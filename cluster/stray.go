package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// Stray is what a task holds that was given up with its node: it counts as
// STOPPED, but may run there still. Its address and its share of the node are
// nobody else's until the node's agent says that it is gone (Gone), or the
// node has left (DropStrays). GiveUp makes the row, those two delete it.
type Stray struct {
	Scope
	Cluster, Task string // the task's id
	Node          string
	Instance      string // Instance.ID, "" on FARGATE
	Group         string // Task.GroupKey
	Reserved      Resources
	Interface     string // key of its address's row, "" for none
}

// Strays is keyed as Tasks, with index "node".
var Strays = store.NewTable("cluster.strays", Stray.Key,
	store.Index[Stray]{Name: "node", Values: func(s Stray) []string { return []string{s.Node} }})

// Key is the row's key: the task's.
func (s Stray) Key() string { return s.Scope.Key(s.Cluster, s.Task) }

// ARN is the task's name in the API.
func (s Stray) ARN() string { return TaskARN(s.Scope, s.Cluster, s.Task) }

func strayOf(t Task) Stray {
	s := Stray{Scope: t.Scope, Cluster: t.Cluster, Task: t.ID, Node: t.Node, Instance: t.Instance,
		Group: t.GroupKey(), Reserved: t.Reserved}
	if t.Interface != nil {
		s.Interface = t.Interface.Key()
	}
	return s
}

// GiveUp ends t because its node is lost. What it held there stays held.
func GiveUp(tx *store.Tx, t Task, reason string, now time.Time) error {
	if t.Last == Stopped {
		return nil
	}
	t.Stop(types.TaskStopCodeInfrastructureHealth, reason, now)
	t.End(now)
	t.Health = types.HealthStatusUnknown
	if t.Connectivity != types.ConnectivityDisconnected {
		t.Connectivity, t.ConnectivityAt = types.ConnectivityDisconnected, &now
	}
	return saveTask(tx, t, func(tx *store.Tx, t Task) error { return Strays.Put(tx, strayOf(t)) })
}

// Gone gives back what the task under key still holds if it was given up with
// its node: its agent says that nothing of it is left there.
func Gone(tx *store.Tx, key string) error {
	s, ok := Strays.Get(tx, key)
	if !ok {
		return nil
	}
	Strays.Delete(tx, key)
	return giveBack(tx, s)
}

// strayBatch bounds how many strays one transaction ends: each is two rows and
// the node's.
const strayBatch = 40

// DropStrays gives back what the strays of a node hold that left: all of
// theirs, or only those that ran on one of its container instances.
func DropStrays(ctx context.Context, db *store.DB, node, instance string) error {
	return dropStrays(ctx, db, func(s Stray) bool { return s.Node == node && (instance == "" || s.Instance == instance) })
}

func dropStrays(ctx context.Context, db *store.DB, left func(Stray) bool) error {
	var keys []string
	db.View(func(r store.Reader) error {
		for s := range Strays.List(r, "") {
			if left(s) {
				keys = append(keys, s.Key())
			}
		}
		return nil
	})
	for batch := range slices.Chunk(keys, strayBatch) {
		err := db.Update(ctx, func(tx *store.Tx) error {
			for _, k := range batch {
				if err := Gone(tx, k); err != nil {
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
