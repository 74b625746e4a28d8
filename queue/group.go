package queue

// group is the messages of one MessageGroupId; those without one are a group of
// their own in standard queues, number 0.
type group struct {
	name       string
	head, tail uint64 // its list
	total      int    // messages
	busy       int    // of them in somebody's hands
	pos        int    // in its heap plus one, 0 for none
	noisy      bool   // which heap
}

// groups are known by number, so that entries need no pointers.
type groups struct {
	all    []group
	byName map[string]uint32
	free   []uint32
}

func (gs *groups) init() {
	gs.all = []group{{}}
	gs.byName = map[string]uint32{}
}

func (gs *groups) at(n uint32) *group { return &gs.all[n] }

// number finds the group, or makes it.
func (gs *groups) number(name string) uint32 {
	if name == "" {
		return 0
	}
	if n, ok := gs.byName[name]; ok {
		return n
	}
	var n uint32
	if last := len(gs.free) - 1; last >= 0 {
		n = gs.free[last]
		gs.free = gs.free[:last]
		gs.all[n] = group{name: name}
	} else {
		n = uint32(len(gs.all))
		gs.all = append(gs.all, group{name: name})
	}
	gs.byName[name] = n
	return n
}

// release forgets a group without messages.
func (gs *groups) release(n uint32) {
	if g := &gs.all[n]; n != 0 && g.total == 0 {
		delete(gs.byName, g.name)
		*g = group{}
		gs.free = append(gs.free, n)
	}
}

func (x *index) pushBack(g *group, seq uint64, e *entry) {
	e.prev, e.next = g.tail, 0
	if g.tail != 0 {
		x.get(g.tail).next = seq
	} else {
		g.head = seq
	}
	g.tail = seq
}

func (x *index) pushFront(g *group, seq uint64, e *entry) {
	e.prev, e.next = 0, g.head
	if g.head != 0 {
		x.get(g.head).prev = seq
	} else {
		g.tail = seq
	}
	g.head = seq
}

func (x *index) unlink(g *group, e *entry) {
	if e.prev != 0 {
		x.get(e.prev).next = e.next
	} else {
		g.head = e.next
	}
	if e.next != 0 {
		x.get(e.next).prev = e.prev
	} else {
		g.tail = e.prev
	}
	e.prev, e.next = 0, 0
}

// A tenant of a standard queue is noisy from 30 messages in flight on, if these
// are more than a tenth of all: "How fair queues work" in the developer guide.
const (
	noisyFrom  = 30
	noisyShare = 10
)

func (x *index) isNoisy(n uint32, g *group) bool {
	return !x.fifo && n != 0 && g.busy >= noisyFrom && g.busy*noisyShare > x.count[inFlight]
}

// settle puts a group into the heap where it belongs after a change: none, if it
// has nothing to give.
func (x *index) settle(n uint32) {
	g := x.groups.at(n)
	gives := g.head != 0
	if x.fifo {
		gives = gives && x.get(g.head).phase == ready
	}
	noisy := x.isNoisy(n, g)
	if g.pos > 0 && (!gives || noisy != g.noisy) {
		x.heap(g.noisy).remove(g.pos - 1)
	}
	if !gives {
		return
	}
	g.noisy = noisy
	if h := x.heap(noisy); g.pos == 0 {
		h.push(n)
	} else {
		h.fix(g.pos - 1)
	}
}

func (x *index) heap(noisy bool) *heapOf {
	if noisy {
		return &x.noisy
	}
	return &x.quiet
}

// pick is the group that gives next: of the quiet ones, or else of the noisy
// ones, the one with the oldest message.
func (x *index) pick() (uint32, bool) {
	for len(x.noisy.at) > 0 { // others' messages in flight may have made it quiet
		n := x.noisy.at[0]
		if x.isNoisy(n, x.groups.at(n)) {
			break
		}
		x.settle(n)
	}
	for len(x.quiet.at) > 0 {
		n := x.quiet.at[0]
		if !x.isNoisy(n, x.groups.at(n)) {
			return n, true
		}
		x.settle(n)
	}
	if len(x.noisy.at) > 0 {
		return x.noisy.at[0], true
	}
	return 0, false
}

// eldest is the group, noisy or not, whose first message is the oldest.
func (x *index) eldest() (n uint32, ok bool) {
	for _, h := range []*heapOf{&x.quiet, &x.noisy} {
		if len(h.at) > 0 && (!ok || x.groups.at(h.at[0]).head < x.groups.at(n).head) {
			n, ok = h.at[0], true
		}
	}
	return n, ok
}

// heapOf is groups by the age of their first message.
type heapOf struct {
	groups *groups
	at     []uint32
}

func (h *heapOf) less(i, j int) bool {
	return h.groups.all[h.at[i]].head < h.groups.all[h.at[j]].head
}

func (h *heapOf) swap(i, j int) {
	h.at[i], h.at[j] = h.at[j], h.at[i]
	h.groups.all[h.at[i]].pos, h.groups.all[h.at[j]].pos = i+1, j+1
}

func (h *heapOf) push(n uint32) {
	h.at = append(h.at, n)
	h.groups.all[n].pos = len(h.at)
	h.up(len(h.at) - 1)
}

func (h *heapOf) remove(i int) {
	last := len(h.at) - 1
	h.swap(i, last)
	h.groups.all[h.at[last]].pos = 0
	h.at = h.at[:last]
	if i < last {
		h.fix(i)
	}
}

func (h *heapOf) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *heapOf) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(i, p) {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h *heapOf) down(i int) (moved bool) {
	for {
		c := 2*i + 1
		if c >= len(h.at) {
			return moved
		}
		if c+1 < len(h.at) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return moved
		}
		h.swap(i, c)
		i, moved = c, true
	}
}
