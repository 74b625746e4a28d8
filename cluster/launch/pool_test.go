package launch

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// The pool holds what a look at all rows would find, whatever happens to nodes,
// what is booked on them and their memberships, before and after it is made.
func TestPoolFollows(t *testing.T) {
	db := storetest.Open(t)
	rapid.Check(t, func(rt *rapid.T) {
		empty(t, db)
		change := func() {
			id := fmt.Sprint("n", rapid.IntRange(0, 4).Draw(rt, "node"))
			name := fmt.Sprint("c", rapid.IntRange(0, 1).Draw(rt, "cluster"))
			i := cluster.Instance{Scope: scope, Cluster: name, ID: "i-" + id, Node: id,
				Status: rapid.SampledFrom([]types.ContainerInstanceStatus{"ACTIVE", "DRAINING"}).Draw(rt, "status")}
			n := cluster.Node{ID: id, Fargate: rapid.Bool().Draw(rt, "fargate"), Connected: rapid.Bool().Draw(rt, "connected")}
			g := cluster.Ledger{Node: id, Tasks: rapid.IntRange(0, 9).Draw(rt, "tasks")}
			if n := rapid.IntRange(0, 2).Draw(rt, "group"); n > 0 {
				g.Groups = map[string]int{"g": n}
			}
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				switch rapid.IntRange(0, 6).Draw(rt, "do") {
				case 0, 1:
					return cluster.Nodes.Put(tx, n)
				case 2:
					cluster.Nodes.Delete(tx, id)
				case 3:
					return cluster.Ledgers.Put(tx, g)
				case 4, 5:
					return cluster.Instances.Put(tx, i)
				case 6:
					cluster.Instances.Delete(tx, i.Key())
				}
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 10).Draw(rt, "before") {
			change()
		}
		p := newPool(db)
		for range 15 {
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				l := launcher{Request: Request{Scope: scope, LaunchType: types.LaunchTypeFargate}, tx: tx}
				l.candidates()
				nodes, counts := p.ofFargate("g", nil)
				same(rt, "FARGATE", nodes, counts, l.nodes)
				for _, c := range []string{"c0", "c1"} {
					l := launcher{Request: Request{Scope: scope, Cluster: c, LaunchType: types.LaunchTypeEc2}, tx: tx}
					l.candidates()
					nodes, counts := p.ofCluster(scope, c, "g", nil)
					same(rt, c, nodes, counts, l.nodes)
				}
				return nil
			})
			if err != nil {
				rt.Fatal(err)
			}
			change()
		}
	})
}

func empty(t *testing.T, db *store.DB) {
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		for n := range cluster.Nodes.List(tx, "") {
			cluster.Nodes.Delete(tx, n.ID)
		}
		for g := range cluster.Ledgers.List(tx, "") {
			cluster.Ledgers.Delete(tx, g.Node)
		}
		for i := range cluster.Instances.List(tx, "") {
			cluster.Instances.Delete(tx, i.Key())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *rapid.T, what string, got []scheduler.Candidate, counts []int32, want []scheduler.Candidate) {
	byID := func(a, b scheduler.Candidate) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if len(got) != len(want) {
		t.Fatalf("%s: the pool has %d candidates, the rows %d", what, len(got), len(want))
	}
	for i := range got {
		if n := counts[got[i].Slot]; int(n) != want[i].Groups["g"] {
			t.Fatalf("%s: the pool counts %d tasks of the group on %s, the ledger %d", what, n, got[i].ID, want[i].Groups["g"])
		}
		got[i].Slot = -1
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: the pool has %+v, the rows %+v", what, got[i], want[i])
		}
	}
}

