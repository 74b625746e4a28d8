package ecs

import (
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

func TestClientToken(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	in := &ecs.RunTaskInput{TaskDefinition: ptr("web"), Count: ptr(int32(2)), ClientToken: ptr("tok")}
	first, err := f.RunTask(f.ctx, in)
	must(t, err)
	again, err := f.RunTask(f.ctx, in)
	must(t, err)
	if len(again.Tasks) != 2 || *again.Tasks[0].TaskArn != *first.Tasks[0].TaskArn || f.ledger().Tasks != 2 {
		t.Errorf("the repeated call has %d tasks, the node %d", len(again.Tasks), f.ledger().Tasks)
	}
	in.Count = ptr(int32(1))
	_, err = f.RunTask(f.ctx, in)
	refused(t, err, "ConflictException", "tok")
	if c, ok := err.(*types.ConflictException); !ok || len(c.ResourceIds) != 2 || c.ResourceIds[0] != *first.Tasks[0].TaskArn {
		t.Errorf("resourceIds of %v", err)
	}
	f.cluster("other")
	in.Cluster = ptr("other") // a token is a cluster's
	_, err = f.RunTask(f.ctx, in)
	must(t, err)
}

// A token is good for a day, and for those who call at once.
func TestClientTokenLife(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	in := &ecs.RunTaskInput{TaskDefinition: ptr("web"), ClientToken: ptr("!~")}
	var mu sync.Mutex
	arns := map[string]bool{}
	call := func() {
		out, err := f.RunTask(f.ctx, in)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || len(out.Tasks) != 1 {
			t.Errorf("%+v, %v", out, err)
			return
		}
		arns[*out.Tasks[0].TaskArn] = true
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(call)
	}
	wg.Wait()
	if len(arns) != 1 || f.ledger().Tasks != 1 {
		t.Errorf("eight calls with one token: tasks %v, %d on the node", arns, f.ledger().Tasks)
	}
	age := func(by time.Duration) {
		must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
			for k := range cluster.Tokens.List(tx, "") {
				k.At = time.Now().Add(-by)
				must(t, cluster.Tokens.Put(tx, k))
			}
			return nil
		}))
	}
	age(23 * time.Hour)
	call()
	if len(arns) != 1 {
		t.Error("a token of this morning is forgotten")
	}
	age(25 * time.Hour)
	call()
	if len(arns) != 2 {
		t.Error("a token of yesterday still counts")
	}
}

// A call that started nothing says why each time, and may succeed later.
func TestClientTokenOfNothing(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("large", func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Cpu = 2048 })
	first := f.run1("large")
	in := &ecs.RunTaskInput{TaskDefinition: ptr("large"), ClientToken: ptr("tok")}
	for range 2 {
		out, err := f.RunTask(f.ctx, in)
		must(t, err)
		if len(out.Tasks) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "RESOURCE:CPU" {
			t.Errorf("%d tasks, failures %v", len(out.Tasks), reasons(out.Failures))
		}
	}
	f.submit(first, "STOPPED")
	out, err := f.RunTask(f.ctx, in)
	must(t, err)
	if len(out.Tasks) != 1 {
		t.Errorf("failures %v with room for the task", reasons(out.Failures))
	}
}
