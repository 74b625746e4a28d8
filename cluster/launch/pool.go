package launch

import (
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
	"github.com/dhowhq/dhow/store"
)

// pool holds a store's candidates ready, so that a launch among thousands of
// nodes need not read and join as many rows. It follows the commits; a launch
// looks up in its transaction what it has chosen.
type pool struct {
	placing   sync.Mutex            // held while nodes are chosen, so that each choice sees those before
	room      []scheduler.Candidate // for whoever is placing
	mu        sync.Mutex            // guards the rest
	machines  map[string]*machine   // by Node.ID
	instances map[string]*place     // of ACTIVE container instances, by their rows' keys
	fargate   roster
	clusters  map[string]*roster // by Scope.Key of the cluster's name

	assumed map[*assumption]bool // of all machines

	slots  int32             // numbers of machines given
	free   []int32           // of those, given back
	groups map[string]*tally // of tasks, by Task.GroupKey
	zones  map[string]string // each zone's name once, which makes comparing quick
}

// tally counts a group's tasks by their machines' slots, in pages: most groups
// are on few machines.
type tally struct {
	pages [][]int32
	sum   int
}

const pageSlots = 256

func (t *tally) add(slot int32, n int) {
	page := int(slot) / pageSlots
	for len(t.pages) <= page {
		t.pages = append(t.pages, nil)
	}
	if t.pages[page] == nil {
		t.pages[page] = make([]int32, pageSlots)
	}
	t.pages[page][slot%pageSlots] += int32(n)
	t.sum += n
}

// machine is a node with all places that it has.
type machine struct {
	slot    int32
	node    *cluster.Node   // nil: there is none
	ledger  *cluster.Ledger // nil: nothing is booked
	assumed []*assumption   // what is about to be booked
	places  []*place
}

// assumption is one task that a transaction on its way wants to book.
type assumption struct {
	on    *machine
	id    string // of the node
	group string // Task.GroupKey
	need  cluster.Resources
}

// place is a machine's place in a roster.
type place struct {
	machine  *machine
	instance *cluster.Instance // nil in the roster of FARGATE
	roster   *roster
	at       int
}

// roster is a list of candidates. Those whose node is not there have no details.
type roster struct {
	candidates []scheduler.Candidate
	places     []*place
}

var pools = store.NewDerived(newPool)

func newPool(db *store.DB) *pool {
	p := &pool{machines: map[string]*machine{}, instances: map[string]*place{}, clusters: map[string]*roster{},
		groups: map[string]*tally{}, zones: map[string]string{}, assumed: map[*assumption]bool{}}
	p.mu.Lock() // changes that come meanwhile wait until the rest is there
	defer p.mu.Unlock()
	cluster.Nodes.Follow(db, func(c store.Change[cluster.Node]) { p.locked(func() { p.setNode(c.Key, c.New) }) })
	cluster.Ledgers.Follow(db, func(c store.Change[cluster.Ledger]) { p.locked(func() { p.setLedger(c.Key, c.New) }) })
	cluster.Instances.Follow(db, func(c store.Change[cluster.Instance]) { p.locked(func() { p.setInstance(c.Key, c.New) }) })
	db.View(func(r store.Reader) error {
		for n := range cluster.Nodes.List(r, "") {
			p.setNode(n.ID, &n)
		}
		for g := range cluster.Ledgers.List(r, "") {
			p.setLedger(g.Node, &g)
		}
		for i := range cluster.Instances.List(r, "") {
			p.setInstance(i.Key(), &i)
		}
		return nil
	})
	return p
}

