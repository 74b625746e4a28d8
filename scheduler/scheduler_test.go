package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/cluster"
)

func node(id string, cpu, mem int64, with ...func(*Candidate)) Candidate {
	c := Candidate{Slot: -1, CPU: cpu, Memory: mem, Connected: true, Details: &Details{ID: id}}
	for _, w := range with {
		w(&c)
	}
	return c
}

func attr(name, value string) func(*Candidate) {
	return func(c *Candidate) { c.Attributes = append(c.Attributes, types.Attribute{Name: &name, Value: &value}) }
}
func used(cpu, mem int64, ports ...string) func(*Candidate) {
	return func(c *Candidate) { c.CPU, c.Memory, c.Ports = c.CPU-cpu, c.Memory-mem, ports }
}
func group(tasks, ofGroup int) func(*Candidate) {
	return func(c *Candidate) { c.Tasks, c.Groups = tasks, map[string]int{"": ofGroup, "other": 7} }
}
func silent(c *Candidate) { c.Connected = false }
func ours(c *Candidate)   { c.AnyCapability = true }

const zone = "ecs.availability-zone"

func need(cpu, mem int64, ports ...string) cluster.Resources {
	return cluster.Resources{CPU: cpu, Memory: mem, Ports: ports}
}

func ptr[T any](v T) *T { return &v }

