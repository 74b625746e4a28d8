package cluster_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	. "github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var scope = Scope{Account: "000000000000", Region: "us-east-1"}

func update(t *testing.T, db *store.DB, f func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, db *store.DB, f func(r store.Reader)) {
	t.Helper()
	if err := db.View(func(r store.Reader) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

func newTask(id string) Task {
	return Task{Scope: scope, Cluster: "default", ID: id, Node: "n1", Desired: Running, Last: Provisioning,
		Reserved: Resources{CPU: 10, Memory: 20, Ports: []string{"80/tcp"}}}
}

func TestSaveTask(t *testing.T) {
	db := storetest.Open(t)
	address := &Interface{Scope: scope, ID: "eni-1", Network: DefaultNetwork, Address: "10.0.0.4", Cluster: "default", Task: "t1"}
	update(t, db, func(tx *store.Tx) error {
		task := newTask("t1")
		task.Interface = address
		if err := Interfaces.Put(tx, *address); err != nil {
			return err
		}
		if err := Reserve(tx, task); err != nil {
			return err
		}
		return SaveTask(tx, task)
	})
	save := func(change func(*Task)) (version int64, events int) {
		update(t, db, func(tx *store.Tx) error {
			task, _ := Tasks.Get(tx, scope.Key("default", "t1"))
			change(&task)
			return SaveTask(tx, task)
		})
		view(t, db, func(r store.Reader) {
			task, _ := Tasks.Get(r, scope.Key("default", "t1"))
			version, events = task.Version, Events.Len(r)
		})
		return version, events
	}
	if v, n := save(func(*Task) {}); v != 1 || n != 1 {
		t.Errorf("unchanged: version %d, %d events", v, n)
	}
	if v, n := save(func(k *Task) { k.Last = Running }); v != 2 || n != 2 {
		t.Errorf("running: version %d, %d events", v, n)
	}
	for range 2 { // the second time gives nothing back
		save(func(k *Task) { k.Last, k.StoppedReason = Stopped, k.StoppedReason+"x" })
		view(t, db, func(r store.Reader) {
			l, _ := Ledgers.Get(r, "n1")
			if l.Tasks != 0 || l.Used.CPU != 0 || l.Used.Memory != 0 || len(l.Used.Ports) != 0 || len(l.Groups) != 0 {
				t.Errorf("ledger %+v", l)
			}
			if Interfaces.Len(r) != 0 {
				t.Error("the address is still held")
			}
		})
	}
}

// An address that another task has by now is not taken from it.
func TestReleaseOfAnothersAddress(t *testing.T) {
	db := storetest.Open(t)
	update(t, db, func(tx *store.Tx) error {
		i := Interface{Scope: scope, Network: DefaultNetwork, Address: "10.0.0.4", Task: "t2"}
		old := i
		old.Task = "t1"
		task := newTask("t1")
		task.Interface, task.Last = &old, Stopped
		if err := Interfaces.Put(tx, i); err != nil {
			return err
		}
		return SaveTask(tx, task)
	})
	view(t, db, func(r store.Reader) {
		if Interfaces.Len(r) != 1 {
			t.Error("the other task lost its address")
		}
	})
}

func TestStatusOrder(t *testing.T) {
	life := []Status{Provisioning, Pending, Activating, Running, Deactivating, Stopping, Deprovisioning, Stopped}
	for i, a := range life {
		for j, b := range life {
			if a.Before(b) != (i < j) {
				t.Errorf("%s before %s: %v", a, b, a.Before(b))
			}
		}
		if !a.Known() {
			t.Errorf("%s is not known", a)
		}
	}
	if Status("MANIFEST_PULLED").Known() {
		t.Error("an unknown status is known")
	}
}

func TestTaskHealth(t *testing.T) {
	c := func(essential bool, h types.HealthStatus) Container {
		return Container{Essential: essential, Health: h}
	}
	for _, tt := range []struct {
		cs   []Container
		want types.HealthStatus
	}{
		{nil, "UNKNOWN"},
		{[]Container{c(true, "")}, "UNKNOWN"},
		{[]Container{c(true, "HEALTHY"), c(true, "")}, "HEALTHY"},
		{[]Container{c(true, "HEALTHY"), c(false, "UNHEALTHY")}, "HEALTHY"},
		{[]Container{c(false, "HEALTHY")}, "UNKNOWN"},
		{[]Container{c(true, "HEALTHY"), c(true, "UNKNOWN")}, "UNKNOWN"},
		{[]Container{c(true, "UNKNOWN"), c(true, "UNHEALTHY")}, "UNHEALTHY"},
	} {
		if got := TaskHealth(tt.cs); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.cs, got, tt.want)
		}
	}
}

