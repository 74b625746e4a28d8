package launch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var scope = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

func ptr[T any](v T) *T { return &v }

// platform is a store with a cluster c1, and nodes of so many CPU units that
// are in it.
func platform(t *testing.T, cpus ...int64) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	ctx := context.Background()
	if err := cluster.EnsureDefaultVPC(ctx, db, scope, netip.MustParsePrefix("172.31.0.0/16")); err != nil {
		t.Fatal(err)
	}
	err := db.Update(ctx, func(tx *store.Tx) error {
		for i, cpu := range cpus {
			n := cluster.Node{ID: fmt.Sprint("n", i), Total: cluster.Resources{CPU: cpu, Memory: 1 << 20}, Everyone: true, Fargate: true, Connected: true, Zone: string(rune('a' + i))}
			if err := cluster.Nodes.Put(tx, n); err != nil {
				return err
			}
		}
		c := cluster.Cluster{Scope: scope, Name: "c1", Status: "ACTIVE"}
		if err := cluster.Clusters.Put(tx, c); err != nil {
			return err
		}
		return cluster.EnrollCluster(tx, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func request(n int, change ...func(*Request)) Request {
	r := Request{Scope: scope, Cluster: "c1", Count: n, Group: "family:web", Definition: cluster.TaskDefinition{Scope: scope, Family: "web", Revision: 1,
		Def: types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: ptr("i"), Cpu: 10, Memory: ptr(int32(10))}}}}}
	for _, c := range change {
		c(&r)
	}
	return r
}

func awsvpc(subnets ...string) func(*Request) {
	return func(r *Request) {
		r.LaunchType = types.LaunchTypeFargate
		r.Definition.Def.NetworkMode = types.NetworkModeAwsvpc
		r.Network = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: subnets}}
	}
}

func launch(t *testing.T, db *store.DB, r Request) (tasks []cluster.Task, failures []types.Failure) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *store.Tx) (err error) {
		tasks, failures, err = Launch(tx, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tasks, failures
}

// Tasks whose definitions declare contracts can be found while they shall run,
// unless their service can.
func TestContracts(t *testing.T) {
	db := platform(t, 1000)
	declares := func(r *Request) {
		c := &r.Definition.Def.ContainerDefinitions[0]
		c.DockerLabels = map[string]string{"dhow.contract.consumes": "shop/order"}
	}
	alone, _ := launch(t, db, request(1, declares))
	launch(t, db, request(1, declares, func(r *Request) { r.Service = "web" }))
	launch(t, db, request(1))
	db.View(func(r store.Reader) error {
		found := slices.Collect(cluster.Tasks.By(r, "contracts", scope.Prefix()))
		if len(found) != 1 || found[0].ID != alone[0].ID {
			t.Errorf("%+v", found)
		}
		return nil
	})
}

func TestNeed(t *testing.T) {
	c := func(cpu int32, memory, soft *int32) types.ContainerDefinition {
		return types.ContainerDefinition{Name: ptr("app"), Cpu: cpu, Memory: memory, MemoryReservation: soft}
	}
	side := types.ContainerDefinition{Name: ptr("side"), Cpu: 5, Memory: ptr(int32(50))}
	ports := func(mode types.NetworkMode, ps ...types.PortMapping) types.TaskDefinition {
		d := types.TaskDefinition{NetworkMode: mode, ContainerDefinitions: []types.ContainerDefinition{c(0, ptr(int32(1)), nil)}}
		d.ContainerDefinitions[0].PortMappings = ps
		return d
	}
	port := func(container, host int32, proto types.TransportProtocol) types.PortMapping {
		return types.PortMapping{ContainerPort: &container, HostPort: &host, Protocol: proto}
	}
	for _, tt := range []struct {
		name        string
		def         types.TaskDefinition
		over        types.TaskOverride
		cpu, memory int64
		ports       []string
	}{
		{"sums", types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{c(10, ptr(int32(100)), nil), side}}, types.TaskOverride{}, 15, 150, nil},
		{"soft before hard", types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{c(10, ptr(int32(100)), ptr(int32(60)))}}, types.TaskOverride{}, 10, 60, nil},
		{"the task's own", types.TaskDefinition{Cpu: ptr("256"), Memory: ptr("512"), ContainerDefinitions: []types.ContainerDefinition{c(10, ptr(int32(100)), nil)}}, types.TaskOverride{}, 256, 512, nil},
		{"overridden", types.TaskDefinition{Cpu: ptr("256"), Memory: ptr("512"), ContainerDefinitions: []types.ContainerDefinition{c(10, nil, nil)}}, types.TaskOverride{Cpu: ptr("512"), Memory: ptr("1024")}, 512, 1024, nil},
		{"containers overridden", types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{c(10, ptr(int32(100)), nil), side}},
			types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("app"), Cpu: ptr(int32(1)), Memory: ptr(int32(7))}}}, 6, 57, nil},
		{"fixed ports", ports("", port(80, 8080, ""), port(53, 53, "udp"), port(90, 0, "tcp")), types.TaskOverride{}, 0, 1, []string{"8080/tcp", "53/udp"}},
		{"host mode", ports("host", port(80, 0, "tcp"), types.PortMapping{ContainerPortRange: ptr("90-92")}), types.TaskOverride{}, 0, 1, []string{"80/tcp", "90/tcp", "91/tcp", "92/tcp"}},
		{"awsvpc", ports("awsvpc", port(80, 80, "tcp")), types.TaskOverride{}, 0, 1, nil},
	} {
		r, _, _ := Need(tt.def, tt.over)
		if r.CPU != tt.cpu || r.Memory != tt.memory || !slices.Equal(r.Ports, tt.ports) {
			t.Errorf("%s: %+v, want %d, %d, %v", tt.name, r, tt.cpu, tt.memory, tt.ports)
		}
	}
}