func TestPlace(t *testing.T) {
	distinct := []Constraint{{Distinct: true}}
	memberOf := func(s string) []Constraint {
		e, err := ParseExpression(s)
		if err != nil {
			t.Fatal(err)
		}
		return []Constraint{{Expression: e, Text: s}}
	}
	for _, tt := range []struct {
		name    string
		req     Request
		nodes   []Candidate
		chosen  string // sorted node ids
		reasons string // CODE of each node, in order
	}{
		{"no nodes", Request{Count: 1}, nil, "", ""},
		{"fits", Request{Count: 1, Need: need(256, 512)}, []Candidate{node("a", 256, 512)}, "a", ""},
		{"no CPU", Request{Count: 1, Need: need(257, 1)}, []Candidate{node("a", 256, 512)}, "", ReasonCPU},
		{"no memory", Request{Count: 1, Need: need(1, 513)}, []Candidate{node("a", 256, 512)}, "", ReasonMemory},
		{"used counts", Request{Count: 1, Need: need(200, 1)}, []Candidate{node("a", 256, 512, used(100, 0))}, "", ReasonCPU},
		{"overbooked already", Request{Count: 1, Need: need(0, 0)}, []Candidate{node("a", 1, 1, used(5, 0))}, "", ReasonCPU},
		{"as many as fit", Request{Count: 3, Need: need(100, 0)}, []Candidate{node("a", 256, 512)}, "a a", ReasonCPU},
		{"port taken", Request{Count: 1, Need: need(0, 0, "80/tcp")}, []Candidate{node("a", 1, 1, used(0, 0, "80/tcp"))}, "", ReasonPorts},
		{"other protocol", Request{Count: 1, Need: need(0, 0, "80/udp")}, []Candidate{node("a", 1, 1, used(0, 0, "80/tcp"))}, "a", ""},
		{"port once a node", Request{Count: 3, Need: need(0, 0, "80/tcp")}, []Candidate{node("a", 1, 1), node("b", 1, 1)}, "a b", ReasonPorts + " " + ReasonPorts},
		{"reserved port", Request{Count: 1, Need: need(0, 0, "22/tcp")}, []Candidate{node("a", 1, 1, func(c *Candidate) { c.Ports = []string{"22/tcp"} })}, "", ReasonPorts},
		{"agent away", Request{Count: 1}, []Candidate{node("a", 1, 1, silent)}, "", ReasonAgent},
		{"attribute", Request{Count: 1, Requires: []types.Attribute{{Name: ptr("gpu")}}}, []Candidate{node("a", 1, 1), node("b", 1, 1, attr("gpu", ""))}, "b", ""},
		{"attribute's value", Request{Count: 1, Requires: []types.Attribute{{Name: ptr("disk"), Value: ptr("ssd")}}}, []Candidate{node("a", 1, 1, attr("disk", "hdd"))}, "", ReasonAttribute},
		{"capability of our agent", Request{Count: 1, Requires: []types.Attribute{{Name: ptr("ecs.capability.task-eni")}}}, []Candidate{node("a", 1, 1), node("b", 1, 1, ours)}, "b", ""},
		{"distinct instance", Request{Count: 3, Constraints: distinct}, []Candidate{node("a", 9, 9), node("b", 9, 9, group(1, 1)), node("c", 9, 9, group(3, 0))}, "a c",
			ReasonDistinct + "|" + ReasonDistinct + "|" + ReasonDistinct},
		{"member of", Request{Count: 2, Constraints: memberOf("attribute:stack == prod")}, []Candidate{node("a", 9, 9), node("b", 9, 9, attr("stack", "prod"))}, "b b", ""},
		{"member of none", Request{Count: 1, Constraints: memberOf("attribute:stack == prod")}, []Candidate{node("a", 9, 9)}, "", ReasonMemberOf},
		{"spread by default", Request{Count: 3}, []Candidate{node("a", 9, 9, attr(zone, "1")), node("b", 9, 9, attr(zone, "1")), node("c", 9, 9, attr(zone, "2"), group(1, 1))}, "a b c", ""},
		{"zones before nodes", Request{Count: 2}, []Candidate{node("a", 9, 9, attr(zone, "1"), group(1, 1)), node("b", 9, 9, attr(zone, "1")), node("c", 9, 9, attr(zone, "2"))}, "b c", ""},
		{"binpack cpu", Request{Count: 2, Need: need(2, 0), Strategy: []Strategy{{Binpack, "cpu"}}}, []Candidate{node("a", 9, 9), node("b", 5, 9)}, "b b", ""},
		{"binpack memory", Request{Count: 1, Need: need(0, 2), Strategy: []Strategy{{Binpack, "memory"}}}, []Candidate{node("a", 9, 9), node("b", 5, 3)}, "b", ""},
		{"spread an attribute", Request{Count: 2, Strategy: []Strategy{{Spread, "attribute:rack"}}}, []Candidate{node("a", 9, 9, attr("rack", "1")), node("b", 9, 9, attr("rack", "1")), node("c", 9, 9, attr("rack", "2"), group(2, 2))}, "a b", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			choices, reasons := Place(tt.req, tt.nodes, rand.New(rand.NewPCG(1, 2)))
			var ids, codes []string
			for _, c := range choices {
				ids = append(ids, c.Node)
			}
			for _, r := range reasons {
				codes = append(codes, r.Code)
			}
			slices.Sort(ids)
			want := tt.reasons
			if !strings.Contains(want, "|") && !strings.Contains(want, ".") {
				want = strings.ReplaceAll(want, " ", "|")
			}
			if got := strings.Join(ids, " "); got != tt.chosen {
				t.Errorf("chosen %q, want %q", got, tt.chosen)
			}
			if got := strings.Join(codes, "|"); got != want {
				t.Errorf("reasons %q, want %q", got, want)
			}
		})
	}
}

func show(nodes []Candidate) (s string) {
	for _, n := range nodes {
		s += fmt.Sprintln(n, *n.Details)
	}
	return s
}

