package lb

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/store"
)

// balancer is a load balancer at work.
type balancer struct {
	row       LoadBalancer
	listeners map[int32]*listener // guarded by Engine.mu
	problems  map[int32]string    // why listeners are not open at its address; guarded by Engine.mu

	main atomic.Pointer[listener] // answers on the API's port; nil if there is none
}

// listener is a listener at work. Its plan is swapped whole.
type listener struct {
	id    string
	label string // of the load balancer's names
	port  int32
	plan  atomic.Pointer[plan]
}

// plan is all that a request needs to know of its listener. It does not change
// once it is in use.
type plan struct {
	forward  *shares
	fixed    *FixedResponse
	redirect *Redirect

	port         int32
	idle         time.Duration
	keepAlive    time.Duration
	xff          string // append, preserve or remove
	xffPort      bool
	keepHost     bool
	dropHeaders  bool
	hideServer   bool
	extraHeaders []Tag
}

// refreshBalancer takes in a load balancer's rows and reports whether sockets
// have to be looked at; e.mu is held.
func (e *Engine) refreshBalancer(r store.Reader, key string) (ports bool) {
	row, ok := LoadBalancers.Get(r, key)
	b := e.balancers[key]
	if b != nil && (!ok || b.row.ID != row.ID) {
		e.labels.Delete(b.row.label())
		delete(e.balancers, key)
		b, ports = nil, true
	}
	if !ok {
		return ports
	}
	if b == nil {
		b = &balancer{listeners: map[int32]*listener{}, problems: map[int32]string{}}
		e.balancers[key] = b
		e.labels.Store(row.label(), b)
	}
	e.markGroups(r, row) // their use, or the zones, may have changed
	b.row = row
	have := map[int32]bool{}
	for _, l := range ListenersOf(r, row) {
		have[l.Port] = true
		at := b.listeners[l.Port]
		if at == nil || at.id != l.ID {
			at = &listener{id: l.ID, label: row.label(), port: l.Port}
			b.listeners[l.Port] = at
			ports = true
		}
		old := at.plan.Load()
		p := e.plan(row, l)
		at.plan.Store(p)
		ports = ports || old == nil || old.idle != p.idle
	}
	for port := range b.listeners {
		if !have[port] {
			delete(b.listeners, port)
			delete(b.problems, port)
			ports = true
		}
	}
	b.main.Store(b.first())
	return ports
}

// first is the listener on port 80, or else on the lowest port.
func (b *balancer) first() *listener {
	if l := b.listeners[80]; l != nil {
		return l
	}
	var first *listener
	for _, l := range b.listeners {
		if first == nil || l.port < first.port {
			first = l
		}
	}
	return first
}

// markGroups makes the target groups of b look again at who uses them.
func (e *Engine) markGroups(r store.Reader, b LoadBalancer) {
	for _, l := range ListenersOf(r, b) {
		for _, arn := range l.Action.groups() {
			if _, name, ok := nameOf(arn); ok {
				e.mark(dirt{true, scopeOf(arn).Key(name)})
			}
		}
	}
}

// plan makes a listener's plan; e.mu is held.
func (e *Engine) plan(b LoadBalancer, l Listener) *plan {
	p := &plan{
		fixed: l.Action.Fixed, redirect: l.Action.Redirect,
		port:        l.Port,
		idle:        seconds(b.Attribute(attrIdle)),
		keepAlive:   seconds(b.Attribute(attrKeepAlive)),
		xff:         b.Attribute(attrXFFMode),
		xffPort:     b.Attribute(attrXFFPort) == "true",
		keepHost:    b.Attribute(attrKeepHost) == "true",
		dropHeaders: b.Attribute(attrDropHeaders) == "true",
		hideServer:  l.Attribute(attrServer) == "false",
	}
	if l.Action.Forward != nil {
		p.forward = newShares(l.Action.Forward, func(arn string) *group {
			_, name, _ := nameOf(arn)
			return e.group(scopeOf(arn).Key(name))
		})
	}
	for _, a := range ListenerAttributes {
		if h, v := ResponseHeader(a.Key), l.Attribute(a.Key); h != "" && v != "" {
			p.extraHeaders = append(p.extraHeaders, Tag{h, v})
		}
	}
	return p
}

// seconds reads a number of seconds that was checked when it was set.
func seconds(v string) time.Duration {
	n, _ := strconv.Atoi(v)
	return time.Duration(n) * time.Second
}