// However many launch at once, nothing is given twice and all that fits runs.
func TestConcurrentLaunches(t *testing.T) {
	db := platform(t, 400, 400)
	subnets := cluster.DefaultSubnets(scope)
	var wg sync.WaitGroup
	var mu sync.Mutex
	placed, failed := 0, 0
	for range 20 {
		wg.Go(func() {
			var tasks []cluster.Task
			var failures []types.Failure
			err := db.Update(context.Background(), func(tx *store.Tx) (err error) {
				tasks, failures, err = Launch(tx, request(5, awsvpc(subnets...)))
				return err
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
	if placed != 80 || failed == 0 {
		t.Errorf("%d placed, %d failures; 80 fit", placed, failed)
	}
	err := db.View(func(r store.Reader) error {
		booked := map[string]int64{}
		addresses := map[string]bool{}
		for k := range cluster.Tasks.List(r, "") {
			booked[k.Node] += k.Reserved.CPU
			addresses[k.Interface.Address] = true
			if i, ok := cluster.Interfaces.Get(r, k.Interface.Key()); !ok || i.Task != k.ID {
				t.Errorf("address %s is not %s's", k.Interface.Address, k.ID)
			}
		}
		if len(addresses) != 80 || cluster.Interfaces.Len(r) != 80 {
			t.Errorf("%d addresses, %d rows", len(addresses), cluster.Interfaces.Len(r))
		}
		for l := range cluster.Ledgers.List(r, "") {
			if l.Used.CPU != booked[l.Node] || l.Used.CPU > 400 {
				t.Errorf("ledger of %s: %d CPU units, its tasks have %d", l.Node, l.Used.CPU, booked[l.Node])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A small subnet gives all its addresses but the five that are nobody's.
func TestAddressesRunOut(t *testing.T) {
	db := platform(t, 10000)
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		return cluster.Subnets.Put(tx, cluster.Subnet{Scope: scope, ID: "subnet-small", VPC: "vpc-1", Network: "vpc-1", CIDR: "10.1.2.0/28", Zone: "us-east-1a"})
	})
	if err != nil {
		t.Fatal(err)
	}
	tasks, failures := launch(t, db, request(15, awsvpc("subnet-small")))
	if len(tasks) != 11 || len(failures) != 4 || *failures[0].Reason != NoAddress {
		t.Fatalf("%d tasks, %d failures", len(tasks), len(failures))
	}
	small := netip.MustParsePrefix("10.1.2.0/28")
	for _, k := range tasks {
		a := netip.MustParseAddr(k.Interface.Address)
		if last := a.As4()[3]; !small.Contains(a) || last < 4 || last == 15 {
			t.Errorf("address %s", a)
		}
	}
	err = db.Update(context.Background(), func(tx *store.Tx) error {
		k := tasks[3]
		k.Last = cluster.Stopped
		return cluster.SaveTask(tx, k)
	})
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := launch(t, db, request(1, awsvpc("subnet-small"))); len(again) != 1 || again[0].Interface.Address != tasks[3].Interface.Address {
		t.Error("the address that came free was not given again")
	}
	err = db.View(func(r store.Reader) error {
		if l, _ := cluster.Ledgers.Get(r, "n0"); l.Tasks != 11 {
			t.Errorf("%d tasks are booked", l.Tasks)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubnetsByZone(t *testing.T) {
	subnets := cluster.DefaultSubnets(scope)
	one := platform(t, 10000)
	seen := map[string]int{}
	tasks, _ := launch(t, one, request(6, awsvpc(subnets...)))
	for _, k := range tasks {
		seen[k.Zone]++
	}
	if len(seen) != 3 || seen["us-east-1a"] != 2 {
		t.Errorf("on one node the subnets take turns, but were %v", seen)
	}
	two := platform(t, 10000, 10000)
	tasks, _ = launch(t, two, request(6, awsvpc(subnets...)))
	for _, k := range tasks {
		if want := map[string]string{"n0": "us-east-1a", "n1": "us-east-1b"}[k.Node]; k.Zone != want {
			t.Errorf("a task on %s is in %s, want %s", k.Node, k.Zone, want)
		}
	}
}

func TestInvalid(t *testing.T) {
	db := platform(t, 1000)
	for _, r := range []Request{
		request(1, awsvpc()), request(1, awsvpc("subnet-none")),
		request(1, func(r *Request) { r.Strategy = []types.PlacementStrategy{{Type: "heap"}} }),
		request(1, func(r *Request) {
			r.Definition.Def.PlacementConstraints = []types.TaskDefinitionPlacementConstraint{{Type: "memberOf", Expression: ptr("x")}}
		}),
	} {
		err := db.Update(context.Background(), func(tx *store.Tx) error {
			_, _, err := Launch(tx, r)
			return err
		})
		if bad := (*Invalid)(nil); !errors.As(err, &bad) {
			t.Errorf("error %v, want an *Invalid", err)
		}
	}
}

func TestNobody(t *testing.T) {
	db := platform(t)
	if tasks, failures := launch(t, db, request(1)); len(tasks) != 0 || *failures[0].Reason != NoInstances {
		t.Errorf("EC2: %v", failures)
	}
	if tasks, failures := launch(t, db, request(1, awsvpc(cluster.DefaultSubnets(scope)...))); len(tasks) != 0 || *failures[0].Reason != NoCapacity {
		t.Errorf("FARGATE: %v", failures)
	}
}

func TestPrivateDNS(t *testing.T) {
	a := netip.MustParseAddr("172.31.0.4")
	if got := privateDNS("us-east-1", a); got != "ip-172-31-0-4.ec2.internal" {
		t.Error(got)
	}
	if got := privateDNS("eu-west-1", a); got != "ip-172-31-0-4.eu-west-1.compute.internal" {
		t.Error(got)
	}
	if got := mac(a.As4()); got != "0a:58:ac:1f:00:04" {
		t.Error(got)
	}
}

func TestSplit(t *testing.T) {
	item := func(base, weight int32) types.CapacityProviderStrategyItem {
		return types.CapacityProviderStrategyItem{Base: base, Weight: weight}
	}
	for _, tt := range []struct {
		strategy []types.CapacityProviderStrategyItem
		have     []int
		n        int
		want     []int
	}{
		{[]types.CapacityProviderStrategyItem{item(0, 0)}, nil, 3, []int{3}},
		{[]types.CapacityProviderStrategyItem{item(0, 1), item(0, 3)}, nil, 8, []int{2, 6}},
		{[]types.CapacityProviderStrategyItem{item(2, 1), item(0, 1)}, nil, 6, []int{4, 2}},
		{[]types.CapacityProviderStrategyItem{item(2, 1), item(0, 1)}, nil, 1, []int{1, 0}},
		{[]types.CapacityProviderStrategyItem{item(2, 0), item(0, 1)}, nil, 5, []int{2, 3}},
		{[]types.CapacityProviderStrategyItem{item(0, 1), item(0, 1)}, []int{4, 0}, 4, []int{0, 4}},
		{[]types.CapacityProviderStrategyItem{item(0, 0), item(0, 0)}, nil, 4, []int{0, 0}},
	} {
		if got := Split(tt.strategy, tt.have, tt.n); !slices.Equal(got, tt.want) {
			t.Errorf("%v with %v, %d more: %v, want %v", tt.strategy, tt.have, tt.n, got, tt.want)
		}
	}
}