// Whatever is asked: no node gets more than it has, no port is given twice, no
// rule is broken, and what is left unplaced fits nowhere.
func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ports := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"80/tcp", "81/tcp", "80/udp"}), 0, 2, rapid.ID[string])
		var nodes []Candidate
		for i := range rapid.IntRange(0, 8).Draw(t, "nodes") {
			n := node(fmt.Sprint("n", i), rapid.Int64Range(0, 50).Draw(t, "cpu"), rapid.Int64Range(0, 50).Draw(t, "mem"),
				attr(zone, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone")))
			n.Connected = rapid.IntRange(0, 5).Draw(t, "connected") > 0
			used(rapid.Int64Range(0, 20).Draw(t, "usedCPU"), rapid.Int64Range(0, 20).Draw(t, "usedMem"), ports.Draw(t, "usedPorts")...)(&n)
			n.Groups = map[string]int{"g": rapid.IntRange(0, 2).Draw(t, "group")}
			n.Tasks = n.Groups["g"] + rapid.IntRange(0, 2).Draw(t, "tasks")
			nodes = append(nodes, n)
		}
		req := Request{
			Count:    rapid.IntRange(0, 12).Draw(t, "count"),
			Group:    "g",
			Need:     need(rapid.Int64Range(0, 20).Draw(t, "needCPU"), rapid.Int64Range(0, 20).Draw(t, "needMem"), ports.Draw(t, "ports")...),
			Strategy: rapid.SampledFrom([][]Strategy{nil, {{Random, ""}}, {{Binpack, "cpu"}}, {{Spread, "attribute:" + zone}, {Binpack, "memory"}}, {{Spread, "instanceId"}}}).Draw(t, "strategy"),
		}
		distinct := rapid.Bool().Draw(t, "distinct")
		if distinct {
			req.Constraints = []Constraint{{Distinct: true}}
		}
		before := show(nodes)
		choices, reasons := Place(req, nodes, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		if show(nodes) != before {
			t.Fatal("Place changed its arguments")
		}
		placed := map[string]int64{}
		for _, c := range choices {
			placed[c.Node]++
		}
		fitsOne := false
		for _, n := range nodes {
			k := placed[n.ID]
			if k > 0 && !n.Connected {
				t.Fatal("placed on a node whose agent is away")
			}
			if k > 0 && (k*req.Need.CPU > n.CPU || k*req.Need.Memory > n.Memory) {
				t.Fatalf("node %s is overcommitted: %d tasks", n.ID, k)
			}
			taken := len(req.Need.Ports) > 0 && k > 0
			for _, p := range req.Need.Ports {
				taken = taken || slices.Contains(n.Ports, p)
				if k > 1 || k == 1 && slices.Contains(n.Ports, p) {
					t.Fatalf("port %s is given twice on %s", p, n.ID)
				}
			}
			if distinct && (k > 1 || k == 1 && n.Groups["g"] > 0) {
				t.Fatalf("%s has two tasks of the group", n.ID)
			}
			full := distinct && int(k)+n.Groups["g"] > 0
			if n.Connected && !taken && !full && (k+1)*req.Need.CPU <= n.CPU && (k+1)*req.Need.Memory <= n.Memory {
				fitsOne = true
			}
		}
		switch {
		case len(choices) > req.Count:
			t.Fatal("more than asked for")
		case len(choices) < req.Count && fitsOne:
			t.Fatal("a task was left that fits")
		case len(choices) < req.Count && len(reasons) != len(nodes):
			t.Fatal("a node without a reason")
		}
		for _, r := range reasons {
			if r.Code == "" {
				t.Fatalf("no reason for %s", r.Node)
			}
		}
	})
}

// Each choice is the best that there is at its turn, among all nodes.
func TestPlaceIsGreedy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var nodes []Candidate
		for i := range rapid.IntRange(1, 40).Draw(t, "nodes") {
			nodes = append(nodes, node(fmt.Sprint("n", i), rapid.Int64Range(0, 30).Draw(t, "cpu"), rapid.Int64Range(0, 30).Draw(t, "mem"),
				attr(zone, fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "zone"))), attr("rack", fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "rack"))),
				group(rapid.IntRange(2, 5).Draw(t, "tasks"), rapid.IntRange(0, 2).Draw(t, "group"))))
		}
		req := Request{Count: rapid.IntRange(1, 12).Draw(t, "count"), Need: need(3, 2), Strategy: rapid.SampledFrom([][]Strategy{
			nil, {{Binpack, "cpu"}}, {{Spread, "attribute:" + zone}, {Binpack, "memory"}}, {{Spread, "instanceId"}},
			{{Spread, "attribute:rack"}, {Spread, "attribute:" + zone}}, {{Binpack, "memory"}, {Spread, "attribute:rack"}},
		}).Draw(t, "strategy")}
		choices, _ := Place(req, nodes, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		rules := req.Strategy
		if rules == nil {
			rules = defaultStrategy
		}
		placed := make([]int64, len(nodes))
		rank := func(i int) (out []int64) {
			for _, s := range rules {
				switch name, spreads := strings.CutPrefix(s.Field, "attribute:"); {
				case spreads:
					sum := int64(0)
					mine, _ := nodes[i].attribute(name)
					for j, o := range nodes {
						if v, _ := o.attribute(name); v == mine {
							sum += int64(o.Groups[""]) + placed[j]
						}
					}
					out = append(out, sum)
				case s.Kind == Spread:
					out = append(out, int64(nodes[i].Groups[""])+placed[i])
				case s.Field == "cpu":
					out = append(out, nodes[i].CPU-placed[i]*req.Need.CPU)
				default:
					out = append(out, nodes[i].Memory-placed[i]*req.Need.Memory)
				}
			}
			return append(out, int64(nodes[i].Tasks)+placed[i])
		}
		fits := func(i int) bool {
			return nodes[i].CPU >= (placed[i]+1)*req.Need.CPU && nodes[i].Memory >= (placed[i]+1)*req.Need.Memory
		}
		for n, c := range choices {
			for i := range nodes {
				if fits(i) && slices.Compare(rank(i), rank(c.Index)) < 0 {
					t.Fatalf("choice %d is %s, of rank %v; %s has %v", n, c.Node, rank(c.Index), nodes[i].ID, rank(i))
				}
			}
			placed[c.Index]++
		}
		for i := range nodes {
			if len(choices) < req.Count && fits(i) {
				t.Fatalf("%d of %d were placed, and %s has room", len(choices), req.Count, nodes[i].ID)
			}
		}
	})
}

