package lb

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Config is what the platform tells the engine.
type Config struct {
	DB  *store.DB
	Log *slog.Logger

	// Dial connects to a target: from network, the one of a VPC, or from the
	// host if that is "". Nil dials everything from the host.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Instance returns the address of the node that an instance is, where its
	// tasks publish their ports.
	Instance func(s cluster.Scope, id string) (address string, ok bool)

	// ExtraAddrs returns more addresses to listen on: those at which tasks
	// reach the host. It is asked again every few seconds and by Sync.
	ExtraAddrs func() []netip.Addr

	// Shared is the address that all load balancers share by Host, besides the
	// extra ones: 127.0.0.1 if it is not valid.
	Shared netip.Addr

	// API is the host and port of the API on the host, for URL.
	API string
}

// Engine keeps listeners open, checks targets and forwards requests. Methods
// are safe for concurrent use.
type Engine struct {
	cfg Config
	log *slog.Logger

	mu         sync.Mutex // guards what follows and makes refreshes one at a time
	balancers  map[string]*balancer
	groups     map[string]*group
	fronts     map[netip.AddrPort]*front
	extra      []netip.Addr
	closed     bool                      // Run has ended
	missing    bool                      // some socket could not be opened
	complaints map[netip.AddrPort]string // why sockets could not be opened, as logged
	yielded    map[uint16]time.Time      // until when ports are left to others

	labels sync.Map // label of the DNS name → *balancer

	dirtyMu sync.Mutex
	dirty   map[dirt]struct{}
	kick    chan struct{}

	changed chan struct{}
	agenda  *agenda
	sweeper sweeper
	ledger  ledger
	slots   chan struct{} // bounds the checks under way
}

// dirt is a row that changed: of a load balancer, or of a target group.
type dirt struct {
	group bool
	key   string
}

// New returns an engine; Run makes it work.
func New(c Config) *Engine {
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	}
	if !c.Shared.IsValid() {
		c.Shared = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		cfg: c, log: c.Log,
		balancers:  map[string]*balancer{},
		groups:     map[string]*group{},
		fronts:     map[netip.AddrPort]*front{},
		complaints: map[netip.AddrPort]string{},
		yielded:    map[uint16]time.Time{},
		dirty:      map[dirt]struct{}{},
		kick:       make(chan struct{}, 1),
		changed:    make(chan struct{}, 1),
		slots:      make(chan struct{}, 256),
	}
	e.agenda = newAgenda(e.call)
	e.ledger.init(e)
	return e
}

// Run follows the tables, serves listeners and checks targets until ctx ends.
// Targets that were healthy when the last engine ended get traffic at once.
func (e *Engine) Run(ctx context.Context) error {
	for _, stop := range []func(){
		LoadBalancers.Follow(e.cfg.DB, func(c store.Change[LoadBalancer]) { e.mark(dirt{key: c.Key}) }),
		Listeners.Follow(e.cfg.DB, func(c store.Change[Listener]) { e.mark(dirt{key: listenerOwner(c)}) }),
		TargetGroups.Follow(e.cfg.DB, func(c store.Change[TargetGroup]) { e.mark(dirt{true, c.Key}) }),
		Targets.Follow(e.cfg.DB, func(c store.Change[Registration]) { e.mark(dirt{true, targetOwner(c)}) }),
	} {
		defer stop()
	}
	defer e.close()
	e.load()

	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { e.agenda.run(ctx) })
	loops.Go(func() { e.ledger.run(ctx) })

	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		e.settle()
		select {
		case <-ctx.Done():
			return nil
		case <-e.kick:
		case <-tick.C:
			e.mu.Lock()
			e.listen(false)
			e.mu.Unlock()
		}
	}
}

func listenerOwner(c store.Change[Listener]) string {
	l := c.New
	if l == nil {
		l = c.Old
	}
	return l.Scope.Key(l.Balancer)
}

func targetOwner(c store.Change[Registration]) string {
	t := c.New
	if t == nil {
		t = c.Old
	}
	return t.Scope.Key(t.Group)
}

// load takes in all rows, and sweeps targets of groups that are gone.
func (e *Engine) load() {
	var orphans []string
	e.cfg.DB.View(func(r store.Reader) error {
		for b := range LoadBalancers.List(r, "") {
			e.mark(dirt{key: b.Key()})
		}
		for g := range TargetGroups.List(r, "") {
			e.mark(dirt{true, g.Key()})
		}
		for t := range Targets.List(r, "") {
			if g, ok := TargetGroups.Get(r, t.Scope.Key(t.Group)); !ok || g.ID != t.GroupID {
				orphans = append(orphans, t.Key())
			}
		}
		return nil
	})
	for _, key := range orphans {
		e.ledger.remove(key)
	}
}

func (e *Engine) mark(d dirt) {
	e.dirtyMu.Lock()
	e.dirty[d] = struct{}{}
	e.dirtyMu.Unlock()
	notify(e.kick)
}

// Sync makes committed changes of a load balancer and of target groups, named
// by ARN, work before it returns. Without it they do a moment later.
func (e *Engine) Sync(arns ...string) {
	for _, arn := range arns {
		if kind, name, ok := nameOf(arn); ok {
			e.mark(dirt{kind == "targetgroup", scopeOf(arn).Key(name)})
		}
	}
	e.settle()
}

// settle takes in the rows that changed.
func (e *Engine) settle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	ports, some := false, false
	for dirty := e.takeDirty(); len(dirty) > 0; dirty = e.takeDirty() {
		some = true
		e.cfg.DB.View(func(r store.Reader) error {
			for d := range dirty {
				if d.group {
					e.refreshGroup(r, d.key)
				} else {
					ports = e.refreshBalancer(r, d.key) || ports
				}
			}
			return nil
		})
	}
	if ports {
		e.listen(true)
	}
	if some {
		notify(e.changed)
	}
}

func (e *Engine) takeDirty() map[dirt]struct{} {
	e.dirtyMu.Lock()
	defer e.dirtyMu.Unlock()
	dirty := e.dirty
	if len(dirty) == 0 {
		return nil
	}
	e.dirty = map[dirt]struct{}{}
	return dirty
}

// Changed returns a channel that gets a token after changes of targets' health
// (coalesced: capacity one, one reader).
func (e *Engine) Changed() <-chan struct{} { return e.changed }

// group returns the group of that key, made if it is not there; e.mu is held.
func (e *Engine) group(key string) *group {
	g := e.groups[key]
	if g == nil {
		g = &group{e: e, key: key, targets: map[string]*target{}}
		e.groups[key] = g
	}
	return g
}

// nameOf returns the kind and name in the ARN of a load balancer, a listener or
// a target group.
func nameOf(arn string) (kind, name string, ok bool) {
	f := strings.Split(splitARN(arn).resource, "/")
	switch {
	case len(f) == 3 && f[0] == "targetgroup":
		return "targetgroup", f[1], true
	case len(f) >= 4 && (f[0] == "loadbalancer" || f[0] == "listener") && f[1] == "app":
		return "loadbalancer", f[2], true
	}
	return "", "", false
}