func (p *pool) locked(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// machine is the one called id, made if need be.
func (p *pool) machine(id string) *machine {
	m := p.machines[id]
	if m == nil {
		m = &machine{slot: p.slots}
		if n := len(p.free); n > 0 {
			m.slot, p.free = p.free[n-1], p.free[:n-1]
		} else {
			p.slots++
		}
		p.machines[id] = m
	}
	return m
}

// count adds n to the tasks of a group on m.
func (p *pool) count(m *machine, group string, n int) {
	t := p.groups[group]
	if t == nil {
		t = new(tally)
		p.groups[group] = t
	}
	if t.add(m.slot, n); t.sum == 0 {
		delete(p.groups, group)
	}
}

// counts are a group's tasks by slot.
func (p *pool) counts(group string) []int32 {
	out := make([]int32, p.slots)
	if t := p.groups[group]; t != nil {
		for i, page := range t.pages {
			if page != nil {
				copy(out[i*pageSlots:], page)
			}
		}
	}
	return out
}

func (p *pool) setNode(id string, n *cluster.Node) {
	m := p.machine(id)
	m.node = n
	at := slices.IndexFunc(m.places, func(x *place) bool { return x.instance == nil })
	switch takes := n != nil && n.Fargate; {
	case takes && at < 0:
		p.fargate.add(p, &place{machine: m})
	case !takes && at >= 0:
		m.places[at].remove()
	}
	p.renew(m)
	p.forget(id, m)
}

func (p *pool) setLedger(id string, g *cluster.Ledger) {
	m := p.machine(id)
	p.fulfil(m, g)
	if m.ledger != nil {
		for group, n := range m.ledger.Groups {
			p.count(m, group, -n)
		}
	}
	if m.ledger = g; g != nil {
		for group, n := range g.Groups {
			p.count(m, group, n)
		}
	}
	p.renew(m)
	p.forget(id, m)
}

func (p *pool) setInstance(key string, i *cluster.Instance) {
	if old := p.instances[key]; old != nil {
		old.remove()
		delete(p.instances, key)
		p.forget(old.instance.Node, old.machine)
		if len(old.roster.places) == 0 {
			delete(p.clusters, old.instance.Scope.Key(old.instance.Cluster))
		}
	}
	if i == nil || i.Status != types.ContainerInstanceStatusActive {
		return
	}
	c := i.Scope.Key(i.Cluster)
	if p.clusters[c] == nil {
		p.clusters[c] = new(roster)
	}
	x := &place{machine: p.machine(i.Node), instance: i}
	p.instances[key] = x
	p.clusters[c].add(p, x)
}

// forget drops a machine of which nothing is left.
func (p *pool) forget(id string, m *machine) {
	if m.node == nil && m.ledger == nil && len(m.places) == 0 && len(m.assumed) == 0 {
		delete(p.machines, id)
		p.free = append(p.free, m.slot)
	}
}

// fulfil drops as many assumptions as g, the machine's new ledger, has more tasks
// of their groups.
func (p *pool) fulfil(m *machine, g *cluster.Ledger) {
	if g == nil || len(m.assumed) == 0 {
		return
	}
	more := func(group string) int {
		if m.ledger == nil {
			return g.Groups[group]
		}
		return g.Groups[group] - m.ledger.Groups[group]
	}
	dropped := map[string]int{}
	m.assumed = slices.DeleteFunc(m.assumed, func(a *assumption) bool {
		if dropped[a.group] >= more(a.group) {
			return false
		}
		dropped[a.group]++
		delete(p.assumed, a)
		p.count(m, a.group, -1)
		return true
	})
}

// expected is g with what is assumed.
func (m *machine) expected(g cluster.Ledger) cluster.Ledger {
	groups := make(map[string]int, len(g.Groups)+1)
	maps.Copy(groups, g.Groups)
	g.Groups, g.Used.Ports = groups, slices.Clone(g.Used.Ports)
	for _, a := range m.assumed {
		groups[a.group]++
		g.Tasks++
		g.Used.CPU += a.need.CPU
		g.Used.Memory += a.need.Memory
		g.Used.Ports = append(g.Used.Ports, a.need.Ports...)
	}
	return g
}

// assume counts tasks as booked on the nodes until release is called, or their
// ledgers say so.
func (p *pool) assume(nodes []string, group string, need cluster.Resources) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	made := make([]*assumption, len(nodes))
	for i, id := range nodes {
		m := p.machine(id)
		made[i] = &assumption{on: m, id: id, group: group, need: need}
		m.assumed = append(m.assumed, made[i])
		p.assumed[made[i]] = true
		p.count(m, group, 1)
		p.renew(m)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range made {
			if i := slices.Index(a.on.assumed, a); i >= 0 {
				a.on.assumed = slices.Delete(a.on.assumed, i, i+1)
				delete(p.assumed, a)
				p.count(a.on, a.group, -1)
				p.renew(a.on)
				p.forget(a.id, a.on)
			}
		}
	}
}

// assumedOn are the ids of the nodes on which something is about to be booked.
func (p *pool) assumedOn() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]bool, len(p.assumed))
	for a := range p.assumed {
		out[a.id] = true
	}
	return out
}

// renew makes the machine's candidates anew; those that were handed out stay as
// they are.
func (p *pool) renew(m *machine) {
	for _, x := range m.places {
		x.roster.candidates[x.at] = p.candidate(x)
	}
}

func (p *pool) candidate(x *place) (c scheduler.Candidate) {
	m := x.machine
	if m.node == nil {
		return c
	}
	var g cluster.Ledger
	if m.ledger != nil {
		g = *m.ledger
	}
	if len(m.assumed) > 0 {
		g = m.expected(g)
	}
	if x.instance == nil {
		c = machineCandidate(*m.node, g)
	} else {
		c = instanceCandidate(*x.instance, *m.node, g)
	}
	c.Slot = m.slot
	if z, ok := p.zones[c.Zone]; ok {
		c.Zone = z
	} else {
		p.zones[c.Zone] = c.Zone
	}
	return c
}

func (r *roster) add(p *pool, x *place) {
	x.roster, x.at = r, len(r.places)
	x.machine.places = append(x.machine.places, x)
	r.places = append(r.places, x)
	r.candidates = append(r.candidates, p.candidate(x))
}

// remove takes a place out of its roster; the last one comes in its stead.
func (x *place) remove() {
	r, last := x.roster, len(x.roster.places)-1
	r.places[x.at], r.candidates[x.at] = r.places[last], r.candidates[last]
	r.places[x.at].at = x.at
	r.places[last], r.candidates[last] = nil, scheduler.Candidate{}
	r.places, r.candidates = r.places[:last], r.candidates[:last]
	x.machine.places = slices.DeleteFunc(x.machine.places, func(o *place) bool { return o == x })
}

// ofFargate appends the machines that take FARGATE tasks to room, and returns
// them and the tasks of a group by slot.
func (p *pool) ofFargate(group string, room []scheduler.Candidate) (nodes []scheduler.Candidate, counts []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fargate.list(room), p.counts(group)
}

// ofCluster is ofFargate for the ACTIVE container instances of a cluster.
func (p *pool) ofCluster(s cluster.Scope, name, group string, room []scheduler.Candidate) (nodes []scheduler.Candidate, counts []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.clusters[s.Key(name)]; r != nil {
		room = r.list(room)
	}
	return room, p.counts(group)
}

func (r *roster) list(room []scheduler.Candidate) []scheduler.Candidate {
	room = append(room, r.candidates...)
	for i := range room {
		if room[i].Details == nil {
			return slices.DeleteFunc(room, func(c scheduler.Candidate) bool { return c.Details == nil })
		}
	}
	return room
}