func TestReportHealth(t *testing.T) {
	db := storetest.Open(t)
	task := newTask("t1")
	task.Containers = []Container{{Name: "app", Essential: true, Health: "UNKNOWN"}, {Name: "side", Essential: true}}
	update(t, db, func(tx *store.Tx) error { return SaveTask(tx, task) })
	report := map[string]types.HealthStatus{"app": "HEALTHY", "side": "UNHEALTHY", "nobody": "HEALTHY"}
	update(t, db, func(tx *store.Tx) error { return ReportHealth(tx, task.Key(), report) })
	view(t, db, func(r store.Reader) {
		got, _ := Tasks.Get(r, task.Key())
		if got.Health != "HEALTHY" || got.Containers[0].Health != "HEALTHY" || got.Containers[1].Health != "" {
			t.Errorf("health %s of %+v", got.Health, got.Containers)
		}
	})
	update(t, db, func(tx *store.Tx) error { return ReportHealth(tx, "no/such/task", report) })
}

func TestEnsureDefaultVPC(t *testing.T) {
	db := storetest.Open(t)
	ctx := context.Background()
	for _, cidr := range []string{"172.31.7.9/16", "10.0.0.0/8"} { // the second comes too late
		if err := EnsureDefaultVPC(ctx, db, scope, netip.MustParsePrefix(cidr)); err != nil {
			t.Fatal(err)
		}
	}
	view(t, db, func(r store.Reader) {
		v, ok := VPCs.Get(r, scope.Key(DefaultVPC(scope)))
		if !ok || v.CIDR != "172.31.0.0/16" || v.Network != DefaultNetwork || !v.Default || len(v.ID) != len("vpc-")+17 {
			t.Errorf("VPC %+v", v)
		}
		var cidrs, zones []string
		for _, id := range DefaultSubnets(scope) {
			s, _ := Subnets.Get(r, scope.Key(id))
			cidrs, zones = append(cidrs, s.CIDR), append(zones, s.Zone)
		}
		if !slices.Equal(cidrs, []string{"172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"}) || !slices.Equal(zones, []string{"us-east-1a", "us-east-1b", "us-east-1c"}) {
			t.Errorf("subnets %v in %v", cidrs, zones)
		}
		if g, ok := SecurityGroups.Get(r, scope.Key(DefaultSecurityGroup(scope))); !ok || g.Name != "default" || g.VPC != v.ID {
			t.Errorf("security group %+v", g)
		}
	})
	other := Scope{Account: "111111111111", Region: "us-east-1"}
	if DefaultVPC(other) == DefaultVPC(scope) {
		t.Error("two accounts have one VPC id")
	}
	if err := EnsureDefaultVPC(ctx, db, other, netip.MustParsePrefix("10.0.0.0/25")); err == nil {
		t.Error("a /25 was cut into subnets")
	}
}

