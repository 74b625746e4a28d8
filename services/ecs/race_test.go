package ecs

import (
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Callers that start tasks on the same node at the same time all get an
// answer, and no more tasks than fit: nodes have 2048 CPU units, tasks 128.
func TestConcurrentRunTask(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var tasks []types.Task
	failures := 0
	for range 40 {
		wg.Go(func() {
			out, err := f.RunTask(f.ctx, &ecs.RunTaskInput{TaskDefinition: ptr("web")})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			tasks = append(tasks, out.Tasks...)
			failures += len(out.Failures)
		})
	}
	wg.Wait()
	if len(tasks) != 16 || failures != 24 {
		t.Errorf("%d tasks, %d failures; 16 fit of 40", len(tasks), failures)
	}
	// And all stop at once, while their agent reports.
	for _, k := range tasks {
		wg.Go(func() {
			_, err := f.StopTask(f.ctx, &ecs.StopTaskInput{Task: k.TaskArn})
			if err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { f.submit(k, "RUNNING"); f.submit(k, "STOPPED") })
	}
	wg.Wait()
	if l := f.ledger(); l.Tasks != 0 || l.Used.CPU != 0 || len(l.Groups) != 0 {
		t.Errorf("the ledger holds %+v", l)
	}
	must(t, f.db.View(func(r store.Reader) error {
		for range cluster.Tasks.By(r, "live", f.scope.Key("default")) {
			t.Error("a task is left")
		}
		return nil
	}))
}

// A cluster that is deleted while tasks start in it ends empty, or stays.
func TestDeleteClusterRace(t *testing.T) {
	f := newFixture(t)
	f.define("web")
	for range 10 {
		f.cluster("c")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { f.RunTask(f.ctx, &ecs.RunTaskInput{Cluster: ptr("c"), TaskDefinition: ptr("web")}) })
		}
		wg.Go(func() { f.DeleteCluster(f.ctx, &ecs.DeleteClusterInput{Cluster: ptr("c")}) })
		wg.Wait()
		deleted := *f.describeCluster("c").Status == "INACTIVE"
		live := 0
		var left []cluster.Task
		must(t, f.db.View(func(r store.Reader) error {
			for k := range cluster.Tasks.By(r, "live", f.scope.Key("c")) {
				live++
				left = append(left, k)
			}
			return nil
		}))
		if deleted && live > 0 {
			t.Fatalf("the cluster is deleted and has %d tasks", live)
		}
		for _, k := range left {
			f.submit(wireTask(k), "STOPPED")
		}
	}
}
