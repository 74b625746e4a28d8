package cluster_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	. "github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// lose places a task with an address on a node and gives it up.
func lose(t *testing.T, db *store.DB, id, node, instance string) Task {
	t.Helper()
	task := newTask(id)
	task.Node, task.Instance, task.Last, task.Desired = node, instance, Running, Running
	task.Interface = &Interface{Scope: scope, Network: DefaultNetwork, Address: "10.0.0." + id[1:], Cluster: task.Cluster, Task: id}
	update(t, db, func(tx *store.Tx) error {
		if err := Interfaces.Put(tx, *task.Interface); err != nil {
			return err
		}
		if err := Reserve(tx, task); err != nil {
			return err
		}
		return SaveTask(tx, task)
	})
	update(t, db, func(tx *store.Tx) error {
		task, _ := Tasks.Get(tx, task.Key())
		return GiveUp(tx, task, "lost", time.Now())
	})
	return task
}

// held is how many tasks a node's ledger counts, and addresses in all.
func held(t *testing.T, db *store.DB, node string) (tasks, addresses int) {
	view(t, db, func(r store.Reader) {
		l, _ := Ledgers.Get(r, node)
		tasks, addresses = l.Tasks, Interfaces.Len(r)
		if tasks == 0 && (l.Used.CPU != 0 || l.Used.Memory != 0 || len(l.Used.Ports) != 0 || len(l.Groups) != 0) {
			t.Errorf("ledger %+v", l)
		}
	})
	return tasks, addresses
}

// A task that is given up counts as stopped, and what it holds stays held until
// its node says that it is gone.
func TestStray(t *testing.T) {
	db := storetest.Open(t)
	task := lose(t, db, "t1", "n1", "")
	view(t, db, func(r store.Reader) {
		got, _ := Tasks.Get(r, task.Key())
		if got.Last != Stopped || got.Desired != Stopped || got.StopCode != types.TaskStopCodeInfrastructureHealth || got.StoppedReason != "lost" ||
			got.StoppedAt == nil || got.StoppingAt == nil || got.Connectivity != types.ConnectivityDisconnected || got.Version != 2 || Events.Len(r) != 2 {
			t.Errorf("task %+v, %d events", got, Events.Len(r))
		}
	})
	if n, a := held(t, db, "n1"); n != 1 || a != 1 {
		t.Errorf("%d tasks and %d addresses are held", n, a)
	}
	for range 2 { // the second time does nothing
		update(t, db, func(tx *store.Tx) error { return Gone(tx, task.Key()) })
		if n, a := held(t, db, "n1"); n != 0 || a != 0 {
			t.Errorf("%d tasks and %d addresses are still held", n, a)
		}
	}
}

// The wish to stop, and its reason, come before the loss of the node.
func TestGiveUpStopping(t *testing.T) {
	db := storetest.Open(t)
	task := newTask("t1")
	task.Stop(types.TaskStopCodeUserInitiated, "enough", time.Now())
	update(t, db, func(tx *store.Tx) error { return GiveUp(tx, task, "lost", time.Now()) })
	view(t, db, func(r store.Reader) {
		if got, _ := Tasks.Get(r, task.Key()); got.StopCode != types.TaskStopCodeUserInitiated || got.StoppedReason != "enough" || got.Last != Stopped {
			t.Errorf("task %+v", got)
		}
	})
}

func TestDropStrays(t *testing.T) {
	db := storetest.Open(t)
	update(t, db, func(tx *store.Tx) error { return Nodes.Put(tx, Node{ID: "n1"}) })
	for id, at := range map[string][2]string{"t1": {"n1", "i1"}, "t2": {"n1", "i2"}, "t3": {"n1", ""}, "t4": {"n2", "i3"}} {
		lose(t, db, id, at[0], at[1])
	}
	left := func(what string, n1, n2 int) {
		t.Helper()
		a, _ := held(t, db, "n1")
		b, addresses := held(t, db, "n2")
		if a != n1 || b != n2 || addresses != n1+n2 {
			t.Errorf("%s: %d and %d tasks, %d addresses are held", what, a, b, addresses)
		}
	}
	if err := DropStrays(t.Context(), db, "n1", "i1"); err != nil {
		t.Error(err)
	}
	left("an instance gone", 2, 1)
	if _, err := Sweep(t.Context(), db, time.Now()); err != nil {
		t.Error(err)
	}
	left("swept: n2 is not there", 2, 0)
	if err := DropStrays(t.Context(), db, "n1", ""); err != nil {
		t.Error(err)
	}
	left("a node gone", 0, 0)
}