// crowd is a platform of many nodes, each with so many CPU units.
func crowd(t testing.TB, nodes int, cpu int64) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	c := cluster.Cluster{Scope: scope, Name: "c1", Status: "ACTIVE"}
	for from := 0; from < nodes; from += 25 {
		err := db.Update(context.Background(), func(tx *store.Tx) error {
			for i := from; i < min(from+25, nodes); i++ {
				n := cluster.Node{ID: fmt.Sprintf("n%05d", i), Total: cluster.Resources{CPU: cpu, Memory: 1 << 20},
					Fargate: true, Connected: true, Zone: string(rune('a' + i%3))}
				for j := range 20 {
					n.Attributes = append(n.Attributes, types.Attribute{Name: ptr(fmt.Sprint("ecs.capability.", j))})
				}
				if err := cluster.Nodes.Put(tx, n); err != nil {
					return err
				}
				if err := cluster.Enroll(tx, n, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// Among many nodes, too, nothing is given twice and all that fits runs, though
// all look at one pool.
func TestCrowd(t *testing.T) {
	for _, lt := range []types.LaunchType{types.LaunchTypeFargate, types.LaunchTypeEc2} {
		t.Run(string(lt), func(t *testing.T) {
			db := crowd(t, 100, 40) // four tasks each
			var wg sync.WaitGroup
			var mu sync.Mutex
			placed, failed := 0, 0
			for range 30 {
				wg.Go(func() {
					var tasks []cluster.Task
					var failures []types.Failure
					err := db.Update(context.Background(), func(tx *store.Tx) (err error) {
						// Twice in one transaction: the second call must see the first's.
						tasks, failures = nil, nil
						for range 2 {
							got, no, err := Launch(tx, request(10, func(r *Request) { r.LaunchType = lt }))
							if err != nil {
								return err
							}
							tasks, failures = append(tasks, got...), append(failures, no...)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					placed += len(tasks)
					failed += len(failures)
				})
			}
			wg.Wait()
			if placed != 400 || failed == 0 {
				t.Errorf("%d placed, %d failures; 400 fit", placed, failed)
			}
			db.View(func(r store.Reader) error {
				for g := range cluster.Ledgers.List(r, "") {
					if g.Used.CPU != 40 || g.Tasks != 4 {
						t.Errorf("%s has %d tasks, %d CPU units", g.Node, g.Tasks, g.Used.CPU)
					}
				}
				return nil
			})
		})
	}
}

// A host port is given once a node, however many ask for it at once.
func TestCrowdPorts(t *testing.T) {
	db := crowd(t, 70, 1000)
	r := request(20, func(r *Request) {
		r.Definition.Def.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80)), HostPort: ptr(int32(80))}}
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := db.Update(context.Background(), func(tx *store.Tx) error { _, _, err := Launch(tx, r); return err })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db.View(func(r store.Reader) error {
		for g := range cluster.Ledgers.List(r, "") {
			if g.Tasks != 1 || fmt.Sprint(g.Used.Ports) != "[80/tcp]" {
				t.Errorf("%s has %d tasks, ports %v", g.Node, g.Tasks, g.Used.Ports)
			}
		}
		if n := cluster.Tasks.Len(r); n != 70 {
			t.Errorf("%d tasks on 70 nodes", n)
		}
		return nil
	})
}

// Among many nodes tasks spread as they do among few.
func TestCrowdSpreads(t *testing.T) {
	db := crowd(t, 90, 1000)
	for range 9 {
		if tasks, failures := launch(t, db, request(20)); len(tasks) != 20 {
			t.Fatal(failures)
		}
	}
	zones := map[string]int{}
	db.View(func(r store.Reader) error {
		for g := range cluster.Ledgers.List(r, "") {
			if g.Tasks != 2 {
				t.Errorf("%s has %d of 180 tasks, 90 nodes are there", g.Node, g.Tasks)
			}
		}
		for k := range cluster.Tasks.List(r, "") {
			zones[k.Zone]++
		}
		return nil
	})
	if len(zones) != 3 || zones["us-east-1a"] != 60 {
		t.Errorf("tasks by zone: %v", zones)
	}
	// A constraint that asks for what only rows tell.
	tasks, _ := launch(t, db, request(2, func(r *Request) {
		r.Constraints = []types.PlacementConstraint{{Type: "memberOf", Expression: ptr("ec2InstanceId == " + cluster.Node{ID: "n00007"}.InstanceID())}}
	}))
	if len(tasks) != 2 || tasks[0].Node != "n00007" || tasks[1].Node != "n00007" {
		t.Errorf("placed %v", tasks)
	}
}