func TestEnrollNode(t *testing.T) {
	db := storetest.Open(t)
	ctx := context.Background()
	const clusters = 60 // more than one batch
	for from := 0; from < clusters; from += 30 {
		update(t, db, func(tx *store.Tx) error {
			for i := range 30 {
				c := Cluster{Scope: scope, Name: fmt.Sprint("c", from+i), Status: "ACTIVE"}
				if i == 0 {
					c.Status = "INACTIVE"
				}
				if err := Clusters.Put(tx, c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	update(t, db, func(tx *store.Tx) error {
		if err := Nodes.Put(tx, Node{ID: "one"}); err != nil { // of no cluster
			return err
		}
		return Nodes.Put(tx, Node{ID: "all", Everyone: true, Connected: true, Zone: "b"})
	})
	for range 2 {
		for _, node := range []string{"one", "all", "nobody"} {
			if err := EnrollNode(ctx, db, node); err != nil {
				t.Fatal(err)
			}
		}
	}
	view(t, db, func(r store.Reader) {
		if n := Instances.Len(r); n != clusters-2 {
			t.Errorf("%d instances, want %d", n, clusters-2)
		}
		for i := range Instances.List(r, "") {
			if i.Node != "all" || len(i.ID) != 32 || !i.Connected || i.Version != 1 || *i.Attributes[0].Value != "us-east-1b" {
				t.Errorf("instance %+v", i)
			}
		}
	})
	if err := SetConnected(ctx, db, "all", false); err != nil {
		t.Fatal(err)
	}
	if err := SetConnected(ctx, db, "nobody", true); err != nil {
		t.Fatal(err)
	}
	view(t, db, func(r store.Reader) {
		for i := range Instances.By(r, "node", "all") {
			if i.Connected {
				t.Errorf("%s is still connected", i.Cluster)
			}
		}
		if n, _ := Nodes.Get(r, "all"); n.Connected || n.SeenAt.IsZero() {
			t.Errorf("node %+v", n)
		}
	})
}

// More nodes than a transaction takes become members of a new cluster, and of
// that alone.
func TestEnrollRest(t *testing.T) {
	db := storetest.Open(t)
	const nodes = 130
	for from := 0; from < nodes; from += 65 {
		update(t, db, func(tx *store.Tx) error {
			for i := range 65 {
				if err := Nodes.Put(tx, Node{ID: fmt.Sprint("n", from+i), Everyone: from+i != 7}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	c := Cluster{Scope: scope, Name: "c", Status: "ACTIVE"}
	update(t, db, func(tx *store.Tx) error {
		if err := Clusters.Put(tx, Cluster{Scope: scope, Name: "other", Status: "ACTIVE"}); err != nil {
			return err
		}
		if err := Clusters.Put(tx, c); err != nil {
			return err
		}
		return EnrollCluster(tx, c)
	})
	for range 2 {
		if err := EnrollRest(context.Background(), db, c.Key()); err != nil {
			t.Fatal(err)
		}
	}
	if err := EnrollRest(context.Background(), db, scope.Key("nothing")); err != nil {
		t.Fatal(err)
	}
	view(t, db, func(r store.Reader) {
		if n := Instances.Len(r); n != nodes-1 {
			t.Errorf("%d instances, want %d", n, nodes-1)
		}
		for i := range Instances.List(r, "") {
			if i.Cluster != "c" || i.Version != 1 || i.Node == "n7" {
				t.Errorf("instance %+v", i)
			}
		}
	})
}

// BenchmarkEnroll has nodes register at once, few and many: the time for one
// must not grow with their number.
func BenchmarkEnroll(b *testing.B) {
	for _, nodes := range []int{500, 5000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				db := storetest.Open(b)
				for i := range 3 {
					if err := db.Update(b.Context(), func(tx *store.Tx) error {
						return Clusters.Put(tx, Cluster{Scope: scope, Name: fmt.Sprint("c", i), Status: "ACTIVE"})
					}); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				var all sync.WaitGroup
				for w := range 50 {
					all.Go(func() {
						for i := range nodes / 50 {
							n := Node{ID: fmt.Sprint("n", w, "-", i), Everyone: true}
							if err := db.Update(b.Context(), func(tx *store.Tx) error { return Nodes.Put(tx, n) }); err != nil {
								b.Error(err)
							}
							if err := EnrollNode(b.Context(), db, n.ID); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(nodes*b.N), "µs/node")
			}
		})
	}
}

func TestSweep(t *testing.T) {
	db := storetest.Open(t)
	now := time.Now()
	at := func(age time.Duration) *time.Time { t := now.Add(-age); return &t }
	for i := range 150 {
		task := newTask(fmt.Sprintf("old%03d", i))
		task.Last, task.StoppedAt = Stopped, at(61*time.Minute)
		update(t, db, func(tx *store.Tx) error { return Tasks.Put(tx, task) })
	}
	update(t, db, func(tx *store.Tx) error {
		young := newTask("young")
		young.Last, young.StoppedAt = Stopped, at(59*time.Minute)
		for _, k := range []Task{young, newTask("running")} {
			if err := Tasks.Put(tx, k); err != nil {
				return err
			}
		}
		for _, c := range []Cluster{{Name: "live", Status: "ACTIVE"}, {Name: "gone", Status: "INACTIVE", DeletedAt: at(2 * time.Hour)}, {Name: "going", Status: "INACTIVE", DeletedAt: at(time.Minute)}} {
			c.Scope = scope
			if err := Clusters.Put(tx, c); err != nil {
				return err
			}
		}
		for _, k := range []Token{{Token: "old", At: *at(25 * time.Hour)}, {Token: "new", At: now}} {
			if err := Tokens.Put(tx, k); err != nil {
				return err
			}
		}
		return nil
	})
	n, err := Sweep(context.Background(), db, now)
	if err != nil || n != 150 {
		t.Errorf("swept %d tasks, %v", n, err)
	}
	view(t, db, func(r store.Reader) {
		if Tasks.Len(r) != 2 || Clusters.Len(r) != 2 || Tokens.Len(r) != 1 {
			t.Errorf("left: %d tasks, %d clusters, %d tokens", Tasks.Len(r), Clusters.Len(r), Tokens.Len(r))
		}
	})
}