func TestSpreadIsEven(t *testing.T) {
	var nodes []Candidate
	for i := range 9 {
		nodes = append(nodes, node(fmt.Sprint(i), 1000, 1000, attr(zone, fmt.Sprint(i%3))))
	}
	choices, _ := Place(Request{Count: 90, Need: need(1, 1)}, nodes, rand.New(rand.NewPCG(3, 4)))
	per := map[string]int{}
	for _, c := range choices {
		per[c.Node]++
	}
	for id, n := range per {
		if n != 10 {
			t.Errorf("node %s has %d tasks, want 10", id, n)
		}
	}
}

func TestParseRules(t *testing.T) {
	for _, tt := range []struct {
		in   types.PlacementStrategy
		want Strategy
		err  string
	}{
		{types.PlacementStrategy{Type: "random"}, Strategy{Random, ""}, ""},
		{types.PlacementStrategy{Type: "random", Field: ptr("cpu")}, Strategy{}, "random takes no field"},
		{types.PlacementStrategy{Type: "binpack", Field: ptr("MEMORY")}, Strategy{Binpack, "memory"}, ""},
		{types.PlacementStrategy{Type: "binpack", Field: ptr("disk")}, Strategy{}, "cpu or memory"},
		{types.PlacementStrategy{Type: "spread", Field: ptr("host")}, Strategy{Spread, "instanceId"}, ""},
		{types.PlacementStrategy{Type: "spread", Field: ptr("attribute:rack")}, Strategy{Spread, "attribute:rack"}, ""},
		{types.PlacementStrategy{Type: "spread"}, Strategy{}, "attribute:NAME"},
		{types.PlacementStrategy{Type: "heap"}, Strategy{}, `"heap" is none of`},
	} {
		got, err := ParseStrategy([]types.PlacementStrategy{tt.in})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v: error %v, want %q", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || got[0] != tt.want {
			t.Errorf("%v: %v, %v", tt.in, got, err)
		}
	}
	if _, err := ParseConstraints([]types.PlacementConstraint{{Type: "distinctInstance", Expression: ptr("x")}}); err == nil {
		t.Error("distinctInstance took an expression")
	}
	if _, err := ParseConstraints([]types.PlacementConstraint{{Type: "memberOf"}}); err == nil {
		t.Error("memberOf took no expression")
	}
}

func BenchmarkPlace10000(b *testing.B) {
	var nodes []Candidate
	for i := range 10000 {
		nodes = append(nodes, node(fmt.Sprint(i), 100000, 1000000, attr(zone, string(rune('a'+i%3)))))
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		Place(Request{Count: 25, Need: need(10, 10)}, nodes, rnd)
	}
	b.ReportMetric(float64(b.N*25)/b.Elapsed().Seconds(), "tasks/s")
}
